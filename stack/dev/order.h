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
 * threads of this PE share (the gda_dev_qp counters) at GPU scope.
 *
 * Source of truth: PTX ISA, "Memory Consistency Model"; rdma-core util/udma.h
 * for what each step of posting must guarantee.
 * Thread: any.
 */
#ifndef GDA_DEV_ORDER_H
#define GDA_DEV_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/be.h"

#ifdef __CUDACC__
#define GDA_DEV __device__ static inline
#else
#define GDA_DEV static inline
#include <time.h>
#endif

/* ------------------------------------------------- towards the NIC ------- */

/*
 * Store the doorbell record. The WQEs that this thread wrote or acquired
 * before are seen by a NIC that sees the record.
 */
GDA_DEV void gda_order_wqe_before_record(be32 *record, be32 value)
{
#ifdef __CUDA_ARCH__
	asm volatile("st.release.sys.global.b32 [%0], %1;" ::"l"(record),
		     "r"(value.raw)
		     : "memory");
#elif !defined(__CUDACC__)
	__atomic_store_n(&record->raw, value.raw, __ATOMIC_RELEASE);
#else
	(void)record, (void)value;
#endif
}

/*
 * Ring: one 8-byte store to the doorbell register. The record and the WQEs
 * are seen by a NIC that sees the register. It does not wait until the store
 * has reached the NIC.
 */
GDA_DEV void gda_order_record_before_register(void *reg, uint64_t value)
{
#ifdef __CUDA_ARCH__
	asm volatile("st.release.sys.global.b64 [%0], %1;" ::"l"(reg),
		     "l"(value)
		     : "memory");
#elif !defined(__CUDACC__)
	__atomic_store_n((uint64_t *)reg, value, __ATOMIC_RELEASE);
#else
	(void)reg, (void)value;
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
	value = __atomic_load_n((const uint32_t *)addr, __ATOMIC_ACQUIRE);
#else
	(void)addr;
#endif
	return value;
}

/* --------------------------------- between the threads of one PE --------- */

/*
 * Load a counter or flag. What its writer did before gda_order_store_counter()
 * (or another call of this group) is visible after this.
 */
GDA_DEV uint64_t gda_order_load_counter(const uint64_t *counter)
{
	uint64_t value = 0;

#ifdef __CUDA_ARCH__
	asm volatile("ld.acquire.gpu.b64 %0, [%1];"
		     : "=l"(value)
		     : "l"(counter)
		     : "memory");
#elif !defined(__CUDACC__)
	value = __atomic_load_n(counter, __ATOMIC_ACQUIRE);
#else
	(void)counter;
#endif
	return value;
}

/* Publish a counter: see gda_order_load_counter(). */
GDA_DEV void gda_order_store_counter(uint64_t *counter, uint64_t value)
{
#ifdef __CUDA_ARCH__
	asm volatile("st.release.gpu.b64 [%0], %1;" ::"l"(counter), "l"(value)
		     : "memory");
#elif !defined(__CUDACC__)
	__atomic_store_n(counter, value, __ATOMIC_RELEASE);
#else
	(void)counter, (void)value;
#endif
}

/* Replace expected by desired; false: somebody else was faster. */
GDA_DEV bool gda_order_cas_counter(uint64_t *counter, uint64_t expected,
				   uint64_t desired)
{
#ifdef __CUDA_ARCH__
	uint64_t old;

	asm volatile("atom.acq_rel.gpu.cas.b64 %0, [%1], %2, %3;"
		     : "=l"(old)
		     : "l"(counter), "l"(expected), "l"(desired)
		     : "memory");
	return old == expected;
#elif !defined(__CUDACC__)
	return __atomic_compare_exchange_n(counter, &expected, desired, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
#else
	(void)counter, (void)expected, (void)desired;
	return false;
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
