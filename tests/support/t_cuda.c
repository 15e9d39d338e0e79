/* SPDX-License-Identifier: MIT */
/*
 * Device memory for tests without a GPU; see t_cuda.h.
 */
#include "support/t_cuda.h"

#include <dlfcn.h>

#include "emu/dma.h"
#include "support/t_nic.h"

const struct fake_cuda *t_cuda(void)
{
	static const struct fake_cuda *fake;
	fake_cuda_get *get;
	void *library;

	if (fake)
		return fake;
	/* By its soname, this is what the NIC opens from now on. */
	library = dlopen(FAKE_CUDA, RTLD_NOW | RTLD_GLOBAL);
	assert_non_null(library);
	*(void **)&get = dlsym(library, "fake_cuda");
	assert_non_null(get);
	fake = get();
	return fake;
}

struct t_device t_device(size_t len)
{
	struct t_device d = {.plain = t_cuda()->alloc(len)};
	struct nic_mem mem = {
		.addr = d.plain, .len = len, .kind = NIC_MEM_CUDA};
	const char *why;
	void *address;

	assert_non_null(d.plain);
	assert_int_equal(dma_attach(&mem, &address, &why), 0);
	d.view = t_cuda()->view(d.plain);
	d.dma = address;
	return d;
}

static void *alloc_view(size_t len)
{
	void *device = t_cuda()->alloc(len);

	assert_non_null(device);
	return t_cuda()->view(device);
}

static bool free_view(void *memory)
{
	void *device = t_cuda()->device(memory);

	if (device)
		t_cuda()->release(device);
	return device;
}

static void *device_of(void *memory)
{
	return t_cuda()->device(memory);
}

void t_cuda_alloc(bool device)
{
	static const struct t_memory views = {alloc_view, free_view, device_of};

	t_cuda();
	t_memory(&views, device);
}
