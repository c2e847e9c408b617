#!/bin/sh
# mounts.sh: mounts the kernel's file systems that capture uses, where they are missing. Needs root.
set -eu

mounted() { grep -q " $1 $2 " /proc/self/mounts; }

mounted /sys/fs/bpf bpf || mount -t bpf bpf /sys/fs/bpf
mounted /sys/kernel/tracing tracefs || mount -t tracefs tracefs /sys/kernel/tracing
mounted /sys/kernel/debug debugfs || mount -t debugfs debugfs /sys/kernel/debug || true # not every kernel has it
