/* SPDX-License-Identifier: MIT */
/*
 * hw/bth.h against the layouts of the IBTA specification (chapter 9), bit by
 * bit, and its opcode table against the sums of the extended headers.
 */
#include "layout/compare.h"
#include "hw/bth.h"

static void test_bth_lies_as_the_ibta_prints_it(void **state)
{
	struct t_rng random = t_random_start("bth");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		struct hw_bth_info in = {
			.qpn = t_random_32(&random) & 0xffffff,
			.psn = t_random_32(&random) & 0xffffff,
			.pkey = t_random_16(&random),
			.opcode = t_random_8(&random),
			.pad = t_random_8(&random) & 3,
			.solicited = t_random_8(&random) & 1,
			.ack_req = t_random_8(&random) & 1,
			.version = t_random_8(&random) & 15,
		};
		struct hw_bth bth = hw_bth_encode(&in);
		struct hw_bth_info out = hw_bth_decode(&bth);
		uint8_t expected[12] = {0};

		t_bits_set(expected, 0, 8, in.opcode);
		t_bits_set(expected, 8, 1, in.solicited);
		t_bits_set(expected, 9, 1, 1); /* MigReq: migrated */
		t_bits_set(expected, 10, 2, in.pad);
		t_bits_set(expected, 12, 4, in.version);
		t_bits_set(expected, 16, 16, in.pkey);
		t_bits_set(expected, 40, 24, in.qpn);
		t_bits_set(expected, 64, 1, in.ack_req);
		t_bits_set(expected, 72, 24, in.psn);
		assert_memory_equal(&bth, expected, sizeof(bth));
		assert_int_equal(out.opcode, in.opcode);
		assert_int_equal(out.solicited, in.solicited);
		assert_int_equal(out.pad, in.pad);
		assert_int_equal(out.version, in.version);
		assert_int_equal(out.pkey, in.pkey);
		assert_int_equal(out.qpn, in.qpn);
		assert_int_equal(out.ack_req, in.ack_req);
		assert_int_equal(out.psn, in.psn);
	}
}

/* Bits that the sender's fabric may use (FECN, BECN, reserved). */
static void test_bth_decode_ignores_reserved_bits(void **state)
{
	uint8_t bytes[12] = {0x11, 0x00, 0xff, 0xff, 0xff, 0x00,
			     0x00, 0x51, 0x7f, 0x00, 0x00, 0x64};
	struct hw_bth bth;
	struct hw_bth_info out;
	(void)state;

	memcpy(&bth, bytes, sizeof(bth));
	out = hw_bth_decode(&bth);
	assert_int_equal(out.qpn, 0x51);
	assert_int_equal(out.psn, 0x64);
	assert_int_equal(out.ack_req, 0);
}

static void test_extended_headers_lie_as_the_ibta_prints_them(void **state)
{
	struct hw_reth reth =
		hw_reth_encode(0x0102030405060708, 0x11121314, 0x21222324);
	struct hw_aeth aeth = hw_aeth_encode(0x60 | 2, 0xabcdef);
	struct hw_immdt immdt = {to_be32(0x31323334)};
	struct hw_atomic_eth atomic = {.rkey = to_be32(0x11121314)};
	struct hw_atomic_ack_eth ack;
	(void)state;

	hw_put_be64(atomic.va, 0x0102030405060708);
	hw_put_be64(atomic.swap_add, 0x4142434445464748);
	hw_put_be64(atomic.compare, 0x5152535455565758);
	hw_put_be64(ack.orig, 0x6162636465666768);
	t_assert_hex(&reth, sizeof(reth),
		     "01 02 03 04  05 06 07 08  11 12 13 14  21 22 23 24");
	t_assert_hex(&aeth, sizeof(aeth), "62 ab cd ef");
	t_assert_hex(&immdt, sizeof(immdt), "31 32 33 34");
	t_assert_hex(&atomic, sizeof(atomic),
		     "01 02 03 04  05 06 07 08  11 12 13 14"
		     "41 42 43 44  45 46 47 48  51 52 53 54  55 56 57 58");
	t_assert_hex(&ack, sizeof(ack), "61 62 63 64  65 66 67 68");
	assert_true(hw_get_be64(ack.orig) == 0x6162636465666768);
}

/* Ours, so the header comment is the document. */
static void test_masked_atomic_header_lies_as_documented(void **state)
{
	struct hw_masked_atomic_eth eth = {
		.rkey = to_be32(0x11121314),
		.operand_bytes = to_be32(4),
	};
	(void)state;

	hw_put_be64(eth.va, 0x0102030405060708);
	hw_put_be64(eth.swap_add, 0x2122232425262728);
	hw_put_be64(eth.compare, 0x3132333435363738);
	hw_put_be64(eth.swap_mask, 0x4142434445464748);
	hw_put_be64(eth.compare_mask, 0x5152535455565758);
	t_assert_hex(&eth, sizeof(eth),
		     "01 02 03 04  05 06 07 08  11 12 13 14  00 00 00 04"
		     "21 22 23 24  25 26 27 28  31 32 33 34  35 36 37 38"
		     "41 42 43 44  45 46 47 48  51 52 53 54  55 56 57 58");
}

/* The example of hw/bth.h */
static void test_ack_example(void **state)
{
	struct hw_bth_info in = {.opcode = HW_PKT_ACK,
				 .pkey = HW_PKEY_DEFAULT,
				 .qpn = 0x51,
				 .psn = 100};
	struct {
		struct hw_bth bth;
		struct hw_aeth aeth;
	} packet = {hw_bth_encode(&in),
		    hw_aeth_encode(HW_AETH_ACK | HW_AETH_NO_CREDIT_LIMIT, 1)};
	(void)state;

	t_assert_hex(&packet, sizeof(packet),
		     "11 40 ff ff  00 00 00 51  00 00 00 64  1f 00 00 01");
}

/* The sum of the extended headers that the flags name. */
static unsigned header_bytes(uint32_t flags)
{
	static const struct {
		uint32_t flag;
		unsigned bytes;
	} extended[] = {
		{HW_PKTF_RETH, 8 + 4 + 4},
		{HW_PKTF_AETH, 1 + 3},
		{HW_PKTF_IMMDT, 4},
		{HW_PKTF_IETH, 4},
		{HW_PKTF_ATOMIC_ETH, 8 + 4 + 8 + 8},
		{HW_PKTF_MASKED_ETH, 8 + 4 + 4 + 4 * 8},
		{HW_PKTF_ATOMIC_ACK, 8},
		{HW_PKTF_DETH, 4 + 4},
		{HW_PKTF_XRCETH, 4},
	};
	unsigned bytes = 12; /* BTH */

	for (size_t i = 0; i < sizeof(extended) / sizeof(extended[0]); i++)
		if (flags & extended[i].flag)
			bytes += extended[i].bytes;
	return bytes;
}

static void test_packet_header_lengths_are_the_sums_of_their_parts(void **state)
{
	unsigned known = 0;
	(void)state;

	for (unsigned opcode = 0; opcode < 256; opcode++) {
		struct hw_pkt_op op = hw_pkt_op((uint8_t)opcode);

		if (!op.name)
			continue;
		known++;
		assert_int_equal(op.hdr_bytes, header_bytes(op.flags));
		assert_true(op.hdr_bytes <= HW_PKT_HDR_MAX);
	}
	/* RC, ours, UC, UD, XRC and its masked atomics */
	assert_int_equal(known, 23 + 3 + 12 + 2 + 23 + 2);
	assert_int_equal(HW_PKT_HDR_MAX,
			 header_bytes(HW_PKTF_MASKED_ETH | HW_PKTF_XRCETH));
}

/* IBTA table 38 for RC; names as in infiniband/opcode.h, shortened. */
static void test_packet_opcodes_carry_what_the_ibta_says(void **state)
{
	const uint16_t first = HW_PKTF_FIRST, last = HW_PKTF_LAST;
	const uint16_t send = HW_PKTF_SEND | HW_PKTF_PAYLOAD;
	const uint16_t write = HW_PKTF_WRITE | HW_PKTF_PAYLOAD;
	const uint16_t resp = HW_PKTF_READ | HW_PKTF_RESPONSE | HW_PKTF_PAYLOAD;
	const uint16_t imm = HW_PKTF_IMMDT, reth = HW_PKTF_RETH;
	const uint16_t aeth = HW_PKTF_AETH, atomic = HW_PKTF_ATOMIC;
	const struct hw_pkt_op rows[] = {
		{"SEND_FIRST", send | first, 0},
		{"SEND_MIDDLE", send | HW_PKTF_MIDDLE, 0},
		{"SEND_LAST", send | last, 0},
		{"SEND_LAST_IMM", send | last | imm, 0},
		{"SEND_ONLY", send | first | last, 0},
		{"SEND_ONLY_IMM", send | first | last | imm, 0},
		{"WRITE_FIRST", write | first | reth, 0},
		{"WRITE_MIDDLE", write | HW_PKTF_MIDDLE, 0},
		{"WRITE_LAST", write | last, 0},
		{"WRITE_LAST_IMM", write | last | imm, 0},
		{"WRITE_ONLY", write | first | last | reth, 0},
		{"WRITE_ONLY_IMM", write | first | last | reth | imm, 0},
		{"READ_REQUEST", HW_PKTF_READ | first | last | reth, 0},
		{"READ_RESP_FIRST", resp | first | aeth, 0},
		{"READ_RESP_MIDDLE", resp | HW_PKTF_MIDDLE, 0},
		{"READ_RESP_LAST", resp | last | aeth, 0},
		{"READ_RESP_ONLY", resp | first | last | aeth, 0},
		{"ACK", HW_PKTF_RESPONSE | aeth, 0},
		{"ATOMIC_ACK",
		 atomic | HW_PKTF_RESPONSE | first | last | aeth |
			 HW_PKTF_ATOMIC_ACK,
		 0},
		{"CMP_SWAP", atomic | first | last | HW_PKTF_ATOMIC_ETH, 0},
		{"FETCH_ADD", atomic | first | last | HW_PKTF_ATOMIC_ETH, 0},
		{NULL, 0, 0},
		{"SEND_LAST_INV", send | last | HW_PKTF_IETH, 0},
		{"SEND_ONLY_INV", send | first | last | HW_PKTF_IETH, 0},
	};
	(void)state;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hw_pkt_op op = hw_pkt_op((uint8_t)i);

		if (rows[i].name)
			assert_string_equal(op.name, rows[i].name);
		else
			assert_null(op.name);
		assert_int_equal(op.flags, rows[i].flags);
	}
	assert_string_equal(hw_pkt_op(HW_PKT_MASKED_CS).name, "MASKED_CS");
	assert_string_equal(hw_pkt_op(HW_PKT_MASKED_FA).name, "MASKED_FA");
	assert_string_equal(hw_pkt_op(HW_PKT_UNREACHABLE).name, "UNREACHABLE");
}

/* IBTA table 38: bits 7 to 5 are 001 for UC, 011 for UD, 101 for XRC. */
static void test_other_services_have_rows_of_rc(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 0x20; i++) {
		struct hw_pkt_op rc = hw_pkt_op((uint8_t)i);
		struct hw_pkt_op uc = hw_pkt_op((uint8_t)(0x20 | i));
		struct hw_pkt_op ud = hw_pkt_op((uint8_t)(0x60 | i));
		struct hw_pkt_op xrc = hw_pkt_op((uint8_t)(0xa0 | i));
		uint32_t xrceth =
			rc.flags & HW_PKTF_RESPONSE ? 0 : HW_PKTF_XRCETH;

		assert_int_equal(uc.name != NULL, i <= 0x0b);
		if (uc.name)
			assert_int_equal(uc.flags, rc.flags);
		assert_int_equal(ud.name != NULL, i == 0x04 || i == 0x05);
		if (ud.name)
			assert_int_equal(ud.flags, rc.flags | HW_PKTF_DETH);
		assert_int_equal(xrc.name != NULL, rc.name != NULL);
		if (xrc.name)
			assert_int_equal(xrc.flags, rc.flags | xrceth);
		/* RD, and what is reserved */
		assert_null(hw_pkt_op((uint8_t)(0x40 | i)).name);
		assert_null(hw_pkt_op((uint8_t)(0x80 | i)).name);
	}
	assert_string_equal(hw_pkt_op(0xe0).name, "MASKED_CS");
	assert_string_equal(hw_pkt_op(0xe1).name, "MASKED_FA");
	assert_null(hw_pkt_op(0xe2).name);
}

static void test_a_packet_belongs_to_one_service(void **state)
{
	static const uint8_t services[] = {HW_PKT_RC, HW_PKT_UC, HW_PKT_UD,
					   HW_PKT_XRC};
	static const struct {
		uint8_t opcode, rc_opcode;
		bool of[4], reliable;
	} rows[] = {
		{0x04, 0x04, {true, false, false, false}, true},
		{0x24, 0x04, {false, true, false, false}, false},
		{0x64, 0x04, {false, false, true, false}, false},
		{0xa4, 0x04, {false, false, false, true}, true},
		{0x11, 0x11, {true, false, false, false}, true},
		{0xb1, 0x11, {false, false, false, true}, true},
		{0xc0, 0xc0, {true, false, false, false}, true},
		{0xc1, 0xc1, {true, false, false, false}, true},
		{0xc2, 0xc2, {true, false, false, true}, true},
		{0xe0, 0xc0, {false, false, false, true}, true},
		{0xe1, 0xc1, {false, false, false, true}, true},
	};
	(void)state;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t opcode = rows[i].opcode;

		assert_int_equal(hw_pkt_rc_opcode(opcode), rows[i].rc_opcode);
		assert_int_equal(hw_pkt_is_reliable(opcode), rows[i].reliable);
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(hw_pkt_is_of(opcode, services[k]),
					 rows[i].of[k]);
	}
}

static void test_datagram_headers_lie_as_the_ibta_prints_them(void **state)
{
	struct hw_deth deth = {to_be32(0x11223344), to_be32(0x515253)};
	struct hw_xrceth xrceth = {to_be32(0x616263)};
	struct hw_grh grh = {
		.version_tclass_flow = to_be32(6u << 28 | 0x12 << 20 | 0x34567),
		.payload_len = to_be16(0x0102),
		.next_header = 0x1b,
		.hop_limit = 0x40,
	};
	(void)state;

	memset(grh.sgid, 0xaa, sizeof(grh.sgid));
	memset(grh.dgid, 0xbb, sizeof(grh.dgid));
	t_assert_hex(&deth, sizeof(deth), "11 22 33 44  00 51 52 53");
	t_assert_hex(&xrceth, sizeof(xrceth), "00 61 62 63");
	t_assert_hex(&grh, sizeof(grh),
		     "61 23 45 67  01 02 1b 40"
		     "aa aa aa aa  aa aa aa aa  aa aa aa aa  aa aa aa aa"
		     "bb bb bb bb  bb bb bb bb  bb bb bb bb  bb bb bb bb");
}

static void test_psn_arithmetic_is_modulo_2_to_the_24(void **state)
{
	struct t_rng random = t_random_start("psn");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		uint32_t psn = t_random_32(&random) & 0xffffff;
		int32_t distance =
			(int32_t)(t_random_32(&random) % 0x1000000) - 0x800000;
		uint32_t other =
			(psn + 0x1000000 + (uint32_t)distance) % 0x1000000;

		assert_int_equal(hw_psn_add(psn, (uint32_t)distance), other);
		assert_int_equal(hw_psn_diff(other, psn), distance);
	}
	assert_int_equal(hw_psn_add(0xffffff, 1), 0);
	assert_int_equal(hw_psn_diff(0, 0xffffff), 1);
	assert_int_equal(hw_psn_diff(0xffffff, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bth_lies_as_the_ibta_prints_it),
		cmocka_unit_test(test_bth_decode_ignores_reserved_bits),
		cmocka_unit_test(
			test_extended_headers_lie_as_the_ibta_prints_them),
		cmocka_unit_test(test_masked_atomic_header_lies_as_documented),
		cmocka_unit_test(test_ack_example),
		cmocka_unit_test(
			test_packet_header_lengths_are_the_sums_of_their_parts),
		cmocka_unit_test(test_packet_opcodes_carry_what_the_ibta_says),
		cmocka_unit_test(test_other_services_have_rows_of_rc),
		cmocka_unit_test(test_a_packet_belongs_to_one_service),
		cmocka_unit_test(
			test_datagram_headers_lie_as_the_ibta_prints_them),
		cmocka_unit_test(test_psn_arithmetic_is_modulo_2_to_the_24),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
