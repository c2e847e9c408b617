#!/usr/bin/env bash
# sample.sh: records some 20 s of the demo shop, from the first packet of each connection to the last, into demo/sample.pcap.gz, and
# what the shop says it did into demo/sample.json. As root, with bin/toposcope-demo built and tcpdump and ip (iproute2) installed.
#
# The file is plain pcap, which unlike pcapng has no room for names of hosts and programs. The seed is one whose 70 requests meet most of
# what can happen; what is recorded differs between runs only in times and in the clients' ports.
set -euo pipefail

# In a network namespace of its own nothing else is recorded. It has no name and goes with its last process, so there is none to
# remove; and what is started here goes with this script, however that ends.
[[ ${1-} == inside ]] || exec unshare --net -- bash "$0" inside
cd "$(dirname "$0")/.."

# On the loopback interface a network's addresses are the host's own, all of them. Toposcope takes no names for those in 127.0.0.0/8.
ip link set lo up
ip address add 10.77.0.0/24 dev lo

out=$(mktemp -d)
tcpdump=
trap '[[ -z $tcpdump ]] || kill "$tcpdump" 2>/dev/null || true; rm -rf "$out"' EXIT
trap 'exit 1' INT # the shop takes a Ctrl-C for a good end; half of a sample is none

setpriv --pdeathsig KILL tcpdump -i lo -n -s 0 -B 131072 -U --immediate-mode -Z root -w "$out/sample.pcap" 2>"$out/log" &
tcpdump=$!
until grep -qs 'listening on' "$out/log"; do
	kill -0 "$tcpdump" 2>/dev/null || { cat "$out/log" >&2; exit 1; }
	sleep 0.1
done
setpriv --pdeathsig TERM bin/toposcope-demo --seed=15 --requests=70 --rate=3.5 --address-base=10.77.0.1 --report="$out/sample.json"
kill -INT "$tcpdump" # it writes what it still holds
wait "$tcpdump" || true
tcpdump=

grep -qx '0 packets dropped by kernel' "$out/log" || { cat "$out/log" >&2; exit 1; }
gzip -9 -n <"$out/sample.pcap" >demo/sample.pcap.gz # -n: without the time
mv "$out/sample.json" demo/sample.json
ls -l demo/sample.pcap.gz demo/sample.json
