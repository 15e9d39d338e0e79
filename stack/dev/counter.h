/* SPDX-License-Identifier: MIT */
/*
 * The counters of a queue pair, at the scope in which threads share it: all
 * of the GPU, or one block. An exclusive queue pair belongs to one thread, or
 * to the leader of a group whose members meet at a barrier before it acts.
 *
 * Thread: any.
 */
#ifndef GDA_DEV_COUNTER_H
#define GDA_DEV_COUNTER_H

#include "stack/dev/handle.h"
#include "stack/dev/order.h"

GDA_DEV uint64_t gda_dev_load(const struct gda_dev_qp *qp,
			      const uint64_t *counter)
{
	return qp->shared == GDA_SHARED_GPU
		       ? gda_order_load_counter(counter)
		       : gda_order_load_counter_block(counter);
}

GDA_DEV void gda_dev_store(const struct gda_dev_qp *qp, uint64_t *counter,
			   uint64_t value)
{
	if (qp->shared == GDA_SHARED_GPU)
		gda_order_store_counter(counter, value);
	else
		gda_order_store_counter_block(counter, value);
}

/* See order.h for what these three do not promise. */
GDA_DEV uint64_t gda_dev_peek(const struct gda_dev_qp *qp,
			      const uint64_t *counter)
{
	return qp->shared == GDA_SHARED_GPU
		       ? gda_order_peek_counter(counter)
		       : gda_order_peek_counter_block(counter);
}

GDA_DEV void gda_dev_note(const struct gda_dev_qp *qp, uint64_t *counter,
			  uint64_t value)
{
	if (qp->shared == GDA_SHARED_GPU)
		gda_order_note_counter(counter, value);
	else
		gda_order_note_counter_block(counter, value);
}

GDA_DEV bool gda_dev_claim(const struct gda_dev_qp *qp, uint64_t *counter,
			   uint64_t expected, uint64_t desired)
{
	return qp->shared == GDA_SHARED_GPU
		       ? gda_order_claim_counter(counter, expected, desired)
		       : gda_order_claim_counter_block(counter, expected,
						       desired);
}

GDA_DEV bool gda_dev_cas(const struct gda_dev_qp *qp, uint64_t *counter,
			 uint64_t expected, uint64_t desired)
{
	return qp->shared == GDA_SHARED_GPU
		       ? gda_order_cas_counter(counter, expected, desired)
		       : gda_order_cas_counter_block(counter, expected,
						     desired);
}

/* 0 while operations can be posted and completed, else what they return. */
GDA_DEV int gda_dev_verdict(const struct gda_dev_qp *qp)
{
	uint64_t state = gda_order_peek_counter(&qp->error);

	if (state == GDA_DEV_SOUND)
		return 0;
	return state == GDA_DEV_CLOSED ? GDA_DEV_ESHUTDOWN : GDA_DEV_EIO;
}

/* Raise a counter to at least value, whoever else raises it. */
GDA_DEV void gda_dev_raise(const struct gda_dev_qp *qp, uint64_t *counter,
			   uint64_t value)
{
	uint64_t now = gda_dev_load(qp, counter);

	while (now < value && !gda_dev_cas(qp, counter, now, value))
		now = gda_dev_load(qp, counter);
}

#endif
