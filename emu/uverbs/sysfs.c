/* SPDX-License-Identifier: MIT */
/*
 * Where the tree lies: a directory "tree.<pid>.<start>" in the fabric, which
 * belongs to this user alone; and when it goes.
 *
 * A process that is killed leaves its tree. Whoever makes one looks for trees
 * whose process has ended (pid and start time) and removes them; so does a
 * process that finds its own pid after exec().
 *
 * Thread: any; one lock while the tree is made.
 */
#include "emu/uverbs/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "emu/uverbs/device.h"
#include "emu/uverbs/fd.h"
#include "emu/wire_shm_fabric.h"
#include "emu/wire_shm_nic.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t port_lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf */
static char root[PATH_MAX];
static char *made; /* root, or NULL */
static int failed; /* errno, not tried again */

const char *uv_sysfs_made(void)
{
	return __atomic_load_n(&made, __ATOMIC_ACQUIRE);
}

/* --------------------------------------------------------------- removal */

static void remove_at(int dir_fd, const char *name, unsigned depth)
{
	struct dirent *entry;
	DIR *dir;
	int fd;

	if (!unlinkat(dir_fd, name, 0) || errno == ENOENT || !depth)
		return;
	fd = openat(dir_fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			remove_at(fd, entry->d_name, depth - 1);
	closedir(dir);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

enum { DEPTH = 16 };

/*
 * Trees in the fabric that nobody needs: those of this process, which it had
 * before exec(), and of processes that have ended.
 */
static void sweep(int dir_fd, bool only_own)
{
	unsigned long long start;
	struct dirent *entry;
	int fd, pid;
	DIR *dir;

	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, "tree.%d.%llu", &pid, &start) != 2)
			continue;
		if (pid == getpid() ||
		    (!only_own && shm_process_ended(pid, start)))
			remove_at(dir_fd, entry->d_name, DEPTH);
	}
	closedir(dir);
}

void uv_sysfs_remove(void)
{
	const char *name = uv_sysfs_made();

	/* From now on no name of the program leads there. */
	__atomic_store_n(&made, NULL, __ATOMIC_RELEASE);
	if (!failed)
		failed = ENODEV;
	if (name)
		remove_at(AT_FDCWD, name, DEPTH);
}

/* ------------------------------------------------------------------ port */

/* No room for a whole path: this may run on the small stack of trap.c. */
static int open_port(const struct uv_device_info *info)
{
	const char *name = uv_sysfs_made();
	char port[64];
	int tree_fd, fd;

	if (!name)
		return -1;
	tree_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree_fd < 0)
		return -1;
	snprintf(port, sizeof(port), "sys/class/infiniband/%s/ports/1",
		 info->name);
	fd = openat(tree_fd, port, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(tree_fd);
	return fd;
}

/* Not the tree's lock: who holds it asks the NIC, whose lock may be held here. */
void uv_sysfs_show_port(const struct uv_device_info *info)
{
	int fd = open_port(info);

	if (fd < 0)
		return;
	pthread_mutex_lock(&port_lock);
	uv_sysfs_write_port_state(fd, info);
	pthread_mutex_unlock(&port_lock);
	close(fd);
}

/* It may have changed while the tree was made. */
static void show_ports(void)
{
	struct uv_device_info info;

	for (unsigned i = 0; i < uv_config()->nics; i++) {
		if (!uv_device_made(i))
			continue;
		uv_device_describe(uv_device_made(i), &info);
		if (info.state != UV_PORT_ACTIVE)
			uv_sysfs_show_port(&info);
	}
}

/* ------------------------------------------------------------------ make */

/* Requires: fabric is open. Returns 0 or -errno. */
static int make_in(const struct shm_fabric *fabric)
{
	char name[64], dir[PATH_MAX];
	int fd, status;

	sweep(fabric->dir_fd, false);
	snprintf(name, sizeof(name), "tree.%d.%llu", getpid(),
		 (unsigned long long)shm_process_start(getpid()));
	/* As realpath() will say it, so that it can be mapped back. */
	if (!realpath(fabric->path, dir))
		return -errno;
	if (snprintf(root, sizeof(root), "%s/%s", dir, name) >=
	    (int)sizeof(root))
		return -ENAMETOOLONG;
	if (mkdirat(fabric->dir_fd, name, 0700))
		return -errno;
	fd = openat(fabric->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	status = uv_sysfs_write(fd);
	close(fd);
	if (status)
		remove_at(fabric->dir_fd, name, DEPTH);
	return status;
}

static int make(void)
{
	struct shm_error error = {NULL, 0};
	struct shm_fabric fabric;
	int status;

	/* The first NIC makes the fabric; it tells what is wrong with it. */
	if (!uv_device_get(0))
		return -errno;
	status = shm_fabric_open(&fabric, uv_config()->fabric, false, &error);
	if (status)
		return status;
	status = make_in(&fabric);
	if (status)
		uv_say(NIC_LOG_ERROR, "no tree in fabric %s: %s", fabric.path,
		       strerror(-status));
	shm_fabric_close(&fabric);
	return status;
}

const char *uv_sysfs_root(void)
{
	const char *name = uv_sysfs_made();

	if (name)
		return name;
	if (!uv_fd_mine()) {
		errno = ENODEV;
		return NULL;
	}
	uv_enter();
	pthread_mutex_lock(&lock);
	if (!made && !failed) {
		failed = -make();
		/* Release: who sees the name finds the files. */
		if (!failed)
			__atomic_store_n(&made, root, __ATOMIC_RELEASE);
		if (!failed)
			show_ports();
	}
	name = made;
	errno = failed;
	pthread_mutex_unlock(&lock);
	uv_leave();
	return name;
}

/* ------------------------------------------------------------------ fork */

void uv_sysfs_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void uv_sysfs_after_fork(bool child)
{
	if (child) {
		pthread_mutex_init(&port_lock, NULL);
		made = NULL;
		failed = 0;
	}
	pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------------ exec */

/* Every program that starts comes here: one look into the directory. */
static void look_for_former(void)
{
	const char *dir = uv_config()->fabric;
	struct shm_error error = {NULL, 0};
	struct shm_fabric fabric;
	bool found;

	if (shm_fabric_peek(&fabric, dir))
		return;
	sweep(fabric.dir_fd, true);
	found = shm_fabric_has_own(&fabric);
	shm_fabric_close(&fabric);
	if (!found || shm_fabric_open(&fabric, dir, false, &error))
		return;
	shm_fabric_leave_all(&fabric);
	shm_fabric_close(&fabric);
}

void uv_former_image_gone(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, look_for_former);
}
