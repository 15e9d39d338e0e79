/* SPDX-License-Identifier: MIT */
/* cmake -B build && cmake --build build && build/bin/02_expert_parallel
 * cmake --build build --target cuda && build/bin/02_expert_parallel_cuda
 *
 * Four PEs, eight experts: every token visits two of them. An expert here
 * answers with what it was sent, so that a token comes back as it went, times
 * the sum of its weights. The answer is given between dispatch and combine.
 *
 * The PEs are of this process, or of as many as they are:
 * bench/gpu/processes.sh 4 build/bin/02_expert_parallel
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pes.h"
#include "kernels/ep.h"

enum { NPES = 4, TOKENS = 16, HIDDEN = 256, TOPK = 2, ROWS = NPES * TOKENS };

static const struct ep_shape shape = {NPES, 8, TOPK, HIDDEN, TOKENS, 0};

/* Everything that kernels of one PE use, of memory that the host sees too. */
static int fill(struct pes *pes, int pe, const struct ep_layout *layout,
		struct ep_args *args)
{
	uint64_t rows = (uint64_t)layout->local_experts * ROWS, i;
	uint8_t *at = gpu_alloc(pes->gpu, 1 << 22);
	uint16_t *x = (uint16_t *)at;
	float *weights = (float *)(x + TOKENS * HIDDEN);
	int32_t *experts = (int32_t *)(weights + TOKENS * TOPK);

	if (!at)
		return 1;
	memset(args, 0, sizeof(*args));
	args->dev = *gda_device(pes->gda[pe]);
	args->layout = *layout;
	args->arena = pes->arena[pe];
	args->phases = EP_SEND | EP_RECEIVE;
	args->tokens = TOKENS;
	args->timeout_ns = 1000000000;
	args->x = x;
	args->weights = weights;
	args->experts = experts;
	args->dead = experts + TOKENS * TOPK;
	args->code = args->dead + NPES;
	args->sources = args->code + 1;
	args->ranges = (struct ep_range *)(args->sources + rows);
	args->out = (uint16_t *)(args->ranges + shape.experts);
	args->rows = at + (1 << 20);
	/* The experts' output: behind the arena's own part. */
	args->y = (uint16_t *)(void *)(args->arena + layout->bytes);
	for (i = 0; i < TOKENS * HIDDEN; i++)
		x[i] = (uint16_t)(0x3f80 + i % 64); /* 1.0 and up */
	for (i = 0; i < TOKENS * TOPK; i++) {
		experts[i] =
			(int32_t)((i / TOPK * 3 + i % TOPK + (uint64_t)pe) %
				  (uint64_t)shape.experts);
		weights[i] = 0.5f;
	}
	return 0;
}

static int check(const struct ep_args *args, int pe)
{
	int wrong = memcmp(args->out, args->x, TOKENS * HIDDEN * 2) != 0;

	printf("PE %d: %s, tokens came back %s\n", pe,
	       gda_strerror(*args->code), wrong ? "changed" : "as they went");
	return wrong || *args->code;
}

static uint64_t y_bytes(const struct ep_layout *layout)
{
	return (uint64_t)layout->local_experts * ROWS * HIDDEN * 2;
}

static int run(struct pes *pes, const struct ep_layout *layout,
	       struct ep_args args[NPES])
{
	struct gpu_shape grid = {4, 128, 0, 0};
	int pe, end = pes->first + pes->count;
	int rc = pes_run(pes, &ep_dispatch, &grid, args);

	for (pe = pes->first; !rc && pe < end; pe++)
		rc = gpu_copy(pes->gpu, args[pe].arena + layout->bytes,
			      args[pe].rows, y_bytes(layout));
	rc = rc || pes_run(pes, &ep_combine, &grid, args);
	for (pe = pes->first; !rc && pe < end; pe++)
		rc = check(&args[pe], pe);
	return rc;
}

int main(void)
{
	struct ep_args args[NPES];
	struct ep_layout layout;
	struct gda_config config;
	struct pes pes;
	int pe, rc;

	if (gda_config_load(&config) || ep_layout(&shape, &layout))
		return 1;
	if (!getenv("GDA_BACKEND"))
		config.backend = "emu";
	config.shared = GDA_SHARED_GPU;
	config.qps_per_peer = 2;
	if (pes_open(&pes, NPES, &config, layout.bytes + y_bytes(&layout), 0))
		return 1;
	memset(args, 0, sizeof(args));
	for (pe = pes.first, rc = 0; pe < pes.first + pes.count; pe++)
		rc |= fill(&pes, pe, &layout, &args[pe]);
	rc = rc || run(&pes, &layout, args);
	for (pe = pes.first; pe < pes.first + pes.count; pe++)
		gpu_free(pes.gpu, (void *)(uintptr_t)args[pe].x);
	pes_close(&pes);
	return rc;
}
