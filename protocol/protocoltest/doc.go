// Package protocoltest is the acceptance suite that every protocol runs: transcripts of connections, replayed in all the ways
// in which a kernel may hand them over.
//
// A protocol's test is one line:
//
//	func TestTranscripts(t *testing.T) { protocoltest.Run(t, http1.Spec()) }
//
// It reads every file testdata/*.txt of the package under test. Adding a case is adding a file.
//
// # Transcripts
//
// A transcript is text: what the client sent, what the server sent, and the exchanges that must come of it.
//
//	# A request and its answer.
//	> GET /cart?id=7 HTTP/1.1
//	> Host: shop
//	>
//	+5ms
//	< HTTP/1.1 200 OK
//	< Content-Length: 5
//	<
//	< hello\
//	close
//	expect
//	ok 5ms 39/43 http.request.method=GET url.path=/cart | http.response.status_code=200
//
// Lines before "expect":
//
//	# text        a comment; empty lines are passed over
//	> text        bytes of the client, < text of the server. Each line ends with CR LF, unless it ends with a backslash.
//	              Escapes: \r \n \t \\ \xNN, and \(N*text) for N times text. Lines that follow one another in the same
//	              direction are one segment.
//	--            ends a segment, so that the next line begins another in the same direction
//	>! text       bytes of the client, <! text of the server, as the protocol's own test encodes text (see Encode)
//	>? N, <? N    a segment of N bytes that moved and were never seen (sendfile, splice)
//	+5ms          time goes on
//	close [reset|timeout]   the connection ends
//	existing      (at the top) the connection is older than capture
//	datagram      (at the top) each segment is a datagram
//	role unknown  (at the top) capture does not know who connected
//	port N        (at the top) the server's port; default 1
//
// Lines after it: an exchange each, in the order in which they are reported, as
//
//	outcome[(error)] duration requestBytes/responseBytes key=value … | key=value …
//
// with the request's attributes (and protocol=name, when it is one that is spoken in the other) before the bar and the response's
// after it. An attribute that is not listed is not checked, key=- says that it must not be set, and a value with blanks is quoted.
// The response of an exchange that ended unanswered has "-" bytes. Among the request's attributes may stand two words, in any
// order; an exchange that has not the word must not be so:
//
//	waiting       the exchange's duration is a wait: the request or the response has Message.Waiting
//	upkeep        the request has Message.Upkeep, whether or not it succeeded
//
// as in
//
//	ok 1s 31/5 waiting db.operation.name=BLPOP |
//
// Besides exchanges:
//
//	undecoded tls|unknown     the connection is given up for that reason (and still open when that is counted)
//	parse-errors N            default 0
//	unresolved N              exchanges that refer to what was not seen; default 0
//
// # What is replayed
//
// From the client's socket and from the server's: whole; byte by byte; every segment split at every point; neighbouring
// events swapped. These must give exactly what is expected. Cut at the protocol's own capture limit as the kernel cuts, the
// exchanges must be as many and agree in whatever was seen; cut at much smaller limits they must be among them. With each
// segment lost in turn, and attached from each segment on, the exchanges must be among the expected ones, times and sizes
// included, but for names that read "unknown" and are counted as unresolved; what is missing must have been reported as a gap:
// exactly as many where each exchange takes a turn of the client and one of the server.
//
// With -short, which "make race" gives, each is replayed whole and byte by byte only.
package protocoltest
