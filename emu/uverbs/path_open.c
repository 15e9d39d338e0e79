/* SPDX-License-Identifier: MIT */
/*
 * Interposers: a file is opened by its name. A device file becomes a context;
 * all else is the C library's, perhaps with another name.
 *
 * Thread: any.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include "emu/uverbs/call.h"
#include "emu/uverbs/fd.h"
#include "emu/uverbs/path.h"
#include "emu/uverbs/real.h"

/* The mode is an argument only where a file may be made. */
#define TAKE_MODE(mode, flags)                                                 \
	do {                                                                   \
		va_list list;                                                  \
		(mode) = 0;                                                    \
		if (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE) {   \
			va_start(list, flags);                                 \
			(mode) = va_arg(list, mode_t);                         \
			va_end(list);                                          \
		}                                                              \
	} while (0)

static int open_device(unsigned index, int flags)
{
	int fd = -1;

	if (flags & O_DIRECTORY) {
		errno = ENOTDIR;
	} else if ((flags & O_CREAT) && (flags & O_EXCL)) {
		errno = EEXIST;
	} else {
		uv_call_begin();
		fd = uv_context_open(index, flags);
		uv_call_end();
	}
	return fd;
}

/* Its users say only that they could not open something. */
static int missing(const char *name)
{
	static const struct {
		const char *file, *what;
	} services[] = {
		{"/dev/infiniband/rdma_cm",
		 "/dev/infiniband/rdma_cm (librdmacm)"},
		{"/dev/infiniband/umad", "/dev/infiniband/umad* (libibumad)"},
		{"/dev/infiniband/issm", "/dev/infiniband/issm* (subnet "
					 "managers)"},
	};
	unsigned i;

	for (i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strstr(name, services[i].file))
			uv_unsupported(services[i].what);
	errno = ENOENT;
	return -1;
}

static int open_at(int dir, const char *name, int flags, mode_t mode)
{
	struct uv_path path;
	int fd;

	if (!uv_path_find_at(dir, name, &path))
		return -1;
	if (path.device >= 0 && !(flags & O_PATH))
		return open_device((unsigned)path.device, flags);
	fd = UV_CALL(openat, dir, path.name, flags, mode);
	if (fd < 0 && errno == ENOENT && path.name == path.buf)
		return missing(path.name);
	return uv_fd_opened(fd);
}

UV_EXPORT int open(const char *name, int flags, ...)
{
	mode_t mode;

	TAKE_MODE(mode, flags);
	return open_at(AT_FDCWD, name, flags, mode);
}

UV_EXPORT int open64(const char *name, int flags, ...)
{
	mode_t mode;

	TAKE_MODE(mode, flags);
	return open_at(AT_FDCWD, name, flags, mode);
}

UV_EXPORT int openat(int dir, const char *name, int flags, ...)
{
	mode_t mode;

	TAKE_MODE(mode, flags);
	return open_at(dir, name, flags, mode);
}

UV_EXPORT int openat64(int dir, const char *name, int flags, ...)
{
	mode_t mode;

	TAKE_MODE(mode, flags);
	return open_at(dir, name, flags, mode);
}

/* What a fortified program calls when it gives no mode. */
UV_EXPORT int __open_2(const char *name, int flags)
{
	return open_at(AT_FDCWD, name, flags, 0);
}

UV_EXPORT int __open64_2(const char *name, int flags)
{
	return open_at(AT_FDCWD, name, flags, 0);
}

UV_EXPORT int __openat_2(int dir, const char *name, int flags)
{
	return open_at(dir, name, flags, 0);
}

UV_EXPORT int __openat64_2(int dir, const char *name, int flags)
{
	return open_at(dir, name, flags, 0);
}

UV_EXPORT int creat(const char *name, mode_t mode)
{
	return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

UV_EXPORT int creat64(const char *name, mode_t mode)
{
	return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* ---------------------------------------------------------------- streams */

/*
 * The C library opens the file by a call of its own, which we do not see. A
 * descriptor that it gets has no business in our table.
 */
static FILE *opened(FILE *file)
{
	int saved = errno;

	if (file && !uv_inside())
		uv_fd_opened(fileno(file));
	errno = saved;
	return file;
}

UV_EXPORT FILE *fopen(const char *name, const char *mode)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return NULL;
	return opened(UV_CALL_POINTER(fopen, path.name, mode));
}

UV_EXPORT FILE *fopen64(const char *name, const char *mode)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return NULL;
	return opened(UV_CALL_POINTER(fopen64, path.name, mode));
}

UV_EXPORT FILE *freopen(const char *name, const char *mode, FILE *file)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return NULL;
	return opened(UV_CALL_POINTER(freopen, path.name, mode, file));
}

UV_EXPORT FILE *freopen64(const char *name, const char *mode, FILE *file)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return NULL;
	return opened(UV_CALL_POINTER(freopen64, path.name, mode, file));
}

/* ------------------------------------------------------------ directories */

UV_EXPORT DIR *opendir(const char *name)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return NULL;
	return UV_CALL_POINTER(opendir, path.name);
}

/* The C library closes the descriptor by a call that we do not see. */
UV_EXPORT int closedir(DIR *dir)
{
	int fd = dir ? dirfd(dir) : -1, ret, saved;
	struct uv_fd_entry *taken = NULL;

	if (uv_fd_kind(fd) != UV_FD_NONE && uv_fd_mine())
		taken = uv_fd_take(fd);
	ret = UV_CALL(closedir, dir);
	saved = errno;
	uv_fd_closed(taken);
	errno = saved;
	return ret;
}

typedef int filter(const struct dirent *entry);
typedef int compare(const struct dirent **a, const struct dirent **b);
typedef int filter64(const struct dirent64 *entry);
typedef int compare64(const struct dirent64 **a, const struct dirent64 **b);

UV_EXPORT int scandir(const char *name, struct dirent ***list, filter *wanted,
		      compare *order)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return UV_CALL(scandir, path.name, list, wanted, order);
}

UV_EXPORT int scandir64(const char *name, struct dirent64 ***list,
			filter64 *wanted, compare64 *order)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return UV_CALL(scandir64, path.name, list, wanted, order);
}

UV_EXPORT int scandirat(int dir, const char *name, struct dirent ***list,
			filter *wanted, compare *order)
{
	struct uv_path path;

	if (!uv_path_find_at(dir, name, &path))
		return -1;
	return UV_CALL(scandirat, dir, path.name, list, wanted, order);
}

UV_EXPORT int scandirat64(int dir, const char *name, struct dirent64 ***list,
			  filter64 *wanted, compare64 *order)
{
	struct uv_path path;

	if (!uv_path_find_at(dir, name, &path))
		return -1;
	return UV_CALL(scandirat64, dir, path.name, list, wanted, order);
}

UV_EXPORT int chdir(const char *name)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return UV_CALL(chdir, path.name);
}

UV_EXPORT int inotify_add_watch(int fd, const char *name, uint32_t mask)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return UV_CALL(inotify_add_watch, fd, path.name, mask);
}
