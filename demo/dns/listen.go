package dns

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Port is the port by which DNS is known.
const Port = 53

// Listener is one address, by UDP and by TCP.
type Listener struct {
	// Refused says why the first of the addresses was not taken; nil: it was.
	Refused error

	udp *net.UDPConn
	tcp net.Listener
}

// Listen takes the first of addresses ("ip:port") that can be had by both; port 0 is any that is free by both.
func Listen(addresses []string) (*Listener, error) {
	var refused error
	for _, a := range addresses {
		address, err := netip.ParseAddrPort(a)
		if err != nil {
			return nil, fmt.Errorf("address to listen at: %w", err)
		}
		l, err := listen(address)
		if err == nil {
			l.Refused = refused
			return l, nil
		}
		refused = cmp.Or(refused, err)
	}
	return nil, cmp.Or(refused, errors.New("no address to listen at"))
}

func listen(address netip.AddrPort) (*Listener, error) {
	// A port that is free by UDP may be taken by TCP; then another is tried.
	var err error
	for range 10 {
		var l Listener
		if l.udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(address)); err != nil {
			return nil, err
		}
		if l.tcp, err = net.Listen("tcp", l.udp.LocalAddr().String()); err == nil {
			return &l, nil
		}
		l.udp.Close()
		if address.Port() != 0 {
			break
		}
	}
	return nil, err
}

// Addr is the address that was taken.
func (l *Listener) Addr() netip.AddrPort { return l.udp.LocalAddr().(*net.UDPAddr).AddrPort() }

// Close stops listening; it may be called more than once.
func (l *Listener) Close() error {
	for _, err := range []error{l.udp.Close(), l.tcp.Close()} {
		if err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}
