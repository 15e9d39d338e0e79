/* SPDX-License-Identifier: MIT */
/*
 * Every memory ordering rule of the stack's device side, named by purpose.
 *
 * Nothing else in stack/ and kernels/ contains a barrier, an atomic access or
 * a volatile. Each has a C11 form (a CPU thread posts) and a CUDA form for
 * sm_70 and later (a GPU thread posts). docs/ordering.md lists the pairs:
 * who writes, who reads, and what is published.
 *
 * Scopes: what the NIC reads or writes is ordered at system scope, what only
 * threads of this PE share (the gda_dev_qp counters) at GPU scope, what only
 * threads of one block share at block scope. The forms that end in _gpu are
 * for a queue whose rings and data all lie in GPU memory: there the NIC reads
 * from the L2 cache, in which GPU scope makes stores visible, so the longer
 * way of a system fence (about 1,000 cycles) is not needed. PTX promises
 * nothing about observers that are no threads; NVSHMEM and DeepEP rest on the
 * same property.
 *
 * Source of truth: PTX ISA, "Memory Consistency Model", "fence", "st" (.mmio);
 * rdma-core util/udma.h for what each step of posting must guarantee.
 * Thread: any.
 */
#ifndef GDA_DEV_ORDER_H
#define GDA_DEV_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/be.h"

/* GDA_DEV_SLOW: what waits anyway is not worth a copy at every call. */
#ifdef __CUDACC__
#define GDA_DEV	     __device__ static inline
#define GDA_DEV_SLOW __device__ __noinline__ static inline
#else
#define GDA_DEV	     static inline
#define GDA_DEV_SLOW static inline
#include <time.h>
#endif

/*
 * The SIMT runner (kernels/gpu.h defines GDA_DEV_SIMT) lets other threads run
 * at ordered accesses: what breaks when threads change places there would
 * break on a GPU too.
 */
#ifdef GDA_DEV_SIMT
#include "kernels/simt.h"
#define GDA_ORDER_POINT() simt_point()
#else
#define GDA_ORDER_POINT() ((void)0)
#endif

/* ------------------------------------------------- towards the NIC ------- */

/*
 * Store the doorbell record. The WQEs that this thread wrote or acquired
 * before are seen by a NIC that sees the record.
 */
GDA_DEV void gda_order_wqe_before_record(be32 *record, be32 value)
{
#ifdef __CUDA_ARCH__
	asm volatile("fence.acq_rel.sys;\n\t"
		     "st.relaxed.sys.global.b32 [%0], %1;" ::"l"(record),
		     "r"(value.raw)
		     : "memory");
#elif !defined(__CUDACC__)
	GDA_ORDER_POINT();
	__atomic_store_n(&record->raw, value.raw, __ATOMIC_RELEASE);
#else
	(void)record, (void)value;
#endif
}

/* As above, for WQEs and data in GPU memory; the record may lie anywhere. */
GDA_DEV void gda_order_wqe_before_record_gpu(be32 *record, be32 value)
{
#ifdef __CUDA_ARCH__
	asm volatile("fence.acq_rel.gpu;\n\t"
		     "st.relaxed.sys.global.b32 [%0], %1;" ::"l"(record),
		     "r"(value.raw)
		     : "memory");
#else
	gda_order_wqe_before_record(record, value);
#endif
}

/*
 * Ring: one 8-byte store to the doorbell register. The record and the WQEs
 * are seen by a NIC that sees the register. It does not wait until the store
 * has reached the NIC. On a GPU the register is an mmio location: one access
 * of just this size, neither split nor joined with another.
 */
GDA_DEV void gda_order_record_before_register(void *reg, uint64_t value)
{
#ifdef __CUDA_ARCH__
	asm volatile("fence.acq_rel.sys;\n\t"
		     "st.mmio.relaxed.sys.global.b64 [%0], %1;" ::"l"(reg),
		     "l"(value)
		     : "memory");
#elif !defined(__CUDACC__)
	GDA_ORDER_POINT();
	__atomic_store_n((uint64_t *)reg, value, __ATOMIC_RELEASE);
#else
	(void)reg, (void)value;
#endif
}

/* As above, where WQEs, data and the record all lie in GPU memory. */
GDA_DEV void gda_order_record_before_register_gpu(void *reg, uint64_t value)
{
#ifdef __CUDA_ARCH__
	asm volatile("fence.acq_rel.gpu;\n\t"
		     "st.mmio.relaxed.sys.global.b64 [%0], %1;" ::"l"(reg),
		     "l"(value)
		     : "memory");
#else
	gda_order_record_before_register(reg, value);
#endif
}

/*
 * Ring where no record was written, or before it is ("early", "no record").
 * The WQEs are seen by a NIC that sees the register; an early one may find
 * the record still behind, which the second ring of the protocol mends.
 */
GDA_DEV void gda_order_wqe_before_register(void *reg, uint64_t value)
{
	gda_order_record_before_register(reg, value);
}

/* As above, for WQEs and data in GPU memory. */
GDA_DEV void gda_order_wqe_before_register_gpu(void *reg, uint64_t value)
{
	gda_order_record_before_register_gpu(reg, value);
}

/*
 * The two stores of ringing with no order at all, to see what the order costs.
 * A NIC that sees the register may see old records and old WQEs.
 */
GDA_DEV void gda_order_unordered_record(be32 *record, be32 value)
{
#ifdef __CUDA_ARCH__
	asm volatile("st.relaxed.sys.global.b32 [%0], %1;" ::"l"(record),
		     "r"(value.raw)
		     : "memory");
#elif !defined(__CUDACC__)
	__atomic_store_n(&record->raw, value.raw, __ATOMIC_RELAXED);
#else
	(void)record, (void)value;
#endif
}

GDA_DEV void gda_order_unordered_register(void *reg, uint64_t value)
{
#ifdef __CUDA_ARCH__
	asm volatile("st.mmio.relaxed.sys.global.b64 [%0], %1;" ::"l"(reg),
		     "l"(value)
		     : "memory");
#elif !defined(__CUDACC__)
	__atomic_store_n((uint64_t *)reg, value, __ATOMIC_RELAXED);
#else
	(void)reg, (void)value;
#endif
}

/*
 * One 16-byte segment of a WQE, in one store where the machine has one. No
 * order by itself: the record or the register comes after it. Both ends are
 * aligned to 16 bytes, or *segment to 8.
 */
GDA_DEV void gda_order_store_segment(void *to, const uint64_t segment[2])
{
#ifdef __CUDA_ARCH__
	asm volatile("st.relaxed.gpu.global.v2.b64 [%0], {%1, %2};" ::"l"(to),
		     "l"(segment[0]), "l"(segment[1])
		     : "memory");
#else
	memcpy(to, segment, 16);
#endif
}

/*
 * On both sides of stores to a write-combining page, which is what BlueFlame
 * registers are mapped as. Before them: WQEs and record are seen by a NIC that
 * sees the register, for which a CPU's plain release store is not enough on
 * such a page. After them: they leave the CPU's buffer now and not when it
 * needs the room. A GPU writes across PCIe and has no such buffer.
 */
GDA_DEV void gda_order_before_combining(void)
{
#if !defined(__CUDACC__) && defined(__x86_64__)
	__builtin_ia32_sfence();
#elif !defined(__CUDACC__) && defined(__aarch64__)
	__asm__ volatile("dsb st" ::: "memory");
#endif
}

GDA_DEV void gda_order_after_combining(void)
{
	gda_order_before_combining();
}

/*
 * Copy one basic block into a BlueFlame register, its first 8 bytes last:
 * they are the doorbell. A write-combining page delivers the block whole; of
 * a polled page the poller looks at those 8 bytes first, and sees all others
 * (and the record) once it has seen them.
 */
GDA_DEV void gda_order_blueflame_copy(void *reg, const uint64_t block[8])
{
	uint64_t *to = (uint64_t *)reg;
	int i;

	for (i = 1; i < 8; i++) {
#ifdef __CUDA_ARCH__
		asm volatile(
			"st.relaxed.sys.global.b64 [%0], %1;" ::"l"(to + i),
			"l"(block[i])
			: "memory");
#elif !defined(__CUDACC__)
		__atomic_store_n(to + i, block[i], __ATOMIC_RELAXED);
#endif
	}
	gda_order_record_before_register(to, block[0]);
}

/* ----------------------------------------------------- from the NIC ------ */

/*
 * Load the last 8 bytes of a CQE, which the NIC publishes by one store. After
 * it, everything that the completion stands for is visible: the CQE's other
 * bytes, and data that a READ or an atomic brought.
 */
GDA_DEV uint64_t gda_order_load_cqe(const void *last8)
{
	uint64_t value = 0;

#ifdef __CUDA_ARCH__
	asm volatile("ld.acquire.sys.global.b64 %0, [%1];"
		     : "=l"(value)
		     : "l"(last8)
		     : "memory");
#elif !defined(__CUDACC__)
	GDA_ORDER_POINT();
	value = __atomic_load_n((const uint64_t *)last8, __ATOMIC_ACQUIRE);
#else
	(void)last8;
#endif
	return value;
}

/*
 * Load bytes 48 to 55 of a CQE that gda_order_load_cqe() has shown to be an
 * error. In a collapsed CQ they may already be those of a later error.
 */
GDA_DEV uint64_t gda_order_load_cqe_details(const void *from48)
{
	return gda_order_load_cqe(from48);
}

/*
 * Load memory that a peer's WRITE or atomic changes, from a loop. What the
 * peer had written before it on the same queue pair is visible after this.
 */
GDA_DEV uint64_t gda_order_load_signal_64(const void *addr)
{
	return gda_order_load_cqe(addr);
}

GDA_DEV uint32_t gda_order_load_signal_32(const void *addr)
{
	uint32_t value = 0;

#ifdef __CUDA_ARCH__
	asm volatile("ld.acquire.sys.global.b32 %0, [%1];"
		     : "=r"(value)
		     : "l"(addr)
		     : "memory");
#elif !defined(__CUDACC__)
	GDA_ORDER_POINT();
	value = __atomic_load_n((const uint32_t *)addr, __ATOMIC_ACQUIRE);
#else
	(void)addr;
#endif
	return value;
}

/* --------------------------------- between the threads of one PE --------- */

/*
 * The calls of this group come in two scopes: plain for threads of this GPU
 * (or CPU threads), _block for threads of one block. What a thread did before
 * a store, add or exchange is visible to one that has loaded its result, or
 * has peeked at it and stored, or rung, since.
 *
 * Fences are the cost of posting, and every acquire empties the L1 cache. So
 * there are three forms for what publishes nothing by itself:
 *   peek   the value is compared, or a later store or ring of this thread
 *          publishes what it stands for (their fence is one of both kinds)
 *   note   a later fence of this thread comes before whoever depends on it
 *   claim  a compare-and-swap that hands out places, not what is in them
 * What is written because of a peek comes after it, as a GPU does not guess;
 * C11 promises less, so there they are acquire and release.
 */
#ifdef __CUDACC__
#define GDA_ORDER_SCOPED(name, scope)                                          \
	GDA_DEV uint64_t gda_order_load_##name(const uint64_t *at)             \
	{                                                                      \
		uint64_t value = 0;                                            \
                                                                               \
		GDA_ORDER_PTX("ld.acquire." scope ".b64 %0, [%1];"             \
			      : "=l"(value)                                    \
			      : "l"(at)                                        \
			      : "memory");                                     \
		return value;                                                  \
	}                                                                      \
	GDA_DEV uint64_t gda_order_peek_##name(const uint64_t *at)             \
	{                                                                      \
		uint64_t value = 0;                                            \
                                                                               \
		GDA_ORDER_PTX("ld.relaxed." scope ".b64 %0, [%1];"             \
			      : "=l"(value)                                    \
			      : "l"(at)                                        \
			      : "memory");                                     \
		return value;                                                  \
	}                                                                      \
	GDA_DEV void gda_order_store_##name(uint64_t *at, uint64_t value)      \
	{                                                                      \
		GDA_ORDER_PTX("fence.acq_rel." scope ";\n\t"                   \
			      "st.relaxed." scope ".b64 [%0], %1;" ::"l"(at),  \
			      "l"(value)                                       \
			      : "memory");                                     \
	}                                                                      \
	GDA_DEV void gda_order_note_##name(uint64_t *at, uint64_t value)       \
	{                                                                      \
		GDA_ORDER_PTX("st.relaxed." scope ".b64 [%0], %1;" ::"l"(at),  \
			      "l"(value)                                       \
			      : "memory");                                     \
	}                                                                      \
	GDA_DEV bool gda_order_claim_##name(uint64_t *at, uint64_t expected,   \
					    uint64_t desired)                  \
	{                                                                      \
		uint64_t old = 0;                                              \
                                                                               \
		GDA_ORDER_PTX("atom.relaxed." scope                            \
			      ".cas.b64 %0, [%1], %2, %3;"                     \
			      : "=l"(old)                                      \
			      : "l"(at), "l"(expected), "l"(desired)           \
			      : "memory");                                     \
		return old == expected;                                        \
	}                                                                      \
	GDA_DEV bool gda_order_cas_##name(uint64_t *at, uint64_t expected,     \
					  uint64_t desired)                    \
	{                                                                      \
		uint64_t old = 0;                                              \
                                                                               \
		GDA_ORDER_PTX("atom.acq_rel." scope                            \
			      ".cas.b64 %0, [%1], %2, %3;"                     \
			      : "=l"(old)                                      \
			      : "l"(at), "l"(expected), "l"(desired)           \
			      : "memory");                                     \
		return old == expected;                                        \
	}                                                                      \
	GDA_DEV uint32_t gda_order_load_##name##_32(const uint32_t *at)        \
	{                                                                      \
		uint32_t value = 0;                                            \
                                                                               \
		GDA_ORDER_PTX("ld.acquire." scope ".b32 %0, [%1];"             \
			      : "=r"(value)                                    \
			      : "l"(at)                                        \
			      : "memory");                                     \
		return value;                                                  \
	}                                                                      \
	GDA_DEV void gda_order_store_##name##_32(uint32_t *at, uint32_t value) \
	{                                                                      \
		GDA_ORDER_PTX("st.release." scope ".b32 [%0], %1;" ::"l"(at),  \
			      "r"(value)                                       \
			      : "memory");                                     \
	}                                                                      \
	GDA_DEV uint32_t gda_order_add_##name##_32(uint32_t *at,               \
						   uint32_t value)             \
	{                                                                      \
		uint32_t old = 0;                                              \
                                                                               \
		GDA_ORDER_PTX("atom.acq_rel." scope ".add.u32 %0, [%1], %2;"   \
			      : "=r"(old)                                      \
			      : "l"(at), "r"(value)                            \
			      : "memory");                                     \
		return old;                                                    \
	}                                                                      \
	GDA_DEV uint64_t gda_order_add_##name(uint64_t *at, uint64_t value)    \
	{                                                                      \
		uint64_t old = 0;                                              \
                                                                               \
		GDA_ORDER_PTX("atom.acq_rel." scope ".add.u64 %0, [%1], %2;"   \
			      : "=l"(old)                                      \
			      : "l"(at), "l"(value)                            \
			      : "memory");                                     \
		return old;                                                    \
	}                                                                      \
	GDA_DEV uint32_t gda_order_exchange_##name##_32(uint32_t *at,          \
							uint32_t value)        \
	{                                                                      \
		uint32_t old = 0;                                              \
                                                                               \
		GDA_ORDER_PTX("atom.acq_rel." scope ".exch.b32 %0, [%1], %2;"  \
			      : "=r"(old)                                      \
			      : "l"(at), "r"(value)                            \
			      : "memory");                                     \
		return old;                                                    \
	}
#else
#define GDA_ORDER_SCOPED(name, scope)                                          \
	GDA_DEV uint64_t gda_order_load_##name(const uint64_t *at)             \
	{                                                                      \
		GDA_ORDER_POINT();                                             \
		return __atomic_load_n(at, __ATOMIC_ACQUIRE);                  \
	}                                                                      \
	GDA_DEV void gda_order_store_##name(uint64_t *at, uint64_t value)      \
	{                                                                      \
		GDA_ORDER_POINT();                                             \
		__atomic_store_n(at, value, __ATOMIC_RELEASE);                 \
	}                                                                      \
	GDA_DEV bool gda_order_cas_##name(uint64_t *at, uint64_t expected,     \
					  uint64_t desired)                    \
	{                                                                      \
		GDA_ORDER_POINT();                                             \
		return __atomic_compare_exchange_n(at, &expected, desired,     \
						   false, __ATOMIC_ACQ_REL,    \
						   __ATOMIC_ACQUIRE);          \
	}                                                                      \
	GDA_DEV uint64_t gda_order_peek_##name(const uint64_t *at)             \
	{                                                                      \
		return gda_order_load_##name(at);                              \
	}                                                                      \
	GDA_DEV void gda_order_note_##name(uint64_t *at, uint64_t value)       \
	{                                                                      \
		gda_order_store_##name(at, value);                             \
	}                                                                      \
	GDA_DEV bool gda_order_claim_##name(uint64_t *at, uint64_t expected,   \
					    uint64_t desired)                  \
	{                                                                      \
		return gda_order_cas_##name(at, expected, desired);            \
	}                                                                      \
	GDA_DEV uint32_t gda_order_load_##name##_32(const uint32_t *at)        \
	{                                                                      \
		GDA_ORDER_POINT();                                             \
		return __atomic_load_n(at, __ATOMIC_ACQUIRE);                  \
	}                                                                      \
	GDA_DEV void gda_order_store_##name##_32(uint32_t *at, uint32_t value) \
	{                                                                      \
		GDA_ORDER_POINT();                                             \
		__atomic_store_n(at, value, __ATOMIC_RELEASE);                 \
	}                                                                      \
	GDA_DEV uint32_t gda_order_add_##name##_32(uint32_t *at,               \
						   uint32_t value)             \
	{                                                                      \
		GDA_ORDER_POINT();                                             \
		return __atomic_fetch_add(at, value, __ATOMIC_ACQ_REL);        \
	}                                                                      \
	GDA_DEV uint64_t gda_order_add_##name(uint64_t *at, uint64_t value)    \
	{                                                                      \
		GDA_ORDER_POINT();                                             \
		return __atomic_fetch_add(at, value, __ATOMIC_ACQ_REL);        \
	}                                                                      \
	GDA_DEV uint32_t gda_order_exchange_##name##_32(uint32_t *at,          \
							uint32_t value)        \
	{                                                                      \
		GDA_ORDER_POINT();                                             \
		return __atomic_exchange_n(at, value, __ATOMIC_ACQ_REL);       \
	}
#endif

#ifdef __CUDA_ARCH__
#define GDA_ORDER_PTX(...) asm volatile(__VA_ARGS__)
#else
/* nvcc's pass over the host code, in which no device function is called. */
#define GDA_ORDER_PTX(...) (void)at
#endif

GDA_ORDER_SCOPED(counter, "gpu")
GDA_ORDER_SCOPED(counter_block, "cta")

/*
 * Store what a CPU thread, or another GPU, is polling. What this thread did
 * before is visible to who sees it.
 */
GDA_DEV void gda_order_store_for_host(uint64_t *at, uint64_t value)
{
#ifdef __CUDA_ARCH__
	asm volatile("st.release.sys.b64 [%0], %1;" ::"l"(at), "l"(value)
		     : "memory");
#elif !defined(__CUDACC__)
	GDA_ORDER_POINT();
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
#else
	(void)at, (void)value;
#endif
}

/* Raise a counter to at least value, whoever else raises it. */
GDA_DEV void gda_order_raise_counter(uint64_t *counter, uint64_t value)
{
	uint64_t now = gda_order_load_counter(counter);

	while (now < value && !gda_order_cas_counter(counter, now, value))
		now = gda_order_load_counter(counter);
}

/*
 * A flag that one thread at a time owns: 0 free, 1 taken. What its last owner
 * did is visible to the next.
 */
GDA_DEV bool gda_order_try_take(uint32_t *flag)
{
#ifdef __CUDA_ARCH__
	uint32_t old;

	asm volatile("atom.acquire.gpu.exch.b32 %0, [%1], 1;"
		     : "=r"(old)
		     : "l"(flag)
		     : "memory");
	return old == 0;
#elif !defined(__CUDACC__)
	GDA_ORDER_POINT();
	return __atomic_load_n(flag, __ATOMIC_RELAXED) == 0 &&
	       __atomic_exchange_n(flag, 1, __ATOMIC_ACQUIRE) == 0;
#else
	(void)flag;
	return false;
#endif
}

GDA_DEV void gda_order_give_back(uint32_t *flag)
{
#ifdef __CUDA_ARCH__
	asm volatile("st.release.gpu.b32 [%0], 0;" ::"l"(flag) : "memory");
#elif !defined(__CUDACC__)
	GDA_ORDER_POINT();
	__atomic_store_n(flag, 0, __ATOMIC_RELEASE);
#else
	(void)flag;
#endif
}

/* ---------------------------------------------------------- not memory --- */

/* Nanoseconds of a clock that never goes back; for timeouts only. */
GDA_DEV uint64_t gda_dev_now_ns(void)
{
#ifdef __CUDA_ARCH__
	uint64_t now;

	asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
	return now;
#elif !defined(__CUDACC__)
	struct timespec now;

#ifdef GDA_DEV_SIMT
	if (simt_now_ns())
		return simt_now_ns();
#endif
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#else
	return 0;
#endif
}

/* Tell the core that this is a polling loop. */
GDA_DEV void gda_dev_relax(void)
{
#ifdef __CUDA_ARCH__
	asm volatile("nanosleep.u32 20;");
#elif defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
