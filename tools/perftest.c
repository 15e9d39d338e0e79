/* SPDX-License-Identifier: MIT */
/*
 * Starts server and client of perftest, and reads what they print.
 */
#include "tools/perftest.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/options.h"

enum {
	LOOK_US = 5000, /* rarely: who looks takes a core from who measures */
	OUTPUT_MAX = 16384,
};

struct program {
	pid_t pid; /* 0: it has ended, or was not started */
	int status;
	int out, err; /* files in memory */
};

/* --------------------------------------------------------------- output */

bool perftest_read(const char *output, const char *tool, size_t bytes,
		   struct perftest_figures *figures)
{
	bool latency = strstr(tool, "_lat") != NULL;
	double column[4]; /* behind bytes and iterations */
	bool table = false, found = false;
	char row[256];
	const char *line;
	size_t size;
	int n;

	for (line = output; line && *line; line = strchr(line, '\n')) {
		line += strspn(line, "\n ");
		if (!strncmp(line, "#bytes", 6))
			table = true;
		/* Of this line alone: to sscanf() its end is a blank. */
		snprintf(row, sizeof(row), "%.*s", (int)strcspn(line, "\n"),
			 line);
		n = sscanf(row, "%zu %*u %lf %lf %lf %lf", &size, &column[0],
			   &column[1], &column[2], &column[3]);
		if (!table || n < (latency ? 5 : 4) || size != bytes)
			continue;
		/* t_min t_max t_typical t_avg; or peak, average, rate. */
		figures->value = latency ? column[2] : column[1];
		figures->other = latency ? column[3] : column[2];
		found = isfinite(figures->value) && figures->value > 0 &&
			isfinite(figures->other);
	}
	return found;
}

static void read_file(int fd, char text[OUTPUT_MAX])
{
	ssize_t len = pread(fd, text, OUTPUT_MAX - 1, 0);

	text[len > 0 ? len : 0] = '\0';
}

/* Append the lines of a file to said. */
static void tell(int fd, char said[PERFTEST_SAID])
{
	char text[OUTPUT_MAX], *line, *rest;
	size_t len;

	read_file(fd, text);
	for (line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		line += strspn(line, " \t");
		len = strlen(said);
		if (*line)
			snprintf(said + len, PERFTEST_SAID - len, "%s%s",
				 len ? "; " : "", line);
	}
}

/* ------------------------------------------------------------- programs */

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void start(const struct perftest *test, bool client,
		  struct program *program)
{
	char port[16], bytes[24], count[16];
	char *argv[] = {
		"run",
		"--detect",
		(char *)test->detect,
		"--fabric",
		(char *)test->fabric,
		"--",
		(char *)test->tool,
		"-F", /* a clock that varies does not stop it */
		"-p",
		port,
		"-s",
		bytes,
		"-n",
		count,
		client ? "127.0.0.1" : NULL,
		NULL,
	};
	int argc = (int)(sizeof(argv) / sizeof(argv[0])) - (client ? 1 : 2);

	snprintf(port, sizeof(port), "%d", test->port);
	snprintf(bytes, sizeof(bytes), "%zu", test->bytes);
	snprintf(count, sizeof(count), "%u", test->count);
	program->pid = fork();
	if (program->pid < 0) {
		program->pid = 0;
		program->status = W_EXITCODE(EXIT_OWN_FAILURE, 0);
		return;
	}
	if (program->pid)
		return;
	/* Nobody else would end it, were the benchmark interrupted. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0) < 0 ||
	    dup2(program->out, 1) < 0 || dup2(program->err, 2) < 0)
		_exit(EXIT_OWN_FAILURE);
	_exit(test->start(test, client, argc, argv));
}

static bool ended(struct program *program)
{
	if (program->pid &&
	    waitpid(program->pid, &program->status, WNOHANG) == program->pid)
		program->pid = 0;
	return !program->pid;
}

static bool wait_end(struct program *program, double until_s)
{
	while (!ended(program) && now_s() < until_s)
		usleep(LOOK_US);
	return !program->pid;
}

static void end(struct program *program)
{
	if (!program->pid)
		return;
	kill(program->pid, SIGKILL);
	waitpid(program->pid, &program->status, 0);
	program->pid = 0;
}

/* Without connecting, which the server would take for its client. */
static bool listening(int port)
{
	static const char *const tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
	unsigned local, state;
	bool found = false;
	char line[256];

	for (unsigned i = 0; i < 2 && !found; i++) {
		FILE *table = fopen(tables[i], "re");

		while (table && !found && fgets(line, sizeof(line), table))
			found = sscanf(line, " %*[^:]: %*[^:]:%x %*s %x",
				       &local, &state) == 2 &&
				local == (unsigned)port &&
				state == 0x0a; /* TCP_LISTEN */
		if (table)
			fclose(table);
	}
	return found;
}

/* ------------------------------------------------------------------ pair */

/* Returns false if they were not done in time. */
static bool run_pair(const struct perftest *test, struct program *server,
		     struct program *client)
{
	double until_s = now_s() + test->limit_s;

	start(test, false, server);
	while (!ended(server) && !listening(test->port)) {
		if (now_s() > until_s)
			return false;
		usleep(LOOK_US);
	}
	if (!server->pid)
		return true;
	start(test, true, client);
	if (!wait_end(client, until_s))
		return false;
	/* Its server would wait for it for ever. */
	if (client->status)
		return true;
	return wait_end(server, until_s);
}

/* The programs have ended: how? */
static enum perftest_end judge(const struct perftest *test,
			       const struct program *server,
			       const struct program *client,
			       struct perftest_figures *figures, char *said)
{
	char output[OUTPUT_MAX];
	/* A server without its client was killed: the client's comes first. */
	int status = client->status ? client->status : server->status;

	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_FOUND) {
		snprintf(said, PERFTEST_SAID,
			 "%s is not installed (package perftest)", test->tool);
		return PERFTEST_NOT_HERE;
	}
	tell(client->err, said);
	/* emu/uverbs/mapping.c, where nothing can be trapped. */
	if (!strcmp(test->detect, "trap") &&
	    strstr(said, "doorbells are polled"))
		return PERFTEST_NOT_HERE;
	read_file(client->out, output);
	if (!status && perftest_read(output, test->tool, test->bytes, figures))
		return PERFTEST_MEASURED;
	tell(server->err, said);
	if (!*said)
		snprintf(said, PERFTEST_SAID, "%s %d, and no figures",
			 WIFSIGNALED(status) ? "signal" : "exit status",
			 WIFSIGNALED(status) ? WTERMSIG(status)
					     : WEXITSTATUS(status));
	return PERFTEST_FAILED;
}

enum perftest_end perftest_run(const struct perftest *test,
			       struct perftest_figures *figures,
			       char said[PERFTEST_SAID])
{
	struct program server = {.out = -1, .err = -1};
	struct program client = {.out = -1, .err = -1};
	enum perftest_end how = PERFTEST_FAILED;
	int *files[] = {&server.out, &server.err, &client.out, &client.err};
	bool good = true, in_time;

	*said = '\0';
	for (unsigned i = 0; i < 4; i++) {
		*files[i] = memfd_create("perftest", MFD_CLOEXEC);
		good &= *files[i] >= 0;
	}
	if (!good) {
		snprintf(said, PERFTEST_SAID, "memfd_create: %s",
			 strerror(errno));
		goto out;
	}
	in_time = run_pair(test, &server, &client);
	if (!in_time) {
		snprintf(said, PERFTEST_SAID, "not done in %g s",
			 test->limit_s);
		tell(client.err, said);
		tell(server.err, said);
	}
	end(&client);
	end(&server);
	if (in_time)
		how = judge(test, &server, &client, figures, said);
out:
	for (unsigned i = 0; i < 4; i++)
		if (*files[i] >= 0)
			close(*files[i]);
	return how;
}
