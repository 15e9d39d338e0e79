/* SPDX-License-Identifier: MIT */
/*
 * hw/doorbell.h against rdma-core: registers, records, CQ arming, and what
 * each kind of producer writes into the send doorbell register.
 */
#include "layout/compare.h"
#include "layout/rdma_core.h"
#include "hw/doorbell.h"

#if T_RDMA_CORE

static void test_doorbell_constants_are_those_of_mlx5dv(void **state)
{
	(void)state;
	assert_int_equal(HW_DBR_RCV, MLX5_RCV_DBR);
	assert_int_equal(HW_DBR_SND, MLX5_SND_DBR);
	assert_int_equal(HW_UAR_CQ_DOORBELL, MLX5_CQ_DOORBELL);
	assert_int_equal(HW_CQ_ARM_NEXT << 24, MLX5_CQ_DB_REQ_NOT);
	assert_int_equal(HW_CQ_ARM_SOLICITED << 24, MLX5_CQ_DB_REQ_NOT_SOL);
	/* libmlx5 keeps these to itself: MLX5_BF_OFFSET, and 2^9 / 2. */
	assert_int_equal(HW_UAR_BF, 0x800);
	assert_int_equal(HW_UAR_BF_HALF_BYTES, 0x100);
}

/* The part of a WQE's control segment that goes into the register. */
static struct hw_sq_doorbell ring_copy(const struct mlx5_wqe_ctrl_seg *ctrl)
{
	struct hw_sq_doorbell doorbell;

	memcpy(&doorbell, ctrl, sizeof(doorbell));
	return doorbell;
}

/* NVSHMEM, DeepEP: index masked to 16 bits, all else zero. */
static void test_doorbell_of_a_masked_producer_index(void **state)
{
	struct t_rng random = t_random_start("masked index");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		uint32_t qpn = t_random_32(&random) & 0xffffff;
		uint16_t index = t_random_16(&random);
		struct mlx5_wqe_ctrl_seg ctrl = {0};
		struct hw_sq_doorbell doorbell =
			hw_sq_doorbell_encode(qpn, index);
		struct hw_sq_doorbell_info out =
			hw_sq_doorbell_decode(&doorbell);

		mlx5dv_set_ctrl_seg(&ctrl, index, 0, 0, qpn, 0, 0, 0, 0);
		assert_memory_equal(&doorbell, &ctrl, sizeof(doorbell));
		assert_int_equal(out.qpn, qpn);
		assert_int_equal(out.producer_index, index);
	}
}

/* DOCA GPUNetIO, UCX: a 64-bit counter is shifted, its bits 23:16 stay. */
static void test_doorbell_of_a_long_producer_counter(void **state)
{
	struct t_rng random = t_random_start("long counter");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		uint64_t counter = t_random(&random);
		uint32_t qpn = t_random_32(&random) & 0xffffff;
		uint32_t words[2] = {htobe32((uint32_t)(counter << 8)),
				     htobe32(qpn << 8)};
		struct hw_sq_doorbell doorbell;
		struct hw_sq_doorbell_info out;

		memcpy(&doorbell, words, sizeof(doorbell));
		out = hw_sq_doorbell_decode(&doorbell);
		assert_int_equal(out.qpn, qpn);
		assert_int_equal(out.producer_index, counter & 0xffff);
	}
}

/* libmlx5, BlueFlame: the last WQE itself, whose index is its first block. */
static void test_doorbell_of_a_copied_wqe(void **state)
{
	struct t_rng random = t_random_start("copied wqe");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		struct mlx5_wqe_ctrl_seg ctrl = {0};
		uint32_t qpn = t_random_32(&random) & 0xffffff;
		uint16_t index = t_random_16(&random);
		uint8_t ds = (uint8_t)(1 + t_random_8(&random) % 63);
		unsigned bytes = ds * 16u, blocks = 0;
		struct hw_sq_doorbell doorbell;
		struct hw_sq_doorbell_info out;

		for (unsigned at = 0; at < bytes; at += MLX5_SEND_WQE_BB)
			blocks++;
		mlx5dv_set_ctrl_seg(&ctrl, index, t_random_8(&random),
				    t_random_8(&random), qpn,
				    t_random_8(&random), ds, 0, 0);
		doorbell = ring_copy(&ctrl);
		out = hw_sq_doorbell_decode(&doorbell);
		assert_int_equal(out.qpn, qpn);
		assert_int_equal(out.producer_index, (index + blocks) % 65536);
	}
}

static void test_doorbell_record_has_16_bits(void **state)
{
	struct t_rng random = t_random_start("record");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		uint32_t counter = t_random_32(&random);
		uint32_t word = htobe32(counter & 0xffff);
		be32 ours = hw_dbrec_encode(counter);

		assert_memory_equal(&ours, &word, sizeof(word));
		word = htobe32(counter);
		memcpy(&ours, &word, sizeof(ours));
		assert_int_equal(hw_dbrec_decode(ours), counter & 0xffff);
	}
}

/* As libmlx5's mlx5_arm_cq builds the word. */
static void test_cq_doorbell_is_that_of_mlx5_arm_cq(void **state)
{
	struct t_rng random = t_random_start("cq doorbell");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		struct hw_cq_arm_info in = {
			.ci = t_random_32(&random) & 0xffffff,
			.sn = t_random_8(&random) & 3,
			.cmd = t_random_8(&random) & 1,
		};
		uint32_t cmd = in.cmd == HW_CQ_ARM_SOLICITED
				       ? MLX5_CQ_DB_REQ_NOT_SOL
				       : MLX5_CQ_DB_REQ_NOT;
		uint32_t word = htobe32((uint32_t)in.sn << 28 | cmd | in.ci);
		be32 ours = hw_cq_arm_encode(&in);
		struct hw_cq_arm_info out = hw_cq_arm_decode(ours);

		assert_memory_equal(&ours, &word, sizeof(word));
		assert_int_equal(out.ci, in.ci);
		assert_int_equal(out.sn, in.sn);
		assert_int_equal(out.cmd, in.cmd);
	}
}

/* The example of hw/doorbell.h */
static void test_doorbell_example(void **state)
{
	struct hw_sq_doorbell doorbell = hw_sq_doorbell_encode(0x2ed, 0x200);
	(void)state;

	t_assert_hex(&doorbell, sizeof(doorbell), "00 02 00 00  00 02 ed 00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doorbell_constants_are_those_of_mlx5dv),
		cmocka_unit_test(test_doorbell_of_a_masked_producer_index),
		cmocka_unit_test(test_doorbell_of_a_long_producer_counter),
		cmocka_unit_test(test_doorbell_of_a_copied_wqe),
		cmocka_unit_test(test_doorbell_record_has_16_bits),
		cmocka_unit_test(test_cq_doorbell_is_that_of_mlx5_arm_cq),
		cmocka_unit_test(test_doorbell_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return t_skip(T_NO_RDMA_CORE);
}

#endif
