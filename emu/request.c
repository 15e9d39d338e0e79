/* SPDX-License-Identifier: MIT */
/*
 * Pools of requests and of the blocks for their long lists.
 *
 * Nothing is allocated on the data path: a queue that finds the pool empty
 * waits for another request of the NIC to complete.
 * Thread: under the NIC's lock.
 */
#include "emu/request.h"

#include <errno.h>
#include <stdlib.h>

enum {
	POOL_REQUESTS = 2048,
	POOL_BLOCKS = 256,
};

int nic_pool_init(struct nic_pool *pool)
{
	struct nic_request *requests = calloc(POOL_REQUESTS, sizeof(*requests));
	struct nic_block *blocks = calloc(POOL_BLOCKS, sizeof(*blocks));
	int i;

	pool->request_memory = requests;
	pool->block_memory = blocks;
	if (!requests || !blocks) {
		nic_pool_free(pool);
		return -ENOMEM;
	}
	pool->requests = NULL;
	pool->blocks = NULL;
	pool->free_requests = POOL_REQUESTS;
	pool->free_blocks = 0;
	for (i = POOL_REQUESTS - 1; i >= 0; i--) {
		requests[i].next = pool->requests;
		pool->requests = &requests[i];
	}
	for (i = POOL_BLOCKS - 1; i >= 0; i--)
		nic_block_put(pool, &blocks[i]);
	return 0;
}

void nic_pool_free(struct nic_pool *pool)
{
	free(pool->request_memory);
	free(pool->block_memory);
	memset(pool, 0, sizeof(*pool));
}

struct nic_request *nic_request_get(struct nic_pool *pool)
{
	struct nic_request *request = pool->requests;

	if (!request)
		return NULL;
	pool->requests = request->next;
	pool->free_requests--;
	/* All but the list, which its length guards. */
	memset(request, 0, offsetof(struct nic_request, sge));
	return request;
}

void nic_request_put(struct nic_pool *pool, struct nic_request *request)
{
	if (request->block)
		nic_block_put(pool, request->block);
	request->next = pool->requests;
	pool->requests = request;
	pool->free_requests++;
}

struct nic_block *nic_block_get(struct nic_pool *pool)
{
	struct nic_block *block = pool->blocks;

	if (!block)
		return NULL;
	pool->blocks = block->next;
	pool->free_blocks--;
	return block;
}

void nic_block_put(struct nic_pool *pool, struct nic_block *block)
{
	block->next = pool->blocks;
	pool->blocks = block;
	pool->free_blocks++;
}
