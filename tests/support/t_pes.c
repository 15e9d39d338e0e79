/* SPDX-License-Identifier: MIT */
/*
 * PEs for tests: see t_pes.h.
 */
#include "support/t_pes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PES_MAX = 16 };

const char *t_backend_name(void)
{
	const char *name = getenv("GDA_BACKEND");

	return name ? name : "emu";
}

bool t_is_emu(void)
{
	return !strcmp(t_backend_name(), "emu");
}

void t_emu_options(struct gda_config *config, const char *persona,
		   uint32_t start_counter)
{
	if (!t_is_emu())
		return;
	config->emu.persona = persona;
	config->emu.start_counter = start_counter;
}

void t_config(struct gda_config *config)
{
	extern char **environ;
	char **saved = environ;
	char *nothing = NULL;

	environ = &nothing;
	gda_config_load(config);
	environ = saved;
	config->backend = t_backend_name();
	config->heap_bytes = 1 << 20;
	config->timeout_ms = 20000;
	config->op_timeout_ms = 20000;
}

/* -------------------------------------------------------------- threads */

struct runner {
	struct gda_config config;
	struct t_pe pe;
	t_pe_fn *fn;
	size_t bytes;
	pthread_t thread;
};

static void init(struct runner *runner)
{
	struct t_pe *pe = &runner->pe;

	pe->pe = runner->config.pe;
	pe->npes = runner->config.npes;
	pe->init_rc = gda_init(&runner->config, &pe->gda);
	if (!pe->init_rc)
		pe->dev = gda_device(pe->gda);
}

static void *run_thread(void *arg)
{
	struct runner *runner = arg;
	struct t_pe *pe = &runner->pe;

	init(runner);
	T_EXPECT(pe, pe->init_rc == 0);
	if (pe->init_rc)
		return NULL;
	runner->fn(pe);
	T_EXPECT(pe, gda_finalize(pe->gda) == 0);
	return NULL;
}

static void *start_thread(void *arg)
{
	struct runner *runner = arg;
	struct t_pe *pe = &runner->pe;

	init(runner);
	T_EXPECT(pe, pe->init_rc == 0);
	if (!pe->init_rc)
		pe->arg = gda_calloc(pe->gda, 1, runner->bytes);
	T_EXPECT(pe, pe->arg != NULL);
	return NULL;
}

static void *stop_thread(void *arg)
{
	struct t_pe *pe = arg;

	T_EXPECT(pe, gda_finalize(pe->gda) == 0);
	return NULL;
}

static void run_all(struct runner *runners, int npes, void *(*fn)(void *))
{
	int i;

	for (i = 0; i < npes; i++)
		pthread_create(&runners[i].thread, NULL, fn, &runners[i]);
	for (i = 0; i < npes; i++)
		pthread_join(runners[i].thread, NULL);
}

int t_pes_run(const struct gda_config *config, int npes, t_pe_fn *fn, void *arg)
{
	struct gda_local_group *group = gda_local_group_create(npes);
	struct runner runners[PES_MAX] = {0};
	int i, failures = 0;

	for (i = 0; i < npes; i++) {
		runners[i].config = *config;
		runners[i].config.group = group;
		runners[i].config.npes = npes;
		runners[i].config.pe = i;
		runners[i].pe.arg = arg;
		runners[i].fn = fn;
	}
	run_all(runners, npes, run_thread);
	for (i = 0; i < npes; i++)
		failures += runners[i].pe.failures;
	gda_local_group_free(group);
	return failures;
}

/* One group at a time is started and stopped. */
static struct gda_local_group *started_group;

int t_pes_start(const struct gda_config *config, int npes, size_t bytes,
		struct t_pe *pes)
{
	struct runner runners[PES_MAX] = {0};
	int i, failures = 0;

	started_group = gda_local_group_create(npes);
	for (i = 0; i < npes; i++) {
		runners[i].config = *config;
		runners[i].config.group = started_group;
		runners[i].config.npes = npes;
		runners[i].config.pe = i;
		runners[i].config.emu.progress = GDA_PROGRESS_HOOK;
		runners[i].bytes = bytes;
	}
	run_all(runners, npes, start_thread);
	for (i = 0; i < npes; i++) {
		pes[i] = runners[i].pe;
		failures += pes[i].failures;
	}
	return failures;
}

int t_pes_stop(struct t_pe *pes, int npes)
{
	pthread_t threads[PES_MAX];
	int i, failures = 0;

	for (i = 0; i < npes; i++)
		pthread_create(&threads[i], NULL, stop_thread, &pes[i]);
	for (i = 0; i < npes; i++) {
		pthread_join(threads[i], NULL);
		failures += pes[i].failures;
	}
	gda_local_group_free(started_group);
	return failures;
}

/* ------------------------------------------------------------ processes */

void t_free_root(char *buf, size_t size)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) ||
	    getsockname(fd, (struct sockaddr *)&at, &len))
		perror("t_free_root");
	close(fd);
	snprintf(buf, size, "127.0.0.1:%u", ntohs(at.sin_port));
}

/* In the child: the exit status is the number of failures. */
static void run_process(struct runner *runner)
{
	struct t_pe *pe = &runner->pe;

	alarm(100);
	init(runner);
	runner->fn(pe);
	if (pe->gda)
		gda_finalize(pe->gda);
	fflush(NULL);
	exit(pe->failures < 100 ? pe->failures : 100);
}

static int wait_for(pid_t pid)
{
	int status = 0;

	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status)) {
		if (WTERMSIG(status) == SIGKILL)
			return 0;
		printf("process %d: signal %d\n", pid, WTERMSIG(status));
		return 1;
	}
	return WEXITSTATUS(status);
}

int t_pes_fork(const struct gda_config *config, int npes, t_pe_fn *fn,
	       void *arg)
{
	struct runner runner = {.config = *config, .fn = fn};
	char dir[] = "/tmp/belfry-test-XXXXXX";
	char fabric[64], root[64], command[96];
	pid_t pids[PES_MAX];
	int i, failures = 0;

	t_free_root(root, sizeof(root));
	if (!mkdtemp(dir))
		return 1;
	snprintf(fabric, sizeof(fabric), "%s/fabric", dir);
	runner.config.root = root;
	runner.config.emu.fabric = fabric;
	runner.config.npes = npes;
	runner.pe.arg = arg;
	fflush(NULL);
	for (i = 0; i < npes; i++) {
		runner.config.pe = i;
		pids[i] = fork();
		if (!pids[i])
			run_process(&runner);
	}
	for (i = 0; i < npes; i++)
		failures += wait_for(pids[i]);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return failures + (system(command) != 0);
}
