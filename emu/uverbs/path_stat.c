/* SPDX-License-Identifier: MIT */
/*
 * Interposers: what kind of file a name is. A device file is a character
 * device with the number that sysfs says, whatever lies in its place.
 *
 * Thread: any.
 */
#include <errno.h>
#include <sys/sysmacros.h>
#include "emu/uverbs/fd.h"
#include "emu/uverbs/path.h"
#include "emu/uverbs/real.h"
#include "emu/uverbs/stat.h"

/* After a call that filled st for path, or for descriptor fd if not < 0. */
static int finish(int ret, const struct uv_path *path, struct stat *st)
{
	if (!ret && path->device >= 0)
		uv_stat_device(st, (unsigned)path->device);
	return ret;
}

UV_EXPORT int stat(const char *name, struct stat *st)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return finish(UV_CALL(stat, path.name, st), &path, st);
}

UV_EXPORT int stat64(const char *name, struct stat64 *st)
{
	return stat(name, (struct stat *)st);
}

UV_EXPORT int lstat(const char *name, struct stat *st)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return finish(UV_CALL(lstat, path.name, st), &path, st);
}

UV_EXPORT int lstat64(const char *name, struct stat64 *st)
{
	return lstat(name, (struct stat *)st);
}

/* fstatat(fd, "", AT_EMPTY_PATH) is another way to say fstat(fd). */
static bool means_descriptor(int fd, const char *name, int flags)
{
	return flags & AT_EMPTY_PATH && (!name || !*name) &&
	       uv_fd_kind(fd) == UV_FD_CONTEXT && !uv_inside() && uv_fd_mine();
}

UV_EXPORT int fstatat(int dir, const char *name, struct stat *st, int flags)
{
	struct uv_path path;
	int ret;

	if (!uv_path_find_at(dir, name, &path))
		return -1;
	ret = UV_CALL(fstatat, dir, path.name, st, flags);
	if (!ret && means_descriptor(dir, name, flags))
		uv_stat_context(dir, st);
	return finish(ret, &path, st);
}

UV_EXPORT int fstatat64(int dir, const char *name, struct stat64 *st, int flags)
{
	return fstatat(dir, name, (struct stat *)st, flags);
}

UV_EXPORT int statx(int dir, const char *name, int flags, unsigned mask,
		    struct statx *stx)
{
	struct uv_path path;
	struct stat st;
	int ret;

	if (!uv_path_find_at(dir, name, &path))
		return -1;
	ret = UV_CALL(statx, dir, path.name, flags, mask, stx);
	if (ret)
		return ret;
	if (path.device >= 0)
		uv_stat_device(&st, (unsigned)path.device);
	else if (means_descriptor(dir, name, flags))
		uv_stat_context(dir, &st);
	else
		return ret;
	stx->stx_mode = (uint16_t)st.st_mode;
	stx->stx_rdev_major = major(st.st_rdev);
	stx->stx_rdev_minor = minor(st.st_rdev);
	stx->stx_size = 0;
	stx->stx_blocks = 0;
	return ret;
}

/* ------------------------------------- programs built before glibc 2.33 */

UV_EXPORT int __xstat(int version, const char *name, struct stat *st)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return finish(UV_CALL(__xstat, version, path.name, st), &path, st);
}

UV_EXPORT int __xstat64(int version, const char *name, struct stat64 *st)
{
	return __xstat(version, name, (struct stat *)st);
}

UV_EXPORT int __lxstat(int version, const char *name, struct stat *st)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return finish(UV_CALL(__lxstat, version, path.name, st), &path, st);
}

UV_EXPORT int __lxstat64(int version, const char *name, struct stat64 *st)
{
	return __lxstat(version, name, (struct stat *)st);
}

UV_EXPORT int __fxstatat(int version, int dir, const char *name,
			 struct stat *st, int flags)
{
	struct uv_path path;
	int ret;

	if (!uv_path_find_at(dir, name, &path))
		return -1;
	ret = UV_CALL(__fxstatat, version, dir, path.name, st, flags);
	if (!ret && means_descriptor(dir, name, flags))
		uv_stat_context(dir, st);
	return finish(ret, &path, st);
}

UV_EXPORT int __fxstatat64(int version, int dir, const char *name,
			   struct stat64 *st, int flags)
{
	return __fxstatat(version, dir, name, (struct stat *)st, flags);
}
