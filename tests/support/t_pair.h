/* SPDX-License-Identifier: MIT */
/*
 * Two NICs on a loop wire, a connected QP and a CQ on each, memory with a key:
 * what most tests of the data path start from.
 */
#ifndef T_PAIR_H
#define T_PAIR_H

#include "support/t_nic.h"

enum { T_PAIR_BYTES = 4 << 20 }; /* several packets of the loop wire */

struct t_pair {
	struct wire_loop_fabric *fabric;
	struct t_node node[2];
	struct t_cq cq[2];
	struct t_qp qp[2];
	uint8_t *memory[2];
	uint32_t key[2];
};

struct t_pair_options {
	struct nic_config config;
	struct t_cq_options cq;
	struct t_qp_options qp;
	const struct t_connect *connect; /* NULL: as t_connect has it */
	bool unconnected;
};

/* 64 CQEs, 64 send blocks, 16 receive WQEs of 4 entries. */
extern const struct t_pair_options t_pair_defaults;

struct t_pair *t_pair_open(const struct t_pair_options *options);
void t_pair_close(struct t_pair *p);

/* cmocka fixtures, with the defaults */
int t_pair_setup(void **state);
int t_pair_teardown(void **state);

#define T_PAIR_TEST(name)                                                      \
	cmocka_unit_test_setup_teardown(name, t_pair_setup, t_pair_teardown)

/* Step both NICs until they are idle. */
void t_pair_run(struct t_pair *p);

/* Both QPs through RST and to RTS again, connected. */
void t_pair_reconnect(struct t_pair *p);

/* Bytes that depend on seed and position. */
void t_fill(uint8_t *memory, size_t len, unsigned seed);

/* The next CQE is this one. */
void t_expect(struct t_cq *cq, uint8_t opcode, uint16_t index);
void t_expect_error(struct t_cq *cq, uint8_t opcode, uint16_t index,
		    uint8_t syndrome);
/* There is none. */
void t_expect_none(struct t_cq *cq);

/* A signaled RDMA_WRITE or RDMA_READ of len bytes, QP 0 to QP 1: both start
 * at offset 0 of their memory. */
uint16_t t_pair_rdma(struct t_pair *p, uint8_t opcode, uint32_t len);

/* The pair still carries data: one write that arrives and completes. */
void t_pair_works(struct t_pair *p);

/* The atomics: operands first, then the data segment for the result. */
struct t_atomic {
	uint8_t opcode, opmod;
	struct hw_atomic_args args;
};

uint16_t t_pair_atomic(struct t_pair *p, const struct t_atomic *atomic,
		       void *target, void *result);

#endif
