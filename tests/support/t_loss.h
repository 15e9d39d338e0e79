/* SPDX-License-Identifier: MIT */
/*
 * Two NICs on a lossy wire with one connected queue pair, where a test says
 * which packet is lost, repeated or late.
 */
#ifndef T_LOSS_H
#define T_LOSS_H

#include "support/t_lossy.h"
#include "support/t_pair.h"

enum {
	T_LOSS_MTU = 256,
	T_LOSS_BYTES = 1 << 16,
	T_SECOND = 1000000000,
	T_LOSS_SEEN = 4096,
};

struct t_loss {
	struct t_lossy net;
	struct t_node node[2];
	struct t_cq cq[2];
	struct t_qp qp[2];
	uint8_t *memory[2];
	uint32_t key[2];
	struct t_sight seen[T_LOSS_SEEN]; /* every packet that was sent */
	unsigned count;
	/* Packets of this opcode, except the first `skip`, `times` long. */
	uint8_t opcode;
	unsigned skip, times;
	enum t_fate fate;
	unsigned jam_at; /* the wire is full after so many packets */
};

extern const struct t_connect t_loss_defaults;

struct t_loss *t_loss_open(const struct t_connect *connect);
int t_loss_setup(void **state);
int t_loss_teardown(void **state);
void t_loss_lose(struct t_loss *l, uint8_t opcode, unsigned skip,
		 unsigned times);
void t_loss_run(struct t_loss *l, uint64_t ns);
unsigned t_loss_sent(const struct t_loss *l, uint8_t opcode);
const struct t_sight *t_loss_nth(const struct t_loss *l, uint8_t opcode,
				 unsigned n);
struct nic_counters t_loss_counters(struct t_loss *l, unsigned node);
uint16_t t_loss_rdma(struct t_loss *l, uint8_t opcode, uint32_t offset,
		     uint32_t len);
uint16_t t_loss_add(struct t_loss *l, uint64_t value);
uint16_t t_loss_send(struct t_loss *l, uint32_t len);
void t_loss_inject_ack(struct t_loss *l, uint32_t psn, uint8_t syndrome);

#define T_LOSS_TEST(name)                                                      \
	cmocka_unit_test_setup_teardown(name, t_loss_setup, t_loss_teardown)

#endif
