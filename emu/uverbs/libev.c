/* SPDX-License-Identifier: MIT */
/*
 * libev for this library alone: opened at run time, out of the program's
 * sight.
 *
 * libev has functions of the names that libevent has. A program that uses
 * libevent (Open MPI does) would call those if libev were among its libraries.
 * What the runner (emu/runner.c) calls is defined here and passed on.
 *
 * Thread: the runner's, and whoever starts it; nic_runner_wake() from any.
 */
#include <dlfcn.h>
#include <stddef.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#include <ev.h>
#pragma GCC diagnostic pop

#include "emu/uverbs/uverbs.h"

#define FUNCTIONS(X)                                                           \
	X(ev_loop_new)                                                         \
	X(ev_loop_destroy)                                                     \
	X(ev_run)                                                              \
	X(ev_io_start)                                                         \
	X(ev_io_stop)                                                          \
	X(ev_async_start)                                                      \
	X(ev_async_send)

static struct {
#define X(name) __typeof__(&name) name;
	FUNCTIONS(X)
#undef X
} libev;

static bool open_libev(void)
{
	void *library = dlopen("libev.so.4", RTLD_NOW | RTLD_LOCAL);
	bool complete = library != NULL;

	if (!library) {
		uv_say(NIC_LOG_ERROR, "libev is needed: %s", dlerror());
		return false;
	}
#define X(name)                                                                \
	libev.name = (__typeof__(&name))dlsym(library, #name);                 \
	complete = complete && libev.name;
	FUNCTIONS(X)
#undef X
	if (!complete)
		uv_say(NIC_LOG_ERROR, "libev.so.4 lacks a function");
	return complete;
}

struct ev_loop *ev_loop_new(unsigned int flags)
{
	return libev.ev_loop_new || open_libev() ? libev.ev_loop_new(flags)
						 : NULL;
}

void ev_loop_destroy(struct ev_loop *loop)
{
	libev.ev_loop_destroy(loop);
}

int ev_run(struct ev_loop *loop, int flags)
{
	return libev.ev_run(loop, flags);
}

void ev_io_start(struct ev_loop *loop, ev_io *io)
{
	libev.ev_io_start(loop, io);
}

void ev_io_stop(struct ev_loop *loop, ev_io *io)
{
	libev.ev_io_stop(loop, io);
}

void ev_async_start(struct ev_loop *loop, ev_async *async)
{
	libev.ev_async_start(loop, async);
}

void ev_async_send(struct ev_loop *loop, ev_async *async)
{
	libev.ev_async_send(loop, async);
}
