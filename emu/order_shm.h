/* SPDX-License-Identifier: MIT */
/*
 * The ordering rules between two processes on a shared-memory wire. Each
 * function is named for its purpose; docs/ordering.md lists the pairs.
 *
 * Going to sleep is Dekker's problem: a sender stores the tail and then reads
 * the sleep flag, a receiver stores the flag and then reads the tail, and at
 * least one must see the other. Only sequential consistency promises this
 * (release and acquire let both read the old value), so these four accesses
 * are seq_cst; they need no separate fence.
 */
#ifndef EMU_ORDER_SHM_H
#define EMU_ORDER_SHM_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Publish records: who sees this tail sees the bytes of every record before
 * it. Pairs with nic_order_ring_load_tail(). Also the sender's half of going
 * to sleep: nic_order_shm_take_asleep() after it is not reordered before it.
 */
static inline void nic_order_ring_publish(uint32_t *tail, uint32_t value)
{
	__atomic_store_n(tail, value, __ATOMIC_SEQ_CST);
}

/* The receiver's look at the tail, before it reads records. */
static inline uint32_t nic_order_ring_load_tail(const uint32_t *tail)
{
	return __atomic_load_n(tail, __ATOMIC_SEQ_CST);
}

/*
 * Give room back: the receiver's reads of the record are done before the
 * sender, who sees this head, overwrites it. Pairs with
 * nic_order_ring_load_head().
 */
static inline void nic_order_ring_release(uint32_t *head, uint32_t value)
{
	__atomic_store_n(head, value, __ATOMIC_RELEASE);
}

static inline uint32_t nic_order_ring_load_head(const uint32_t *head)
{
	return __atomic_load_n(head, __ATOMIC_ACQUIRE);
}

/*
 * What was copied out of shared memory stays as it was copied: the compiler
 * may not read the original again after its value has been checked. Orders
 * nothing between processors.
 */
static inline void nic_order_shm_copied(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/*
 * The receiver's half of going to sleep: its looks at tails and attention
 * words after this are not reordered before it.
 */
static inline void nic_order_shm_set_asleep(uint32_t *asleep, bool value)
{
	__atomic_store_n(asleep, value, __ATOMIC_SEQ_CST);
}

/*
 * Does the receiver sleep? One sender of several gets true and has to wake
 * it. The plain load first keeps the flag's cache line shared.
 */
static inline bool nic_order_shm_take_asleep(uint32_t *asleep)
{
	return __atomic_load_n(asleep, __ATOMIC_SEQ_CST) &&
	       __atomic_exchange_n(asleep, 0, __ATOMIC_SEQ_CST);
}

/*
 * Ask for attention: who takes the bit sees the ring file, or the "gone"
 * mark, that was made before. Pairs with nic_order_shm_take_attention(), and
 * like a tail with the sleep flag.
 */
static inline void nic_order_shm_attention(uint64_t *word, uint64_t bit)
{
	__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
}

static inline uint64_t nic_order_shm_take_attention(uint64_t *word)
{
	if (!__atomic_load_n(word, __ATOMIC_SEQ_CST))
		return 0;
	return __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
}

/*
 * Ask for another state of the port: one word, of which the last wish counts.
 * Like attention bits, it is stored before the sleep flag is read, and the
 * sleeper reads it after it has stored the flag.
 */
static inline void nic_order_shm_want_port(uint32_t *word, uint32_t wish)
{
	__atomic_store_n(word, wish, __ATOMIC_SEQ_CST);
}

static inline uint32_t nic_order_shm_take_port(uint32_t *word)
{
	if (!__atomic_load_n(word, __ATOMIC_SEQ_CST))
		return 0;
	return __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
}

/*
 * The mark of a NIC that leaves; its last packets were published before. A
 * leaver sets it and then takes its attention bits, a new sender sets its bit
 * and then looks at the mark: seq_cst, so that one of them sees the other.
 */
static inline void nic_order_shm_set_gone(uint32_t *gone)
{
	__atomic_store_n(gone, 1, __ATOMIC_SEQ_CST);
}

static inline bool nic_order_shm_gone(const uint32_t *gone)
{
	return __atomic_load_n(gone, __ATOMIC_SEQ_CST);
}

#endif
