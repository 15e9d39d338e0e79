/* SPDX-License-Identifier: MIT */
/*
 * A fiber: a stack and a place to go on, for threads that take turns on one
 * CPU thread.
 *
 * Thread: the one that runs them all.
 */
#ifndef SIMT_FIBER_H
#define SIMT_FIBER_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif

/* Assembler where there is one, else ucontext, which asks the kernel. */
#if !defined(__x86_64__) && !defined(SIMT_UCONTEXT)
#define SIMT_UCONTEXT 1
#endif
#ifdef SIMT_UCONTEXT
#include <ucontext.h>
#endif

typedef void simt_fiber_fn(void *arg);

struct simt_fiber {
	uint8_t *stack; /* lowest usable byte; NULL: the thread's own */
	size_t stack_bytes;
	simt_fiber_fn *fn;
	void *arg;
#ifdef SIMT_UCONTEXT
	ucontext_t context;
#else
	void *sp;
#endif
	void *fake_stack; /* AddressSanitizer's, while the fiber rests */
};

/*
 * A stack of at least bytes, with a page below it that faults; given back
 * with the same bytes. Returns NULL with errno if there is no memory. Any
 * thread.
 */
uint8_t *simt_stack_alloc(size_t bytes);
void simt_stack_free(uint8_t *stack, size_t bytes);

/*
 * Make a fiber that begins with fn(arg) on a stack that simt_stack_alloc gave,
 * new or used. fn must not return: it ends with simt_fiber_leave.
 */
void simt_fiber_init(struct simt_fiber *fiber, uint8_t *stack, size_t bytes,
		     simt_fiber_fn *fn, void *arg);

/* Rest here, go on there. Returns when somebody switches back to from. */
void simt_fiber_switch(struct simt_fiber *from, struct simt_fiber *to);

/* As a switch, but from never goes on. */
void simt_fiber_leave(struct simt_fiber *from, struct simt_fiber *to);

#endif
