/* SPDX-License-Identifier: MIT */
/*
 * gda_init() and gda_finalize(): the steps of internal.h in order, undone in
 * reverse.
 *
 * Thread: as gda.h says.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/host/internal.h"

static void idle(void *arg)
{
	struct gda *gda = arg;

	gda->ops->progress(gda->backend);
}

static int meet(struct gda *gda)
{
	const struct gda_config *config = &gda->config;
	int rc;

	if (config->group)
		rc = gda_bootstrap_local(config, &gda->bootstrap);
	else if (config->npes == 1)
		rc = gda_bootstrap_alone(config, &gda->bootstrap);
	else
		rc = gda_bootstrap_tcp(config, &gda->bootstrap);
	return rc;
}

static int open_device(struct gda *gda)
{
	const struct gda_config *config = &gda->config;
	int rc = gda->ops->open(config, &gda->backend);

	if (rc)
		return rc;
	rc = gda->ops->query_port(gda->backend, &gda->port);
	if (!rc && !gda->port.active)
		rc = gda_fail(config, -ENODEV,
			      "device: the port is not active, expected a "
			      "link");
	if (!rc)
		rc = gda_caps_query(gda);
	if (!rc)
		rc = gda->ops->pd(gda->backend, &gda->pdn);
	if (!rc)
		rc = gda->ops->eqn(gda->backend, &gda->eqn);
	if (rc)
		gda->ops->close(gda->backend);
	return rc;
}

/*
 * The PEs meet first: if a later step fails on one, the others hear of it at
 * once and not after a timeout.
 */
static int open_all(struct gda *gda)
{
	int rc = meet(gda);

	if (rc)
		return rc;
	rc = open_device(gda);
	if (rc)
		goto out_bootstrap;
	gda->bootstrap->idle.fn = idle;
	gda->bootstrap->idle.arg = gda;
	rc = gda_heap_open(gda);
	if (rc)
		goto out_device;
	rc = gda_queues_open(gda);
	if (rc)
		goto out_heap;
	rc = gda_connect(gda);
	if (!rc)
		return 0;

	gda_unexport(gda);
	gda_queues_close(gda);
out_heap:
	gda_heap_close(gda);
out_device:
	gda->ops->close(gda->backend);
out_bootstrap:
	gda->bootstrap->ops->close(gda->bootstrap);
	return rc;
}

int gda_init_on(const struct gda_backend_ops *ops,
		const struct gda_config *config, struct gda **out)
{
	struct gda *gda = calloc(1, sizeof(*gda));
	int rc;

	if (!gda)
		return gda_fail(config, -ENOMEM, "gda_init: no memory");
	gda->config = *config;
	gda->ops = ops;
	pthread_mutex_init(&gda->lock, NULL);
	rc = open_all(gda);
	if (rc) {
		pthread_mutex_destroy(&gda->lock);
		free(gda);
		return rc;
	}
	*out = gda;
	return 0;
}

int gda_init(const struct gda_config *config, struct gda **out)
{
	const struct gda_backend_ops *ops = NULL;
	struct gda_config loaded;
	int rc = 0;

	*out = NULL;
	if (!config) {
		rc = gda_config_load(&loaded);
		config = &loaded;
	}
	if (!rc)
		rc = gda_config_check(config);
	if (!rc)
		rc = gda_backend_find(config, &ops);
	return rc ? rc : gda_init_on(ops, config, out);
}

/* What the device has to say goes to the log. */
static void log_events(struct gda *gda)
{
	static const char *const names[] = {"QP 0x%x went to error",
					    "CQ 0x%x failed",
					    "QP 0x%x refused a peer's request"};
	struct gda_event event;
	char text[64];

	while (gda->ops->event_poll(gda->backend, &event) > 0) {
		snprintf(text, sizeof(text), names[event.type], event.number);
		gda_log(&gda->config, GDA_LOG_WARN, "PE %d: event: %s",
			gda->config.pe, text);
	}
}

/*
 * The device's work for peers is ordered with this thread on both sides: it
 * sees what this thread wrote before, and this thread what peers wrote.
 */
int gda_allgather(struct gda *gda, const void *mine, void *all, size_t len)
{
	int rc;

	gda->ops->progress(gda->backend);
	rc = gda->bootstrap->ops->allgather(gda->bootstrap, mine, all, len);
	gda->ops->progress(gda->backend);
	return rc;
}

int gda_barrier(struct gda *gda)
{
	uint8_t here = 1;
	uint8_t *room = malloc((size_t)gda->config.npes);
	int rc;

	if (!room)
		return gda_fail(&gda->config, -ENOMEM, "gda_barrier: memory");
	log_events(gda);
	rc = gda_allgather(gda, &here, room, 1);
	free(room);
	return rc;
}

int gda_finalize(struct gda *gda)
{
	int rc;

	if (!gda)
		return 0;
	rc = gda_barrier(gda);
	gda->bootstrap->ops->close(gda->bootstrap);
	gda_handle_close(gda);
	gda_unexport(gda);
	gda_queues_close(gda);
	gda_heap_close(gda);
	gda->ops->close(gda->backend);
	pthread_mutex_destroy(&gda->lock);
	free(gda);
	return rc;
}

const char *gda_backend_name(const struct gda *gda)
{
	return gda->ops->name;
}

int gda_pe(const struct gda *gda)
{
	return gda->config.pe;
}

int gda_npes(const struct gda *gda)
{
	return gda->config.npes;
}
