package servers

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// startSilent starts a server that does not say when it listens: the kernel's table of sockets does, without a packet that
// would show in what a test counts.
func (s *Server) startSilent(transports ...string) error {
	address, err := netip.ParseAddrPort(s.Address)
	if err != nil {
		return err
	}
	s.cmd.Stdout = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.exited:
			return errors.New("it ended before it listened")
		default:
		}
		closed := func(transport string) bool { return !listens(s.PID(), transport, address) }
		if !slices.ContainsFunc(transports, closed) {
			return nil
		}
	}
	s.Kill()
	return errors.New("it does not listen")
}

// listens says whether a socket is open for all comers at address in the network of process pid; transport is tcp or udp.
func listens(pid int, transport string, address netip.AddrPort) bool {
	state := map[string]string{"tcp": "0A", "udp": "07"}[transport] // TCP_LISTEN, TCP_CLOSE
	if address.Addr().Is6() {
		transport += "6"
	}
	table, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, transport))
	if err != nil {
		return false
	}
	defer table.Close()
	want := kernelAddress(address)
	for s := bufio.NewScanner(table); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 3 && fields[1] == want && fields[3] == state {
			return true
		}
	}
	return false
}

// kernelAddress writes an address as /proc/net/tcp of a little-endian machine does: each 32 bits turned round.
func kernelAddress(address netip.AddrPort) string {
	bytes := address.Addr().AsSlice()
	for word := range slices.Chunk(bytes, 4) {
		slices.Reverse(word)
	}
	return fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(bytes)), address.Port())
}
