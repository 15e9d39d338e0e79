/* SPDX-License-Identifier: MIT */
/*
 * Every access of the NIC to client memory.
 *
 * A client can unmap memory that it registered. A real NIC keeps its pages
 * pinned or takes an IOMMU fault; we take SIGSEGV or SIGBUS. A guard makes the
 * fault an error value: while a thread copies, a fault inside the guarded
 * call jumps back into it. Every other fault is somebody else's
 * (fault.c), even of a signal handler that interrupts the call.
 *
 * Device memory is known by its address (dma.h) and left to dma_cuda.c.
 *
 * Thread: any; the guard is per thread.
 */
#include "emu/dma.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "emu/dma_cuda.h"
#include "emu/fault.h"
#include "emu/order.h"

#if defined(__SANITIZE_ADDRESS__)
#define DMA_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define DMA_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DMA_ASAN 1
#elif __has_feature(thread_sanitizer)
#define DMA_TSAN 1
#endif
#endif
#ifdef DMA_ASAN
#include <sanitizer/asan_interface.h>
#endif

/*
 * The sanitizers must see the jump (they keep shadow stacks); else the
 * compiler's own pair is used, which costs a tenth of sigsetjmp().
 */
#if defined(DMA_ASAN) || defined(DMA_TSAN)
/* With the signal mask: TSan calls handlers with every signal blocked, and
 * a second fault while SIGSEGV is blocked would end the process. */
#define GUARD_SET(g)  sigsetjmp((g).env, 1)
#define GUARD_JUMP(g) siglongjmp((g).env, 1)
typedef sigjmp_buf guard_env;
#else
#define GUARD_SET(g)  __builtin_setjmp((g).env)
#define GUARD_JUMP(g) __builtin_longjmp((g).env, 1)
typedef void *guard_env[5];
#endif

struct guard {
	guard_env env;
	volatile sig_atomic_t active;
	uintptr_t fault;
	uintptr_t at[2]; /* what is accessed */
	size_t len;
};
_Static_assert(sizeof(struct guard) <= sizeof(struct dma_guard),
	       "a guard is set aside in one");

/* Initial-exec: reading it in a signal handler never allocates. */
static __thread struct guard guard __attribute__((tls_model("initial-exec")));

/* x86 reports the fault of a non-canonical address as one at 0; user space
 * ends at 2^47. A sanitizer may fault in memory of its own. */
static bool is_accessed(uintptr_t fault)
{
#if defined(DMA_ASAN) || defined(DMA_TSAN)
	return true;
#endif
	return fault - guard.at[0] < guard.len ||
	       fault - guard.at[1] < guard.len ||
	       (!fault && (guard.at[0] | guard.at[1]) >> 47);
}

static bool guarded(const siginfo_t *info, ucontext_t *context)
{
	if (!guard.active || !is_accessed((uintptr_t)info->si_addr))
		return false;
	guard.active = 0;
	guard.fault = (uintptr_t)info->si_addr;
	fault_leave(context);
	GUARD_JUMP(guard);
}

int dma_attach(const struct nic_mem *mem, void **address, const char **why)
{
	*why = "it is empty, wraps at 2^64, or is of no kind that there is";
	if (!mem->len || (uint64_t)(uintptr_t)mem->addr + (mem->len - 1) <
				 (uint64_t)(uintptr_t)mem->addr)
		return -EINVAL;
	if (mem->kind == NIC_MEM_CUDA)
		return dma_cuda_attach(mem, address, why);
	*address = dma_host_address((uintptr_t)mem->addr);
	return mem->kind == NIC_MEM_HOST ? 0 : -ENOTSUP;
}

int dma_init(void)
{
	return fault_claim_by(FAULT_DMA, guarded);
}

/*
 * if (GUARD_SET(guard)) return error;
 * begin_guard(...); accesses; end_guard();
 */
static inline void begin_guard(const void *dst, const void *src, size_t len)
{
	guard.at[0] = (uintptr_t)dst;
	guard.at[1] = (uintptr_t)src;
	guard.len = len;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	guard.active = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Accesses may not sink below the end of their guard. */
static inline void end_guard(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	guard.active = 0;
}

/*
 * The thread sanitizer stores with a lock of its own held, which a jump out of
 * a fault would leave taken for ever: fault before it does.
 */
#ifdef DMA_TSAN
__attribute__((no_sanitize("thread"), noinline)) static void
touch_for_tsan(void *dst)
{
	__atomic_fetch_or((uint8_t *)dst, 0, __ATOMIC_RELAXED);
}
#else
static inline void touch_for_tsan(void *dst)
{
	(void)dst;
}
#endif

static bool poisoned(const void *addr, size_t len)
{
#ifdef DMA_ASAN
	return __asan_region_is_poisoned((void *)(uintptr_t)addr, len) != NULL;
#else
	(void)addr;
	(void)len;
	return false;
#endif
}

static int fault_side(const void *dst, size_t len)
{
	uintptr_t from = (uintptr_t)dst;

	/* x86 reports the fault of a non-canonical address as one at 0;
	 * user space ends at 2^47. */
	if (!guard.fault && from >> 47)
		return -EFAULT;
	return guard.fault - from < len ? -EFAULT : -EIO;
}

static bool aligned(const void *dst, const void *src, size_t len)
{
	return !(((uintptr_t)dst | (uintptr_t)src) & (len - 1));
}

static inline void copy_word(void *dst, const void *src, size_t len)
{
	switch (len) {
	case 1:
		__atomic_store_n(
			(uint8_t *)dst,
			__atomic_load_n((const uint8_t *)src, __ATOMIC_ACQUIRE),
			__ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((uint16_t *)dst,
				 __atomic_load_n((const uint16_t *)src,
						 __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((uint32_t *)dst,
				 __atomic_load_n((const uint32_t *)src,
						 __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n((uint64_t *)dst,
				 __atomic_load_n((const uint64_t *)src,
						 __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
		break;
	}
}

static inline bool is_word(size_t len)
{
	return len == 8 || len == 4 || len == 2 || len == 1;
}

void dma_suspend(struct dma_guard *saved)
{
	memcpy(saved, &guard, sizeof(guard));
	guard.active = 0;
}

void dma_resume(const struct dma_guard *saved)
{
	memcpy(&guard, saved, sizeof(guard));
}

int dma_copy(void *dst, const void *src, size_t len)
{
	if (!len)
		return 0;
	/* One look at both; who has bit 62 besides is no address at all. */
	if (((uintptr_t)dst | (uintptr_t)src) & DMA_TAG_DEVICE &&
	    (dma_is_device(dst) || dma_is_device(src)))
		return dma_cuda_copy(dst, src, len);
	if (poisoned(dst, len))
		return -EFAULT;
	if (poisoned(src, len))
		return -EIO;
	if (GUARD_SET(guard))
		return fault_side(dst, len);
	begin_guard(dst, src, len);
	if (is_word(len) && aligned(dst, src, len)) {
		touch_for_tsan(dst);
		copy_word(dst, src, len);
	} else {
		memmove(dst, src, len); /* a QP to itself may overlap */
	}
	end_guard();
	return 0;
}

int dma_probe(const void *src, size_t len)
{
	const volatile uint8_t *bytes = src;
	size_t i;
	uint8_t byte;

	if (!len)
		return 0;
	if (dma_is_device(src))
		return dma_cuda_copy(&byte, (const uint8_t *)src + len - 1, 1);
	if (poisoned(src, len) || GUARD_SET(guard))
		return -EIO;
	begin_guard(src, src, len);
	for (i = 0; i < len; i += 4096)
		(void)bytes[i];
	(void)bytes[len - 1];
	end_guard();
	return 0;
}

int dma_write_cqe(void *dst, const void *cqe)
{
	uint64_t words[8];

	if (dma_is_device(dst))
		return dma_cuda_write_cqe(dst, cqe);
	dma_settle();
	memcpy(words, cqe, sizeof(words));
	if (poisoned(dst, 64) || GUARD_SET(guard))
		return -EFAULT;
	begin_guard(dst, dst, 64);
	nic_order_write_cqe_body(dst, words);
	nic_order_publish_cqe((uint64_t *)dst + 7, words[7]);
	end_guard();
	return 0;
}

int dma_load_record(const void *word, uint32_t *value)
{
	if (dma_is_device(word))
		return dma_cuda_copy(value, word, 4);
	if (poisoned(word, 4) || GUARD_SET(guard))
		return -EIO;
	begin_guard(word, word, 4);
	*value = nic_order_load_record(word);
	end_guard();
	return 0;
}

/* The old value if the comparison fails. */
uint64_t dma_atomic_result(const struct dma_atomic *op, uint64_t old)
{
	uint64_t top = op->compare; /* fetch and add: tops of the fields */

	if (op->compare_swap) {
		if ((old ^ op->compare) & op->compare_mask)
			return old;
		return (old & ~op->swap_mask) | (op->operand & op->swap_mask);
	}
	/* Add without the top bits, so that no carry leaves a field; then
	 * add the top bits without their carry. */
	return ((old & ~top) + (op->operand & ~top)) ^
	       ((old ^ op->operand) & top);
}

static uint64_t atomic_4(uint32_t *addr, const struct dma_atomic *op)
{
	uint32_t old = __atomic_load_n(addr, __ATOMIC_ACQUIRE);

	while (!__atomic_compare_exchange_n(
		addr, &old, (uint32_t)dma_atomic_result(op, old), false,
		__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return old;
}

static uint64_t atomic_8(uint64_t *addr, const struct dma_atomic *op)
{
	uint64_t old = __atomic_load_n(addr, __ATOMIC_ACQUIRE);

	while (!__atomic_compare_exchange_n(addr, &old,
					    dma_atomic_result(op, old), false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return old;
}

int dma_atomic(void *addr, unsigned bytes, const struct dma_atomic *op,
	       uint64_t *original)
{
	if (dma_is_device(addr))
		return dma_cuda_atomic(addr, bytes, op, original);
	dma_settle();
	if (poisoned(addr, bytes) || GUARD_SET(guard))
		return -EFAULT;
	begin_guard(addr, addr, bytes);
	touch_for_tsan(addr);
	*original = bytes == 4 ? atomic_4(addr, op) : atomic_8(addr, op);
	end_guard();
	return 0;
}
