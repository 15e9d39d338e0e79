/* SPDX-License-Identifier: MIT */
/*
 * The stack's host API: everything that happens before a kernel posts its
 * first WQE, and after its last.
 *
 *	struct gda *gda;
 *
 *	if (gda_init(NULL, &gda))
 *		errx(1, "%s", gda_last_error());
 *	counter = gda_calloc(gda, 1, sizeof(*counter));
 *	gda_dev_atomic_add_u64(gda_device(gda), counter, 1, peer);
 *	gda_finalize(gda);
 *
 * A PE ("processing element") is one participant: a process, or a thread of a
 * process that shares a gda_local_group with the others. Every PE makes the
 * calls marked *collective* in the same order.
 *
 * Errors: calls that return int return 0 or a negative errno. The sentence
 * that names the object, the field, its value and what was expected goes to
 * the log callback and to gda_last_error(). Nothing exits or aborts.
 *
 * Threads: a struct gda may be used from any thread, but collective calls of
 * one PE from one thread at a time.
 */
#ifndef GDA_H
#define GDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gda;
struct gda_dev;
struct gda_local_group;

/* See struct gda_dev: what a polling loop calls while it waits. */
typedef void gda_pause_fn(void *arg);

enum gda_log_level {
	GDA_LOG_ERROR = 0,
	GDA_LOG_WARN,
	GDA_LOG_INFO,
};

enum gda_link {
	GDA_LINK_IB = 0,
	GDA_LINK_ROCE,
};

enum gda_cq_mode {
	/* Every CQE goes to entry 0: one line to poll (NVSHMEM, UCX). */
	GDA_CQ_COLLAPSED = 0,
	/* A ring of CQEs with owner bits (DOCA GPUNetIO, NCCL GIN). */
	GDA_CQ_RING,
};

/* In which order a new producer index is announced (hw/doorbell.h). */
enum gda_doorbell {
	GDA_DOORBELL_CLASSIC = 0, /* record, then register */
	GDA_DOORBELL_EARLY,	  /* register, record, register */
	GDA_DOORBELL_NO_RECORD,	  /* register 0x600; needs a ConnectX-8 */
	GDA_DOORBELL_BLUEFLAME,	  /* record, then the WQE into the register */
};

/* Which threads may use one queue pair at the same time. */
enum gda_sharing {
	GDA_SHARED_NO = 0, /* one thread, or one group with a leader */
	GDA_SHARED_GPU,	   /* any: all threads of the PE */
	GDA_SHARED_BLOCK,  /* those of one block */
};

/* Where memory lies that both the kernels and the NIC use. */
enum gda_placement {
	GDA_PLACE_HOST = 0,
	GDA_PLACE_GPU,
};

/*
 * GPU memory, from whoever holds the CUDA context: the stack links no CUDA.
 * Any thread calls it, one at a time for one struct gda.
 */
struct gda_gpu_memory {
	/* Zeroed; NULL: there is none. */
	void *(*alloc)(void *arg, size_t bytes);
	void (*free)(void *arg, void *memory);
	/* Between host and GPU memory, done on return. 0 or a negative errno.
	 * Kernels may run meanwhile. */
	int (*copy)(void *arg, void *to, const void *from, size_t bytes);
	/* A descriptor (dma-buf) of whole pages of it, which the caller closes,
	 * or a negative errno. For gpu_dmabuf; else it may be NULL. */
	int (*dmabuf)(void *arg, void *memory, size_t bytes);
	/* Kernels run on the CPU: it is memory of the host that only plays a
	 * GPU's, and the NIC is told so. */
	bool is_host;
	void *arg;
};

/* Who moves an emulated NIC. A hardware NIC moves by itself. */
enum gda_progress {
	/* The polling thread steps it, a runner thread is the backstop. */
	GDA_PROGRESS_BOTH = 0,
	/*
	 * Polling threads only: no thread, no race. With a gda_local_group
	 * every NIC of the group moves, so one thread can play all PEs.
	 */
	GDA_PROGRESS_HOOK,
	GDA_PROGRESS_RUNNER,
};

/* One command mailbox and the room for its answer. */
struct gda_mailbox {
	const void *in;
	size_t in_len;
	void *out;
	size_t out_len;
};

/* Options of the emulated NIC; another backend refuses what it cannot do. */
struct gda_emu_config {
	const char *persona; /* "connectx-5" to "connectx-8"; NULL: 7 */
	const char *fabric;  /* shm wire's directory; NULL: the user's own */
	/* Trace events for the log, by glob ("sq_*,cqe_post"); NULL: none.
	 * emu/trace.def lists them; qp and wqe tell requests apart. */
	const char *trace;
	enum gda_link link;
	enum gda_progress progress;
	/* Only doorbell registers move a queue: finds forgotten doorbells. */
	bool strict;
	/* Every free-running counter of NIC and stack starts here. */
	uint32_t start_counter;
};

enum { GDA_GID_AUTO = 0xffff };

/* Options of a ConnectX; the emulated NIC has no use for them. */
struct gda_mlx5_config {
	/* "mlx5_0", or "mlx5_0:2" with a port; NULL: the first whose port is
	 * active. */
	const char *device;
	uint32_t gid_index;	/* GDA_GID_AUTO: chosen by kind */
	uint32_t service_level; /* 0 to 15; of RoCE, the priority, 0 to 7 */
	uint32_t traffic_class; /* 0 to 255; of RoCE, DSCP << 2 */
	/* The PCIe bus may reorder what a put writes: faster on some machines,
	 * but then a signal no longer says that the data is there. */
	bool relaxed_ordering;
	/* Files of the libraries; NULL: the installed ones. */
	const char *libibverbs;
	const char *libmlx5;
};

/* Start from gda_config_load(), which sets every field. */
struct gda_config {
	uint32_t version; /* GDA_CONFIG_VERSION, set by gda_config_load */

	int npes, pe;	  /* -1: not known; then gda_init fails and says so */
	const char *root; /* rendezvous, "host:port" of PE 0 */
	const char *job;  /* told apart at one rendezvous address; or "" */
	/* PEs are threads of this process: no rendezvous, loop wire. */
	struct gda_local_group *group;

	/* "mlx5", "emu", or "auto": mlx5 if the machine has such a device */
	const char *backend;
	uint64_t heap_bytes;   /* symmetric heap of each PE, the same on all */
	uint32_t qps_per_peer; /* "lanes": 1 to 256 */
	uint32_t qp_depth;     /* basic blocks of 64 B, a power of two >= 4 */
	enum gda_sharing shared;
	/*
	 * Rings and records; the heap. In GPU memory (which gpu gives) the
	 * host reaches them with gpu->copy only: that goes for what
	 * gda_malloc returns, too.
	 */
	enum gda_placement queue_place, heap_place;
	/* The NIC is told of GPU memory by dma-buf, not by address. A ConnectX
	 * needs the kernel module nvidia_peermem for addresses. */
	bool gpu_dmabuf;
	/*
	 * Not NULL: kernels run on a GPU, and what only they use (the device
	 * handle's tables, with the counters that every post moves) lies in
	 * its memory. Host threads must not use the device API then.
	 */
	const struct gda_gpu_memory *gpu;
	/* All queue pairs of a PE ring one doorbell page. */
	bool shared_uar;
	enum gda_cq_mode cq_mode;
	enum gda_doorbell doorbell;
	/* Non-blocking operations ring at every multiple of it (power of 2). */
	uint32_t batch;
	uint32_t fetch_slots; /* concurrent fetching operations on one QP */
	uint32_t max_buffers; /* gda_buffer_register at one time */

	uint32_t timeout_ms;	/* rendezvous and collective host calls */
	uint32_t op_timeout_ms; /* device waits; 0: for ever */

	/* text is one line without newline. Any thread; must not call gda. */
	void (*log)(void *arg, enum gda_log_level level, const char *text);
	void *log_arg;

	struct gda_emu_config emu;
	struct gda_mlx5_config mlx5;
};

enum { GDA_CONFIG_VERSION = 4 };

/*
 * Fill config with the defaults, then with what the environment says:
 *
 *   PE count and number: GDA_NPES and GDA_PE, else those of Open MPI, PMIx,
 *   PMI, MVAPICH, Slurm (stack/host/launch.c lists them), else 1 and 0.
 *   GDA_ROOT=host:port GDA_JOB GDA_BACKEND=auto|mlx5|emu GDA_HEAP_BYTES=64M GDA_QPS_PER_PEER
 *   GDA_QP_DEPTH GDA_SHARED=0|1|block GDA_SHARED_UAR GDA_CQ=collapsed|ring
 *   GDA_QUEUE_PLACE=host|gpu GDA_HEAP_PLACE=host|gpu GDA_GPU_DMABUF=0|1
 *   GDA_DOORBELL=classic|early|no-record|blueflame GDA_BATCH GDA_FETCH_SLOTS
 *   GDA_MAX_BUFFERS GDA_TIMEOUT_MS GDA_OP_TIMEOUT_MS GDA_LOG=stderr
 *   GDA_PERSONA GDA_FABRIC GDA_TRACE=globs GDA_LINK=ib|roce GDA_PROGRESS=both|hook|runner
 *   GDA_STRICT=0|1 GDA_START_COUNTER
 *   GDA_DEVICE=mlx5_0:1 GDA_GID_INDEX GDA_SERVICE_LEVEL GDA_TRAFFIC_CLASS
 *   GDA_RELAXED_ORDERING=0|1 GDA_LIBIBVERBS GDA_LIBMLX5
 *
 * Strings point into the environment. Returns 0, or -EINVAL for a variable
 * that holds something else (gda_last_error names it).
 */
int gda_config_load(struct gda_config *config);

/* A log callback that writes to stderr; arg is ignored. */
void gda_log_stderr(void *arg, enum gda_log_level level, const char *text);

/*
 * Collective. Open the device, meet the other PEs, build and connect all
 * queue pairs. config NULL: gda_config_load() alone. config is copied, the
 * strings, group and gpu are borrowed until gda_finalize.
 *
 * Blocks until every PE is there, at most timeout_ms. Returns 0 and *out, or
 * -EINVAL: config; -ENODEV: backend or device; -ETIMEDOUT: PEs are missing
 * (named); -EADDRINUSE, -EEXIST: two PEs claim one number; -ECONNRESET: a PE
 * died; -EPROTO: another version, or PEs with different configs; -ENOMEM.
 */
int gda_init(const struct gda_config *config, struct gda **out);

/*
 * Collective. Wait for the others, disconnect and free everything. All
 * operations must be complete (gda_dev_quiet), and no thread may use the
 * device handle. gda is gone afterwards even if a PE has died: then the
 * result is that of gda_barrier. NULL is allowed.
 */
int gda_finalize(struct gda *gda);

/* The name of the backend that was taken: "mlx5" or "emu". */
const char *gda_backend_name(const struct gda *gda);

int gda_pe(const struct gda *gda);
int gda_npes(const struct gda *gda);

/*
 * Collective. Memory at the same offset of every PE's heap, so that a local
 * address names the same object everywhere; aligned to 128 bytes. All PEs
 * must ask for the same size.
 *
 * Returns NULL and sets errno: ENOMEM (the heap has no such hole), EINVAL
 * (size 0, or another PE asked for another size), or that of gda_barrier.
 */
void *gda_malloc(struct gda *gda, size_t bytes);

/* Collective. As gda_malloc, zeroed before anybody returns. */
void *gda_calloc(struct gda *gda, size_t count, size_t bytes);

/*
 * Collective. Waits for all PEs before the memory can be given out again.
 * NULL is allowed. Returns 0, -EINVAL for an address that gda_malloc did not
 * return (nothing is freed), or as gda_barrier.
 */
int gda_free(struct gda *gda, void *addr);

/*
 * Local. Make memory of this PE usable as the local side of operations; the
 * heap is already. It must stay mapped until gda_buffer_unregister, which
 * takes the same address. Operations that use it must be complete by then.
 *
 * Returns 0; -EINVAL: length 0 or a range that wraps; -ENOSPC: more than
 * max_buffers; -EEXIST: it begins where a registered one begins; -ENOENT.
 */
int gda_buffer_register(struct gda *gda, void *addr, size_t bytes);

/* The same for GPU memory; -EINVAL also if config.gpu is NULL. */
int gda_buffer_register_gpu(struct gda *gda, void *addr, size_t bytes);

int gda_buffer_unregister(struct gda *gda, void *addr);

/*
 * What a kernel is given: see stack/gda_dev.h. Valid until gda_finalize. With
 * config.gpu a kernel that is launched with it afterwards gets
 * GDA_DEV_ESHUTDOWN; a few kilobytes of GPU memory stay allocated for that, the
 * only piece that gda_gpu_memory.free is not called for.
 */
const struct gda_dev *gda_device(const struct gda *gda);

/* A piece of memory, of whole pages. */
struct gda_piece {
	void *addr;
	size_t len;
};

/*
 * The host memory that kernels reach through the device handle: doorbell
 * pages, and of heap, rings and records, and the handle's tables what does not
 * lie in GPU memory. Who runs kernels on a GPU maps each piece into it
 * (gpu_map). Returns 0 and *piece, or -ENOENT: index, which counts from 0, is
 * past the last.
 */
int gda_memory(const struct gda *gda, unsigned index, struct gda_piece *piece);

/*
 * Collective. Return when every PE is here. It does not complete operations:
 * gda_dev_quiet() or gda_dev_barrier() do.
 *
 * Returns 0; -ETIMEDOUT after timeout_ms or -ECONNRESET, both naming PEs.
 * After an error collective calls fail at once.
 */
int gda_barrier(struct gda *gda);

/* --------------------------------------------------------------- errors --- */

/* The error CQE that broke a queue pair. */
struct gda_qp_error {
	int32_t code; /* what operations on it return; 0: it is sound */
	uint32_t peer;
	uint32_t lane;
	uint32_t qpn;
	uint32_t wqe_index; /* low 16 bits, as in the CQE */
	uint8_t syndrome;   /* enum hw_syndrome */
	uint8_t vendor_syndrome;
	uint8_t wqe_opcode;
	uint8_t rsvd;
};

/*
 * Look at one queue pair. Returns 0 and *error (code 0 if it is sound), or
 * -EINVAL for a PE or lane that does not exist.
 */
int gda_qp_error(const struct gda *gda, int pe, uint32_t lane,
		 struct gda_qp_error *error);

/* "PE 3 lane 0: QP 0x2ed, WQE 511 (RDMA_WRITE): REMOTE_ACCESS ...". Returns
 * as snprintf. */
int gda_error_string(const struct gda_qp_error *error, char *buf, size_t size);

/* Words for a code that any call of the stack returned. Never NULL. */
const char *gda_strerror(int code);

/* The last sentence that an error of this thread produced, or "". */
const char *gda_last_error(void);

/* --------------------------------------------- PEs as threads, one process */

/*
 * What threads share that play the PEs of one program: make it, put it into
 * each thread's config.group with npes and its pe, free it after the last
 * gda_finalize. It serves one gda_init of each PE. Returns NULL with errno EINVAL or ENOMEM.
 */
struct gda_local_group *gda_local_group_create(int npes);
void gda_local_group_free(struct gda_local_group *group);

#ifdef __cplusplus
}
#endif
#endif
