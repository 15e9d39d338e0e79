/* SPDX-License-Identifier: MIT */
/*
 * The `belfry` command: dispatch to its subcommands.
 */
#include "tools/belfry.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int help(FILE *out)
{
	fprintf(out, "usage: belfry COMMAND [OPTIONS]\n"
		     "\n"
		     "  run            run a program that uses libibverbs on "
		     "emulated NICs:\n"
		     "                 belfry run -- ibv_devinfo\n"
		     "  env            the environment of such a program, for "
		     "launchers\n"
		     "  devices        the NICs of a fabric, and who has them\n"
		     "  port           take the link of a NIC's port down, or "
		     "up again\n"
		     "  demo           two processes, two emulated ConnectX "
		     "NICs: put, "
		     "get, atomics,\n"
		     "                 put_signal, embedding lookup, and the "
		     "bytes of "
		     "one request\n"
		     "  bench          latency, rate and bandwidth beside a "
		     "yardstick "
		     "of this machine;\n"
		     "                 perftest's too, if that is installed\n"
		     "    --json       the same as JSON\n"
		     "    --quick      a tenth of the work\n"
		     "\n"
		     "belfry COMMAND --help tells the options of run, env, "
		     "devices and port.\n");
	return out == stderr ? 2 : 0;
}

int belfry_free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr =
					      htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int port = -1;

	if (fd < 0)
		return -1;
	if (!bind(fd, (struct sockaddr *)&address, len) &&
	    !getsockname(fd, (struct sockaddr *)&address, &len))
		port = ntohs(address.sin_port);
	close(fd);
	return port;
}

const char *belfry_make_fabric(char path[BELFRY_FABRIC_BYTES])
{
	snprintf(path, BELFRY_FABRIC_BYTES, "/dev/shm/belfry-XXXXXX");
	if (mkdtemp(path))
		return path;
	/* A container may have no /dev/shm. */
	snprintf(path, BELFRY_FABRIC_BYTES, "/tmp/belfry-XXXXXX");
	return mkdtemp(path);
}

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void belfry_remove_tree(const char *path)
{
	nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {
		{"run", belfry_run},	     {"env", belfry_env},
		{"devices", belfry_devices}, {"port", belfry_port},
		{"demo", belfry_demo},	     {"bench", belfry_bench},
	};
	unsigned i;

	if (argc < 2)
		return help(stderr);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help"))
		return help(stdout);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "belfry: '%s' is not a command\n", argv[1]);
	return help(stderr);
}
