/* SPDX-License-Identifier: MIT */
/*
 * Who am I, among how many: from what launchers put into the environment.
 *
 * Rows are tried in order; one counts if both its variables are set. Our own
 * come first, so that they can be given in any launcher.
 *
 * Source of truth: Open MPI, Hydra, MVAPICH, PMIx and Slurm manuals.
 * Thread: the caller of gda_config_load; reads the environment.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "stack/host/internal.h"

struct launcher {
	const char *size, *rank;
};

static const struct launcher launchers[] = {
	{"GDA_NPES", "GDA_PE"},
	{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
	{"MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"},
	{"PMI_SIZE", "PMI_RANK"},
	/* PMIx gives the size through its library only. */
	{"PMIX_SIZE", "PMIX_RANK"},
	{"SLURM_STEP_NUM_TASKS", "PMIX_RANK"},
	{"SLURM_NTASKS", "SLURM_PROCID"},
	{"SLURM_NPROCS", "SLURM_PROCID"},
	/* All ranks of the host: right if there is one host only. */
	{"MPI_LOCALNRANKS", "MPI_LOCALRANKID"},
};

/* Told apart at one rendezvous address. */
static const char *const jobs[] = {"GDA_JOB", "PMIX_NAMESPACE", "SLURM_JOB_ID",
				   "PBS_JOBID", "LSB_JOBID"};

#define DEFAULT_ROOT "127.0.0.1:27182"

static int load_row(struct gda_config *config, const struct launcher *row)
{
	const char *size = getenv(row->size);
	const char *rank = getenv(row->rank);
	uint64_t npes, pe;

	if (!gda_parse_number(size, INT_MAX, &npes) || npes < 1)
		return gda_fail(config, -EINVAL,
				"environment: %s is \"%s\", expected a number "
				"of PEs, 1 or more",
				row->size, size);
	if (!gda_parse_number(rank, INT_MAX, &pe) || pe >= npes)
		return gda_fail(config, -EINVAL,
				"environment: %s is \"%s\", expected a number "
				"from 0 to %d (%s is %s)",
				row->rank, rank, (int)npes - 1, row->size,
				size);
	config->npes = (int)npes;
	config->pe = (int)pe;
	return 0;
}

int gda_launch_load(struct gda_config *config)
{
	size_t i;

	config->npes = 1;
	config->pe = 0;
	config->root = getenv("GDA_ROOT");
	if (!config->root)
		config->root = DEFAULT_ROOT;
	config->job = "";
	for (i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		if (!getenv(jobs[i]))
			continue;
		config->job = getenv(jobs[i]);
		break;
	}
	if (!getenv("GDA_NPES") != !getenv("GDA_PE"))
		return gda_fail(config, -EINVAL,
				"environment: one of GDA_NPES and GDA_PE is "
				"set, expected both or none");
	for (i = 0; i < sizeof(launchers) / sizeof(launchers[0]); i++)
		if (getenv(launchers[i].size) && getenv(launchers[i].rank))
			return load_row(config, &launchers[i]);
	return 0;
}
