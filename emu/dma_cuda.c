/* SPDX-License-Identifier: MIT */
/*
 * Client memory on a GPU: found out whose it is, and copied by the copy
 * engines.
 *
 * Each CUDA context gets a stream of ours, beside those of the program (it
 * waits for none of them), and a pinned buffer. Every copy is one between the
 * buffer and the device: those run on copy engines, also while a kernel that
 * waits for this very NIC has every multiprocessor. A copy from device to
 * device is two of them; CUDA's own would be a kernel, and would wait for ever.
 * Small ones wait for each other and go together (dma_gpu_move.c).
 *
 * What goes to the device is posted. The stream keeps the order, so a flag
 * that is posted behind its payload arrives behind it; whoever tells somebody
 * else about it, by other means than this stream, settles first (dma.h).
 *
 * Source: CUDA driver API, "Stream Management", "Unified Addressing".
 * Thread: any; one lock for each GPU.
 */
#include "emu/dma_cuda.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "emu/dma_gpu.h"

/* As many as a tagged address can name; none is used twice. */
enum { GPUS_MAX = DMA_DEVICES_MAX };

/* Behind a program's own copies; beyond it, nothing will ever come. */
#define PATIENCE_NS (20ull * 1000 * 1000 * 1000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over the table */
static struct gpu gpus[GPUS_MAX];
unsigned dma_cuda_gpus;

/* Acquire: a GPU that is counted is open. */
static unsigned gpu_count(void)
{
	return __atomic_load_n(&dma_cuda_gpus, __ATOMIC_ACQUIRE);
}

/* Relaxed: what this thread posted itself it sees, and only that must be there
 * before it goes on. */
static bool unsettled(const struct gpu *gpu)
{
	return __atomic_load_n(&gpu->unsettled, __ATOMIC_RELAXED);
}

static void set_unsettled(struct gpu *gpu, bool value)
{
	__atomic_store_n(&gpu->unsettled, value, __ATOMIC_RELAXED);
}

/* One that was never opened has failed. */
static struct gpu *gpu_of(const void *address)
{
	static struct gpu none = {.lock = PTHREAD_MUTEX_INITIALIZER,
				  .failed = true};
	unsigned number = dma_device(address);

	return number < gpu_count() ? &gpus[number] : &none;
}

static cuda_ptr plain(const void *address)
{
	return (uintptr_t)address & DMA_ADDRESS_MASK;
}

/* ------------------------------------------------------------- one visit */

bool gpu_enter(struct gpu *gpu, struct gpu_visit *visit)
{
	if (gpu->failed || !gpu_ok(gpu, gpu->api->push(gpu->context)))
		return false;
	visit->capture_mode = CUDA_CAPTURE_RELAXED;
	gpu->api->capture_mode(&visit->capture_mode);
	return true;
}

void gpu_leave(struct gpu *gpu, const struct gpu_visit *visit)
{
	int mode = visit->capture_mode;
	cuda_context context;

	gpu->api->capture_mode(&mode);
	gpu->api->pop(&context);
}

bool gpu_ok(struct gpu *gpu, cuda_result result)
{
	if (result == CUDA_OK)
		return true;
	/* A range that is not device memory (any more); a call that may work
	 * the next time. */
	if (result != CUDA_INVALID_VALUE && result != CUDA_OUT_OF_MEMORY)
		gpu->failed = true;
	return false;
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool gpu_settle_copies(struct gpu *gpu)
{
	uint64_t until_ns = 0;
	cuda_result result;

	while ((result = gpu->api->stream_query(gpu->copies)) ==
	       CUDA_NOT_READY) {
		if (!until_ns)
			until_ns = clock_ns() + PATIENCE_NS;
		if (clock_ns() > until_ns)
			break;
	}
	gpu->bounce_used = 0;
	if (!gpu->move_count)
		set_unsettled(gpu, false);
	return gpu_ok(gpu, result);
}

bool gpu_settle(struct gpu *gpu)
{
	bool ok = gpu_moves_carry_out(gpu);

	return gpu_settle_copies(gpu) && ok;
}

/* ----------------------------------------------------------------- copies */

uint8_t *gpu_bounce(struct gpu *gpu, size_t bytes)
{
	uint8_t *room;

	bytes = gpu_bounce_bytes(bytes);
	if (bytes > GPU_BOUNCE - gpu->bounce_used && !gpu_settle_copies(gpu))
		return NULL;
	room = gpu->bounce + gpu->bounce_used;
	gpu->bounce_used += bytes;
	return room;
}

bool gpu_post(struct gpu *gpu, cuda_ptr dst, const uint8_t *room, size_t len)
{
	set_unsettled(gpu, true);
	return gpu_ok(gpu, gpu->api->to_device(dst, room, len, gpu->copies));
}

bool gpu_fetch(struct gpu *gpu, uint8_t *room, cuda_ptr src, size_t len)
{
	return gpu_ok(gpu, gpu->api->to_host(room, src, len, gpu->copies));
}

/* At most a chunk. Returns 0, -EFAULT for dst, -EIO for src. */
static int write_chunk(struct gpu *gpu, cuda_ptr dst, const uint8_t *src,
		       size_t len)
{
	uint8_t *room = gpu_bounce(gpu, len);

	if (!room)
		return -EFAULT;
	if (dma_copy(room, src, len))
		return -EIO;
	return gpu_post(gpu, dst, room, len) ? 0 : -EFAULT;
}

/* Likewise; the bytes are in dst when this returns. */
static int read_chunk(struct gpu *gpu, uint8_t *dst, cuda_ptr src, size_t len)
{
	uint8_t *room = gpu_bounce(gpu, len);

	if (!room || !gpu_fetch(gpu, room, src, len) || !gpu_settle_copies(gpu))
		return -EIO;
	return dma_copy(dst, room, len);
}

static int move_chunk(struct gpu *gpu, cuda_ptr dst, cuda_ptr src, size_t len)
{
	uint8_t *room = gpu_bounce(gpu, len);

	if (!room || !gpu_fetch(gpu, room, src, len))
		return -EIO;
	return gpu_post(gpu, dst, room, len) ? 0 : -EFAULT;
}

bool gpu_write(struct gpu *gpu, cuda_ptr dst, const void *src, size_t len)
{
	return gpu_moves_carry_out(gpu) && !write_chunk(gpu, dst, src, len);
}

bool gpu_read(struct gpu *gpu, void *dst, cuda_ptr src, size_t len)
{
	return gpu_moves_carry_out(gpu) && !read_chunk(gpu, dst, src, len);
}

static int copy_chunk(struct gpu *gpu, void *dst, const void *src, size_t len)
{
	if (!dma_is_device(dst))
		return read_chunk(gpu, dst, plain(src), len);
	if (!dma_is_device(src))
		return write_chunk(gpu, plain(dst), src, len);
	return move_chunk(gpu, plain(dst), plain(src), len);
}

/* Can it wait and go with others? Not onto itself: the kernel has no order
 * among the words of one move. */
static bool can_wait(const struct gpu *gpu, const void *dst, const void *src,
		     size_t len)
{
	uintptr_t to = (uintptr_t)dst, from = (uintptr_t)src;

	return dma_is_device(dst) && dma_is_device(src) && len <= GPU_MOVE &&
	       gpu->module && (to >= from + len || from >= to + len);
}

/* Everything but a small move, behind those that wait. */
static int copy_now(struct gpu *gpu, void *dst, const void *src, size_t len)
{
	size_t done, piece;
	int ret = 0;

	if (!gpu_moves_carry_out(gpu))
		return dma_is_device(dst) ? -EFAULT : -EIO;
	for (done = 0; done < len && !ret; done += piece) {
		piece = len - done < GPU_CHUNK ? len - done : GPU_CHUNK;
		ret = copy_chunk(gpu, (uint8_t *)dst + done,
				 (const uint8_t *)src + done, piece);
	}
	return ret;
}

static int copy(struct gpu *gpu, void *dst, const void *src, size_t len)
{
	struct gpu_visit visit;
	int ret = dma_is_device(dst) ? -EFAULT : -EIO;

	pthread_mutex_lock(&gpu->lock);
	if (gpu_enter(gpu, &visit)) {
		if (can_wait(gpu, dst, src, len)) {
			set_unsettled(gpu, true);
			ret = gpu_move(gpu, plain(dst), plain(src), len);
		} else {
			ret = copy_now(gpu, dst, src, len);
		}
		gpu_leave(gpu, &visit);
	}
	pthread_mutex_unlock(&gpu->lock);
	return ret;
}

/* Between two GPUs, through memory of ours: rare, and not made fast. */
static int copy_across(void *dst, const void *src, size_t len)
{
	uint8_t middle[4096];
	size_t done, piece;
	int ret = 0;

	for (done = 0; done < len && !ret; done += piece) {
		piece = len - done < sizeof(middle) ? len - done
						    : sizeof(middle);
		ret = copy(gpu_of(src), middle, (const uint8_t *)src + done,
			   piece);
		if (!ret)
			ret = copy(gpu_of(dst), (uint8_t *)dst + done, middle,
				   piece);
	}
	return ret;
}

/*
 * Order between GPUs is by settling: what is posted to one is there before
 * anything is posted to another.
 */
static int settle_others(const struct gpu *gpu)
{
	struct gpu *other;
	struct gpu_visit visit;
	bool ok = true;

	for (other = gpus; other < gpus + gpu_count(); other++) {
		if (other == gpu || !unsettled(other))
			continue;
		pthread_mutex_lock(&other->lock);
		if (unsettled(other) && gpu_enter(other, &visit)) {
			ok &= gpu_settle(other);
			gpu_leave(other, &visit);
		}
		ok &= !other->failed;
		set_unsettled(other, false);
		pthread_mutex_unlock(&other->lock);
	}
	return ok ? 0 : -EIO;
}

int dma_cuda_copy(void *dst, const void *src, size_t len)
{
	struct gpu *gpu;

	if (dma_is_device(dst)) {
		gpu = gpu_of(dst);
		settle_others(gpu);
		if (dma_is_device(src) && gpu_of(src) != gpu)
			return copy_across(dst, src, len);
	} else {
		gpu = gpu_of(src);
	}
	return copy(gpu, dst, src, len);
}

int dma_cuda_write_cqe(void *dst, const void *cqe)
{
	/* Two copies on one stream: who sees the last 8 bytes sees all. */
	int ret = dma_cuda_copy(dst, cqe, 56);

	return ret ? ret
		   : dma_cuda_copy((uint8_t *)dst + 56,
				   (const uint8_t *)cqe + 56, 8);
}

int dma_cuda_atomic(void *addr, unsigned bytes, const struct dma_atomic *op,
		    uint64_t *original)
{
	struct gpu_atomic atomic = {
		.addr = plain(addr), .bytes = bytes, .op = op};
	struct gpu *gpu = gpu_of(addr);
	struct gpu_visit visit;
	int ret = -EFAULT;

	settle_others(gpu);
	pthread_mutex_lock(&gpu->lock);
	if (gpu_enter(gpu, &visit)) {
		ret = gpu_atomic(gpu, &atomic);
		gpu_leave(gpu, &visit);
	}
	pthread_mutex_unlock(&gpu->lock);
	*original = atomic.original;
	return ret;
}

int dma_cuda_settle(void)
{
	return settle_others(NULL);
}

/* --------------------------------------------------------- attach memory */

static bool open_streams(struct gpu *gpu)
{
	const struct cuda_api *api = gpu->api;
	int least, greatest;

	/* The first to be served among those that wait. */
	return api->priorities(&least, &greatest) == CUDA_OK &&
	       api->stream_create(&gpu->copies, CUDA_STREAM_APART, greatest) ==
		       CUDA_OK &&
	       api->stream_create(&gpu->kernel_stream, CUDA_STREAM_APART,
				  greatest) == CUDA_OK &&
	       api->host_alloc((void **)&gpu->bounce, GPU_BOUNCE,
			       CUDA_HOST_PORTABLE) == CUDA_OK;
}

static void close_gpu(struct gpu *gpu)
{
	const struct cuda_api *api = gpu->api;

	gpu_kernels_close(gpu);
	if (gpu->bounce)
		api->host_free(gpu->bounce);
	if (gpu->kernel_stream)
		api->stream_destroy(gpu->kernel_stream);
	if (gpu->copies)
		api->stream_destroy(gpu->copies);
	memset(gpu, 0, sizeof(*gpu));
}

/* Everything that can be slow or wait is done here and not in the data path. */
static int open_gpu(struct gpu *gpu, const struct cuda_api *api,
		    cuda_context context)
{
	struct gpu_visit visit;
	bool ok;

	gpu->api = api;
	gpu->context = context;
	if (!gpu_enter(gpu, &visit)) {
		memset(gpu, 0, sizeof(*gpu));
		return -EIO;
	}
	ok = open_streams(gpu);
	if (ok)
		gpu_kernels_open(gpu);
	else
		close_gpu(gpu);
	gpu->api = api; /* to leave by */
	gpu_leave(gpu, &visit);
	if (ok)
		pthread_mutex_init(&gpu->lock, NULL);
	return ok ? 0 : -ENOMEM;
}

/* Is the context what it was? A program may have reset the device. */
static bool alive(struct gpu *gpu)
{
	struct gpu_visit visit;
	cuda_result result;

	pthread_mutex_lock(&gpu->lock);
	if (gpu_enter(gpu, &visit)) {
		result = gpu->api->stream_query(gpu->copies);
		if (result != CUDA_OK && result != CUDA_NOT_READY)
			gpu->failed = true;
		gpu_leave(gpu, &visit);
	}
	pthread_mutex_unlock(&gpu->lock);
	return !gpu->failed;
}

static int gpu_number(const struct cuda_api *api, cuda_context context,
		      const char **why)
{
	unsigned i, count = dma_cuda_gpus;
	int ret;

	for (i = 0; i < count; i++)
		if (gpus[i].context == context && alive(&gpus[i]))
			return (int)i;
	*why = "too many CUDA contexts came and went";
	if (count == GPUS_MAX)
		return -ENOSPC;
	ret = open_gpu(&gpus[count], api, context);
	*why = ret == -EIO ? "the CUDA context is not usable"
			   : "no CUDA stream or pinned memory to be had";
	if (ret)
		return ret;
	/* Release: pairs with gpu_count(). */
	__atomic_store_n(&dma_cuda_gpus, count + 1, __ATOMIC_RELEASE);
	return (int)count;
}

/* The context that the memory is of; VMM and pool memory name a device only. */
static bool context_of(const struct cuda_api *api, cuda_ptr ptr,
		       cuda_context *context)
{
	int ordinal = -1;
	cuda_device device;

	*context = NULL;
	api->pointer_attribute(context, CUDA_ATTR_CONTEXT, ptr);
	if (*context)
		return true;
	/* Retained for good: it is the program's own, as cudart uses it. */
	return api->pointer_attribute(&ordinal, CUDA_ATTR_DEVICE_ORDINAL,
				      ptr) == CUDA_OK &&
	       api->device_get(&device, ordinal) == CUDA_OK &&
	       api->primary_retain(context, device) == CUDA_OK;
}

bool gpu_knows(const struct cuda_api *api, cuda_ptr ptr)
{
	unsigned type = 0, managed = 0;

	api->pointer_attribute(&type, CUDA_ATTR_MEMORY_TYPE, ptr);
	if (type != CUDA_MEMORY_DEVICE)
		return false;
	api->pointer_attribute(&managed, CUDA_ATTR_IS_MANAGED, ptr);
	return !managed;
}

/*
 * Does device memory that begins at first last until there? A GPU's memory is
 * shown to devices in pages of 64 KiB, so who registers it may count in pages
 * and go beyond the end of what was allocated, as NVSHMEM does.
 */
static bool lasts_until(const struct cuda_api *api, cuda_ptr first,
			cuda_ptr last)
{
	cuda_ptr start = 0;
	size_t len = 0;

	if (gpu_knows(api, last))
		return true;
	return api->pointer_attribute(&start, CUDA_ATTR_RANGE_START, first) ==
		       CUDA_OK &&
	       api->pointer_attribute(&len, CUDA_ATTR_RANGE_SIZE, first) ==
		       CUDA_OK &&
	       last < ((start + len + GPU_PAGE - 1) &
		       ~(cuda_ptr)(GPU_PAGE - 1));
}

bool dma_is_cuda(const void *addr)
{
	const struct cuda_api *api = cuda_api_if_loaded();

	return api && gpu_knows(api, (uintptr_t)addr);
}

int dma_cuda_attach(const struct nic_mem *mem, void **address, const char **why)
{
	cuda_ptr first = (uintptr_t)mem->addr, last = first + (mem->len - 1);
	const struct cuda_api *api = cuda_api(why);
	cuda_context context;
	int number;

	if (!api)
		return -ENOTSUP;
	*why = "it is not device memory that the CUDA driver knows";
	if (!gpu_knows(api, first) || !lasts_until(api, first, last) ||
	    last > DMA_ADDRESS_MASK || !context_of(api, first, &context))
		return -EINVAL;
	pthread_mutex_lock(&lock);
	number = gpu_number(api, context, why);
	pthread_mutex_unlock(&lock);
	if (number < 0)
		return number;
	*address = (void *)(uintptr_t)(first | DMA_TAG_DEVICE |
				       (uint64_t)number << DMA_TAG_SHIFT);
	return 0;
}
