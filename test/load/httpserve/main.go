// Command httpserve is an HTTP server for tests. The query of a request says what its answer is like, the path does not matter:
// ?status=CODE, ?delay=MILLISECONDS, ?bytes=N with a Content-Length, ?chunked=N in pieces of 16 KiB, ?echo=1 sends the body back.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen at; it is printed when that is done")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, "httpserve:", err)
		os.Exit(1)
	}
	fmt.Println("listening", listener.Addr())
	err = http.Serve(listener, http.HandlerFunc(handle))
	fmt.Fprintln(os.Stderr, "httpserve:", err)
	os.Exit(1)
}

func handle(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var body bytes.Buffer
	sink := io.Discard
	if q.Has("echo") {
		sink = &body
	}
	if _, err := io.Copy(sink, r.Body); err != nil {
		http.Error(w, "unreadable request", http.StatusBadRequest)
		return
	}
	time.Sleep(time.Duration(number(q, "delay", 0)) * time.Millisecond)
	status := number(q, "status", http.StatusOK)
	switch {
	case status == http.StatusNoContent || status == http.StatusNotModified:
		w.WriteHeader(status)
	case q.Has("chunked"):
		w.WriteHeader(status)
		chunks(w, number(q, "chunked", 0))
	default:
		if !q.Has("echo") {
			body.Write(bytes.Repeat([]byte{'.'}, number(q, "bytes", 2)))
		}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
		w.WriteHeader(status)
		_, _ = w.Write(body.Bytes()) // the client may have gone, as some tests want
	}
}

func chunks(w http.ResponseWriter, n int) {
	const size = 16 << 10
	piece := bytes.Repeat([]byte{'.'}, size)
	for ; n > 0; n -= size {
		if _, err := w.Write(piece[:min(n, size)]); err != nil {
			return
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
}

func number(q url.Values, name string, otherwise int) int {
	n, err := strconv.Atoi(q.Get(name))
	if err != nil {
		return otherwise
	}
	return n
}
