// Package bpf holds the kernel programs and the Go twins of their types, both generated from the C beside it.
//
// It is imported by collector/probe (which loads the programs) and collector/ring (which decodes their events) alone. A
// .bpf.c file holds the entry points of one group of programs; include/ has the bodies, event.h is the event ABI, maps.h the
// maps. Objects are built with Debian 12's clang 14 and committed: make generate must leave no difference.
package bpf

//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types -type flow -type task_id -type event_header -type exec_event -type fork_event -type exit_event -type open_event -type accept_event -type data_event -type close_event -type connect_failed_event -type listen_event -type packet_event -type conn_stats -type listener_stats -type event_type -type event_flag -type role -type direction -type counter -type action -type settings -type verdict -type conn Sockets sockets.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v3
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types Process process.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v3
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types Tracepoint tracepoint.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v3
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types Fexit fexit.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v3
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types Kprobe kprobe.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v3
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types Syscall syscall.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v3
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types Accept accept.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v3
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types -type task_id -type packet_settings -type local_address -type port_key -type sender Packet packet.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v3
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types Datagram datagram.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v3
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types Udp udp.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v3
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types SocketsV2 sockets.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v2 -DTOPOSCOPE_V2
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types FexitV2 fexit.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v2 -DTOPOSCOPE_V2
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types KprobeV2 kprobe.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v2 -DTOPOSCOPE_V2
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types SyscallV2 syscall.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v2 -DTOPOSCOPE_V2
//go:generate go tool bpf2go -go-package bpf -target amd64,arm64 -cc clang -no-global-types AcceptV2 accept.bpf.c -- -Iinclude -I/usr/include -O2 -g -Wall -Werror -mcpu=v2 -DTOPOSCOPE_V2
