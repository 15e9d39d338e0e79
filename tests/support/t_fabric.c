/* SPDX-License-Identifier: MIT */
/*
 * Directories and children for tests of the shared-memory wire.
 */
#include "support/t_fabric.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

void t_dir_make(char path[T_PATH])
{
	const char *base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";

	snprintf(path, T_PATH, "%s/belfry-test-XXXXXX", base);
	if (!mkdtemp(path)) {
		perror(path);
		abort();
	}
}

static bool is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

void t_dir_remove(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir)))
		if (!is_dot(entry->d_name))
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

unsigned t_dir_count(const char *path, const char *prefix)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	unsigned count = 0;

	while (dir && (entry = readdir(dir)))
		count += !is_dot(entry->d_name) &&
			 !strncmp(entry->d_name, prefix, strlen(prefix));
	if (dir)
		closedir(dir);
	return count;
}

void t_child_begin(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may have ended before. */
	if (getppid() != parent)
		_exit(1);
	/* A failure here must not go on with the parent's next test. */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
}
