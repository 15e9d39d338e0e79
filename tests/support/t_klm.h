/* SPDX-License-Identifier: MIT */
/*
 * Indirect keys for tests: mailboxes with lists, and UMR WQEs.
 */
#ifndef T_KLM_H
#define T_KLM_H

#include "support/t_nic.h"
#include "hw/umr.h"

enum { T_KLM_MAX = 80 };

struct t_klm_options {
	uint8_t mode; /* 0: KLM */
	uint8_t log_entity;
	uint8_t variant;
	bool free; /* with umr_en; UMR binds it */
	bool umr_en;
	bool rinval, length64, read_only, no_atomic;
	uint32_t qpn;	   /* 0: any */
	uint32_t capacity; /* 0: the number of entries */
	uint64_t start, len;
};

/* The mailbox; returns its length. */
size_t t_klm_mailbox(struct t_node *node, const struct t_klm_options *options,
		     const struct hw_klm *list, unsigned count, uint8_t *in);

/* The key, with all rights but those that the options take away. */
uint32_t t_klm_key(struct t_node *node, const struct t_klm_options *options,
		   const struct hw_klm *list, unsigned count);

void t_mkey_destroy(struct t_node *node, uint32_t key);
void t_query_mkey(struct t_node *node, uint32_t key, uint8_t *mkc);

/* A UMR WQE: the key in ctrl.imm, the control segment, the context. */
struct t_umr {
	uint32_t key;
	uint8_t fm_ce_se;
	struct hw_umr_ctrl_info ctrl;
	uint8_t mkc[HW_MKC_BYTES];
	const struct hw_klm *list; /* inline: ctrl.octwords of it */
	const struct hw_wqe_data *pointer;
};

uint16_t t_umr_post(struct t_qp *qp, const struct t_umr *umr);

/* What libmlx5 posts for ibv_bind_mw() and IBV_WR_BIND_MW. */
struct t_bind {
	uint32_t key;  /* as it is now */
	uint32_t rkey; /* as it is to be */
	bool type_1;   /* else type 2: for this queue pair only */
	bool zero_based;
	uint8_t access; /* enum nic_access */
	uint32_t lkey;
	uint64_t addr, len; /* 0: unbind */
};

void t_bind_umr(const struct t_qp *qp, const struct t_bind *bind,
		struct t_umr *umr, struct hw_klm list[4]);
uint16_t t_bind_post(struct t_qp *qp, const struct t_bind *bind);

/* What it posts for IBV_WR_LOCAL_INV. */
uint16_t t_local_inv(struct t_qp *qp, uint32_t rkey);

/* As the kernel driver makes a window. */
uint32_t t_mw(struct t_node *node, bool type_2);

#endif
