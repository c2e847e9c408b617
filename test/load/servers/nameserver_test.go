package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// known is what every name server says of a question, as dig's "+short" shows it, or as the code of its answer.
var known = map[string]string{
	"www.shop.test A":                 "192.0.2.10",
	"www.shop.test AAAA":              "2001:db8::10",
	"v4.shop.test AAAA":               "NOERROR",
	"alias.shop.test CNAME":           "www.shop.test.",
	"shop.test MX":                    "10 mail.shop.test.",
	"_http._tcp.shop.test SRV":        "0 5 80 www.shop.test.",
	"text.shop.test TXT":              `"open all hours"`,
	"caa.shop.test CAA":               `0 issue "ca.test"`,
	"naptr.shop.test NAPTR":           `10 100 "S" "SIP+D2U" "" _sip._udp.shop.test.`,
	"web.shop.test HTTPS":             `1 . alpn="h2"`,
	"api.partner.test AAAA":           "2001:db8::13",
	"10.2.0.192.in-addr.arpa PTR":     "www.shop.test.",
	"nobody.shop.test A":              "NXDOMAIN",
	"www.shop.test.shop.svc.test A":   "NXDOMAIN",
	"example A":                       "REFUSED",
	"big.shop.test TXT":               "over TCP",
	"www.shop.test A +tcp":            "192.0.2.10",
	"big.shop.test TXT +ignore":       "NOERROR",
	"nobody.shop.test AAAA +tcp":      "NXDOMAIN",
	"www.shop.test A +noedns +nocook": "192.0.2.10",
}

// TestNameServers: every name server answers as nameserver.go says.
func TestNameServers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("port 53 is root's")
	}
	coredns := filepath.Join(t.TempDir(), "coredns")
	if out, err := exec.Command("go", "build", "-o", coredns, "../coredns").CombinedOutput(); err != nil {
		t.Fatalf("building coredns: %v: %s", err, out)
	}
	for i, kind := range []Kind{CoreDNS, Dnsmasq, Unbound} {
		t.Run(string(kind), func(t *testing.T) {
			need(t, kind)
			// A port that no other name server of this host has, since these answer at 127.0.0.0/8 alone.
			c := Config{Kind: kind, Name: "test", Listen: fmt.Sprintf("127.77.3.%d:53", i+1), Dir: t.TempDir(), Program: coredns}
			s, err := Start(c)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			host, _, _ := strings.Cut(s.Address, ":")
			for question, want := range known {
				args := append([]string{"@" + host, "+noall", "+comments", "+answer", "+tries=1"}, strings.Fields(question)...)
				out, err := exec.Command("dig", args...).CombinedOutput()
				answer := strings.Join(strings.Fields(string(out)), " ")
				if err != nil || !strings.Contains(answer, strings.Replace(want, "over TCP", "aaaaaaaa", 1)) {
					t.Errorf("%s: %v, no %q in %s", question, err, want, out)
				}
			}
		})
	}
}
