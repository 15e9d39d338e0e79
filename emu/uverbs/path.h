/* SPDX-License-Identifier: MIT */
/*
 * Names of files: which are redirected, and where to.
 */
#ifndef EMU_UVERBS_PATH_H
#define EMU_UVERBS_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct uv_path {
	/* What to call the C library with: the program's own, or one in our
	 * tree. */
	const char *name;
	/* /dev/infiniband/uverbs<device>; -1: something else. */
	int device;
	char buf[PATH_MAX];
};

/*
 * Where the program's name leads. Returns false with errno when it leads
 * nowhere (no tree, or too long a name).
 */
bool uv_path_find(const char *name, struct uv_path *path);
bool uv_path_find_at(int dir, const char *name, struct uv_path *path);

/* A name that came from the C library: ours becomes the kernel's again. */
void uv_path_show(char *name);

/* The same for len bytes without a terminator; returns the new length. */
size_t uv_path_show_bytes(char *name, size_t len);

/* The PCI address of the NIC with this index. */
#define UV_PCI_DOMAIN "be1f"
#define UV_PCI_FORMAT "be1f:%02x:00.0"

#endif
