// Package traffic is what the guest's processes exchange: for each protocol a server and a client, which knows exactly what it did.
package traffic

import (
	"context"
	"strings"
)

// Protocol is a kind of traffic between two processes.
type Protocol struct {
	// Name is Toposcope's label for it.
	Name string
	// Client and Server are the histograms of the operations of either end; Server is "" for a protocol whose servers have none.
	Client, Server string
	// Labels are those of the histograms whose values make an Operation's Key.
	Labels []string
	// Serve is the server: it calls listening with its address (host:port) and answers until ctx ends.
	// It is nil where toposcope-demo has the server; Role is its name there.
	Serve func(ctx context.Context, listening func(address string) error) error
	Role  string
	// Load is the client: it opens its old connections, calls ready, which returns when Toposcope is there, exchanges what it has to
	// with the server at address, and closes everything. What does not end as planned is an error. A small load is about a fifth.
	Load func(ctx context.Context, address string, small bool, ready func() error) ([]Operation, error)
}

// All lists the protocols.
func All() []Protocol {
	return []Protocol{
		{
			Name: "http", Client: "http_client_request_duration_seconds", Server: "http_server_request_duration_seconds",
			Labels: []string{"http_request_method", "http_route", "http_response_status_code"},
			Serve:  serveHTTP, Load: loadHTTP,
		},
		{
			Name: "grpc", Client: "rpc_client_call_duration_seconds", Server: "rpc_server_call_duration_seconds",
			Labels: []string{"rpc_method", "rpc_response_status_code"},
			Serve:  serveGRPC, Load: loadGRPC,
		},
		{
			Name: "mysql", Client: "db_client_operation_duration_seconds", Server: "db_server_operation_duration_seconds",
			Labels: databaseLabels(), Role: "mysql", Load: loadMySQL,
		},
		{
			Name: "mongodb", Client: "db_client_operation_duration_seconds", Server: "db_server_operation_duration_seconds",
			Labels: databaseLabels(), Role: "mongodb", Load: loadMongoDB,
		},
		{
			Name: "dns", Client: "dns_lookup_duration_seconds",
			Labels: []string{"dns_question_name", "dns_question_type", "dns_response_code"},
			Serve:  serveDNS, Load: loadDNS,
		},
	}
}

func databaseLabels() []string {
	return []string{"db_operation_name", "db_collection_name", "db_response_status_code"}
}

// Find returns the protocol called name.
func Find(name string) (Protocol, bool) {
	for _, p := range All() {
		if p.Name == name {
			return p, true
		}
	}
	return Protocol{}, false
}

// ClientName and ServerName are the two processes' services.
func (p Protocol) ClientName() string { return p.Name + "-client" }

// ServerName is the server's service; see ClientName.
func (p Protocol) ServerName() string { return p.Name + "-server" }

// Operation is exchanges of one kind.
type Operation struct {
	// Key is the values of the protocol's Labels; see Key.
	Key string `json:"key"`
	// Failed and Rejected are how an edge counts them; neither: they went well.
	Failed   bool `json:"failed,omitempty"`
	Rejected bool `json:"rejected,omitempty"`
	// Upkeep is set for what a driver does on its own, which is no request of an edge unless it fails.
	Upkeep bool   `json:"upkeep,omitempty"`
	Count  uint64 `json:"count"`
}

// IsRequest says whether an edge counts the operation among its requests.
func (o Operation) IsRequest() bool { return !o.Upkeep || o.Failed }

// Key makes one word each of the values of labels.
func Key(values ...string) string {
	words := make([]string, len(values))
	for i, v := range values {
		if words[i] = v; v == "" {
			words[i] = "-"
		}
	}
	return strings.Join(words, " ")
}

// tally counts operations, in the order of their first.
type tally struct {
	all []Operation
	at  map[Operation]int // by the operation without its count
}

func (t *tally) add(op Operation, n uint64) {
	if t.at == nil {
		t.at = map[Operation]int{}
	}
	op.Count = 0
	i, ok := t.at[op]
	if !ok {
		i = len(t.all)
		t.at[op], t.all = i, append(t.all, op)
	}
	t.all[i].Count += n
}

// portion is how much of n a load of that size makes.
func portion(n int, small bool) int {
	if small {
		return (n + 4) / 5
	}
	return n
}
