/* SPDX-License-Identifier: MIT */
/*
 * Two NICs on a lossy wire with one connected queue pair, see t_loss.h.
 */
#include "support/t_loss.h"

#include <stdlib.h>

static enum t_fate filter(void *arg, const struct t_sight *sight)
{
	struct t_loss *l = arg;

	assert_true(l->count < T_LOSS_SEEN);
	l->seen[l->count++] = *sight;
	if (l->count == l->jam_at)
		l->net.rates.busy = 1000;
	if (!l->times || sight->bth.opcode != l->opcode)
		return T_PASS;
	if (l->skip) {
		l->skip--;
		return T_PASS;
	}
	l->times--;
	return l->fate;
}

const struct t_connect t_loss_defaults = {.mtu = 1, /* 256 bytes */
					  .psn = 0xfffffe,
					  .peer_psn = 100,
					  .ack_timeout = 8, /* 1 ms */
					  .retries = 3,
					  .rnr_retries = 3,
					  .min_rnr_nak = 1,
					  .log_ra_max = 2};

struct t_loss *t_loss_open(const struct t_connect *connect)
{
	static const struct t_cq_options cq = {.log_size = 6};
	static const struct t_qp_options qp = {
		.log_sq_size = 6, .log_rq_size = 4, .log_rq_stride = 2};
	struct t_loss *l = calloc(1, sizeof(*l));
	unsigned i;

	assert_non_null(l);
	t_lossy_open(&l->net, 1);
	l->net.rates.delay_ns = 50000;
	l->net.filter = filter;
	l->net.filter_arg = l;
	for (i = 0; i < 2; i++) {
		t_node_open(&l->node[i], NULL, NULL);
		t_lossy_attach(&l->net, &l->node[i]);
		t_cq_create(&l->node[i], &l->cq[i], &cq);
		t_qp_create(&l->node[i], &l->qp[i], &l->cq[i], &l->cq[i], &qp);
		l->memory[i] = t_alloc(T_LOSS_BYTES);
		l->key[i] = t_mr(&l->node[i], l->memory[i], T_LOSS_BYTES);
	}
	t_connect(&l->qp[0], &l->qp[1], connect);
	return l;
}

int t_loss_setup(void **state)
{
	*state = t_loss_open(&t_loss_defaults);
	return 0;
}

int t_loss_teardown(void **state)
{
	struct t_loss *l = *state;
	unsigned i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(t_qp_destroy(&l->qp[i]), 0);
		assert_int_equal(t_cq_destroy(&l->cq[i]), 0);
		t_node_close(&l->node[i]);
		t_free(l->memory[i]);
	}
	t_lossy_close(&l->net);
	free(l);
	return 0;
}

void t_loss_lose(struct t_loss *l, uint8_t opcode, unsigned skip,
		 unsigned times)
{
	l->opcode = opcode;
	l->skip = skip;
	l->times = times;
	l->fate = T_DROP;
}

void t_loss_run(struct t_loss *l, uint64_t ns)
{
	t_lossy_run(&l->net, l->node, 2, ns);
}

unsigned t_loss_sent(const struct t_loss *l, uint8_t opcode)
{
	unsigned i, count = 0;

	for (i = 0; i < l->count; i++)
		count += l->seen[i].bth.opcode == opcode;
	return count;
}

/* The n-th packet of this opcode that was t_loss_sent. */
const struct t_sight *t_loss_nth(const struct t_loss *l, uint8_t opcode,
				 unsigned n)
{
	unsigned i;

	for (i = 0; i < l->count; i++)
		if (l->seen[i].bth.opcode == opcode && !n--)
			return &l->seen[i];
	fail_msg("no such packet 0x%02x was sent", opcode);
	return NULL;
}

struct nic_counters t_loss_counters(struct t_loss *l, unsigned node)
{
	struct nic_counters c;

	nic_get_counters(l->node[node].nic, &c);
	return c;
}

uint16_t t_loss_rdma(struct t_loss *l, uint8_t opcode, uint32_t offset,
		     uint32_t len)
{
	return t_rdma(&l->qp[0], opcode, l->memory[0] + offset, l->key[0],
		      l->memory[1] + offset, l->key[1], len);
}

uint16_t t_loss_add(struct t_loss *l, uint64_t value)
{
	struct hw_wqe_atomic seg = hw_wqe_atomic_encode(value, 0);

	t_begin(&l->qp[0], HW_OP_ATOMIC_FA, 0, T_SIGNALED);
	t_raddr(&l->qp[0], l->memory[1], l->key[1]);
	t_segment(&l->qp[0], &seg, sizeof(seg));
	t_data(&l->qp[0], l->memory[0], 8, l->key[0]);
	return t_end(&l->qp[0]);
}

uint16_t t_loss_send(struct t_loss *l, uint32_t len)
{
	t_begin(&l->qp[0], HW_OP_SEND, 0, T_SIGNALED);
	t_data(&l->qp[0], l->memory[0], len, l->key[0]);
	return t_end(&l->qp[0]);
}

/* A packet from NIC 1 to QP 0 that no NIC t_loss_sent. */
void t_loss_inject_ack(struct t_loss *l, uint32_t psn, uint8_t syndrome)
{
	struct hw_bth_info bth = {.opcode = HW_PKT_ACK,
				  .pkey = HW_PKEY_DEFAULT,
				  .qpn = l->qp[0].number,
				  .psn = psn};
	struct hw_aeth aeth = hw_aeth_encode(syndrome, 1);
	struct hw_bth raw = hw_bth_encode(&bth);
	struct nic_packet packet = {.header_len = sizeof(raw) + sizeof(aeth),
				    .peer = 1};

	memcpy(packet.header, &raw, sizeof(raw));
	memcpy(packet.header + sizeof(raw), &aeth, sizeof(aeth));
	assert_int_equal(nic_packet_in(l->node[0].nic, &packet), 0);
}
