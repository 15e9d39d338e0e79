/* SPDX-License-Identifier: MIT */
/*
 * One open device file: from open() to its last close().
 *
 * The descriptor is that of a memory file whose offsets are what the library
 * passes to mmap() for doorbell pages, so that the program's mapping and ours
 * show the same memory without help.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_main.c, and the
 * offsets of drivers/infiniband/hw/mlx5/main.c (get_index, uar_mmap).
 * Not modelled: passing the descriptor to another process.
 * Thread: any.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/uverbs/call.h"
#include "emu/uverbs/mapping.h"

/* Room for every offset that uar.c gives out. */
#define FILE_BYTES (0x100000ull << 12)

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct uv_context *contexts;

static void link_context(struct uv_context *context)
{
	pthread_mutex_lock(&list_lock);
	context->next = contexts;
	contexts = context;
	pthread_mutex_unlock(&list_lock);
}

static void unlink_context(struct uv_context *context)
{
	struct uv_context **link = &contexts;

	pthread_mutex_lock(&list_lock);
	while (*link && *link != context)
		link = &(*link)->next;
	if (*link)
		*link = context->next;
	pthread_mutex_unlock(&list_lock);
}

bool uv_contexts_any(bool (*is)(struct uv_context *context, void *arg),
		     void *arg)
{
	struct uv_context *context;
	bool any = false;

	pthread_mutex_lock(&list_lock);
	for (context = contexts; context && !any; context = context->next)
		any = is(context, arg);
	pthread_mutex_unlock(&list_lock);
	return any;
}

static struct uv_context *make_context(unsigned index)
{
	struct uv_context *context;

	context = calloc(1, sizeof(*context));
	if (!context)
		return NULL;
	context->index = index;
	context->pages_fd = -1;
	context->device = uv_device_get(index);
	if (!context->device) {
		free(context);
		return NULL;
	}
	uv_device_set_event(uv_event_dispatch);
	context->nic = uv_device_nic(context->device);
	pthread_mutex_init(&context->lock, NULL);
	return context;
}

static void free_context(struct uv_context *context)
{
	if (context->pages_fd >= 0)
		close(context->pages_fd);
	pthread_mutex_destroy(&context->lock);
	free(context);
}

/* The program's descriptor, with a file position of its own. */
static int open_pages(struct uv_context *context, int flags)
{
	char path[32];
	int fd;

	uv_enter();
	context->pages_fd = memfd_create("uverbs", MFD_CLOEXEC);
	if (context->pages_fd >= 0 &&
	    ftruncate(context->pages_fd, (off_t)FILE_BYTES)) {
		close(context->pages_fd);
		context->pages_fd = -1;
	}
	uv_leave();
	if (context->pages_fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", context->pages_fd);
	fd = open(path, O_RDWR | (flags & (O_CLOEXEC | O_NONBLOCK)));
	if (fd >= 0 && uv_fd_add(fd, UV_FD_CONTEXT, context)) {
		close(fd);
		errno = ENOMEM;
		fd = -1;
	}
	return fd;
}

int uv_context_open(unsigned index, int flags)
{
	struct uv_context *context;
	int fd, error;

	if ((flags & O_ACCMODE) != O_RDWR) {
		errno = EACCES;
		return -1;
	}
	uv_enter();
	context = make_context(index);
	uv_leave();
	if (!context)
		return -1;
	link_context(context);
	fd = open_pages(context, flags);
	if (fd >= 0)
		return fd;
	error = errno;
	unlink_context(context);
	free_context(context);
	errno = error;
	return -1;
}

void uv_context_release(struct uv_context *context)
{
	uv_enter();
	unlink_context(context);
	pthread_mutex_lock(&context->lock);
	uv_object_destroy_all(context);
	uv_uar_free_fixed(context);
	uv_channel_orphan_all(context);
	uv_channel_put(context->async);
	pthread_mutex_unlock(&context->lock);
	free_context(context);
	uv_leave();
}

unsigned uv_context_device(const struct uv_context *context)
{
	return context->index;
}

/* Its descriptors are known to be dead by fd.c. */
void uv_context_after_fork(void)
{
	pthread_mutex_init(&list_lock, NULL);
	contexts = NULL;
	uv_event_after_fork();
	uv_xrcd_after_fork();
	uv_mapping_after_fork();
}
