/* SPDX-License-Identifier: MIT */
/*
 * Meet the other PEs and bring every queue pair to RTS.
 *
 * Queue pair (lane, b) of PE a is connected with (lane, a) of PE b; a's own
 * (lane, a) with itself.
 *
 * Source of truth: hw/cmd_qp.h; which fields each transition needs: IBTA 1.4
 * table 91 to 93, and DOCA GPUNetIO's doca_verbs_qp.cpp.
 * Thread: the one in gda_init.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/cmd_qp.h"
#include "stack/host/internal.h"

enum {
	LOG_MSG_MAX = 30,
	RETRY_COUNT = 7,
	RNR_RETRY = 7,	  /* for ever; without receives there is no RNR */
	MIN_RNR_NAK = 12, /* 0.64 ms */
	ACK_TIMEOUT = 17, /* 4.096 us << 17: 0.5 s */
	LOG_READS_MAX = 4,
};

/* A transition under construction; room for any of them. */
struct transition {
	uint8_t in[HW_MODIFY_QP_IN_BYTES];
	uint8_t out[HW_CMD_HDR_BYTES];
};

static uint8_t *begin(struct transition *t, enum hw_cmd_opcode opcode,
		      const struct gda_qp *qp)
{
	memset(t, 0, sizeof(*t));
	hw_set(t->in, HW_CMD_IN_OPCODE, opcode);
	hw_set(t->in, HW_CMD_IN_NUMBER, qp->qpn);
	return t->in + HW_QPC_OFFSET;
}

static int send(struct gda *gda, struct gda_qp *qp, struct transition *t,
		const char *what)
{
	struct gda_mailbox box = {t->in, sizeof(t->in), t->out, sizeof(t->out)};

	return gda_modify(gda, qp->qp_obj, &box, what);
}

static int to_init(struct gda *gda, struct gda_qp *qp)
{
	struct transition t;
	uint8_t *qpc = begin(&t, HW_CMD_RST2INIT_QP, qp);

	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc + HW_QPC_PATH, HW_ADS_PORT, gda->port.number);
	hw_set(qpc, HW_QPC_RRE, 1);
	hw_set(qpc, HW_QPC_RWE, 1);
	hw_set(qpc, HW_QPC_RAE, 1);
	hw_set(qpc, HW_QPC_ATOMIC_MODE, HW_ATOMIC_MODE_8B);
	return send(gda, qp, &t, "queue pair to INIT");
}

static uint32_t log_reads(uint32_t device)
{
	return device < LOG_READS_MAX ? device : LOG_READS_MAX;
}

static int to_rtr(struct gda *gda, struct gda_qp *qp,
		  const struct gda_hello *peer, uint32_t remote_qpn)
{
	uint8_t mtu =
		peer->port.mtu < gda->port.mtu ? peer->port.mtu : gda->port.mtu;
	struct transition t;
	uint8_t *qpc = begin(&t, HW_CMD_INIT2RTR_QP, qp);
	int rc;

	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_MTU, mtu);
	hw_set(qpc, HW_QPC_LOG_MSG_MAX, LOG_MSG_MAX);
	hw_set(qpc, HW_QPC_REMOTE_QPN, remote_qpn);
	hw_set(qpc, HW_QPC_NEXT_RCV_PSN, peer->psn);
	hw_set(qpc, HW_QPC_MIN_RNR_NAK, MIN_RNR_NAK);
	hw_set(qpc, HW_QPC_LOG_RRA_MAX, log_reads(gda->caps.log_max_reads_in));
	hw_set(qpc, HW_QPC_RRE, 1);
	hw_set(qpc, HW_QPC_RWE, 1);
	hw_set(qpc, HW_QPC_RAE, 1);
	hw_set(qpc, HW_QPC_ATOMIC_MODE, HW_ATOMIC_MODE_8B);
	rc = gda->ops->path(gda->backend, &peer->port, qpc + HW_QPC_PATH);
	if (rc)
		return rc;
	hw_set(qpc + HW_QPC_PATH, HW_ADS_PORT, gda->port.number);
	return send(gda, qp, &t, "queue pair to RTR");
}

static int to_rts(struct gda *gda, struct gda_qp *qp, uint32_t psn)
{
	struct transition t;
	uint8_t *qpc = begin(&t, HW_CMD_RTR2RTS_QP, qp);

	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_NEXT_SEND_PSN, psn);
	hw_set(qpc, HW_QPC_RETRY_COUNT, RETRY_COUNT);
	hw_set(qpc, HW_QPC_RNR_RETRY, RNR_RETRY);
	hw_set(qpc + HW_QPC_PATH, HW_ADS_ACK_TIMEOUT, ACK_TIMEOUT);
	hw_set(qpc, HW_QPC_LOG_SRA_MAX, log_reads(gda->caps.log_max_reads_out));
	return send(gda, qp, &t, "queue pair to RTS");
}

/* ------------------------------------------------------------- exchange */

static void fill_hello(const struct gda *gda, struct gda_hello *hello)
{
	uint32_t i;

	hello->port = gda->port;
	hello->heap_addr = (uintptr_t)gda->heap.mem.addr;
	hello->heap_bytes = gda->config.heap_bytes;
	hello->rkey = gda->heap_mr.rkey;
	hello->lanes = gda->config.qps_per_peer;
	hello->fetch_slots = gda->config.fetch_slots;
	hello->psn = gda->config.emu.start_counter & 0xffffff;
	for (i = 0; i < gda->qp_count; i++)
		hello->qpns[i] = gda->qps[i].qpn;
}

/* What must be the same on all PEs, or offsets mean different things. */
static int check_hello(const struct gda *gda, const struct gda_hello *mine,
		       const struct gda_hello *other, int pe)
{
	const struct {
		const char *name;
		uint64_t mine, other;
	} fields[] = {
		{"qps_per_peer", mine->lanes, other->lanes},
		{"fetch_slots", mine->fetch_slots, other->fetch_slots},
		{"heap_bytes", mine->heap_bytes, other->heap_bytes},
		{"link", mine->port.link, other->port.link},
	};
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].mine != fields[i].other)
			return gda_fail(&gda->config, -EPROTO,
					"config: %s is %llu on PE %d and %llu "
					"on PE %d, expected the same",
					fields[i].name,
					(unsigned long long)fields[i].mine,
					gda->config.pe,
					(unsigned long long)fields[i].other,
					pe);
	return 0;
}

static int connect_peer(struct gda *gda, const struct gda_hello *peer, int pe)
{
	uint32_t npes = (uint32_t)gda->config.npes;
	uint32_t psn = gda->config.emu.start_counter & 0xffffff;
	struct gda_qp *qp;
	uint32_t lane;
	int rc = 0;

	for (lane = 0; !rc && lane < gda->config.qps_per_peer; lane++) {
		qp = &gda->qps[lane * npes + (uint32_t)pe];
		rc = to_init(gda, qp);
		if (!rc)
			rc = to_rtr(gda, qp, peer,
				    peer->qpns[lane * npes +
					       (uint32_t)gda->config.pe]);
		if (!rc)
			rc = to_rts(gda, qp, psn);
	}
	return rc;
}

static int connect_all(struct gda *gda, const struct gda_hello *mine,
		       const uint8_t *all, size_t bytes)
{
	const struct gda_hello *peer;
	int pe, rc = 0;

	for (pe = 0; !rc && pe < gda->config.npes; pe++) {
		peer = (const struct gda_hello *)(all + (size_t)pe * bytes);
		rc = check_hello(gda, mine, peer, pe);
		if (!rc)
			rc = connect_peer(gda, peer, pe);
	}
	return rc ? rc : gda_export(gda, (const void *)all, bytes);
}

/*
 * How large a hello is depends on the config, so lanes are compared first: an
 * exchange of unequal lengths would not be understood.
 */
static int agree_lanes(struct gda *gda)
{
	uint32_t mine = gda->config.qps_per_peer;
	uint32_t *all = calloc((size_t)gda->config.npes, sizeof(*all));
	int pe, rc;

	if (!all)
		return gda_fail(&gda->config, -ENOMEM, "connect: no memory");
	rc = gda_allgather(gda, &mine, all, sizeof(mine));
	for (pe = 0; !rc && pe < gda->config.npes; pe++)
		if (all[pe] != mine)
			rc = gda_fail(&gda->config, -EPROTO,
				      "config: qps_per_peer is %u on PE %d and "
				      "%u on PE %d, expected the same",
				      mine, gda->config.pe, all[pe], pe);
	free(all);
	return rc;
}

int gda_connect(struct gda *gda)
{
	size_t bytes =
		sizeof(struct gda_hello) + gda->qp_count * sizeof(uint32_t);
	struct gda_hello *mine;
	uint8_t *all;
	int rc = agree_lanes(gda);

	if (rc)
		return rc;
	bytes = (bytes + 7) & ~(size_t)7;
	mine = calloc(1, bytes);
	all = calloc((size_t)gda->config.npes, bytes);
	if (!mine || !all) {
		rc = gda_fail(&gda->config, -ENOMEM, "connect: no memory");
		goto out;
	}
	fill_hello(gda, mine);
	rc = gda_allgather(gda, mine, all, bytes);
	if (!rc)
		rc = connect_all(gda, mine, all, bytes);
	/* Nobody sends before everybody is ready to receive. */
	if (!rc)
		rc = gda_barrier(gda);
out:
	free(mine);
	free(all);
	return rc;
}
