/* SPDX-License-Identifier: MIT */
/* cmake -B build && cmake --build build && build/bin/03_embedding
 * cmake --build build --target cuda && build/bin/03_embedding_cuda
 *
 * Two PEs hold half a table each. PE 0 serves: its kernel gathers and adds up
 * the rows of each bag, and tells the host, which launches the next stage.
 *
 * The PEs are of this process, or of two:
 * bench/gpu/processes.sh 2 build/bin/03_embedding
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/pes.h"
#include "kernels/embedding.h"
#include "stack/dev/order.h"

enum { NPES = 2, ROWS = 1000, DIMS = 64, BAGS = 8, IN_BAG = 40, CACHE = 64 };
enum { BLOCKS = 2, THREADS = 64, HALF = ROWS / NPES * DIMS };

/* What the kernels and the host share. */
struct shared {
	uint64_t first[BAGS + 1], numbers[BAGS * IN_BAG];
	uint64_t ready;
	float weights[DIMS], scores[BAGS];
	struct embedding_counts counts;
	uint32_t blocks_done;
	int32_t code;
};

/* What only the kernels use: in GPU memory. */
struct local {
	uint64_t tags[CACHE], candidates[CACHE];
	float cached[CACHE * DIMS], pooled[BAGS * DIMS];
};

static int serve(struct pes *pes, struct embedding_args *args,
		 const struct embedding_score_args *score)
{
	struct gpu_shape lookup = {BLOCKS, THREADS, 0, 0};
	struct gpu_shape next = {1, THREADS, 0, 1};
	int rc = gpu_launch(pes->gpu, &embedding_lookup, &lookup, args);

	while (rc >= 0 && gda_order_load_signal_64(args->ready) != args->batch)
		rc = gpu_run(pes->gpu);
	if (rc >= 0)
		rc = gpu_launch(pes->gpu, &embedding_score, &next, score);
	return rc ? rc : gpu_wait(pes->gpu, GPU_STREAMS);
}

/* Row r holds r, so a sum of rows is a sum of their numbers. */
static int fill(struct pes *pes)
{
	static float half[HALF];
	int pe, i, rc = 0;

	for (pe = pes->first; !rc && pe < pes->first + pes->count; pe++) {
		for (i = 0; i < HALF; i++) {
			int row = i / DIMS * NPES + pe;

			half[i] = (float)row;
		}
		rc = gpu_copy(pes->gpu, pes->arena[pe], half, sizeof(half));
	}
	return rc || pes_barrier(pes);
}

static int run(struct pes *pes, struct shared *s, struct local *l)
{
	float *table = pes->arena[0], want = 0;
	struct embedding_cache cache = {l->tags, l->candidates, l->cached,
					CACHE, 0};
	struct gda_dev dev = *gda_device(pes->gda[0]);
	struct embedding_args args = {dev,	 table,	     table + HALF,
				      s->first,	 s->numbers, l->pooled,
				      cache,	 &s->counts, &s->blocks_done,
				      &s->ready, 0,	     ROWS,
				      DIMS,	 BAGS,	     &s->code};
	struct embedding_score_args score = {l->pooled, s->weights, s->scores,
					     DIMS, BAGS};
	uint64_t i;
	int rc = 0;

	for (i = 0; i < BAGS * IN_BAG; i++)
		s->numbers[i] = i * i % 97;
	for (i = 0; i < IN_BAG; i++)
		want += (float)s->numbers[i];
	for (i = 0; i <= BAGS; i++)
		s->first[i] = i * IN_BAG;
	s->weights[0] = 1;
	for (args.batch = 1; !rc && args.batch <= 3; args.batch++)
		rc = serve(pes, &args, &score);
	printf("bag 0: %g, expected %g; of the rows, %llu came from the "
	       "cache\n",
	       (double)s->scores[0], (double)want,
	       (unsigned long long)s->counts.hit);
	return rc || s->code || s->scores[0] != want;
}

int main(void)
{
	uint64_t staging = embedding_staging_bytes(BLOCKS, THREADS, DIMS);
	struct gda_config config;
	struct shared *shared;
	struct local *local;
	struct pes pes;
	int rc = 1;

	if (gda_config_load(&config))
		return 1;
	if (!getenv("GDA_BACKEND"))
		config.backend = "emu";
	config.shared = GDA_SHARED_GPU;
	if (pes_open(&pes, NPES, &config, HALF * sizeof(float) + staging, 0))
		return 1;
	shared = gpu_alloc(pes.gpu, sizeof(*shared));
	local = gpu_alloc_device(pes.gpu, sizeof(*local));
	if (shared && local)
		rc = fill(&pes);
	if (!rc && pes.first == 0)
		rc = run(&pes, shared, local);
	gpu_free_device(pes.gpu, local);
	gpu_free(pes.gpu, shared);
	pes_close(&pes);
	return rc;
}
