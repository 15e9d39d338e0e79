/* SPDX-License-Identifier: MIT */
/*
 * Indirect keys for tests, see t_klm.h.
 */
#include "support/t_klm.h"

size_t t_klm_mailbox(struct t_node *node, const struct t_klm_options *options,
		     const struct hw_klm *list, unsigned count, uint8_t *in)
{
	uint8_t *mkc = in + HW_MKC_OFFSET;
	bool rights = !options->read_only;

	memset(in, 0, HW_CREATE_MKEY_IN_BYTES);
	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_MKEY);
	hw_set(in, HW_CREATE_MKEY_ACTUAL_SIZE, count);
	hw_set(mkc, HW_MKC_ACCESS_MODE_1_0,
	       options->mode ? options->mode : HW_MKC_MODE_KLMS);
	hw_set(mkc, HW_MKC_FREE, options->free);
	hw_set(mkc, HW_MKC_UMR_EN, options->free || options->umr_en);
	hw_set(mkc, HW_MKC_EN_RINVAL, options->rinval);
	hw_set(mkc, HW_MKC_LR, 1);
	hw_set(mkc, HW_MKC_LW, rights);
	hw_set(mkc, HW_MKC_RR, 1);
	hw_set(mkc, HW_MKC_RW, rights);
	hw_set(mkc, HW_MKC_A, rights && !options->no_atomic);
	hw_set(mkc, HW_MKC_QPN, options->qpn ? options->qpn : HW_MKC_QPN_ANY);
	hw_set(mkc, HW_MKC_MKEY_7_0, options->variant);
	hw_set(mkc, HW_MKC_LENGTH64, options->length64);
	hw_set(mkc, HW_MKC_PD, node->pd);
	hw_set64(mkc, HW_MKC_START_ADDR, options->start);
	hw_set64(mkc, HW_MKC_LEN, options->len);
	hw_set(mkc, HW_MKC_TRANSLATIONS_SIZE,
	       options->capacity ? options->capacity : count);
	hw_set(mkc, HW_MKC_LOG_PAGE_SIZE, options->log_entity);
	if (count)
		memcpy(in + HW_CREATE_MKEY_LIST, list, count * sizeof(*list));
	return HW_CREATE_MKEY_LIST + count * sizeof(*list);
}

uint32_t t_klm_key(struct t_node *node, const struct t_klm_options *options,
		   const struct hw_klm *list, unsigned count)
{
	static uint8_t
		in[HW_CREATE_MKEY_LIST + T_KLM_MAX * sizeof(struct hw_klm)];
	uint8_t out[T_OUT];
	size_t len;

	assert_true(count <= T_KLM_MAX);
	len = t_klm_mailbox(node, options, list, count, in);
	if (t_cmd(node, in, len, out) != HW_CMD_OK)
		fail_msg("CREATE_MKEY: %s", node->log);
	return hw_get(out, HW_CMD_OUT_NUMBER) << 8 | options->variant;
}

void t_mkey_destroy(struct t_node *node, uint32_t key)
{
	assert_int_equal(t_simple(node, HW_CMD_DESTROY_MKEY, key >> 8, NULL),
			 HW_CMD_OK);
}

void t_query_mkey(struct t_node *node, uint32_t key, uint8_t *mkc)
{
	uint8_t out[T_OUT];

	assert_int_equal(t_simple(node, HW_CMD_QUERY_MKEY, key >> 8, out),
			 HW_CMD_OK);
	memcpy(mkc, out + HW_MKC_OFFSET, HW_MKC_BYTES);
}

/* ----------------------------------------------------------------- UMR */

uint16_t t_umr_post(struct t_qp *qp, const struct t_umr *umr)
{
	struct hw_umr_ctrl ctrl = hw_umr_ctrl_encode(&umr->ctrl);

	t_begin(qp, HW_OP_UMR, 0, umr->fm_ce_se);
	t_imm(qp, umr->key);
	t_segment(qp, &ctrl, sizeof(ctrl));
	t_segment(qp, umr->mkc, sizeof(umr->mkc));
	if (umr->list)
		t_segment(qp, umr->list,
			  (uint32_t)(umr->ctrl.octwords * HW_OCTWORD));
	if (umr->pointer)
		t_segment(qp, umr->pointer, sizeof(*umr->pointer));
	return t_end(qp);
}

void t_bind_umr(const struct t_qp *qp, const struct t_bind *bind,
		struct t_umr *umr, struct hw_klm list[4])
{
	uint8_t access = bind->access;

	memset(umr, 0, sizeof(*umr));
	memset(list, 0, 4 * sizeof(*list));
	umr->key = bind->key;
	umr->fm_ce_se = T_SIGNALED;
	umr->ctrl.flags = HW_UMR_INLINE | HW_UMR_OFFSET;
	umr->ctrl.mask = HW_UMR_FREE | HW_UMR_MKEY;
	if (!bind->type_1)
		umr->ctrl.mask |= HW_UMR_QPN;
	hw_set(umr->mkc, HW_MKC_MKEY_7_0, bind->rkey & 0xff);
	hw_set(umr->mkc, HW_MKC_QPN,
	       bind->type_1 || !bind->len ? HW_MKC_QPN_ANY : qp->number);
	if (!bind->len) {
		hw_set(umr->mkc, HW_MKC_FREE, 1);
		umr->ctrl.flags |= bind->type_1 ? 0 : HW_UMR_CHECK_QPN;
		return;
	}
	umr->ctrl.flags |= bind->type_1 ? 0 : HW_UMR_MUST_BE_FREE;
	umr->ctrl.octwords = 4;
	umr->ctrl.mask |= HW_UMR_LEN | HW_UMR_START_ADDR | HW_UMR_LW |
			  HW_UMR_RR | HW_UMR_RW | HW_UMR_A;
	hw_set(umr->mkc, HW_MKC_LW, !!(access & NIC_ACCESS_LOCAL_WRITE));
	hw_set(umr->mkc, HW_MKC_RW, !!(access & NIC_ACCESS_REMOTE_WRITE));
	hw_set(umr->mkc, HW_MKC_RR, !!(access & NIC_ACCESS_REMOTE_READ));
	hw_set(umr->mkc, HW_MKC_A, !!(access & NIC_ACCESS_REMOTE_ATOMIC));
	hw_set64(umr->mkc, HW_MKC_START_ADDR,
		 bind->zero_based ? 0 : bind->addr);
	hw_set64(umr->mkc, HW_MKC_LEN, bind->len);
	list[0] = hw_klm_encode((uint32_t)bind->len, bind->lkey, bind->addr);
	umr->list = list;
}

uint16_t t_bind_post(struct t_qp *qp, const struct t_bind *bind)
{
	struct hw_klm list[4];
	struct t_umr umr;

	t_bind_umr(qp, bind, &umr, list);
	return t_umr_post(qp, &umr);
}

uint16_t t_local_inv(struct t_qp *qp, uint32_t rkey)
{
	struct t_bind bind = {.key = rkey};

	return t_bind_post(qp, &bind);
}

uint32_t t_mw(struct t_node *node, bool type_2)
{
	uint8_t in[HW_CREATE_MKEY_IN_BYTES] = {0}, out[T_OUT];
	uint8_t *mkc = in + HW_MKC_OFFSET;

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_MKEY);
	hw_set(mkc, HW_MKC_FREE, 1);
	hw_set(mkc, HW_MKC_TRANSLATIONS_SIZE, 4);
	hw_set(mkc, HW_MKC_PD, node->pd);
	hw_set(mkc, HW_MKC_UMR_EN, 1);
	hw_set(mkc, HW_MKC_LR, 1);
	hw_set(mkc, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_KLMS);
	hw_set(mkc, HW_MKC_EN_RINVAL, type_2);
	hw_set(mkc, HW_MKC_QPN, HW_MKC_QPN_ANY);
	hw_set(mkc, HW_MKC_MKEY_7_0, 0x31);
	assert_int_equal(t_cmd(node, in, sizeof(in), out), HW_CMD_OK);
	return hw_get(out, HW_CMD_OUT_NUMBER) << 8 | 0x31;
}
