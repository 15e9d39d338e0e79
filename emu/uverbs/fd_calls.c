/* SPDX-License-Identifier: MIT */
/*
 * Interposers: descriptors are closed and copied.
 *
 * A descriptor that the emulator uses itself does not exist for the program:
 * closing it is EBADF, so that a daemon that closes all it has keeps its NIC.
 * The one thing that cannot be pretended is dup2() onto such a number: EBUSY,
 * which Linux has for a race with open() there. Internal descriptors have
 * high numbers (fd.c), where programs do not dup2() to.
 *
 * In a child of vfork() the memory is the parent's and the descriptors are
 * not: there the calls go through as they are, and the table stays.
 *
 * Source of truth: close(2), close_range(2), dup(2), fcntl(2).
 * Thread: any; also in signal handlers, nothing here takes a lock.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include "emu/uverbs/fd.h"
#include "emu/uverbs/real.h"

/* An internal descriptor, as the program sees it: not there. */
static bool hidden(int fd)
{
	return uv_fd_kind(fd) == UV_FD_INTERNAL && !uv_inside() && uv_fd_mine();
}

static int not_open(void)
{
	errno = EBADF;
	return -1;
}

/* ------------------------------------------------------------------ close */

UV_EXPORT int close(int fd)
{
	struct uv_fd_entry *taken;
	int ret, saved;

	if (uv_fd_kind(fd) == UV_FD_NONE || !uv_fd_mine())
		return uv_real()->close(fd);
	if (hidden(fd))
		return not_open();
	taken = uv_fd_take(fd);
	ret = uv_real()->close(fd);
	saved = errno;
	uv_fd_closed(taken);
	errno = saved;
	return ret;
}

/* Close what is ours in the range, and all else around the internal ones. */
static int close_around(unsigned first, unsigned last, int flags)
{
	int fd = first > INT_MAX ? -1 : uv_fd_next((int)first);
	int ret = 0;

	for (; fd >= 0 && (unsigned)fd <= last && !ret;
	     fd = uv_fd_next(fd + 1)) {
		if (uv_fd_kind(fd) != UV_FD_INTERNAL) {
			close(fd);
			continue;
		}
		if ((unsigned)fd > first)
			ret = UV_CALL(close_range, first, (unsigned)fd - 1,
				      flags);
		first = (unsigned)fd + 1;
	}
	if (!ret && first <= last)
		ret = UV_CALL(close_range, first, last, flags);
	return ret;
}

UV_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	if (flags & CLOSE_RANGE_CLOEXEC || first > last || !uv_fd_mine())
		return UV_CALL(close_range, first, last, flags);
	return close_around(first, last, flags);
}

/* Where the kernel has no close_range(): one by one, as closefrom() does. */
static void close_each(int first)
{
	long limit = sysconf(_SC_OPEN_MAX);

	for (int fd = first; fd < limit; fd++)
		close(fd);
}

UV_EXPORT void closefrom(int first)
{
	if (first < 0)
		first = 0;
	if (uv_fd_next(first) < 0 || !uv_fd_mine()) {
		if (uv_real()->closefrom)
			uv_real()->closefrom(first);
		else
			close_each(first);
	} else if (close_around((unsigned)first, ~0u, 0)) {
		close_each(first);
	}
}

/* -------------------------------------------------------------------- dup */

/* made is a copy of old. */
static int copied(int old, int made)
{
	struct uv_fd_entry *entry;

	if (made < 0 || uv_inside())
		return uv_fd_opened(made);
	entry = uv_fd_share(old);
	if (entry && !uv_fd_mine()) {
		uv_fd_closed(entry);
		return made;
	}
	if (entry)
		uv_fd_set(made, entry);
	else
		uv_fd_opened(made);
	return made;
}

UV_EXPORT int dup(int fd)
{
	return hidden(fd) ? not_open() : copied(fd, UV_CALL(dup, fd));
}

static int copy_to(int old, int new, int flags)
{
	struct uv_fd_entry *taken = NULL;
	bool mine = (uv_fd_kind(old) != UV_FD_NONE ||
		     uv_fd_kind(new) != UV_FD_NONE) &&
		    uv_fd_mine();
	int ret, saved;

	if (mine && hidden(old))
		return not_open();
	if (mine && hidden(new)) {
		errno = EBUSY;
		return -1;
	}
	if (mine)
		taken = uv_fd_take(new);
	ret = flags < 0 ? UV_CALL(dup2, old, new)
			: UV_CALL(dup3, old, new, flags);
	saved = errno;
	if (ret < 0)
		uv_fd_restore(new, taken);
	else
		uv_fd_closed(taken);
	if (ret >= 0 && mine)
		copied(old, new);
	errno = saved;
	return ret;
}

UV_EXPORT int dup2(int old, int new)
{
	/* Only a check whether it is open. */
	if (old == new)
		return hidden(old) ? not_open() : UV_CALL(dup2, old, new);
	return copy_to(old, new, -1);
}

UV_EXPORT int dup3(int old, int new, int flags)
{
	if (old == new || flags < 0)
		return UV_CALL(dup3, old, new, flags);
	return copy_to(old, new, flags);
}

static int do_fcntl(int fd, int command, void *arg)
{
	if (hidden(fd))
		return not_open();
	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		return copied(fd, uv_real()->fcntl(fd, command, arg));
	return uv_real()->fcntl(fd, command, arg);
}

/* One register holds either kind of third argument, or nothing in use. */
UV_EXPORT int fcntl(int fd, int command, ...)
{
	va_list list;
	void *arg;

	va_start(list, command);
	arg = va_arg(list, void *);
	va_end(list);
	return do_fcntl(fd, command, arg);
}

UV_EXPORT int fcntl64(int fd, int command, ...)
{
	va_list list;
	void *arg;

	va_start(list, command);
	arg = va_arg(list, void *);
	va_end(list);
	return do_fcntl(fd, command, arg);
}
