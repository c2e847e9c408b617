package mysql

// command is the first byte of what a client asks.
type command uint8

// Commands (MySQL: "Command Phase"). connect is ours: the handshake.
const (
	comQuit            command = 0x01
	comInitDB          command = 0x02
	comQuery           command = 0x03
	comFieldList       command = 0x04
	comStatistics      command = 0x09
	comChangeUser      command = 0x11
	comBinlogDump      command = 0x12
	comStmtPrepare     command = 0x16
	comStmtExecute     command = 0x17
	comStmtSendLong    command = 0x18
	comStmtClose       command = 0x19
	comStmtReset       command = 0x1a
	comStmtFetch       command = 0x1c
	comBinlogDumpGTID  command = 0x1e
	comStmtBulkExecute command = 0xfa // MariaDB
	connect            command = 0xf0
)

// known says what is known of a command: its operation, how long its payload may be, and how it is answered.
type known struct {
	operation string // "" for what is counted by its statement, or not at all
	min, max  int    // bytes of the payload with the command's byte; 0 of max: any
	answer    mode   // of the answer's first packet
	upkeep    bool
	waiting   bool
	silent    bool // there is no answer
}

// statementID is where a command has the statement's id.
const statementID = 1

// commands are those that clients send, by their byte. Others break the protocol's rules.
var commands = [256]known{
	comQuit:            {min: 1, max: 1, silent: true},
	comInitDB:          {operation: "USE", min: 1, max: 1024},
	comQuery:           {min: 1},
	comFieldList:       {operation: "FIELD_LIST", min: 2, max: 2048, answer: rows},
	0x05:               {operation: "CREATE", min: 2, max: 1024},
	0x06:               {operation: "DROP", min: 2, max: 1024},
	0x07:               {operation: "FLUSH", min: 2, max: 2},
	0x08:               {operation: "SHUTDOWN", min: 1, max: 2},
	comStatistics:      {operation: "STATISTICS", min: 1, max: 1, answer: single},
	0x0a:               {operation: "PROCESS_INFO", min: 1, max: 1},
	0x0c:               {operation: "KILL", min: 5, max: 5},
	0x0d:               {operation: "DEBUG", min: 1, max: 1},
	0x0e:               {operation: "PING", min: 1, max: 1, upkeep: true},
	comChangeUser:      {operation: "CHANGE_USER", min: 2, max: 64 << 10, answer: auth, upkeep: true},
	comBinlogDump:      {operation: "BINLOG_DUMP", min: 11, max: 2048, answer: events, waiting: true},
	0x13:               {operation: "TABLE_DUMP", min: 3, max: 2048, answer: events},
	0x15:               {operation: "REGISTER_SLAVE", min: 18, max: 2048},
	comStmtPrepare:     {operation: "PREPARE", min: 1, answer: prepared, upkeep: true},
	comStmtExecute:     {min: 10},
	comStmtSendLong:    {min: 7, silent: true},
	comStmtClose:       {min: 5, max: 5, silent: true},
	comStmtReset:       {operation: "RESET", min: 5, max: 5, upkeep: true},
	0x1b:               {operation: "SET_OPTION", min: 3, max: 3, upkeep: true},
	comStmtFetch:       {operation: "FETCH", min: 9, max: 9, answer: rows},
	comBinlogDumpGTID:  {operation: "BINLOG_DUMP", min: 15, answer: events, waiting: true},
	0x1f:               {operation: "RESET", min: 1, max: 1, upkeep: true},
	0x20:               {operation: "CLONE", min: 1, answer: events, waiting: true},
	comStmtBulkExecute: {min: 7},
	connect:            {operation: "CONNECT", answer: auth, upkeep: true},
}

// plausible reports whether a packet of that length may be this command.
func (c command) plausible(length int) bool {
	k := &commands[c]
	return k.min > 0 && length >= k.min && (k.max == 0 || length <= k.max)
}

// form is what a request's Message.Form holds: what the answer depends on.
type form uint64

// makeForm holds the command, the number of the answer's first packet, and for PREPARE the statement's operation.
func makeForm(c command, seq uint8, operation int) form {
	return form(c) | form(seq)<<8 | form(operation)<<16
}

func (f form) command() command { return command(f) }
func (f form) seq() uint8       { return uint8(f >> 8) }
func (f form) operation() int   { return int(f>>16) & 0xffff }

// long marks a command of several packets, or one that is followed by others of the client: the answer's first number is not known.
const long form = 1 << 32

// expects reports whether an answer may begin with a packet of that number.
func (f form) expects(seq uint8) bool { return f&long != 0 || seq == f.seq() }
