// Command resolve looks names up with Go's own resolver, one after the other, as /etc/resolv.conf says: resolve KIND NAME…, with the
// kinds ip (IPv4 and IPv6), ip4, ip6, mx, srv, txt, cname, ptr. It prints a line for each: "ok", "none" if there is no such name or
// record, "timeout", or "error".
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

func main() {
	args := os.Args[1:]
	for i := 0; i+1 < len(args); i += 2 {
		err := lookUp(args[i], args[i+1])
		var failed *net.DNSError
		switch {
		case err == nil:
			fmt.Println("ok")
		case errors.As(err, &failed) && failed.IsNotFound:
			fmt.Println("none")
		case errors.As(err, &failed) && failed.IsTimeout:
			fmt.Println("timeout")
		default:
			fmt.Println("error")
			fmt.Fprintln(os.Stderr, "resolve:", err)
		}
	}
}

func lookUp(kind, name string) (err error) {
	r, ctx := &net.Resolver{PreferGo: true}, context.Background()
	switch kind {
	case "ip", "ip4", "ip6":
		_, err = r.LookupNetIP(ctx, kind, name)
	case "mx":
		_, err = r.LookupMX(ctx, name)
	case "srv":
		_, _, err = r.LookupSRV(ctx, "", "", name)
	case "txt":
		_, err = r.LookupTXT(ctx, name)
	case "cname":
		_, err = r.LookupCNAME(ctx, name)
	case "ptr":
		_, err = r.LookupAddr(ctx, name)
	default:
		err = fmt.Errorf("unknown kind %q", kind)
	}
	return err
}
