/* SPDX-License-Identifier: MIT */
/*
 * hw/cqe.h against rdma-core's mlx5dv.h: every field, the encoder and the
 * decoder over random values, opcodes and syndromes.
 */
#include "layout/compare.h"
#include "layout/rdma_core.h"
#include "hw/cqe.h"

#if T_RDMA_CORE

static void test_cqe_has_the_fields_of_mlx5_cqe64(void **state)
{
	(void)state;
#define SAME(field) T_SAME_FIELD(struct hw_cqe, field, struct mlx5_cqe64, field)
	T_SAME_SIZE(struct hw_cqe, struct mlx5_cqe64);
	assert_int_equal(HW_CQE_BYTES, sizeof(struct mlx5_cqe64));
	SAME(ml_path);
	SAME(slid);
	SAME(flags_rqpn);
	SAME(srqn_uidx);
	SAME(imm_inval_pkey);
	SAME(byte_cnt);
	SAME(timestamp);
	SAME(sop_drop_qpn);
	SAME(wqe_counter);
	SAME(signature);
	SAME(op_own);
#undef SAME
}

static void test_err_cqe_has_the_fields_of_mlx5_err_cqe(void **state)
{
	(void)state;
#define SAME(field)                                                            \
	T_SAME_FIELD(struct hw_err_cqe, field, struct mlx5_err_cqe, field)
	T_SAME_SIZE(struct hw_err_cqe, struct mlx5_err_cqe);
	SAME(vendor_err_synd);
	SAME(syndrome);
	SAME(s_wqe_opcode_qpn);
	SAME(wqe_counter);
	SAME(signature);
	SAME(op_own);
#undef SAME
	T_SAME_FIELD(struct hw_err_cqe, srqn_uidx, struct mlx5_err_cqe, srqn);
}

static void test_cqe_opcodes_are_those_of_mlx5dv(void **state)
{
	(void)state;
	assert_int_equal(HW_CQE_REQ, MLX5_CQE_REQ);
	assert_int_equal(HW_CQE_RESP_WR_IMM, MLX5_CQE_RESP_WR_IMM);
	assert_int_equal(HW_CQE_RESP_SEND, MLX5_CQE_RESP_SEND);
	assert_int_equal(HW_CQE_RESP_SEND_IMM, MLX5_CQE_RESP_SEND_IMM);
	assert_int_equal(HW_CQE_RESP_SEND_INV, MLX5_CQE_RESP_SEND_INV);
	assert_int_equal(HW_CQE_RESIZE, MLX5_CQE_RESIZE_CQ);
	assert_int_equal(HW_CQE_REQ_ERR, MLX5_CQE_REQ_ERR);
	assert_int_equal(HW_CQE_RESP_ERR, MLX5_CQE_RESP_ERR);
	assert_int_equal(HW_CQE_INVALID, MLX5_CQE_INVALID);
}

static void test_syndromes_are_those_of_mlx5dv(void **state)
{
	(void)state;
#define SAME(ours, theirs)                                                     \
	do {                                                                   \
		assert_int_equal(HW_SYND_##ours,                               \
				 MLX5_CQE_SYNDROME_##theirs##_ERR);            \
		assert_string_equal(hw_syndrome_name(HW_SYND_##ours), #ours);  \
	} while (0)
	SAME(LOCAL_LENGTH, LOCAL_LENGTH);
	SAME(LOCAL_QP_OP, LOCAL_QP_OP);
	SAME(LOCAL_PROT, LOCAL_PROT);
	SAME(WR_FLUSH, WR_FLUSH);
	SAME(MW_BIND, MW_BIND);
	SAME(BAD_RESP, BAD_RESP);
	SAME(LOCAL_ACCESS, LOCAL_ACCESS);
	SAME(REMOTE_INVAL_REQ, REMOTE_INVAL_REQ);
	SAME(REMOTE_ACCESS, REMOTE_ACCESS);
	SAME(REMOTE_OP, REMOTE_OP);
	SAME(RETRY_EXC, TRANSPORT_RETRY_EXC);
	SAME(RNR_RETRY_EXC, RNR_RETRY_EXC);
	SAME(REMOTE_ABORTED, REMOTE_ABORTED);
#undef SAME
	assert_string_equal(hw_syndrome_name(0), "NONE");
	assert_string_equal(hw_syndrome_name(0x7f), "?");
}

static struct hw_cqe_info random_info(struct t_rng *random, uint8_t opcode)
{
	struct hw_cqe_info info = {
		.timestamp = t_random(random),
		.qpn = t_random_32(random) & 0xffffff,
		.user_index = t_random_32(random) & 0xffffff,
		.byte_cnt = t_random_32(random),
		.imm = t_random_32(random),
		.src_qpn = t_random_32(random) & 0xffffff,
		.slid = t_random_16(random),
		.path_bits = t_random_8(random) & 0x7f,
		.sl = t_random_8(random) & 0xf,
		.grh = t_random_8(random) & 3,
		.wqe_counter = t_random_16(random),
		.opcode = opcode,
		.wqe_opcode = t_random_8(random),
		.solicited = t_random_8(random) & 1,
		.owner = t_random_8(random) & 1,
		.syndrome = t_random_8(random),
		.vendor_syndrome = t_random_8(random),
	};

	return info;
}

static void test_cqe_encodes_what_libmlx5_reads(void **state)
{
	struct t_rng random = t_random_start("cqe");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		struct hw_cqe_info in =
			random_info(&random, t_random_8(&random) % 5);
		struct hw_cqe cqe = hw_cqe_encode(&in);
		struct mlx5_cqe64 expected = {
			.ml_path = in.path_bits,
			.slid = htobe16(in.slid),
			.flags_rqpn =
				htobe32((uint32_t)in.grh << 28 |
					(uint32_t)in.sl << 24 | in.src_qpn),
			.srqn_uidx = htobe32(in.user_index),
			.imm_inval_pkey = htobe32(in.imm),
			.byte_cnt = htobe32(in.byte_cnt),
			.timestamp = htobe64(in.timestamp),
			.sop_drop_qpn =
				htobe32((uint32_t)in.wqe_opcode << 24 | in.qpn),
			.wqe_counter = htobe16(in.wqe_counter),
			.op_own = (uint8_t)(in.opcode << 4 | in.solicited << 1),
		};

		mlx5dv_set_cqe_owner(&expected, in.owner);
		assert_memory_equal(&cqe, &expected, sizeof(cqe));
		assert_int_equal(mlx5dv_get_cqe_opcode(&expected), in.opcode);
		assert_int_equal(mlx5dv_get_cqe_se(&expected), in.solicited);
		assert_int_equal(mlx5dv_get_cqe_format(&expected), 0);
	}
}

/* Everything but what is named here is reserved, so it must be zero. */
static void test_err_cqe_encodes_what_libmlx5_reads(void **state)
{
	struct t_rng random = t_random_start("error cqe");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		struct hw_cqe_info in = random_info(
			&random, t_random_8(&random) & 1 ? HW_CQE_REQ_ERR
							 : HW_CQE_RESP_ERR);
		struct hw_cqe cqe = hw_cqe_encode(&in);
		struct mlx5_err_cqe expected;

		memset(&expected, 0, sizeof(expected));
		expected.srqn = htobe32(in.user_index);
		expected.vendor_err_synd = in.vendor_syndrome;
		expected.syndrome = in.syndrome;
		expected.s_wqe_opcode_qpn =
			htobe32((uint32_t)in.wqe_opcode << 24 | in.qpn);
		expected.wqe_counter = htobe16(in.wqe_counter);
		expected.op_own = (uint8_t)(in.opcode << 4 | in.solicited << 1 |
					    in.owner);
		assert_memory_equal(&cqe, &expected, sizeof(cqe));
	}
}

static void test_cqe_decodes_any_bytes_as_libmlx5_does(void **state)
{
	struct t_rng random = t_random_start("any cqe");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		struct mlx5_cqe64 in;
		struct mlx5_err_cqe err;
		struct hw_cqe cqe;
		struct hw_cqe_info out;

		t_random_bytes(&random, (uint8_t *)&in, sizeof(in));
		memcpy(&err, &in, sizeof(err));
		memcpy(&cqe, &in, sizeof(cqe));
		out = hw_cqe_decode(&cqe);
		assert_int_equal(out.opcode, mlx5dv_get_cqe_opcode(&in));
		assert_int_equal(out.solicited, mlx5dv_get_cqe_se(&in));
		assert_int_equal(out.owner, mlx5dv_get_cqe_owner(&in));
		assert_int_equal(out.qpn, be32toh(in.sop_drop_qpn) & 0xffffff);
		assert_int_equal(out.wqe_opcode,
				 be32toh(in.sop_drop_qpn) >> 24);
		assert_int_equal(out.wqe_counter, be16toh(in.wqe_counter));
		assert_int_equal(out.user_index,
				 be32toh(in.srqn_uidx) & 0xffffff);
		if (out.opcode == MLX5_CQE_REQ_ERR ||
		    out.opcode == MLX5_CQE_RESP_ERR) {
			assert_int_equal(out.syndrome, err.syndrome);
			assert_int_equal(out.vendor_syndrome,
					 err.vendor_err_synd);
			continue;
		}
		/* as handle_responder() of libmlx5 takes them apart */
		assert_int_equal(out.src_qpn,
				 be32toh(in.flags_rqpn) & 0xffffff);
		assert_int_equal(out.sl, be32toh(in.flags_rqpn) >> 24 & 0xf);
		assert_int_equal(out.grh, be32toh(in.flags_rqpn) >> 28 & 3);
		assert_int_equal(out.slid, be16toh(in.slid));
		assert_int_equal(out.path_bits, in.ml_path & 0x7f);
		assert_int_equal(out.imm, be32toh(in.imm_inval_pkey));
		assert_int_equal(out.byte_cnt, be32toh(in.byte_cnt));
		assert_true(out.timestamp == be64toh(in.timestamp));
	}
}

/* The example of hw/cqe.h */
static void test_cqe_example(void **state)
{
	struct hw_cqe_info in = {
		.opcode = HW_CQE_REQ,
		.wqe_opcode = MLX5_OPCODE_RDMA_WRITE,
		.qpn = 0x2ed,
		.wqe_counter = 0x1ff,
	};
	struct hw_cqe cqe = hw_cqe_encode(&in);
	(void)state;

	t_assert_hex((uint8_t *)&cqe + 56, 8, "08 00 02 ed  01 ff 00 00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cqe_has_the_fields_of_mlx5_cqe64),
		cmocka_unit_test(test_err_cqe_has_the_fields_of_mlx5_err_cqe),
		cmocka_unit_test(test_cqe_opcodes_are_those_of_mlx5dv),
		cmocka_unit_test(test_syndromes_are_those_of_mlx5dv),
		cmocka_unit_test(test_cqe_encodes_what_libmlx5_reads),
		cmocka_unit_test(test_err_cqe_encodes_what_libmlx5_reads),
		cmocka_unit_test(test_cqe_decodes_any_bytes_as_libmlx5_does),
		cmocka_unit_test(test_cqe_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return t_skip(T_NO_RDMA_CORE);
}

#endif
