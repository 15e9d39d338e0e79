/* SPDX-License-Identifier: MIT */
/*
 * What stat() says of a device file, by name (path_stat.c) or descriptor.
 */
#ifndef EMU_UVERBS_STAT_H
#define EMU_UVERBS_STAT_H

#include <sys/stat.h>

/* On the 64-bit systems that this library is for, they are one. */
_Static_assert(sizeof(struct stat) == sizeof(struct stat64),
	       "struct stat is struct stat64");

/* Make the device file out of what lies in its place. */
void uv_stat_device(struct stat *st, unsigned index);
void uv_stat_context(int fd, struct stat *st);

#endif
