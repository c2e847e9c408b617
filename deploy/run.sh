#!/usr/bin/env bash
# run.sh [FLAG...]: runs Toposcope with the demo shop beside it, until Ctrl-C ends both. Flags go to "toposcope run".
set -euo pipefail
cd "$(dirname "$0")/.."

address=127.0.0.1:7676
for flag in "$@"; do
	case $flag in --web.listen-address=*) address=${flag#*=} ;; esac
done
host=${address%:*}
port=${address##*:}

if ((EUID != 0)); then
	echo "make run: Toposcope loads programs into the kernel, which takes root: sudo make run" >&2
	exit 1
fi
if (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; then
	echo "make run: $address is taken; stop what listens there (ss -ltnp 'sport = :$port'), or choose another: deploy/run.sh --web.listen-address=127.0.0.1:7680" >&2
	exit 1
fi
deploy/mounts.sh

bin/toposcope-demo &
demo=$!
bin/toposcope run "$@" &
toposcope=$!
# Both get SIGTERM whichever way this ends; a second signal finds them gone.
trap 'kill "$demo" "$toposcope" 2>/dev/null || true; wait' EXIT
trap 'exit 0' INT TERM

ready() {
	local status
	exec 3<>"/dev/tcp/$host/$port" || return 1
	printf 'GET /-/ready HTTP/1.0\r\n\r\n' >&3
	read -r _ status _ <&3
	exec 3>&-
	[[ $status == 200 ]]
}
until (ready) 2>/dev/null; do
	kill -0 "$toposcope" 2>/dev/null || break # it has said why on standard error
	sleep 0.2
done
if kill -0 "$toposcope" 2>/dev/null; then
	printf '\nThe map: http://%s/   (Ctrl-C stops Toposcope and the shop)\n\n' "$address"
fi
wait "$toposcope"
