/* SPDX-License-Identifier: MIT */
/*
 * A thread that polls a completion queue lends its time to the NICs.
 *
 * libmlx5 takes a spin lock around every poll and post. Where there is no core
 * for a thread of our own, its unlock is where the NIC moves: what the program
 * waits for is done by the program's own waiting.
 *
 * Only a thread that polls again and again without doing anything between is
 * said to lend its time; one that polls once before it sleeps in a read()
 * needs to be woken.
 *
 * Source of truth: rdma-core providers/mlx5/mlx5.h (mlx5_spin_unlock).
 * Thread: any.
 */
#include <pthread.h>

#include "emu/runner.h"
#include "emu/uverbs/fd.h"
#include "emu/uverbs/mapping.h"
#include "emu/uverbs/real.h"
#include "emu/uverbs/uverbs.h"
#include "emu/wire.h"

enum {
	POLLS_IN_A_ROW = 16,
	GAP_NS = 20 * 1000, /* a longer one starts a new row */
};

static void lend(struct nic *nic, uint64_t now_ns)
{
	static _Thread_local unsigned row;
	static _Thread_local uint64_t last_ns;

	row = now_ns - last_ns < GAP_NS ? row + 1 : 0;
	last_ns = now_ns;
	if (row >= POLLS_IN_A_ROW)
		nic_lend(nic, now_ns);
	nic_try_step(nic, now_ns);
}

/* Where doorbells are polled, a sleeping runner hears of a post at once. */
static void move(struct uv_device *device, bool traps)
{
	struct nic *nic = uv_device_nic(device);

	if (traps)
		lend(nic, nic_runner_now_ns());
	else
		nic_wake(nic);
}

UV_EXPORT int pthread_spin_unlock(pthread_spinlock_t *lock)
{
	int ret = uv_real()->pthread_spin_unlock(lock);
	struct uv_device *device;
	unsigned i;

	/* A signal handler, and its thread may hold a lock of ours. */
	if (uv_inside())
		return ret;
	for (i = 0; i < UV_NICS_MAX; i++) {
		device = uv_device_made(i);
		if (!device)
			continue;
		uv_enter();
		move(device, uv_mapping_traps());
		uv_leave();
	}
	return ret;
}
