/* SPDX-License-Identifier: MIT */
/*
 * Trace points. Always compiled in; one that is off costs one branch.
 */
#ifndef EMU_TRACE_H
#define EMU_TRACE_H

#include "emu/nic.h"

enum nic_trace_event {
#define X(name, format) NIC_TRACE_##name,
#include "emu/trace.def"
#undef X
	NIC_TRACE_EVENTS
};

void nic_trace_emit(struct nic *nic, const struct nic_trace_record *record);

/* NIC_TRACE(nic, event, qpn, wqe_index, up to three numbers) */
#define NIC_TRACE(nic, name, qp_number, index, ...)                            \
	((nic)->trace_mask >> NIC_TRACE_##name & 1                             \
		 ? nic_trace_emit(nic,                                         \
				  &(const struct nic_trace_record){            \
					  .now_ns = (nic)->now_ns,             \
					  .event = NIC_TRACE_##name,           \
					  .wqe_index = (uint16_t)(index),      \
					  .qpn = (qp_number),                  \
					  .args = {__VA_ARGS__},               \
				  })                                           \
		 : (void)0)

#endif
