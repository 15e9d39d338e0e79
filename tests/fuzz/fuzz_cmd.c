/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: any command mailboxes, with memory and steps in between.
 *
 * Input, repeated: operation byte, then what it takes. Mailboxes start as
 * valid ones that name the newest objects, and the input changes bytes; or
 * they come from the input as a whole.
 * Oracle: every mailbox is answered with a known status, and a syndrome if it
 * was refused; nothing is written behind the answer; objects come and go as
 * the answers say; nic_destroy frees what is left.
 */
#include "fuzz.h"
#include "hw/cmd_xrc.h"

enum op {
	OP_RAW = 0x80,	/* length (1), bytes */
	OP_STEP,	/* time in ms */
	OP_POKE,	/* offset (2), value: a byte of client memory */
	OP_UMEM,	/* register another one */
	OP_UMEM_REMOVE, /* id */
	OP_UAR_REMOVE,	/* index */
	OPS
};

enum {
	MEMORY = 64 << 10,
	OPERATIONS_MAX = 100,
	IN_MAX = 0x200,
	CANARY = 0xa7,
};

struct state {
	struct nic *nic;
	uint8_t *memory, *uar;
	uint64_t now_ns;
	struct nic_usage usage; /* as the answers say */
	uint32_t pd, umem, uar_index, cqn, qpn, rmpn, mkey;
	uint32_t xrcd, xrc_srqn;
};

static void attach_objects(struct state *s)
{
	struct nic_mem mem;

	s->memory = t_alloc(MEMORY);
	s->uar = t_alloc(HW_UAR_BYTES);
	mem = (struct nic_mem){.addr = s->memory, .len = MEMORY};
	REQUIRE(!nic_umem_register(s->nic, &mem, &s->umem));
	REQUIRE(!nic_uar_alloc(s->nic, s->uar, NIC_UAR_BF, &s->uar_index));
	s->usage.umems = s->usage.uars = 1;
}

/* ------------------------------------------------------------ templates */

static void cq_template(struct state *s, uint8_t *in)
{
	uint8_t *cqc = in + HW_CQC_OFFSET;

	hw_set(in, HW_CREATE_CQ_UMEM_ID, s->umem);
	hw_set64(in, HW_CREATE_CQ_UMEM_OFFSET, 0x2000);
	hw_set(cqc, HW_CQC_LOG_CQ_SIZE, 4);
	hw_set(cqc, HW_CQC_UAR_PAGE, s->uar_index);
	hw_set(cqc, HW_CQC_DBR_UMEM_ID, s->umem);
	hw_set64(cqc, HW_CQC_DBR_ADDR, 0x1000);
}

static void qp_template(struct state *s, uint8_t *in)
{
	uint8_t *qpc = in + HW_QPC_OFFSET;
	uint8_t *ads = qpc + HW_QPC_PATH;

	hw_set(in, HW_CREATE_QP_UMEM_ID, s->umem);
	hw_set64(in, HW_CREATE_QP_UMEM_OFFSET, 0x4000);
	hw_set(qpc, HW_QPC_PM_STATE, HW_PM_MIGRATED);
	hw_set(qpc, HW_QPC_PD, s->pd);
	hw_set(qpc, HW_QPC_LOG_SQ_SIZE, 3);
	hw_set(qpc, HW_QPC_LOG_RQ_SIZE, 3);
	hw_set(qpc, HW_QPC_UAR_PAGE, s->uar_index);
	hw_set(qpc, HW_QPC_CQN_SND, s->cqn);
	hw_set(qpc, HW_QPC_CQN_RCV, s->cqn);
	hw_set(qpc, HW_QPC_SRQN_RMPN, s->rmpn);
	hw_set(qpc, HW_QPC_XRCD, s->xrcd);
	hw_set(qpc, HW_QPC_DBR_UMEM_ID, s->umem);
	hw_set64(qpc, HW_QPC_DBR_ADDR, 0x1040);
	hw_set(qpc, HW_QPC_MTU, 5);
	hw_set(qpc, HW_QPC_LOG_MSG_MAX, 30);
	hw_set(qpc, HW_QPC_REMOTE_QPN, s->qpn);
	hw_set(qpc, HW_QPC_LOG_SRA_MAX, 4);
	hw_set(qpc, HW_QPC_LOG_RRA_MAX, 4);
	hw_set(ads, HW_ADS_PORT, 1);
	hw_set(ads, HW_ADS_RLID, 1);
	hw_set(ads, HW_ADS_ACK_TIMEOUT, 8);
}

static void mkey_template(struct state *s, uint8_t *in)
{
	uint8_t *mkc = in + HW_MKC_OFFSET;

	hw_set(in, HW_CREATE_MKEY_UMEM_ID, s->umem);
	hw_set(mkc, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_MTT);
	hw_set(mkc, HW_MKC_LR, 1);
	hw_set(mkc, HW_MKC_LW, 1);
	hw_set(mkc, HW_MKC_QPN, HW_MKC_QPN_ANY);
	hw_set(mkc, HW_MKC_PD, s->pd);
	hw_set64(mkc, HW_MKC_START_ADDR, FUZZ_IOVA);
	hw_set64(mkc, HW_MKC_LEN, 0x1000);
}

static void rmp_template(struct state *s, uint8_t *in)
{
	uint8_t *rmpc = in + HW_RMPC_OFFSET, *wq = rmpc + HW_RMPC_WQ;

	hw_set(rmpc, HW_RMPC_STATE, HW_RMPC_STATE_RDY);
	hw_set(rmpc, HW_RMPC_BASIC_CYCLIC_RCV_WQE, 1);
	hw_set(wq, HW_WQ_TYPE, HW_WQ_CYCLIC);
	hw_set(wq, HW_WQ_PD, s->pd);
	hw_set(wq, HW_WQ_LOG_WQ_STRIDE, 4);
	hw_set(wq, HW_WQ_LOG_WQ_SZ, 3);
	hw_set(wq, HW_WQ_DBR_UMEM_ID, s->umem);
	hw_set64(wq, HW_WQ_DBR_ADDR, 0x1080);
	hw_set(wq, HW_WQ_WQ_UMEM_ID, s->umem);
	hw_set64(wq, HW_WQ_WQ_UMEM_OFFSET, 0x6000);
}

static void xrc_srq_template(struct state *s, uint8_t *in)
{
	uint8_t *ctx = in + HW_XRC_SRQC_OFFSET;

	hw_set(in, HW_CREATE_XRC_SRQ_UMEM_ID, s->umem);
	hw_set64(in, HW_CREATE_XRC_SRQ_UMEM_OFFSET, 0x7000);
	hw_set(ctx, HW_XRC_SRQC_LOG_SIZE, 3);
	hw_set(ctx, HW_XRC_SRQC_LOG_RQ_STRIDE, 1);
	hw_set(ctx, HW_XRC_SRQC_XRCD, s->xrcd);
	hw_set(ctx, HW_XRC_SRQC_CQN, s->cqn);
	hw_set(ctx, HW_XRC_SRQC_PD, s->pd);
	hw_set(ctx, HW_XRC_SRQC_DBR_UMEM_ID, s->umem);
	hw_set64(ctx, HW_XRC_SRQC_DBR_ADDR, 0x10c0);
}

static const uint16_t opcodes[] = {
	HW_CMD_QUERY_HCA_CAP,	HW_CMD_CREATE_MKEY,
	HW_CMD_QUERY_MKEY,	HW_CMD_DESTROY_MKEY,
	HW_CMD_CREATE_CQ,	HW_CMD_DESTROY_CQ,
	HW_CMD_QUERY_CQ,	HW_CMD_CREATE_QP,
	HW_CMD_DESTROY_QP,	HW_CMD_RST2INIT_QP,
	HW_CMD_INIT2RTR_QP,	HW_CMD_RTR2RTS_QP,
	HW_CMD_RTS2RTS_QP,	HW_CMD_2ERR_QP,
	HW_CMD_2RST_QP,		HW_CMD_QUERY_QP,
	HW_CMD_INIT2INIT_QP,	HW_CMD_QUERY_ROCE_ADDRESS,
	HW_CMD_ALLOC_PD,	HW_CMD_DEALLOC_PD,
	HW_CMD_QUERY_LAG,	HW_CMD_CREATE_RMP,
	HW_CMD_DESTROY_RMP,	HW_CMD_QUERY_RMP,
	HW_CMD_MODIFY_RMP,	HW_CMD_SQERR2RTS_QP,
	HW_CMD_MODIFY_CQ,	HW_CMD_ALLOC_XRCD,
	HW_CMD_DEALLOC_XRCD,	HW_CMD_CREATE_XRC_SRQ,
	HW_CMD_QUERY_XRC_SRQ,	HW_CMD_ARM_XRC_SRQ,
	HW_CMD_DESTROY_XRC_SRQ, HW_CMD_QUERY_SPECIAL_CONTEXTS,
};

static uint32_t newest(const struct state *s, uint16_t opcode)
{
	switch (opcode) {
	case HW_CMD_QUERY_MKEY:
	case HW_CMD_DESTROY_MKEY:
		return s->mkey;
	case HW_CMD_QUERY_CQ:
	case HW_CMD_MODIFY_CQ:
	case HW_CMD_DESTROY_CQ:
		return s->cqn;
	case HW_CMD_DEALLOC_PD:
		return s->pd;
	case HW_CMD_DESTROY_RMP:
	case HW_CMD_QUERY_RMP:
	case HW_CMD_MODIFY_RMP:
		return s->rmpn;
	case HW_CMD_DESTROY_XRC_SRQ:
	case HW_CMD_QUERY_XRC_SRQ:
	case HW_CMD_ARM_XRC_SRQ:
		return s->xrc_srqn;
	case HW_CMD_DEALLOC_XRCD:
		return s->xrcd;
	default:
		return s->qpn;
	}
}

static void make_template(struct state *s, uint16_t opcode, uint8_t *in)
{
	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	switch (opcode) {
	case HW_CMD_CREATE_MKEY:
		mkey_template(s, in);
		return;
	case HW_CMD_CREATE_CQ:
		cq_template(s, in);
		return;
	case HW_CMD_CREATE_RMP:
		rmp_template(s, in);
		return;
	case HW_CMD_CREATE_QP:
		qp_template(s, in);
		return;
	case HW_CMD_CREATE_XRC_SRQ:
		xrc_srq_template(s, in);
		return;
	case HW_CMD_ARM_XRC_SRQ:
		hw_set(in, HW_CMD_IN_OP_MOD, HW_ARM_XRC_SRQ_OP_MOD);
		break;
	case HW_CMD_MODIFY_RMP:
		rmp_template(s, in);
		hw_set(in, HW_MODIFY_RMP_STATE, HW_RMPC_STATE_RDY);
		hw_set(in, HW_MODIFY_RMP_BITMASK_LWM, 1);
		break;
	case HW_CMD_MODIFY_CQ:
		cq_template(s, in);
		hw_set(in, HW_CMD_IN_OP_MOD, HW_MODIFY_CQ_RESIZE);
		hw_set(in, HW_MODIFY_CQ_FIELD_SELECT, HW_CQ_RESIZE_LOG_SIZE);
		hw_set64(in, HW_CREATE_CQ_UMEM_OFFSET, 0x3000);
		break;
	case HW_CMD_SQERR2RTS_QP:
	case HW_CMD_RST2INIT_QP:
	case HW_CMD_INIT2INIT_QP:
	case HW_CMD_INIT2RTR_QP:
	case HW_CMD_RTR2RTS_QP:
	case HW_CMD_RTS2RTS_QP:
		qp_template(s, in);
		break;
	default:
		break;
	}
	hw_set(in, HW_CMD_IN_NUMBER, newest(s, opcode));
}

/* --------------------------------------------------------------- oracle */

/* The count that an executed command changes, and by how much. */
static void follow(struct state *s, uint16_t opcode, const uint8_t *out)
{
	const struct {
		uint16_t create, destroy;
		uint32_t *count, *newest;
	} kinds[] = {
		{HW_CMD_CREATE_MKEY, HW_CMD_DESTROY_MKEY, &s->usage.mkeys,
		 &s->mkey},
		{HW_CMD_CREATE_CQ, HW_CMD_DESTROY_CQ, &s->usage.cqs, &s->cqn},
		{HW_CMD_CREATE_QP, HW_CMD_DESTROY_QP, &s->usage.qps, &s->qpn},
		{HW_CMD_ALLOC_PD, HW_CMD_DEALLOC_PD, &s->usage.pds, &s->pd},
		{HW_CMD_CREATE_RMP, HW_CMD_DESTROY_RMP, &s->usage.rmps,
		 &s->rmpn},
		{HW_CMD_CREATE_XRC_SRQ, HW_CMD_DESTROY_XRC_SRQ, &s->usage.rmps,
		 &s->xrc_srqn},
		{HW_CMD_ALLOC_XRCD, HW_CMD_DEALLOC_XRCD, &s->usage.xrcds,
		 &s->xrcd},
	};
	unsigned i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (opcode == kinds[i].destroy)
			--*kinds[i].count;
		if (opcode != kinds[i].create)
			continue;
		++*kinds[i].count;
		*kinds[i].newest = hw_get(out, HW_CMD_OUT_NUMBER);
	}
}

static void command(struct state *s, const uint8_t *in, size_t in_len,
		    size_t out_len)
{
	uint8_t *copy = malloc(in_len + !in_len), *out = malloc(out_len + 16);
	uint32_t status, syndrome;
	unsigned i;

	REQUIRE(copy && out);
	memcpy(copy, in, in_len); /* so that one byte too many is noticed */
	memset(out, CANARY, out_len + 16);
	REQUIRE(!nic_cmd(s->nic, copy, in_len, out, out_len));
	for (i = 0; i < 16; i++)
		REQUIRE(out[out_len + i] == CANARY);
	status = hw_get(out, HW_CMD_OUT_STATUS);
	syndrome = hw_get(out, HW_CMD_OUT_SYNDROME);
	REQUIRE(hw_cmd_status_name((uint8_t)status)[0] != '?');
	REQUIRE(status || !syndrome);
	if (!status) {
		REQUIRE(in_len >= HW_CMD_HDR_BYTES);
		follow(s, (uint16_t)hw_get(in, HW_CMD_IN_OPCODE), out);
	} else if (in_len >= 4) {
		REQUIRE(syndrome >> 16 == hw_get(in, HW_CMD_IN_OPCODE));
	}
	free(copy);
	free(out);
}

static void check_usage(struct state *s)
{
	struct nic_usage usage;

	nic_get_usage(s->nic, &usage);
	REQUIRE(!memcmp(&usage, &s->usage, sizeof(usage)));
}

/* ----------------------------------------------------------- operations */

/* A template with some bytes changed. */
static void patched(struct state *s, struct fuzz_input *in, uint8_t op)
{
	uint8_t box[IN_MAX] = {0}, changes = fuzz_u8(in) % 16;
	size_t in_len = 0x110, out_len = T_OUT;
	uint16_t at;

	make_template(s, opcodes[op % (sizeof(opcodes) / sizeof(opcodes[0]))],
		      box);
	while (changes--) {
		at = fuzz_u16(in);
		if (at < IN_MAX)
			box[at] = fuzz_u8(in);
		else if (at & 1)
			in_len = at % (IN_MAX + 1);
		else
			out_len = HW_CMD_HDR_BYTES + at % T_OUT;
	}
	command(s, box, in_len, out_len);
}

static void raw(struct state *s, struct fuzz_input *in)
{
	uint8_t box[IN_MAX];
	size_t len = 2 * (size_t)fuzz_u8(in);

	fuzz_take(in, box, len);
	command(s, box, len, T_OUT);
}

static void umem(struct state *s, struct fuzz_input *in)
{
	struct nic_mem mem = {.addr = s->memory, .len = fuzz_u16(in)};
	uint32_t id;

	if (nic_umem_register(s->nic, &mem, &id))
		return;
	s->umem = id;
	s->usage.umems++;
}

static void operation(struct state *s, struct fuzz_input *in)
{
	uint8_t op = fuzz_u8(in);
	uint16_t at;

	switch (op < OP_RAW ? op : OP_RAW + op % (OPS - OP_RAW)) {
	case OP_RAW:
		raw(s, in);
		break;
	case OP_STEP:
		s->now_ns += fuzz_u8(in) * 1000000ull;
		/* Bounded: a client may keep it busy for ever. */
		for (at = 0; at < 20; at++)
			nic_step(s->nic, s->now_ns);
		break;
	case OP_POKE:
		at = fuzz_u16(in);
		(at & 0x8000 ? s->uar : s->memory)[at % HW_UAR_BYTES] =
			fuzz_u8(in);
		break;
	case OP_UMEM:
		umem(s, in);
		break;
	case OP_UMEM_REMOVE:
		s->usage.umems -= !nic_umem_deregister(s->nic, fuzz_u8(in));
		break;
	case OP_UAR_REMOVE:
		s->usage.uars -= !nic_uar_free(s->nic, fuzz_u8(in));
		break;
	default:
		patched(s, in, op);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct nic_config config = {.persona = NIC_CONNECTX_7};
	struct state s = {0};
	unsigned count = 0;

	config.persona = (enum nic_persona)(fuzz_u8(&in) % 4);
	s.nic = nic_create(&config);
	REQUIRE(s.nic);
	attach_objects(&s);
	while (in.left && count++ < OPERATIONS_MAX) {
		operation(&s, &in);
		check_usage(&s);
	}
	nic_destroy(s.nic);
	free(s.memory);
	free(s.uar);
	return 0;
}
