/* SPDX-License-Identifier: MIT */
/*
 * The emulated NIC of a PE: made, connected to its wire, and moved.
 *
 * A doorbell is a plain store that wakes nobody, so the NIC moves when a
 * polling thread calls the pause hook, and a runner thread serves it while
 * nobody polls (GDA_PROGRESS_*).
 *
 * Source of truth: emu/nic.h, emu/runner.h.
 * Thread: any; the pause hook: any number at a time.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "emu/wire.h"
#include "stack/backend_emu.h"
#include "stack/dev/order.h"
#include "stack/host/internal.h"
#include "stack/host/local.h"

enum {
	/* Pauses without work after which the core is given to others: a few
	 * microseconds, with a step in each or with none. */
	IDLE_STEPS = 32,
	IDLE_PAUSES = 256,
	/* A hook that ran so recently needs no help of the runner. */
	HOOK_FRESH_NS = 100000,
};

/* ------------------------------------------------- callbacks of the NIC */

static void on_log(void *arg, enum nic_log_level level, const char *text)
{
	struct gda_backend *backend = arg;

	/* The levels are the same three, in the same order. */
	gda_log(backend->config, (enum gda_log_level)level, "PE %d: NIC: %s",
		backend->config->pe, text);
}

/* GDA_EVENT_* + 1; 0: not for the stack */
static const uint8_t event_types[] = {
	[NIC_EVENT_CQ_ERROR] = GDA_EVENT_CQ_ERROR + 1,
	[NIC_EVENT_QP_FATAL] = GDA_EVENT_QP_FATAL + 1,
	[NIC_EVENT_QP_REQ_ERR] = GDA_EVENT_QP_OTHER + 1,
	[NIC_EVENT_QP_ACCESS_ERR] = GDA_EVENT_QP_OTHER + 1,
	[NIC_EVENT_PORT_ACTIVE] = 0, /* the last in the list */
};

/* The oldest stay: they tell how it began. */
void gda_emu_on_event(void *arg, const struct nic_event *event)
{
	struct gda_backend *backend = arg;
	struct gda_event mine = {.number = event->number};

	if (!event_types[event->type])
		return;
	mine.type = (enum gda_event_type)(event_types[event->type] - 1);
	pthread_mutex_lock(&backend->lock);
	if (backend->event_count < GDA_EMU_EVENTS_MAX)
		backend->events[(backend->event_first +
				 backend->event_count++) %
				GDA_EMU_EVENTS_MAX] = mine;
	pthread_mutex_unlock(&backend->lock);
}

/*
 * A thread that polls will find the packet itself. If it stops polling just
 * now, the runner finds it at its next look at the doorbells, 1 ms on.
 */
static void on_wake(void *arg)
{
	struct gda_backend *backend = arg;
	uint64_t last = __atomic_load_n(&backend->hook_ns, __ATOMIC_RELAXED);

	if (nic_runner_now_ns() - last <= HOOK_FRESH_NS)
		return;
	pthread_mutex_lock(&backend->lock);
	if (backend->runner)
		nic_runner_wake(backend->runner);
	pthread_mutex_unlock(&backend->lock);
}

static void on_trace(void *arg, const struct nic_trace_record *record)
{
	struct gda_backend *backend = arg;
	char line[256];

	nic_trace_format(record, line, sizeof(line));
	gda_log(backend->config, GDA_LOG_INFO, "PE %d: %s", backend->config->pe,
		line);
}

/* -------------------------------------------------------- open and close */

static int parse_persona(const struct gda_config *config,
			 enum nic_persona *persona)
{
	static const char *const names[] = {
		[NIC_CONNECTX_5] = "connectx-5",
		[NIC_CONNECTX_6] = "connectx-6",
		[NIC_CONNECTX_7] = "connectx-7",
		[NIC_CONNECTX_8] = "connectx-8",
	};
	const char *name = config->emu.persona;
	size_t i;

	*persona = NIC_CONNECTX_7;
	if (!name)
		return 0;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name))
			continue;
		*persona = (enum nic_persona)i;
		return 0;
	}
	return gda_fail(config, -EINVAL,
			"config: emu.persona is \"%s\", expected connectx-5, "
			"-6, -7 or -8",
			name);
}

static int make_nic(struct gda_backend *backend)
{
	const struct gda_config *config = backend->config;
	struct nic_config nic = {
		.link = config->emu.link == GDA_LINK_ROCE ? NIC_LINK_ROCE
							  : NIC_LINK_IB,
		.progress = config->emu.strict ? NIC_STRICT : NIC_COMPAT,
		.start_counter = config->emu.start_counter,
		.arg = backend,
		.log = on_log,
		.event = gda_emu_on_event,
		.wake = on_wake,
		.trace = on_trace,
	};
	int rc = parse_persona(config, &nic.persona);

	if (rc)
		return rc;
	backend->nic = nic_create(&nic);
	if (!backend->nic)
		return gda_fail(config, -errno, "emulated NIC: not made: %s",
				strerror(errno));
	if (config->emu.trace &&
	    nic_trace_enable(backend->nic, config->emu.trace))
		return gda_fail(config, -EINVAL,
				"config: emu.trace is \"%s\", and a part of it "
				"names no event of emu/trace.def",
				config->emu.trace);
	return 0;
}

static int attach_wire(struct gda_backend *backend)
{
	const struct gda_config *config = backend->config;
	char why[256] = "";
	int rc;

	if (config->group)
		rc = wire_loop_attach(gda_local_fabric(config->group),
				      backend->nic);
	else
		rc = wire_shm_attach(config->emu.fabric, backend->nic, why,
				     sizeof(why));
	if (rc)
		return gda_fail(config, rc, "emulated NIC: no wire: %s",
				why[0] ? why : gda_strerror(rc));
	return 0;
}

static void set_runner(struct gda_backend *backend, struct nic_runner *runner)
{
	pthread_mutex_lock(&backend->lock);
	backend->runner = runner;
	pthread_mutex_unlock(&backend->lock);
}

/* First nobody wakes it any more, then it goes. */
static void stop_runner(struct gda_backend *backend)
{
	struct nic_runner *runner = backend->runner;

	if (!runner)
		return;
	nic_runner_remove(runner, backend->nic);
	set_runner(backend, NULL);
	nic_runner_stop(runner);
}

static int start_runner(struct gda_backend *backend)
{
	struct nic_runner_config runner = {.cpu = -1};
	struct nic_runner *started;
	int rc;

	if (backend->config->emu.progress == GDA_PROGRESS_HOOK)
		return 0;
	started = nic_runner_start(&runner);
	if (!started)
		return gda_fail(backend->config, -errno,
				"emulated NIC: no runner thread: %s",
				strerror(errno));
	set_runner(backend, started);
	rc = nic_runner_add(started, backend->nic);
	if (!rc)
		return 0;
	stop_runner(backend);
	return gda_fail(backend->config, rc, "emulated NIC: no runner: %s",
			gda_strerror(rc));
}

static bool is_group_hook(const struct gda_config *config)
{
	return config->group && config->emu.progress == GDA_PROGRESS_HOOK;
}

static int open_nic(struct gda_backend *backend)
{
	int rc = make_nic(backend);

	if (!rc)
		rc = attach_wire(backend);
	if (!rc)
		rc = start_runner(backend);
	if (rc) {
		nic_destroy(backend->nic);
		return rc;
	}
	if (is_group_hook(backend->config))
		gda_local_set_nic(backend->config->group, backend->config->pe,
				  backend->nic);
	return 0;
}

int gda_emu_open(const struct gda_config *config, struct gda_backend **out)
{
	struct gda_backend *backend = calloc(1, sizeof(*backend));
	int rc;

	if (!backend)
		return gda_fail(config, -ENOMEM, "emulated NIC: no memory");
	backend->config = config;
	pthread_mutex_init(&backend->lock, NULL);
	rc = open_nic(backend);
	if (rc) {
		pthread_mutex_destroy(&backend->lock);
		free(backend);
		return rc;
	}
	*out = backend;
	return 0;
}

void gda_emu_close(struct gda_backend *backend)
{
	if (is_group_hook(backend->config))
		gda_local_set_nic(backend->config->group, backend->config->pe,
				  NULL);
	stop_runner(backend);
	nic_destroy(backend->nic);
	pthread_mutex_destroy(&backend->lock);
	free(backend);
}

/* ---------------------------------------------------- events, progress */

int gda_emu_event_poll(struct gda_backend *backend, struct gda_event *event)
{
	int found = 0;

	pthread_mutex_lock(&backend->lock);
	if (backend->event_count) {
		*event = backend->events[backend->event_first];
		backend->event_first =
			(backend->event_first + 1) % GDA_EMU_EVENTS_MAX;
		backend->event_count--;
		found = 1;
	}
	pthread_mutex_unlock(&backend->lock);
	return found;
}

static bool step(struct gda_backend *backend)
{
	uint64_t now_ns = nic_runner_now_ns();

	if (is_group_hook(backend->config))
		return gda_local_step(backend->config->group, now_ns);
	__atomic_store_n(&backend->hook_ns, now_ns, __ATOMIC_RELAXED);
	return nic_try_step(backend->nic, now_ns) == NIC_STEP_BUSY;
}

/* Let somebody else have the core now and then: maybe whom we wait for. */
static void rest(bool busy, unsigned limit)
{
	static _Thread_local unsigned idle_rounds;

	idle_rounds = busy ? 0 : idle_rounds + 1;
	if (idle_rounds < limit)
		return;
	idle_rounds = 0;
	sched_yield();
}

static void pause_and_step(void *arg)
{
	rest(step(arg), IDLE_STEPS);
}

static void pause_only(void *arg)
{
	(void)arg;
	gda_dev_relax();
	rest(false, IDLE_PAUSES);
}

/* Any call that takes the NIC's lock orders what other threads made it do. */
void gda_emu_progress(struct gda_backend *backend)
{
	if (backend->config->emu.progress != GDA_PROGRESS_RUNNER)
		step(backend);
	nic_watches_doorbells(backend->nic);
}

void gda_emu_pause_hook(struct gda_backend *backend, gda_pause_fn **fn,
			void **arg)
{
	*fn = backend->config->emu.progress == GDA_PROGRESS_RUNNER
		      ? pause_only
		      : pause_and_step;
	*arg = backend;
}
