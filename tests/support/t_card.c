/* SPDX-License-Identifier: MIT */
/*
 * A real GPU for tests; see t_card.h.
 */
#include "support/t_card.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/t_nic.h"

enum { SHADOWS = 64, SMS = 16, THREADS_PER_SM = 39 };

#define CALLS(X)                                                               \
	X(ctx_set, cuCtxSetCurrent, (cuda_context))                            \
	X(ctx_synchronize, cuCtxSynchronize, (void))                           \
	X(device_name, cuDeviceGetName, (char *, int, cuda_device))            \
	X(device_attribute, cuDeviceGetAttribute, (int *, int, cuda_device))   \
	X(mem_alloc, cuMemAlloc_v2, (cuda_ptr *, size_t))                      \
	X(mem_free, cuMemFree_v2, (cuda_ptr))                                  \
	X(begin_capture, cuStreamBeginCapture_v2, (cuda_stream, int))          \
	X(end_capture, cuStreamEndCapture, (cuda_stream, void **))

static struct {
#define X(member, symbol, parameters) cuda_result(*member) parameters;
	CALLS(X)
#undef X
} more;

static const struct {
	const char *symbol;
	size_t offset;
} calls[] = {
#define X(member, symbol, parameters)                                          \
	{#symbol, offsetof(__typeof__(more), member)},
	CALLS(X)
#undef X
};

static const struct cuda_api *api;
static char name[128];
static int sms, threads_per_sm;
static cuda_stream kernels, copies, captured;
static cuda_module module;
static struct shadow {
	uint8_t *host;
	cuda_ptr device;
	size_t len;
} shadows[SHADOWS];

static const char ptx[] =
	".version 6.4\n.target sm_70\n.address_size 64\n"
	".visible .entry spin(.param .u64 stop)\n"
	"{\n  .reg .pred %p;\n  .reg .b64 %a, %v;\n"
	"  ld.param.u64 %a, [stop];\n"
	"AGAIN:\n  ld.relaxed.sys.u64 %v, [%a];\n"
	"  setp.eq.u64 %p, %v, 0;\n  @%p bra AGAIN;\n  ret;\n}\n"
	".visible .entry add(.param .u64 word, .param .u64 count,\n"
	"  .param .u64 stop)\n"
	"{\n  .reg .pred %p;\n  .reg .b64 %w, %n, %s, %v;\n"
	"  ld.param.u64 %w, [word];\n  ld.param.u64 %n, [count];\n"
	"  ld.param.u64 %s, [stop];\n"
	"MORE:\n  atom.relaxed.sys.add.u64 %v, [%w], 1;\n"
	"  sub.u64 %n, %n, 1;\n  setp.ne.u64 %p, %n, 0;\n  @%p bra MORE;\n"
	"AGAIN:\n  ld.relaxed.sys.u64 %v, [%s];\n"
	"  setp.eq.u64 %p, %v, 0;\n  @%p bra AGAIN;\n  ret;\n}\n"
	".visible .entry watch(.param .u64 cqe, .param .u64 out,\n"
	"  .param .u64 count)\n"
	"{\n  .reg .pred %p;\n"
	"  .reg .b64 %c, %o, %n, %last, %seen, %first, %middle;\n"
	"  .reg .b64 %changes, %broken;\n"
	"  ld.param.u64 %c, [cqe];\n  ld.param.u64 %o, [out];\n"
	"  ld.param.u64 %n, [count];\n"
	"  mov.u64 %seen, 0;\n  mov.u64 %changes, 0;\n  mov.u64 %broken, 0;\n"
	"AGAIN:\n  ld.acquire.sys.u64 %last, [%c+56];\n"
	"  setp.eq.u64 %p, %last, %seen;\n  @%p bra AGAIN;\n"
	"  ld.relaxed.sys.u64 %first, [%c];\n"
	"  ld.relaxed.sys.u64 %middle, [%c+48];\n"
	"  mov.u64 %seen, %last;\n  add.u64 %changes, %changes, 1;\n"
	"  setp.lt.u64 %p, %first, %last;\n  @%p add.u64 %broken, %broken, 1;\n"
	"  setp.lt.u64 %p, %middle, %last;\n"
	"  @%p add.u64 %broken, %broken, 1;\n"
	"  setp.lt.u64 %p, %last, %n;\n  @%p bra AGAIN;\n"
	"  st.relaxed.sys.u64 [%o], %changes;\n"
	"  st.relaxed.sys.u64 [%o+8], %broken;\n  ret;\n}\n";

#define OK(call) assert_int_equal(call, CUDA_OK)

/* ------------------------------------------------------------------ open */

static void look_up(void)
{
	void *library = dlopen("libcuda.so.1", RTLD_NOW), *call;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		call = dlsym(library, calls[i].symbol);
		assert_non_null(call);
		*(void **)((char *)&more + calls[i].offset) = call;
	}
}

bool t_card_open(void)
{
	cuda_context context;
	cuda_device device;
	const char *why;

	api = cuda_api(&why);
	if (!api) {
		printf("skipped: %s\n", why);
		return false;
	}
	look_up();
	OK(api->device_get(&device, 0));
	OK(api->primary_retain(&context, device));
	OK(more.ctx_set(context));
	OK(more.device_name(name, sizeof(name), device));
	OK(more.device_attribute(&sms, SMS, device));
	OK(more.device_attribute(&threads_per_sm, THREADS_PER_SM, device));
	OK(api->stream_create(&kernels, CUDA_STREAM_APART, 0));
	OK(api->stream_create(&copies, CUDA_STREAM_APART, 0));
	OK(api->stream_create(&captured, CUDA_STREAM_APART, 0));
	OK(api->module_load(&module, ptx));
	return true;
}

const char *t_card_name(void)
{
	return name;
}

/* ---------------------------------------------------------------- memory */

static void wait_for(cuda_stream stream)
{
	cuda_result result;

	while ((result = api->stream_query(stream)) == CUDA_NOT_READY)
		;
	OK(result);
}

uint64_t t_card_malloc(size_t len)
{
	cuda_ptr ptr;

	OK(more.mem_alloc(&ptr, len));
	return ptr;
}

void t_card_free(uint64_t ptr)
{
	OK(more.mem_free(ptr));
}

void *t_card_pinned(size_t len)
{
	void *memory;

	OK(api->host_alloc(&memory, len,
			   CUDA_HOST_PORTABLE | CUDA_HOST_DEVICEMAP));
	memset(memory, 0, len);
	return memory;
}

static void to_device(cuda_ptr ptr, const void *from, size_t len)
{
	OK(api->to_device(ptr, from, len, copies));
	wait_for(copies);
}

static void to_host(void *to, cuda_ptr ptr, size_t len)
{
	OK(api->to_host(to, ptr, len, copies));
	wait_for(copies);
}

/* Through pinned memory: other copies may wait for a kernel that spins. */
static uint64_t *bounce(void)
{
	static uint64_t *word;

	if (!word)
		word = t_card_pinned(sizeof(*word));
	return word;
}

uint64_t t_card_word(uint64_t ptr)
{
	to_host(bounce(), ptr, sizeof(uint64_t));
	return *bounce();
}

void t_card_set_word(uint64_t ptr, uint64_t value)
{
	*bounce() = value;
	to_device(ptr, bounce(), sizeof(uint64_t));
}

static struct shadow *find(const void *host)
{
	for (int i = 0; i < SHADOWS; i++)
		if (shadows[i].len &&
		    (const uint8_t *)host >= shadows[i].host &&
		    (const uint8_t *)host < shadows[i].host + shadows[i].len)
			return &shadows[i];
	return NULL;
}

static void *alloc_shadow(size_t len)
{
	struct shadow *s = shadows;

	while (s < shadows + SHADOWS && s->len)
		s++;
	assert_true(s < shadows + SHADOWS);
	len = (len + 4095) / 4096 * 4096;
	s->host = t_card_pinned(len);
	/* A page may begin anywhere in what the driver gives. */
	s->device = (t_card_malloc(len + 4096) + 4095) & ~4095ull;
	s->len = len;
	t_card_push(s->host);
	return s->host;
}

static bool free_shadow(void *host)
{
	struct shadow *s = find(host);

	if (!s)
		return false;
	api->host_free(s->host); /* the device's goes with the process */
	s->len = 0;
	return true;
}

static void *device_of(void *host)
{
	return find(host) ? (void *)(uintptr_t)t_card_address(host) : NULL;
}

void t_card_alloc(bool device)
{
	static const struct t_memory memory = {alloc_shadow, free_shadow,
					       device_of};

	t_memory(&memory, device);
}

uint64_t t_card_address(const void *host)
{
	struct shadow *s = find(host);

	return s->device + (uint64_t)((const uint8_t *)host - s->host);
}

void t_card_push(const void *host)
{
	struct shadow *s = find(host);

	to_device(s->device, s->host, s->len);
}

void t_card_pull(void *host)
{
	struct shadow *s = find(host);

	to_host(s->host, s->device, s->len);
}

/* --------------------------------------------------------------- kernels */

void t_card_launch(const char *kernel, unsigned blocks, unsigned threads,
		   void **parameters)
{
	cuda_function function;

	OK(api->module_function(&function, module, kernel));
	OK(api->launch(function, blocks, 1, 1, threads, 1, 1, 0, kernels,
		       parameters, NULL));
}

bool t_card_wait(unsigned milliseconds)
{
	cuda_result result;

	for (; milliseconds; milliseconds--) {
		result = api->stream_query(kernels);
		if (result == CUDA_OK)
			return true;
		assert_int_equal(result, CUDA_NOT_READY);
		usleep(1000);
	}
	return false;
}

unsigned t_card_blocks(unsigned threads)
{
	return (unsigned)(sms * (threads_per_sm / (int)threads));
}

void t_card_synchronize(void)
{
	OK(more.ctx_synchronize());
}

void t_card_begin_capture(void)
{
	OK(more.begin_capture(captured, 0)); /* global */
}

cuda_result t_card_end_capture(void)
{
	void *graph;

	return more.end_capture(captured, &graph);
}
