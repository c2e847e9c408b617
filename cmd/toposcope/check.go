package main

import (
	"context"
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"github.com/toposcope/toposcope/cmd/internal/config"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/all"
)

func registerCheck(app *kingpin.Application, commands map[string]func(context.Context) error) {
	check := app.Command("check", "Validate a file without running anything.")
	c := check.Command("config", "Validate a configuration file.")
	file := c.Arg("file", "The configuration file.").Required().String()
	commands[c.FullCommand()] = func(context.Context) error {
		if _, err := config.Load(*file, names(all.Specs())); err != nil {
			return err
		}
		fmt.Printf("%s is valid\n", *file)
		return nil
	}
}

func names(specs []*protocol.Spec) (list []string) {
	for _, s := range specs {
		list = append(list, s.Name)
	}
	return list
}
