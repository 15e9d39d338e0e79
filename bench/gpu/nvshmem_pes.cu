/* SPDX-License-Identifier: MIT */
/*
 * Cycles a WQE through NVSHMEM as its host side sets it up: two processes on
 * one GPU, over its IBGDA transport. Not a part of the build: see nvshmem.sh,
 * which gives it an emulated NIC.
 *
 *	nvshmem_pes RANK FILE [BYTES [CALLS [RUNS]]]
 *
 * PE 0 leaves NVSHMEM's unique id in FILE, posts to PE 1, and leaves
 * FILE.done behind. PE 1 looks on, with the CPU only: a kernel of its own would
 * share the GPU with what is measured.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "bench/gpu/nvshmem_time.h"

enum { SECONDS_MAX = 50 };

/* Until a file is there, which appears whole. */
static FILE *await(const char *name)
{
	struct timespec pause = {0, 20000000};
	time_t end = time(NULL) + SECONDS_MAX;
	FILE *file;

	while (!(file = fopen(name, "rb"))) {
		if (errno != ENOENT || time(NULL) > end) {
			fprintf(stderr, "%s does not come: %s\n", name,
				strerror(errno));
			exit(1);
		}
		nanosleep(&pause, NULL);
	}
	return file;
}

static void leave(const char *name, const void *bytes, size_t len)
{
	char temporary[4096];
	FILE *file;

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	file = fopen(temporary, "wb");
	if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) ||
	    rename(temporary, name)) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		exit(1);
	}
}

static void start(int rank, const char *name)
{
	nvshmemx_init_attr_t attr = NVSHMEMX_INIT_ATTR_INITIALIZER;
	nvshmemx_uniqueid_t id = NVSHMEMX_UNIQUEID_INITIALIZER;
	FILE *file;
	int rc;

	if (rank == 0) {
		rc = nvshmemx_get_uniqueid(&id);
		if (rc) {
			fprintf(stderr, "no unique id: %d\n", rc);
			exit(1);
		}
		leave(name, &id, sizeof(id));
	} else {
		file = await(name);
		if (fread(&id, 1, sizeof(id), file) != sizeof(id))
			exit(1);
		fclose(file);
	}
	nvshmemx_set_attr_uniqueid_args(rank, 2, &id, &attr);
	rc = nvshmemx_init_attr(NVSHMEMX_INIT_WITH_UNIQUEID, &attr);
	if (rc) {
		fprintf(stderr, "PE %d: nvshmemx_init_attr: %d\n", rank, rc);
		exit(1);
	}
}

/* What the posts go through: else they would be loads and stores. */
static void check_transport(void *heap)
{
	nvshmemi_device_host_state_t pes;

	must(cudaMemcpyFromSymbol(&pes, nvshmemi_device_state_d, sizeof(pes)),
	     "NVSHMEM's state");
	printf("NVSHMEM initialised: %d PEs, IBGDA %s, PE 1 %s by loads and "
	       "stores\n",
	       pes.npes, pes.ibgda_is_initialized ? "yes" : "no",
	       nvshmem_ptr(heap, 1) ? "is reached" : "is not reached");
	if (!pes.ibgda_is_initialized || nvshmem_ptr(heap, 1))
		exit(1);
}

static void measure(uint8_t *heap, const struct options *o)
{
	struct call_args args = arguments(heap, o);
	const struct row *row;

	args.peer = 1;
	printf("cycles a WQE, NVSHMEM over its IBGDA transport\n");
	for (row = rows; row->op; row++) {
		printf("%-10s %-6s", row->op, row->scope);
		print_cost(row, row->nvshmem, &args, o);
		printf("\n");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	char done[4096];
	struct options o;
	uint8_t *heap;
	int rank;

	if (argc < 3) {
		fprintf(stderr, "usage: %s RANK FILE [BYTES [CALLS [RUNS]]]\n",
			argv[0]);
		return 2;
	}
	rank = atoi(argv[1]);
	snprintf(done, sizeof(done), "%s.done", argv[2]);
	o = options(argc - 2, argv + 2);
	must(cudaSetDevice(0), "GPU");
	start(rank, argv[2]);
	heap = (uint8_t *)nvshmem_calloc(1, 1 << 20);
	if (!heap) {
		fprintf(stderr, "PE %d: no symmetric memory\n", rank);
		return 1;
	}
	if (rank == 0) {
		print_machine(&o);
		check_transport(heap);
		measure(heap, &o);
		leave(done, "", 0);
	} else {
		fclose(await(done));
	}
	nvshmem_finalize();
	return 0;
}
