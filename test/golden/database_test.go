package golden

import (
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// session is a connection of a database or a queue.
type session struct {
	asked bool // p is the client's
	// waiting are requests that have no answer yet, by their IDs too where the protocol has such.
	waiting []*exchange
	byID    map[string]*exchange
	// open is a request that is still being made.
	open *exchange
	// system and namespace are the server's kind and the database in use; statements are those prepared, by name or number.
	system, namespace string
	statements        map[string]string
}

// session finds the connection of p, whose server is at one of the recorder's ports.
func (w *wireshark) session(p pdu) *session {
	s := w.sessions[p.stream]
	if s == nil {
		s = &session{byID: map[string]*exchange{}, statements: map[string]string{}}
		w.sessions[p.stream] = s
	}
	s.asked = strings.Contains(p.to, ":800")
	return s
}

// ask begins an exchange that waits for its answer.
func (w *wireshark) ask(p pdu, s *session, protocol, operation, text string) *exchange {
	x := w.begin(p, protocol, map[string]string{
		"db.operation.name": operation, "db.query.text": text, "db.system.name": s.system, "db.namespace": s.namespace,
		"db.collection.name": collectionOf(text),
	})
	x.request = p.Size
	s.waiting = append(s.waiting, x)
	return x
}

// answered adds p to the answer of the request that waits longest.
func (s *session) answered(p pdu, last bool) *exchange {
	if len(s.waiting) == 0 {
		return nil
	}
	x := s.waiting[0]
	x.response += p.Size
	x.end = p.last
	if last {
		s.waiting = s.waiting[1:]
	}
	return x
}

// table finds the first table in the statements of the recorder, which are simple.
var table = regexp.MustCompile(`(?i)\b(?:FROM|INTO TABLE|INTO|UPDATE|COPY)\s+"?(\w+)`)

func collectionOf(text string) string {
	if found := table.FindStringSubmatch(text); found != nil && !strings.HasPrefix(text, "EVAL") {
		return found[1]
	}
	return ""
}

func verb(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return strings.ToUpper(strings.TrimRight(first, ";()"))
}

// Commands of MySQL, as Wireshark shows them.
const (
	comQuit    = "1"
	comQuery   = "3"
	comPing    = "14"
	comPrepare = "22"
	comExecute = "23"
	comClose   = "25"
)

func (w *wireshark) mysql(p pdu, s *session) {
	command := p.text("mysql.command")
	switch {
	case !s.asked:
		w.mysqlAnswer(p, s)
	case p.find("mysql.login_request") != nil:
		s.namespace = p.text("mysql.schema")
		w.ask(p, s, "mysql", "CONNECT", "")
	case command == "" || p.text("mysql.packet_number") != "0": // what authenticates, or a file
		if len(s.waiting) > 0 {
			s.waiting[0].request += p.Size
		}
	case command == comQuit || command == comClose:
	default:
		s.waiting = nil // all has been said
		text, operation := p.text("mysql.query"), "PING"
		switch command {
		case comQuery:
			operation = verb(text)
		case comPrepare:
			operation = "PREPARE"
		case comExecute:
			text = s.statements[p.text("mysql.stmt_id")]
			operation = verb(text)
		}
		w.ask(p, s, "mysql", operation, text)
	}
}

func (w *wireshark) mysqlAnswer(p pdu, s *session) {
	if version := p.text("mysql.version"); version != "" {
		s.system = "mysql"
		if strings.Contains(version, "MariaDB") {
			s.system = "mariadb"
		}
		return
	}
	x := s.answered(p, false)
	if x == nil {
		return
	}
	if code := p.text("mysql.error_code"); code != "" {
		x.fields["db.response.status_code"], x.fields["db.mysql.sqlstate"] = code, p.text("mysql.sqlstate")
	}
	if id := p.text("mysql.stmt_id"); id != "" && x.fields["db.operation.name"] == "PREPARE" {
		s.statements[id] = x.fields["db.query.text"]
	}
}

func (w *wireshark) postgresql(p pdu, s *session) {
	s.system = "postgresql"
	kind, text := p.text("pgsql.type"), p.text("pgsql.query")
	if !s.asked {
		s.postgresqlAnswer(p, kind)
		return
	}
	switch kind {
	case "Startup message":
		values := p.all("pgsql.parameter_value")
		for i, name := range p.all("pgsql.parameter_name") {
			if name.Show == "database" {
				s.namespace = values[i].Show
			}
		}
		w.ask(p, s, "postgresql", "CONNECT", "")
	case "Simple query":
		w.ask(p, s, "postgresql", verb(text), text)
	case "Parse":
		s.statements[p.text("pgsql.statement")] = text
		w.part(p, s, text)
	case "Bind", "Describe":
		w.part(p, s, s.statements[p.text("pgsql.statement")])
	case "Execute":
		x := w.part(p, s, "")
		x.fields["db.operation.name"], x.executed = verb(x.fields["db.query.text"]), true
		s.open = nil
	case "Sync":
		if s.open != nil {
			s.open.request += p.Size
		}
		s.open = nil
	case "SSL request", "Termination", "Close", "Flush":
	default: // it authenticates, or copies
		if len(s.waiting) > 0 {
			s.waiting[0].request += p.Size
		}
	}
}

// part adds p to the request that is being made, which is a preparation until it is executed.
func (w *wireshark) part(p pdu, s *session, text string) *exchange {
	if s.open == nil {
		s.open = w.ask(p, s, "postgresql", "PREPARE", text)
		return s.open
	}
	s.open.request += p.Size
	return s.open
}

func (s *session) postgresqlAnswer(p pdu, kind string) {
	if len(s.waiting) == 0 {
		return
	}
	alone := s.waiting[0].executed // it ends without a "ready"
	switch kind {
	case "Error":
		s.answered(p, alone).fields["db.response.status_code"] = p.text("pgsql.code")
	case "Command completion":
		s.answered(p, alone)
	case "Ready for query":
		if !alone {
			s.answered(p, true)
		}
	default:
		s.answered(p, false)
	}
}

func (w *wireshark) redis(p pdu, s *session) {
	s.system = "redis"
	if !s.asked {
		x := s.answered(p, true)
		if x == nil {
			return
		}
		operation := x.fields["db.operation.name"]
		for _, e := range p.all("resp.error") {
			if len(p.Fields) == 1 && p.Fields[0].Name == "resp.error" || operation == "EXEC" {
				x.fields["db.response.status_code"], _, _ = strings.Cut(e.Show, " ")
			}
		}
		return
	}
	var words []string
	for _, v := range p.all("resp.bulk_string.value") {
		word, _ := hex.DecodeString(strings.ReplaceAll(v.Show, ":", "")) // tshark writes nothing else
		words = append(words, string(word))
	}
	operation := strings.ToUpper(words[0])
	switch operation {
	case "CONFIG", "COMMAND":
		operation += " " + strings.ToUpper(words[1])
	case "NONSENSE":
		operation = "other"
	}
	if operation == "SELECT" {
		s.namespace = words[1]
	}
	w.ask(p, s, "redis", operation, strings.Join(words, " ")).fields["db.collection.name"] = ""
}

func (w *wireshark) mongodb(p pdu, s *session) {
	elements := p.elements()
	if to := p.text("mongo.response_to"); !s.asked {
		x := s.byID[to]
		x.response, x.end = p.Size, p.last
		x.fields["db.response.status_code"], x.fields["mongodb.error.code_name"] = elements["code"], elements["codeName"]
		return
	}
	s.system, s.namespace = "mongodb", p.text("mongo.database_name")
	if db := elements["$db"]; db != "" {
		s.namespace = db
	}
	operation := p.text("mongo.element.name")
	collection := elements[operation]
	switch operation {
	case "getMore":
		collection = elements["collection"]
	}
	x := w.ask(p, s, "mongodb", operation, "")
	x.fields["db.collection.name"], x.upkeep = collection, operation == "endSessions"
	if operation == "nonsense" {
		x.fields["db.operation.name"], x.fields["db.collection.name"], x.fields["mongodb.command"] = "other", "", operation
	}
	s.byID[p.text("mongo.request_id")] = x
}

// elements are the first strings and numbers of each name, at any depth.
func (p pdu) elements() map[string]string {
	all := map[string]string{}
	name := ""
	var visit func(n *node)
	visit = func(n *node) {
		for i := range n.Fields {
			f := &n.Fields[i]
			switch f.Name {
			case "mongo.element.name":
				name = f.Show
			case "mongo.element.value.string", "mongo.element.value.int":
				if all[name] == "" && (f.Name == "mongo.element.value.string" || name == "code") {
					all[name] = f.Show
				}
			}
			visit(f)
		}
	}
	visit(p.node)
	return all
}

func (w *wireshark) kafka(p pdu, s *session) {
	id := p.text("kafka.correlation_id")
	if !s.asked {
		x := s.byID[id]
		x.response, x.end = p.Size, p.last
		for _, e := range p.all("kafka.error") {
			if code, err := strconv.Atoi(e.Show); err == nil && code != 0 && x.fields["error"] == "" {
				x.fields["error"] = kerr.TypedErrorForCode(int16(code)).Message
			}
		}
		return
	}
	key, _ := strconv.Atoi(p.text("kafka.api_key")) // tshark writes nothing else
	x := w.begin(p, "kafka", map[string]string{
		"messaging.system": "kafka", "messaging.operation.name": strings.Replace(kmsg.NameForKey(int16(key)), "ID", "Id", 1),
		"messaging.destination.name": p.text("kafka.topic_name"), "messaging.client.id": p.text("kafka.client_id"),
		"messaging.kafka.api.version": p.text("kafka.api_version"),
	})
	x.request = p.Size
	s.byID[id] = x
}
