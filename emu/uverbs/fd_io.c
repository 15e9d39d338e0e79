/* SPDX-License-Identifier: MIT */
/*
 * Interposers: descriptors are used. An open device file answers ioctl(), its
 * offsets can be mapped, and fstat() says which device it is; what it does not
 * do (the kernel's file operations have no read, write takes commands only)
 * fails as in the kernel. Underneath it is a memfd, where reading and writing
 * would succeed.
 *
 * Source of truth: drivers/infiniband/core/uverbs_main.c (file operations).
 * Not modelled: commands by write(); libibverbs takes ioctl() where it can.
 *
 * Thread: any.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <sys/sysmacros.h>
#include "emu/uverbs/fd.h"
#include "emu/uverbs/real.h"
#include "emu/uverbs/stat.h"

static bool is_device(int fd)
{
	return uv_fd_kind(fd) == UV_FD_CONTEXT && !uv_inside() && uv_fd_mine();
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* ------------------------------------------------------------------ ioctl */

static int device_ioctl(int fd, unsigned long request, void *arg)
{
	struct uv_context *context = uv_fd_get(fd, UV_FD_CONTEXT);
	int ret;

	/* As the kernel after the device was taken away: a forked child. */
	if (!context)
		return fail(EIO);
	uv_call_begin();
	ret = uv_context_ioctl(context, request, arg);
	uv_call_end();
	uv_fd_put(UV_FD_CONTEXT, context);
	return ret;
}

UV_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	if (is_device(fd))
		return device_ioctl(fd, request, arg);
	return uv_real()->ioctl(fd, request, arg);
}

/* ------------------------------------------------------------------- mmap */

/* Where pages of contexts may be: most calls are about other memory. */
static uintptr_t pages_begin = UINTPTR_MAX, pages_end;

static void note_pages(const void *addr, size_t len)
{
	uintptr_t begin = (uintptr_t)addr, end = begin + len, seen;

	seen = __atomic_load_n(&pages_begin, __ATOMIC_RELAXED);
	while (begin < seen &&
	       !__atomic_compare_exchange_n(&pages_begin, &seen, begin, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	seen = __atomic_load_n(&pages_end, __ATOMIC_RELAXED);
	while (end > seen &&
	       !__atomic_compare_exchange_n(&pages_end, &seen, end, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void going(void *addr, size_t len)
{
	uintptr_t begin = (uintptr_t)addr;

	if (begin < __atomic_load_n(&pages_end, __ATOMIC_RELAXED) &&
	    begin + len > __atomic_load_n(&pages_begin, __ATOMIC_RELAXED) &&
	    !uv_inside() && uv_fd_mine()) {
		uv_call_begin();
		uv_context_unmapped(addr, len);
		uv_call_end();
	}
}

/* NOLINTNEXTLINE(readability-function-size): mmap() has six parameters */
static void *do_mmap(void *addr, size_t len, int protection, int flags, int fd,
		     off_t offset)
{
	struct uv_context *context;
	void *mapped;

	if (flags & MAP_FIXED)
		going(addr, len);
	mapped = uv_real()->mmap(addr, len, protection, flags, fd, offset);
	if (mapped == MAP_FAILED || flags & MAP_ANONYMOUS || !is_device(fd))
		return mapped;
	context = uv_fd_get(fd, UV_FD_CONTEXT);
	if (!context)
		return mapped;
	note_pages(mapped, len);
	uv_call_begin();
	uv_context_mapped(context, mapped, len, (uint64_t)offset);
	uv_call_end();
	uv_fd_put(UV_FD_CONTEXT, context);
	return mapped;
}

UV_EXPORT int munmap(void *addr, size_t len)
{
	going(addr, len);
	return uv_real()->munmap(addr, len);
}

/* NOLINTNEXTLINE(readability-function-size) */
UV_EXPORT void *mmap(void *addr, size_t len, int protection, int flags, int fd,
		     off_t offset)
{
	return do_mmap(addr, len, protection, flags, fd, offset);
}

/* NOLINTNEXTLINE(readability-function-size) */
UV_EXPORT void *mmap64(void *addr, size_t len, int protection, int flags,
		       int fd, off64_t offset)
{
	return do_mmap(addr, len, protection, flags, fd, offset);
}

/* ---------------------------------------------------------- read and write */

UV_EXPORT ssize_t read(int fd, void *buf, size_t size)
{
	return is_device(fd) ? fail(EINVAL) : uv_real()->read(fd, buf, size);
}

/* Every command that is not known is EINVAL, as is one that is too short. */
UV_EXPORT ssize_t write(int fd, const void *buf, size_t size)
{
	return is_device(fd) ? fail(EINVAL) : uv_real()->write(fd, buf, size);
}

UV_EXPORT ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	return is_device(fd) ? fail(EINVAL)
			     : UV_CALL(writev, fd, pieces, count);
}

UV_EXPORT ssize_t pwrite(int fd, const void *buf, size_t size, off_t offset)
{
	return is_device(fd) ? fail(EINVAL)
			     : UV_CALL(pwrite64, fd, buf, size, offset);
}

UV_EXPORT ssize_t pwrite64(int fd, const void *buf, size_t size, off64_t offset)
{
	return is_device(fd) ? fail(EINVAL)
			     : UV_CALL(pwrite64, fd, buf, size, offset);
}

UV_EXPORT int ftruncate(int fd, off_t size)
{
	return is_device(fd) ? fail(EINVAL) : UV_CALL(ftruncate64, fd, size);
}

UV_EXPORT int ftruncate64(int fd, off64_t size)
{
	return is_device(fd) ? fail(EINVAL) : UV_CALL(ftruncate64, fd, size);
}

/* ------------------------------------------------------------------ fstat */

void uv_stat_device(struct stat *st, unsigned index)
{
	st->st_mode = S_IFCHR | 0666;
	st->st_rdev = makedev(UV_CHAR_MAJOR, UV_CHAR_MINOR + index);
	st->st_size = 0;
	st->st_blocks = 0;
}

void uv_stat_context(int fd, struct stat *st)
{
	struct uv_context *context = uv_fd_get(fd, UV_FD_CONTEXT);

	uv_stat_device(st, context ? uv_context_device(context) : 0);
	if (context)
		uv_fd_put(UV_FD_CONTEXT, context);
}

UV_EXPORT int fstat(int fd, struct stat *st)
{
	int ret = UV_CALL(fstat, fd, st);

	if (!ret && is_device(fd))
		uv_stat_context(fd, st);
	return ret;
}

UV_EXPORT int fstat64(int fd, struct stat64 *st)
{
	return fstat(fd, (struct stat *)st);
}

UV_EXPORT int __fxstat(int version, int fd, struct stat *st)
{
	int ret = UV_CALL(__fxstat, version, fd, st);

	if (!ret && is_device(fd))
		uv_stat_context(fd, st);
	return ret;
}

UV_EXPORT int __fxstat64(int version, int fd, struct stat64 *st)
{
	return __fxstat(version, fd, (struct stat *)st);
}

/* ----------------------------------------------------------------- socket */

/*
 * The kernel's own RDMA netlink would answer for the real devices; without it
 * libibverbs looks into sysfs, which is ours.
 */
UV_EXPORT int socket(int domain, int type, int protocol)
{
	if (domain == AF_NETLINK && protocol == NETLINK_RDMA)
		return fail(EPROTONOSUPPORT);
	return uv_fd_opened(UV_CALL(socket, domain, type, protocol));
}
