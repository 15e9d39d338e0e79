/* SPDX-License-Identifier: MIT */
/*
 * An XRC domain's receive side, for tests: the shared receive queue with its
 * CQ, a linked list of slots with one data segment each.
 */
#ifndef T_XRC_H
#define T_XRC_H

#include "support/t_nic.h"
#include "hw/cmd_xrc.h"

enum { T_XRC_LOG_SIZE = 3, T_XRC_SLOT = 32 };

struct t_xrc_srq {
	struct t_node *node;
	uint8_t *ring; /* slots, then the doorbell record */
	uint32_t umem, number, pi;
	uint8_t create[HW_CREATE_XRC_SRQ_IN_BYTES];
};

uint32_t t_xrcd(struct t_node *node);

/* The mailbox, and what it makes. */
void t_xrc_srq_create(struct t_node *node, struct t_xrc_srq *srq,
		      const struct t_cq *cq, uint32_t xrcd);
uint8_t t_xrc_srq_destroy(struct t_xrc_srq *srq);

/* Post a receive at the next slot; slots are linked in their order. */
void t_xrc_post_recv(struct t_xrc_srq *srq, const void *addr, uint32_t len,
		     uint32_t lkey);

#endif
