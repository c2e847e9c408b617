package dns_test

// The search list of these cases is that of a pod: shop.svc.cluster.local svc.cluster.local cluster.local, and the node's own
// corp.example, with ndots:5.
var walks = []struct {
	name, steps string
	want        string // in order; those after "--" only come at a Tick long after
}{
	{
		name: "glibc: one thread, both families on one socket, the next name when both are there",
		steps: `
			0ms 1ms 9/9 A    db.shop.svc.cluster.local NXDOMAIN
			0ms 2ms 9/9 AAAA db.shop.svc.cluster.local NXDOMAIN
			2ms 1ms 9/9 A    db.svc.cluster.local      NXDOMAIN
			2ms 1ms 9/9 AAAA db.svc.cluster.local      NXDOMAIN
			3ms 1ms 9/9 A    db.cluster.local          NXDOMAIN
			3ms 1ms 9/9 AAAA db.cluster.local          NXDOMAIN
			4ms 1ms 9/9 A    db.corp.example           NOERROR
			4ms 1ms 9/9 AAAA db.corp.example           nodata`,
		want: `
			A db NOERROR 4 0s 5ms
			--
			AAAA db nodata 4 0s 5ms`,
	},
	{
		name: "glibc: nothing anywhere, and the next lookup of the thread tells that it is over",
		steps: `
			0ms 1ms 9/9 A db.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 9/9 A db.svc.cluster.local      NXDOMAIN
			2ms 1ms 9/9 A db.cluster.local          NXDOMAIN
			3ms 1ms 9/9 A db.corp.example           NXDOMAIN
			4ms 1ms 9/9 A db                        NXDOMAIN
			9ms 1ms 9/9 A cart.shop.svc.cluster.local NOERROR`,
		want: `
			A db NXDOMAIN 5 0s 5ms
			A cart.shop.svc.cluster.local NOERROR 1 9ms 10ms`,
	},
	{
		name: "glibc: enough dots, so the name as it is comes first",
		steps: `
			0ms 1ms 9/9 A api.pay.corp.example                        NXDOMAIN
			1ms 1ms 9/9 A api.pay.corp.example.shop.svc.cluster.local NXDOMAIN
			2ms 1ms 9/9 A api.pay.corp.example.svc.cluster.local      NOERROR`,
		want: `A api.pay.corp.example NOERROR 3 0s 3ms`,
	},
	{
		name: "glibc: several labels before the search domain",
		steps: `
			0ms 1ms 9/9 A db.infra.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 9/9 A db.infra.svc.cluster.local      NOERROR`,
		want: `A db.infra NOERROR 2 0s 2ms`,
	},
	{
		name: "glibc: an error of the server, the same question to the next server, the walk goes on",
		steps: `
			0ms   1ms 9/9 A db.shop.svc.cluster.local SERVFAIL
			1ms   1ms 9/9 A db.shop.svc.cluster.local NXDOMAIN
			2ms   1ms 9/9 A db.svc.cluster.local      NOERROR`,
		want: `A db NOERROR 2 0s 3ms`,
	},
	{
		name: "glibc: no answer in 5 s, the same question once more",
		steps: `
			0ms    5s    9/9 A db.shop.svc.cluster.local -
			5001ms 1ms   9/9 A db.shop.svc.cluster.local NXDOMAIN
			5002ms 1ms   9/9 A db.svc.cluster.local      NOERROR`,
		want: `A db NOERROR 2 0s 5.003s`,
	},
	{
		name: "glibc: that nobody answered is known after the repetition was answered",
		steps: `
			5001ms 1ms   9/9 A db.corp.example NOERROR
			0ms    5050ms 9/9 A db.corp.example -`,
		want: `A db.corp.example NOERROR 1 5.001s 5.002s`,
	},
	{
		name: "glibc: an answer that is too long comes again over TCP",
		steps: `
			0ms 1ms 9/9 A big.shop.svc.cluster.local cut
			1ms 2ms 9/9 A big.shop.svc.cluster.local NOERROR`,
		want: `A big.shop.svc.cluster.local NOERROR 1 0s 3ms`,
	},
	{
		name: "glibc: two threads look for the same",
		steps: `
			0ms 2ms 9/10 A db.shop.svc.cluster.local NXDOMAIN
			1ms 2ms 9/11 A db.shop.svc.cluster.local NXDOMAIN
			2ms 2ms 9/10 A db.svc.cluster.local      NOERROR
			3ms 2ms 9/11 A db.svc.cluster.local      NOERROR`,
		want: `
			A db NOERROR 2 0s 4ms
			A db NOERROR 2 1ms 5ms`,
	},
	{
		name: "musl: every server is asked at the same time, the first answer counts and the walk goes on",
		steps: `
			0ms 1ms 9/9 A    db.shop.svc.cluster.local NXDOMAIN
			0ms 1ms 9/9 AAAA db.shop.svc.cluster.local NXDOMAIN
			0ms 3ms 9/9 A    db.shop.svc.cluster.local NXDOMAIN
			0ms 3ms 9/9 AAAA db.shop.svc.cluster.local SERVFAIL
			1ms 3ms 9/9 A    db.svc.cluster.local      NOERROR
			1ms 4ms 9/9 A    db.svc.cluster.local      -
			1ms 3ms 9/9 AAAA db.svc.cluster.local      NOERROR
			1ms 4ms 9/9 AAAA db.svc.cluster.local      -`,
		want: `
			A db NOERROR 2 0s 4ms
			AAAA db NOERROR 2 0s 4ms`,
	},
	{
		name: "Go: a goroutine for each family, on any thread",
		steps: `
			0ms 1ms 9/12 A    db.shop.svc.cluster.local NXDOMAIN
			0ms 1ms 9/13 AAAA db.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 9/13 A    db.svc.cluster.local      NXDOMAIN
			1ms 1ms 9/12 AAAA db.svc.cluster.local      NXDOMAIN
			2ms 1ms 9/14 A    db.cluster.local          NXDOMAIN
			2ms 1ms 9/12 AAAA db.cluster.local          NXDOMAIN
			3ms 1ms 9/12 A    db                        NXDOMAIN
			3ms 1ms 9/14 AAAA db                        NXDOMAIN
			9ms 1ms 9/12 A    cart.shop.svc.cluster.local NOERROR`,
		want: `
			A cart.shop.svc.cluster.local NOERROR 1 9ms 10ms
			--
			A db NXDOMAIN 4 0s 4ms
			AAAA db NXDOMAIN 4 0s 4ms`,
	},
	{
		name: "Go: lookups of many goroutines take turns on the threads",
		steps: `
			0ms  2ms 9/12 A db.shop.svc.cluster.local   NXDOMAIN
			1ms  2ms 9/13 A mail.shop.svc.cluster.local NXDOMAIN
			2ms  2ms 9/13 A db.svc.cluster.local        NXDOMAIN
			3ms  2ms 9/12 A mail.svc.cluster.local      NXDOMAIN
			4ms  2ms 9/12 A db.cluster.local            NXDOMAIN
			5ms  2ms 9/13 A mail.cluster.local          NXDOMAIN
			6ms  2ms 9/13 A db                          NOERROR
			7ms  2ms 9/12 A mail                        NOERROR`,
		want: `
			A db NOERROR 4 0s 8ms
			A mail NOERROR 4 1ms 9ms`,
	},
	{
		name: "Go: from a domain to one that is not above it, on another thread: once it was seen in a search",
		steps: `
			0s    1ms 9/12 A one.cluster.local NXDOMAIN
			1ms   1ms 9/13 A one.corp.example  NXDOMAIN
			2ms   1ms 9/13 A one               NOERROR
			20s   1ms 9/12 A two.svc.cluster.local NXDOMAIN
			20001ms 1ms 9/13 A two.cluster.local NXDOMAIN
			20002ms 1ms 9/12 A two               NXDOMAIN
			40s     1ms 9/12 A three.cluster.local NXDOMAIN
			40001ms 1ms 9/13 A three.corp.example  NOERROR`,
		want: `
			A one NOERROR 2 1ms 3ms
			A one.cluster.local NXDOMAIN 1 0s 1ms
			A two NXDOMAIN 3 20s 20.003s
			A three NOERROR 2 40s 40.002s`,
	},
	{
		name:  "no walk is needed",
		steps: `0ms 7ms 9/9 AAAA www.corp.example NOERROR`,
		want:  `AAAA www.corp.example NOERROR 1 0s 7ms`,
	},
	{
		name:  "the asker is not known",
		steps: `0ms 7ms 0/0 A www.corp.example NXDOMAIN`,
		want:  `A www.corp.example NXDOMAIN 1 0s 7ms`,
	},
	{
		name: "the thread is not known",
		steps: `
			0ms 1ms 9/0 A db.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 9/0 A db.svc.cluster.local NOERROR`,
		want: `A db NOERROR 2 0s 2ms`,
	},
	{
		name: "the same again is another lookup",
		steps: `
			0ms  1ms 9/9 A gone.corp.example NXDOMAIN
			50ms 1ms 9/9 A gone.corp.example NXDOMAIN
			99ms 1ms 9/9 A here.corp.example NOERROR
			100ms 1ms 9/9 A here.corp.example NOERROR`,
		want: `
			A gone.corp.example NXDOMAIN 1 0s 1ms
			A gone.corp.example NXDOMAIN 1 50ms 51ms
			A here.corp.example NOERROR 1 99ms 100ms
			A here.corp.example NOERROR 1 100ms 101ms`,
	},
	{
		name: "the same walk once more is another lookup",
		steps: `
			0ms 1ms 9/9 A gone.corp.example NXDOMAIN
			1ms 1ms 9/9 A gone              NXDOMAIN
			2ms 1ms 9/9 A gone.corp.example NXDOMAIN
			3ms 1ms 9/9 A gone              NXDOMAIN
			4ms 1ms 9/9 A gone.corp.example NOERROR`,
		want: `
			A gone NXDOMAIN 2 0s 2ms
			A gone NXDOMAIN 2 2ms 4ms
			A gone.corp.example NOERROR 1 4ms 5ms`,
	},
	{
		name: "what begins before the answer is no step after it",
		steps: `
			0ms 3ms 9/9 A db.shop.svc.cluster.local NXDOMAIN
			1ms 3ms 9/8 A db.svc.cluster.local NOERROR`,
		want: `
			A db.svc.cluster.local NOERROR 1 1ms 4ms
			--
			A db.shop.svc.cluster.local NXDOMAIN 1 0s 3ms`,
	},
	{
		name: "too long after",
		steps: `
			0s 1ms 9/9 A db.shop.svc.cluster.local NXDOMAIN
			3s 1ms 9/9 A db.svc.cluster.local      NOERROR`,
		want: `
			A db.shop.svc.cluster.local NXDOMAIN 1 0s 1ms
			A db.svc.cluster.local NOERROR 1 3s 3.001s`,
	},
	{
		name: "another process",
		steps: `
			0ms 1ms 9/9 A db.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 8/8 A db.svc.cluster.local      NOERROR`,
		want: `
			A db.svc.cluster.local NOERROR 1 1ms 2ms
			--
			A db.shop.svc.cluster.local NXDOMAIN 1 0s 1ms`,
	},
	{
		name: "blocklists, services and addresses are not searched for",
		steps: `
			0ms 1ms 9/9 A 44.33.22.11.zen.example    NXDOMAIN
			1ms 1ms 9/9 A 44.33.22.11.bl.example     NXDOMAIN
			2ms 1ms 9/9 SRV _ldap._tcp.a.example  NXDOMAIN
			3ms 1ms 9/9 SRV _ldap._tcp.b.example  NXDOMAIN
			4ms 1ms 9/9 PTR 4.3.2.1.in-addr.arpa  NXDOMAIN
			5ms 1ms 9/9 PTR 4.3.2.9.in-addr.arpa  NXDOMAIN`,
		want: `
			A 44.33.22.11.zen.example NXDOMAIN 1 0s 1ms
			A 44.33.22.11.bl.example NXDOMAIN 1 1ms 2ms
			SRV _ldap._tcp.a.example NXDOMAIN 1 2ms 3ms
			PTR 4.3.2.1.in-addr.arpa NXDOMAIN 1 4ms 5ms
			PTR 4.3.2.9.in-addr.arpa NXDOMAIN 1 5ms 6ms
			--
			SRV _ldap._tcp.b.example NXDOMAIN 1 3ms 4ms`,
	},
	{
		name: "a dot within a label is no border",
		steps: `
			0ms 1ms 9/9 A a\.db.shop.svc.cluster.local NXDOMAIN
			1ms 1ms 9/9 A a\.db.svc.cluster.local      NOERROR`,
		want: `A a\.db NOERROR 2 0s 2ms`,
	},
	{
		name: "nobody answers anything",
		steps: `
			0s 5s 9/9 A db.shop.svc.cluster.local -
			5s 5s 9/9 A db.shop.svc.cluster.local -`,
		want: `
			--
			A db.shop.svc.cluster.local - 1 0s 10s`,
	},
}
