// Command kafkaserve is a Kafka broker for tests: kfake, which keeps what it is given in memory.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen at; it is printed when that is done")
	topics := flag.String("topics", "", "`names` of topics, comma-separated, of one partition each")
	flag.Parse()
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.SeedTopics(1, strings.Split(*topics, ",")...),
		// The one broker listens where it is told to, whatever its own address would be.
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, *listen) }),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "kafkaserve:", err)
		os.Exit(1)
	}
	defer cluster.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	fmt.Println("listening", cluster.ListenAddrs()[0])
	<-stop
}
