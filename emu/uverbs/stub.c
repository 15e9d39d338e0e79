/* SPDX-License-Identifier: MIT */
/*
 * Contexts and channels before there are any: a device file can be found and
 * cannot be opened.
 */
#include <errno.h>
#include "emu/uverbs/uverbs.h"

int uv_context_open(unsigned index, int flags)
{
	(void)index, (void)flags;
	errno = ENODEV;
	return -1;
}

void uv_context_release(struct uv_context *context)
{
	(void)context;
}

int uv_context_ioctl(struct uv_context *context, unsigned long request,
		     void *arg)
{
	(void)context, (void)request, (void)arg;
	errno = ENOTTY;
	return -1;
}

void uv_context_mapped(struct uv_context *context, void *addr, size_t len,
		       uint64_t offset)
{
	(void)context, (void)addr, (void)len, (void)offset;
}

void uv_context_unmapped(void *addr, size_t len)
{
	(void)addr, (void)len;
}

void uv_context_after_fork(void)
{
}

unsigned uv_context_device(const struct uv_context *context)
{
	(void)context;
	return 0;
}

void uv_channel_release(struct uv_channel *channel)
{
	(void)channel;
}
