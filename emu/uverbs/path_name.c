/* SPDX-License-Identifier: MIT */
/*
 * Interposers: is a name there, and what is its full name. Names in our tree
 * are shown as the kernel's.
 *
 * Thread: any.
 */
#include <errno.h>
#include <string.h>
#include "emu/uverbs/fd.h"
#include "emu/uverbs/path.h"
#include "emu/uverbs/real.h"

/* Everybody may read and write a device file; nobody can execute it. */
static int device_access(int mode)
{
	if (!(mode & X_OK))
		return 0;
	errno = EACCES;
	return -1;
}

UV_EXPORT int access(const char *name, int mode)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	if (path.device >= 0)
		return device_access(mode);
	return uv_real()->access(path.name, mode);
}

UV_EXPORT int faccessat(int dir, const char *name, int mode, int flags)
{
	struct uv_path path;

	if (!uv_path_find_at(dir, name, &path))
		return -1;
	if (path.device >= 0)
		return device_access(mode);
	return UV_CALL(faccessat, dir, path.name, mode, flags);
}

UV_EXPORT int euidaccess(const char *name, int mode)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	if (path.device >= 0)
		return device_access(mode);
	return UV_CALL(euidaccess, path.name, mode);
}

UV_EXPORT int eaccess(const char *name, int mode)
{
	return euidaccess(name, mode);
}

/* ------------------------------------------------------------------ links */

static ssize_t shown(ssize_t len, char *buf)
{
	return len < 0 ? len : (ssize_t)uv_path_show_bytes(buf, (size_t)len);
}

UV_EXPORT ssize_t readlink(const char *name, char *buf, size_t size)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return shown(uv_real()->readlink(path.name, buf, size), buf);
}

UV_EXPORT ssize_t readlinkat(int dir, const char *name, char *buf, size_t size)
{
	struct uv_path path;

	if (!uv_path_find_at(dir, name, &path))
		return -1;
	return shown(UV_CALL(readlinkat, dir, path.name, buf, size), buf);
}

/* The program is at fault; its C library says so and ends it. */
UV_EXPORT ssize_t __readlink_chk(const char *name, char *buf, size_t size,
				 size_t room)
{
	if (size > room)
		__chk_fail();
	return readlink(name, buf, size);
}

UV_EXPORT ssize_t __readlinkat_chk(int dir, const char *name, char *buf,
				   size_t size, size_t room)
{
	if (size > room)
		__chk_fail();
	return readlinkat(dir, name, buf, size);
}

/* ------------------------------------------------------------- full names */

/*
 * What is not a directory is resolved through the tree too; a device file is
 * its own name.
 */
static char *full_name(const char *name, char *resolved)
{
	struct uv_path path;
	char *result;

	if (!uv_path_find(name, &path))
		return NULL;
	result = UV_CALL_POINTER(realpath, path.name, resolved);
	uv_path_show(result);
	return result;
}

UV_EXPORT char *realpath(const char *name, char *resolved)
{
	return full_name(name, resolved);
}

UV_EXPORT char *__realpath_chk(const char *name, char *resolved, size_t room)
{
	if (room < PATH_MAX)
		__chk_fail();
	return full_name(name, resolved);
}

UV_EXPORT char *canonicalize_file_name(const char *name)
{
	return full_name(name, NULL);
}
