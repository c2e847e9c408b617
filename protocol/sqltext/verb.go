package sqltext

// find says where a statement names its table.
type find uint8

const (
	nothing  find = iota
	target        // after the verb and words that are no names: INSERT INTO t
	from          // after FROM: SELECT, DELETE
	object        // after TABLE, VIEW or INDEX … ON: CREATE, DROP, ALTER
	into          // after INTO TABLE: LOAD DATA
	inner         // a statement, or a table: EXPLAIN, DESCRIBE
	after         // a statement after AS or FOR: PREPARE, DECLARE
	copying       // a table, or a query in parentheses: COPY
	shown         // after COLUMNS FROM, CREATE TABLE and the like: SHOW
	database      // a database: USE
	with          // the statement after the queries in parentheses: WITH
)

type verb struct {
	operation string
	find      find
}

// verbs are the words that a statement may begin with, of both servers, and the operations they stand for.
var verbs = closed(map[find][]string{
	target: {
		"INSERT", "REPLACE", "UPDATE", "MERGE", "TRUNCATE", "TABLE", "LOCK", "OPTIMIZE", "CHECK", "REPAIR", "CHECKSUM", "ANALYZE",
		"VACUUM", "HANDLER", "CLUSTER", "UPSERT",
	},
	from:     {"SELECT", "DELETE"},
	object:   {"CREATE", "ALTER", "DROP", "RENAME", "REINDEX", "REFRESH"},
	into:     {"LOAD"},
	inner:    {"EXPLAIN", "DESCRIBE", "DESC"},
	after:    {"PREPARE", "DECLARE"},
	copying:  {"COPY"},
	shown:    {"SHOW"},
	database: {"USE"},
	with:     {"WITH"},
	nothing: {
		"CALL", "SET", "BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "UNLOCK", "FLUSH", "KILL", "GRANT",
		"REVOKE", "FETCH",
		"MOVE", "CLOSE", "OPEN", "EXECUTE", "DEALLOCATE", "LISTEN", "NOTIFY", "UNLISTEN", "COMMENT", "DISCARD", "RESET", "DO",
		"VALUES", "XA",
		"SIGNAL", "RESIGNAL", "HELP", "INSTALL", "UNINSTALL", "PURGE", "CHANGE", "STOP", "CACHE", "CHECKPOINT", "SECURITY",
		"REASSIGN", "IMPORT",
		"BINLOG", "END", "ABORT", "GET", "SHUTDOWN", "CLONE", "RESTART", "BACKUP",
	},
})

func closed(byFind map[find][]string) map[string]verb {
	m := map[string]verb{}
	for f, words := range byFind {
		for _, w := range words {
			m[w] = verb{w, f}
		}
	}
	m["DESC"] = verb{"DESCRIBE", inner}
	return m
}

func set(words ...string) map[string]bool {
	m := map[string]bool{}
	for _, w := range words {
		m[w] = true
	}
	return m
}

var (
	// beforeName are words between a verb and the name of its table.
	beforeName = set("INTO", "FROM", "ONLY", "TABLE", "TABLES", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE",
		"QUICK", "OVERWRITE", "IF", "NOT",
		"EXISTS", "NO_WRITE_TO_BINLOG", "LOCAL", "FULL", "FREEZE", "VERBOSE", "ANALYZE", "LATERAL", "CONCURRENTLY", "EXTENDED")
	// afterExplain are words between EXPLAIN and its statement.
	afterExplain = set("ANALYZE", "VERBOSE", "EXTENDED", "PARTITIONS", "FORMAT", "JSON", "TREE", "TRADITIONAL", "XML",
		"YAML", "TEXT")
	// noName are words that end a search: no table is called so without quotes.
	noName = set("SELECT", "VALUES", "SET", "WHERE", "DEFAULT", "ON", "AS", "FOR", "USING", "WITH", "DUAL", "AND", "OR",
		"ORDER", "GROUP", "LIMIT", "UNION",
		"RETURNING", "BY", "HAVING", "TO", "INNER", "LEFT", "RIGHT", "CROSS", "NATURAL", "JOIN", "NULL", "TRUE", "FALSE", "CASE")
	// listed are what SHOW lists of a table.
	listed = set("COLUMNS", "FIELDS", "INDEX", "INDEXES", "KEYS")
	// others are objects that are no tables.
	others = set("FUNCTION", "PROCEDURE", "TRIGGER", "DATABASE", "SCHEMA", "USER", "ROLE", "EVENT", "SEQUENCE", "TYPE",
		"EXTENSION", "SERVER", "TABLESPACE",
		"SYSTEM", "DOMAIN", "AGGREGATE", "CAST", "COLLATION", "OPERATOR", "POLICY", "PUBLICATION", "SUBSCRIPTION", "LANGUAGE",
		"RULE", "STATISTICS", "GROUP",
		"LOGFILE", "INSTANCE", "PACKAGE", "OWNED", "RESOURCE", "SPATIAL_REFERENCE", "DEFAULT", "ACCESS", "CONVERSION",
		"TRANSFORM", "LARGE", "PREPARE")
	// recursive is what may come between WITH and its first name.
	recursive = set("RECURSIVE")
	// derived are words that begin a query in parentheses.
	derived = set("SELECT", "WITH", "VALUES", "TABLE")
)
