package traffic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// serveHTTP answers every path that the plan has, on both IP versions, so that an IPv4 peer is IPv4-mapped.
func serveHTTP(ctx context.Context, listening func(string) error) error {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16)
	dir, err := os.MkdirTemp("", "served-")
	if err != nil {
		return fmt.Errorf("making the served file: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "file.bin")
	if err := os.WriteFile(file, big, 0o600); err != nil {
		return fmt.Errorf("making the served file: %w", err)
	}
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	srv := &http.Server{Handler: handler(file, big), ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := listening(l.Addr().String()); err != nil {
		return err
	}
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// handler's answers do not report a failing write: the client counts what it got.
func handler(file string, big []byte) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello\n")
	})
	mux.HandleFunc("/download", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(big)))
		_, _ = w.Write(big)
	})
	mux.HandleFunc("/chunks", func(w http.ResponseWriter, _ *http.Request) {
		for range 5 {
			_, _ = io.WriteString(w, "a chunk\n")
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, file) // sendfile(2)
	})
	for path, status := range map[string]int{"/empty": 204, "/same": 304, "/missing": 404, "/busy": 429, "/broken": 503} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	return mux
}
