/* SPDX-License-Identifier: MIT */
/*
 * Random requests for t_sim.h: builds one WQE, and applies it to the model.
 */
#include "support/t_sim.h"

enum {
	BLOCKS_MAX = 4, /* of one WQE */
	PIECES_MAX = 10,
};

enum kind {
	WRITE,
	WRITE_IMM,
	SEND,
	SEND_IMM,
	READ,
	CAS,
	ADD,
	MASKED_CAS,
	MASKED_ADD,
	SHARED_ADD,
	NOP,
	DUMP,
	RECUT,
	KINDS
};

/* A request before it becomes a WQE. */
struct plan {
	struct sim *sim;
	struct sim_end *end;
	enum kind kind;
	uint32_t len;
	uint32_t remote;      /* offset in the peer's arena */
	uint32_t local;	      /* region of the local list */
	uint32_t inline_mask; /* bit i: piece i is inline data */
	unsigned pieces;
	uint32_t at[PIECES_MAX], bytes[PIECES_MAX];
	uint8_t fence;
	uint8_t operand_bytes;
	struct hw_atomic_args args;
	uint32_t imm;
	bool solicited;
};

static uint8_t opcode_of(enum kind kind)
{
	static const uint8_t opcodes[KINDS] = {[WRITE] = HW_OP_RDMA_WRITE,
					       [WRITE_IMM] =
						       HW_OP_RDMA_WRITE_IMM,
					       [SEND] = HW_OP_SEND,
					       [SEND_IMM] = HW_OP_SEND_IMM,
					       [READ] = HW_OP_RDMA_READ,
					       [CAS] = HW_OP_ATOMIC_CS,
					       [ADD] = HW_OP_ATOMIC_FA,
					       [MASKED_CAS] = HW_OP_MASKED_CS,
					       [MASKED_ADD] = HW_OP_MASKED_FA,
					       [SHARED_ADD] = HW_OP_ATOMIC_FA,
					       [NOP] = HW_OP_NOP,
					       [DUMP] = HW_OP_DUMP,
					       [RECUT] = HW_OP_UMR};

	return opcodes[kind];
}

static bool is_atomic(enum kind kind)
{
	return kind >= CAS && kind <= SHARED_ADD;
}

static bool consumes(enum kind kind)
{
	return kind >= WRITE_IMM && kind <= SEND_IMM;
}

/* Lengths around the packet boundaries, and any other. */
static uint32_t draw_len(struct sim *sim, uint32_t most)
{
	uint32_t mtu = t_sim_mtu(sim), len;

	switch (t_below(&sim->rng, 6)) {
	case 0:
		len = t_below(&sim->rng, 3);
		break;
	case 1:
		len = mtu * (1 + t_below(&sim->rng, 4)) - 1 +
		      t_below(&sim->rng, 3);
		break;
	case 2:
		len = t_below(&sim->rng, most + 1);
		break;
	default:
		len = t_below(&sim->rng, 4 * mtu);
		break;
	}
	return len < most ? len : most;
}

static void draw_pieces(struct plan *plan)
{
	struct t_rng *rng = &plan->sim->rng;
	uint32_t left = plan->len, bytes;

	plan->pieces = 0;
	while (left) {
		bytes = left;
		if (plan->pieces + 1 < PIECES_MAX && t_chance(rng, 500))
			bytes = 1 + t_below(rng, left);
		plan->bytes[plan->pieces] = bytes;
		plan->at[plan->pieces++] =
			plan->local + t_below(rng, SIM_REGION - bytes + 1);
		left -= bytes;
	}
}

static void draw_atomic(struct plan *plan)
{
	struct t_rng *rng = &plan->sim->rng;
	bool masked = plan->kind == MASKED_CAS || plan->kind == MASKED_ADD;
	uint64_t current = 0;

	plan->operand_bytes = masked && t_chance(rng, 500) ? 4 : 8;
	plan->len = plan->operand_bytes;
	plan->local = SIM_SINK;
	plan->remote = SIM_TARGET + t_below(rng, 64) * 8;
	memcpy(&current, plan->end->peer->model + plan->remote,
	       plan->operand_bytes);
	plan->args.swap_add = t_random(rng);
	/* Half of the compare operations succeed. */
	plan->args.compare = t_chance(rng, 500) ? current : t_random(rng);
	plan->args.swap_mask = plan->args.compare_mask = ~0ull;
	if (plan->kind == MASKED_CAS) {
		plan->args.swap_mask = t_random(rng);
		plan->args.compare_mask = t_random(rng) & t_random(rng);
	}
	if (plan->kind == MASKED_ADD)
		plan->args.compare = t_random(rng) & t_random(rng);
	if (plan->kind == SHARED_ADD)
		plan->args.swap_add = t_below(rng, 1000);
	plan->pieces = 1;
	plan->bytes[0] = plan->operand_bytes;
	plan->at[0] = SIM_SINK + t_below(rng, SIM_REGION / 8) * 8;
	/* What a shared counter held is not known to the model. */
	if (plan->kind == SHARED_ADD)
		plan->at[0] = SIM_SCRATCH;
}

/* What is inline is copied when the WQE is built, from the model. */
static void draw_inline(struct plan *plan)
{
	unsigned i;

	for (i = 0; i < plan->pieces; i++)
		if (plan->bytes[i] <= 100 && t_chance(&plan->sim->rng, 500))
			plan->inline_mask |= 1u << i;
}

static void draw(struct plan *plan)
{
	struct sim *sim = plan->sim;
	struct t_rng *rng = &sim->rng;
	uint32_t most = sim->options.max_bytes;

	plan->kind = (enum kind)t_below(rng, KINDS);
	plan->imm = (uint32_t)t_random(rng);
	plan->fence = t_chance(rng, 100) ? (uint8_t)t_below(rng, 5) : 0;
	plan->local = SIM_SOURCE;
	if (is_atomic(plan->kind)) {
		draw_atomic(plan);
		return;
	}
	if (plan->kind == NOP || plan->kind == RECUT)
		return;
	if (plan->kind == SEND || plan->kind == SEND_IMM)
		most = most < SIM_SLOT ? most : SIM_SLOT;
	plan->len = draw_len(sim, most);
	plan->remote = SIM_TARGET + t_below(rng, SIM_REGION - plan->len + 1);
	if (plan->kind == READ) {
		plan->local = SIM_SINK;
		if (t_chance(rng, 500))
			plan->remote -= SIM_TARGET - SIM_SOURCE;
	} else if (t_chance(rng, 200)) {
		plan->local = SIM_SINK;
	}
	draw_pieces(plan);
	if (plan->kind <= SEND_IMM && t_chance(rng, 500))
		draw_inline(plan);
	plan->solicited = consumes(plan->kind) && t_chance(rng, 300);
}

/* Order what the specification leaves open. */
static void fence_hazards(struct plan *plan)
{
	struct sim_end *end = plan->end;
	bool fills = plan->kind == READ || is_atomic(plan->kind);
	bool writes = plan->kind <= WRITE_IMM || is_atomic(plan->kind);
	bool uses_sink = !fills && plan->len && plan->local == SIM_SINK;

	if ((writes && end->reads_target) || (uses_sink && end->fills_sink))
		if (plan->fence < HW_FENCE_FENCE)
			plan->fence = HW_FENCE_FENCE +
				      (uint8_t)t_below(&plan->sim->rng, 3);
	if (plan->fence >= HW_FENCE_FENCE)
		end->reads_target = end->fills_sink = false;
	end->fills_sink |= fills;
	end->reads_target |= plan->kind == READ && plan->remote >= SIM_TARGET;
}

/* -------------------------------------------------------------- the WQE */

static void add_atomic(struct plan *plan)
{
	struct t_qp *qp = &plan->end->qp;
	struct hw_wqe_atomic plain =
		hw_wqe_atomic_encode(plan->args.swap_add, plan->args.compare);
	struct hw_wqe_masked_fa_4 fa4 = hw_wqe_masked_fa_4_encode(&plan->args);
	struct hw_wqe_masked_cs_4 cs4 = hw_wqe_masked_cs_4_encode(&plan->args);
	struct hw_wqe_masked_fa_8 fa8 = hw_wqe_masked_fa_8_encode(&plan->args);
	struct hw_wqe_masked_cs_8 cs8 = hw_wqe_masked_cs_8_encode(&plan->args);
	bool is4 = plan->operand_bytes == 4;

	if (plan->kind == MASKED_CAS && is4)
		t_segment(qp, &cs4, sizeof(cs4));
	else if (plan->kind == MASKED_CAS)
		t_segment(qp, &cs8, sizeof(cs8));
	else if (plan->kind == MASKED_ADD && is4)
		t_segment(qp, &fa4, sizeof(fa4));
	else if (plan->kind == MASKED_ADD)
		t_segment(qp, &fa8, sizeof(fa8));
	else
		t_segment(qp, &plain, sizeof(plain));
}

static unsigned node_index(const struct sim *sim, const struct t_node *node)
{
	return (unsigned)(node - sim->nodes);
}

/* Both keys of an end stand for the same memory. */
static uint32_t any_key(struct sim *sim, const struct sim_end *end)
{
	return t_chance(&sim->rng, 500) ? end->key : end->indirect_key;
}

static void add_raddr(struct plan *plan)
{
	struct sim_end *peer = plan->end->peer;
	unsigned node = node_index(plan->sim, peer->node);

	if (plan->kind == SHARED_ADD)
		t_raddr(&plan->end->qp, plan->sim->shared[node],
			plan->sim->shared_key[node]);
	else
		t_raddr(&plan->end->qp, peer->arena + plan->remote,
			any_key(plan->sim, peer));
}

/* In steps of 8 bytes, so that no atomic is cut in two. */
void t_sim_cut(struct sim *sim, const struct sim_end *end,
	       struct hw_klm list[SIM_CUTS])
{
	uint32_t left = SIM_ARENA, at = 0, len, i;

	for (i = 0; i < SIM_CUTS; i++) {
		len = 8 + t_below(&sim->rng, left / 8 / 2) * 8;
		if (i == SIM_CUTS - 1)
			len = left;
		list[i] = hw_klm_encode(len, end->key,
					(uintptr_t)end->arena + at);
		at += len;
		left -= len;
	}
}

/* The list of the indirect key anew, for the same memory. */
static void add_umr(struct plan *plan)
{
	struct hw_umr_ctrl_info info = {.flags = HW_UMR_INLINE |
						 HW_UMR_MUST_NOT_BE_FREE,
					.octwords = SIM_CUTS};
	struct hw_umr_ctrl ctrl = hw_umr_ctrl_encode(&info);
	const uint8_t mkc[HW_MKC_BYTES] = {0};
	struct t_qp *qp = &plan->end->qp;
	struct hw_klm list[SIM_CUTS];

	t_sim_cut(plan->sim, plan->end, list);
	t_imm(qp, plan->end->indirect_key);
	t_segment(qp, &ctrl, sizeof(ctrl));
	t_segment(qp, mkc, sizeof(mkc));
	t_segment(qp, list, sizeof(list));
}

/* Into qp->wqe only. */
static void build(struct plan *plan)
{
	struct sim_end *end = plan->end;
	uint8_t opcode = opcode_of(plan->kind), opmod = 0;
	unsigned i;

	if (plan->kind == MASKED_CAS || plan->kind == MASKED_ADD)
		opmod = plan->operand_bytes == 4 ? HW_OPMOD_ATOMIC_4B
						 : HW_OPMOD_ATOMIC_8B;
	t_begin(&end->qp, opcode, opmod, 0);
	t_imm(&end->qp, plan->imm);
	if (hw_wqe_op(opcode).flags & HW_OPF_RADDR)
		add_raddr(plan);
	if (is_atomic(plan->kind))
		add_atomic(plan);
	if (plan->kind == RECUT)
		add_umr(plan);
	for (i = 0; i < plan->pieces; i++)
		if (plan->inline_mask >> i & 1)
			t_inline(&end->qp, end->model + plan->at[i],
				 plan->bytes[i]);
		else
			t_data(&end->qp, end->arena + plan->at[i],
			       plan->bytes[i], any_key(plan->sim, end));
}

/* ------------------------------------------------------------ the model */

static uint64_t masked_add(uint64_t a, uint64_t b, uint64_t tops, unsigned bits)
{
	uint64_t sum = 0, carry = 0, bit;
	unsigned i;

	for (i = 0; i < bits; i++) {
		bit = (a >> i & 1) + (b >> i & 1) + carry;
		sum |= (bit & 1) << i;
		carry = tops >> i & 1 ? 0 : bit >> 1;
	}
	return sum;
}

static void model_atomic(const struct plan *plan)
{
	const struct hw_atomic_args *args = &plan->args;
	uint8_t *target = plan->end->peer->model + plan->remote;
	uint64_t old = 0, new, result;
	unsigned bytes = plan->operand_bytes;

	if (plan->kind == SHARED_ADD) {
		plan->end->added += args->swap_add;
		return;
	}
	memcpy(&old, target, bytes);
	if (plan->kind == ADD)
		new = old + args->swap_add;
	else if (plan->kind == MASKED_ADD)
		new = masked_add(old, args->swap_add, args->compare, bytes * 8);
	else if ((old ^ args->compare) & args->compare_mask &
		 (bytes == 4 ? 0xffffffffu : ~0ull))
		new = old;
	else
		new = (old & ~args->swap_mask) |
		      (args->swap_add & args->swap_mask);
	memcpy(target, &new, bytes);
	/* 4-byte results arrive big-endian, as they do on the device. */
	result = bytes == 4 ? hw_swap32((uint32_t)old) : old;
	memcpy(plan->end->model + plan->at[0], &result, bytes);
}

static void model_scatter(const struct plan *plan, const uint8_t *bytes)
{
	unsigned i;

	for (i = 0; i < plan->pieces; i++) {
		memcpy(plan->end->model + plan->at[i], bytes, plan->bytes[i]);
		bytes += plan->bytes[i];
	}
}

static void model_gather(const struct plan *plan, uint8_t *bytes)
{
	unsigned i;

	for (i = 0; i < plan->pieces; i++) {
		memcpy(bytes, plan->end->model + plan->at[i], plan->bytes[i]);
		bytes += plan->bytes[i];
	}
}

static void apply(const struct plan *plan)
{
	struct sim_end *end = plan->end, *peer = end->peer;
	static uint8_t bytes[SIM_REGION];
	uint32_t slot = end->sends_made % SIM_SLOTS;

	if (is_atomic(plan->kind)) {
		model_atomic(plan);
	} else if (plan->kind == READ) {
		memcpy(bytes, peer->model + plan->remote, plan->len);
		model_scatter(plan, bytes);
	} else if (plan->kind <= WRITE_IMM) {
		model_gather(plan, bytes);
		memcpy(peer->model + plan->remote, bytes, plan->len);
	} else if (plan->kind <= SEND_IMM) {
		model_gather(plan, peer->model + SIM_INBOX + slot * SIM_SLOT);
	}
}

/* ----------------------------------------------------------- posting */

static void expect(struct sim_queue *queue, const struct sim_expect *entry)
{
	assert_true(queue->tail - queue->head < SIM_EXPECTED);
	queue->entry[queue->tail++ % SIM_EXPECTED] = *entry;
}

static void expect_recv(struct plan *plan)
{
	struct sim_end *end = plan->end;
	uint32_t counter = plan->sim->options.start_counter + end->sends_made;
	struct sim_expect entry = {.wqe_counter = (uint16_t)counter,
				   .byte_cnt = plan->len,
				   .solicited = plan->solicited};

	if (plan->kind == WRITE_IMM)
		entry.opcode = HW_CQE_RESP_WR_IMM;
	else
		entry.opcode = plan->kind == SEND ? HW_CQE_RESP_SEND
						  : HW_CQE_RESP_SEND_IMM;
	entry.imm = plan->kind == SEND ? 0 : plan->imm;
	expect(&end->peer->recvs, &entry);
	end->sends_made++;
}

/* Fences, signaling, and into the ring. */
static void finish(struct plan *plan, uint32_t room)
{
	struct sim_end *end = plan->end;
	struct t_rng *rng = &plan->sim->rng;
	uint8_t ce = (uint8_t)t_below(rng, 4);
	struct sim_expect entry = {.wqe_opcode = opcode_of(plan->kind),
				   .byte_cnt = plan->len};

	/* Nobody could post any more if nothing told of free room. */
	if (room < 2 * BLOCKS_MAX || !end->left || t_chance(rng, 300))
		ce = HW_CE_ALWAYS;
	end->qp.wqe[11] = hw_fm_ce_se((enum hw_fence)plan->fence,
				      (enum hw_ce)ce, plan->solicited);
	entry.wqe_counter = t_end(&end->qp);
	entry.sq_after = end->qp.sq_pi;
	entry.solicited = ce == HW_CE_CQE_AND_EQE;
	if (ce >= HW_CE_ALWAYS)
		expect(&end->sends, &entry);
}

bool t_sim_post(struct sim *sim, struct sim_end *end)
{
	uint32_t room = end->qp.sq_size - (end->qp.sq_pi - end->sq_ci);
	struct plan plan = {.sim = sim, .end = end};
	uint32_t blocks, most = room < BLOCKS_MAX ? room : BLOCKS_MAX;

	if (!end->left || !room ||
	    end->peer->recvs.tail - end->peer->recvs.head == SIM_EXPECTED)
		return false;
	draw(&plan);
	build(&plan);
	blocks = hw_wqe_bbs(end->qp.wqe_bytes / HW_WQE_DS);
	if (blocks > most)
		return false;
	end->left--;
	fence_hazards(&plan);
	apply(&plan);
	if (consumes(plan.kind))
		expect_recv(&plan);
	finish(&plan, room);
	return true;
}

bool t_sim_post_recv(struct sim *sim, struct sim_end *end)
{
	struct t_qp *qp = &end->qp;
	uint32_t made = qp->rq_pi - sim->options.start_counter;
	uint32_t cut = 1 + t_below(&sim->rng, SIM_SLOT - 1);
	uint8_t *buffer = end->arena + SIM_INBOX + made % SIM_SLOTS * SIM_SLOT;
	struct hw_wqe_data segs[3] = {
		hw_wqe_data_encode(cut, any_key(sim, end), (uintptr_t)buffer),
		hw_wqe_data_encode(SIM_SLOT - cut, any_key(sim, end),
				   (uintptr_t)buffer + cut),
		hw_wqe_data_encode(0, HW_LKEY_INVALID, 0),
	};
	uint32_t used = made - end->recvs_taken;

	if (used == qp->rq_size || used == SIM_SLOTS)
		return false;
	memcpy(qp->rq + (size_t)(qp->rq_pi & (qp->rq_size - 1)) * qp->rq_stride,
	       segs, sizeof(segs));
	qp->rq_pi++;
	__atomic_store_n(&qp->dbrec->word[HW_DBR_RCV].raw,
			 hw_dbrec_encode(qp->rq_pi).raw, __ATOMIC_RELEASE);
	return true;
}
