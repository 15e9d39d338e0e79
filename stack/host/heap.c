/* SPDX-License-Identifier: MIT */
/*
 * The symmetric heap: memory of the same layout on every PE, one key.
 *
 *	0       the device barrier's words
 *	0x200   the sink: results of atomics that nobody asked for
 *	0x280   slots of fetching operations, fetch_slots for each queue pair
 *	...     what gda_malloc gives out
 *
 * Thread: gda_init's; the collective calls: one at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stack/host/internal.h"

enum { BARRIER_OFFSET = 0, SINK_OFFSET = 0x200, SLOTS_OFFSET = 0x280 };

_Static_assert(sizeof(struct gda_dev_barrier) <= SINK_OFFSET,
	       "the barrier's words reach the sink");

uint64_t gda_heap_user_offset(const struct gda_config *config)
{
	uint64_t qps = (uint64_t)config->npes * config->qps_per_peer;
	uint64_t end = SLOTS_OFFSET +
		       qps * config->fetch_slots * sizeof(struct gda_dev_slot);

	return (end + 4095) & ~4095ull;
}

struct gda_dev_barrier *gda_heap_barrier(const struct gda *gda)
{
	return (void *)gda_region_at(&gda->heap, BARRIER_OFFSET);
}

uint8_t *gda_heap_sink(const struct gda *gda)
{
	return gda_region_at(&gda->heap, SINK_OFFSET);
}

struct gda_dev_slot *gda_heap_slots(const struct gda *gda, uint32_t qp_index)
{
	struct gda_dev_slot *slots =
		(void *)gda_region_at(&gda->heap, SLOTS_OFFSET);

	return slots + (uint64_t)qp_index * gda->config.fetch_slots;
}

int gda_heap_open(struct gda *gda)
{
	const struct gda_config *config = &gda->config;
	uint64_t first = gda_heap_user_offset(config);
	struct gda_mr_attr attr;
	int rc =
		gda_region_open(config, config->heap_place,
				first + config->heap_bytes, "heap", &gda->heap);

	if (rc)
		return rc;
	attr.mem = gda->heap.mem;
	attr.iova = (uintptr_t)attr.mem.addr;
	rc = gda->ops->mr_reg(gda->backend, &attr, &gda->heap_mr);
	if (rc) {
		gda_region_close(config, &gda->heap);
		return rc;
	}
	/* The same on all PEs, wherever their heaps lie. */
	gda_space_init(&gda->space, first,
		       (first + config->heap_bytes + 4095) & ~4095ull);
	return 0;
}

void gda_heap_close(struct gda *gda)
{
	gda_space_clear(&gda->space);
	gda->ops->mr_dereg(gda->backend, &gda->heap_mr);
	gda_region_close(&gda->config, &gda->heap);
}

/* ------------------------------------------------------ malloc and free */

/* What every PE must agree on for one call. */
struct request {
	uint64_t bytes;
	uint64_t offset;
	int64_t rc;
};

/*
 * Tell all PEs what came out here. Returns 0 if it is the same everywhere,
 * the bootstrap's error, or -EINVAL and which PE differs.
 */
static int agree(struct gda *gda, const struct request *mine, const char *call)
{
	struct request *all = calloc((size_t)gda->config.npes, sizeof(*all));
	int pe, rc;

	if (!all)
		return gda_fail(&gda->config, -ENOMEM, "%s: no memory", call);
	rc = gda_allgather(gda, mine, all, sizeof(*mine));
	for (pe = 0; !rc && pe < gda->config.npes; pe++)
		if (memcmp(&all[pe], mine, sizeof(*mine)))
			rc = gda_fail(
				&gda->config, -EINVAL,
				"%s: PE %d asked for %llu bytes and got "
				"offset 0x%llx (%s), PE %d for %llu and "
				"0x%llx: collective calls differ",
				call, pe, (unsigned long long)all[pe].bytes,
				(unsigned long long)all[pe].offset,
				gda_strerror((int)all[pe].rc), gda->config.pe,
				(unsigned long long)mine->bytes,
				(unsigned long long)mine->offset);
	free(all);
	return rc;
}

/* Returns 0 and *offset, or an error and *offset is 0. */
static int take(struct gda *gda, size_t bytes, bool zeroed, uint64_t *offset)
{
	int rc = gda_space_take(&gda->space, bytes, offset);

	if (!rc && zeroed) {
		rc = gda_region_fill(&gda->config, &gda->heap, *offset, 0,
				     bytes);
		if (rc)
			gda_space_give(&gda->space, *offset);
	}
	if (rc)
		*offset = 0;
	return rc;
}

static void *allocate(struct gda *gda, size_t bytes, const char *call,
		      bool zeroed)
{
	struct request mine = {bytes, 0, 0};
	int rc;

	mine.rc = take(gda, bytes, zeroed, &mine.offset);
	rc = agree(gda, &mine, call);
	if (!rc && mine.rc)
		rc = gda_fail(&gda->config,
			      mine.rc == -EINVAL ? -EINVAL : -ENOMEM,
			      "%s: no %zu bytes: %s (heap_bytes is %llu)", call,
			      bytes, gda_strerror((int)mine.rc),
			      (unsigned long long)gda->config.heap_bytes);
	if (!rc)
		return gda_region_at(&gda->heap, mine.offset);
	if (!mine.rc)
		gda_space_give(&gda->space, mine.offset);
	errno = -rc;
	return NULL;
}

void *gda_malloc(struct gda *gda, size_t bytes)
{
	return allocate(gda, bytes, "gda_malloc", false);
}

void *gda_calloc(struct gda *gda, size_t count, size_t bytes)
{
	size_t total;

	/* Asked for anyway, so that the PEs stay in step. */
	if (__builtin_mul_overflow(count, bytes, &total))
		total = SIZE_MAX;
	return allocate(gda, total, "gda_calloc", true);
}

int gda_free(struct gda *gda, void *addr)
{
	uint64_t offset =
		(uint64_t)((uint8_t *)addr - gda_region_at(&gda->heap, 0));
	struct request mine = {0, offset, 0};
	int rc;

	if (!addr)
		mine.offset = 0;
	else
		mine.bytes = gda_space_len(&gda->space, offset);
	if (addr && !mine.bytes)
		mine.rc = -EINVAL;
	/* Until all are here, one may still write to it. */
	rc = agree(gda, &mine, "gda_free");
	if (rc || !addr)
		return rc;
	if (mine.rc)
		return gda_fail(&gda->config, -EINVAL,
				"gda_free: %p is not the address of a block",
				addr);
	return gda_space_give(&gda->space, offset);
}
