/* SPDX-License-Identifier: MIT */
/* The packet opcodes of hw/bth.h against rdma-core's infiniband/opcode.h. */
#include "layout/compare.h"
#include "layout/rdma_core.h"
#include "hw/bth.h"

#if T_RDMA_CORE

static void test_packet_opcodes_are_those_of_rdma_core(void **state)
{
	(void)state;
#define SAME(ours, theirs)                                                     \
	assert_int_equal(HW_PKT_##ours, IBV_OPCODE_RC_##theirs)
	SAME(SEND_FIRST, SEND_FIRST);
	SAME(SEND_MIDDLE, SEND_MIDDLE);
	SAME(SEND_LAST, SEND_LAST);
	SAME(SEND_LAST_IMM, SEND_LAST_WITH_IMMEDIATE);
	SAME(SEND_ONLY, SEND_ONLY);
	SAME(SEND_ONLY_IMM, SEND_ONLY_WITH_IMMEDIATE);
	SAME(WRITE_FIRST, RDMA_WRITE_FIRST);
	SAME(WRITE_MIDDLE, RDMA_WRITE_MIDDLE);
	SAME(WRITE_LAST, RDMA_WRITE_LAST);
	SAME(WRITE_LAST_IMM, RDMA_WRITE_LAST_WITH_IMMEDIATE);
	SAME(WRITE_ONLY, RDMA_WRITE_ONLY);
	SAME(WRITE_ONLY_IMM, RDMA_WRITE_ONLY_WITH_IMMEDIATE);
	SAME(READ_REQUEST, RDMA_READ_REQUEST);
	SAME(READ_RESP_FIRST, RDMA_READ_RESPONSE_FIRST);
	SAME(READ_RESP_MIDDLE, RDMA_READ_RESPONSE_MIDDLE);
	SAME(READ_RESP_LAST, RDMA_READ_RESPONSE_LAST);
	SAME(READ_RESP_ONLY, RDMA_READ_RESPONSE_ONLY);
	SAME(ACK, ACKNOWLEDGE);
	SAME(ATOMIC_ACK, ATOMIC_ACKNOWLEDGE);
	SAME(CMP_SWAP, COMPARE_SWAP);
	SAME(FETCH_ADD, FETCH_ADD);
#undef SAME
	/* rdma-core has no name for these; Linux ib_pack.h has. */
	assert_int_equal(HW_PKT_SEND_LAST_INV, 0x16);
	assert_int_equal(HW_PKT_SEND_ONLY_INV, 0x17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet_opcodes_are_those_of_rdma_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return t_skip(T_NO_RDMA_CORE);
}

#endif
