package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// conn is a client's connection. It is used by one goroutine.
type conn struct {
	net.Conn
	in             *bufio.Reader
	out            []byte
	sent, received int64
}

func dial(target string, timeout time.Duration) (*conn, error) {
	c, err := net.DialTimeout("tcp", target, timeout)
	if err != nil {
		return nil, err
	}
	counted := &conn{Conn: c}
	counted.in = bufio.NewReaderSize(counted, 16<<10)
	return counted, nil
}

// Read counts what it reads.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received += int64(n)
	return n, err
}

// headerLine bounds an additional header line: servers bound a line at 8 KiB or more.
const headerLine = 4 << 10

// add puts a request that asks for path to the bytes that flush writes.
func (c *conn) add(r Request, path, host string, last bool) {
	b := c.out
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\nUser-Agent: httpload\r\n"...)
	for n := r.Header; n > 0; n -= headerLine {
		b = append(b, "X-Padding: "...)
		b = append(b, bytes.Repeat([]byte{'h'}, max(min(n, headerLine)-len("X-Padding: \r\n"), 0))...)
		b = append(b, "\r\n"...)
	}
	if r.Body > 0 || r.Method == http.MethodPost || r.Method == http.MethodPut {
		b = append(b, "Content-Type: text/plain\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(r.Body), 10)
		b = append(b, "\r\n"...)
	}
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(b, "\r\n"...)
	c.out = append(b, bytes.Repeat([]byte{'b'}, r.Body)...)
}

// flush writes what was added.
func (c *conn) flush() error {
	n, err := c.Write(c.out)
	c.sent += int64(n)
	c.out = c.out[:0]
	return err
}

// answer reads one response to its last byte. more is false when the connection carries no further one.
func (c *conn) answer(method string) (status int, more bool, err error) {
	for {
		h, err := c.head()
		if err != nil {
			return 0, false, err
		}
		if h.status >= 200 {
			if err := c.body(h, method); err != nil {
				return 0, false, fmt.Errorf("reading the body: %w", err)
			}
			return h.status, !h.close, nil
		}
	}
}

// head is what of a response's head matters here.
type head struct {
	status         int
	length         int64 // -1: none given
	chunked, close bool
}

func (c *conn) head() (head, error) {
	line, err := c.line()
	if err != nil {
		return head{}, err
	}
	proto, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	h := head{length: -1, close: bytes.Equal(proto, []byte("HTTP/1.0"))}
	if h.status, err = strconv.Atoi(string(code)); err != nil || !bytes.HasPrefix(proto, []byte("HTTP/1.")) {
		return head{}, fmt.Errorf("no status line: %.40q", line)
	}
	for {
		line, err := c.line()
		if err != nil {
			return head{}, err
		}
		if len(line) == 0 {
			return h, nil
		}
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-length":
			if h.length, err = strconv.ParseInt(value, 10, 64); err != nil {
				return head{}, fmt.Errorf("bad Content-Length %q", value)
			}
		case "transfer-encoding":
			h.chunked = strings.EqualFold(value, "chunked")
		case "connection":
			h.close = strings.EqualFold(value, "close")
		}
	}
}

// body reads past the body that follows h.
func (c *conn) body(h head, method string) error {
	switch {
	case method == http.MethodHead || h.status == http.StatusNoContent || h.status == http.StatusNotModified:
		return nil
	case h.chunked:
		return c.chunks()
	case h.length >= 0:
		_, err := io.CopyN(io.Discard, c.in, h.length)
		return err
	case h.close:
		_, err := io.Copy(io.Discard, c.in)
		return err
	}
	return errors.New("a body without a length on a connection that stays open")
}

func (c *conn) chunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(line), 16, 64)
		if err != nil {
			return fmt.Errorf("bad chunk size %.20q", line)
		}
		if n == 0 {
			break
		}
		if _, err := io.CopyN(io.Discard, c.in, n+2); err != nil {
			return err
		}
	}
	for { // trailers
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return err
		}
	}
}

// line reads a line without its end. It is valid until the next read.
func (c *conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}
