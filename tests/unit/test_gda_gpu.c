/* SPDX-License-Identifier: MIT */
/*
 * stack/host/region.c, and who uses it: heap and queues in GPU memory, with a
 * driver that has no GPU. The test plays the kernels, on the memory's view.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stack/host/internal.h"
#include "support/t_cuda.h"
#include "support/t_nic.h"
#include "support/t_pes.h"

enum { ALIGN = 65536, BIG = (3 << 20) + 5, NEVER = 1000 };

/* Who holds the context: what it gave out, and when it fails. */
static struct {
	int live;
	int allocs_left, copies_left;
	int dmabuf; /* the last descriptor, or what dmabuf_of returns */
} owner;

static void *alloc(void *arg, size_t bytes)
{
	(void)arg;
	if (owner.allocs_left-- == 0)
		return NULL;
	owner.live++;
	/* As cudaMalloc: at no special address. */
	return (uint8_t *)t_cuda()->alloc(bytes + 512) + 512;
}

static void release(void *arg, void *memory)
{
	(void)arg;
	owner.live--;
	t_cuda()->release((uint8_t *)memory - 512);
}

static void *seen(const void *memory)
{
	void *view = t_cuda()->view(memory);

	return view ? view : (void *)(uintptr_t)memory;
}

static int copy(void *arg, void *to, const void *from, size_t bytes)
{
	(void)arg;
	/* One side is the GPU's. */
	assert_true(t_cuda()->view(to) || t_cuda()->view(from));
	if (owner.copies_left-- == 0)
		return -EIO;
	memcpy(seen(to), seen(from), bytes);
	return 0;
}

static int dmabuf_of(void *arg, void *memory, size_t bytes)
{
	(void)arg;
	assert_int_equal((uintptr_t)memory % 4096, 0);
	assert_int_equal(bytes % 4096, 0);
	if (owner.dmabuf < 0)
		return owner.dmabuf;
	owner.dmabuf = memfd_create("dma-buf", 0);
	return owner.dmabuf;
}

static const struct gda_gpu_memory gpu = {
	.alloc = alloc,
	.free = release,
	.copy = copy,
	.dmabuf = dmabuf_of,
};

static void set_up(struct gda_config *config)
{
	t_cuda();
	owner.allocs_left = owner.copies_left = NEVER;
	owner.dmabuf = 0;
	t_config(config);
	config->backend = "emu";
	config->emu.progress = GDA_PROGRESS_HOOK;
	config->npes = 1;
	config->pe = 0;
	config->gpu = &gpu;
	config->queue_place = config->heap_place = GDA_PLACE_GPU;
}

static struct gda *start(const struct gda_config *config)
{
	struct gda *gda;

	if (gda_init(config, &gda))
		fail_msg("%s", gda_last_error());
	return gda;
}

static void stop(struct gda *gda)
{
	assert_int_equal(gda_finalize(gda), 0);
	/* The tables stay, for kernels that come too late. */
	assert_int_equal(owner.live, 1);
	owner.live = 0;
}

static void refuse(const struct gda_config *config, int rc, const char *words)
{
	struct gda *gda;

	assert_int_equal(gda_init(config, &gda), rc);
	if (!strstr(gda_last_error(), words))
		fail_msg("\"%s\" does not say \"%s\"", gda_last_error(), words);
	assert_int_equal(owner.live, 0);
}

/* The handle as a kernel has it, whose GPU memory is the view. */
static struct gda_dev kernels_handle(const struct gda *gda)
{
	struct gda_dev dev = *gda_device(gda);

	dev.peers = seen(dev.peers);
	dev.buffers = seen(dev.buffers);
	dev.qps = seen(dev.qps);
	dev.qps->sq = seen(dev.qps->sq);
	dev.qps->cq = seen(dev.qps->cq);
	dev.qps->record = seen(dev.qps->record);
	return dev;
}

/* What lies where, and that puts between heaps find their way. */
static void put(struct gda *gda)
{
	struct gda_dev dev = kernels_handle(gda);
	uint8_t *from = gda_calloc(gda, 1, 4000);
	uint8_t *to = gda_calloc(gda, 1, 4000);
	int i;

	for (i = 0; i < 4000; i++)
		((uint8_t *)seen(from))[i] = (uint8_t)(i * 7);
	for (i = 0; i < 100; i++)
		assert_int_equal(gda_dev_put_nbi(&dev, to + i * 40,
						 from + i * 40, 40, 0),
				 0);
	assert_int_equal(gda_dev_quiet(&dev), 0);
	assert_memory_equal(seen(from), seen(to), 4000);
	assert_int_equal(gda_dev_put(&dev, to - 4096, from, 1, 1),
			 GDA_DEV_EINVAL);
}

static unsigned count_pieces(const struct gda *gda)
{
	struct gda_piece piece;
	unsigned i;

	for (i = 0; !gda_memory(gda, i, &piece); i++)
		assert_null(t_cuda()->view(piece.addr));
	return i;
}

static void test_heap_and_queues_work_at_every_place(void **state)
{
	struct gda_config config;
	struct gda *gda;
	unsigned i, in_gpu;

	(void)state;
	for (i = 0; i < 8; i++) {
		set_up(&config);
		config.queue_place = (enum gda_placement)(i & 1);
		config.heap_place = (enum gda_placement)(i >> 1 & 1);
		config.cq_mode = (enum gda_cq_mode)(i >> 2);
		config.qp_depth = 16;
		config.emu.start_counter = 0xfffff0;
		in_gpu = (i & 1) + (i >> 1 & 1);
		gda = start(&config);
		assert_int_equal(!!t_cuda()->view(gda->arena.mem.addr), i & 1);
		assert_int_equal(!!t_cuda()->view(gda->heap.mem.addr),
				 i >> 1 & 1);
		assert_int_equal(gda->dev_qps->in_gpu, in_gpu == 2);
		/* One doorbell page, and what the host holds. */
		assert_int_equal(count_pieces(gda), 3 - in_gpu);
		put(gda);
		stop(gda);
	}
}

static void test_gpu_memory_begins_at_its_page(void **state)
{
	struct gda_config config;
	struct gda *gda;

	(void)state;
	set_up(&config);
	gda = start(&config);
	assert_int_equal((uintptr_t)gda->heap.mem.addr % ALIGN, 0);
	assert_int_equal((uintptr_t)gda->arena.mem.addr % ALIGN, 0);
	stop(gda);
}

static void test_calloc_zeroes_gpu_memory(void **state)
{
	struct gda_config config;
	struct gda *gda;
	uint8_t *memory;
	size_t i;

	(void)state;
	set_up(&config);
	config.heap_bytes = 8 << 20;
	gda = start(&config);
	memset(seen(gda->heap.mem.addr), 0xee, gda->heap.mem.len);
	memory = gda_calloc(gda, 1, BIG);
	for (i = 0; i < BIG; i++)
		assert_int_equal(((uint8_t *)seen(memory))[i], 0);
	assert_int_equal(((uint8_t *)seen(memory))[BIG], 0xee);
	/* The collective call still ends when the copy fails. */
	owner.copies_left = 0;
	assert_null(gda_calloc(gda, 1, 100));
	assert_non_null(strstr(gda_last_error(), "gda_calloc"));
	assert_int_equal(gda_free(gda, memory), 0);
	stop(gda);
}

static void test_what_fails_is_named_and_undone(void **state)
{
	struct gda_config config;
	struct gda *gda;
	int at, rc = -1;

	(void)state;
	for (at = 0; rc; at++) {
		set_up(&config);
		owner.allocs_left = at;
		rc = gda_init(&config, &gda);
		assert_true(rc == (at < 3 ? -ENOMEM : 0));
		if (rc)
			assert_non_null(strstr(gda_last_error(),
					       at == 0	 ? "heap: no "
					       : at == 1 ? "queue pairs: no "
							 : "device handle"));
		else
			stop(gda);
		assert_int_equal(owner.live, 0);
	}
	for (at = 0, rc = -1; rc; at++) {
		set_up(&config);
		owner.copies_left = at;
		rc = gda_init(&config, &gda);
		assert_true(rc == 0 || rc == -EIO);
		if (!rc)
			stop(gda);
		assert_int_equal(owner.live, 0);
	}
	assert_in_range(at, 3, 10); /* CQ, record, tables */
}

static void test_dma_bufs_are_asked_for_and_closed(void **state)
{
	struct gda_config config;
	struct gda *gda;
	int fd;

	(void)state;
	set_up(&config);
	config.gpu_dmabuf = true;
	gda = start(&config);
	fd = gda->arena.mem.fd;
	assert_int_equal(gda->heap.mem.kind, GDA_MEM_DMABUF);
	assert_int_equal(gda->arena.mem.kind, GDA_MEM_DMABUF);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	put(gda);
	stop(gda);
	assert_int_equal(fcntl(fd, F_GETFD), -1);

	owner.dmabuf = -ENOTSUP;
	refuse(&config, -ENOTSUP, "heap: no dma-buf");
}

static void test_what_no_one_can_allocate_is_refused(void **state)
{
	struct gda_gpu_memory without = gpu;
	struct gda_config config;

	(void)state;
	set_up(&config);
	config.gpu = NULL;
	refuse(&config, -EINVAL, "queue_place is gpu, and gpu is NULL");
	config.queue_place = GDA_PLACE_HOST;
	refuse(&config, -EINVAL, "heap_place is gpu, and gpu is NULL");
	set_up(&config);
	without.dmabuf = NULL;
	config.gpu = &without;
	config.gpu_dmabuf = true;
	refuse(&config, -EINVAL, "gpu->dmabuf is NULL");
}

/* Kernels fence less where all data lies in GPU memory. */
static void test_a_buffer_of_the_host_makes_fences_reach_further(void **state)
{
	struct gda_config config;
	struct gda_dev dev;
	struct gda *gda;
	uint8_t host[64] = {1, 2, 3}, *on_gpu, *to;

	(void)state;
	set_up(&config);
	gda = start(&config);
	dev = kernels_handle(gda);
	to = gda_calloc(gda, 1, 64);
	on_gpu = alloc(NULL, 64);
	memcpy(seen(on_gpu), "device", 7);
	assert_int_equal(gda_buffer_register_gpu(gda, on_gpu, 64), 0);
	assert_int_equal(dev.qps->in_gpu, 1);
	assert_int_equal(gda_dev_put(&dev, to, on_gpu, 7, 0), 0);
	assert_string_equal(seen(to), "device");
	assert_int_equal(gda_buffer_register(gda, host, 64), 0);
	assert_int_equal(dev.qps->in_gpu, 0);
	assert_int_equal(gda_dev_put(&dev, to, host, 64, 0), 0);
	assert_memory_equal(seen(to), host, 64);
	assert_int_equal(gda_buffer_unregister(gda, host), 0);
	/* The other one ends with its PE. */
	assert_int_equal(gda_finalize(gda), 0);
	release(NULL, on_gpu);
	assert_int_equal(owner.live, 1);
	owner.live = 0;
}

static void test_gpu_buffers_need_who_knows_the_gpu(void **state)
{
	struct gda_config config;
	struct gda *gda;
	uint8_t bytes[8];

	(void)state;
	set_up(&config);
	config.gpu = NULL;
	config.queue_place = config.heap_place = GDA_PLACE_HOST;
	gda = start(&config);
	assert_int_equal(gda_buffer_register_gpu(gda, bytes, 8), -EINVAL);
	assert_non_null(strstr(gda_last_error(), "config.gpu is NULL"));
	assert_int_equal(gda_finalize(gda), 0);
}

static void test_a_handle_outlives_its_context(void **state)
{
	struct gda_config config;
	struct gda_dev dev;
	struct gda *gda;
	uint64_t value, *word;

	(void)state;
	set_up(&config);
	gda = start(&config);
	word = gda_calloc(gda, 1, 8);
	dev = *gda_device(gda);
	stop(gda);
	dev.peers = seen(dev.peers);
	dev.qps = seen(dev.qps);
	dev.buffers = seen(dev.buffers);
	/* None of them touches rings or heap: those are gone. */
	assert_int_equal(gda_dev_put(&dev, word, word, 8, 0),
			 GDA_DEV_ESHUTDOWN);
	assert_int_equal(gda_dev_p_u64(&dev, word, 1, 0), GDA_DEV_ESHUTDOWN);
	assert_int_equal(gda_dev_g_u64(&dev, word, &value, 0),
			 GDA_DEV_ESHUTDOWN);
	assert_int_equal(gda_dev_atomic_fetch_add_u64(&dev, word, 1, 0, &value),
			 GDA_DEV_ESHUTDOWN);
	assert_int_equal(gda_dev_wait_until_u64(&dev, word, GDA_DEV_EQ, 1),
			 GDA_DEV_ESHUTDOWN);
	assert_int_equal(
		gda_dev_signal_wait_until(&dev, word, GDA_DEV_EQ, 1, &value),
		GDA_DEV_ESHUTDOWN);
	assert_int_equal(gda_dev_quiet(&dev), GDA_DEV_ESHUTDOWN);
	assert_int_equal(gda_dev_barrier(&dev), GDA_DEV_ESHUTDOWN);
	assert_int_equal(gda_dev_flush(&dev), 0);
	assert_int_equal(gda_dev_check(&dev), GDA_DEV_ESHUTDOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_and_queues_work_at_every_place),
		cmocka_unit_test(test_gpu_memory_begins_at_its_page),
		cmocka_unit_test(test_calloc_zeroes_gpu_memory),
		cmocka_unit_test(test_what_fails_is_named_and_undone),
		cmocka_unit_test(test_dma_bufs_are_asked_for_and_closed),
		cmocka_unit_test(test_what_no_one_can_allocate_is_refused),
		cmocka_unit_test(
			test_a_buffer_of_the_host_makes_fences_reach_further),
		cmocka_unit_test(test_gpu_buffers_need_who_knows_the_gpu),
		cmocka_unit_test(test_a_handle_outlives_its_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
