/* SPDX-License-Identifier: MIT */
/*
 * What posting a WQE costs through NVSHMEM's device library and through
 * Belfry's, on the same GPU, in the same loop, with queues in the same place:
 * cycles of the SM's clock. Not a part of the build: see nvshmem.sh.
 *
 * Neither library is initialised. This program fills in what their host sides
 * would have: one reliable connection to PE 1, whose rings, record and register
 * nobody reads. So what is measured is the device code as it was shipped, and
 * nothing else; no more is posted than the rings hold.
 *
 * Not modelled: DC connections, more than one NIC, address vectors for IB (p of
 * a whole warp makes one WQE there).
 * Source of truth: NVSHMEM's nvshmem_common_ibgda.h and nvshmem_types.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/gpu/nvshmem_calls.h"
#include "bench/gpu/nvshmem_time.h"

enum { DEPTH = 1024, HEAP_BYTES = 1 << 20, PEER = 1, PES = 2, QPN = 0x123 };
enum { SECONDS_MAX = 15 }; /* for a row */

/* Where the queue's memory lies, and the heap. */
struct place {
	bool queue_in_gpu, heap_in_gpu;
};

/* One queue's memory, in 64 KiB steps. */
struct queue {
	uint8_t *sq, *cq, *record, *reg;
};

static void *take(bool in_gpu, size_t bytes)
{
	void *memory;

	if (in_gpu) {
		must(cudaMalloc(&memory, bytes), "device memory");
		must(cudaMemset(memory, 0, bytes), "device memory");
	} else {
		must(cudaHostAlloc(&memory, bytes, cudaHostAllocMapped),
		     "pinned memory");
		memset(memory, 0, bytes);
	}
	return memory;
}

/* A copy of an object, in GPU memory. */
static void *to_gpu(const void *object, size_t bytes)
{
	void *memory = take(true, bytes);

	must(cudaMemcpy(memory, object, bytes, cudaMemcpyDefault), "copy");
	return memory;
}

static struct queue make_queue(const struct place *place)
{
	struct queue queue;

	queue.sq = (uint8_t *)take(place->queue_in_gpu, DEPTH * 64);
	queue.cq = (uint8_t *)take(place->queue_in_gpu, DEPTH * 64);
	queue.record = (uint8_t *)take(place->queue_in_gpu, 64);
	queue.reg = (uint8_t *)take(false, 4096);
	return queue;
}

/* ----------------------------------------------------------------- Belfry */

static struct gda_dev make_belfry(const struct place *place, uint8_t *heap,
				  const struct queue *queue,
				  enum gda_sharing shared)
{
	struct gda_dev_peer peers[PES];
	struct gda_dev_qp qps[PES];
	struct gda_dev dev;
	int pe;

	memset(peers, 0, sizeof(peers));
	memset(qps, 0, sizeof(qps));
	memset(&dev, 0, sizeof(dev));
	for (pe = 0; pe < PES; pe++) {
		peers[pe].heap_addr = (uint64_t)(uintptr_t)heap;
		peers[pe].rkey = 2;
		qps[pe].sq = queue->sq;
		qps[pe].cq = queue->cq;
		qps[pe].record = (be32 *)(void *)(queue->record + 4);
		qps[pe].reg = queue->reg;
		qps[pe].sink = (uint64_t)(uintptr_t)heap;
		qps[pe].qpn = QPN;
		qps[pe].peer = (uint32_t)pe;
		qps[pe].depth = DEPTH;
		qps[pe].batch = 1;
		qps[pe].shared = (uint8_t)shared;
		qps[pe].in_gpu = place->queue_in_gpu && place->heap_in_gpu;
	}
	dev.version = GDA_DEV_VERSION;
	dev.npes = PES;
	dev.lanes = 1;
	dev.heap_lkey = 1;
	dev.heap_addr = (uint64_t)(uintptr_t)heap;
	dev.heap_bytes = HEAP_BYTES;
	dev.peers = (struct gda_dev_peer *)to_gpu(peers, sizeof(peers));
	dev.qps = (struct gda_dev_qp *)to_gpu(qps, sizeof(qps));
	return dev;
}

/* ---------------------------------------------------------------- NVSHMEM */

/* The state that says which PEs there are and that none is reached by loads
 * and stores. */
static void set_pes(const struct place *place, uint8_t *heap)
{
	void *reached[PES] = {heap, NULL}, *remote[PES] = {heap, heap};
	nvshmemi_device_host_state_t pes;

	memset(&pes, 0, sizeof(pes));
	pes.version = (1 << 16) + (int)sizeof(pes);
	pes.npes = PES;
	pes.node_npes = 1;
	pes.job_connectivity = NVSHMEMI_JOB_GPU_PROXY;
	pes.heap_base = heap;
	pes.heap_size = HEAP_BYTES;
	pes.peer_heap_base_p2p = (void **)to_gpu(reached, sizeof(reached));
	pes.peer_heap_base_remote = (void **)to_gpu(remote, sizeof(remote));
	pes.symmetric_heap_kind = !place->heap_in_gpu;
	pes.atomics_le_min_size = 8;
	pes.ibgda_is_initialized = true;
	pes.nvshmemi_is_nvshmem_initialized = true;
	pes.nvshmemi_is_nvshmem_bootstrapped = true;
	must(cudaMemcpyToSymbol(nvshmemi_device_state_d, &pes, sizeof(pes)),
	     "NVSHMEM's state");
}

/* qps: in GPU memory, with their completion queues. */
static void set_ibgda(const struct place *place, uint8_t *heap,
		      nvshmemi_ibgda_device_qp_t *qps,
		      nvshmemi_ibgda_device_cq_t *cqs)
{
	static nvshmemi_ibgda_device_state_t state;
	int pe;

	nvshmemi_init_ibgda_device_state(state);
	state.num_shared_dcis = 1;
	state.num_exclusive_dcis = 1;
	state.dci_map_type = NVSHMEMI_IBGDA_DEVICE_QP_MAP_TYPE_CTA;
	state.ndcts_per_pe = 1;
	state.num_qp_groups = 1;
	state.num_dct_groups = 1;
	state.num_rc_per_pe = 1;
	state.rc_map_type = NVSHMEMI_IBGDA_DEVICE_QP_MAP_TYPE_CTA;
	state.num_requests_in_batch = 32; /* the library's default */
	state.log2_cumem_granularity = 30;
	state.num_devices_initialized = 1;
	state.nic_buf_on_gpumem = place->queue_in_gpu;
	state.may_skip_cst = true;
	state.use_async_postsend = false;
	state.constmem.lkeys[0].key = 1;
	state.constmem.lkeys[0].next_addr =
		(uint64_t)(uintptr_t)heap + HEAP_BYTES;
	for (pe = 0; pe < PES; pe++) {
		state.constmem.rkeys[pe].key = 2;
		state.constmem.rkeys[pe].next_addr = HEAP_BYTES;
	}
	state.globalmem.qp_group_switches = (uint8_t *)take(true, 64);
	state.globalmem.cqs = cqs;
	state.globalmem.dcis = qps;
	state.globalmem.rcs = qps;
	must(cudaMemcpyToSymbol(nvshmemi_ibgda_device_state_d, &state,
				sizeof(state)),
	     "NVSHMEM's IBGDA state");
}

/* Returns the queue pair to PEER, in GPU memory. */
static nvshmemi_ibgda_device_qp_t *make_nvshmem(const struct place *place,
						uint8_t *heap,
						const struct queue *queue)
{
	nvshmemi_ibgda_device_qp_t *qps =
		(nvshmemi_ibgda_device_qp_t *)take(true, PES * sizeof(*qps));
	nvshmemi_ibgda_device_qp_t qp;
	nvshmemi_ibgda_device_cq_t cq;
	int pe;

	for (pe = 0; pe < PES; pe++) {
		nvshmemi_init_ibgda_device_cq(cq);
		cq.qp_type = NVSHMEMI_IBGDA_DEVICE_QP_TYPE_RC;
		cq.cqe = queue->cq;
		cq.prod_idx = &qps[pe].mvars.tx_wq.prod_idx;
		cq.cons_idx = &qps[pe].mvars.tx_wq.cons_idx;
		cq.resv_head = &qps[pe].mvars.tx_wq.resv_head;
		cq.ready_head = &qps[pe].mvars.tx_wq.ready_head;
		cq.ncqes = DEPTH;
		cq.qpn = QPN;
		nvshmemi_init_ibgda_device_qp(qp);
		memset(&qp.mvars.post_send_lock, 0,
		       sizeof(qp.mvars) - sizeof(qp.mvars.version));
		qp.qp_type = NVSHMEMI_IBGDA_DEVICE_QP_TYPE_RC;
		qp.qpn = QPN;
		qp.dev_idx = 0;
		qp.ibuf.nslots = 256;
		qp.ibuf.buf = heap;
		qp.tx_wq.nwqes = DEPTH;
		qp.tx_wq.wqe = queue->sq;
		qp.tx_wq.dbrec = (__be32 *)(void *)(queue->record + 4);
		qp.tx_wq.bf = queue->reg;
		qp.tx_wq.cq =
			(nvshmemi_ibgda_device_cq_t *)to_gpu(&cq, sizeof(cq));
		qp.tx_wq.prod_idx = &qps[pe].mvars.tx_wq.prod_idx;
		must(cudaMemcpy(qps + pe, &qp, sizeof(qp), cudaMemcpyDefault),
		     "copy");
	}
	set_pes(place, heap);
	set_ibgda(place, heap, qps, qp.tx_wq.cq);
	return qps + PEER;
}

/* --------------------------------------------------------------- the table */

static void head(const struct place *place)
{
	printf("cycles a WQE, queue=%s heap=%s: Belfry unshared, Belfry shared "
	       "by the GPU, NVSHMEM, NVSHMEM in the first lap of the ring\n",
	       place->queue_in_gpu ? "gpu" : "host",
	       place->heap_in_gpu ? "gpu" : "host");
}

/* All rows from *at on, which moves on with them. */
static void compare(const struct place *place, const struct options *o,
		    volatile int *at)
{
	uint8_t *heap = (uint8_t *)take(place->heap_in_gpu, HEAP_BYTES);
	struct queue queue = make_queue(place);
	struct gda_dev alone = make_belfry(place, heap, &queue, GDA_SHARED_NO);
	struct gda_dev shared =
		make_belfry(place, heap, &queue, GDA_SHARED_GPU);
	struct call_args args = arguments(heap, o);
	const struct row *row;

	args.peer = PEER;
	args.qp = make_nvshmem(place, heap, &queue);
	args.reg = queue.reg;
	for (row = rows + *at; row->op; row++, (*at)++) {
		alarm(SECONDS_MAX);
		printf("%-10s %-6s", row->op, row->scope);
		args.start = 1 << 20;
		args.dev = alone;
		print_cost(row, row->belfry, &args, o);
		args.dev = shared;
		print_cost(row, row->belfry, &args, o);
		print_cost(row, row->nvshmem, &args, o);
		args.start = 0;
		print_cost(row, row->nvshmem, &args, o);
		printf("\n");
	}
}

/*
 * In processes of their own: a kernel that fails takes its process along, and
 * the next one goes on with the next row. Returns how many failed.
 */
static int compare_in(const struct place *place, const struct options *o)
{
	volatile int *at =
		(volatile int *)mmap(NULL, sizeof(*at), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0, failures = 0;
	pid_t child;

	head(place);
	for (; rows[*at].op; (*at)++) {
		fflush(stdout);
		child = fork();
		if (child == 0) {
			compare(place, o, at);
			exit(check_failures != 0);
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 1;
		failures += status != 0;
		if (!rows[*at].op)
			return failures;
		printf("%-10s %-6s  failed: status 0x%x\n", rows[*at].op,
		       rows[*at].scope, status);
	}
	return failures;
}

int main(int argc, char **argv)
{
	static const struct place places[] = {
		{true, true}, {false, true}, {true, false}, {false, false}};
	struct options o = options(argc, argv);
	int failures = 0;
	unsigned i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (fork() == 0) {
		print_machine(&o);
		exit(0);
	}
	wait(&failures);
	for (i = 0; !failures && i < sizeof(places) / sizeof(*places); i++)
		failures += compare_in(&places[i], &o);
	return failures != 0;
}
