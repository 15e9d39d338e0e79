/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: any packets at either end of a connected queue pair.
 *
 * Input, repeated: control byte, PSN offset (signed), header bytes that the
 * control byte asks for, payload length (2), payload.
 * Oracle: nothing crashes; no byte without a remote right changes; all
 * requests complete, with success or error, once; the neighbours go on.
 */
#include "fuzz.h"

enum control {
	TO_B = 1 << 0,	  /* else to A, which has requests outstanding */
	SET_PSN = 1 << 1, /* relative to the one that is expected */
	ODD_LEN = 1 << 2, /* header length from the input */
	ANY_QPN = 1 << 3, /* queue pair number from the input */
	POST = 1 << 4,	  /* A posts a request first */
	RECEIVE = 1 << 5, /* B posts a receive WQE first */
	RUN = 1 << 6,	  /* both NICs run a while behind it */
	RAW = 1 << 7,	  /* the BTH's version from the input */
};

enum { PACKETS_MAX = 64, PAYLOAD_MAX = 4096 };

struct state {
	struct fuzz_pair pair;
	struct t_lossy net;
	unsigned posted, received;
	unsigned completed, receive_completed;
};

static void attach(void *arg, struct t_node *node)
{
	t_lossy_attach(arg, node);
}

/* PSNs as QUERY_QP tells them: what this end expects next. */
static uint32_t expected_psn(struct t_qp *qp, bool response)
{
	uint8_t out[T_OUT];

	t_simple(qp->node, HW_CMD_QUERY_QP, qp->number, out);
	if (!response)
		return hw_get(out + HW_QPC_OFFSET, HW_QPC_NEXT_RCV_PSN);
	return hw_psn_add(hw_get(out + HW_QPC_OFFSET, HW_QPC_LAST_ACKED_PSN),
			  1);
}

static void drain(struct state *s)
{
	struct hw_cqe_info cqe;

	while (t_poll(&s->pair.cq[0], &cqe))
		s->completed += cqe.opcode == HW_CQE_REQ ||
				cqe.opcode == HW_CQE_REQ_ERR;
	while (t_poll(&s->pair.cq[1], &cqe))
		s->receive_completed += cqe.opcode != HW_CQE_REQ &&
					cqe.opcode != HW_CQE_REQ_ERR;
}

static void run(struct state *s, uint64_t ns)
{
	t_lossy_run(&s->net, s->pair.node, 2, ns);
	drain(s);
}

/* What A asks for depends on how much it has asked already. */
static void post(struct state *s)
{
	struct hw_wqe_atomic add = hw_wqe_atomic_encode(1, 0);
	struct t_qp *qp = &s->pair.qp[0];
	void *at = (void *)(uintptr_t)FUZZ_IOVA;
	uint32_t key = s->pair.open[0].key, rkey = s->pair.open[1].key;

	if (s->posted - s->completed >= 8)
		return;
	switch (s->posted++ % 4) {
	case 0:
		t_rdma(qp, HW_OP_RDMA_READ, at, key, at, rkey, 1000);
		break;
	case 1:
		t_rdma(qp, HW_OP_RDMA_WRITE, at, key, at, rkey, 700);
		break;
	case 2:
		t_begin(qp, HW_OP_ATOMIC_FA, 0, T_SIGNALED);
		t_raddr(qp, at, rkey);
		t_segment(qp, &add, sizeof(add));
		t_data(qp, at, 8, key);
		t_end(qp);
		break;
	default:
		t_begin(qp, HW_OP_SEND, 0, T_SIGNALED);
		t_data(qp, at, 300, key);
		t_end(qp);
		break;
	}
	t_ring(qp);
	nic_step(s->pair.node[0].nic, s->pair.node[0].now_ns);
}

static void receive(struct state *s)
{
	if (s->received - s->receive_completed >= 8)
		return;
	s->received++;
	t_post_recv(&s->pair.qp[1], (void *)(uintptr_t)FUZZ_IOVA, 2000,
		    s->pair.open[1].key);
}

/* The bytes of the input, with the fields that the control byte fixes. */
static void make_header(struct state *s, struct fuzz_input *in, uint8_t control,
			struct nic_packet *packet)
{
	struct t_qp *qp = &s->pair.qp[control & TO_B ? 1 : 0];
	struct t_qp *healthy = &s->pair.healthy[control & TO_B ? 1 : 0];
	int8_t offset = (int8_t)fuzz_u8(in);
	struct hw_bth_info bth;
	struct hw_pkt_op op;
	struct hw_bth raw;
	bool response;

	fuzz_take(in, packet->header, sizeof(packet->header));
	memcpy(&raw, packet->header, sizeof(raw));
	bth = hw_bth_decode(&raw);
	op = hw_pkt_op(bth.opcode);
	response = op.flags & HW_PKTF_RESPONSE;
	if (!(control & ANY_QPN) || bth.qpn == healthy->number)
		bth.qpn = qp->number;
	if (control & SET_PSN)
		bth.psn = hw_psn_add(expected_psn(qp, response),
				     (uint32_t)offset & HW_PSN_MASK);
	if (!(control & RAW))
		bth.version = 0;
	raw = hw_bth_encode(&bth);
	memcpy(packet->header, &raw, sizeof(raw));
	packet->header_len = op.name ? op.hdr_bytes : HW_BTH_BYTES;
	if (control & ODD_LEN)
		packet->header_len = (uint16_t)(offset & 0x7f);
}

static void inject(struct state *s, struct fuzz_input *in, uint8_t control)
{
	unsigned to = control & TO_B ? 1 : 0;
	struct nic_packet packet = {.peer = !to};

	make_header(s, in, control, &packet);
	packet.payload_len = fuzz_u16(in) % (PAYLOAD_MAX + 1);
	/* Exactly as long as it says: the sanitizer sees a byte too many. */
	packet.body_bytes = packet.payload_len;
	packet.body = malloc(packet.payload_len + !packet.payload_len);
	REQUIRE(packet.body);
	fuzz_take(in, packet.body, packet.payload_len);
	REQUIRE(!nic_packet_in(s->pair.node[to].nic, &packet));
	free(packet.body);
}

/* Every request and receive is completed once the queues are flushed. */
static void finish(struct state *s)
{
	unsigned i;

	run(s, 60000000000ull);
	for (i = 0; i < 2; i++)
		REQUIRE(t_simple(&s->pair.node[i], HW_CMD_2ERR_QP,
				 s->pair.qp[i].number, NULL) == HW_CMD_OK);
	run(s, 1000000000);
	REQUIRE(s->completed == s->posted);
	REQUIRE(s->receive_completed == s->received);
	fuzz_healthy_post(&s->pair);
	run(s, 1000000000);
	fuzz_healthy_check(&s->pair);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct t_connect connect = {.mtu = 1,
						 .psn = 0xfffff0,
						 .peer_psn = 0x10,
						 .ack_timeout = 8,
						 .retries = 2,
						 .rnr_retries = 2,
						 .min_rnr_nak = 1,
						 .log_ra_max = 2};
	struct fuzz_input in = {data, size};
	struct state *s = calloc(1, sizeof(*s));
	unsigned count = 0;
	uint8_t control;

	REQUIRE(s);
	t_lossy_open(&s->net, 1);
	fuzz_pair_open(&s->pair, attach, &s->net, &connect);
	while (in.left && count++ < PACKETS_MAX) {
		control = fuzz_u8(&in);
		if (control & POST)
			post(s);
		if (control & RECEIVE)
			receive(s);
		inject(s, &in, control);
		if (control & RUN)
			run(s, 20000);
	}
	finish(s);
	fuzz_pair_close(&s->pair);
	t_lossy_close(&s->net);
	free(s);
	return 0;
}
