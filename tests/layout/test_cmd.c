/* SPDX-License-Identifier: MIT */
/*
 * hw/cmd*.h against the PRM: each field's place (prm_fields.def), the places
 * and sizes of contexts in their mailboxes, opcodes and status codes.
 * test_cmd_fields_listed.sh proves that no field is left out.
 */
#include "layout/compare.h"
#include "hw/cmd.h"
#include "hw/cmd_cap.h"
#include "hw/cmd_cq.h"
#include "hw/cmd_mkey.h"
#include "hw/cmd_qp.h"
#include "hw/cmd_rmp.h"
#include "hw/cmd_xrc.h"

/* Both the numbers, and what hw_set does with them to a blank mailbox. */
static void check_field(const char *name, struct hw_field field, unsigned bit,
			unsigned width)
{
	static uint8_t ours[HW_CAP_PAGE_BYTES], prm[HW_CAP_PAGE_BYTES];
	unsigned got_bit = field.offset * 8u + 31u - field.hi;
	unsigned got_width = field.hi - field.lo + 1u;

	if (got_bit != bit || got_width != width)
		fail_msg("%s is at bit 0x%03x, %u wide; PRM: 0x%03x, %u", name,
			 got_bit, got_width, bit, width);
	memset(ours, 0, sizeof(ours));
	memset(prm, 0, sizeof(prm));
	hw_set(ours, field, hw_max(field));
	t_bits_set(prm, bit, width, UINT64_MAX);
	assert_memory_equal(ours, prm, sizeof(ours));
}

static void check_field64(const char *name, struct hw_field64 field,
			  unsigned bit)
{
	if (field.offset * 8u != bit)
		fail_msg("%s is at bit 0x%03x; PRM: 0x%03x", name,
			 field.offset * 8u, bit);
}

static void test_every_field_is_where_the_prm_has_it(void **state)
{
	(void)state;
#define FIELD(name, bit, width) check_field(#name, name, bit, width);
#define FIELD64(name, bit)	check_field64(#name, name, bit);
#include "layout/prm_fields.def"
#undef FIELD
#undef FIELD64
}

/* Bits again; sizes in bytes. */
static void test_contexts_are_where_the_prm_has_them(void **state)
{
	(void)state;
	assert_int_equal(HW_CQC_OFFSET * 8, 0x80);
	assert_int_equal(HW_CQC_BYTES, 0x200 / 8);
	assert_int_equal(HW_CREATE_CQ_IN_BYTES, 0x880 / 8);
	assert_int_equal(HW_MKC_OFFSET * 8, 0x80);
	assert_int_equal(HW_MKC_BYTES, 0x200 / 8);
	assert_int_equal(HW_CREATE_MKEY_IN_BYTES, 0x880 / 8);
	assert_int_equal(HW_QPC_OFFSET * 8, 0xc0);
	assert_int_equal(HW_QPC_BYTES, 232);
	assert_int_equal(HW_QPC_PATH * 8, 0xc0);
	assert_int_equal(HW_ADS_RGID * 8, 0x80);
	assert_int_equal(HW_CREATE_QP_IN_BYTES, 0x880 / 8);
	assert_int_equal(HW_MODIFY_QP_IN_BYTES, 0x880 / 8);
	assert_int_equal(HW_QUERY_QP_OUT_BYTES, 0x880 / 8);
	assert_int_equal(HW_RMPC_OFFSET * 8, 0x100);
	assert_int_equal(HW_RMPC_WQ * 8, 0x180);
	assert_int_equal(HW_CREATE_RMP_IN_BYTES, (0x100 + 0x780) / 8);
	assert_int_equal(HW_CMD_HDR_BYTES * 8, 0x80);
	assert_int_equal(HW_CAP_IN_BYTES * 8, 0x80);
	assert_int_equal(HW_CAP_OUT_PAGE * 8, 0x80);
	assert_int_equal(HW_CAP_OUT_BYTES * 8, 0x80 + 0x8000);
	assert_int_equal(HW_ROCE_OUT_ADDRESS * 8, 0x80);
	assert_int_equal(HW_ROCE_OUT_BYTES * 8, 0x80 + 0x100);
}

static void test_command_opcodes_are_those_of_the_prm(void **state)
{
	(void)state;
	assert_int_equal(HW_CMD_QUERY_HCA_CAP, 0x100);
	assert_int_equal(HW_CMD_CREATE_MKEY, 0x200);
	assert_int_equal(HW_CMD_QUERY_MKEY, 0x201);
	assert_int_equal(HW_CMD_DESTROY_MKEY, 0x202);
	assert_int_equal(HW_CMD_CREATE_CQ, 0x400);
	assert_int_equal(HW_CMD_DESTROY_CQ, 0x401);
	assert_int_equal(HW_CMD_QUERY_CQ, 0x402);
	assert_int_equal(HW_CMD_CREATE_QP, 0x500);
	assert_int_equal(HW_CMD_DESTROY_QP, 0x501);
	assert_int_equal(HW_CMD_RST2INIT_QP, 0x502);
	assert_int_equal(HW_CMD_INIT2RTR_QP, 0x503);
	assert_int_equal(HW_CMD_RTR2RTS_QP, 0x504);
	assert_int_equal(HW_CMD_RTS2RTS_QP, 0x505);
	assert_int_equal(HW_CMD_2ERR_QP, 0x507);
	assert_int_equal(HW_CMD_2RST_QP, 0x50a);
	assert_int_equal(HW_CMD_QUERY_QP, 0x50b);
	assert_int_equal(HW_CMD_INIT2INIT_QP, 0x50e);
	assert_int_equal(HW_CMD_QUERY_ROCE_ADDRESS, 0x760);
	assert_int_equal(HW_CMD_ALLOC_PD, 0x800);
	assert_int_equal(HW_CMD_DEALLOC_PD, 0x801);
	assert_int_equal(HW_CMD_QUERY_LAG, 0x842);
	assert_int_equal(HW_CMD_CREATE_RMP, 0x90c);
	assert_int_equal(HW_CMD_MODIFY_RMP, 0x90d);
	assert_int_equal(HW_CMD_CREATE_XRC_SRQ, 0x705);
	assert_int_equal(HW_CMD_DESTROY_XRC_SRQ, 0x706);
	assert_int_equal(HW_CMD_QUERY_XRC_SRQ, 0x707);
	assert_int_equal(HW_CMD_ARM_XRC_SRQ, 0x708);
	assert_int_equal(HW_CMD_ALLOC_XRCD, 0x80e);
	assert_int_equal(HW_CMD_DEALLOC_XRCD, 0x80f);
	assert_int_equal(HW_CMD_SQERR2RTS_QP, 0x506);
	assert_int_equal(HW_CMD_MODIFY_CQ, 0x403);
	assert_int_equal(HW_CMD_DESTROY_RMP, 0x90e);
	assert_int_equal(HW_CMD_QUERY_RMP, 0x90f);
}

static void test_command_status_codes_are_those_of_the_prm(void **state)
{
	static const struct {
		uint8_t status;
		const char *name;
	} rows[] = {
		{0x00, "OK"},
		{0x01, "INT_ERR"},
		{0x02, "BAD_OP"},
		{0x03, "BAD_PARAM"},
		{0x04, "BAD_SYS_STATE"},
		{0x05, "BAD_RES"},
		{0x06, "RES_BUSY"},
		{0x08, "LIM_ERR"},
		{0x09, "BAD_RES_STATE"},
		{0x0a, "IX_ERR"},
		{0x0f, "NO_RES"},
		{0x10, "BAD_QP_STATE"},
		{0x30, "BAD_PKT"},
		{0x40, "BAD_SIZE_OUTS_CQES"},
		{0x50, "BAD_INP_LEN"},
		{0x51, "BAD_OUTP_LEN"},
	};
	unsigned row = 0;
	(void)state;

	for (unsigned status = 0; status < 256; status++) {
		const char *name = "?";

		if (row < sizeof(rows) / sizeof(rows[0]) &&
		    rows[row].status == status)
			name = rows[row++].name;
		assert_string_equal(hw_cmd_status_name((uint8_t)status), name);
	}
}

/* The example of hw/cmd.h */
static void test_command_example(void **state)
{
	uint8_t in[HW_CMD_HDR_BYTES] = {0};
	(void)state;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_CQ);
	t_assert_hex(in, sizeof(in),
		     "04 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_is_where_the_prm_has_it),
		cmocka_unit_test(test_contexts_are_where_the_prm_has_them),
		cmocka_unit_test(test_command_opcodes_are_those_of_the_prm),
		cmocka_unit_test(
			test_command_status_codes_are_those_of_the_prm),
		cmocka_unit_test(test_command_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
