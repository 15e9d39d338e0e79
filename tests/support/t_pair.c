/* SPDX-License-Identifier: MIT */
/*
 * Two connected NICs, see t_pair.h.
 */
#include "support/t_pair.h"

#include <stdlib.h>

const struct t_pair_options t_pair_defaults = {
	.cq = {.log_size = 6},
	.qp = {.log_sq_size = 6,
	       .log_rq_size = 4,
	       .log_rq_stride = 2,
	       .rq_type = HW_RQ_REGULAR},
};

struct t_pair *t_pair_open(const struct t_pair_options *options)
{
	struct t_pair *p = calloc(1, sizeof(*p));
	int i;

	assert_non_null(p);
	p->fabric = wire_loop_create();
	for (i = 0; i < 2; i++) {
		t_node_open(&p->node[i], &options->config, p->fabric);
		t_cq_create(&p->node[i], &p->cq[i], &options->cq);
		t_qp_create(&p->node[i], &p->qp[i], &p->cq[i], &p->cq[i],
			    &options->qp);
		p->memory[i] = t_alloc(T_PAIR_BYTES);
		p->key[i] = t_mr(&p->node[i], p->memory[i], T_PAIR_BYTES);
	}
	if (!options->unconnected)
		t_connect(&p->qp[0], &p->qp[1], options->connect);
	return p;
}

void t_pair_close(struct t_pair *p)
{
	int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(t_qp_destroy(&p->qp[i]), 0);
		assert_int_equal(t_cq_destroy(&p->cq[i]), 0);
		t_node_close(&p->node[i]);
		t_free(p->memory[i]);
	}
	wire_loop_release(p->fabric);
	free(p);
}

int t_pair_setup(void **state)
{
	*state = t_pair_open(&t_pair_defaults);
	return 0;
}

int t_pair_teardown(void **state)
{
	t_pair_close(*state);
	return 0;
}

void t_pair_run(struct t_pair *p)
{
	t_run(p->node, 2);
}

void t_pair_reconnect(struct t_pair *p)
{
	int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(
			t_modify(&p->qp[i], HW_CMD_2RST_QP, NULL, NULL), 0);
		t_qp_rewind(&p->qp[i]);
	}
	t_connect(&p->qp[0], &p->qp[1], NULL);
}

void t_fill(uint8_t *memory, size_t len, unsigned seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		memory[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

void t_expect(struct t_cq *cq, uint8_t opcode, uint16_t index)
{
	struct hw_cqe_info info;

	assert_true(t_poll(cq, &info));
	if (hw_cqe_is_error(info.opcode) && !hw_cqe_is_error(opcode))
		fail_msg("syndrome 0x%02x: %s", info.syndrome, cq->node->log);
	assert_int_equal(info.opcode, opcode);
	assert_int_equal(info.wqe_counter, index);
}

void t_expect_error(struct t_cq *cq, uint8_t opcode, uint16_t index,
		    uint8_t syndrome)
{
	struct hw_cqe_info info;

	assert_true(t_poll(cq, &info));
	assert_int_equal(info.opcode, opcode);
	assert_int_equal(info.syndrome, syndrome);
	assert_int_equal(info.wqe_counter, index);
}

void t_expect_none(struct t_cq *cq)
{
	struct hw_cqe_info info;

	assert_false(t_poll(cq, &info));
}

uint16_t t_pair_rdma(struct t_pair *p, uint8_t opcode, uint32_t len)
{
	return t_rdma(&p->qp[0], opcode, p->memory[0], p->key[0], p->memory[1],
		      p->key[1], len);
}

void t_pair_works(struct t_pair *p)
{
	static unsigned seed;
	uint16_t index;

	t_fill(p->memory[0], 5000, ++seed);
	index = t_pair_rdma(p, HW_OP_RDMA_WRITE, 5000);
	t_ring(&p->qp[0]);
	t_pair_run(p);
	t_expect(&p->cq[0], HW_CQE_REQ, index);
	assert_memory_equal(p->memory[0], p->memory[1], 5000);
}

static void masked_segment(struct t_qp *qp, const struct t_atomic *atomic)
{
	struct hw_wqe_masked_cs_4 cs4 =
		hw_wqe_masked_cs_4_encode(&atomic->args);
	struct hw_wqe_masked_cs_8 cs8 =
		hw_wqe_masked_cs_8_encode(&atomic->args);
	struct hw_wqe_masked_fa_4 fa4 =
		hw_wqe_masked_fa_4_encode(&atomic->args);
	struct hw_wqe_masked_fa_8 fa8 =
		hw_wqe_masked_fa_8_encode(&atomic->args);
	bool is4 = atomic->opmod == HW_OPMOD_ATOMIC_4B;

	if (atomic->opcode == HW_OP_MASKED_CS && is4)
		t_segment(qp, &cs4, sizeof(cs4));
	else if (atomic->opcode == HW_OP_MASKED_CS)
		t_segment(qp, &cs8, sizeof(cs8));
	else if (is4)
		t_segment(qp, &fa4, sizeof(fa4));
	else
		t_segment(qp, &fa8, sizeof(fa8));
}

uint16_t t_pair_atomic(struct t_pair *p, const struct t_atomic *atomic,
		       void *target, void *result)
{
	bool masked = atomic->opcode == HW_OP_MASKED_CS ||
		      atomic->opcode == HW_OP_MASKED_FA;
	struct hw_wqe_atomic plain = hw_wqe_atomic_encode(atomic->args.swap_add,
							  atomic->args.compare);
	struct t_qp *qp = &p->qp[0];

	t_begin(qp, atomic->opcode, atomic->opmod, T_SIGNALED);
	t_raddr(qp, target, p->key[1]);
	if (masked)
		masked_segment(qp, atomic);
	else
		t_segment(qp, &plain, sizeof(plain));
	t_data(qp, result, atomic->opmod == HW_OPMOD_ATOMIC_4B ? 4 : 8,
	       p->key[0]);
	return t_end(qp);
}
