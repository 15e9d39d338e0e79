/* SPDX-License-Identifier: MIT */
/*
 * Trace: names, switches and the text form of the events of trace.def.
 *
 * Thread: emit under the NIC's lock; format anywhere.
 */
#include "emu/trace.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emu/core.h"

static_assert(NIC_TRACE_EVENTS <= 64, "trace_mask has a bit for each event");

static const char *const names[] = {
#define X(name, format) #name,
#include "emu/trace.def"
#undef X
};

static const char *const formats[] = {
#define X(name, format) format,
#include "emu/trace.def"
#undef X
};

void nic_trace_emit(struct nic *nic, const struct nic_trace_record *record)
{
	if (nic->config.trace)
		nic->config.trace(nic->config.arg, record);
}

/* The events that one pattern names. */
static uint64_t match(const char *pattern)
{
	uint64_t mask = 0;
	unsigned i;

	for (i = 0; i < NIC_TRACE_EVENTS; i++) {
		if (!fnmatch(pattern, names[i], 0))
			mask |= 1ull << i;
	}
	return mask;
}

int nic_trace_enable(struct nic *nic, const char *patterns)
{
	uint64_t mask = 0, one;
	char pattern[64];
	size_t len;

	while (*patterns) {
		len = strcspn(patterns, ",");
		if (len >= sizeof(pattern))
			return -ENOENT;
		memcpy(pattern, patterns, len);
		pattern[len] = '\0';
		one = match(pattern);
		if (!one)
			return -ENOENT;
		mask |= one;
		patterns += len;
		patterns += *patterns == ',';
	}
	pthread_mutex_lock(&nic->lock);
	nic->trace_mask = mask;
	pthread_mutex_unlock(&nic->lock);
	return 0;
}

/* The formats come from trace.def only and take at most three uint64_t. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
int nic_trace_format(const struct nic_trace_record *record, char *buf,
		     size_t size)
{
	const char *name = "?", *format = "";
	char args[128];

	if (record->event < NIC_TRACE_EVENTS) {
		name = names[record->event];
		format = formats[record->event];
	}
	snprintf(args, sizeof(args), format, record->args[0], record->args[1],
		 record->args[2]);
	return snprintf(
		buf, size,
		"%" PRIu64 ".%09" PRIu64 " qp=0x%06x wqe=0x%04x %-11s %s",
		record->now_ns / 1000000000, record->now_ns % 1000000000,
		record->qpn, record->wqe_index, name, args);
}
#pragma GCC diagnostic pop
