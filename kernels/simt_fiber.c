/* SPDX-License-Identifier: MIT */
/*
 * Fibers: see simt_fiber.h.
 *
 * The switch saves what a called function must preserve (System V ABI:
 * rbx, rbp, r12 to r15 and the stack pointer) and nothing else. AddressSanitizer
 * is told of every change of stack.
 *
 * Source of truth: System V ABI, AMD64 supplement, figure 3.4; AddressSanitizer's
 * common_interface_defs.h.
 * Thread: the one that runs all fibers.
 */
#include "kernels/simt_fiber.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* ------------------------------------------------- AddressSanitizer ------ */

#ifdef SIMT_ASAN
static void before_switch(void **fake_stack, const struct simt_fiber *to)
{
	__sanitizer_start_switch_fiber(fake_stack, to->stack, to->stack_bytes);
}

/* On the new stack. from, which rests now, may be the thread's own stack. */
static void after_switch(void *fake_stack, struct simt_fiber *from)
{
	const void *stack;
	size_t bytes;

	__sanitizer_finish_switch_fiber(fake_stack, &stack, &bytes);
	from->stack = (uint8_t *)(uintptr_t)stack;
	from->stack_bytes = bytes;
}

/* What lies there belongs to frames that were never left. */
static void wash_stack(uint8_t *stack, size_t bytes)
{
	ASAN_UNPOISON_MEMORY_REGION(stack, bytes);
}
#else
static void before_switch(void **fake_stack, const struct simt_fiber *to)
{
	(void)fake_stack, (void)to;
}

static void after_switch(void *fake_stack, struct simt_fiber *from)
{
	(void)fake_stack, (void)from;
}

static void wash_stack(uint8_t *stack, size_t bytes)
{
	(void)stack, (void)bytes;
}
#endif

static uint8_t *map_stack(size_t bytes)
{
	size_t guard = page_bytes();
	uint8_t *map = mmap(NULL, guard + bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return NULL;
	if (mprotect(map, guard, PROT_NONE)) {
		munmap(map, guard + bytes);
		return NULL;
	}
	return map + guard;
}

/*
 * Stacks that nobody uses, for all runners of the process: mapping one costs
 * more than running a thread of a short kernel on it. They are never unmapped.
 */
struct unused {
	struct unused *next;
	size_t bytes;
};

static struct unused *unused;
static pthread_mutex_t unused_lock = PTHREAD_MUTEX_INITIALIZER;

uint8_t *simt_stack_alloc(size_t bytes)
{
	struct unused *stack = NULL, **at;

	pthread_mutex_lock(&unused_lock);
	for (at = &unused; *at; at = &(*at)->next)
		if ((*at)->bytes == bytes) {
			stack = *at;
			*at = stack->next;
			break;
		}
	pthread_mutex_unlock(&unused_lock);
	return stack ? (uint8_t *)stack : map_stack(bytes);
}

void simt_stack_free(uint8_t *stack, size_t bytes)
{
	struct unused *put = (struct unused *)(void *)stack;

	wash_stack(stack, bytes);
	put->bytes = bytes;
	pthread_mutex_lock(&unused_lock);
	put->next = unused;
	unused = put;
	pthread_mutex_unlock(&unused_lock);
}

/* -------------------------------------------------------- the switch ----- */

/* Where the switch that goes on came from; one CPU thread at a time. */
static _Thread_local struct simt_fiber *resting;

static void begin(struct simt_fiber *fiber)
{
	after_switch(NULL, resting);
	fiber->fn(fiber->arg);
}

#ifdef SIMT_UCONTEXT
static void begin_context(unsigned high, unsigned low)
{
	begin((struct simt_fiber *)((uintptr_t)high << 32 | low));
}

static void prepare(struct simt_fiber *fiber)
{
	uintptr_t at = (uintptr_t)fiber;

	getcontext(&fiber->context);
	fiber->context.uc_stack.ss_sp = fiber->stack;
	fiber->context.uc_stack.ss_size = fiber->stack_bytes;
	fiber->context.uc_link = NULL;
	makecontext(&fiber->context, (void (*)(void))begin_context, 2,
		    (unsigned)(at >> 32), (unsigned)at);
}

static void jump(struct simt_fiber *from, struct simt_fiber *to)
{
	swapcontext(&from->context, &to->context);
}
#else
#define BARE                                                                   \
	__attribute__((naked, noinline, no_sanitize("address", "undefined")))

BARE static void switch_stack(void **save __attribute__((unused)),
			      void *load __attribute__((unused)))
{
	__asm__("pushq %rbp\n"
		"pushq %rbx\n"
		"pushq %r12\n"
		"pushq %r13\n"
		"pushq %r14\n"
		"pushq %r15\n"
		"movq %rsp, (%rdi)\n"
		"movq %rsi, %rsp\n"
		"popq %r15\n"
		"popq %r14\n"
		"popq %r13\n"
		"popq %r12\n"
		"popq %rbx\n"
		"popq %rbp\n"
		"retq\n");
}

/* The first switch to a fiber returns to here, with r12 and r13 set. */
BARE static void begin_stack(void)
{
	__asm__("movq %r13, %rdi\n"
		"callq *%r12\n"
		"ud2\n");
}

/* In the order in which the switch pops them. */
struct first_frame {
	uint64_t r15, r14, r13, r12, rbx, rbp;
	uint64_t return_to;
	uint64_t end[2]; /* so that the stack is aligned at the call */
};

static void prepare(struct simt_fiber *fiber)
{
	struct first_frame frame;

	memset(&frame, 0, sizeof(frame));
	frame.r13 = (uintptr_t)fiber;
	frame.r12 = (uintptr_t)begin;
	frame.return_to = (uintptr_t)begin_stack;
	fiber->sp = fiber->stack + fiber->stack_bytes - sizeof(frame);
	memcpy(fiber->sp, &frame, sizeof(frame));
}

static void jump(struct simt_fiber *from, struct simt_fiber *to)
{
	switch_stack(&from->sp, to->sp);
}
#endif

void simt_fiber_init(struct simt_fiber *fiber, uint8_t *stack, size_t bytes,
		     simt_fiber_fn *fn, void *arg)
{
	memset(fiber, 0, sizeof(*fiber));
	wash_stack(stack, bytes);
	fiber->stack = stack;
	fiber->stack_bytes = bytes & ~(size_t)15;
	fiber->fn = fn;
	fiber->arg = arg;
	prepare(fiber);
}

void simt_fiber_switch(struct simt_fiber *from, struct simt_fiber *to)
{
	resting = from;
	before_switch(&from->fake_stack, to);
	jump(from, to);
	after_switch(from->fake_stack, resting);
}

void simt_fiber_leave(struct simt_fiber *from, struct simt_fiber *to)
{
	resting = from;
	before_switch(NULL, to);
	jump(from, to);
	__builtin_unreachable();
}
