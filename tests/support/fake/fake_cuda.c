/* SPDX-License-Identifier: MIT */
/*
 * A CUDA driver for tests without a GPU; see fake_cuda.h.
 *
 * Stricter than the real one: copies must go through pinned memory, and every
 * call needs a current context.
 */
#include "support/fake/fake_cuda_memory.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef int result;

enum {
	OK = 0,
	INVALID_VALUE = 1,
	OUT_OF_MEMORY = 2,
	DEINITIALIZED = 4,
	NO_DEVICE = 100,
	INVALID_CONTEXT = 201,
	NOT_READY = 600,
	CONTEXT_IS_DESTROYED = 709,
};

enum {
	OPS_MAX = 4096,
	QUEUE_MAX = 4096,
	STREAMS_MAX = 64,
};
/* As the kernel of moves reads it. */
struct move {
	uint64_t dst, src, len;
};

struct op {
	struct fake_cuda_op did;
	uint8_t *host;
	/* kernel; of moves if there are any */
	void *slot;
	const struct move *moves;
	uint32_t move_count;
	uint32_t bytes, swap;
	uint64_t operand, compare, swap_mask, compare_mask;
};

struct stream {
	bool open, kernels;
	struct op queue[QUEUE_MAX];
	unsigned head, tail, asked;
};

static char atomic_kernel, move_kernel;
static struct stream streams[STREAMS_MAX];
static struct fake_cuda_op ops[OPS_MAX];
static size_t op_count;
static uint64_t question_count;
static unsigned latency = 1;
static int devices = 1, generation = 1;
static bool full;
static void (*start_hook)(void *slot);
static struct {
	char call[64];
	result result;
	unsigned skip, count;
} failure;
static __thread uintptr_t current[16];
static __thread unsigned depth;
static __thread int capture_mode;

/* ---------------------------------------------------------------- streams */

static uint64_t changed(const struct op *op, uint64_t old)
{
	uint64_t top = op->compare;

	if (!op->swap)
		return ((old & ~top) + (op->operand & ~top)) ^
		       ((old ^ op->operand) & top);
	if ((old ^ op->compare) & op->compare_mask)
		return old;
	return (old & ~op->swap_mask) | (op->operand & op->swap_mask);
}

static void run_atomic(const struct op *op)
{
	uint64_t *original = (uint64_t *)op->slot + 1;
	uint8_t *at = fake_view(op->did.device);
	uint64_t old = 0, new;

	memcpy(&old, at, op->bytes);
	new = changed(op, old);
	memcpy(at, &new, op->bytes);
	*original = old;
}

static void note(const struct fake_cuda_op *did)
{
	ops[op_count++ % OPS_MAX] = *did;
}

/* A fault costs the program its context. */
static void run_moves(const struct op *op)
{
	const struct move *move;

	for (move = op->moves; move < op->moves + op->move_count; move++) {
		void *dst = (void *)(uintptr_t)move->dst;

		generation += !fake_move(dst, (void *)(uintptr_t)move->src,
					 move->len);
		note(&(struct fake_cuda_op){FAKE_MOVE, dst, move->len});
	}
}

/* What emu/dma_gpu_ptx.h says. */
static void run_kernel(const struct op *op)
{
	uint32_t *state = op->slot, *cancel = state + 1;

	__atomic_store_n(state, 1, __ATOMIC_SEQ_CST);
	if (start_hook)
		start_hook(op->slot);
	if (__atomic_load_n(cancel, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(state, 3, __ATOMIC_SEQ_CST);
		return;
	}
	if (op->moves)
		run_moves(op);
	else
		run_atomic(op);
	__atomic_store_n(state, 2, __ATOMIC_SEQ_CST);
}

static void carry_out(const struct op *op)
{
	void *at = fake_view(op->did.device);

	note(&op->did);
	if (op->did.kind == FAKE_TO_DEVICE)
		memcpy(at, op->host, op->did.len);
	else if (op->did.kind == FAKE_TO_HOST)
		memcpy(op->host, at, op->did.len);
	else
		run_kernel(op);
}

static void run_kernels(struct stream *stream)
{
	while (!full && stream->head != stream->tail)
		carry_out(&stream->queue[stream->head++ % QUEUE_MAX]);
}

static result put(struct stream *stream, const struct op *op)
{
	bool nothing = op->did.kind == FAKE_KERNEL &&
		       ((uint32_t *)op->slot)[1]; /* cancelled already */

	if (!nothing && !op->moves &&
	    !fake_is_live(op->did.device, op->did.len))
		return INVALID_VALUE;
	if (stream->tail - stream->head == QUEUE_MAX)
		return OUT_OF_MEMORY;
	stream->queue[stream->tail++ % QUEUE_MAX] = *op;
	if (op->did.kind == FAKE_KERNEL) {
		stream->kernels = true;
		run_kernels(stream);
	}
	return OK;
}

/* ----------------------------------------------------- the driver's calls */

/* What the test wants of this call; requires the lock. */
static result wanted(const char *call)
{
	if (strcmp(call, failure.call) || !failure.count)
		return OK;
	if (failure.skip) {
		failure.skip--;
		return OK;
	}
	failure.count--;
	return failure.result;
}

/* Is there a context that can be used? */
static result begin(const char *call)
{
	result ret;

	pthread_mutex_lock(&fake_lock);
	ret = wanted(call);
	if (!ret && !depth)
		ret = INVALID_CONTEXT;
	if (!ret && current[depth - 1] != (uintptr_t)generation)
		ret = CONTEXT_IS_DESTROYED;
	return ret;
}

static result end(result ret)
{
	pthread_mutex_unlock(&fake_lock);
	return ret;
}

EXPORT result cuInit(unsigned flags)
{
	(void)flags;
	return devices ? OK : NO_DEVICE;
}

EXPORT result cuGetErrorName(result error, const char **name)
{
	*name = error == NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR";
	return OK;
}

EXPORT result cuDeviceGet(int *device, int ordinal)
{
	*device = ordinal;
	return ordinal < devices ? OK : INVALID_VALUE;
}

EXPORT result cuDevicePrimaryCtxRetain(uintptr_t *context, int device)
{
	(void)device;
	*context = (uintptr_t)generation;
	return OK;
}

EXPORT result cuCtxPushCurrent_v2(uintptr_t context)
{
	if (context != (uintptr_t)generation)
		return CONTEXT_IS_DESTROYED;
	if (depth == 16)
		return INVALID_VALUE;
	current[depth++] = context;
	return OK;
}

EXPORT result cuCtxPopCurrent_v2(uintptr_t *context)
{
	if (!depth)
		return INVALID_CONTEXT;
	*context = current[--depth];
	return OK;
}

EXPORT result cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
	*least = 0;
	*greatest = -5;
	return OK;
}

EXPORT result cuThreadExchangeStreamCaptureMode(int *mode)
{
	int before = capture_mode;

	capture_mode = *mode;
	*mode = before;
	return OK;
}

EXPORT result cuPointerGetAttribute(void *data, int attribute, uint64_t ptr)
{
	pthread_mutex_lock(&fake_lock);
	if (!fake_is_live((void *)(uintptr_t)ptr, 1))
		return end(INVALID_VALUE);
	switch (attribute) {
	case 1:
		*(uintptr_t *)data = (uintptr_t)generation;
		return end(OK);
	case 2:
		*(unsigned *)data = 2;
		return end(OK);
	case 7: /* addresses are used once */
	case 11:
		*(uint64_t *)data = (uintptr_t)fake_block(ptr, NULL);
		return end(OK);
	case 12:
		fake_block(ptr, data);
		return end(OK);
	case 8:
	case 9:
		*(unsigned *)data = 0;
		return end(OK);
	default:
		return end(INVALID_VALUE);
	}
}

EXPORT result cuMemHostAlloc(void **out, size_t len, unsigned flags)
{
	result ret = begin("cuMemHostAlloc");

	(void)flags;
	if (ret)
		return end(ret);
	*out = fake_pin(len);
	return end(*out ? OK : OUT_OF_MEMORY);
}

EXPORT result cuMemFreeHost(void *at)
{
	pthread_mutex_lock(&fake_lock);
	fake_unpin(at);
	return end(OK);
}

EXPORT result cuStreamCreateWithPriority(struct stream **out, unsigned flags,
					 int priority)
{
	result ret = begin("cuStreamCreateWithPriority");
	unsigned i;

	(void)priority;
	/* One that waits for the program's default stream would hang. */
	if (!ret && flags != 1)
		ret = INVALID_VALUE;
	for (i = 0; !ret && i < STREAMS_MAX && streams[i].open; i++)
		;
	if (ret || i == STREAMS_MAX)
		return end(ret ? ret : OUT_OF_MEMORY);
	streams[i].open = true;
	*out = &streams[i];
	return end(OK);
}

EXPORT result cuStreamDestroy_v2(struct stream *stream)
{
	pthread_mutex_lock(&fake_lock);
	stream->open = false;
	return end(OK);
}

EXPORT result cuStreamQuery(struct stream *stream)
{
	result ret = begin("cuStreamQuery");

	if (ret)
		return end(ret);
	question_count++;
	if (stream->kernels)
		run_kernels(stream);
	else if (stream->head != stream->tail && ++stream->asked % latency == 0)
		carry_out(&stream->queue[stream->head++ % QUEUE_MAX]);
	return end(stream->head == stream->tail ? OK : NOT_READY);
}

EXPORT result cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t len,
				   struct stream *stream)
{
	struct op op = {.did = {FAKE_TO_DEVICE, (void *)(uintptr_t)to, len},
			.host = (uint8_t *)(uintptr_t)from};
	result ret = begin("cuMemcpyHtoDAsync_v2");

	if (!ret && !fake_is_pinned(from, len))
		ret = INVALID_VALUE;
	return end(ret ? ret : put(stream, &op));
}

EXPORT result cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t len,
				   struct stream *stream)
{
	struct op op = {.did = {FAKE_TO_HOST, (void *)(uintptr_t)from, len},
			.host = to};
	result ret = begin("cuMemcpyDtoHAsync_v2");

	if (!ret && !fake_is_pinned(to, len))
		ret = INVALID_VALUE;
	return end(ret ? ret : put(stream, &op));
}

EXPORT result cuModuleLoadData(void **module, const void *image)
{
	result ret = begin("cuModuleLoadData");

	if (!ret && strncmp(image, ".version", 8))
		ret = INVALID_VALUE;
	*module = &fake_lock;
	return end(ret);
}

EXPORT result cuModuleUnload(void *module)
{
	(void)module;
	return OK;
}

EXPORT result cuModuleGetFunction(void **function, void *module,
				  const char *name)
{
	(void)module;
	*function = strcmp(name, "belfry_move") ? &atomic_kernel : &move_kernel;
	return strncmp(name, "belfry_", 7) ? INVALID_VALUE : OK;
}

/* NOLINTNEXTLINE(readability-function-size): as the driver has it */
EXPORT result cuLaunchKernel(void *function, unsigned gx, unsigned gy,
			     unsigned gz, unsigned bx, unsigned by, unsigned bz,
			     unsigned shared, struct stream *stream,
			     void **parameters, void **extra)
{
	struct op op = {.did = {.kind = FAKE_KERNEL}};
	result ret = begin("cuLaunchKernel");

	(void)extra, (void)shared;
	if (!ret && (gx * gy * gz * by * bz != 1 || bx > 1024))
		ret = INVALID_VALUE;
	if (ret)
		return end(ret);
	op.slot = *(void **)parameters[0];
	if (function == &move_kernel) {
		op.moves = *(void **)parameters[1];
		op.move_count = *(uint32_t *)parameters[2];
		op.did.len = op.move_count;
		return end(put(stream, &op));
	}
	op.did.device = *(void **)parameters[1];
	op.did.len = op.bytes = *(uint32_t *)parameters[2];
	op.swap = *(uint32_t *)parameters[3];
	op.operand = *(uint64_t *)parameters[4];
	op.compare = *(uint64_t *)parameters[5];
	op.swap_mask = *(uint64_t *)parameters[6];
	op.compare_mask = *(uint64_t *)parameters[7];
	return end(put(stream, &op));
}

/* ------------------------------------------------ for programs that use it */

EXPORT result cuMemAlloc_v2(uint64_t *ptr, size_t len)
{
	*ptr = (uintptr_t)fake_alloc(len);
	return *ptr ? OK : OUT_OF_MEMORY;
}

EXPORT result cuMemFree_v2(uint64_t ptr)
{
	fake_release((void *)(uintptr_t)ptr);
	return OK;
}

/* No memory here is I/O memory. */
EXPORT result cuMemHostRegister_v2(void *at, size_t len, unsigned flags)
{
	(void)at, (void)len;
	return flags & 4 ? INVALID_VALUE : OK;
}

/* A descriptor of its own that cannot be mapped, as the driver's. */
EXPORT result cuMemGetHandleForAddressRange(void *handle, uint64_t ptr,
					    size_t len, int type,
					    unsigned long long flags)
{
	int ends[2];

	(void)flags;
	if (type != 1 || !fake_is_live((void *)(uintptr_t)ptr, len) ||
	    pipe2(ends, O_CLOEXEC))
		return INVALID_VALUE;
	*(int *)handle = ends[0];
	close(ends[1]);
	return OK;
}

EXPORT result cuGetProcAddress_v2(const char *name, void **call, int version,
				  uint64_t flags, int *status)
{
	void *library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
	char versioned[80];

	(void)version, (void)flags, (void)status;
	snprintf(versioned, sizeof(versioned), "%s_v2", name);
	*call = dlsym(library, versioned);
	if (!*call)
		*call = dlsym(library, name);
	dlclose(library);
	return *call ? OK : 500; /* CUDA_ERROR_NOT_FOUND */
}

/* ---------------------------------------------------------- for the tests */

static void set_latency(unsigned questions)
{
	latency = questions;
}

static void set_full(bool now)
{
	unsigned i;

	pthread_mutex_lock(&fake_lock);
	full = now;
	for (i = 0; i < STREAMS_MAX; i++)
		if (streams[i].kernels)
			run_kernels(&streams[i]);
	pthread_mutex_unlock(&fake_lock);
}

static void refuse(const char *call, int how, unsigned skip, unsigned count)
{
	pthread_mutex_lock(&fake_lock);
	strncpy(failure.call, call, sizeof(failure.call) - 1);
	failure.result = how;
	failure.skip = skip;
	failure.count = count;
	pthread_mutex_unlock(&fake_lock);
}

static void reset(void)
{
	unsigned i;

	pthread_mutex_lock(&fake_lock);
	generation++;
	for (i = 0; i < STREAMS_MAX; i++)
		streams[i].open = false, streams[i].head = streams[i].tail = 0;
	pthread_mutex_unlock(&fake_lock);
}

static void set_devices(int count)
{
	devices = count;
}

static void on_start(void (*hook)(void *slot))
{
	start_hook = hook;
}

static size_t read_ops(struct fake_cuda_op *out, size_t max)
{
	size_t i, count;

	pthread_mutex_lock(&fake_lock);
	count = op_count < OPS_MAX ? op_count : OPS_MAX;
	count = count < max ? count : max;
	for (i = 0; i < count; i++)
		out[i] = ops[(op_count - count + i) % OPS_MAX];
	pthread_mutex_unlock(&fake_lock);
	return count;
}

static void forget_ops(void)
{
	op_count = 0;
}

static uint64_t questions(void)
{
	return question_count;
}

static bool tidy(void)
{
	unsigned i;

	for (i = 0; i < STREAMS_MAX; i++)
		if (streams[i].head != streams[i].tail)
			return false;
	return !depth && !capture_mode;
}

EXPORT const struct fake_cuda *fake_cuda(void);

EXPORT const struct fake_cuda *fake_cuda(void)
{
	static const struct fake_cuda fake = {
		.alloc = fake_alloc,
		.release = fake_release,
		.view = fake_view,
		.device = fake_device,
		.set_latency = set_latency,
		.set_full = set_full,
		.refuse = refuse,
		.reset = reset,
		.set_devices = set_devices,
		.on_start = on_start,
		.ops = read_ops,
		.forget_ops = forget_ops,
		.questions = questions,
		.tidy = tidy,
	};

	return &fake;
}
