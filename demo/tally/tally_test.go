package tally

import (
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"testing"
)

func TestCounter(t *testing.T) {
	var c Counter[Call]
	get := Call{Client: "a", Server: "b", Method: "GET", Route: "/", Status: 200}
	post := Call{Client: "a", Server: "b", Method: "POST", Route: "/", Status: 500}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				c.Add(post)
				c.Add(get)
			}
		})
	}
	wg.Wait()
	want := []Row[Call]{{get, 400}, {post, 400}}
	if got := c.Rows(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestWith: the pages of a service's two lives are one.
func TestWith(t *testing.T) {
	first := Call{Client: "a", Server: "b", Method: "GET", Route: "/", Status: 200}
	second := Call{Client: "a", Server: "c", Method: "GET", Route: "/", Status: 200}
	rpc := RPC{"a", "b", "shop.v1.Stock/GetLevel", "NOT_FOUND"}
	question := Question{"a", "dns", "udp", "b.test.", "AAAA", "NXDOMAIN"}
	lookup := Lookup{"a", "b", "ip", "absent"}
	operation := Operation{"a", "mysql", "mysql", "INSERT", "orders", "1062"}
	got := Pages{
		Calls: []Row[Call]{{second, 1}, {first, 2}}, RPCs: []Row[RPC]{{rpc, 1}}, Questions: []Row[Question]{{question, 1}},
		Operations: []Row[Operation]{{operation, 2}},
	}.With(Pages{
		Calls: []Row[Call]{{second, 3}}, RPCs: []Row[RPC]{{rpc, 1}}, Lookups: []Row[Lookup]{{lookup, 1}},
		Operations: []Row[Operation]{{operation, 3}},
	})
	want := Pages{
		Calls: []Row[Call]{{first, 2}, {second, 4}}, RPCs: []Row[RPC]{{rpc, 2}},
		Questions: []Row[Question]{{question, 1}}, Lookups: []Row[Lookup]{{lookup, 1}},
		Operations: []Row[Operation]{{operation, 5}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestJSON: the fields of rows stand beside their counts, and are read back.
func TestJSON(t *testing.T) {
	pages := Pages{
		Calls:      []Row[Call]{{Call{"a", "b", "GET", "/", 200}, 1}},
		RPCs:       []Row[RPC]{{RPC{"a", "b", "s/M", "OK"}, 2}},
		Questions:  []Row[Question]{{Question{"a", "dns", "udp", "b.test.", "A", ""}, 3}},
		Lookups:    []Row[Lookup]{{Lookup{"a", "b", "ip", "failed"}, 4}},
		Operations: []Row[Operation]{{Operation{"a", "redis", "redis", "GET", "", "BUSY"}, 5}},
	}
	text, err := json.Marshal(pages)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"calls":[{"client":"a","server":"b","method":"GET","route":"/","status":200,"count":1}],` +
		`"grpc":[{"client":"a","server":"b","method":"s/M","code":"OK","count":2}],` +
		`"dns":[{"client":"a","server":"dns","transport":"udp","name":"b.test.","type":"A","code":"","count":3}],` +
		`"lookups":[{"client":"a","name":"b","type":"ip","outcome":"failed","count":4}],` +
		`"db":[{"client":"a","server":"redis","system":"redis","operation":"GET","collection":"","status":"BUSY","count":5}]}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	var again Pages
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again, pages) {
		t.Errorf("read back as %v, %v", again, err)
	}
}
