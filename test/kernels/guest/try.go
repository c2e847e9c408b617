package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/toposcope/toposcope/test/kernels"
)

// try runs Toposcope under a condition: with the privileges that its flags leave, and whatever else whoever started this program has
// arranged. That Toposcope refuses is a finding, not an error.
func try(ctx context.Context, args []string) error {
	var d drive
	fs := flag.NewFlagSet("try", flag.ContinueOnError)
	d.flags(fs)
	name := fs.String("name", "try", "name of the report")
	method := fs.String("method", "auto", "value of capture.method")
	var left privileges
	left.flags(fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if d.bin == "" {
		return errors.New("-toposcope is needed")
	}
	d.confine = left.args()
	began := time.Now()
	rep := kernels.Report{Name: *name}
	if err := d.condition(ctx, *method, &rep); err != nil {
		rep.Error = err.Error()
	}
	rep.Seconds = time.Since(began).Seconds()
	return send(rep)
}

// condition asks doctor, then runs Toposcope between the pairs.
func (d *drive) condition(ctx context.Context, method string, rep *kernels.Report) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	if rep.Doctor, err = d.doctor(ctx); err != nil {
		return err
	}
	all, err := startServers(ctx, d.protocols, d.demo)
	if err != nil {
		return err
	}
	defer all.end()
	if err := d.try(ctx, all, method, rep); !errors.Is(err, errNotReady) {
		return err
	}
	return nil
}

const (
	doctorLimit  = 5 * time.Minute
	doctorOutput = 8 << 10
)

// doctor asks Toposcope what the host allows.
func (d *drive) doctor(ctx context.Context) (*kernels.Ended, error) {
	ctx, cancel := context.WithTimeout(ctx, doctorLimit)
	defer cancel()
	cmd, err := d.command(ctx, "doctor")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	var said tail
	cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(os.Stderr, &said)
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("running doctor: %w", err)
	}
	if cmd.ProcessState.ExitCode() == statusConfine && d.confine != nil {
		return nil, fmt.Errorf("%w: %s", errConfine, said.lines())
	}
	text := out.Bytes()
	return &kernels.Ended{
		Status: cmd.ProcessState.ExitCode(), Stderr: said.lines(),
		Stdout: strings.ToValidUTF8(string(text[:min(len(text), doctorOutput)]), ""),
	}, nil
}
