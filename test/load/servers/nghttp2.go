package servers

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// nghttp2 is the command of a server of the nghttp2 project. Nghttpd serves "/" and "/style.css", and pushes the latter with the
// former.
func nghttp2(c *Config) (*exec.Cmd, error) {
	if err := c.choosePort(); err != nil {
		return nil, err
	}
	listen, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return nil, err
	}
	host, port := listen.Addr().String(), strconv.Itoa(int(listen.Port()))
	if c.Kind == Nghttpx {
		// All in one thread of one process beside its master.
		args := []string{
			"--conf=/dev/null", "--workers=1", "--no-via", "--log-level=WARN", "--errorlog-file=/dev/stderr", "--accesslog-file=/dev/null",
			"--frontend=" + host + "," + port + ";no-tls",
			"--backend=" + strings.Replace(c.Backend, ":", ",", 1),
		}
		return exec.Command("nghttpx", append(args, c.Args...)...), nil
	}
	for name, size := range map[string]int{"index.html": 3000, "style.css": 20000} {
		if err := os.WriteFile(filepath.Join(c.Dir, name), make([]byte, size), 0o644); err != nil {
			return nil, err
		}
	}
	args := append([]string{"--no-tls", "--address=" + host, "--htdocs=" + c.Dir}, c.Args...)
	return exec.Command("nghttpd", append(args, port)...), nil
}
