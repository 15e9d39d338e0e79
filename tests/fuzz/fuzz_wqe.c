/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: any bytes in a send queue, and any doorbell, on a connected pair.
 *
 * Input, repeated: control byte, block count, blocks of 64 bytes.
 * Oracle: it ends; every WQE that was rung for is completed, in order, once,
 * by a CQE or silently if it asked for none, and all that follow the first
 * error are flushed; no byte without a right changes; the neighbours go on.
 */
#include "fuzz.h"

enum control {
	RECORD = 1 << 0,   /* the record only */
	REGISTER = 1 << 1, /* the register only; neither: both */
	ANY_QPN = 1 << 2,  /* queue pair numbers from the input */
	RECEIVE = 1 << 3,
	WILD = 1 << 4, /* the doorbell names another index: the last batch */
	TWICE = 1 << 5,
	WAIT = 1 << 6, /* time passes */
};

enum { BLOCKS_MAX = 64, SQ_BLOCKS = 16 };

struct state {
	struct fuzz_pair pair;
	struct t_qp *qp; /* the one that is attacked */
	uint32_t blocks; /* written so far */
	uint32_t walked; /* blocks whose WQEs are accounted for */
	bool failed;	 /* an error CQE was seen */
	bool last;	 /* no batch after this one */
	/* What the ring held at each counter. */
	uint8_t image[BLOCKS_MAX + 128][HW_WQE_BB];
};

static void attach(void *arg, struct t_node *node)
{
	REQUIRE(!wire_loop_attach(arg, node->nic));
}

/* Counters of the send queue: blocks rung for, or completed. */
static uint32_t counter(struct t_qp *qp, struct hw_field field)
{
	uint8_t out[T_OUT];

	t_simple(qp->node, HW_CMD_QUERY_QP, qp->number, out);
	return hw_get(out + HW_QPC_OFFSET, field);
}

static uint32_t rung(const struct state *s)
{
	return counter(s->qp, HW_QPC_SW_SQ_COUNTER);
}

/* ----------------------------------------------------------- accounting */

static struct hw_wqe_ctrl_info wqe_at(const struct state *s, uint32_t at)
{
	struct hw_wqe_ctrl raw;

	memcpy(&raw, s->image[at], sizeof(raw));
	return hw_wqe_ctrl_decode(&raw);
}

/* Blocks of a WQE: what ctrl.ds says, or one if that cannot be. */
static uint32_t blocks_at(const struct state *s, uint32_t at, uint32_t end)
{
	uint32_t bbs = hw_wqe_bbs(wqe_at(s, at).ds);

	return bbs && bbs <= end - at ? bbs : 1;
}

static bool is_signaled(const struct state *s, uint32_t at)
{
	return (wqe_at(s, at).fm_ce_se >> 2 & 3) >= HW_CE_ALWAYS;
}

/* Find the WQE that a CQE is about; those before it asked for none. */
static void account(struct state *s, const struct hw_cqe_info *cqe)
{
	bool mine, silent, error = cqe->opcode == HW_CQE_REQ_ERR;
	uint32_t end = rung(s);

	REQUIRE(cqe->qpn == s->qp->number);
	REQUIRE(error || cqe->opcode == HW_CQE_REQ);
	/* Once one has failed, the rest is flushed, signaled or not. */
	REQUIRE(!s->failed || cqe->syndrome == HW_SYND_WR_FLUSH);
	do {
		REQUIRE(s->walked < end);
		mine = cqe->wqe_counter == wqe_at(s, s->walked).idx ||
		       (error && cqe->wqe_counter == (uint16_t)s->walked);
		silent = !s->failed && !is_signaled(s, s->walked);
		REQUIRE(mine || silent);
		s->walked += blocks_at(s, s->walked, end);
	} while (!mine);
	s->failed |= error;
}

static void drain(struct state *s)
{
	struct hw_cqe_info cqe;

	while (t_poll(&s->pair.cq[0], &cqe))
		account(s, &cqe);
	while (t_poll(&s->pair.cq[1], &cqe))
		REQUIRE(cqe.opcode != HW_CQE_REQ);
}

static void run(struct state *s, uint64_t ns)
{
	t_run_for(s->pair.node, 2, ns);
	drain(s);
}

/* ----------------------------------------------------------- attacking */

static uint8_t *slot(const struct state *s, uint32_t at)
{
	return s->qp->sq + (size_t)(at % SQ_BLOCKS) * HW_WQE_BB;
}

/*
 * Index and queue pair of the WQEs in [from, to): an index is echoed only,
 * and must be unique for the accounting. A WQE that is cut off by the
 * doorbell changes its meaning with the next one, which must not come.
 */
static void fix_wqes(struct state *s, uint32_t from, uint32_t to, bool fix_qpn)
{
	struct hw_wqe_ctrl_info info;
	struct hw_wqe_ctrl raw;

	for (; from < to; from += blocks_at(s, from, to)) {
		info = wqe_at(s, from);
		info.idx = (uint16_t)from;
		if (fix_qpn)
			info.qpn = s->qp->number;
		s->last |= hw_wqe_bbs(info.ds) > to - from;
		raw = hw_wqe_ctrl_encode(&info);
		memcpy(s->image[from], &raw, 9); /* up to the signature */
		memcpy(slot(s, from), &raw, 9);
	}
}

static void write_blocks(struct state *s, struct fuzz_input *in, unsigned count,
			 bool fix_qpn)
{
	uint32_t from = s->blocks;
	uint32_t room =
		SQ_BLOCKS - (from - counter(s->qp, HW_QPC_HW_SQ_COUNTER));

	for (; count && room && s->blocks < BLOCKS_MAX; count--, room--) {
		fuzz_take(in, s->image[s->blocks], HW_WQE_BB);
		memcpy(slot(s, s->blocks), s->image[s->blocks], HW_WQE_BB);
		s->blocks++;
	}
	fix_wqes(s, from, s->blocks, fix_qpn);
	s->last |= s->blocks == from;
}

/* Ahead of what was written there are the WQEs of the lap before. */
static void go_wild(struct state *s, int8_t offset)
{
	int32_t i;

	for (i = 0; i < offset; i++)
		memcpy(s->image[s->blocks + (uint32_t)i],
		       slot(s, s->blocks + (uint32_t)i), HW_WQE_BB);
	s->qp->sq_pi += (uint32_t)(int32_t)offset;
	s->last = true;
}

static void ring(struct t_qp *qp, uint8_t control)
{
	if (!(control & REGISTER))
		t_ring_record(qp);
	if (!(control & RECORD) || (control & REGISTER))
		t_ring_register(qp);
}

static void batch(struct state *s, struct fuzz_input *in)
{
	uint8_t control = fuzz_u8(in), count = fuzz_u8(in);

	if (control & RECEIVE)
		t_post_recv(&s->pair.qp[1], (void *)(uintptr_t)FUZZ_IOVA, 1000,
			    s->pair.open[1].key);
	write_blocks(s, in, count % SQ_BLOCKS + 1, !(control & ANY_QPN));
	s->qp->sq_pi = s->blocks;
	if (control & WILD)
		go_wild(s, (int8_t)fuzz_u8(in));
	ring(s->qp, control);
	run(s, control & WAIT ? 1000000 : 0);
	if (control & TWICE)
		ring(s->qp, control);
	run(s, 0);
}

/* A WAIT may hold the queue for ever; in ERR nothing does. */
static void finish(struct state *s)
{
	uint32_t end;
	unsigned i;

	run(s, 60000000000ull);
	for (i = 0; i < 2; i++)
		REQUIRE(t_simple(&s->pair.node[i], HW_CMD_2ERR_QP,
				 s->pair.qp[i].number, NULL) == HW_CMD_OK);
	run(s, 1000);
	end = rung(s);
	REQUIRE(counter(s->qp, HW_QPC_HW_SQ_COUNTER) == end);
	/* What is left asked for no CQE, and none of it failed. */
	for (; s->walked < end; s->walked += blocks_at(s, s->walked, end))
		REQUIRE(!s->failed && !is_signaled(s, s->walked));
	fuzz_healthy_post(&s->pair);
	run(s, 1000);
	fuzz_healthy_check(&s->pair);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct t_connect connect = {.ack_timeout = 8,
						 .retries = 2,
						 .rnr_retries = 2,
						 .min_rnr_nak = 1,
						 .log_ra_max = 2};
	struct wire_loop_fabric *fabric = wire_loop_create();
	struct fuzz_input in = {data, size};
	struct state *s = calloc(1, sizeof(*s));

	REQUIRE(s && fabric);
	fuzz_pair_open(&s->pair, attach, fabric, &connect);
	s->qp = &s->pair.qp[0];
	while (in.left && !s->last)
		batch(s, &in);
	finish(s);
	fuzz_pair_close(&s->pair);
	wire_loop_release(fabric);
	free(s);
	return 0;
}
