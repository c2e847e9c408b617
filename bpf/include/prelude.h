/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What every object includes, in the one order that works. */
#ifndef TOPOSCOPE_PRELUDE_H
#define TOPOSCOPE_PRELUDE_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include "read.h"
#include "event.h"
#include "maps.h"
#include "watch.h"
#include "conn.h"
#include "payload.h"
#include "calls.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#endif
