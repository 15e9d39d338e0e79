/* SPDX-License-Identifier: MIT */
/*
 * The emulated NIC as a backend, in two parts: the device itself and who moves
 * it (backend_emu_nic.c), and what is asked of it (backend_emu.c).
 */
#ifndef GDA_BACKEND_EMU_H
#define GDA_BACKEND_EMU_H

#include <pthread.h>

#include "emu/nic.h"
#include "emu/runner.h"
#include "stack/backend.h"

enum { GDA_EMU_EVENTS_MAX = 64 };

struct gda_backend {
	const struct gda_config *config;
	struct nic *nic;
	struct nic_runner *runner;
	uint64_t hook_ns; /* when a hook stepped last; atomic */
	uint32_t pdn;

	pthread_mutex_t lock; /* runner, events */
	struct gda_event events[GDA_EMU_EVENTS_MAX];
	unsigned event_first, event_count;
};

int gda_emu_open(const struct gda_config *config, struct gda_backend **out);
void gda_emu_close(struct gda_backend *backend);
/* The NIC's callback. */
void gda_emu_on_event(void *arg, const struct nic_event *event);
int gda_emu_event_poll(struct gda_backend *backend, struct gda_event *event);
void gda_emu_progress(struct gda_backend *backend);
void gda_emu_pause_hook(struct gda_backend *backend, gda_pause_fn **fn,
			void **arg);

#endif
