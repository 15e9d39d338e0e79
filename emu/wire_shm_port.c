/* SPDX-License-Identifier: MIT */
/*
 * The port of a NIC on the shared-memory wire, commanded from outside its
 * process: a word in its header, which it takes at its next step.
 *
 * Thread: any.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include "emu/order_shm.h"
#include "emu/wire_shm.h"

enum { LOOK_MS = 1 };

/* The NIC that was listed, and not a successor at its LID. */
static int open_listed(const struct shm_fabric *fabric,
		       const struct wire_shm_entry *entry,
		       struct shm_nic_ref *ref)
{
	int status = shm_nic_open(fabric, entry->lid, ref);

	if (status)
		return status;
	if (ref->id.pid == entry->pid &&
	    !memcmp(ref->id.gid, entry->gid, sizeof(entry->gid)))
		return 0;
	shm_nic_close(ref);
	return -EHOSTUNREACH;
}

static bool is_active(const struct shm_nic *nic)
{
	return !__atomic_load_n(&nic->port_down, __ATOMIC_RELAXED);
}

/* Has it ended, or left? Waits a little for the first. */
static bool is_gone(const struct shm_nic_ref *ref)
{
	struct pollfd ended = {.fd = ref->pid_fd, .events = POLLIN};

	return poll(&ended, 1, LOOK_MS) == 1 ||
	       nic_order_shm_gone(&ref->shared->gone);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int wait_for(const struct shm_nic_ref *ref, bool active,
		    unsigned patience_ms)
{
	uint64_t end_ms = now_ms() + patience_ms;

	while (is_active(ref->shared) != active) {
		if (is_gone(ref))
			return -EHOSTUNREACH;
		if (now_ms() >= end_ms)
			return -ETIMEDOUT;
	}
	return 0;
}

int wire_shm_set_port(const char *dir, const struct wire_shm_entry *entry,
		      bool active, unsigned patience_ms)
{
	struct shm_error error = {NULL, 0};
	struct shm_fabric fabric;
	struct shm_nic_ref ref;
	int status;

	status = shm_fabric_open(&fabric, dir, false, &error);
	if (status)
		return status;
	status = open_listed(&fabric, entry, &ref);
	if (!status) {
		/* Also if it looks so already: an older wish may be there. */
		nic_order_shm_want_port(&ref.shared->port_wish,
					active ? SHM_PORT_UP : SHM_PORT_DOWN);
		shm_nic_wake(&fabric, &ref);
		status = wait_for(&ref, active, patience_ms);
		shm_nic_close(&ref);
	}
	shm_fabric_close(&fabric);
	return status;
}
