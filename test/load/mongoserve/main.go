// Command mongoserve is a server of MongoDB's wire protocol for tests: FerretDB, which keeps its data in SQLite's files.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen at; it is printed when that is done")
	dir := flag.String("dir", "", "empty `folder` for the data")
	flag.Parse()
	if err := serve(*listen, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "mongoserve:", err)
		os.Exit(1)
	}
}

func serve(listen, dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{TCP: listen}, Logger: slog.New(slog.DiscardHandler),
		Handler: "sqlite", SQLiteURL: "file:" + dir + "/?_pragma=synchronous(off)",
	})
	if err != nil {
		return err
	}
	go func() {
		// It listens already; its address can be asked for once it runs.
		if at, err := url.Parse(f.MongoDBURI()); err == nil {
			fmt.Println("listening", at.Host)
		}
	}()
	return f.Run(ctx)
}
