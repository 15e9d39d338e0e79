/* SPDX-License-Identifier: MIT */
/*
 * Which NIC: the backends that this build knows, and the choice among them.
 *
 * Thread: any.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "stack/host/internal.h"

const struct gda_backend_ops *const gda_backends[] = {
	&gda_backend_mlx5,
	&gda_backend_emu,
	NULL,
};

/* The first whose device is there; the log is told which, and why. */
static int find_auto(const struct gda_config *config,
		     const struct gda_backend_ops **ops)
{
	char why[512] = "";
	size_t i;

	for (i = 0; gda_backends[i]; i++) {
		const struct gda_backend_ops *candidate = gda_backends[i];

		if (candidate->probe &&
		    candidate->probe(config, why, sizeof(why)))
			continue;
		*ops = candidate;
		gda_log(config, GDA_LOG_INFO, "PE %d: backend auto is %s: %s",
			config->pe, candidate->name, why);
		return 0;
	}
	return gda_fail(config, -ENODEV, "config: backend is \"auto\": %s",
			why);
}

int gda_backend_find(const struct gda_config *config,
		     const struct gda_backend_ops **ops)
{
	char known[128] = "auto";
	size_t i, at = strlen(known);

	if (!strcmp(config->backend, "auto"))
		return find_auto(config, ops);
	for (i = 0; gda_backends[i]; i++) {
		if (!strcmp(gda_backends[i]->name, config->backend)) {
			*ops = gda_backends[i];
			return 0;
		}
		at += (size_t)snprintf(known + at, sizeof(known) - at, ", %s",
				       gda_backends[i]->name);
	}
	return gda_fail(config, -ENODEV,
			"config: backend is \"%s\", this build knows: %s",
			config->backend, known);
}
