package topology

import (
	"github.com/toposcope/toposcope/protocol"
)

// maxFields is how many labels an operation has at most, beside its resource's.
const maxFields = 6

// OperationMetric is one of the operation histograms.
type OperationMetric uint8

// The operation histograms. Those of messaging and DNS are the client's; a server's exchanges are on its edges only. A DNS
// lookup is one exchange, a resolution is all that a program waited for when it asked for a name.
const (
	HTTPServer OperationMetric = iota
	HTTPClient
	RPCServer
	RPCClient
	DBServer
	DBClient
	MessagingClient
	DNSLookup
	DNSResolution
	operationMetrics
	noOperation = operationMetrics
)

// Name is the metric's name.
func (m OperationMetric) Name() string {
	return [operationMetrics]string{
		MetricHTTPServer, MetricHTTPClient, MetricRPCServer, MetricRPCClient, MetricDBServer, MetricDBClient,
		MetricMessagingClient, MetricDNSLookup, MetricDNSResolution,
	}[m]
}

// OperationMetrics lists them all.
func OperationMetrics() []OperationMetric {
	out := make([]OperationMetric, operationMetrics)
	for i := range out {
		out[i] = OperationMetric(i)
	}
	return out
}

// Labels are the names of the metric's labels beside the resource's.
func (m OperationMetric) Labels() []string {
	fields := schemaOf(m)
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.label
	}
	return out
}

// operationMetric is the histogram for one side of a system's exchanges.
func operationMetric(s protocol.System, side protocol.Side) OperationMetric {
	client := side == protocol.ClientSide
	switch s {
	case protocol.SystemHTTP:
		return pick(client, HTTPClient, HTTPServer)
	case protocol.SystemRPC:
		return pick(client, RPCClient, RPCServer)
	case protocol.SystemDB:
		return pick(client, DBClient, DBServer)
	case protocol.SystemMessaging:
		return pick(client, MessagingClient, noOperation)
	case protocol.SystemDNS:
		return pick(client, DNSLookup, noOperation)
	default:
		return noOperation
	}
}

func pick(client bool, c, s OperationMetric) OperationMetric {
	if client {
		return c
	}
	return s
}

// source says where a label's value comes from.
type source uint8

const (
	fromRequest source = iota
	fromResponse
	fromError
	fromMethod // a request attribute that is one of HTTP's methods
	fromStatus // a response attribute that is an HTTP status code
	fromRoute  // the template of a request attribute
)

// field is one label of an operation.
type field struct {
	label string
	from  source
	key   protocol.Key
	// open values are not of a closed set: they have a limit for each service.
	open bool
}

var (
	httpFields = []field{
		{"http_request_method", fromMethod, protocol.HTTPRequestMethod, false},
		{"http_route", fromRoute, protocol.URLPath, false},
		{"http_response_status_code", fromStatus, protocol.HTTPResponseStatusCode, false},
		{"error_type", fromError, "", false},
	}
	rpcFields = []field{
		{"rpc_system_name", fromRequest, protocol.RPCSystem, true},
		{"rpc_method", fromRequest, protocol.RPCMethod, true},
		{"rpc_response_status_code", fromResponse, protocol.RPCStatusCode, true},
		{"error_type", fromError, "", false},
	}
	dbFields = []field{
		{"db_system_name", fromRequest, protocol.DBSystem, true},
		{"db_operation_name", fromRequest, protocol.DBOperation, true},
		{"db_collection_name", fromRequest, protocol.DBCollection, true},
		{"db_namespace", fromRequest, protocol.DBNamespace, true},
		{"db_response_status_code", fromResponse, protocol.DBStatusCode, true},
		{"error_type", fromError, "", true},
	}
	messagingFields = []field{
		{"messaging_system", fromRequest, protocol.MessagingSystem, true},
		{"messaging_operation_name", fromRequest, protocol.MessagingOperation, true},
		{"messaging_destination_name", fromRequest, protocol.MessagingDestination, true},
		{"error_type", fromError, "", true},
	}
	dnsFields = []field{
		{"dns_question_type", fromRequest, protocol.DNSQuestionType, true},
		{"dns_response_code", fromResponse, protocol.DNSResponseCode, true},
		{"dns_question_name", fromRequest, protocol.DNSQuestionName, true},
		{"error_type", fromError, "", false},
	}
)

func schemaOf(m OperationMetric) []field {
	switch m {
	case HTTPServer, HTTPClient:
		return httpFields
	case RPCServer, RPCClient:
		return rpcFields
	case DBServer, DBClient:
		return dbFields
	case MessagingClient:
		return messagingFields
	default:
		return dnsFields
	}
}

// method is m as OpenTelemetry wants it: one of the known ones, or _OTHER.
func method(m []byte) string {
	switch string(m) {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "DELETE":
		return "DELETE"
	case "PATCH":
		return "PATCH"
	case "HEAD":
		return "HEAD"
	case "OPTIONS":
		return "OPTIONS"
	case "CONNECT":
		return "CONNECT"
	case "TRACE":
		return "TRACE"
	case "":
		return ""
	case protocol.Unknown:
		return protocol.Unknown
	default:
		return "_OTHER"
	}
}

// statusDigits holds "100" to "599", so that a status code is a piece of it and needs no memory.
var statusDigits = func() string {
	b := make([]byte, 0, 1500)
	for i := 100; i < 600; i++ {
		b = append(b, byte('0'+i/100), byte('0'+i/10%10), byte('0'+i%10))
	}
	return string(b)
}()

// status is an HTTP status code, or unknown; "" for what is neither.
func status(b []byte) string {
	if string(b) == protocol.Unknown {
		return protocol.Unknown
	}
	if len(b) != 3 || b[0] < '1' || b[0] > '5' || b[1] < '0' || b[1] > '9' || b[2] < '0' || b[2] > '9' {
		return ""
	}
	i := 3 * (int(b[0]-'1')*100 + int(b[1]-'0')*10 + int(b[2]-'0'))
	return statusDigits[i : i+3]
}
