/* SPDX-License-Identifier: MIT */
/*
 * Capabilities: the values that NVSHMEM, DOCA GPUNetIO, NCCL and UCX insist
 * on, for every persona and link.
 * Source: what each stack checks, named at each assert.
 */
#include "support/t_nic.h"
#include "hw/cmd_cap.h"

static const uint8_t *query(struct t_node *node, uint32_t type, uint32_t mode,
			    uint8_t *out)
{
	uint8_t in[HW_CAP_IN_BYTES] = {0};

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_HCA_CAP);
	hw_set(in, HW_CMD_IN_OP_MOD, type << 1 | mode);
	assert_int_equal(t_cmd(node, in, sizeof(in), out), HW_CMD_OK);
	return out + HW_CAP_OUT_PAGE;
}

static void check_general(const uint8_t *cap, bool roce)
{
	/* NVSHMEM: exactly 1. UCX: log_max_msg exactly 30. */
	assert_int_equal(hw_get(cap, HW_CAP_CQE_VERSION), 1);
	assert_int_equal(hw_get(cap, HW_CAP_LOG_MAX_MSG), 30);
	/* NVSHMEM: the size of a BlueFlame register. */
	assert_int_equal(hw_get(cap, HW_CAP_LOG_BF_REG_SIZE), 9);
	/* DOCA */
	assert_int_equal(hw_get(cap, HW_CAP_RC), 1);
	assert_int_equal(hw_get(cap, HW_CAP_HCA_CAP_2), 1);
	assert_int_equal(hw_get(cap, HW_CAP_MAX_WQE_SZ_SQ), 1008);
	assert_int_equal(hw_get(cap, HW_CAP_MAX_WQE_SZ_RQ), 512);
	/* NVSHMEM and DeepEP: up to 32768 blocks. */
	assert_int_equal(hw_get(cap, HW_CAP_LOG_MAX_QP_SZ), 15);
	assert_true(hw_get(cap, HW_CAP_LOG_MAX_CQ_SZ) >= 16);
	assert_int_equal(hw_get(cap, HW_CAP_PORT_TYPE),
			 roce ? HW_PORT_ETHERNET : HW_PORT_IB);
	assert_int_equal(hw_get(cap, HW_CAP_ROCE_SUPPORTED), roce);
	assert_int_equal(hw_get(cap, HW_CAP_ATOMIC_SUPPORTED), 1);
	assert_int_equal(hw_get(cap, HW_CAP_NUM_PORTS), 1);
	assert_int_equal(hw_get(cap, HW_CAP_CQ_OI), 1);
	assert_int_equal(hw_get(cap, HW_CAP_CQ_RESIZE), 1);
	assert_int_equal(hw_get(cap, HW_CAP_CQ_MODERATION), 1);
	assert_int_equal(hw_get(cap, HW_CAP_CD), 1);
	assert_true(hw_get(cap, HW_CAP_LOG_MAX_RA_REQ_QP) >= 4);
	assert_true(hw_get(cap, HW_CAP_LOG_MAX_RA_RES_QP) >= 4);
	/* What libibverbs and UCX (compact address vectors) look for. */
	assert_int_equal(hw_get(cap, HW_CAP_UD), 1);
	assert_int_equal(hw_get(cap, HW_CAP_UC), 1);
	assert_int_equal(hw_get(cap, HW_CAP_XRC), 1);
	assert_int_equal(hw_get(cap, HW_CAP_LOG_MAX_XRCD), 16);
	assert_int_equal(hw_get(cap, HW_CAP_COMPACT_AV), 1);
	/* Not modelled, so not offered. */
	/* UCX takes the three together for its largest regions. */
	assert_int_equal(hw_get(cap, HW_CAP_FIXED_BUFFER_SIZE), 1);
	assert_int_equal(hw_get(cap, HW_CAP_NULL_MKEY), 1);
	assert_int_equal(hw_get(cap, HW_CAP_UMR_EXT_OFFSET), 1);
	/* Linux: windows, UMR of page sizes and rights. */
	assert_int_equal(hw_get(cap, HW_CAP_IMAICL), 1);
	assert_int_equal(hw_get(cap, HW_CAP_UMR_ENTITY_OFF), 0);
	assert_int_equal(hw_get(cap, HW_CAP_UMR_ATOMIC_OFF), 0);
	assert_int_equal(hw_get(cap, HW_CAP_UMR_INDIRECT_OFF), 0);
	assert_int_equal(hw_get(cap, HW_CAP_REPEATED_BLOCK_OFF), 0);
	assert_int_equal(hw_get(cap, HW_CAP_MKEY_BY_NAME), 0);
	assert_int_equal(hw_get(cap, HW_CAP_LOG_MAX_BSF_LIST), 0);
	assert_int_equal(hw_get(cap, HW_CAP_DCT), 0);
}

/* NVSHMEM skips a device that lacks any of these. */
static void check_atomic(const uint8_t *cap)
{
	uint32_t sizes = HW_ATOMIC_SIZE_4B | HW_ATOMIC_SIZE_8B;

	assert_int_equal(hw_get(cap, HW_CAP_ATOMIC_OPERATIONS) & 0xf, 0xf);
	assert_int_equal(hw_get(cap, HW_CAP_ATOMIC_SIZE_QP) & sizes, sizes);
	assert_int_equal(hw_get(cap, HW_CAP_ATOMIC_SIZE_DC) & sizes, sizes);
	assert_int_not_equal(hw_get(cap, HW_CAP_ATOMIC_8B_ENDIAN_MODE), 0);
	assert_int_equal(hw_get(cap, HW_CAP_ATOMIC_8B_ENDIAN_MODE_1), 1);
}

/* DOCA asks on InfiniBand ports too, and must get an answer. */
static void check_roce(const uint8_t *cap)
{
	uint32_t low = hw_get(cap, HW_CAP_ROCE_MIN_SRC_UDP_PORT);
	uint32_t high = hw_get(cap, HW_CAP_ROCE_MAX_SRC_UDP_PORT);

	assert_true(low >= 0xc000 && high >= low);
	assert_int_equal(hw_get(cap, HW_CAP_ROCE_DEST_UDP_PORT), 4791);
	assert_true(hw_get(cap, HW_CAP_ROCE_TABLE_SIZE) >= 1);
	assert_true(hw_get(cap, HW_CAP_ROCE_VERSION) & 1 << HW_ROCE_VERSION_2);
}

static void check_persona(enum nic_persona persona, enum nic_link link,
			  uint32_t mode)
{
	struct nic_config config = {.persona = persona, .link = link};
	struct t_node node;
	uint8_t out[T_OUT];
	const uint8_t *cap;

	t_node_open(&node, &config, NULL);
	check_general(query(&node, HW_CAP_GENERAL, mode, out),
		      link == NIC_LINK_ROCE);
	check_atomic(query(&node, HW_CAP_ATOMIC, mode, out));
	check_roce(query(&node, HW_CAP_ROCE, mode, out));
	cap = query(&node, HW_CAP_GENERAL_2, mode, out);
	/* Doorbells without a record came with ConnectX-8. */
	assert_int_equal(hw_get(cap, HW_CAP2_SEND_DBR_MODE_NO_DBR_EXT),
			 persona == NIC_CONNECTX_8);
	t_node_close(&node);
}

static void test_every_persona_has_what_the_stacks_require(void **state)
{
	int persona, link;

	(void)state;
	for (persona = NIC_CONNECTX_7; persona <= NIC_CONNECTX_8; persona++)
		for (link = NIC_LINK_IB; link <= NIC_LINK_ROCE; link++) {
			check_persona((enum nic_persona)persona,
				      (enum nic_link)link, HW_CAP_MAX);
			check_persona((enum nic_persona)persona,
				      (enum nic_link)link, HW_CAP_CUR);
		}
}

static void test_an_unknown_capability_type_is_refused(void **state)
{
	const struct t_refusal expected = {HW_CMD_BAD_PARAM, 4,
					   "CMD_IN_OP_MOD (mailbox 0x04"};
	uint8_t in[HW_CAP_IN_BYTES] = {0};
	struct t_node node;

	(void)state;
	t_node_open(&node, NULL, NULL);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_HCA_CAP);
	hw_set(in, HW_CMD_IN_OP_MOD, 0x26 << 1);
	t_refused(&node, in, sizeof(in), &expected);
	hw_set(in, HW_CMD_IN_OP_MOD, 0xffff);
	t_refused(&node, in, sizeof(in), &expected);
	t_node_close(&node);
}

/* Clients look for a bit of such a page, and go on without. */
static void test_a_type_that_is_not_modelled_is_all_zero(void **state)
{
	static const uint8_t zeros[HW_CAP_PAGE_BYTES];
	const uint8_t types[] = {1, 2, 7, 0x21, 0x25};
	uint8_t out[HW_CAP_OUT_BYTES];
	struct t_node node;
	unsigned i;

	(void)state;
	t_node_open(&node, NULL, NULL);
	for (i = 0; i < sizeof(types); i++)
		assert_memory_equal(query(&node, types[i], HW_CAP_CUR, out),
				    zeros, sizeof(zeros));
	t_node_close(&node);
}

/* rdma-core's tests ask for the first half of the page. */
static void test_a_short_output_gets_the_beginning_of_the_page(void **state)
{
	uint8_t in[HW_CAP_IN_BYTES] = {0}, whole[HW_CAP_OUT_BYTES];
	uint8_t part[0x110];
	struct t_node node;

	(void)state;
	t_node_open(&node, NULL, NULL);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_HCA_CAP);
	assert_int_equal(
		nic_cmd(node.nic, in, sizeof(in), whole, sizeof(whole)), 0);
	assert_int_equal(nic_cmd(node.nic, in, sizeof(in), part, sizeof(part)),
			 0);
	assert_memory_equal(part, whole, sizeof(part));
	assert_int_equal(nic_cmd(node.nic, in, sizeof(in), part, 0x10), 0);
	assert_int_equal(part[0], HW_CMD_OK);
	t_node_close(&node);
}

static void test_the_vport_context_has_the_ports_lid(void **state)
{
	uint8_t in[HW_CMD_HDR_BYTES] = {0}, out[HW_VPORT_OUT_BYTES];
	const uint8_t *ctx = out + HW_VPORT_OUT_CONTEXT;
	struct nic_port port;
	struct t_node node;

	(void)state;
	t_node_open(&node, NULL, NULL);
	nic_query_port(node.nic, &port);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_HCA_VPORT_CONTEXT);
	assert_int_equal(nic_cmd(node.nic, in, sizeof(in), out, sizeof(out)),
			 0);
	assert_int_equal(hw_get(ctx, HW_VPORT_LID), port.lid);
	assert_int_equal(hw_get(ctx, HW_VPORT_STATE),
			 port.active ? HW_VPORT_UP : HW_VPORT_DOWN);
	t_node_close(&node);
}

static void test_the_roce_address_is_the_ports(void **state)
{
	struct nic_config config = {.link = NIC_LINK_ROCE};
	const struct t_refusal expected = {HW_CMD_BAD_PARAM, 8,
					   "ROCE_IN_INDEX"};
	struct wire_loop_fabric *fabric = wire_loop_create();
	uint8_t in[16] = {0}, out[T_OUT];
	struct nic_port port;
	struct t_node node;

	(void)state;
	t_node_open(&node, &config, fabric);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_QUERY_ROCE_ADDRESS);
	assert_int_equal(t_cmd(&node, in, sizeof(in), out), HW_CMD_OK);
	nic_query_port(node.nic, &port);
	assert_memory_equal(out + HW_ROCE_OUT_ADDRESS, port.gid, 16);
	assert_memory_equal(out + HW_ROCE_OUT_ADDRESS + 0x12, port.mac, 6);
	assert_int_equal(hw_get(out, HW_ROCE_MAC_47_32),
			 port.mac[0] << 8 | port.mac[1]);
	hw_set(in, HW_ROCE_IN_INDEX, 1);
	t_refused(&node, in, sizeof(in), &expected);
	t_node_close(&node);
	wire_loop_release(fabric);
}

static void test_lag_is_not_active(void **state)
{
	uint8_t out[T_OUT], zero[16] = {0};
	struct t_node node;

	(void)state;
	t_node_open(&node, NULL, NULL);
	assert_int_equal(t_simple(&node, HW_CMD_QUERY_LAG, 0, out), 0);
	assert_memory_equal(out, zero, sizeof(zero));
	t_node_close(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_every_persona_has_what_the_stacks_require),
		cmocka_unit_test(test_an_unknown_capability_type_is_refused),
		cmocka_unit_test(test_a_type_that_is_not_modelled_is_all_zero),
		cmocka_unit_test(
			test_a_short_output_gets_the_beginning_of_the_page),
		cmocka_unit_test(test_the_vport_context_has_the_ports_lid),
		cmocka_unit_test(test_the_roce_address_is_the_ports),
		cmocka_unit_test(test_lag_is_not_active),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
