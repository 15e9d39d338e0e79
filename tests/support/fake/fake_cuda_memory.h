/* SPDX-License-Identifier: MIT */
/*
 * The fake CUDA driver's memory.
 */
#ifndef FAKE_CUDA_MEMORY_H
#define FAKE_CUDA_MEMORY_H

#include <pthread.h>

#include "support/fake/fake_cuda.h"

/* Over all state of the fake. */
extern pthread_mutex_t fake_lock;

/* These take the lock, and the next two need none. */
void *fake_alloc(size_t len);
void fake_release(void *device);
void *fake_view(const void *device);
void *fake_device(const void *seen);

/* Requires the lock. Is all of it device memory that was not freed? */
bool fake_is_live(const void *device, size_t len);

/* Requires the lock. As a kernel does it, bytes in no order of their own: the
 * last is first. False: not both are live, and nothing is moved. */
bool fake_move(void *dst, const void *src, size_t len);

/* Requires the lock, and that the address is live. Its allocation's start and,
 * if len is not NULL, length. */
void *fake_block(uint64_t at, size_t *len);

/* Requires the lock. */
void *fake_pin(size_t len);
void fake_unpin(void *at);
bool fake_is_pinned(const void *at, size_t len);

#endif
