/* SPDX-License-Identifier: MIT */
/*
 * The configuration of the demo and the benchmark: that of the environment,
 * but on the emulated NIC if it names no backend, whatever this machine has.
 */
#include <stdlib.h>
#include <string.h>

#include "stack/gda.h"
#include "tools/belfry.h"

bool belfry_on_emu(void)
{
	const char *name = getenv("GDA_BACKEND");

	return !name || !strcmp(name, "emu");
}

int belfry_config_load(struct gda_config *config)
{
	int rc = gda_config_load(config);

	if (!getenv("GDA_BACKEND"))
		config->backend = "emu";
	return rc;
}
