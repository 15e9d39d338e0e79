/* SPDX-License-Identifier: MIT */
/*
 * NVSHMEM as its host side sets it up: two processes on one GPU. Not a part of
 * the build: see nvshmem.sh, which gives it an emulated NIC.
 *
 *	nvshmem_pes FILE PART[,PART...] [BYTES [CALLS [RUNS]]]
 *
 * transfers, atomics	what PE 0's kernel does to PE 1's memory is what a plain
 *			model says; SEED makes other operations
 * measure		cycles a WQE through the IBGDA transport
 * pingpong		us a round trip, kernel to kernel, which needs MPS
 * collectives		barriers and sums that the host calls, which need MPS
 *
 * GDA_PE is 0 or 1, and FILE begins the names by which the two find each other.
 * In the first three parts PE 1 looks on, with the CPU only: a kernel of its
 * own would share the GPU with what is measured. It waits as long as it takes:
 * who starts the two ends one if the other fails, and both in the end.
 *
 * The exit status is 1 if something is not as expected, 3 if NVSHMEM cannot be
 * initialised, or not over what a part needs.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "bench/gpu/nvshmem_check.h"

enum { NAME_BYTES = 4096, ROUND_TRIPS = 1000, UNUSABLE = 3 };

struct job {
	int rank;
	const char *file;
	uint8_t *heap; /* symmetric, ARENA bytes */
	struct options options;
	uint32_t meetings;
};

/* A PE that has failed ends at once: NVSHMEM's own end waits for the other. */
static void fail(int status)
{
	fflush(NULL);
	_exit(status);
}

/* Until a file is there, which appears whole. */
static FILE *await(const char *name)
{
	struct timespec pause = {0, 5000000};
	FILE *file;

	while (!(file = fopen(name, "rb"))) {
		if (errno != ENOENT) {
			fprintf(stderr, "%s: %s\n", name, strerror(errno));
			fail(1);
		}
		nanosleep(&pause, NULL);
	}
	return file;
}

static void leave(const char *name, const void *bytes, size_t len)
{
	char temporary[NAME_BYTES + 8];
	FILE *file;

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	file = fopen(temporary, "wb");
	if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) ||
	    rename(temporary, name)) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		fail(1);
	}
}

/* Both PEs come here; no kernel and no NIC is needed. */
static void meet(struct job *job)
{
	char name[NAME_BYTES];

	snprintf(name, sizeof(name), "%s.%u.%d", job->file, job->meetings,
		 job->rank);
	leave(name, "", 0);
	snprintf(name, sizeof(name), "%s.%u.%d", job->file, job->meetings,
		 !job->rank);
	fclose(await(name));
	job->meetings++;
}

static void start(const struct job *job)
{
	nvshmemx_init_attr_t attr = NVSHMEMX_INIT_ATTR_INITIALIZER;
	nvshmemx_uniqueid_t id = NVSHMEMX_UNIQUEID_INITIALIZER;
	FILE *file;
	int rc;

	if (job->rank == 0) {
		rc = nvshmemx_get_uniqueid(&id);
		if (rc) {
			fprintf(stderr, "no unique id: %d\n", rc);
			fail(UNUSABLE);
		}
		leave(job->file, &id, sizeof(id));
	} else {
		file = await(job->file);
		if (fread(&id, 1, sizeof(id), file) != sizeof(id))
			fail(1);
		fclose(file);
	}
	nvshmemx_set_attr_uniqueid_args(job->rank, 2, &id, &attr);
	rc = nvshmemx_init_attr(NVSHMEMX_INIT_WITH_UNIQUEID, &attr);
	if (rc) {
		fprintf(stderr, "PE %d: nvshmemx_init_attr: %d\n", job->rank,
			rc);
		fail(UNUSABLE);
	}
}

/* What operations go through: not loads and stores. */
static bool over_ibgda(const struct job *job)
{
	nvshmemi_device_host_state_t pes;
	bool direct = nvshmem_ptr(job->heap, !job->rank);

	must(cudaMemcpyFromSymbol(&pes, nvshmemi_device_state_d, sizeof(pes)),
	     "NVSHMEM's state");
	if (job->rank == 0)
		printf("NVSHMEM initialised: %d PEs, IBGDA %s, PE 1 %s by "
		       "loads and stores\n",
		       pes.npes, pes.ibgda_is_initialized ? "yes" : "no",
		       direct ? "is reached" : "is not reached");
	fflush(stdout);
	if (direct)
		fail(UNUSABLE);
	return pes.ibgda_is_initialized;
}

/* ----------------------------------------------------------------- parts */

/* On PE 0; the list goes to the GPU with it. */
static void perform_all(const struct job *job, const struct check *check)
{
	struct op *ops;

	must(cudaMalloc((void **)&ops, sizeof(check->ops)), "operations");
	must(cudaMemcpy(ops, check->ops, sizeof(check->ops),
			cudaMemcpyHostToDevice),
	     "operations");
	perform<<<1, BLOCK>>>(ops, check->count, job->heap, 1);
	must(cudaGetLastError(), "operations");
	must(cudaDeviceSynchronize(), "operations");
	must(cudaFree(ops), "operations");
}

static void check_data(struct job *job, bool atomics)
{
	static struct check check;
	const char *seed = getenv("SEED");
	uint8_t *got = (uint8_t *)malloc(ARENA);
	uint32_t i;
	bool good;

	make_check(&check, seed ? strtoull(seed, NULL, 0) : 1, atomics);
	must(cudaMemcpy(job->heap, check.memory[job->rank], ARENA,
			cudaMemcpyHostToDevice),
	     "arena");
	must(cudaDeviceSynchronize(), "arena");
	for (i = 0; i < check.count; i++)
		model(&check.ops[i], check.memory[0], check.memory[1]);
	meet(job);
	if (job->rank == 0)
		perform_all(job, &check);
	meet(job);
	must(cudaMemcpy(got, job->heap, ARENA, cudaMemcpyDeviceToHost),
	     "arena");
	good = as_expected(&check, job->rank, got);
	fflush(stdout);
	/* Each says what it saw before one ends the other. */
	meet(job);
	if (!good)
		fail(1);
	meet(job);
	if (job->rank == 0)
		printf("data as expected: %u operations, %s, seed %s\n",
		       check.count, atomics ? "atomics" : "transfers",
		       seed ? seed : "1");
	free(got);
	free(check.memory[0]);
	free(check.memory[1]);
}

static void check_transfers(struct job *job)
{
	check_data(job, false);
}

static void check_atomics(struct job *job)
{
	check_data(job, true);
}

static void measure(struct job *job)
{
	const struct options *o = &job->options;
	struct call_args args = arguments(job->heap, o);
	const struct row *row;

	if (job->rank == 0) {
		print_machine(o);
		printf("cycles a WQE, NVSHMEM over its IBGDA transport\n");
	}
	args.peer = 1;
	for (row = rows; row->op && job->rank == 0; row++) {
		printf("%-10s %-6s", row->op, row->scope);
		print_cost(row, row->nvshmem, &args, o);
		printf("\n");
		fflush(stdout);
	}
	must(cudaFreeHost(args.cycles), "pinned memory");
	meet(job);
}

struct pingpong {
	uint64_t nanoseconds; /* of ROUND_TRIPS */
	uint64_t wrong;	      /* words that came with the signal */
};

/* words: what is sent, what comes, the signal. One thread of each PE; the first
 * round trip waits for the other's kernel and does not count. */
static __global__ void play(uint64_t *words, int rank, struct pingpong *result)
{
	uint64_t begin = 0, end, round, wrong = 0;

	for (round = 1; round <= ROUND_TRIPS + 1; round++) {
		if (rank == 1) {
			nvshmem_signal_wait_until(words + 2, NVSHMEM_CMP_GE,
						  round);
			wrong += *(volatile uint64_t *)(words + 1) !=
				 round * STEP;
		}
		*(volatile uint64_t *)words = round * STEP + rank;
		nvshmem_putmem_signal(words + 1, words, 8, words + 2, round,
				      NVSHMEM_SIGNAL_SET, !rank);
		if (rank == 0) {
			nvshmem_signal_wait_until(words + 2, NVSHMEM_CMP_GE,
						  round);
			wrong += *(volatile uint64_t *)(words + 1) !=
				 round * STEP + 1;
		}
		if (round == 1)
			asm volatile("mov.u64 %0, %%globaltimer;"
				     : "=l"(begin));
	}
	asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(end));
	result->nanoseconds = end - begin;
	result->wrong = wrong;
}

static void pingpong(struct job *job)
{
	uint64_t *words = (uint64_t *)(void *)job->heap;
	struct pingpong *result;

	must(cudaHostAlloc((void **)&result, sizeof(*result),
			   cudaHostAllocMapped),
	     "pinned memory");
	must(cudaMemset(words, 0, 24), "words");
	must(cudaDeviceSynchronize(), "words");
	meet(job);
	play<<<1, 1>>>(words, job->rank, result);
	must(cudaGetLastError(), "ping-pong");
	must(cudaDeviceSynchronize(), "ping-pong");
	if (result->wrong)
		printf("PE %d: %llu wrong words\n", job->rank,
		       (unsigned long long)result->wrong);
	meet(job);
	if (result->wrong)
		fail(1);
	meet(job);
	if (job->rank == 0)
		printf("ping-pong: %.2f us a round trip, %d of them\n",
		       (double)result->nanoseconds / 1000 / ROUND_TRIPS,
		       ROUND_TRIPS);
	must(cudaFreeHost(result), "pinned memory");
}

/* Of n words a PE; PE r's word i is (r + 1) * (i + STEP). */
static bool sum(struct job *job, uint64_t *words, uint64_t n)
{
	uint64_t *from = (uint64_t *)(void *)job->heap, *to = from + n, i;
	int rc;

	for (i = 0; i < n; i++)
		words[i] = (uint64_t)(job->rank + 1) * (i + STEP);
	must(cudaMemcpy(from, words, n * 8, cudaMemcpyHostToDevice), "sum");
	must(cudaMemset(to, 0, n * 8), "sum");
	must(cudaDeviceSynchronize(), "sum");
	meet(job);
	rc = nvshmem_uint64_sum_reduce(NVSHMEM_TEAM_WORLD, to, from, n);
	must(cudaDeviceSynchronize(), "sum");
	must(cudaMemcpy(words, to, n * 8, cudaMemcpyDeviceToHost), "sum");
	for (i = 0; i < n && words[i] == 3 * (i + STEP); i++)
		;
	if (!rc && i == n)
		return true;
	printf("PE %d: sum_reduce of %llu returns %d, word %llu\n", job->rank,
	       (unsigned long long)n, rc, (unsigned long long)i);
	fflush(stdout);
	return false;
}

static void collectives(struct job *job)
{
	uint64_t *words = (uint64_t *)malloc(ARENA / 2);
	uint64_t n;
	bool good = true;
	int i;

	for (i = 0; i < 10; i++)
		nvshmem_barrier_all();
	if (job->rank == 0)
		printf("barrier_all returns: %d times\n", i);
	fflush(stdout);
	for (n = 1; n <= 10000; n *= 100)
		good = sum(job, words, n) && good;
	meet(job);
	if (!good)
		fail(1);
	meet(job);
	if (job->rank == 0)
		printf("sum_reduce as expected: 1, 100, 10000 words\n");
	free(words);
}

static const struct part {
	const char *name;
	void (*run)(struct job *job);
	bool ibgda; /* only over it */
} parts[] = {
	{"transfers", check_transfers, false},
	{"atomics", check_atomics, false},
	{"measure", measure, true},
	{"pingpong", pingpong, false},
	{"collectives", collectives, false},
	{NULL, NULL, false},
};

static void run_part(struct job *job, const char *name, bool ibgda)
{
	const struct part *part = parts;

	while (part->name && strcmp(part->name, name))
		part++;
	if (!part->name) {
		fprintf(stderr, "no part %s\n", name);
		fail(2);
	}
	if (part->ibgda && !ibgda) {
		fprintf(stderr, "%s: not over IBGDA\n", name);
		fail(UNUSABLE);
	}
	part->run(job);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *rank = getenv("GDA_PE");
	struct job job;
	char *name;
	bool ibgda;

	if (argc < 3 || !rank) {
		fprintf(stderr,
			"usage: GDA_PE=0|1 %s FILE PART[,PART...] "
			"[BYTES [CALLS [RUNS]]]\n",
			argv[0]);
		return 2;
	}
	memset(&job, 0, sizeof(job));
	job.rank = atoi(rank) != 0;
	job.file = argv[1];
	job.options = options(argc - 2, argv + 2);
	must(cudaSetDevice(0), "GPU");
	start(&job);
	job.heap = (uint8_t *)nvshmem_calloc(1, ARENA);
	if (!job.heap) {
		fprintf(stderr, "PE %d: no symmetric memory\n", job.rank);
		fail(UNUSABLE);
	}
	ibgda = over_ibgda(&job);
	for (name = strtok(argv[2], ","); name; name = strtok(NULL, ","))
		run_part(&job, name, ibgda);
	nvshmem_finalize();
	return 0;
}
