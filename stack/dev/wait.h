/* SPDX-License-Identifier: MIT */
/*
 * How a polling loop waits: one round at a time, never longer than the
 * handle's timeout.
 *
 * Thread: any.
 */
#ifndef GDA_DEV_WAIT_H
#define GDA_DEV_WAIT_H

#include "stack/dev/counter.h"

struct gda_dev_wait {
	uint64_t deadline_ns;
	uint32_t rounds;
};

/*
 * Called in every polling loop. On a CPU the hook moves an emulated NIC in
 * this thread and yields the core after some idle rounds; under the SIMT
 * runner other threads run as well; a GPU thread backs off a little.
 */
GDA_DEV void gda_dev_pause(const struct gda_dev *dev)
{
#ifdef GDA_DEV_SIMT
	if (simt_self()) {
		simt_pause(dev->pause, dev->pause_arg);
		return;
	}
#endif
#ifndef __CUDA_ARCH__
	if (dev->pause) {
		dev->pause(dev->pause_arg);
		return;
	}
#endif
	(void)dev;
	gda_dev_relax();
}

/*
 * One round of a wait that began with a zeroed *wait. The clock is read every
 * 16 rounds, because reading it may cost as much as polling.
 */
GDA_DEV int gda_dev_wait_round(const struct gda_dev *dev,
			       struct gda_dev_wait *wait)
{
	uint64_t now;

	gda_dev_pause(dev);
	if (!dev->timeout_ns || ++wait->rounds % 16)
		return 0;
	now = gda_dev_now_ns();
	if (!wait->deadline_ns)
		wait->deadline_ns = now + dev->timeout_ns;
	return now < wait->deadline_ns ? 0 : GDA_DEV_ETIMEDOUT;
}

#endif
