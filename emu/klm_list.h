/* SPDX-License-Identifier: MIT */
/*
 * The list behind an indirect key: which key and address stand for an offset.
 */
#ifndef EMU_KLM_LIST_H
#define EMU_KLM_LIST_H

#include <stdbool.h>
#include "hw/umr.h"

enum {
	NIC_LOG_MAX_KLM_LIST = 16, /* octwords of one key's list */
	NIC_MAX_INDIRECTION = 4,   /* keys behind each other */
};

struct nic_klm_list {
	struct hw_klm *octwords;
	uint64_t *ends; /* where what octword i begins ends; saturates */
	uint32_t capacity;
};

/* A piece of the list: len bytes at va of a key. */
struct nic_klm_piece {
	uint64_t va, len;
	uint32_t key;
};

/* All octwords zero. NULL: out of memory. */
struct nic_klm_list *nic_klm_list_create(uint32_t capacity);
void nic_klm_list_destroy(struct nic_klm_list *list);

/* Octwords were written: find out again where each ends. */
void nic_klm_list_index(struct nic_klm_list *list);

/*
 * What stands at offset, up to the end of its entry; false: the list ends
 * before. ksm: every entry stands for 2^log_entity bytes.
 */
bool nic_klm_list_find(const struct nic_klm_list *list, uint64_t offset,
		       struct nic_klm_piece *piece);
bool nic_klm_list_find_ksm(const struct nic_klm_list *list, uint8_t log_entity,
			   uint64_t offset, struct nic_klm_piece *piece);

#endif
