/* SPDX-License-Identifier: MIT */
/*
 * Doorbells: see which queue was rung, how far, and by which protocol.
 *
 * Data path: stack/dev/doorbell.h -> [emu/doorbell.c] -> emu/sq_fetch.c
 *
 * A register is a word of a UAR page. A send register is rung when its word is
 * another one than last time: a repeated word is old news anyway, and a NIC
 * that only reads leaves the cache line where the next doorbell finds it. The
 * CQ register is taken by an exchange with zero. In compat mode the doorbell records of the queue
 * pairs are looked at too, because a word that two QPs share keeps only the
 * later doorbell.
 *
 * What was rung lately is looked at in every step; the rest in slices, one a
 * step, so that a thousand idle queue pairs cost little (architecture, 9).
 *
 * Records on a GPU are read when their page rings (record_rests()). Nobody
 * looks at a page that is trapped, nor at the records of its queues:
 * every store comes by nic_uar_write(), so none is overwritten unseen.
 *
 * Source: rdma-core mlx5 qp.c, post_send_db(); hw/doorbell.h.
 * Thread: under the NIC's lock.
 */
#include "emu/core.h"
#include "emu/dma.h"
#include "emu/order.h"

enum {
	SLICE = 32, /* objects of each kind in one step */
	RECEIVES_REST_NS = 1000 * 1000,
};

static void overrun(struct nic *nic, struct nic_qp *qp, uint16_t pi)
{
	struct nic_sq *sq = &qp->sq;

	nic_log(nic, NIC_LOG_ERROR,
		"QP 0x%x: send queue overrun: doorbell index 0x%04x is %u "
		"blocks beyond the last fetched one (0x%04x), the queue has "
		"%u; WQEs were overwritten",
		qp->number, pi, (uint16_t)(pi - sq->fetched),
		(uint16_t)sq->fetched, sq->size);
	nic_qp_fail(nic, qp, NIC_EVENT_QP_FATAL);
}

void nic_qp_doorbell(struct nic *nic, struct nic_qp *qp,
		     uint16_t producer_index)
{
	struct nic_sq *sq = &qp->sq;
	uint16_t ahead = (uint16_t)(producer_index - sq->pi);

	/* Old news: a repeated ring, or one that another ring overtook. */
	if (!ahead || ahead > 0x8000) {
		nic->counters.doorbells_stale++;
		NIC_TRACE(nic, db_stale, qp->number, producer_index,
			  producer_index, (uint16_t)sq->pi);
		return;
	}
	if (sq->pi + ahead - sq->fetched > sq->size) {
		overrun(nic, qp, producer_index);
		return;
	}
	/* Its line is still with the client: ask for it on the way there. */
	__builtin_prefetch(sq->ring +
			   (size_t)(sq->fetched & (sq->size - 1)) * HW_WQE_BB);
	sq->pi += ahead;
	nic_qp_ready(nic, qp);
}

/* ------------------------------------------------------------- registers */

static size_t register_offset(unsigned i)
{
	if (i == NIC_UAR_REG_NO_DBR)
		return HW_UAR_NO_DBR;
	return HW_UAR_BF + i * HW_UAR_BF_HALF_BYTES;
}

static void *register_at(struct nic_uar *uar, unsigned i)
{
	return uar->page + register_offset(i);
}

static void dropped(struct nic *nic, const struct nic_uar *uar, uint64_t word,
		    const char *why)
{
	struct hw_sq_doorbell raw;
	struct hw_sq_doorbell_info db;

	memcpy(&raw, &word, sizeof(raw));
	db = hw_sq_doorbell_decode(&raw);
	nic->counters.doorbells_dropped++;
	NIC_TRACE(nic, db_dropped, db.qpn, db.producer_index, uar->index,
		  hw_swap64(word));
	nic_log(nic, NIC_LOG_ERROR,
		"doorbell %016llx in UAR page %u names QP 0x%x: %s; ignored",
		(unsigned long long)hw_swap64(word), uar->index, db.qpn, why);
}

static void heat_uar(struct nic *nic, struct nic_uar *uar)
{
	struct nic_scan *scan = &nic->scan;
	unsigned i;

	for (i = 0; i < NIC_HOT; i++)
		if (scan->hot_uars[i] == uar)
			return;
	scan->hot_uars[scan->hot_uar_next++ % NIC_HOT] = uar;
}

static void heat_qp(struct nic *nic, struct nic_qp *qp)
{
	struct nic_scan *scan = &nic->scan;
	unsigned i;

	for (i = 0; i < NIC_HOT; i++)
		if (scan->hot_qps[i] == qp)
			return;
	scan->hot_qps[scan->hot_qp_next++ % NIC_HOT] = qp;
}

/* Why the doorbell is not for this queue pair; NULL: it is. */
static const char *refuse(const struct nic_qp *qp, const struct nic_uar *uar)
{
	if (!qp)
		return "no such queue pair";
	if (qp->uar != uar)
		return "it has another UAR page";
	if (!nic_qp_takes_doorbells(qp->state))
		return "it is not in RTS";
	return NULL;
}

/* A send register was rung; false: the doorbell is for nobody. */
static bool send_register(struct nic *nic, struct nic_uar *uar, uint64_t word)
{
	struct hw_sq_doorbell raw;
	struct hw_sq_doorbell_info db;
	struct nic_qp *qp;
	const char *why;

	memcpy(&raw, &word, sizeof(raw));
	db = hw_sq_doorbell_decode(&raw);
	qp = nic_qp_get(nic, db.qpn);
	why = refuse(qp, uar);
	nic->counters.doorbells++;
	if (why) {
		dropped(nic, uar, word, why);
		return false;
	}
	NIC_TRACE(nic, db_register, qp->number, db.producer_index,
		  db.producer_index, uar->index, hw_swap64(word));
	nic_qp_doorbell(nic, qp, db.producer_index);
	if (nic->config.progress == NIC_COMPAT && !uar->trapped)
		heat_qp(nic, qp);
	return true;
}

static void cq_register(struct nic *nic, const struct nic_uar *uar,
			uint64_t word)
{
	struct hw_cq_doorbell db;
	struct hw_cq_arm_info arm;
	struct nic_cq *cq;

	memcpy(&db, &word, sizeof(db));
	cq = nic_cq_get(nic, from_be32(db.cqn) & 0xffffff);
	if (!cq || cq->uar != uar) {
		nic_log(nic, NIC_LOG_ERROR,
			"CQ doorbell in UAR page %u names CQ 0x%x: %s; ignored",
			uar->index, from_be32(db.cqn),
			cq ? "it has another UAR page" : "no such CQ");
		return;
	}
	cq->arm_record = db.sn_cmd_ci.raw;
	arm = hw_cq_arm_decode(db.sn_cmd_ci);
	nic_cq_arm(nic, cq, &arm);
}

static bool scan_register(struct nic *nic, struct nic_uar *uar, unsigned i)
{
	uint64_t word = nic_order_load_register(register_at(uar, i));

	if (word == uar->seen[i])
		return false;
	uar->seen[i] = word;
	if (!word)
		return false; /* cleared by its owner */
	if (!send_register(nic, uar, word)) {
		/* The same word again may be for a queue pair by then. */
		nic_order_clear_register(register_at(uar, i), word);
		uar->seen[i] = 0;
	}
	return true;
}

/* The register at 0x600 is beyond these. */
static unsigned register_count(const struct nic_uar *uar)
{
	return uar->kind == NIC_UAR_BF ? 2 * HW_UAR_BF_REGS : 1;
}

static bool scan_uar(struct nic *nic, struct nic_uar *uar)
{
	uint8_t *cq_doorbell = uar->page + HW_UAR_CQ_DOORBELL;
	bool rung = false;
	unsigned i;

	if (uar->trapped)
		return false;
	for (i = 0; i < register_count(uar); i++)
		rung |= scan_register(nic, uar, i);
	if (uar->no_dbr_users)
		rung |= scan_register(nic, uar, NIC_UAR_REG_NO_DBR);
	if (nic_order_load_register(cq_doorbell)) {
		cq_register(nic, uar, nic_order_take_register(cq_doorbell));
		rung = true;
	}
	if (rung) {
		uar->rings++;
		heat_uar(nic, uar);
	}
	return rung;
}

/* ---------------------------------------------------------------- stores */

/*
 * What of a store fell into the 8 bytes of a register; true if these are
 * complete now: *word is what the register holds.
 */
static bool take_pieces(struct nic_uar_pieces *pieces, size_t at,
			const struct nic_uar_store *store, uint64_t *word)
{
	size_t i;

	for (i = 0; i < sizeof(pieces->bytes); i++) {
		if (at + i < store->offset ||
		    at + i >= store->offset + store->len)
			continue;
		pieces->bytes[i] = store->bytes[at + i - store->offset];
		pieces->have |= (uint8_t)(1 << i);
	}
	if (pieces->have != 0xff)
		return false;
	memcpy(word, pieces->bytes, sizeof(*word));
	pieces->have = 0;
	return true;
}

static bool write_register(struct nic *nic, struct nic_uar *uar, unsigned i,
			   const struct nic_uar_store *store)
{
	uint64_t word;

	return take_pieces(&uar->pieces[i], register_offset(i), store, &word) &&
	       send_register(nic, uar, word);
}

bool nic_scan_write(struct nic *nic, struct nic_uar *uar,
		    const struct nic_uar_store *store)
{
	bool rung = false;
	uint64_t word;
	unsigned i;

	for (i = 0; i < register_count(uar); i++)
		rung |= write_register(nic, uar, i, store);
	if (uar->no_dbr_users)
		rung |= write_register(nic, uar, NIC_UAR_REG_NO_DBR, store);
	if (take_pieces(&uar->cq_pieces, HW_UAR_CQ_DOORBELL, store, &word)) {
		cq_register(nic, uar, word);
		rung = true;
	}
	return rung;
}

void nic_scan_reset_qp(struct nic *nic, const struct nic_qp *qp)
{
	struct nic_uar *uar = qp->uar;
	struct hw_sq_doorbell raw;
	uint64_t word;
	unsigned i;

	(void)nic;
	if (!uar || uar->trapped)
		return;
	for (i = 0; i < NIC_UAR_REGS; i++) {
		word = nic_order_load_register(register_at(uar, i));
		memcpy(&raw, &word, sizeof(raw));
		if (hw_sq_doorbell_decode(&raw).qpn != qp->number)
			continue;
		nic_order_clear_register(register_at(uar, i), word);
		uar->seen[i] = 0;
	}
}

/* --------------------------------------------------------------- records */

/*
 * A record on a GPU takes microseconds to read, so it is not looked at all the
 * time but once after each ring of its page: a register that another queue
 * pair overwrote is found then, and one that nobody shares needs no record.
 */
static bool record_rests(struct nic_qp *qp)
{
	const struct nic_uar *uar = qp->uar;

	if (!dma_is_device(qp->sq.dbrec_word))
		return false;
	if (qp->sq.rings == uar->rings || uar->qps == 1)
		return true;
	qp->sq.rings = uar->rings;
	return false;
}

/* Compat: is the record ahead of what the register said? */
static bool scan_record(struct nic *nic, struct nic_qp *qp)
{
	uint16_t ahead, pi;
	be32 word;

	if (!qp->sq.dbrec_word || qp->no_dbr || qp->uar->trapped ||
	    !nic_qp_takes_doorbells(qp->state) || record_rests(qp))
		return false;
	if (dma_load_record(qp->sq.dbrec_word, &word.raw)) {
		nic->counters.dma_faults++;
		nic_log(nic, NIC_LOG_ERROR,
			"QP 0x%x: the doorbell record is not mapped any more",
			qp->number);
		qp->sq.dbrec_word = NULL;
		nic_qp_fail(nic, qp, NIC_EVENT_QP_FATAL);
		return true;
	}
	pi = hw_dbrec_decode(word);
	/* A client that rings the register alone leaves the record where it
	 * is, and half a wrap later it would look ahead. */
	if (pi == qp->sq.record)
		return false;
	qp->sq.record = pi;
	ahead = (uint16_t)(pi - qp->sq.pi);
	if (!ahead || ahead > 0x8000)
		return false;
	nic->counters.doorbells_by_record++;
	NIC_TRACE(nic, db_record, qp->number, pi, pi);
	nic_qp_doorbell(nic, qp, pi);
	heat_qp(nic, qp);
	return true;
}

/* A record on a GPU: now and then. */
static bool receives_rest(const struct nic *nic, struct nic_rq *rq)
{
	if (!rq->present || !dma_is_device(rq->dbrec_word))
		return false;
	if (rq->looked_ns && nic->now_ns - rq->looked_ns < RECEIVES_REST_NS)
		return true;
	rq->looked_ns = nic->now_ns;
	return false;
}

/* A receive WQE has no doorbell; one that is posted in ERR is flushed. */
static bool scan_receives(struct nic *nic, struct nic_qp *qp)
{
	if (qp->state != HW_QP_ERR || qp->rmp || receives_rest(nic, &qp->rq) ||
	    nic_rq_peek(nic, &qp->rq))
		return false;
	nic_qp_ready(nic, qp);
	return true;
}

/* ------------------------------------------------------------ set trapped */

static void clear_registers(struct nic_uar *uar)
{
	unsigned i;

	for (i = 0; i < NIC_UAR_REGS; i++) {
		nic_order_clear_register(
			register_at(uar, i),
			nic_order_load_register(register_at(uar, i)));
		uar->seen[i] = 0;
	}
}

/* The last look at a page; its registers are empty if it is polled again. */
static void scan_last(struct nic *nic, struct nic_uar *uar)
{
	bool records = nic->config.progress == NIC_COMPAT;
	struct nic_qp *qp;
	struct nic_cq *cq;
	uint32_t i;

	scan_uar(nic, uar);
	clear_registers(uar);
	for (i = 0; records && (qp = nic_table_walk(&nic->qps, &i));)
		if (qp->uar == uar)
			scan_record(nic, qp);
	for (i = 0; records && (cq = nic_table_walk(&nic->cqs, &i));)
		if (cq->uar == uar)
			nic_cq_poll_record(nic, cq);
	nic_scan_forget_uar(nic, uar);
}

void nic_scan_set_trapped(struct nic *nic, struct nic_uar *uar, bool trapped)
{
	if (trapped && !uar->trapped)
		scan_last(nic, uar);
	uar->trapped = trapped;
	/* There is something to serve, or to look at from now on. */
	nic_wake(nic);
}

void nic_scan_trapped(struct nic *nic, struct nic_uar *uar)
{
	if (!uar->trapped)
		return;
	uar->trapped = false;
	scan_last(nic, uar);
	uar->trapped = true;
}

bool nic_scan_needed(struct nic *nic)
{
	struct nic_uar *uar;
	struct nic_qp *qp;
	uint32_t i;

	if (!nic->active_qps)
		return false;
	for (i = 0; (uar = nic_table_walk(&nic->uars, &i));)
		if (uar->users && !uar->trapped)
			return true;
	for (i = 0; (qp = nic_table_walk(&nic->qps, &i));)
		if (qp->state == HW_QP_ERR && !qp->rmp)
			return true;
	return false;
}

/* ------------------------------------------------------------------ scan */

static bool scan_hot(struct nic *nic, bool records)
{
	bool rung = false;
	unsigned i;

	for (i = 0; i < NIC_HOT && nic->scan.hot_uars[i]; i++)
		rung |= scan_uar(nic, nic->scan.hot_uars[i]);
	for (i = 0; records && i < NIC_HOT && nic->scan.hot_qps[i]; i++)
		rung |= scan_record(nic, nic->scan.hot_qps[i]);
	return rung;
}

/* The next object behind the cursor, once around at most. */
static void *next_object(const struct nic_table *table, uint32_t *cursor)
{
	if (*cursor >= table->capacity)
		*cursor = 0;
	return table->capacity ? table->slots[(*cursor)++] : NULL;
}

static uint32_t slices(const struct nic_table *table)
{
	return (table->capacity + SLICE - 1) / SLICE;
}

static bool scan_slice(struct nic *nic, bool records)
{
	struct nic_scan *scan = &nic->scan;
	bool rung = false;
	struct nic_uar *uar;
	struct nic_qp *qp;
	struct nic_cq *cq;
	unsigned i;

	for (i = 0; i < SLICE && i < nic->uars.capacity; i++) {
		uar = next_object(&nic->uars, &scan->uar_cursor);
		rung |= uar && scan_uar(nic, uar);
	}
	for (i = 0; i < SLICE && i < nic->qps.capacity; i++) {
		qp = next_object(&nic->qps, &scan->qp_cursor);
		if (!qp)
			continue;
		rung |= scan_receives(nic, qp);
		rung |= records && scan_record(nic, qp);
	}
	if (!records || !nic->config.event)
		return rung;
	for (i = 0; i < SLICE && i < nic->cqs.capacity; i++) {
		cq = next_object(&nic->cqs, &scan->cq_cursor);
		if (cq)
			nic_cq_poll_record(nic, cq);
	}
	return rung;
}

static uint32_t max3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t ab = a > b ? a : b;

	return ab > c ? ab : c;
}

enum nic_step_result nic_scan_doorbells(struct nic *nic)
{
	bool records = nic->config.progress == NIC_COMPAT;
	uint32_t pass = max3(slices(&nic->uars), slices(&nic->qps),
			     records ? slices(&nic->cqs) : 0);
	bool rung = scan_hot(nic, records);

	rung |= scan_slice(nic, records);
	if (rung) {
		nic->scan.quiet_slices = 0;
		return NIC_STEP_BUSY;
	}
	if (++nic->scan.quiet_slices < pass)
		return NIC_STEP_LOOKING;
	nic->scan.quiet_slices = 0;
	return NIC_STEP_IDLE;
}

void nic_scan_forget_uar(struct nic *nic, const struct nic_uar *uar)
{
	unsigned i;

	for (i = 0; i < NIC_HOT; i++)
		if (nic->scan.hot_uars[i] == uar)
			memset(nic->scan.hot_uars, 0,
			       sizeof(nic->scan.hot_uars));
	nic->scan.hot_uar_next = 0;
}

void nic_scan_forget_qp(struct nic *nic, const struct nic_qp *qp)
{
	unsigned i;

	for (i = 0; i < NIC_HOT; i++)
		if (nic->scan.hot_qps[i] == qp)
			memset(nic->scan.hot_qps, 0, sizeof(nic->scan.hot_qps));
	nic->scan.hot_qp_next = 0;
}
