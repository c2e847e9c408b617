// Command coredns is CoreDNS with the few plugins that the tests need: with all of them it would bring the clients of five clouds.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	// CoreDNS's plugins register themselves: there is no other way to add one.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/erratic"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// The order in which a query passes through them.
	dnsserver.Directives = []string{"bind", "template", "file", "erratic"}
	coremain.Run()
}
