package process

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// javaValues are the launcher's options whose value is the next argument (java(1)).
var javaValues = []string{
	"-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules",
	"--limit-modules", "--add-exports", "--add-opens", "--add-reads", "--patch-module", "--source", "-d", "--describe-module",
	"--enable-native-access", "--illegal-native-access",
}

// javaMains are main classes under which nobody knows the program.
var javaMains = map[string]string{
	"org.apache.catalina.startup.Bootstrap":                              "tomcat",
	"org.apache.cassandra.service.CassandraDaemon":                       "cassandra",
	"org.apache.zookeeper.server.quorum.QuorumPeerMain":                  "zookeeper",
	"org.apache.activemq.artemis.boot.Artemis":                           "artemis",
	"org.apache.hadoop.hdfs.server.namenode.NameNode":                    "namenode",
	"org.apache.hadoop.hdfs.server.datanode.DataNode":                    "datanode",
	"org.elasticsearch.bootstrap.Elasticsearch":                          "elasticsearch",
	"org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch": "elasticsearch",
	"org.opensearch.bootstrap.OpenSearch":                                "opensearch",
	"kafka.Kafka":                                                        "kafka",
	"org.jboss.modules.Main":                                             "wildfly",
	"org.logstash.Logstash":                                              "logstash",
	"org.neo4j.server.Neo4jCommunity":                                    "neo4j",
	"org.sonatype.nexus.bootstrap.launcher.NexusLauncher":                "nexus",
	"io.debezium.server.Main":                                            "debezium",
	"org.apache.druid.cli.Main":                                          "druid",
	"org.apache.flink.runtime.taskexecutor.TaskManagerRunner":            "flink-taskmanager",
	"org.apache.spark.deploy.SparkSubmit":                                "spark-submit",
	"org.apache.spark.executor.CoarseGrainedExecutorBackend":             "spark-executor",
}

// javaVersion is what a build puts behind an archive's name: it would make every release a new service.
var javaVersion = regexp.MustCompile(`(?i)-v?\d+(\.\d+)+([.-](\d+|snapshot|release|final|ga|rc\d*|m\d+|alpha\d*|beta\d*))*$`)

// javaName is the archive ("checkout.jar", its version left out) or the main class.
func javaName(args []string) string {
	for i := 1; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-jar" && i+1 < len(args):
			return jarName(args[i+1])
		case (a == "-m" || a == "--module") && i+1 < len(args):
			return className(args[i+1])
		case strings.HasPrefix(a, "--module="):
			return className(strings.TrimPrefix(a, "--module="))
		case slices.Contains(javaValues, a):
			i++
		case strings.HasPrefix(a, "-"), strings.HasPrefix(a, "@"):
		default:
			return className(a)
		}
	}
	return "java"
}

func jarName(p string) string {
	base := path.Base(p)
	stem, ext := strings.TrimSuffix(base, path.Ext(base)), path.Ext(base)
	if stem == "" || stem == "." || stem == "/" {
		return "java"
	}
	return javaVersion.ReplaceAllString(stem, "") + ext
}

func className(s string) string {
	if short, ok := javaMains[s]; ok {
		return short
	}
	if strings.HasSuffix(s, ".java") { // a single source file, run as a script
		return "java " + path.Base(s)
	}
	if dotted(strings.Replace(s, "/", ".", 1)) {
		return s
	}
	return "java"
}

// erlangName is the node's name without its host (rabbit@web1 is rabbit), or the release's.
func erlangName(args []string) string {
	for i := 1; i+1 < len(args); i++ {
		switch args[i] {
		case "-sname", "-name":
			name, _, _ := strings.Cut(args[i+1], "@")
			if dotted(name) {
				return name
			}
		}
	}
	return ""
}
