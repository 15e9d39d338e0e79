/* SPDX-License-Identifier: MIT */
/*
 * Interposers: other calls that make descriptors. For the program they do
 * nothing; but the NIC, the wire and libev come here too, and what they make
 * inside uv_enter() is internal.
 *
 * Thread: any.
 */
#include <stdarg.h>
#include <sys/syscall.h>
#include "emu/uverbs/fd.h"
#include "emu/uverbs/real.h"

UV_EXPORT int epoll_create1(int flags)
{
	return uv_fd_opened(UV_CALL(epoll_create1, flags));
}

UV_EXPORT int epoll_create(int size)
{
	(void)size;
	return epoll_create1(0);
}

UV_EXPORT int eventfd(unsigned value, int flags)
{
	return uv_fd_opened(UV_CALL(eventfd, value, flags));
}

UV_EXPORT int timerfd_create(clockid_t clock, int flags)
{
	return uv_fd_opened(UV_CALL(timerfd_create, clock, flags));
}

UV_EXPORT int signalfd(int fd, const sigset_t *signals, int flags)
{
	int made = UV_CALL(signalfd, fd, signals, flags);

	return fd == made ? made : uv_fd_opened(made);
}

UV_EXPORT int pipe2(int ends[2], int flags)
{
	int ret = UV_CALL(pipe2, ends, flags);

	if (!ret) {
		ends[0] = uv_fd_opened(ends[0]);
		ends[1] = uv_fd_opened(ends[1]);
	}
	return ret;
}

UV_EXPORT int pipe(int ends[2])
{
	return pipe2(ends, 0);
}

UV_EXPORT int inotify_init1(int flags)
{
	return uv_fd_opened(UV_CALL(inotify_init1, flags));
}

UV_EXPORT int memfd_create(const char *name, unsigned flags)
{
	return uv_fd_opened(UV_CALL(memfd_create, name, flags));
}

/* For pidfd_open(), which old C libraries lack. */
long __wrap_syscall(long number, ...)
{
	long args[6], ret;
	va_list list;

	va_start(list, number);
	for (unsigned i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);
	ret = __real_syscall(number, args[0], args[1], args[2], args[3],
			     args[4], args[5]);
	return number == SYS_pidfd_open ? uv_fd_opened((int)ret) : ret;
}
