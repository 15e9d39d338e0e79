/* SPDX-License-Identifier: MIT */
/*
 * The NIC's side of every ordering rule between NIC and client. Each function
 * is named for its purpose; docs/ordering.md lists the pairs.
 *
 * The client is another CPU thread, a GPU thread that stores over PCIe, or
 * another process. All see x86 or ARM memory; the C11 orders below are what
 * the PCIe ordering rules give to a real device.
 */
#ifndef EMU_ORDER_H
#define EMU_ORDER_H

#include <stdint.h>

/*
 * Read a doorbell register or record. What the client stored before it
 * (WQE, record) is visible after this. Pairs with
 * gda_order_record_before_register() or the release store of the register.
 */
static inline uint64_t nic_order_load_register(const void *reg)
{
	return __atomic_load_n((const uint64_t *)reg, __ATOMIC_ACQUIRE);
}

static inline uint32_t nic_order_load_record(const void *word)
{
	return __atomic_load_n((const uint32_t *)word, __ATOMIC_ACQUIRE);
}

/*
 * A doorbell, in the place of the client whose store was not let through. What
 * the client wrote before it, the NIC sees with it.
 */
static inline void nic_order_store_register(void *reg, uint64_t word)
{
	__atomic_store_n((uint64_t *)reg, word, __ATOMIC_RELEASE);
}

/*
 * Take a CQ doorbell and clear the register in one step, so that a doorbell
 * which arrives in between is either returned now or left for the next look.
 */
static inline uint64_t nic_order_take_register(void *reg)
{
	return __atomic_exchange_n((uint64_t *)reg, 0, __ATOMIC_ACQ_REL);
}

/*
 * Forget a send doorbell, unless a newer one has replaced it meanwhile.
 */
static inline void nic_order_clear_register(void *reg, uint64_t word)
{
	__atomic_compare_exchange_n((uint64_t *)reg, &word, 0, 0,
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/*
 * All but the last 8 bytes of a CQE, in whole words: of a collapsed CQ, a
 * client may be reading the CQE before while this one replaces it. Orders
 * nothing; nic_order_publish_cqe() follows.
 */
static inline void nic_order_write_cqe_body(uint64_t *cqe,
					    const uint64_t words[7])
{
	int i;

	for (i = 0; i < 7; i++)
		__atomic_store_n(cqe + i, words[i], __ATOMIC_RELAXED);
}

/*
 * Publish the last 8 bytes of a CQE: all payload and the CQE's other bytes
 * are visible to who sees them. Pairs with gda_order_load_cqe().
 */
static inline void nic_order_publish_cqe(void *last8, uint64_t value)
{
	__atomic_store_n((uint64_t *)last8, value, __ATOMIC_RELEASE);
}

/*
 * What a kernel on a GPU says of itself, in pinned memory: what it stored
 * before is visible after this. Pairs with its fence.sc.sys (dma_gpu_ptx.h).
 */
static inline uint32_t nic_order_load_gpu_state(const uint32_t *state)
{
	return __atomic_load_n(state, __ATOMIC_ACQUIRE);
}

/*
 * Cancel a kernel that does not start: either this sees that it has started,
 * or the kernel sees that it is cancelled. Pairs with its fence between the
 * store of one and the load of the other.
 */
static inline uint32_t nic_order_cancel_gpu(uint32_t *cancel,
					    const uint32_t *state)
{
	(void)__atomic_exchange_n(cancel, 1, __ATOMIC_SEQ_CST);
	return __atomic_load_n(state, __ATOMIC_SEQ_CST);
}

/*
 * Does the peer sleep? What was sent before is in its inbox: either it finds
 * that when it looks once more, or this finds the flag that it set before.
 * A fence leaves the flag's cache line shared; the thread sanitizer knows no
 * fences, so it gets a read-modify-write, which orders as well.
 */
static inline uint32_t nic_order_sent_before_asleep(uint32_t *asleep)
{
#ifdef __SANITIZE_THREAD__
	return __atomic_fetch_add(asleep, 0, __ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(asleep, __ATOMIC_SEQ_CST);
#endif
}

#endif
