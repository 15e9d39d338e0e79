/* SPDX-License-Identifier: MIT */
/*
 * Object tables: a growing array of pointers.
 *
 * Thread: under the NIC's lock.
 */
#include "emu/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void nic_table_init(struct nic_table *table, uint32_t base, uint32_t limit)
{
	memset(table, 0, sizeof(*table));
	table->base = base;
	table->limit = limit;
}

void nic_table_free(struct nic_table *table)
{
	free(table->slots);
	table->slots = NULL;
	table->capacity = table->count = 0;
}

static int grow(struct nic_table *table)
{
	uint32_t capacity = table->capacity ? table->capacity * 2 : 16;
	void **slots;

	if (capacity > table->limit)
		capacity = table->limit;
	slots = realloc(table->slots, capacity * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	memset(slots + table->capacity, 0,
	       (capacity - table->capacity) * sizeof(*slots));
	table->next = table->capacity;
	table->slots = slots;
	table->capacity = capacity;
	return 0;
}

int nic_table_add(struct nic_table *table, void *object, uint32_t *number)
{
	uint32_t slot;
	int ret;

	if (table->count == table->limit)
		return -ENOSPC;
	if (table->count == table->capacity) {
		ret = grow(table);
		if (ret)
			return ret;
	}
	for (slot = table->next; table->slots[slot % table->capacity];)
		slot++;
	slot %= table->capacity;
	table->slots[slot] = object;
	table->next = (slot + 1) % table->capacity;
	table->count++;
	*number = table->base + slot;
	return 0;
}

void nic_table_remove(struct nic_table *table, uint32_t number)
{
	assert(nic_table_get(table, number));
	table->slots[number - table->base] = NULL;
	table->count--;
}
