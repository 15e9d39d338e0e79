/* SPDX-License-Identifier: MIT */
/*
 * The port and its link; and what else the NIC tells about itself: counters,
 * log, events.
 *
 * Thread: public calls take the NIC's lock.
 */
#include <errno.h>
#include <stdio.h>

#include "emu/core.h"
#include "emu/dma.h"

static void show_port(struct nic *nic)
{
	if (nic->wire && nic->wire->ops->show_port)
		nic->wire->ops->show_port(nic->wire, !nic->link_down);
}

int nic_attach_wire(struct nic *nic, struct wire *wire)
{
	int ret = -EBUSY;

	nic_lock(nic);
	if (!nic->wire) {
		nic->wire = wire;
		nic_show_qps(nic);
		show_port(nic);
		ret = 0;
	}
	nic_unlock(nic);
	/* A runner that sleeps does not know the wire's descriptors yet. */
	if (!ret)
		nic_wake(nic);
	return ret;
}

void nic_show_qps(struct nic *nic)
{
	if (nic->wire && nic->wire->ops->show_qps)
		nic->wire->ops->show_qps(nic->wire, nic->qps.count);
}

void nic_query_port(struct nic *nic, struct nic_port *port)
{
	memset(port, 0, sizeof(*port));
	nic_lock(nic);
	port->link = nic->config.link;
	port->mtu = NIC_PORT_MTU;
	port->active = nic_link_up(nic);
	if (nic->wire) {
		port->lid = nic->wire->address.lid;
		memcpy(port->gid, nic->wire->address.gid, sizeof(port->gid));
		memcpy(port->mac, nic->wire->address.mac, sizeof(port->mac));
	}
	nic_unlock(nic);
}

/*
 * A lossless wire runs no timers: what is under way needs one now, because its
 * answers are among the packets that will not arrive.
 */
void nic_port_change(struct nic *nic, bool active)
{
	struct nic_qp *qp;
	uint32_t i;

	if (nic->link_down == !active)
		return;
	nic->link_down = !active;
	nic_log(nic, NIC_LOG_INFO, "port %u: the link is %s", NIC_PORT,
		active ? "up" : "down");
	for (i = 0; !active && (qp = nic_table_walk(&nic->qps, &i));)
		nic_completer_doubt(nic, qp);
	show_port(nic);
	nic_event(nic, active ? NIC_EVENT_PORT_ACTIVE : NIC_EVENT_PORT_DOWN,
		  NIC_PORT, 0);
}

void nic_set_port_active(struct nic *nic, bool active)
{
	nic_lock(nic);
	nic_port_change(nic, active);
	nic_unlock(nic);
}

uint64_t nic_guid(struct nic *nic)
{
	return nic->config.guid;
}

void nic_get_counters(struct nic *nic, struct nic_counters *counters)
{
	nic_lock(nic);
	*counters = nic->counters;
	nic_unlock(nic);
}

void nic_get_usage(struct nic *nic, struct nic_usage *usage)
{
	nic_lock(nic);
	usage->pds = nic->pds.count;
	usage->uars = nic->uars.count;
	usage->umems = nic->umems.count;
	usage->mkeys = nic->mkeys.count;
	usage->cqs = nic->cqs.count;
	usage->qps = nic->qps.count;
	usage->rmps = nic->rmps.count;
	usage->xrcds = nic->xrcds.count;
	nic_unlock(nic);
}

void nic_log(struct nic *nic, enum nic_log_level level, const char *fmt, ...)
{
	char text[512];
	va_list args;

	if (!nic->config.log)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	nic->config.log(nic->config.arg, level, text);
}

void nic_event(struct nic *nic, enum nic_event_type type, uint32_t number,
	       uint32_t eqn)
{
	struct nic_event event = {.type = type, .number = number, .eqn = eqn};

	if (!nic->config.event)
		return;
	dma_settle(); /* what it tells of is there */
	nic->config.event(nic->config.arg, &event);
}
