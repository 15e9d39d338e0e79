/* SPDX-License-Identifier: MIT */
/*
 * Finds the calls behind our interposers.
 *
 * dlsym() may allocate, and the program's allocator may open files, so a call
 * can come in while the table is being made: it gets plain system calls.
 *
 * Thread: any. Threads that come first together all make the same table.
 */
#include "emu/uverbs/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>

static const struct {
	const char *name;
	size_t offset;
} calls[] = {
#define X(name)	    {#name, offsetof(struct uv_real, name)},
#define EARLY(name) X(name)
#include "emu/uverbs/real.def"
#undef EARLY
#undef X
};

static struct uv_real real;
static bool complete;
static __thread bool looking __attribute__((tls_model("initial-exec")));

int uv_missing(void)
{
	errno = ENOSYS;
	return -1;
}

/* ------------------------------------------------- while dlsym() is busy */

/* The third argument of open, fcntl and ioctl, which may not be there. */
#define TAKE_ARGUMENT(arg, last)                                               \
	do {                                                                   \
		va_list list;                                                  \
		va_start(list, last);                                          \
		(arg) = va_arg(list, long);                                    \
		va_end(list);                                                  \
	} while (0)

static int raw_open(const char *path, int flags, ...)
{
	long mode;

	TAKE_ARGUMENT(mode, flags);
	return (int)__real_syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static int raw_openat(int dir, const char *path, int flags, ...)
{
	long mode;

	TAKE_ARGUMENT(mode, flags);
	return (int)__real_syscall(SYS_openat, dir, path, flags, mode);
}

static int raw_close(int fd)
{
	return (int)__real_syscall(SYS_close, fd);
}

static ssize_t raw_read(int fd, void *buf, size_t size)
{
	return __real_syscall(SYS_read, fd, buf, size);
}

static ssize_t raw_write(int fd, const void *buf, size_t size)
{
	return __real_syscall(SYS_write, fd, buf, size);
}

/* NOLINTNEXTLINE(readability-function-size): mmap() has six parameters */
static void *raw_mmap(void *addr, size_t len, int protection, int flags, int fd,
		      off_t offset)
{
	return (void *)__real_syscall(SYS_mmap, addr, len, protection, flags,
				      fd, offset);
}

static int raw_munmap(void *addr, size_t len)
{
	return (int)__real_syscall(SYS_munmap, addr, len);
}

static int raw_access(const char *path, int mode)
{
	return (int)__real_syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

static ssize_t raw_readlink(const char *path, char *buf, size_t size)
{
	return __real_syscall(SYS_readlinkat, AT_FDCWD, path, buf, size);
}

static int raw_ioctl(int fd, unsigned long request, ...)
{
	long arg;

	TAKE_ARGUMENT(arg, request);
	return (int)__real_syscall(SYS_ioctl, fd, request, arg);
}

static int raw_fcntl(int fd, int command, ...)
{
	long arg;

	TAKE_ARGUMENT(arg, command);
	return (int)__real_syscall(SYS_fcntl, fd, command, arg);
}

static const struct uv_real raw = {
#define X(name)
#define EARLY(name) .name = raw_##name,
#include "emu/uverbs/real.def"
#undef EARLY
#undef X
};

/* -------------------------------------------------------------- look-up */

static void look_up(void)
{
	looking = true;
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		void *call = dlsym(RTLD_NEXT, calls[i].name);
		void **slot = (void *)((char *)&real + calls[i].offset);

		__atomic_store_n(slot, call, __ATOMIC_RELAXED);
	}
	/* Release: who sees it sees the table. */
	__atomic_store_n(&complete, true, __ATOMIC_RELEASE);
	looking = false;
}

const struct uv_real *uv_real(void)
{
	int saved = errno;

	if (__atomic_load_n(&complete, __ATOMIC_ACQUIRE))
		return &real;
	if (looking)
		return &raw;
	look_up();
	errno = saved;
	return &real;
}
