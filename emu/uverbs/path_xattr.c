/* SPDX-License-Identifier: MIT */
/*
 * Interposers: attributes and file systems of a name. ls(1) asks for access
 * lists; nothing in our tree has any, and neither has sysfs.
 *
 * Thread: any.
 */
#include <errno.h>
#include "emu/uverbs/path.h"
#include "emu/uverbs/real.h"
#include "emu/uverbs/uverbs.h"

UV_EXPORT ssize_t getxattr(const char *name, const char *attribute, void *value,
			   size_t size)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return UV_CALL(getxattr, path.name, attribute, value, size);
}

UV_EXPORT ssize_t lgetxattr(const char *name, const char *attribute,
			    void *value, size_t size)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return UV_CALL(lgetxattr, path.name, attribute, value, size);
}

UV_EXPORT ssize_t listxattr(const char *name, char *list, size_t size)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return UV_CALL(listxattr, path.name, list, size);
}

UV_EXPORT ssize_t llistxattr(const char *name, char *list, size_t size)
{
	struct uv_path path;

	if (!uv_path_find(name, &path))
		return -1;
	return UV_CALL(llistxattr, path.name, list, size);
}
