/* SPDX-License-Identifier: MIT */
/*
 * A real GPU for tests: the driver's calls that tests need, memory that
 * t_alloc() gives, and small kernels.
 *
 * The CPU cannot touch device memory, so t_alloc() gives a shadow in host
 * memory: t_card_push() copies it to the device before the NIC looks,
 * t_card_pull() back after the NIC wrote.
 */
#ifndef T_CARD_H
#define T_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/cuda_api.h"

/* The first GPU, current in this thread. False: there is none, and stdout says
 * what is missing. */
bool t_card_open(void);
const char *t_card_name(void);

/* What t_alloc() gives from now on: shadows of device memory, or host memory.*/
void t_card_alloc(bool device);
void t_card_push(const void *shadow);
void t_card_pull(void *shadow);
uint64_t t_card_address(const void *shadow);

/* Pinned host memory that kernels reach at the same address. */
void *t_card_pinned(size_t len);

/* Device memory without a shadow. */
uint64_t t_card_malloc(size_t len);
void t_card_free(uint64_t ptr);
uint64_t t_card_word(uint64_t ptr);
void t_card_set_word(uint64_t ptr, uint64_t value);

/*
 * Launch a kernel of t_card.c in a stream of its own:
 *
 *   spin    (stop)              until the word at stop is not 0
 *   add     (word, count, stop) each thread adds 1 to the word, count times,
 *                               then spins
 *   watch   (cqe, out, count)   one thread polls the last 8 bytes of a CQE
 *                               until they are count; whenever they change, the
 *                               other words must not be older: out[0] counts
 *                               changes, out[1] those that broke the rule
 */
void t_card_launch(const char *kernel, unsigned blocks, unsigned threads,
		   void **parameters);
/* Wait for all that was launched, at most so long. False: it still runs. */
bool t_card_wait(unsigned milliseconds);
/* Blocks of so many threads that are on the GPU at once. */
unsigned t_card_blocks(unsigned threads);

/* cuCtxSynchronize. */
void t_card_synchronize(void);
/* Begin and end the capture of a stream, in the strictest mode. Returns the
 * driver's answer to the end. */
void t_card_begin_capture(void);
cuda_result t_card_end_capture(void);

#endif
