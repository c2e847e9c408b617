// Command grpcserve is a gRPC server for tests: what a call shall be like is written in its first message, see package rpc.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/toposcope/toposcope/test/load/rpc"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen at; it is printed when that is done")
	web := flag.Bool("web", false, "serve gRPC-Web also")
	flag.Parse()
	serve := rpc.Serve
	if *web {
		serve = rpc.ServeWeb
	}
	listener, err := net.Listen("tcp", *listen)
	if err == nil {
		fmt.Println("listening", listener.Addr())
		err = serve(listener)
	}
	fmt.Fprintln(os.Stderr, "grpcserve:", err)
	os.Exit(1)
}
