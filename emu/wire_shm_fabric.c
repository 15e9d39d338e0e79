/* SPDX-License-Identifier: MIT */
/*
 * The fabric directory of the shared-memory wire: chosen, made, checked,
 * versioned and locked.
 *
 * Whoever can write into the directory can write into the NICs' memory, so it
 * must belong to this user alone. Not modelled: subnet management; there are
 * no partitions and no paths, everybody in the directory reaches everybody.
 *
 * Thread: any; a fabric object belongs to one wire.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "emu/wire_shm_fabric.h"

static const char fabric_magic[8] = "belfryfb";

/* What is in the file "fabric". */
struct fabric_file {
	char magic[8];
	uint32_t version;
	uint32_t rsvd0c;
	uint64_t generation; /* of the NIC that came last */
};

int shm_fail(const struct shm_error *error, int status, const char *fmt, ...)
{
	va_list args;

	if (error->text && error->size) {
		va_start(args, fmt);
		vsnprintf(error->text, error->size, fmt, args);
		va_end(args);
	}
	return status;
}

/*
 * $XDG_RUNTIME_DIR is taken only if it can be used: su and containers often
 * hand down a variable without its directory.
 */
static int choose_path(struct shm_fabric *fabric, const char *dir,
		       const struct shm_error *error)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int length;

	if (!dir)
		dir = getenv("BELFRY_FABRIC");
	if (dir && *dir)
		length =
			snprintf(fabric->path, sizeof(fabric->path), "%s", dir);
	else if (runtime && *runtime && !access(runtime, W_OK | X_OK))
		length = snprintf(fabric->path, sizeof(fabric->path),
				  "%s/belfry", runtime);
	else
		length = snprintf(fabric->path, sizeof(fabric->path),
				  "/dev/shm/belfry-%u", geteuid());
	if (length < 0 || (size_t)length >= sizeof(fabric->path))
		return shm_fail(error, -ENAMETOOLONG,
				"the name of the fabric directory is longer "
				"than %zu bytes",
				sizeof(fabric->path) - 1);
	return 0;
}

static int check_owner(const struct shm_fabric *fabric,
		       const struct shm_error *error)
{
	struct stat st;

	if (fstat(fabric->dir_fd, &st) < 0)
		return shm_fail(error, -errno, "fabric directory %s: %s",
				fabric->path, strerror(errno));
	if (st.st_uid != geteuid() || st.st_mode & 077)
		return shm_fail(error, -EPERM,
				"fabric directory %s has owner %u and mode "
				"%04o; it must have owner %u (this user) and "
				"no permissions for others (0700)",
				fabric->path, st.st_uid, st.st_mode & 07777,
				geteuid());
	if (faccessat(fabric->dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return shm_fail(error, -EACCES,
				"fabric directory %s cannot be written: %s",
				fabric->path, strerror(errno));
	return 0;
}

static int open_dir(struct shm_fabric *fabric, bool create,
		    const struct shm_error *error)
{
	if (create && mkdir(fabric->path, 0700) < 0 && errno != EEXIST)
		return shm_fail(error, -errno,
				"fabric directory %s cannot be made: %s",
				fabric->path, strerror(errno));
	fabric->dir_fd = open(fabric->path,
			      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fabric->dir_fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return shm_fail(error, -EPERM, "fabric %s is not a directory",
				fabric->path);
	if (fabric->dir_fd < 0)
		return shm_fail(error, -errno,
				"fabric directory %s cannot be opened: %s",
				fabric->path, strerror(errno));
	return check_owner(fabric, error);
}

/* Nothing in it but its own file: who was there has gone. */
static bool is_left(const struct shm_fabric *fabric)
{
	int fd = openat(fabric->dir_fd, ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool left = dir != NULL;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (left && (entry = readdir(dir)))
		left = !strcmp(entry->d_name, ".") ||
		       !strcmp(entry->d_name, "..") ||
		       !strcmp(entry->d_name, "fabric");
	closedir(dir);
	return left;
}

/* Requires: locked. Writes the file if it is new, or, for who comes to stay
 * (create), of another version that nobody is left to speak. */
static int check_version(struct shm_fabric *fabric, bool create,
			 const struct shm_error *error)
{
	struct fabric_file file = {.version = SHM_VERSION};
	ssize_t n = pread(fabric->file_fd, &file, sizeof(file), 0);
	bool is_old = n == sizeof(file) && file.version != SHM_VERSION &&
		      !memcmp(file.magic, fabric_magic, sizeof(file.magic));

	if (n == 0 || (is_old && create && is_left(fabric))) {
		memcpy(file.magic, fabric_magic, sizeof(file.magic));
		file.version = SHM_VERSION;
		n = pwrite(fabric->file_fd, &file, sizeof(file), 0);
	}
	if (n < 0)
		return shm_fail(error, -errno, "%s/fabric: %s", fabric->path,
				strerror(errno));
	if ((size_t)n < offsetof(struct fabric_file, rsvd0c) ||
	    memcmp(file.magic, fabric_magic, sizeof(file.magic)) != 0)
		return shm_fail(error, -EPROTO,
				"%s/fabric is not the file of a fabric",
				fabric->path);
	if (file.version != SHM_VERSION || n != sizeof(file))
		return shm_fail(error, -EPROTO,
				"fabric %s is of version %u, this program "
				"speaks version %u; it can be taken over when "
				"no NIC of that version is left in it",
				fabric->path, file.version, SHM_VERSION);
	return 0;
}

static int open_file(struct shm_fabric *fabric, bool create,
		     const struct shm_error *error)
{
	int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (create ? O_CREAT : 0);
	int status;

	fabric->file_fd = openat(fabric->dir_fd, "fabric", flags, 0600);
	if (fabric->file_fd < 0)
		return shm_fail(error, -errno, "%s/fabric: %s", fabric->path,
				strerror(errno));
	if (shm_fabric_lock(fabric, 2000) < 0)
		return shm_fail(error, -ETIMEDOUT,
				"%s/fabric is locked for 2 s by a process that "
				"does not move",
				fabric->path);
	status = check_version(fabric, create, error);
	shm_fabric_unlock(fabric);
	return status;
}

/*
 * Open the directory of a fabric and nothing else: no version, no lock. Returns
 * 0 or the errors of wire_shm_attach.
 */
int shm_fabric_peek(struct shm_fabric *fabric, const char *dir)
{
	const struct shm_error error = {NULL, 0};
	int status;

	fabric->dir_fd = -1;
	fabric->file_fd = -1;
	status = choose_path(fabric, dir, &error);
	if (!status)
		status = open_dir(fabric, false, &error);
	if (status)
		shm_fabric_close(fabric);
	return status;
}

/*
 * Open the fabric that wire_shm_attach's dir names, make it if asked to.
 * Returns 0 or the errors of wire_shm_attach.
 */
int shm_fabric_open(struct shm_fabric *fabric, const char *dir, bool create,
		    const struct shm_error *error)
{
	int status;

	fabric->dir_fd = -1;
	fabric->file_fd = -1;
	status = choose_path(fabric, dir, error);
	if (!status)
		status = open_dir(fabric, create, error);
	if (!status)
		status = open_file(fabric, create, error);
	if (status)
		shm_fabric_close(fabric);
	return status;
}

void shm_fabric_close(struct shm_fabric *fabric)
{
	if (fabric->file_fd >= 0)
		close(fabric->file_fd);
	if (fabric->dir_fd >= 0)
		close(fabric->dir_fd);
	fabric->file_fd = -1;
	fabric->dir_fd = -1;
}

/*
 * The lock is released by hand, never by closing: a child that was forked
 * meanwhile holds the same lock through its copy of the descriptor.
 * Returns 0, or -ETIMEDOUT when somebody else held it all the time.
 */
int shm_fabric_lock(struct shm_fabric *fabric, unsigned patience_ms)
{
	static const struct timespec millisecond = {.tv_nsec = 1000000};

	for (unsigned i = 0;; i++) {
		if (!flock(fabric->file_fd, LOCK_EX | LOCK_NB))
			return 0;
		if (i == patience_ms)
			return -ETIMEDOUT;
		nanosleep(&millisecond, NULL);
	}
}

void shm_fabric_unlock(struct shm_fabric *fabric)
{
	flock(fabric->file_fd, LOCK_UN);
}

/*
 * A number that no NIC of this fabric had before, so that a reused LID is not
 * mistaken for its former owner. Requires: locked. Returns 0 or -errno.
 */
int shm_fabric_next_generation(struct shm_fabric *fabric, uint64_t *generation)
{
	const off_t at = offsetof(struct fabric_file, generation);
	uint64_t value;

	if (pread(fabric->file_fd, &value, sizeof(value), at) != sizeof(value))
		return -EIO;
	value++;
	if (pwrite(fabric->file_fd, &value, sizeof(value), at) != sizeof(value))
		return -ENOSPC;
	*generation = value;
	return 0;
}
