/* SPDX-License-Identifier: MIT */
/*
 * A directory of its own for a test's shared-memory fabric.
 */
#ifndef T_FABRIC_H
#define T_FABRIC_H

#include <stdbool.h>
#include <sys/types.h>

enum { T_PATH = 256 };

/* Make an empty directory (mode 0700); remove it with all in it. */
void t_dir_make(char path[T_PATH]);
void t_dir_remove(const char *path);

/* How many files there have a name that starts so. */
unsigned t_dir_count(const char *path, const char *prefix);

/* In a child: end when the parent ends, however it does. */
void t_child_begin(pid_t parent);

#endif
