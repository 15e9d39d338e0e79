/* SPDX-License-Identifier: MIT */
/*
 * Object tables: number -> object, for QPs, CQs, keys and the rest.
 *
 * Numbers start at a base, are given out in turn (a freed number comes back
 * late, so that stale numbers are noticed) and never exceed the limit.
 */
#ifndef EMU_TABLE_H
#define EMU_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct nic_table {
	void **slots;
	uint32_t capacity; /* slots allocated */
	uint32_t base;	   /* number of slot 0 */
	uint32_t limit;	   /* most objects */
	uint32_t count;
	uint32_t next; /* slot to try first */
};

void nic_table_init(struct nic_table *table, uint32_t base, uint32_t limit);
void nic_table_free(struct nic_table *table);

/* Returns 0, -ENOSPC at the limit, -ENOMEM. */
int nic_table_add(struct nic_table *table, void *object, uint32_t *number);
void nic_table_remove(struct nic_table *table, uint32_t number);

/* The object, or NULL. */
static inline void *nic_table_get(const struct nic_table *table,
				  uint32_t number)
{
	uint32_t slot = number - table->base; /* wraps for number < base */

	return slot < table->capacity ? table->slots[slot] : NULL;
}

/* Walk the objects: for (i = 0; (obj = nic_table_walk(t, &i));) */
static inline void *nic_table_walk(const struct nic_table *table, uint32_t *i)
{
	while (*i < table->capacity) {
		void *object = table->slots[(*i)++];

		if (object)
			return object;
	}
	return NULL;
}

#endif
