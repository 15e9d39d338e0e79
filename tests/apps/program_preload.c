/* SPDX-License-Identifier: MIT */
/*
 * What programs do to a machine with NICs, one thing a subcommand. Exit status
 * 0: all was as on a real machine; else the line that was not is told.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLASS  "/sys/class/infiniband"
#define GUID   CLASS "/mlx5_0/node_guid"
#define DEVICE "/dev/infiniband/uverbs0"

static int fails(const char *what, int line)
{
	fprintf(stderr, "line %d: %s (%s)\n", line, what, strerror(errno));
	return 1;
}

/* In functions that return an exit status. */
#define CHECK(condition)                                                       \
	do {                                                                   \
		if (!(condition))                                              \
			return fails(#condition, __LINE__);                    \
	} while (0)

static bool read_file(const char *name, char text[256])
{
	FILE *file = fopen(name, "r");
	bool good = file && fgets(text, 256, file);

	if (file)
		fclose(file);
	return good;
}

/* ------------------------------------------------------ before any library */

static char early_guid[32];

/* Runs before the constructors of all libraries; gets main()'s arguments. */
static void early(int argc, char **argv)
{
	int fd;

	if (argc < 2 || strcmp(argv[1], "early") != 0)
		return;
	fd = open(GUID, O_RDONLY);
	if (fd >= 0 && read(fd, early_guid, sizeof(early_guid) - 1) < 0)
		early_guid[0] = '\0';
	if (fd >= 0)
		close(fd);
}

static void (*const run_early)(int, char **)
	__attribute__((section(".preinit_array"), used)) = early;

static int early_test(void)
{
	char text[256];

	CHECK(read_file(GUID, text));
	CHECK(!strcmp(text, early_guid));
	CHECK(!getenv("BELFRY_FABRIC") || !strncmp(early_guid, "02be:", 5));
	return 0;
}

/* -------------------------------------------------------------- names --- */

static int is_device(const struct stat *st)
{
	CHECK(S_ISCHR(st->st_mode));
	CHECK(major(st->st_rdev) == 231 && minor(st->st_rdev) == 192);
	return 0;
}

static int stats(void)
{
	int (*old_stat)(int, const char *, struct stat *) =
		(int (*)(int, const char *, struct stat *))dlsym(RTLD_DEFAULT,
								 "__xstat");
	struct statx stx;
	struct stat st;

	CHECK(!stat(DEVICE, &st) && !is_device(&st));
	CHECK(!lstat(DEVICE, &st) && !is_device(&st));
	CHECK(!fstatat(AT_FDCWD, "/dev//infiniband/./uverbs0", &st, 0) &&
	      !is_device(&st));
	CHECK(!stat("/dev/char/231:192", &st) && !is_device(&st));
	CHECK(!old_stat || (!old_stat(1, DEVICE, &st) && !is_device(&st)));
	CHECK(!statx(AT_FDCWD, DEVICE, 0, STATX_ALL, &stx));
	CHECK(S_ISCHR(stx.stx_mode) && stx.stx_rdev_minor == 192);
	CHECK(stat("/dev/infiniband/uverbs1", &st) && errno == ENOENT);
	CHECK(stat("/dev/infiniband/rdma_cm", &st) && errno == ENOENT);
	CHECK(stat("/dev/infiniband/umad0", &st) && errno == ENOENT);
	CHECK(!stat(CLASS "/mlx5_0", &st) && S_ISDIR(st.st_mode));
	CHECK(!lstat(CLASS "/mlx5_0", &st) && S_ISLNK(st.st_mode));
	CHECK(!lstat(CLASS "/mlx5_0/", &st) && S_ISDIR(st.st_mode));
	CHECK(!stat(CLASS "/..", &st) && S_ISDIR(st.st_mode));
	CHECK(stat(CLASS "x", &st) && errno == ENOENT);
	CHECK(stat("", &st) && errno == ENOENT);
	return 0;
}

static int names(void)
{
	char path[PATH_MAX], link[256] = "";
	char *made;

	CHECK(!access(DEVICE, R_OK | W_OK) && access(DEVICE, X_OK));
	CHECK(!faccessat(AT_FDCWD, GUID, R_OK, 0) && !euidaccess(GUID, R_OK));
	CHECK(realpath(CLASS "/mlx5_0/device", path));
	CHECK(!strcmp(path, "/sys/devices/pcibe1f:00/be1f:01:00.0"));
	made = realpath("/sys/bus/pci/devices/be1f:01:00.0", NULL);
	CHECK(made && !strcmp(path, made));
	free(made);
	made = canonicalize_file_name(DEVICE);
	CHECK(made && !strcmp(made, DEVICE));
	free(made);
	CHECK(readlink(CLASS "/mlx5_0", link, sizeof(link)) > 0);
	CHECK(!strncmp(link, "../../devices/pcibe1f:00/", 25));
	CHECK(readlinkat(AT_FDCWD, CLASS "/mlx5_0/device", link, sizeof(link)) >
	      0);
	CHECK(!strncmp(link, "../../../be1f:01:00.0", 21));
	return 0;
}

static int opens(void)
{
	int dir = open(CLASS "/mlx5_0", O_RDONLY | O_DIRECTORY), fd, n;
	char text[256], own[PATH_MAX], name[64];
	struct dirent **list;
	ssize_t len;
	DIR *opened;

	CHECK(dir >= 0);
	fd = openat(dir, "device/vendor", O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, 7) == 7 &&
	      !memcmp(text, "0x15b3\n", 7));
	/* The name of what is open is the kernel's. */
	snprintf(name, sizeof(name), "/proc/self/fd/%d", dir);
	len = readlink(name, own, sizeof(own) - 1);
	CHECK(len > 0);
	own[len] = '\0';
	CHECK(!strncmp(own, "/sys/devices/pcibe1f:00/", 24));
	close(fd);
	close(dir);
	n = scandir(CLASS, &list, NULL, alphasort);
	CHECK(n == 3 && !strcmp(list[2]->d_name, "mlx5_0"));
	opened = opendir("/dev/infiniband");
	CHECK(opened && readdir(opened));
	closedir(opened);
	CHECK(!chdir("/sys/class/infiniband_verbs/uverbs0"));
	CHECK(read_file("ibdev", text) && !strcmp(text, "mlx5_0\n"));
	CHECK(read_file("/sys/class/infiniband_verbs/abi_version", text));
	CHECK(!strcmp(text, "6\n"));
	fd = inotify_init();
	CHECK(inotify_add_watch(fd, "/dev/infiniband", IN_CREATE) > 0);
	close(fd);
	/* From above. */
	CHECK(!chdir("/sys/class"));
	CHECK(read_file("infiniband/mlx5_0/device/vendor", text));
	CHECK(read_file("./infiniband_verbs/abi_version", text));
	CHECK(!access("infiniband/", F_OK) && access("infiniband/x", F_OK));
	dir = open("/", O_RDONLY | O_DIRECTORY);
	CHECK(!faccessat(dir, "sys/class/infiniband/mlx5_0", F_OK, 0));
	fd = openat(dir, "sys/bus/pci/devices/be1f:01:00.0/class", O_RDONLY);
	CHECK(fd >= 0);
	close(fd);
	close(dir);
	/* Not by a way that is not seen. */
	dir = open("/dev/infiniband", O_RDONLY | O_DIRECTORY);
	CHECK(openat(dir, "uverbs0", O_RDWR) < 0);
	close(dir);
	return 0;
}

static int paths(void)
{
	CHECK(socket(AF_NETLINK, SOCK_RAW, NETLINK_RDMA) < 0 &&
	      errno == EPROTONOSUPPORT);
	return stats() || names() || opens();
}

/* ---------------------------------------------------------- descriptors */

/* Of files in the fabric, as the kernel counts them. */
static int count_internal(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char link[256];
	int count = 0;
	ssize_t len;

	while (dir && (entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, link,
				 sizeof(link) - 1);
		link[len > 0 ? len : 0] = '\0';
		count += strstr(link, "/wake.") != NULL;
	}
	if (dir)
		closedir(dir);
	return count;
}

static int close_all(void)
{
	char before[256], after[256];
	struct rlimit limit;

	CHECK(read_file(GUID, before));
	CHECK(count_internal() == 1);
	CHECK(!getrlimit(RLIMIT_NOFILE, &limit));
	for (rlim_t fd = 3; fd < limit.rlim_cur && fd < 1 << 16; fd++)
		close((int)fd);
	CHECK(count_internal() == 1);
	CHECK(!close_range(3, ~0u, 0));
	closefrom(3);
	CHECK(count_internal() == 1);
	CHECK(read_file(GUID, after) && !strcmp(before, after));
	return 0;
}

/* A descriptor table that is full is no reason to have no NIC later. */
static int few_descriptors(void)
{
	struct rlimit limit = {64, 64};
	char text[256];

	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	CHECK(read_file(GUID, text));
	return 0;
}

/* ------------------------------------------------------------ processes */

static int wait_for(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A child has a NIC of its own, and the parent's stays. */
static int fork_test(void)
{
	char mine[256], again[256], childs[256];
	pid_t child;

	CHECK(read_file(GUID, mine));
	child = fork();
	if (!child) {
		CHECK(count_internal() == 0);
		if (!read_file(GUID, childs) || !strcmp(mine, childs))
			exit(2);
		exit(count_internal() != 1);
	}
	CHECK(wait_for(child) == 0);
	CHECK(read_file(GUID, again) && !strcmp(mine, again));
	CHECK(count_internal() == 1);
	return 0;
}

static int vfork_test(char *self)
{
	char *const argv[] = {self, "names", NULL};
	char mine[256], again[256];
	pid_t child;

	CHECK(read_file(GUID, mine));
	child = vfork(); /* NOLINT: what many programs do before exec() */
	if (!child) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Vfork) */
		for (int fd = 3; fd < 1024; fd++)
			close(fd);
		execv(self, argv);
		_exit(9);
	}
	CHECK(wait_for(child) == 0);
	CHECK(system("exit 7") == 7 << 8);
	CHECK(read_file(GUID, again) && !strcmp(mine, again));
	CHECK(count_internal() == 1);
	return 0;
}

/* In the new image: what the old one had is not there any more. */
static int execed(const char *fabric, const char *before)
{
	char name[PATH_MAX], text[256];
	struct dirent *entry;
	DIR *dir = opendir(fabric);

	CHECK(dir);
	while ((entry = readdir(dir))) {
		snprintf(name, sizeof(name), "tree.%d.", getpid());
		CHECK(strncmp(entry->d_name, name, strlen(name)) != 0);
		CHECK(strncmp(entry->d_name, "nic.", 4) != 0);
	}
	closedir(dir);
	CHECK(read_file(GUID, text) && strcmp(text, before) != 0);
	return 0;
}

static int exec_test(char *self, char *fabric)
{
	char guid[256];
	char *const argv[] = {self, "execed", fabric, guid, NULL};

	CHECK(read_file(GUID, guid));
	CHECK(!execv(self, argv));
	return 1;
}

/* The daemon's word goes to file, once it has closed all and found its NIC. */
static int daemon_test(const char *file)
{
	char guid[256];
	FILE *out;

	CHECK(read_file(GUID, guid));
	if (fork())
		_exit(0);
	setsid();
	if (fork())
		_exit(0);
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	if (open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2)
		return 1;
	if (!read_file(GUID, guid))
		return 1;
	out = fopen(file, "w");
	fputs(guid, out);
	fclose(out);
	return 0;
}

/* -------------------------------------------------------------- threads */

static void *look(void *text)
{
	return read_file(GUID, text) ? text : NULL;
}

static int threads_test(void)
{
	static char texts[16][256];
	pthread_t threads[16];
	void *result;

	for (unsigned i = 0; i < 16; i++)
		CHECK(!pthread_create(&threads[i], NULL, look, texts[i]));
	for (unsigned i = 0; i < 16; i++) {
		CHECK(!pthread_join(threads[i], &result) && result);
		CHECK(!strcmp(texts[i], texts[0]));
	}
	CHECK(count_internal() == 1);
	return 0;
}

/* Make the NIC, say so, and stay until somebody ends us. */
static int stay(void)
{
	char guid[256];

	CHECK(read_file(GUID, guid));
	fputs(guid, stdout);
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "early"))
		return early_test();
	if (!strcmp(what, "paths"))
		return paths();
	if (!strcmp(what, "names"))
		return names();
	if (!strcmp(what, "close-all"))
		return close_all();
	if (!strcmp(what, "few-descriptors"))
		return few_descriptors();
	if (!strcmp(what, "fork"))
		return fork_test();
	if (!strcmp(what, "vfork"))
		return vfork_test(argv[0]);
	if (!strcmp(what, "exec") && argc > 2)
		return exec_test(argv[0], argv[2]);
	if (!strcmp(what, "execed") && argc > 3)
		return execed(argv[2], argv[3]);
	if (!strcmp(what, "daemon") && argc > 2)
		return daemon_test(argv[2]);
	if (!strcmp(what, "threads"))
		return threads_test();
	if (!strcmp(what, "stay"))
		return stay();
	fprintf(stderr, "usage: %s SUBCOMMAND\n", argv[0]);
	return 2;
}
