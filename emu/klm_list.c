/* SPDX-License-Identifier: MIT */
/*
 * The list behind an indirect key: KLM entries, strided blocks, KSM entries.
 *
 * Octwords are kept as the client wrote them. Beside each stands where the
 * range that it begins ends, so that an offset is found by halving. A strided
 * block that does not add up stands for no bytes: the list ends there early.
 *
 * Source: rdma-core providers/mlx5/qp.c (who writes them); PRM, "KLM".
 * Thread: under the NIC's lock.
 */
#include "emu/klm_list.h"

#include <stdlib.h>

struct nic_klm_list *nic_klm_list_create(uint32_t capacity)
{
	struct nic_klm_list *list = calloc(1, sizeof(*list));

	if (!list)
		return NULL;
	list->capacity = capacity;
	list->octwords = calloc(capacity, sizeof(*list->octwords));
	list->ends = calloc(capacity, sizeof(*list->ends));
	if (!list->octwords || !list->ends) {
		nic_klm_list_destroy(list);
		return NULL;
	}
	return list;
}

void nic_klm_list_destroy(struct nic_klm_list *list)
{
	if (!list)
		return;
	free(list->octwords);
	free(list->ends);
	free(list);
}

static struct hw_repeat_head head_at(const struct nic_klm_list *list,
				     uint32_t i)
{
	struct hw_repeat_head head;

	memcpy(&head, &list->octwords[i], sizeof(head));
	return head;
}

static struct hw_repeat_entry entry_at(const struct nic_klm_list *list,
				       uint32_t i)
{
	struct hw_repeat_entry entry;

	memcpy(&entry, &list->octwords[i], sizeof(entry));
	return entry;
}

/* Bytes of all cycles of the block at i; 0 if it is malformed. */
static uint64_t block_len(const struct nic_klm_list *list, uint32_t i)
{
	struct hw_repeat_head head = head_at(list, i);
	uint32_t cycle = from_be32(head.byte_count), k;
	uint32_t entries = from_be16(head.num_entries);
	uint64_t sum = 0;

	if (entries >= list->capacity - i)
		return 0;
	for (k = 1; k <= entries; k++)
		sum += from_be16(entry_at(list, i + k).byte_count);
	if (!cycle || sum != cycle)
		return 0;
	return (uint64_t)cycle * from_be32(head.repeat_count);
}

static bool is_block(const struct nic_klm_list *list, uint32_t i)
{
	return from_be32(list->octwords[i].mkey) == HW_REPEAT_OP;
}

void nic_klm_list_index(struct nic_klm_list *list)
{
	uint64_t end = 0, len;
	uint32_t i = 0, next;

	while (i < list->capacity) {
		next = i + 1;
		if (is_block(list, i)) {
			len = block_len(list, i);
			next += len ? from_be16(head_at(list, i).num_entries)
				    : 0;
		} else {
			len = from_be32(list->octwords[i].byte_count);
			len = len ? len : 1ull << 31;
		}
		end = len > UINT64_MAX - end ? UINT64_MAX : end + len;
		/* The entries of a block begin nothing of their own. */
		while (i < next)
			list->ends[i++] = end;
		if (is_block(list, next - 1) && !len)
			break;
	}
	while (i < list->capacity)
		list->ends[i++] = end;
}

/* Offset is inside the block at i. */
static void find_in_block(const struct nic_klm_list *list, uint32_t i,
			  uint64_t offset, struct nic_klm_piece *piece)
{
	uint32_t cycle = from_be32(head_at(list, i).byte_count);
	uint64_t turn = offset / cycle, inside = offset % cycle;
	struct hw_repeat_entry entry = entry_at(list, ++i);

	while (inside >= from_be16(entry.byte_count)) {
		inside -= from_be16(entry.byte_count);
		entry = entry_at(list, ++i);
	}
	piece->key = from_be32(entry.mkey);
	piece->va = from_be64(entry.address) + turn * from_be16(entry.stride) +
		    inside;
	piece->len = from_be16(entry.byte_count) - inside;
}

bool nic_klm_list_find(const struct nic_klm_list *list, uint64_t offset,
		       struct nic_klm_piece *piece)
{
	uint32_t low = 0, high = list->capacity, middle;
	uint64_t start;

	/* The first octword that ends behind offset. */
	while (low < high) {
		middle = low + (high - low) / 2;
		if (list->ends[middle] > offset)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == list->capacity)
		return false;
	start = low ? list->ends[low - 1] : 0;
	offset -= start;
	if (is_block(list, low)) {
		find_in_block(list, low, offset, piece);
		return true;
	}
	piece->key = from_be32(list->octwords[low].mkey);
	piece->va = from_be64(list->octwords[low].address) + offset;
	piece->len = list->ends[low] - start - offset;
	return true;
}

bool nic_klm_list_find_ksm(const struct nic_klm_list *list, uint8_t log_entity,
			   uint64_t offset, struct nic_klm_piece *piece)
{
	uint64_t entity = 1ull << log_entity, i = offset >> log_entity;

	if (i >= list->capacity)
		return false;
	offset &= entity - 1;
	piece->key = from_be32(list->octwords[i].mkey);
	piece->va = from_be64(list->octwords[i].address) + offset;
	piece->len = entity - offset;
	return true;
}
