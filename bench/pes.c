/* SPDX-License-Identifier: MIT */
/*
 * PEs for benchmarks and examples: see pes.h.
 *
 * Thread: the main one; each PE is initialised and finalised by one of its
 * own, because those calls wait for each other.
 */
#include "bench/pes.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct job {
	struct pes *pes;
	struct gda_config config;
	uint64_t arena_bytes;
	int pe;
	int rc;
	char why[256];
	pthread_t thread;
};

static void *open_one(void *arg)
{
	struct job *job = arg;
	struct pes *pes = job->pes;

	job->rc = gda_init(&job->config, &pes->gda[job->pe]);
	if (!job->rc) {
		pes->arena[job->pe] =
			gda_calloc(pes->gda[job->pe], 1, job->arena_bytes);
		job->rc = pes->arena[job->pe] ? 0 : -1;
	}
	snprintf(job->why, sizeof(job->why), "%s", gda_last_error());
	return NULL;
}

static void *close_one(void *arg)
{
	struct job *job = arg;

	job->rc = gda_finalize(job->pes->gda[job->pe]);
	snprintf(job->why, sizeof(job->why), "%s", gda_last_error());
	return NULL;
}

/* By the PEs of this process, at the same time. */
static int run_jobs(struct pes *pes, struct job *jobs, void *(*fn)(void *))
{
	int pe, end = pes->first + pes->count, rc = 0;

	for (pe = pes->first; pe < end; pe++) {
		jobs[pe].pes = pes;
		jobs[pe].pe = pe;
		pthread_create(&jobs[pe].thread, NULL, fn, &jobs[pe]);
	}
	for (pe = pes->first; pe < end; pe++) {
		pthread_join(jobs[pe].thread, NULL);
		if (jobs[pe].rc && !rc)
			fprintf(stderr, "PE %d: %s\n", pe, jobs[pe].why);
		rc |= jobs[pe].rc != 0;
	}
	return rc;
}

static int map_all(struct pes *pes)
{
	struct gda_piece piece;
	unsigned i;
	int pe, rc;

	for (pe = pes->first; pe < pes->first + pes->count; pe++)
		for (i = 0; !gda_memory(pes->gda[pe], i, &piece); i++) {
			rc = gpu_map(pes->gpu, piece.addr, piece.len);
			if (rc) {
				fprintf(stderr, "%s\n", gpu_error(pes->gpu));
				return 1;
			}
		}
	return 0;
}

static void unmap_all(struct pes *pes)
{
	struct gda_piece piece;
	unsigned i;
	int pe;

	for (pe = pes->first; pe < pes->first + pes->count; pe++)
		for (i = 0;
		     pes->gda[pe] && !gda_memory(pes->gda[pe], i, &piece); i++)
			gpu_unmap(pes->gpu, piece.addr);
}

/* ------------------------------------------------------------- GPU memory */

/* A struct gpu is for one thread at a time, and PEs start in their own. */
static pthread_mutex_t gpu_lock = PTHREAD_MUTEX_INITIALIZER;

static void *alloc_on_gpu(void *arg, size_t bytes)
{
	void *memory;

	pthread_mutex_lock(&gpu_lock);
	memory = gpu_alloc_device(arg, bytes);
	pthread_mutex_unlock(&gpu_lock);
	return memory;
}

static void free_on_gpu(void *arg, void *memory)
{
	pthread_mutex_lock(&gpu_lock);
	gpu_free_device(arg, memory);
	pthread_mutex_unlock(&gpu_lock);
}

static int copy_on_gpu(void *arg, void *to, const void *from, size_t bytes)
{
	int rc;

	pthread_mutex_lock(&gpu_lock);
	rc = gpu_copy(arg, to, from, bytes);
	pthread_mutex_unlock(&gpu_lock);
	return rc;
}

static int dmabuf_on_gpu(void *arg, void *memory, size_t bytes)
{
	int fd;

	pthread_mutex_lock(&gpu_lock);
	fd = gpu_dmabuf(arg, memory, bytes);
	pthread_mutex_unlock(&gpu_lock);
	return fd;
}

/* ------------------------------------------------------- open and close --- */

/* Which PEs are here, and who moves their NICs. */
static int take_part(struct pes *pes, int npes, struct gda_config *config)
{
	pes->npes = npes;
	if (config->npes > 1 && config->npes != npes) {
		fprintf(stderr,
			"the job has %d processes (GDA_NPES, or the "
			"launcher's), this program wants %d PEs\n",
			config->npes, npes);
		return 1;
	}
	if (config->npes > 1) {
		pes->first = config->pe;
		pes->count = 1;
	} else {
		pes->count = npes;
		pes->group = gda_local_group_create(npes);
	}
	config->npes = npes;
	config->group = pes->group;
	return 0;
}

/*
 * Who moves the emulated NICs. Of several processes, a peer's NIC may need an
 * answer of this one while no kernel runs here; and the runner's virtual time
 * says nothing about what another process can have done: turns_max ends waits.
 */
static void choose_progress(const struct pes *pes, struct gda_config *config)
{
	config->emu.progress = GDA_PROGRESS_RUNNER;
	if (!gpu_is_runner(pes->gpu))
		return;
	config->emu.progress = GDA_PROGRESS_HOOK;
	if (pes->count == pes->npes)
		return;
	config->emu.progress = GDA_PROGRESS_BOTH;
	config->op_timeout_ms = 0;
}

int pes_open(struct pes *pes, int npes, const struct gda_config *config,
	     uint64_t arena_bytes, uint64_t seed)
{
	struct gpu_config gpu = {.seed = seed, .turns_max = 1ull << 31};
	struct gda_config own = *config;
	struct job jobs[PES_MAX];
	int pe;

	memset(pes, 0, sizeof(*pes));
	memset(jobs, 0, sizeof(jobs));
	if (npes < 1 || npes > PES_MAX) {
		fprintf(stderr, "%d PEs, expected 1 to %d\n", npes, PES_MAX);
		return 1;
	}
	if (gpu_open(&gpu, &pes->gpu)) {
		fprintf(stderr, "%s\n", gpu_error(NULL));
		return 1;
	}
	pes->memory = (struct gda_gpu_memory){
		.alloc = alloc_on_gpu,
		.free = free_on_gpu,
		.copy = copy_on_gpu,
		.dmabuf = dmabuf_on_gpu,
		.is_host = gpu_is_runner(pes->gpu),
		.arg = pes->gpu,
	};
	own.gpu = &pes->memory;
	own.heap_bytes = arena_bytes + 65536;
	if (take_part(pes, npes, &own)) {
		gpu_close(pes->gpu);
		return 1;
	}
	choose_progress(pes, &own);
	for (pe = pes->first; pe < pes->first + pes->count; pe++) {
		jobs[pe].arena_bytes = arena_bytes;
		jobs[pe].config = own;
		jobs[pe].config.pe = pe;
	}
	if (!run_jobs(pes, jobs, open_one) && !map_all(pes))
		return 0;
	pes_close(pes);
	return 1;
}

void pes_finalize(struct pes *pes)
{
	struct job jobs[PES_MAX];

	unmap_all(pes);
	memset(jobs, 0, sizeof(jobs));
	run_jobs(pes, jobs, close_one);
	gda_local_group_free(pes->group);
	pes->group = NULL;
	pes->count = 0;
}

void pes_close(struct pes *pes)
{
	pes_finalize(pes);
	gpu_close(pes->gpu);
}

int pes_barrier(struct pes *pes)
{
	if (pes->count == pes->npes || !gda_barrier(pes->gda[pes->first]))
		return 0;
	fprintf(stderr, "PE %d: %s\n", pes->first, gda_last_error());
	return 1;
}

/* -------------------------------------------------------------- kernels --- */

int pes_launch(struct pes *pes, const struct gpu_kernel *kernel,
	       const struct gpu_shape *shape, const void *args)
{
	const uint8_t *at = args;
	int pe, rc = 0;

	for (pe = pes->first; !rc && pe < pes->first + pes->count; pe++) {
		struct gpu_shape own = *shape;

		own.stream = (uint32_t)pe;
		rc = gpu_launch(pes->gpu, kernel, &own,
				at + (size_t)pe * kernel->args_bytes);
	}
	if (rc)
		fprintf(stderr, "%s: %s\n", kernel->name, gpu_error(pes->gpu));
	return rc != 0;
}

int pes_wait(struct pes *pes, const struct gpu_kernel *kernel)
{
	int rc = gpu_wait(pes->gpu, GPU_STREAMS);

	if (rc)
		fprintf(stderr, "%s: %s\n", kernel->name, gpu_error(pes->gpu));
	return rc != 0;
}

int pes_run(struct pes *pes, const struct gpu_kernel *kernel,
	    const struct gpu_shape *shape, const void *args)
{
	int rc = pes_launch(pes, kernel, shape, args);

	return rc ? rc : pes_wait(pes, kernel);
}
