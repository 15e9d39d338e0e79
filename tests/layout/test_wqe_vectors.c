/* SPDX-License-Identifier: MIT */
/*
 * hw/wqe.h and hw/wqe_opcode.h against bytes written out by hand: the worked
 * examples of the header, and the forms that mlx5dv.h does not define (masked
 * atomics, WAIT, DUMP), as gpunetio and NVSHMEM post them.
 */
#include "layout/compare.h"
#include "hw/umr.h"
#include "hw/wqe.h"
#include "hw/wqe_opcode.h"

#define ASSERT_HEX(value, hex) t_assert_hex(&(value), sizeof(value), hex)

static void test_wqe_ctrl_example(void **state)
{
	struct hw_wqe_ctrl_info in = {
		.opcode = HW_OP_RDMA_WRITE,
		.idx = 0x1ff,
		.qpn = 0x2ed,
		.ds = 3,
		.fm_ce_se = hw_fm_ce_se(HW_FENCE_NONE, HW_CE_ALWAYS, 0),
	};
	struct hw_wqe_ctrl ctrl = hw_wqe_ctrl_encode(&in);
	(void)state;

	ASSERT_HEX(ctrl, "00 01 ff 08  00 02 ed 03  00 00 00 08  00 00 00 00");
}

static void test_wqe_ctrl_keeps_ds_out_of_the_qp_number(void **state)
{
	struct hw_wqe_ctrl_info in = {.qpn = 0xabcdef, .ds = 0xff};
	struct hw_wqe_ctrl ctrl = hw_wqe_ctrl_encode(&in);
	(void)state;

	ASSERT_HEX(ctrl, "00 00 00 00  ab cd ef 3f  00 00 00 00  00 00 00 00");
}

static void test_wqe_raddr_example(void **state)
{
	struct hw_wqe_raddr raddr = hw_wqe_raddr_encode(0x7f1234560000, 0x1842);
	(void)state;

	ASSERT_HEX(raddr, "00 00 7f 12  34 56 00 00  00 00 18 42  00 00 00 00");
}

static void test_wqe_data_example(void **state)
{
	struct hw_wqe_data data =
		hw_wqe_data_encode(4096, 0x1840, 0x7f00ab000000);
	(void)state;

	ASSERT_HEX(data, "00 00 10 00  00 00 18 40  00 00 7f 00  ab 00 00 00");
}

static void test_wqe_data_of_2_gib_has_a_count_of_zero(void **state)
{
	struct hw_wqe_data data = hw_wqe_data_encode(0x80000000u, 1, 2);
	(void)state;

	ASSERT_HEX(data, "00 00 00 00  00 00 00 01  00 00 00 00  00 00 00 02");
	assert_int_equal(hw_wqe_data_len(&data), 0x80000000u);
}

static void test_wqe_inline_example(void **state)
{
	uint8_t segment[16] = {0};
	struct hw_wqe_inline head = hw_wqe_inline_encode(4);
	const uint8_t bytes[4] = {0x11, 0x22, 0x33, 0x44};
	(void)state;

	memcpy(segment, &head, sizeof(head));
	memcpy(segment + sizeof(head), bytes, sizeof(bytes));
	ASSERT_HEX(segment,
		   "80 00 00 04  11 22 33 44  00 00 00 00  00 00 00 00");
	assert_int_equal(hw_wqe_inline_ds(4), 1);
	assert_int_equal(hw_wqe_inline_ds(0), 1);
	assert_int_equal(hw_wqe_inline_ds(12), 1);
	assert_int_equal(hw_wqe_inline_ds(13), 2);
	assert_int_equal(hw_wqe_inline_ds(28), 2);
	assert_int_equal(hw_wqe_inline_ds(29), 3);
}

static void test_wqe_atomic_example(void **state)
{
	struct hw_wqe_atomic atomic = hw_wqe_atomic_encode(7, 5);
	(void)state;

	ASSERT_HEX(atomic,
		   "00 00 00 00  00 00 00 07  00 00 00 00  00 00 00 05");
}

/* 4-byte operands take the low half of each argument. */
static const struct hw_atomic_args args = {
	.swap_add = 0x0102030405060708,
	.compare = 0x1112131415161718,
	.swap_mask = 0x2122232425262728,
	.compare_mask = 0x3132333435363738,
};

static void test_wqe_masked_fa_4_bytes(void **state)
{
	struct hw_atomic_args one = {.swap_add = 1};
	struct hw_wqe_masked_fa_4 example = hw_wqe_masked_fa_4_encode(&one);
	struct hw_wqe_masked_fa_4 segment = hw_wqe_masked_fa_4_encode(&args);
	(void)state;

	ASSERT_HEX(example,
		   "00 00 00 01  00 00 00 00  00 00 00 00  00 00 00 00");
	ASSERT_HEX(segment,
		   "05 06 07 08  15 16 17 18  00 00 00 00  00 00 00 00");
}

static void test_wqe_masked_cs_4_bytes(void **state)
{
	struct hw_wqe_masked_cs_4 segment = hw_wqe_masked_cs_4_encode(&args);
	(void)state;

	ASSERT_HEX(segment,
		   "05 06 07 08  15 16 17 18  25 26 27 28  35 36 37 38");
}

static void test_wqe_masked_fa_8_bytes(void **state)
{
	struct hw_wqe_masked_fa_8 segment = hw_wqe_masked_fa_8_encode(&args);
	(void)state;

	ASSERT_HEX(segment,
		   "01 02 03 04  05 06 07 08  11 12 13 14  15 16 17 18");
}

static void test_wqe_masked_cs_8_bytes(void **state)
{
	struct hw_wqe_masked_cs_8 segment = hw_wqe_masked_cs_8_encode(&args);
	(void)state;

	ASSERT_HEX(segment,
		   "01 02 03 04  05 06 07 08  11 12 13 14  15 16 17 18"
		   "21 22 23 24  25 26 27 28  31 32 33 34  35 36 37 38");
}

static void
test_wqe_masked_atomics_carry_the_operand_size_in_opmod(void **state)
{
	struct hw_wqe_ctrl_info in = {
		.opcode = HW_OP_MASKED_FA, .idx = 2, .qpn = 0x11, .ds = 4};
	struct hw_wqe_ctrl ctrl;
	(void)state;

	in.opmod = HW_OPMOD_ATOMIC_4B;
	ctrl = hw_wqe_ctrl_encode(&in);
	ASSERT_HEX(ctrl, "08 00 02 15  00 00 11 04  00 00 00 00  00 00 00 00");
	in.opcode = HW_OP_MASKED_CS;
	in.opmod = HW_OPMOD_ATOMIC_8B;
	in.ds = 5;
	ctrl = hw_wqe_ctrl_encode(&in);
	ASSERT_HEX(ctrl, "09 00 02 14  00 00 11 05  00 00 00 00  00 00 00 00");
}

static void test_wqe_address_vector_example(void **state)
{
	struct hw_wqe_av_info in = {
		.qkey = 0x11111111, .qpn = 0x51, .sl = 3, .rlid = 7};
	struct hw_wqe_av av = hw_wqe_av_encode(&in);
	(void)state;

	t_assert_hex(&av, HW_AV_COMPACT_BYTES,
		     "11 11 11 11  00 00 00 00  00 00 00 51  03 00 00 07");
}

/* Not in an installed header; struct mlx5_wqe_xrc_seg of rdma-core's wqe.h. */
static void test_wqe_xrc_example(void **state)
{
	struct hw_wqe_xrc xrc = hw_wqe_xrc_encode(0x12);
	(void)state;

	t_assert_hex(&xrc, sizeof(xrc),
		     "00 00 00 12  00 00 00 00  00 00 00 00  00 00 00 00");
}

static void test_wqe_wait_example(void **state)
{
	struct hw_wqe_wait wait = hw_wqe_wait_encode(5, 0x23);
	(void)state;

	ASSERT_HEX(wait, "00 00 00 00  00 00 00 00  00 00 00 05  00 00 00 23");
}

/* The barrier towards GPU memory: a control and a data segment. */
static void test_wqe_dump_reads_one_data_segment(void **state)
{
	struct hw_wqe_ctrl_info in = {
		.opcode = HW_OP_DUMP,
		.idx = 0xffff,
		.qpn = 0xffffff,
		.ds = 2,
		.fm_ce_se = hw_fm_ce_se(HW_FENCE_FENCE, HW_CE_ALWAYS, 0),
	};
	struct {
		struct hw_wqe_ctrl ctrl;
		struct hw_wqe_data data;
	} wqe = {hw_wqe_ctrl_encode(&in), hw_wqe_data_encode(1, 0x300, 0x1000)};
	(void)state;

	ASSERT_HEX(wqe, "00 ff ff 23  ff ff ff 02  00 00 00 48  00 00 00 00"
			"00 00 00 01  00 00 03 00  00 00 00 00  00 00 10 00");
}

static void test_wqe_occupies_whole_basic_blocks(void **state)
{
	(void)state;
	assert_int_equal(hw_wqe_bbs(0), 0);
	assert_int_equal(hw_wqe_bbs(1), 1);
	assert_int_equal(hw_wqe_bbs(4), 1);
	assert_int_equal(hw_wqe_bbs(5), 2);
	assert_int_equal(hw_wqe_bbs(HW_WQE_DS_MAX), HW_WQE_BBS_MAX);
	assert_int_equal(HW_WQE_BYTES_MAX, 63 * 16);
}

/* What follows the control segment, one letter each, in WQE order. */
static void segments_of(uint8_t opcode, char out[8])
{
	uint16_t flags = hw_wqe_op(opcode).flags;

	snprintf(out, 8, "%s%s%s%s%s%s", flags & HW_OPF_WAIT ? "W" : "",
		 flags & HW_OPF_UMR ? "U" : "", flags & HW_OPF_RADDR ? "R" : "",
		 flags & HW_OPF_ATOMIC ? "A" : "",
		 flags & HW_OPF_DATA ? "D" : "",
		 flags & HW_OPF_INLINE ? "I" : "");
}

static void test_wqe_opcode_table_knows_each_opcode(void **state)
{
	static const struct {
		uint8_t opcode;
		const char *name, *segments;
		uint16_t behaviour;
	} rows[] = {
		{0x00, "NOP", "", HW_OPF_LOCAL},
		{0x01, "SEND_INVAL", "DI", HW_OPF_RECV | HW_OPF_INVAL},
		{0x08, "RDMA_WRITE", "RDI", 0},
		{0x09, "RDMA_WRITE_IMM", "RDI", HW_OPF_IMM | HW_OPF_RECV},
		{0x0a, "SEND", "DI", HW_OPF_RECV},
		{0x0b, "SEND_IMM", "DI", HW_OPF_IMM | HW_OPF_RECV},
		{0x0f, "WAIT", "W", HW_OPF_LOCAL},
		{0x10, "RDMA_READ", "RD", HW_OPF_RESPONSE},
		{0x11, "ATOMIC_CS", "RAD", HW_OPF_RESPONSE},
		{0x12, "ATOMIC_FA", "RAD", HW_OPF_RESPONSE},
		{0x14, "MASKED_CS", "RAD", HW_OPF_RESPONSE},
		{0x15, "MASKED_FA", "RAD", HW_OPF_RESPONSE},
		{0x23, "DUMP", "D", HW_OPF_LOCAL},
		{0x25, "UMR", "U", HW_OPF_LOCAL},
	};
	const uint16_t behaviour = HW_OPF_IMM | HW_OPF_RESPONSE | HW_OPF_LOCAL |
				   HW_OPF_RECV | HW_OPF_INVAL;
	unsigned row = 0;
	(void)state;

	for (unsigned opcode = 0; opcode < 256; opcode++) {
		struct hw_wqe_op op = hw_wqe_op((uint8_t)opcode);
		char segments[8];

		if (row == sizeof(rows) / sizeof(rows[0]) ||
		    rows[row].opcode != opcode) {
			assert_null(op.name);
			continue;
		}
		segments_of((uint8_t)opcode, segments);
		assert_string_equal(op.name, rows[row].name);
		assert_string_equal(segments, rows[row].segments);
		assert_int_equal(op.flags & behaviour, rows[row].behaviour);
		row++;
	}
	assert_int_equal(row, sizeof(rows) / sizeof(rows[0]));
}

static void test_umr_control_example(void **state)
{
	struct hw_umr_ctrl_info in = {
		.flags = HW_UMR_INLINE | HW_UMR_MUST_BE_FREE | HW_UMR_OFFSET,
		.octwords = 4,
		.mask = HW_UMR_LEN | HW_UMR_START_ADDR | HW_UMR_MKEY |
			HW_UMR_FREE,
	};
	struct hw_umr_ctrl ctrl = hw_umr_ctrl_encode(&in);
	(void)state;

	ASSERT_HEX(ctrl, "b0 00 00 00  00 04 00 00  00 00 00 00  20 00 20 41 "
			 "00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00 "
			 "00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00");
}

/* The extended offset: its low half stands before its high half. */
static void test_umr_offset_has_48_bits(void **state)
{
	struct hw_umr_ctrl_info in = {.offset = 0x112233445566};
	struct hw_umr_ctrl ctrl = hw_umr_ctrl_encode(&in);
	(void)state;

	ASSERT_HEX(ctrl, "00 00 00 00  00 00 55 66  00 00 00 00  00 00 00 00 "
			 "11 22 33 44  00 00 00 00  00 00 00 00  00 00 00 00 "
			 "00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00");
	assert_int_equal(hw_umr_ctrl_decode(&ctrl).offset, 0x112233445566);
}

static void test_list_entry_examples(void **state)
{
	struct hw_klm klm = hw_klm_encode(4096, 0x1840, 0x7f00ab000000);
	struct hw_repeat_head head = hw_repeat_head_encode(8, 16, 1);
	struct hw_repeat_entry entry =
		hw_repeat_entry_encode(64, 8, 0x1840, 0x7f00ab000000);
	(void)state;

	ASSERT_HEX(klm, "00 00 10 00  00 00 18 40  00 00 7f 00  ab 00 00 00");
	ASSERT_HEX(head, "00 00 00 08  00 00 04 00  00 00 00 10  00 00 00 01");
	ASSERT_HEX(entry, "00 40 00 08  00 00 18 40  00 00 7f 00  ab 00 00 00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_umr_control_example),
		cmocka_unit_test(test_umr_offset_has_48_bits),
		cmocka_unit_test(test_list_entry_examples),
		cmocka_unit_test(test_wqe_ctrl_example),
		cmocka_unit_test(test_wqe_ctrl_keeps_ds_out_of_the_qp_number),
		cmocka_unit_test(test_wqe_raddr_example),
		cmocka_unit_test(test_wqe_data_example),
		cmocka_unit_test(test_wqe_data_of_2_gib_has_a_count_of_zero),
		cmocka_unit_test(test_wqe_inline_example),
		cmocka_unit_test(test_wqe_atomic_example),
		cmocka_unit_test(test_wqe_masked_fa_4_bytes),
		cmocka_unit_test(test_wqe_masked_cs_4_bytes),
		cmocka_unit_test(test_wqe_masked_fa_8_bytes),
		cmocka_unit_test(test_wqe_masked_cs_8_bytes),
		cmocka_unit_test(
			test_wqe_masked_atomics_carry_the_operand_size_in_opmod),
		cmocka_unit_test(test_wqe_address_vector_example),
		cmocka_unit_test(test_wqe_xrc_example),
		cmocka_unit_test(test_wqe_wait_example),
		cmocka_unit_test(test_wqe_dump_reads_one_data_segment),
		cmocka_unit_test(test_wqe_occupies_whole_basic_blocks),
		cmocka_unit_test(test_wqe_opcode_table_knows_each_opcode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
