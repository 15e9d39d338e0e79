/* SPDX-License-Identifier: MIT */
/*
 * The tree of files that stands for sysfs and /dev/infiniband.
 */
#ifndef EMU_UVERBS_SYSFS_H
#define EMU_UVERBS_SYSFS_H

#include <stdbool.h>
#include "emu/uverbs/uverbs.h"

/* As uv_sysfs_root(), but NULL if it has not been made yet. */
const char *uv_sysfs_made(void);

/* At the end of the process. */
void uv_sysfs_remove(void);

/* Around fork(); a child has no tree. */
void uv_sysfs_before_fork(void);
void uv_sysfs_after_fork(bool child);

/*
 * The state of the device's port has changed. Any thread, also with the NIC's
 * lock held; nothing happens if there is no tree.
 */
void uv_sysfs_show_port(const struct uv_device_info *info);

/* sysfs_tree.c: write the files of all devices. Returns 0 or -errno. */
int uv_sysfs_write(int root_fd);
/* Write those of the port anew; fd is the port's directory. */
void uv_sysfs_write_port_state(int fd, const struct uv_device_info *info);

#endif
