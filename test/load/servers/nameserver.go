package servers

import (
	"errors"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
)

// nameServer is the command of a name server. All of them know the same names, and say NXDOMAIN to any other below test, REFUSED
// to what is not below it:
//
//	www.shop.test           A 192.0.2.10, AAAA 2001:db8::10; also by PTR
//	v4.shop.test            A 192.0.2.11 alone
//	alias.shop.test         CNAME www.shop.test
//	shop.test               MX 10 mail.shop.test, whose A is 192.0.2.12
//	_http._tcp.shop.test    SRV 0 5 80 www.shop.test
//	text.shop.test          TXT
//	big.shop.test           TXT of more than 1,300 bytes, too large for an answer over UDP
//	caa.shop.test           CAA
//	naptr.shop.test         NAPTR
//	web.shop.test           HTTPS
//	api.partner.test        A 192.0.2.13, AAAA 2001:db8::13
//
// Beside these broken.test is SERVFAIL and late.test answers after 1.5 s with CoreDNS (and with dnsmasq if that is its backend);
// silent.test is never answered by unbound.
func nameServer(c *Config) (*exec.Cmd, error) {
	listen, err := netip.ParseAddrPort(c.Listen)
	if err != nil || listen.Port() == 0 {
		return nil, errors.New("a name server needs an address and a port")
	}
	z := zone{Config: c, Host: listen.Addr().String(), Port: listen.Port()}
	switch c.Kind {
	case Unbound:
		conf, err := z.write("unbound.conf")
		return exec.Command("unbound", "-d", "-p", "-c", conf), err
	case CoreDNS:
		if _, err := z.write("zone"); err != nil {
			return nil, err
		}
		conf, err := z.write("Corefile")
		return exec.Command(c.Program, "-quiet", "-conf", conf), err
	}
	conf, err := z.write("dnsmasq.conf")
	// Its file may have no lines as long as this.
	big := "--txt-record=big.shop.test," + strings.Join(z.Big(), ",")
	return exec.Command("dnsmasq", "--keep-in-foreground", "--conf-file="+conf, big), err
}

// zone is what the files of a name server are made from.
type zone struct {
	*Config
	Host string
	Port uint16
}

func (z zone) write(name string) (path string, err error) {
	return write(filepath.Join(z.Dir, name), z)
}

// BackendHost is the address of the name server behind dnsmasq.
func (z zone) BackendHost() string {
	if backend, err := netip.ParseAddrPort(z.Backend); err == nil {
		return backend.Addr().String()
	}
	return ""
}

// Big is the parts of a TXT record that is too large for an answer over UDP, each as long as a part may be.
func (zone) Big() []string {
	parts := make([]string, 6)
	for i := range parts {
		part := make([]byte, 255)
		for j := range part {
			part[j] = 'a' + byte(i)
		}
		parts[i] = string(part)
	}
	return parts
}
