/* SPDX-License-Identifier: MIT */
/*
 * PEs that are processes: they meet over TCP and talk over a shm wire. Also
 * everything that can go wrong while they meet, and a PE that is killed.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/t_pes.h"

enum { NPES = 3, BYTES = 300000 };

/* gda_last_error() holds all of these words. */
static bool says(const char *one, const char *two)
{
	return strstr(gda_last_error(), one) && strstr(gda_last_error(), two);
}

static void work(struct t_pe *pe)
{
	uint8_t *inbox, *outbox;
	uint64_t *count;
	int next = (pe->pe + 1) % pe->npes, round, i;

	T_EXPECT(pe, pe->init_rc == 0);
	if (pe->init_rc)
		return;
	inbox = gda_calloc(pe->gda, 1, BYTES);
	outbox = gda_calloc(pe->gda, 1, BYTES);
	count = gda_calloc(pe->gda, 1, sizeof(*count));
	for (round = 1; round <= 20; round++) {
		memset(outbox, pe->pe * 20 + round, BYTES);
		T_EXPECT(pe, !gda_dev_put(pe->dev, inbox, outbox, BYTES, next));
		T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
		for (i = 0; i < BYTES; i += 777)
			T_EXPECT(pe, inbox[i] == (pe->pe + pe->npes - 1) %
								 pe->npes * 20 +
							 round);
		memset(outbox, 0, BYTES);
		T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
		T_EXPECT(pe, !gda_dev_get(pe->dev, outbox, inbox, BYTES, next));
		T_EXPECT(pe, outbox[BYTES - 1] == pe->pe * 20 + round);
		for (i = 0; i < pe->npes; i++)
			T_EXPECT(pe,
				 !gda_dev_atomic_inc_u64(pe->dev, count, i));
		T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
	}
	T_EXPECT(pe, *count == (uint64_t)(20 * pe->npes));
}

static void test_processes_put_get_and_count(void **state)
{
	struct gda_config config;

	(void)state;
	t_config(&config);
	assert_int_equal(t_pes_fork(&config, NPES, work, NULL), 0);
	config.cq_mode = GDA_CQ_RING;
	config.emu.progress = GDA_PROGRESS_RUNNER;
	assert_int_equal(t_pes_fork(&config, 2, work, NULL), 0);
}

/* PE 0 never polls: its NIC is served by the runner. */
static void sleep_or_work(struct t_pe *pe)
{
	uint64_t *word, value = 0;

	T_EXPECT(pe, pe->init_rc == 0);
	if (pe->init_rc)
		return;
	word = gda_calloc(pe->gda, 1, sizeof(*word));
	if (pe->pe == 0)
		*word = 42;
	T_EXPECT(pe, gda_barrier(pe->gda) == 0);
	if (pe->pe) {
		T_EXPECT(pe, gda_dev_g_u64(pe->dev, word, &value, 0) == 0);
		T_EXPECT(pe, value == 42);
	}
	if (!pe->pe)
		usleep(200000);
	T_EXPECT(pe, gda_barrier(pe->gda) == 0);
}

static void test_a_process_that_does_not_poll_is_served(void **state)
{
	struct gda_config config;

	(void)state;
	t_config(&config);
	assert_int_equal(t_pes_fork(&config, 2, sleep_or_work, NULL), 0);
}

/*
 * PEs 0 and 2 go on without the third: neither leaves before the other has
 * done its put. A host barrier cannot hold them, as it fails at once.
 */
static void work_without_the_dead(struct t_pe *pe, uint64_t *words)
{
	int other = pe->pe ^ 2;
	struct gda_qp_error error;

	T_EXPECT(pe, !gda_dev_put(pe->dev, &words[3], &words[3], 8, other));
	T_EXPECT(pe, gda_qp_error(pe->gda, other, 0, &error) == 0);
	T_EXPECT(pe, error.code == 0);
	T_EXPECT(pe, gda_dev_p_u64(pe->dev, &words[pe->pe], 1, other) == 0);
	T_EXPECT(pe, !gda_dev_wait_until_u64(pe->dev, &words[other], GDA_DEV_EQ,
					     1));
	/* Send the word off; its acknowledgement may miss a peer that left. */
	gda_dev_quiet_pe(pe->dev, other);
}

/* PE 1 dies; the others get errors, each on its queue pair to it only. */
static void die_or_notice(struct t_pe *pe)
{
	struct gda_qp_error error;
	uint64_t *word;
	char text[256];
	int i, rc = 0;

	T_EXPECT(pe, pe->init_rc == 0);
	if (pe->init_rc)
		return;
	word = gda_calloc(pe->gda, 4, sizeof(*word));
	/* Not a device barrier: its last message may be still in the queue. */
	T_EXPECT(pe, gda_barrier(pe->gda) == 0);
	if (pe->pe == 1)
		raise(SIGKILL);
	for (i = 0; i < 100000 && !rc; i++)
		rc = gda_dev_put(pe->dev, word, word, 8, 1);
	T_EXPECT(pe, rc == GDA_DEV_EIO);
	T_EXPECT(pe, gda_dev_put(pe->dev, word, word, 8, 1) == GDA_DEV_EIO);
	T_EXPECT(pe, gda_qp_error(pe->gda, 1, 0, &error) == 0);
	T_EXPECT(pe, error.code == GDA_DEV_EIO && error.peer == 1);
	gda_error_string(&error, text, sizeof(text));
	T_EXPECT(pe, strstr(text, "RETRY_EXC") != NULL);
	work_without_the_dead(pe, word);
	rc = gda_barrier(pe->gda);
	T_EXPECT(pe, rc == -ECONNRESET && says("PE 1", "gone"));
	T_EXPECT(pe, gda_barrier(pe->gda) == -ECONNRESET);
}

static void test_a_killed_peer_is_an_error_value(void **state)
{
	struct gda_config config;

	(void)state;
	t_config(&config);
	assert_int_equal(t_pes_fork(&config, NPES, die_or_notice, NULL), 0);
}

/* PE 1 waits where the others allocate. */
static void differ(struct t_pe *pe)
{
	T_EXPECT(pe, pe->init_rc == 0);
	if (pe->init_rc)
		return;
	if (pe->pe == 1) {
		T_EXPECT(pe, gda_barrier(pe->gda) == -EPROTO);
	} else {
		T_EXPECT(pe, !gda_malloc(pe->gda, 8) && errno == EPROTO);
	}
	T_EXPECT(pe, says("PE 1 passed", "collective calls differ"));
}

static void test_collective_calls_that_differ_are_told(void **state)
{
	struct gda_config config;

	(void)state;
	t_config(&config);
	assert_int_equal(t_pes_fork(&config, NPES, differ, NULL), 0);
}

/* ----------------------------------------------------------- rendezvous */

/* What a forked process does instead of t_pes_fork's one run. */
struct plan {
	struct gda_config config;
	int rc;		      /* expected of gda_init */
	const char *words[2]; /* expected in gda_last_error() */
	unsigned delay_ms;
	unsigned kill_ms; /* not 0: it is killed so long after its start */
};

static pid_t start(const struct plan *plan)
{
	struct gda *gda;
	pid_t pid;
	int rc;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	alarm(60);
	usleep(plan->delay_ms * 1000);
	rc = gda_init(&plan->config, &gda);
	if (rc == plan->rc && (!rc || says(plan->words[0], plan->words[1]))) {
		if (!rc)
			gda_finalize(gda);
		exit(0);
	}
	printf("PE %d: gda_init returned %d, expected %d with '%s' and '%s': "
	       "%s\n",
	       plan->config.pe, rc, plan->rc, plan->words[0], plan->words[1],
	       gda_last_error());
	fflush(NULL);
	exit(1);
}

static void run_plans(struct plan *plans, int count)
{
	char dir[] = "/tmp/belfry-test-XXXXXX";
	char root[64], command[96], fabric[64];
	pid_t pids[8];
	int i, status;

	assert_non_null(mkdtemp(dir));
	snprintf(fabric, sizeof(fabric), "%s/fabric", dir);
	t_free_root(root, sizeof(root));
	for (i = 0; i < count; i++) {
		plans[i].config.root = root;
		plans[i].config.emu.fabric = fabric;
		pids[i] = start(&plans[i]);
	}
	for (i = 0; i < count; i++) {
		if (plans[i].kill_ms) {
			usleep(plans[i].kill_ms * 1000);
			kill(pids[i], SIGKILL);
		}
	}
	for (i = 0; i < count; i++) {
		waitpid(pids[i], &status, 0);
		if (!plans[i].kill_ms)
			assert_int_equal(status, 0);
	}
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static struct plan plan(int pe, int npes, int rc, const char *one,
			const char *two)
{
	struct plan p = {.rc = rc, .words = {one, two}};

	t_config(&p.config);
	p.config.pe = pe;
	p.config.npes = npes;
	p.config.timeout_ms = 8000;
	return p;
}

static void test_two_processes_that_claim_a_number_are_both_told(void **state)
{
	struct plan plans[] = {
		plan(0, 3, -EEXIST, "claim PE 1", "process"),
		plan(1, 3, -EEXIST, "claim PE 1", "process"),
		plan(1, 3, -EEXIST, "claim PE 1", "process"),
	};

	(void)state;
	run_plans(plans, 3);
}

static void test_two_processes_that_claim_number_0_are_both_told(void **state)
{
	struct plan plans[] = {
		plan(0, 2, -EEXIST, "claim PE 0", "process"),
		plan(0, 2, -EEXIST, "claim PE 0", "process"),
	};

	(void)state;
	plans[1].delay_ms = 500;
	run_plans(plans, 2);
}

static void test_who_is_missing_is_named(void **state)
{
	struct plan plans[] = {
		plan(0, 6, -ETIMEDOUT, "PE 1, 3-5 did not come", "500 ms"),
		plan(2, 6, -ETIMEDOUT, "PE 1, 3-5 did not come", "500 ms"),
	};

	(void)state;
	plans[0].config.timeout_ms = 500;
	run_plans(plans, 2);
}

static void test_a_missing_root_is_named(void **state)
{
	struct plan plans[] = {
		plan(1, 2, -ETIMEDOUT, "PE 0 did not come", "300 ms")};

	(void)state;
	plans[0].config.timeout_ms = 300;
	run_plans(plans, 1);
}

static void test_another_pe_count_is_told_to_both(void **state)
{
	struct plan plans[] = {
		plan(0, 2, -EPROTO, "counts 3 PEs", "counts 2"),
		plan(1, 3, -EPROTO, "counts 3 PEs", "counts 2"),
	};

	(void)state;
	run_plans(plans, 2);
}

static void test_a_process_that_dies_meanwhile_is_named(void **state)
{
	struct plan plans[] = {
		plan(0, 3, -ECONNRESET, "PE 2", "left before all had come"),
		plan(2, 3, 0, "", ""),
	};

	(void)state;
	plans[1].kill_ms = 700;
	run_plans(plans, 2);
}

static void test_another_job_is_turned_away_and_the_first_goes_on(void **state)
{
	struct plan plans[] = {
		plan(0, 2, 0, "", ""),
		plan(1, 2, -EPROTO, "another job", "GDA_JOB"),
		plan(1, 2, 0, "", ""),
	};

	(void)state;
	plans[1].config.job = "other";
	plans[2].delay_ms = 500;
	run_plans(plans, 3);
}

static void test_pes_with_different_configs_are_told(void **state)
{
	struct plan plans[] = {
		plan(0, 2, -EPROTO, "heap_bytes", "PE 1"),
		plan(1, 2, -EPROTO, "heap_bytes", "PE 0"),
	};

	(void)state;
	plans[1].config.heap_bytes = 2 << 20;
	run_plans(plans, 2);
}

static void test_a_pe_whose_device_fails_ends_it_for_all(void **state)
{
	struct plan plans[] = {
		plan(0, 2, -ECONNRESET, "PE 1", "gone"),
		plan(1, 2, -EINVAL, "persona", "connectx-9"),
	};

	(void)state;
	plans[1].config.emu.persona = "connectx-9";
	run_plans(plans, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processes_put_get_and_count),
		cmocka_unit_test(test_a_process_that_does_not_poll_is_served),
		cmocka_unit_test(test_a_killed_peer_is_an_error_value),
		cmocka_unit_test(test_collective_calls_that_differ_are_told),
		cmocka_unit_test(
			test_two_processes_that_claim_a_number_are_both_told),
		cmocka_unit_test(
			test_two_processes_that_claim_number_0_are_both_told),
		cmocka_unit_test(test_who_is_missing_is_named),
		cmocka_unit_test(test_a_missing_root_is_named),
		cmocka_unit_test(test_another_pe_count_is_told_to_both),
		cmocka_unit_test(test_a_process_that_dies_meanwhile_is_named),
		cmocka_unit_test(
			test_another_job_is_turned_away_and_the_first_goes_on),
		cmocka_unit_test(test_pes_with_different_configs_are_told),
		cmocka_unit_test(test_a_pe_whose_device_fails_ends_it_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
