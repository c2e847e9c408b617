package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/toposcope/toposcope/demo/fault"
	"github.com/toposcope/toposcope/demo/shop"
)

// scenario is a fault that is worth looking at.
type scenario struct{ name, faults, text string }

// scenarios are the faults that the help lists.
func scenarios() []scenario {
	return []scenario{
		{"slow queries", "mysql=slow:700ms:0.5", "MySQL answers half of its queries late; the front gets slow where it shows items"},
		{"database errors", "mongodb=fail:0.3", "MongoDB answers commands with an error, 50: users and recommendations fail"},
		{"dead database", "redis=down for 30s", "Redis is stopped, with all that it holds, and comes back: carts and sessions fail"},
		{"dead instance", "catalogue-2=down", "one of the catalogue's two processes is gone: half of what is asked of it fails"},
		{"bad deploy", "recommendations=deploy", "version 2 asks MySQL, as version 1 never did, for a column that is not there (1054)"},
		{"DNS failure", "dns=fail", "the name server answers SERVFAIL: what makes connections anew by name fails"},
		{"traffic surge", "load=surge:5 for 1m", "five times as many customers come"},
	}
}

// faultHelp tells what can go wrong and how to have it.
func faultHelp() string {
	var b strings.Builder
	b.WriteString(fault.Syntax + "\nFor example:\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range scenarios() {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", s.faults, s.name, s.text)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return strings.TrimSuffix(b.String(), "\n")
}

// places are the services and processes of the shop, and what can go wrong at each.
func places() fault.Places {
	const asked = fault.Slow | fault.Fail | fault.Lost | fault.Down
	places := fault.Places{shop.NameServer: asked, loadName: fault.Surge}
	for _, s := range shop.Services() {
		can := asked
		if s.Speaks != "" {
			can &^= fault.Lost
		}
		for _, name := range s.Processes() {
			places[name] = can
		}
		if s.Next != nil {
			can |= fault.Deploy
		}
		places[s.Name] = can
	}
	return places
}

// processes are the names of the shop's processes, without the name server and the customers.
func processes() []string {
	var names []string
	for _, s := range shop.Services() {
		names = append(names, s.Processes()...)
	}
	return names
}
