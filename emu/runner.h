/* SPDX-License-Identifier: MIT */
/*
 * The thread that moves NICs: a clock, a spin loop that turns into sleep, and
 * libev for timers, descriptors and wake-ups.
 *
 * A runner spins while there is work, keeps spinning for spin_ns after the
 * last of it, then sleeps: until the next timer, a descriptor or a wake. While
 * some queue pair could be rung by a plain store that wakes nobody, it looks
 * whenever a sixteenth of the time since the last work has passed, 50 us at
 * least and doorbell_poll_ns at most. An idle NIC never keeps a core busy.
 * While threads of the client step a NIC (nic_lend), it rests, and looks every
 * NIC_LENT_NS whether they still do.
 */
#ifndef EMU_RUNNER_H
#define EMU_RUNNER_H

#include "emu/nic.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nic_runner;

struct nic_runner_config {
	uint64_t spin_ns;	   /* 0: 50,000 */
	uint64_t doorbell_poll_ns; /* 0: 10,000,000 */
	int cpu;		   /* pin the thread to it; -1: no */
	void (*begin)(void); /* the thread calls it first; NULL: nothing */
};

/*
 * Start the thread. config may be NULL (defaults, not pinned). Returns NULL
 * with errno set: ENOMEM, EMFILE, EAGAIN, or EINVAL for a CPU that is not
 * there. A NIC's config.wake must be nic_runner_wake with the runner as
 * argument, or lead there.
 */
struct nic_runner *nic_runner_start(const struct nic_runner_config *config);

/*
 * From now on the runner spins so long after the last work; 0: 50,000 ns. For a
 * program whose doorbells wake nobody. Any thread.
 */
void nic_runner_set_spin(struct nic_runner *runner, uint64_t spin_ns);

/*
 * The NIC is stepped from now on. Any thread but the runner's own. Returns 0;
 * -EEXIST if it is here already; -ENOSPC after 64 NICs.
 */
int nic_runner_add(struct nic_runner *runner, struct nic *nic);

/*
 * The NIC is not stepped any more when this returns. Any thread but the
 * runner's own. Returns 0, or -ENOENT.
 */
int nic_runner_remove(struct nic_runner *runner, struct nic *nic);

/* There may be work: look now. Any thread; cheap when the runner is awake. */
void nic_runner_wake(void *runner);

/*
 * End the thread and keep the runner, so that nic_runner_wake() stays allowed:
 * for the end of a process whose other threads go on. Only nic_runner_stop() is
 * allowed besides.
 */
void nic_runner_halt(struct nic_runner *runner);

/* End the thread and free the runner; NULL is fine. The NICs stay. */
void nic_runner_stop(struct nic_runner *runner);

/* The clock that the runner passes to nic_step: CLOCK_MONOTONIC. */
uint64_t nic_runner_now_ns(void);

#ifdef __cplusplus
}
#endif
#endif
