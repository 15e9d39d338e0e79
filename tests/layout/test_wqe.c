/* SPDX-License-Identifier: MIT */
/*
 * hw/wqe.h and hw/wqe_opcode.h against rdma-core's mlx5dv.h: every field,
 * every encoder over random values, every opcode.
 */
#include "layout/compare.h"
#include "layout/rdma_core.h"
#include "hw/cmd_mkey.h"
#include "hw/umr.h"
#include "hw/wqe.h"
#include "hw/wqe_opcode.h"

#if T_RDMA_CORE

#define SAME(field) T_SAME_FIELD(struct OURS, field, struct THEIRS, field)

static void test_wqe_main_segments_have_the_fields_of_mlx5dv(void **state)
{
	(void)state;
#define OURS   hw_wqe_ctrl
#define THEIRS mlx5_wqe_ctrl_seg
	T_SAME_SIZE(struct OURS, struct THEIRS);
	SAME(opmod_idx_opcode);
	SAME(qpn_ds);
	SAME(signature);
	T_SAME_FIELD(struct OURS, rsvd9, struct THEIRS, dci_stream_channel_id);
	SAME(fm_ce_se);
	SAME(imm);
#undef OURS
#undef THEIRS
#define OURS   hw_wqe_raddr
#define THEIRS mlx5_wqe_raddr_seg
	T_SAME_SIZE(struct OURS, struct THEIRS);
	SAME(raddr);
	SAME(rkey);
	T_SAME_FIELD(struct OURS, rsvd12, struct THEIRS, reserved);
#undef OURS
#undef THEIRS
#define OURS   hw_wqe_data
#define THEIRS mlx5_wqe_data_seg
	T_SAME_SIZE(struct OURS, struct THEIRS);
	SAME(byte_count);
	SAME(lkey);
	SAME(addr);
#undef OURS
#undef THEIRS
}

static void test_umr_segments_have_the_fields_of_mlx5dv(void **state)
{
	(void)state;
#define OURS   hw_umr_ctrl
#define THEIRS mlx5_wqe_umr_ctrl_seg
	T_SAME_SIZE(struct OURS, struct THEIRS);
	SAME(flags);
	T_SAME_FIELD(struct OURS, octwords, struct THEIRS, klm_octowords);
	T_SAME_FIELD(struct OURS, offset_15_0, struct THEIRS,
		     translation_offset);
	T_SAME_FIELD(struct OURS, mask, struct THEIRS, mkey_mask);
#undef OURS
#undef THEIRS
#define OURS   hw_klm
#define THEIRS mlx5_wqe_umr_klm_seg
	T_SAME_SIZE(struct OURS, struct THEIRS);
	SAME(byte_count);
	SAME(mkey);
	SAME(address);
#undef OURS
#undef THEIRS
#define OURS   hw_repeat_head
#define THEIRS mlx5_wqe_umr_repeat_block_seg
	SAME(byte_count);
	SAME(op);
	SAME(repeat_count);
	T_SAME_FIELD(struct OURS, rsvd12, struct THEIRS, reserved);
	T_SAME_FIELD(struct OURS, num_entries, struct THEIRS, num_ent);
#undef OURS
#undef THEIRS
#define OURS   hw_repeat_entry
#define THEIRS mlx5_wqe_umr_repeat_ent_seg
	T_SAME_SIZE(struct OURS, struct THEIRS);
	SAME(stride);
	SAME(byte_count);
	T_SAME_FIELD(struct OURS, mkey, struct THEIRS, memkey);
	T_SAME_FIELD(struct OURS, address, struct THEIRS, va);
#undef OURS
#undef THEIRS
	assert_int_equal(sizeof(struct mlx5_wqe_mkey_context_seg),
			 HW_MKC_BYTES);
}

static void test_umr_bits_are_those_of_mlx5dv(void **state)
{
	(void)state;
#define FLAG(ours, theirs)                                                     \
	assert_int_equal(HW_UMR_##ours, MLX5_WQE_UMR_CTRL_FLAG_##theirs)
#define MASK(ours, theirs)                                                     \
	assert_int_equal(HW_UMR_##ours, MLX5_WQE_UMR_CTRL_MKEY_MASK_##theirs)
	FLAG(INLINE, INLINE);
	FLAG(MUST_BE_FREE, CHECK_FREE);
	FLAG(OFFSET, TRNSLATION_OFFSET);
	FLAG(CHECK_QPN, CHECK_QPN);
	MASK(LEN, LEN);
	MASK(START_ADDR, START_ADDR);
	MASK(SIG_ERR, SIG_ERR);
	MASK(BSF_EN, BSF_ENABLE);
	MASK(MKEY, MKEY);
	MASK(QPN, QPN);
	MASK(LW, ACCESS_LOCAL_WRITE);
	MASK(RR, ACCESS_REMOTE_READ);
	MASK(RW, ACCESS_REMOTE_WRITE);
	MASK(A, ACCESS_ATOMIC);
	MASK(FREE, FREE);
#undef FLAG
#undef MASK
}

/* The context of a UMR WQE is the mkc of the mailboxes. */
static void test_the_umr_context_is_an_mkc(void **state)
{
	struct mlx5_wqe_mkey_context_seg theirs;
	uint8_t *mkc = (uint8_t *)&theirs;
	(void)state;

	memset(&theirs, 0, sizeof(theirs));
	hw_set(mkc, HW_MKC_FREE, 1);
	hw_set(mkc, HW_MKC_LW, 1);
	hw_set(mkc, HW_MKC_A, 1);
	hw_set(mkc, HW_MKC_QPN, 0x123456);
	hw_set(mkc, HW_MKC_MKEY_7_0, 0x78);
	hw_set(mkc, HW_MKC_PD, 0xabcdef);
	hw_set64(mkc, HW_MKC_START_ADDR, 0x1122334455667788);
	hw_set64(mkc, HW_MKC_LEN, 0x99);
	hw_set(mkc, HW_MKC_TRANSLATIONS_SIZE, 0x88);
	hw_set(mkc, HW_MKC_LOG_PAGE_SIZE, 12);
	assert_int_equal(theirs.free, MLX5_WQE_MKEY_CONTEXT_FREE);
	assert_int_equal(theirs.access_flags,
			 MLX5_WQE_MKEY_CONTEXT_ACCESS_FLAGS_LOCAL_WRITE |
				 MLX5_WQE_MKEY_CONTEXT_ACCESS_FLAGS_ATOMIC);
	assert_int_equal(be32toh(theirs.qpn_mkey), 0x12345678);
	assert_int_equal(be32toh(theirs.flags_pd), 0xabcdef);
	assert_int_equal(be64toh(theirs.start_addr), 0x1122334455667788);
	assert_int_equal(be64toh(theirs.len), 0x99);
	assert_int_equal(be32toh(theirs.translations_octword_size), 0x88);
	assert_int_equal(theirs.log_page_size, 12);
}

static void test_wqe_other_segments_have_the_fields_of_mlx5dv(void **state)
{
	(void)state;
#define OURS   hw_wqe_inline
#define THEIRS mlx5_wqe_inl_data_seg
	T_SAME_SIZE(struct OURS, struct THEIRS);
	SAME(byte_count);
#undef OURS
#undef THEIRS
#define OURS   hw_wqe_atomic
#define THEIRS mlx5_wqe_atomic_seg
	T_SAME_SIZE(struct OURS, struct THEIRS);
	SAME(swap_add);
	SAME(compare);
#undef OURS
#undef THEIRS
#define OURS   hw_wqe_srq_next
#define THEIRS mlx5_wqe_srq_next_seg
	T_SAME_SIZE(struct OURS, struct THEIRS);
	T_SAME_FIELD(struct OURS, rsvd0, struct THEIRS, rsvd0);
	SAME(next_wqe_index);
	SAME(signature);
	T_SAME_FIELD(struct OURS, rsvd5, struct THEIRS, rsvd1);
#undef OURS
#undef THEIRS
#define OURS   hw_wqe_av
#define THEIRS mlx5_wqe_av
	T_SAME_SIZE(struct OURS, struct THEIRS);
	SAME(key);
	SAME(dqp_dct);
	SAME(stat_rate_sl);
	SAME(fl_mlid);
	SAME(rlid);
	T_SAME_FIELD(struct OURS, rsvd16, struct THEIRS, reserved0);
	SAME(rmac);
	SAME(tclass);
	SAME(hop_limit);
	SAME(grh_gid_fl);
	SAME(rgid);
#undef OURS
#undef THEIRS
}

#undef SAME

static void test_wqe_constants_are_those_of_mlx5dv(void **state)
{
	(void)state;
	assert_int_equal(HW_WQE_BB, MLX5_SEND_WQE_BB);
	assert_int_equal(HW_WQE_BB_LOG2, MLX5_SEND_WQE_SHIFT);
	assert_int_equal(HW_LKEY_INVALID, MLX5_INVALID_LKEY);
	assert_int_equal(HW_INLINE_FLAG, (uint32_t)MLX5_INLINE_SEG);
	assert_int_equal(HW_AV_EXT, (uint32_t)MLX5_EXTENDED_UD_AV);
	assert_int_equal(HW_SOLICITED, MLX5_WQE_CTRL_SOLICITED);
	assert_int_equal(hw_fm_ce_se(HW_FENCE_NONE, HW_CE_ALWAYS, 0),
			 MLX5_WQE_CTRL_CQ_UPDATE);
	assert_int_equal(hw_fm_ce_se(HW_FENCE_AND_SMALL, HW_CE_ERROR_ONLY, 0),
			 MLX5_WQE_CTRL_FENCE);
	assert_int_equal(
		hw_fm_ce_se(HW_FENCE_INITIATOR_SMALL, HW_CE_ERROR_ONLY, 0),
		MLX5_WQE_CTRL_INITIATOR_SMALL_FENCE);
	assert_int_equal(hw_fm_ce_se(HW_FENCE_NONE, HW_CE_ERROR_ONLY, 1),
			 MLX5_WQE_CTRL_SOLICITED);
}

static void test_wqe_ctrl_encodes_as_mlx5dv_set_ctrl_seg(void **state)
{
	struct t_rng random = t_random_start("ctrl");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		struct hw_wqe_ctrl_info in = {
			.qpn = t_random_32(&random) & 0xffffff,
			.imm = t_random_32(&random),
			.idx = t_random_16(&random),
			.opcode = t_random_8(&random),
			.opmod = t_random_8(&random),
			.ds = t_random_8(&random) & HW_WQE_DS_MAX,
			.fm_ce_se = t_random_8(&random),
			.signature = t_random_8(&random),
		};
		struct mlx5_wqe_ctrl_seg expected = {0};
		struct hw_wqe_ctrl ctrl = hw_wqe_ctrl_encode(&in);
		struct hw_wqe_ctrl_info out = hw_wqe_ctrl_decode(&ctrl);

		mlx5dv_set_ctrl_seg(&expected, in.idx, in.opcode, in.opmod,
				    in.qpn, in.fm_ce_se, in.ds, in.signature,
				    htobe32(in.imm));
		assert_memory_equal(&ctrl, &expected, sizeof(ctrl));
		assert_int_equal(out.qpn, in.qpn);
		assert_int_equal(out.imm, in.imm);
		assert_int_equal(out.idx, in.idx);
		assert_int_equal(out.opcode, in.opcode);
		assert_int_equal(out.opmod, in.opmod);
		assert_int_equal(out.ds, in.ds);
		assert_int_equal(out.fm_ce_se, in.fm_ce_se);
		assert_int_equal(out.signature, in.signature);
	}
}

static void test_wqe_data_encodes_as_mlx5dv_set_data_seg(void **state)
{
	struct t_rng random = t_random_start("data");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		uint32_t len = t_random_32(&random) & 0x7fffffff;
		uint32_t lkey = t_random_32(&random);
		uint64_t addr = t_random(&random);
		struct hw_wqe_data data = hw_wqe_data_encode(len, lkey, addr);
		struct mlx5_wqe_data_seg expected;

		mlx5dv_set_data_seg(&expected, len, lkey, addr);
		assert_memory_equal(&data, &expected, sizeof(data));
		assert_int_equal(hw_wqe_data_len(&data),
				 len ? len : 0x80000000u);
	}
}

static void test_wqe_raddr_atomic_inline_encode_as_mlx5dv(void **state)
{
	struct t_rng random = t_random_start("raddr, atomic, inline");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		uint64_t a = t_random(&random), b = t_random(&random);
		uint32_t n = t_random_32(&random);
		uint32_t len = n & 0x3ff;
		struct hw_wqe_raddr raddr = hw_wqe_raddr_encode(a, n);
		struct hw_wqe_atomic atomic = hw_wqe_atomic_encode(a, b);
		struct hw_wqe_inline inl = hw_wqe_inline_encode(len);
		struct mlx5_wqe_raddr_seg expected_raddr = {.raddr = htobe64(a),
							    .rkey = htobe32(n)};
		struct mlx5_wqe_atomic_seg expected_atomic = {
			.swap_add = htobe64(a), .compare = htobe64(b)};
		struct mlx5_wqe_inl_data_seg expected_inline = {
			.byte_count = htobe32(len | (uint32_t)MLX5_INLINE_SEG)};

		assert_memory_equal(&raddr, &expected_raddr, sizeof(raddr));
		assert_memory_equal(&atomic, &expected_atomic, sizeof(atomic));
		assert_memory_equal(&inl, &expected_inline, sizeof(inl));
	}
}

static void test_wqe_address_vector_lies_as_mlx5dv_set_dgram_seg(void **state)
{
	struct t_rng random = t_random_start("address vector");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		uint64_t key = t_random(&random);
		uint32_t dqp = t_random_32(&random) & 0xffffff;
		uint32_t grh = t_random_32(&random);
		uint16_t rlid = t_random_16(&random);
		uint8_t ext = t_random_8(&random) & 1;
		struct mlx5_wqe_datagram_seg expected = {0};
		struct hw_wqe_av av = {
			.key = to_be64(key),
			.dqp_dct = to_be32(dqp | (ext ? HW_AV_EXT : 0)),
			.stat_rate_sl = t_random_8(&random),
			.fl_mlid = t_random_8(&random),
			.rlid = to_be16(rlid),
			.tclass = t_random_8(&random),
			.hop_limit = t_random_8(&random),
			.grh_gid_fl = to_be32(grh),
		};

		t_random_bytes(&random, av.rmac, sizeof(av.rmac));
		t_random_bytes(&random, av.rgid, sizeof(av.rgid));
		mlx5dv_set_dgram_seg(&expected, key, dqp, ext, av.stat_rate_sl,
				     av.fl_mlid, rlid, av.rmac, av.tclass,
				     av.hop_limit, grh, av.rgid);
		assert_memory_equal(&av, &expected, sizeof(av));
	}
}

static void test_wqe_address_vector_encodes_as_libmlx5(void **state)
{
	struct t_rng random = t_random_start("datagram");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		struct hw_wqe_av_info in = {
			.qkey = t_random_32(&random),
			.qpn = t_random_32(&random) & 0xffffff,
			.rlid = t_random_16(&random),
			.stat_rate = t_random_8(&random) & 15,
			.sl = t_random_8(&random) & 15,
			.fl_mlid = t_random_8(&random),
			.ext = t_random_8(&random) & 1,
		};
		uint8_t none[16] = {0};
		struct mlx5_wqe_datagram_seg expected = {0};
		struct hw_wqe_av_info out;
		struct hw_wqe_av av;

		if (in.ext) {
			in.grh = t_random_8(&random) & 1;
			in.flow_label = t_random_32(&random) & 0xfffff;
			in.sgid_index = t_random_8(&random);
			in.tclass = t_random_8(&random);
			in.hop_limit = t_random_8(&random);
			t_random_bytes(&random, in.rmac, sizeof(in.rmac));
			t_random_bytes(&random, in.rgid, sizeof(in.rgid));
		}
		mlx5dv_set_dgram_seg(
			&expected, (uint64_t)in.qkey << 32, in.qpn, in.ext,
			(uint8_t)(in.stat_rate << 4 | in.sl), in.fl_mlid,
			in.rlid, in.ext ? in.rmac : none, in.tclass,
			in.hop_limit,
			(uint32_t)in.grh << 30 | (uint32_t)in.sgid_index << 20 |
				in.flow_label,
			in.ext ? in.rgid : none);
		av = hw_wqe_av_encode(&in);
		assert_memory_equal(&av, &expected, sizeof(av));
		if (!in.ext) /* who reads it must not look there */
			memset((uint8_t *)&av + HW_AV_COMPACT_BYTES, 0xff,
			       sizeof(av) - HW_AV_COMPACT_BYTES);
		out = hw_wqe_av_decode(&av);
		assert_memory_equal(&in, &out, sizeof(in));
	}
}

static void test_wqe_opcodes_are_those_of_mlx5dv(void **state)
{
	(void)state;
	assert_int_equal(HW_OP_NOP, MLX5_OPCODE_NOP);
	assert_int_equal(HW_OP_SEND_INVAL, MLX5_OPCODE_SEND_INVAL);
	assert_int_equal(HW_OP_RDMA_WRITE, MLX5_OPCODE_RDMA_WRITE);
	assert_int_equal(HW_OP_RDMA_WRITE_IMM, MLX5_OPCODE_RDMA_WRITE_IMM);
	assert_int_equal(HW_OP_SEND, MLX5_OPCODE_SEND);
	assert_int_equal(HW_OP_SEND_IMM, MLX5_OPCODE_SEND_IMM);
	assert_int_equal(HW_OP_RDMA_READ, MLX5_OPCODE_RDMA_READ);
	assert_int_equal(HW_OP_ATOMIC_CS, MLX5_OPCODE_ATOMIC_CS);
	assert_int_equal(HW_OP_ATOMIC_FA, MLX5_OPCODE_ATOMIC_FA);
	assert_int_equal(HW_OP_MASKED_CS, MLX5_OPCODE_ATOMIC_MASKED_CS);
	assert_int_equal(HW_OP_MASKED_FA, MLX5_OPCODE_ATOMIC_MASKED_FA);
	assert_int_equal(HW_OP_UMR, MLX5_OPCODE_UMR);
	/* Not in mlx5dv.h; the value that gpunetio and NVSHMEM post. */
	assert_int_equal(HW_OP_WAIT, 0x0f);
	assert_int_equal(HW_OP_DUMP, 0x23);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_wqe_main_segments_have_the_fields_of_mlx5dv),
		cmocka_unit_test(
			test_wqe_other_segments_have_the_fields_of_mlx5dv),
		cmocka_unit_test(test_umr_segments_have_the_fields_of_mlx5dv),
		cmocka_unit_test(test_umr_bits_are_those_of_mlx5dv),
		cmocka_unit_test(test_the_umr_context_is_an_mkc),
		cmocka_unit_test(test_wqe_constants_are_those_of_mlx5dv),
		cmocka_unit_test(test_wqe_ctrl_encodes_as_mlx5dv_set_ctrl_seg),
		cmocka_unit_test(test_wqe_data_encodes_as_mlx5dv_set_data_seg),
		cmocka_unit_test(test_wqe_raddr_atomic_inline_encode_as_mlx5dv),
		cmocka_unit_test(
			test_wqe_address_vector_lies_as_mlx5dv_set_dgram_seg),
		cmocka_unit_test(test_wqe_address_vector_encodes_as_libmlx5),
		cmocka_unit_test(test_wqe_opcodes_are_those_of_mlx5dv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return t_skip(T_NO_RDMA_CORE);
}

#endif
