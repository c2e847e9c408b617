#!/bin/busybox sh
# The guest's first process: mounts what tracing programs expect, brings loopback up, runs /job/run and tells the host
# its exit status. The host ends the emulator when it has read that; the power-off is for a host that does not.
export PATH=/bin HOME=/root TMPDIR=/tmp TERM=dumb
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug
mount -t securityfs securityfs /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
hostname guest
ip link set lo up
while read -r module; do insmod "$module"; done </job/modules
# Raw: a line feed must not become two bytes, and a binary must arrive as it is.
tty=/dev/$(cat /sys/class/tty/console/active)
stty -F "$tty" raw -echo
exec </dev/null >"$tty" 2>&1
cd /job
echo "@toposcope {\"start\":\"$(uname -r)\"}"
sh /job/run
echo "@toposcope {\"exit\":$?}"
sync
sleep 5
poweroff -f
