package tally

import "cmp"

// Call is an HTTP request that went out on a connection: who asked whom for what, and how it ended.
type Call struct {
	Client string `json:"client"`
	Server string `json:"server"`
	Method string `json:"method"`
	// Route is the pattern that the server declares, "/items/{sku}".
	Route string `json:"route"`
	// Status is the response's status code, 0 when there was no response.
	Status int `json:"status"`
}

// Compare orders by client, server, route, method and status.
func (c Call) Compare(d Call) int {
	return cmp.Or(
		cmp.Compare(c.Client, d.Client),
		cmp.Compare(c.Server, d.Server),
		cmp.Compare(c.Route, d.Route),
		cmp.Compare(c.Method, d.Method),
		cmp.Compare(c.Status, d.Status),
	)
}

// RPC is a gRPC call that went out on a connection.
type RPC struct {
	Client string `json:"client"`
	Server string `json:"server"`
	// Method is the full name without the leading slash, "shop.v1.Stock/GetLevel".
	Method string `json:"method"`
	// Code is the status that the client ended with, by its name in gRPC's list: "NOT_FOUND".
	Code string `json:"code"`
}

// Compare orders by client, server, method and code.
func (c RPC) Compare(d RPC) int {
	return cmp.Or(
		cmp.Compare(c.Client, d.Client),
		cmp.Compare(c.Server, d.Server),
		cmp.Compare(c.Method, d.Method),
		cmp.Compare(c.Code, d.Code),
	)
}

// Question is a DNS question as it went out: one of the several that a lookup may take.
type Question struct {
	Client string `json:"client"`
	Server string `json:"server"`
	// Transport is "udp" or "tcp".
	Transport string `json:"transport"`
	// Name is the name in full, with its final dot.
	Name string `json:"name"`
	// Type is the type of record asked for: "AAAA".
	Type string `json:"type"`
	// Code is the answer's, by its name in IANA's list: "NXDOMAIN"; "" when none came in time.
	Code string `json:"code"`
}

// Compare orders by client, server, name, type, transport and code.
func (q Question) Compare(r Question) int {
	return cmp.Or(
		cmp.Compare(q.Client, r.Client),
		cmp.Compare(q.Server, r.Server),
		cmp.Compare(q.Name, r.Name),
		cmp.Compare(q.Type, r.Type),
		cmp.Compare(q.Transport, r.Transport),
		cmp.Compare(q.Code, r.Code),
	)
}

// Lookup is what a program wanted to know of the DNS, whatever questions that took: a walk through a search list is one.
type Lookup struct {
	Client string `json:"client"`
	// Name is as the program gave it, "api.bank.example".
	Name string `json:"name"`
	// Type is "ip" for addresses of both families, else the type of record: "MX".
	Type string `json:"type"`
	// Outcome is "found", "absent" or "failed".
	Outcome string `json:"outcome"`
}

// Compare orders by client, name, type and outcome.
func (l Lookup) Compare(m Lookup) int {
	return cmp.Or(
		cmp.Compare(l.Client, m.Client),
		cmp.Compare(l.Name, m.Name),
		cmp.Compare(l.Type, m.Type),
		cmp.Compare(l.Outcome, m.Outcome),
	)
}

// Operation is what was asked of a database, one of the several that serving a request may take. What drivers do by themselves is not
// counted: handshakes, hello, HELLO, CLIENT SETINFO, and that a statement is prepared and closed.
type Operation struct {
	Client string `json:"client"`
	Server string `json:"server"`
	// System is "mysql", "mongodb" or "redis", as OpenTelemetry's db.system.name.
	System string `json:"system"`
	// Operation is the statement's first keyword ("SELECT"), but "START TRANSACTION"; MongoDB's command as it is sent ("getMore"); or
	// Redis's command in upper case.
	Operation string `json:"operation"`
	// Collection is the first table or the collection; "" where there is none, which is so in all of Redis.
	Collection string `json:"collection"`
	// Status is the error's code: MySQL's number ("1062"), MongoDB's ("11000", also that of a write error), Redis's first word
	// ("BUSY"). "" when all was well, Unanswered when there was no answer.
	Status string `json:"status"`
}

// Unanswered is the Status of an Operation that went out and was not answered.
const Unanswered = "unanswered"

// Compare orders by client, server, system, operation, collection and status.
func (o Operation) Compare(p Operation) int {
	return cmp.Or(
		cmp.Compare(o.Client, p.Client),
		cmp.Compare(o.Server, p.Server),
		cmp.Compare(o.System, p.System),
		cmp.Compare(o.Operation, p.Operation),
		cmp.Compare(o.Collection, p.Collection),
		cmp.Compare(o.Status, p.Status),
	)
}

// Book counts all that a process asks of others. Its zero value is ready; its counters may be used from any goroutine.
type Book struct {
	Calls     Counter[Call]
	RPCs      Counter[RPC]
	Questions Counter[Question]
	Lookups   Counter[Lookup]
	// Operations are those of databases.
	Operations Counter[Operation]
}

// Pages are the counts of a Book.
type Pages struct {
	Calls     []Row[Call]     `json:"calls"`
	RPCs      []Row[RPC]      `json:"grpc"`
	Questions []Row[Question] `json:"dns"`
	Lookups   []Row[Lookup]   `json:"lookups"`
	// Operations are those of databases.
	Operations []Row[Operation] `json:"db"`
}

// Pages are the counts so far.
func (b *Book) Pages() Pages {
	return Pages{b.Calls.Rows(), b.RPCs.Rows(), b.Questions.Rows(), b.Lookups.Rows(), b.Operations.Rows()}
}

// With is p and q added up.
func (p Pages) With(q Pages) Pages {
	return Pages{
		Merge(p.Calls, q.Calls), Merge(p.RPCs, q.RPCs), Merge(p.Questions, q.Questions), Merge(p.Lookups, q.Lookups),
		Merge(p.Operations, q.Operations),
	}
}
