package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
)

// Bounds on what a connection may take.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	// writeTimeout is longer than a PromQL query or a CPU profile may take.
	writeTimeout   = 3 * time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	// shutdownTimeout is what requests under way get to end.
	shutdownTimeout = 5 * time.Second
)

// Listen opens a TCP port. Its error names the flag to change.
func Listen(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is taken by another process: stop that one or choose another address with %s", address, flag)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s may not be listened on by this user: choose another address with %s", address, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is no address of this host: choose another with %s", address, flag)
	}
	return nil, fmt.Errorf("listening for %s: %w", flag, err)
}

// CheckWebConfig reads a web config file and the certificates it names.
func CheckWebConfig(file string) error {
	if err := web.Validate(file); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}

// Run serves until ctx ends, then lets requests under way end. It returns an error when it cannot listen, when the web
// config is wrong, or when serving fails.
func (a *API) Run(ctx context.Context) error {
	main, health, err := a.listen()
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return a.serve(ctx, netutil.LimitListener(main, a.opts.MaxConnections), a.handler, a.opts.WebConfigFile)
	})
	if health != nil {
		g.Go(func() error {
			return a.serve(ctx, netutil.LimitListener(health, a.opts.MaxConnections), a.healthHandler(), "")
		})
	}
	return g.Wait()
}

// listen opens the ports that were not given open, health nil for none.
func (a *API) listen() (main, health net.Listener, err error) {
	main, health = a.opts.Listener, a.opts.HealthListener
	closeAll := func() {
		for _, l := range []net.Listener{main, health} {
			if l != nil {
				_ = l.Close()
			}
		}
	}
	if err := CheckWebConfig(a.opts.WebConfigFile); err != nil {
		closeAll()
		return nil, nil, err
	}
	if main == nil {
		if main, err = Listen(a.opts.ListenAddress, "--web.listen-address"); err != nil {
			closeAll()
			return nil, nil, err
		}
	}
	if health == nil && a.opts.HealthAddress != "" {
		if health, err = Listen(a.opts.HealthAddress, "--web.health-address"); err != nil {
			closeAll()
			return nil, nil, err
		}
	}
	return main, health, nil
}

func (a *API) serve(ctx context.Context, l net.Listener, h http.Handler, webConfig string) error {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// What goes wrong on one connection is the client's affair.
		ErrorLog: slog.NewLogLogger(a.opts.Logger.Handler(), slog.LevelDebug),
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		// Requests under way get their time although ctx has ended.
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := s.Shutdown(ending); err != nil {
			_ = s.Close()
		}
	})
	err := web.Serve(l, s, &web.FlagConfig{WebConfigFile: &webConfig}, a.opts.Logger)
	if stop() { // serving failed by itself
		_ = l.Close()
		return fmt.Errorf("serving HTTP on %s: %w", l.Addr(), err)
	}
	<-done
	return nil
}
