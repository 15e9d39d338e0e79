/* SPDX-License-Identifier: MIT */
/*
 * The NICs of a fabric: who has which LID, who is alive, and the removal of
 * what the dead left behind.
 *
 * Source of truth: pidfd_open(2) (a pidfd is readable when the whole process
 * has ended, also while it is a zombie), proc(5) for the start time.
 *
 * Thread: any; joining, leaving and sweeping happen under the fabric's lock.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "emu/order_shm.h"
#include "emu/wire_shm_nic.h"

static const uint64_t nic_magic = 0x62656c6672796e63; /* "belfrync" */

/*
 * Field 22 of /proc/<pid>/stat, counted behind the last parenthesis because
 * the program's name may hold spaces. 0 if it cannot be read.
 */
uint64_t shm_process_start(int32_t pid)
{
	char name[SHM_NAME_MAX], text[1024];
	unsigned long long start = 0;
	const char *rest;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	rest = strrchr(text, ')');
	if (!rest ||
	    sscanf(rest + 1,
		   " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
		   " %*s %*s %*s %*s %*s %llu",
		   &start) != 1)
		return 0;
	return start;
}

/* Returns a pidfd; -ESRCH if the process has ended; or -errno. */
static int process_open(int32_t pid, uint64_t start)
{
	struct pollfd ended = {.events = POLLIN};
	uint64_t now;

	if (pid <= 0)
		return -ESRCH;
	ended.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (ended.fd < 0)
		return errno == EINVAL ? -ESRCH : -errno;
	now = shm_process_start(pid);
	if (poll(&ended, 1, 0) == 1 || (start && now && now != start)) {
		close(ended.fd);
		return -ESRCH;
	}
	return ended.fd;
}

/* Has the process that started then ended? In doubt it has not. */
bool shm_process_ended(int32_t pid, uint64_t start)
{
	int fd = process_open(pid, start);

	if (fd >= 0)
		close(fd);
	return fd == -ESRCH;
}

static void nic_name(char name[SHM_NAME_MAX], uint16_t lid)
{
	snprintf(name, SHM_NAME_MAX, "nic.%u", lid);
}

void shm_wake_name(char name[SHM_NAME_MAX], uint16_t lid)
{
	snprintf(name, SHM_NAME_MAX, "wake.%u", lid);
}

static struct shm_nic *map_nic(int fd)
{
	struct shm_nic *nic = mmap(NULL, sizeof(*nic), PROT_READ | PROT_WRITE,
				   MAP_SHARED, fd, 0);

	return nic == MAP_FAILED ? NULL : nic;
}

void shm_nic_unmap(struct shm_nic *nic)
{
	munmap(nic, sizeof(*nic));
}

static struct shm_nic *open_header(const struct shm_fabric *fabric,
				   uint16_t lid)
{
	struct shm_nic *nic = NULL;
	char name[SHM_NAME_MAX];
	struct stat st;
	int fd;

	nic_name(name, lid);
	fd = openat(fabric->dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && (size_t)st.st_size >= sizeof(*nic))
		nic = map_nic(fd);
	close(fd);
	return nic;
}

/*
 * Open the header of the NIC with this LID. Returns 0; -EHOSTUNREACH if there
 * is none, it has left, or its process has ended; -errno if the host cannot
 * say (too many open files).
 */
int shm_nic_open(const struct shm_fabric *fabric, uint16_t lid,
		 struct shm_nic_ref *ref)
{
	int status = -EHOSTUNREACH;

	if (lid < 1 || lid > SHM_NICS_MAX)
		return -EHOSTUNREACH;
	ref->shared = open_header(fabric, lid);
	if (!ref->shared)
		return -EHOSTUNREACH;
	ref->id = ref->shared->id;
	nic_order_shm_copied();
	if (ref->shared->magic != nic_magic ||
	    ref->shared->version != SHM_VERSION || ref->id.lid != lid ||
	    nic_order_shm_gone(&ref->shared->gone))
		goto out_unmap;
	ref->pid_fd = process_open(ref->id.pid, ref->id.pid_start);
	if (ref->pid_fd >= 0)
		return 0;
	if (ref->pid_fd != -ESRCH)
		status = ref->pid_fd;
out_unmap:
	shm_nic_unmap(ref->shared);
	ref->shared = NULL;
	return status;
}

void shm_nic_close(struct shm_nic_ref *ref)
{
	if (ref->shared)
		shm_nic_unmap(ref->shared);
	if (ref->pid_fd >= 0)
		close(ref->pid_fd);
	ref->shared = NULL;
	ref->pid_fd = -1;
}

/*
 * A ring outlives its sender: its last packets (the acknowledgement of
 * somebody's request, then a proper exit) are still to be delivered, and the
 * receiver removes the name. Names that are not ours are left alone.
 */
static bool is_stale(const char *name, const bool alive[SHM_NICS_MAX + 1])
{
	unsigned lid, src;

	if (sscanf(name, "nic.%u", &lid) != 1 &&
	    sscanf(name, "wake.%u", &lid) != 1 &&
	    sscanf(name, "ring.%u.%u", &src, &lid) != 2)
		return false;
	return lid <= SHM_NICS_MAX && !alive[lid];
}

/*
 * Find out who is alive and remove the files of all others. In doubt (the
 * host cannot say) a NIC counts as alive. Requires: locked.
 */
void shm_fabric_sweep(struct shm_fabric *fabric, bool alive[SHM_NICS_MAX + 1])
{
	struct shm_nic_ref ref;
	struct dirent *entry;
	DIR *dir;
	int fd;

	alive[0] = false;
	for (unsigned lid = 1; lid <= SHM_NICS_MAX; lid++) {
		int status = shm_nic_open(fabric, (uint16_t)lid, &ref);

		alive[lid] = status != -EHOSTUNREACH;
		if (!status)
			shm_nic_close(&ref);
	}
	fd = openat(fabric->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (is_stale(entry->d_name, alive))
			unlinkat(fabric->dir_fd, entry->d_name, 0);
	closedir(dir);
}

/*
 * Wake the NIC if it sleeps, after something was published for it. For those
 * who have no descriptor of its FIFO; see shm_peer_wake().
 */
void shm_nic_wake(const struct shm_fabric *fabric, struct shm_nic_ref *ref)
{
	char name[SHM_NAME_MAX];
	int fd;

	shm_wake_name(name, ref->id.lid);
	fd = openat(fabric->dir_fd, name,
		    O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	if (nic_order_shm_take_asleep(&ref->shared->asleep))
		(void)!write(fd, "", 1);
	close(fd);
}

/* Tell every other NIC that this one's files have something new to say. */
static void tell_others(struct shm_fabric *fabric, uint16_t lid)
{
	struct shm_nic_ref ref;

	for (unsigned other = 1; other <= SHM_NICS_MAX; other++) {
		if (shm_nic_open(fabric, (uint16_t)other, &ref))
			continue;
		nic_order_shm_attention(&ref.shared->attention[(lid - 1u) / 64],
					1ull << (lid - 1u) % 64);
		shm_nic_wake(fabric, &ref);
		shm_nic_close(&ref);
	}
}

/* Is that NIC one of this process, and not gone? */
static bool is_own(const struct shm_nic *nic)
{
	return nic->magic == nic_magic && nic->version == SHM_VERSION &&
	       nic->id.pid == getpid() &&
	       nic->id.pid_start == shm_process_start(getpid()) &&
	       !nic_order_shm_gone(&nic->gone);
}

/*
 * Has this process a NIC in the fabric? Without a lock, for a directory that
 * was only peeked at.
 */
bool shm_fabric_has_own(const struct shm_fabric *fabric)
{
	int fd =
		openat(fabric->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool found = false;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && !found && (entry = readdir(dir))) {
		struct shm_nic *nic;
		unsigned lid;

		if (sscanf(entry->d_name, "nic.%u", &lid) != 1 ||
		    lid > SHM_NICS_MAX)
			continue;
		nic = open_header(fabric, (uint16_t)lid);
		found = nic && is_own(nic);
		if (nic)
			shm_nic_unmap(nic);
	}
	if (dir)
		closedir(dir);
	return found;
}

/*
 * The NICs that this process has in the fabric are not served any more: it has
 * become another program by exec(). Their peers see them leave.
 */
void shm_fabric_leave_all(struct shm_fabric *fabric)
{
	for (unsigned lid = 1; lid <= SHM_NICS_MAX; lid++) {
		struct shm_nic *nic = open_header(fabric, (uint16_t)lid);

		if (nic && is_own(nic)) {
			nic_order_shm_set_gone(&nic->gone);
			tell_others(fabric, (uint16_t)lid);
		}
		if (nic)
			shm_nic_unmap(nic);
	}
	shm_nic_leave(fabric);
}

/*
 * An EUI-64 with the "locally administered" bit: the generation makes it
 * unique in the fabric, the directory's inode mostly unique among fabrics.
 */
static uint64_t make_guid(const struct shm_fabric *fabric, uint64_t generation)
{
	struct stat st = {.st_ino = 0};

	fstat(fabric->dir_fd, &st);
	return 0x02be000000000000 | (uint64_t)(st.st_ino & 0xffff) << 32 |
	       (generation & 0xffffffff);
}

static void set_gid(struct shm_nic_id *id, uint64_t guid)
{
	id->gid[0] = 0xfe;
	id->gid[1] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		id->gid[8 + i] = (uint8_t)(guid >> (56 - 8 * i));
}

static int make_id(struct shm_fabric *fabric, uint16_t lid, uint64_t guid,
		   struct shm_nic_id *id)
{
	int status;

	memset(id, 0, sizeof(*id));
	id->lid = lid;
	id->pid = getpid();
	id->pid_start = shm_process_start(id->pid);
	status = shm_fabric_next_generation(fabric, &id->generation);
	set_gid(id, guid ? guid : make_guid(fabric, id->generation));
	return status;
}

/*
 * The file appears under its name complete, because those who resolve do not
 * take the lock. It gets its pages now: writing to a full file system later
 * would be a SIGBUS.
 */
static int make_header(struct shm_fabric *fabric, const struct shm_nic_id *id,
		       struct shm_nic **nic)
{
	char name[SHM_NAME_MAX], new_name[SHM_NAME_MAX + 4];
	int status, fd;

	nic_name(name, id->lid);
	snprintf(new_name, sizeof(new_name), "%s.new", name);
	fd = openat(fabric->dir_fd, new_name,
		    O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	status = -posix_fallocate(fd, 0, sizeof(**nic));
	*nic = status ? NULL : map_nic(fd);
	close(fd);
	if (!*nic)
		return status ? status : -ENOMEM;
	(*nic)->magic = nic_magic;
	(*nic)->version = SHM_VERSION;
	(*nic)->id = *id;
	if (!renameat(fabric->dir_fd, new_name, fabric->dir_fd, name))
		return 0;
	status = -errno;
	shm_nic_unmap(*nic);
	return status;
}

static uint16_t lowest_free(const bool alive[SHM_NICS_MAX + 1])
{
	for (unsigned lid = 1; lid <= SHM_NICS_MAX; lid++)
		if (!alive[lid])
			return (uint16_t)lid;
	return 0;
}

static int join_locked(struct shm_fabric *fabric, uint64_t guid,
		       struct shm_nic **nic, struct shm_nic_id *id,
		       const struct shm_error *error)
{
	bool alive[SHM_NICS_MAX + 1];
	char name[SHM_NAME_MAX];
	uint16_t lid;
	int status;

	shm_fabric_sweep(fabric, alive);
	lid = lowest_free(alive);
	if (!lid)
		return shm_fail(error, -ENOSPC,
				"fabric %s has %d NICs, which is its limit",
				fabric->path, SHM_NICS_MAX);
	shm_wake_name(name, lid);
	status = make_id(fabric, lid, guid, id);
	if (!status && mkfifoat(fabric->dir_fd, name, 0600) < 0)
		status = -errno;
	if (!status)
		status = make_header(fabric, id, nic);
	if (status)
		shm_fail(error, status, "fabric %s: no files for NIC %u: %s",
			 fabric->path, lid, strerror(-status));
	return status;
}

/*
 * Take the lowest free LID; guid 0: make one up. From the return on, peers can
 * find the NIC.
 * Returns 0 or the errors of wire_shm_attach.
 */
int shm_nic_join(struct shm_fabric *fabric, uint64_t guid, struct shm_nic **nic,
		 struct shm_nic_id *id, const struct shm_error *error)
{
	int self = process_open(getpid(), 0);
	int status;

	if (self < 0)
		return shm_fail(error, self,
				"this host cannot watch processes "
				"(pidfd_open): %s",
				strerror(-self));
	close(self);
	if (shm_fabric_lock(fabric, 2000) < 0)
		return shm_fail(error, -ETIMEDOUT, "fabric %s stays locked",
				fabric->path);
	status = join_locked(fabric, guid, nic, id, error);
	shm_fabric_unlock(fabric);
	return status;
}

/*
 * Remove the files of a NIC that has set its "gone" mark. If the directory
 * stays locked, whoever joins next does it.
 */
void shm_nic_leave(struct shm_fabric *fabric)
{
	bool alive[SHM_NICS_MAX + 1];

	if (shm_fabric_lock(fabric, 2000) < 0)
		return;
	shm_fabric_sweep(fabric, alive);
	shm_fabric_unlock(fabric);
}
