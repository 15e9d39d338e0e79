/* SPDX-License-Identifier: MIT */
/*
 * The fake CUDA driver's memory: device memory, mapped once without access and
 * once as its view; and what is pinned of the host's.
 *
 * Addresses are used once, so that one that was freed stays unknown.
 */
#include "support/fake/fake_cuda_memory.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	BLOCKS_MAX = 65536,
	PINNED_MAX = 256,
};
#define MEMORY (4ull << 30)

struct range {
	uint8_t *at;
	size_t len;
	bool live;
};

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *memory, *view;
static size_t used;
static struct range blocks[BLOCKS_MAX], pinned[PINNED_MAX];
static unsigned block_count, pinned_count;

static bool open_memory(void)
{
	int fd;

	if (memory)
		return true;
	fd = memfd_create("fake-cuda", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, MEMORY))
		return false;
	memory = mmap(NULL, MEMORY, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	view = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return memory != MAP_FAILED && view != MAP_FAILED;
}

/* The block that has all of the range. */
static struct range *block_of(const void *at, size_t len)
{
	unsigned low = 0, high = block_count, middle;
	const uint8_t *from = at;
	struct range *block;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (blocks[middle].at + blocks[middle].len > from)
			high = middle;
		else
			low = middle + 1;
	}
	block = &blocks[low];
	if (low == block_count || from < block->at || !block->live ||
	    len > block->len - (size_t)(from - block->at))
		return NULL;
	return block;
}

void *fake_alloc(size_t len)
{
	uint8_t *at = NULL;

	pthread_mutex_lock(&fake_lock);
	len = (len + PAGE - 1) / PAGE * PAGE;
	if (open_memory() && len <= MEMORY - used - PAGE &&
	    block_count < BLOCKS_MAX) {
		at = memory + used;
		blocks[block_count++] = (struct range){at, len, true};
		used += len + PAGE; /* a gap behind it */
	}
	pthread_mutex_unlock(&fake_lock);
	return at;
}

void fake_release(void *device)
{
	struct range *block;

	pthread_mutex_lock(&fake_lock);
	block = block_of(device, 1);
	if (block) {
		block->live = false;
		madvise(view + (block->at - memory), block->len, MADV_REMOVE);
	}
	pthread_mutex_unlock(&fake_lock);
}

void *fake_view(const void *device)
{
	size_t offset = (size_t)((const uint8_t *)device - memory);

	return memory && offset < MEMORY ? view + offset : NULL;
}

void *fake_device(const void *seen)
{
	size_t offset = (size_t)((const uint8_t *)seen - view);

	return view && offset < MEMORY ? memory + offset : NULL;
}

void *fake_block(uint64_t at, size_t *len)
{
	struct range *block = block_of((void *)(uintptr_t)at, 1);

	if (len)
		*len = block->len;
	return block->at;
}

bool fake_is_pinned(const void *at, size_t len)
{
	const uint8_t *from = at;
	unsigned i;

	for (i = 0; i < pinned_count; i++)
		if (pinned[i].live && from >= pinned[i].at &&
		    from + len <= pinned[i].at + pinned[i].len)
			return true;
	return false;
}

bool fake_is_live(const void *at, size_t len)
{
	return block_of(at, len);
}

bool fake_move(void *dst, const void *src, size_t len)
{
	const uint8_t *from = fake_view(src);
	uint8_t *to = fake_view(dst);

	if (!fake_is_live(dst, len) || !fake_is_live(src, len))
		return false;
	while (len--)
		to[len] = from[len];
	return true;
}

void *fake_pin(size_t len)
{
	void *at;

	if (pinned_count == PINNED_MAX)
		return NULL;
	at = aligned_alloc(PAGE, (len + PAGE - 1) / PAGE * PAGE);
	if (at)
		pinned[pinned_count++] = (struct range){at, len, true};
	return at;
}

void fake_unpin(void *at)
{
	unsigned i;

	for (i = 0; i < pinned_count; i++)
		if (pinned[i].at == at)
			pinned[i].live = false;
	free(at);
}
