package main

import (
	"context"
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"github.com/toposcope/toposcope/api/store/tsdb"
	"github.com/toposcope/toposcope/cmd/internal/config"
	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/all"
)

func registerCheck(app *kingpin.Application, commands map[string]func(context.Context) error) {
	check := app.Command("check", "Validate a file without running anything.")
	c := check.Command("config", "Validate a configuration file.")
	file := c.Arg("file", "The configuration file.").Required().String()
	r := check.Command("rules", "Validate Prometheus rule files.")
	rules := r.Arg("file", "The rule files.").Required().Strings()
	commands[r.FullCommand()] = func(context.Context) error {
		if err := tsdb.CheckRules(*rules); err != nil {
			return err
		}
		fmt.Printf("%d rule files are valid\n", len(*rules))
		return nil
	}
	commands[c.FullCommand()] = func(context.Context) error {
		if err := config.Check(*file, protocolNames(), tsdb.CheckRules); err != nil {
			return err
		}
		fmt.Printf("%s is valid\n", *file)
		return nil
	}
}

// protocolNames are the protocols that a configuration may name.
func protocolNames() (list []string) {
	for _, s := range all.Specs(protocol.Options{}) {
		list = append(list, s.Name)
	}
	return list
}
