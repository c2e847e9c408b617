#!/usr/bin/env bash
# sample.sh: records some 20 s of the demo shop, from the first packet of each connection to the last, into demo/sample.pcap.gz, and
# what the shop says it did into demo/sample.json. As root, with bin/toposcope-demo built and tcpdump installed.
#
# The file is plain pcap, which unlike pcapng has no room for names of hosts and programs. The seed is one whose 70 requests meet most of
# what can happen; what is recorded differs between runs only in times and in the clients' ports.
set -euo pipefail
cd "$(dirname "$0")/.."

# Ports and an address of our own, so that nothing else is recorded. The port of the switchboard comes after those of the services.
base=18080
services=10
name_server=127.0.53.53

out=$(mktemp -d)
tcpdump=
trap '[[ -z $tcpdump ]] || kill "$tcpdump" 2>/dev/null || true; rm -rf "$out"' EXIT

tcpdump -i lo -n -s 0 -B 16384 -U --immediate-mode -Z root -w "$out/sample.pcap" \
	"host $name_server or tcp portrange $base-$((base + services - 1))" 2>"$out/log" &
tcpdump=$!
until grep -q 'listening on' "$out/log"; do
	kill -0 "$tcpdump" 2>/dev/null || { cat "$out/log" >&2; exit 1; }
	sleep 0.1
done
bin/toposcope-demo --seed=10 --requests=70 --rate=3.5 --port-base="$base" --dns-address="$name_server:53" --report="$out/sample.json"
kill -INT "$tcpdump" # it writes what it still holds
wait "$tcpdump" || true
tcpdump=

grep -qx '0 packets dropped by kernel' "$out/log" || { cat "$out/log" >&2; exit 1; }
gzip -9 -n <"$out/sample.pcap" >demo/sample.pcap.gz # -n: without the time
mv "$out/sample.json" demo/sample.json
ls -l demo/sample.pcap.gz demo/sample.json
