package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/toposcope/toposcope/protocol"
	"github.com/toposcope/toposcope/protocol/redis"
)

// TestLiveCluster: what two real nodes of a cluster say of keys that are not theirs.
func TestLiveCluster(t *testing.T) {
	var nodes [2]*raw
	var addrs, buses [2]string
	for i := range nodes {
		buses[i] = freePort(t)
		addrs[i] = startServer(t, "--cluster-enabled", "yes", "--cluster-port", buses[i])
		nodes[i] = dial(t, addrs[i])
	}
	wanted := func(got, want string) {
		t.Helper()
		if !strings.HasPrefix(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	wanted(nodes[0].do("CLUSTER ADDSLOTSRANGE 0 8191"), "+OK")
	wanted(nodes[1].do("CLUSTER ADDSLOTSRANGE 8192 16383"), "+OK")
	_, port, _ := strings.Cut(addrs[1], ":")
	wanted(nodes[0].do("CLUSTER MEET 127.0.0.1 "+port+" "+buses[1]), "+OK")
	for i := range nodes {
		for range 400 {
			info := nodes[i].do("CLUSTER INFO")
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384") {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	rec := newRecorder(t, addrs[0])
	r := dial(t, rec.addr())
	wanted(r.do("PING"), "+PONG")
	here, there := "", ""
	for _, k := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		if strings.HasPrefix(r.do("SET "+k+" 1"), "-MOVED") {
			there = k
		} else {
			here = k
		}
	}
	wanted(r.do("MGET "+here+" "+there), "-CROSSSLOT")
	slot := strings.TrimPrefix(nodes[0].do("CLUSTER KEYSLOT nothing{"+here+"}"), ":")
	wanted(nodes[0].do("CLUSTER SETSLOT "+slot+" MIGRATING "+nodes[1].do("CLUSTER MYID")), "+OK")
	wanted(r.do("GET nothing{"+here+"}"), "-ASK")
	wanted(r.do("ASKING"), "+OK")
	wanted(r.do("READONLY"), "+OK")
	r.c.Close() //nolint:errcheck // its work is done
	rec.stop()

	found := map[string]int{}
	for _, c := range rec.conns {
		f := c.replay(redis.Spec(protocol.Options{}), 0)
		for _, s := range f.list {
			found[s]++
		}
	}
	moved := found["SET rejected(MOVED)"]
	if moved == 0 || moved+found["SET ok"] != 8 || found["GET rejected(ASK)"] != 1 || found["MGET failed(CROSSSLOT)"] != 1 ||
		found["ASKING ok"] != 1 || found["READONLY ok"] != 1 {
		t.Errorf("%v", found)
	}
}
