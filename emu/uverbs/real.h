/* SPDX-License-Identifier: MIT */
/*
 * The calls behind our interposers: those of the C library, or of whatever
 * else was loaded between it and us (a sanitizer, another preload).
 */
#ifndef EMU_UVERBS_REAL_H
#define EMU_UVERBS_REAL_H

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Not in any header: what fortified or old programs call. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
int __xstat(int version, const char *path, struct stat *st);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat(int version, const char *path, struct stat *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
int __fxstat(int version, int fd, struct stat *st);
int __fxstat64(int version, int fd, struct stat64 *st);
int __fxstatat(int version, int dir, const char *path, struct stat *st,
	       int flags);
int __fxstatat64(int version, int dir, const char *path, struct stat64 *st,
		 int flags);
ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room);
ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t size,
			 size_t room);
_Noreturn void __chk_fail(void);
char *__realpath_chk(const char *path, char *resolved, size_t room);

/*
 * The C library's syscall(); that of this library is __wrap_syscall(), which
 * the linker leads its calls to (--wrap).
 */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
/* NOLINTEND(bugprone-reserved-identifier) */

/* A call that this C library lacks is NULL. */
struct uv_real {
#define X(name)	    __typeof__(&name) name;
#define EARLY(name) X(name)
#include "emu/uverbs/real.def"
#undef EARLY
#undef X
};

/* Looked up when first asked for; never fails. */
const struct uv_real *uv_real(void);

/* return UV_CALL(fn, args); -1 with ENOSYS if the C library lacks fn. */
#define UV_CALL(fn, ...)                                                       \
	(uv_real()->fn ? uv_real()->fn(__VA_ARGS__) : uv_missing())
#define UV_CALL_POINTER(fn, ...)                                               \
	(uv_real()->fn ? uv_real()->fn(__VA_ARGS__)                            \
		       : (uv_missing(),                                        \
			  (__typeof__(uv_real()->fn(__VA_ARGS__)))NULL))

int uv_missing(void);

#endif
