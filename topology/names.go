package topology

// Names of the series that the graph is computed from. The catalogue in topology/metrics declares them with their help and
// labels, topology/history reads them.
const (
	MetricRequests      = "traces_service_graph_request_total"
	MetricFailed        = "traces_service_graph_request_failed_total"
	MetricServerSeconds = "traces_service_graph_request_server_seconds"
	MetricClientSeconds = "traces_service_graph_request_client_seconds"

	MetricRejected      = "toposcope_edge_rejected_total"
	MetricLost          = "toposcope_edge_lost_total"
	MetricSentBytes     = "toposcope_edge_sent_bytes_total"
	MetricReceivedBytes = "toposcope_edge_received_bytes_total"
	MetricWaiting       = "toposcope_edge_waiting_total"
	MetricUpkeep        = "toposcope_edge_upkeep_total"

	MetricInstanceRequests = "toposcope_edge_instance_requests_total"
	MetricInstanceFailed   = "toposcope_edge_instance_requests_failed_total"

	MetricProcessInfo = "toposcope_process_info"
	MetricNodeInfo    = "toposcope_node_info"
	MetricRetransmits = "toposcope_tcp_retransmits_total"

	MetricHTTPServer      = "http_server_request_duration_seconds"
	MetricHTTPClient      = "http_client_request_duration_seconds"
	MetricRPCServer       = "rpc_server_call_duration_seconds"
	MetricRPCClient       = "rpc_client_call_duration_seconds"
	MetricDBServer        = "db_server_operation_duration_seconds"
	MetricDBClient        = "db_client_operation_duration_seconds"
	MetricMessagingClient = "messaging_client_operation_duration_seconds"
	MetricDNSLookup       = "dns_lookup_duration_seconds"
	MetricDNSResolution   = "toposcope_dns_resolution_duration_seconds"
)

// Names of labels that more than one package uses.
const (
	LabelClient          = "client"
	LabelServer          = "server"
	LabelClientNamespace = "client_service_namespace"
	LabelServerNamespace = "server_service_namespace"
	LabelClientInstance  = "client_instance"
	LabelServerInstance  = "server_instance"
	LabelConnectionType  = "connection_type"
	LabelProtocol        = "protocol"
	LabelKind            = "kind"

	LabelServiceName      = "service_name"
	LabelServiceNamespace = "service_namespace"
	LabelServiceInstance  = "service_instance_id"
	LabelK8sNamespace     = "k8s_namespace_name"
	LabelK8sPod           = "k8s_pod_name"
	LabelK8sContainer     = "k8s_container_name"
	LabelK8sWorkload      = "k8s_workload_name"
	LabelK8sWorkloadKind  = "k8s_workload_kind"
	LabelK8sNode          = "k8s_node_name"
	LabelHost             = "host_name"
	LabelContainer        = "container_name"
	LabelUnit             = "systemd_unit"
	LabelExecutable       = "process_executable_name"
	LabelPID              = "process_pid"
)

// ConnectionType is the value of the label connection_type, as Tempo's service graphs define it.
type ConnectionType string

// Connection types. Virtual is an edge with an end that nobody of ours watches.
const (
	ConnectionPlain     ConnectionType = ""
	ConnectionDatabase  ConnectionType = "database"
	ConnectionMessaging ConnectionType = "messaging_system"
	ConnectionVirtual   ConnectionType = "virtual_node"
)

// Other is the value of a label whose cap is reached.
const Other = "other"
