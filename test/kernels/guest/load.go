package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/toposcope/toposcope/test/kernels/guest/traffic"
)

// serve is a server process: it prints its address.
func serve(ctx context.Context, args []string) error {
	p, err := protocolOf(args, 1)
	if err != nil {
		return err
	}
	if p.Serve == nil {
		return fmt.Errorf("toposcope-demo has the server of %s", p.Name)
	}
	return p.Serve(ctx, func(address string) error {
		_, err := fmt.Println(address)
		return err
	})
}

// load is a client process: load PROTOCOL ADDRESS SIZE. It prints a line when its old connections are open, awaits one on its standard
// input, sends its load and prints what it did, as JSON.
func load(ctx context.Context, args []string) error {
	p, err := protocolOf(args, 3)
	if err != nil {
		return err
	}
	ready := func() error {
		fmt.Println("open")
		_, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return err
	}
	made, err := p.Load(ctx, args[1], args[2] == sizeSmall, ready)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(made); err != nil {
		return fmt.Errorf("telling what was done: %w", err)
	}
	return nil
}

// Sizes of a load.
const (
	sizeSmall = "small"
	sizeWhole = "whole"
)

func protocolOf(args []string, want int) (traffic.Protocol, error) {
	if len(args) != want {
		return traffic.Protocol{}, errors.New("usage: serve PROTOCOL | load PROTOCOL ADDRESS whole|small")
	}
	p, ok := traffic.Find(args[0])
	if !ok {
		return p, fmt.Errorf("unknown protocol %q", args[0])
	}
	return p, nil
}

// pair is the two processes of a protocol. The server serves the client of one way after another.
type pair struct {
	traffic.Protocol
	address        string
	server, client *child
}

// pairs are those of all protocols.
type pairs []*pair

// startServers starts the servers; demo is toposcope-demo, which has some of them.
func startServers(ctx context.Context, protocols []traffic.Protocol, demo string) (pairs, error) {
	all := make(pairs, len(protocols))
	for i, p := range protocols {
		all[i] = &pair{Protocol: p}
	}
	err := all.each(func(_ int, p *pair) (err error) {
		if p.Serve == nil {
			p.address, err = p.startRole(ctx, demo)
		} else if p.server, err = reexec(ctx, p.ServerName(), "serve", p.Name); err == nil {
			p.address, err = p.server.line()
		}
		return err
	})
	if err != nil {
		all.end()
		return nil, err
	}
	return all, nil
}

// roleLimit is how long a server of toposcope-demo may take to start, which makes its tables first.
const roleLimit = 2 * time.Minute

// startRole starts a server of toposcope-demo as its supervisor would, to which it says on descriptor 3 where it listens.
func (p *pair) startRole(ctx context.Context, demo string) (string, error) {
	if demo == "" {
		return "", fmt.Errorf("the server of %s is toposcope-demo, which is not given", p.Name)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("starting %s: %w", p.Role, err)
	}
	cmd := exec.CommandContext(ctx, demo, p.Role, "-listen=127.0.0.1:0")
	cmd.Env = append(os.Environ(), serviceName+p.ServerName())
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stdout = os.Stderr
	p.server, err = start(ctx, cmd)
	w.Close()
	if err != nil {
		r.Close()
		return "", err
	}
	context.AfterFunc(ctx, func() { r.Close() }) // its last word is not awaited, but it must be able to say it
	if err := r.SetReadDeadline(time.Now().Add(roleLimit)); err != nil {
		return "", fmt.Errorf("starting %s: %w", p.Role, err)
	}
	var word struct{ Hello struct{ Address string } }
	if err := json.NewDecoder(r).Decode(&word); err != nil {
		return "", fmt.Errorf("awaiting the address of %s: %w", p.Role, err)
	}
	return word.Hello.Address, nil
}

// open starts the clients, and returns when their old connections are open.
func (all pairs) open(ctx context.Context, small bool) error {
	size := sizeWhole
	if small {
		size = sizeSmall
	}
	return all.each(func(_ int, p *pair) (err error) {
		if p.client, err = reexec(ctx, p.ClientName(), "load", p.Name, p.address, size); err == nil {
			_, err = p.client.line()
		}
		return err
	})
}

// run has all clients send their loads, side by side, and tells for each what it did.
func (all pairs) run() ([][]traffic.Operation, error) {
	made := make([][]traffic.Operation, len(all))
	err := all.each(func(i int, p *pair) error {
		if _, err := io.WriteString(p.client.in, "go\n"); err != nil {
			return fmt.Errorf("starting the load: %w", err)
		}
		line, err := p.client.line()
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(line), &made[i]); err != nil {
			return fmt.Errorf("reading what %s did: %w", p.client.name, err)
		}
		return p.client.wait()
	})
	return made, err
}

func (all pairs) each(do func(i int, p *pair) error) error {
	var g errgroup.Group
	for i, p := range all {
		g.Go(func() error { return do(i, p) })
	}
	return g.Wait()
}

// end ends all processes: clients are killed, servers take their folders with them.
func (all pairs) end() {
	_ = all.each(func(_ int, p *pair) error {
		if p.client != nil {
			p.client.kill()
		}
		if p.server != nil {
			return p.server.stop() // how it ends is of no interest
		}
		return nil
	})
}
