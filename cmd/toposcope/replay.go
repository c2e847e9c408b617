package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"

	"github.com/toposcope/toposcope/api"
	"github.com/toposcope/toposcope/cmd/internal/config"
	"github.com/toposcope/toposcope/collector/packet"
	"github.com/toposcope/toposcope/collector/replay"
)

// replayFlags are the flags of toposcope replay.
type replayFlags struct {
	file          string
	configFile    string
	output        string
	follow        bool
	serve         bool
	listenAddress string
	webConfigFile string
	healthAddress string
	storagePath   string
}

func registerReplay(app *kingpin.Application, logConfig *promslog.Config, commands map[string]func(context.Context) error) {
	f := &replayFlags{}
	c := app.Command("replay", "Show what a capture file holds: pcap or pcapng, also compressed with gzip. No root needed.")
	c.Arg("file", "The capture; - for standard input.").Required().StringVar(&f.file)
	c.Flag("config.file", "Configuration file; built-in defaults without one.").StringVar(&f.configFile)
	c.Flag("output", "What is printed: a summary, or each exchange as a line of JSON.").Default("text").EnumVar(&f.output, "text", "json")
	c.Flag("follow", "Wait at the end of the file for more.").BoolVar(&f.follow)
	c.Flag("serve", "Serve the pages and the API on what the capture holds.").BoolVar(&f.serve)
	c.Flag("web.listen-address", "Address of the pages and the API, with --serve.").Default(api.DefaultListenAddress).StringVar(&f.listenAddress)
	c.Flag("web.config.file", "TLS and authentication, in the format of Prometheus's exporter-toolkit.").StringVar(&f.webConfigFile)
	c.Flag("web.health-address", "Address that serves health alone, without credentials.").StringVar(&f.healthAddress)
	c.Flag("storage.tsdb.path", "Data folder, with --serve; without it a temporary one.").StringVar(&f.storagePath)
	c.Validate(func(*kingpin.CmdClause) error {
		if f.storagePath != "" && !f.serve {
			return errors.New("--storage.tsdb.path goes with --serve")
		}
		return nil
	})
	commands[c.FullCommand()] = func(ctx context.Context) error {
		return replayFile(ctx, f, promslog.New(logConfig))
	}
}

// replayFile plays the file, prints what was asked for, and with --serve shows it until ctx ends.
func replayFile(ctx context.Context, f *replayFlags, log *slog.Logger) error {
	cfg, err := config.Load(f.configFile, protocolNames())
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(cfg.Limits.Memory))
	}
	if f.file == "" {
		f.file = "-" // kingpin's word for it
	}
	file, err := replay.Open(ctx, f.file, replay.Options{Follow: f.follow})
	if err != nil {
		if ctx.Err() != nil { // nothing was written yet
			return nil
		}
		return err
	}
	defer file.Close()
	p, err := newPlayback(cfg, f.serve)
	if err != nil {
		return err
	}
	p.player = replay.New(file, packet.Config{}, p)
	if f.output == "json" {
		p.lines = newExchangeLines(os.Stdout, f.follow)
	}
	if f.serve {
		return serveReplay(ctx, cfg, f, file, p, log)
	}
	stop := showProgress(os.Stderr, file, f)
	err = p.run(ctx)
	stop()
	if f.output == "text" {
		if e := writeSummary(os.Stdout, file.Name(), p, file.Stats()); err == nil {
			err = e
		}
	}
	return err
}

// run plays the file to its end, or until ctx ends or what it feeds fails.
func (p *playback) run(ctx context.Context) error {
	ctx, p.stop = context.WithCancelCause(ctx)
	defer p.stop(nil)
	err := p.player.Run(ctx)
	if p.lines != nil {
		err = errors.Join(err, p.lines.flush())
	}
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return fmt.Errorf("playing the capture: %w", cause)
	}
	return err
}
