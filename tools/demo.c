/* SPDX-License-Identifier: MIT */
/*
 * `belfry demo`: two processes with an emulated ConnectX each.
 *
 * PE 0 and PE 1 are children of this process. They meet over TCP, connect
 * their queue pairs and do what a program on a cluster does; every result is
 * compared with plain computation.
 */
#include "tools/demo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/belfry.h"

enum {
	PES = 2,
	WORDS = 4096,
	ROUNDS = 1000,
};

void demo_say(const struct demo *demo, const char *fmt, ...)
{
	va_list args;

	if (gda_pe(demo->gda))
		return;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	fflush(stdout);
}

static bool on_emu(const struct gda *gda)
{
	return !strcmp(gda_backend_name(gda), "emu");
}

bool demo_check(const struct demo *demo, bool ok, const char *what)
{
	if (!ok)
		fprintf(stderr, "PE %d: %s: WRONG\n", gda_pe(demo->gda), what);
	return ok;
}

static uint64_t pattern(int pe, unsigned i)
{
	return (uint64_t)(pe + 1) * 0x9e3779b97f4a7c15u + i * 0x10001u;
}

static bool matches(const uint64_t *words, int pe)
{
	unsigned i;

	for (i = 0; i < WORDS; i++)
		if (words[i] != pattern(pe, i))
			return false;
	return true;
}

/* ----------------------------------------------------------- operations */

/* Everybody writes into the next PE's memory. */
static bool put(struct demo *demo, uint64_t *inbox, const uint64_t *mine)
{
	int me = gda_pe(demo->gda), next = (me + 1) % PES;

	if (gda_dev_put(demo->dev, inbox, mine, WORDS * 8, next) ||
	    gda_barrier(demo->gda))
		return demo_check(demo, false, "put");
	return demo_check(demo, matches(inbox, (me + PES - 1) % PES), "put");
}

static bool get(struct demo *demo, uint64_t *inbox, const uint64_t *mine)
{
	int next = (gda_pe(demo->gda) + 1) % PES;

	memset(inbox, 0, WORDS * 8);
	if (gda_dev_get(demo->dev, inbox, mine, WORDS * 8, next))
		return demo_check(demo, false, "get");
	return demo_check(demo, matches(inbox, next), "get") &&
	       !gda_barrier(demo->gda);
}

/* All PEs add to one counter of PE 0; every old value is seen once. */
static bool atomics(struct demo *demo, uint64_t *counter)
{
	uint64_t old = 0, last = 0, expected, seen;
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		if (gda_dev_atomic_fetch_add_u64(demo->dev, counter, 1, 0,
						 &old) ||
		    !demo_check(demo, !i || old > last, "fetch_add order"))
			return false;
		last = old;
	}
	if (gda_barrier(demo->gda) ||
	    gda_dev_atomic_fetch_u64(demo->dev, counter, 0, &seen))
		return false;
	if (!demo_check(demo, seen == PES * ROUNDS, "fetch_add sum") ||
	    gda_barrier(demo->gda))
		return false;
	/* Only one of them finds the sum and swaps it away. */
	expected = PES * ROUNDS;
	if (gda_dev_atomic_compare_swap_u64(
		    demo->dev, counter, &expected,
		    1000000u + (unsigned)gda_pe(demo->gda), 0) ||
	    gda_barrier(demo->gda) ||
	    gda_dev_atomic_fetch_u64(demo->dev, counter, 0, &seen))
		return false;
	return demo_check(
		demo,
		(expected == PES * ROUNDS) ==
			(seen == 1000000u + (unsigned)gda_pe(demo->gda)),
		"compare_swap");
}

/* Data, then a signal: who sees the signal sees the data. */
static bool put_signal(struct demo *demo, uint64_t *inbox, const uint64_t *mine,
		       uint64_t *signal)
{
	int me = gda_pe(demo->gda);
	struct gda_dev_signal to_next = {signal, 1, (me + 1) % PES,
					 GDA_DEV_SIGNAL_ADD};

	memset(inbox, 0, WORDS * 8);
	if (gda_barrier(demo->gda) ||
	    gda_dev_put_signal_nbi(demo->dev, inbox, mine, WORDS * 8,
				   &to_next) ||
	    gda_dev_wait_until_u64(demo->dev, signal, GDA_DEV_GE, 1))
		return demo_check(demo, false, "put_signal");
	return demo_check(demo, matches(inbox, (me + PES - 1) % PES),
			  "put_signal") &&
	       !gda_dev_quiet(demo->dev) && !gda_barrier(demo->gda);
}

/* --------------------------------------------------- life of a request */

static void show_request(struct demo *demo, uint64_t *inbox)
{
	struct gda_dev_qp *qp = gda_dev_qp_of(demo->dev, 1, 0);
	uint64_t first = qp->reserved;
	uint64_t reg = gda_dev_doorbell_value(qp, first + 1);
	uint8_t wqe[HW_WQE_BB];

	if (gda_dev_put(demo->dev, inbox, inbox, 64, 1))
		return;
	memcpy(wqe, qp->sq + (first & (qp->depth - 1)) * HW_WQE_BB,
	       sizeof(wqe));
	/* Memory, if it is emulated in this process; else not to be read. */
	if (on_emu(demo->gda))
		memcpy(&reg, qp->reg, sizeof(reg));
	printf("\nThe life of one request: gda_dev_put of 64 bytes to PE 1\n");
	printf(" 1 the thread writes a WQE into slot %u of its send queue\n",
	       (unsigned)(first & (qp->depth - 1)));
	annotate_wqe(stdout, wqe);
	printf(" 2 then the doorbell record, in memory\n");
	annotate_record(stdout, qp->record->raw);
	printf(" 3 then the doorbell register of its UAR page: 8 bytes, one "
	       "store\n");
	annotate_register(stdout, reg);
	printf(" 4 the NIC fetches, sends, and answers with a CQE\n");
	annotate_cqe(stdout, qp->cq);
	printf(" 5 the thread sees wqe_counter reach its index: done\n");
}

/* ------------------------------------------------------------- processes */

static bool run_steps(struct demo *demo)
{
	uint64_t *mine = gda_malloc(demo->gda, WORDS * 8);
	uint64_t *inbox = gda_calloc(demo->gda, WORDS, 8);
	uint64_t *words = gda_calloc(demo->gda, 2, 8);
	unsigned i;

	if (!mine || !inbox || !words)
		return false;
	for (i = 0; i < WORDS; i++)
		mine[i] = pattern(gda_pe(demo->gda), i);
	if (gda_barrier(demo->gda) || !put(demo, inbox, mine))
		return false;
	demo_say(demo,
		 "put         %d KiB to the next PE, by RDMA_WRITE        "
		 "ok\n",
		 WORDS * 8 / 1024);
	if (!get(demo, inbox, mine))
		return false;
	demo_say(demo,
		 "get         %d KiB from the next PE, by RDMA_READ       "
		 "ok\n",
		 WORDS * 8 / 1024);
	if (!atomics(demo, &words[0]))
		return false;
	demo_say(demo,
		 "atomics     %d fetch_add, compare_swap on one word    "
		 "ok\n",
		 PES * ROUNDS);
	if (!put_signal(demo, inbox, mine, &words[1]))
		return false;
	demo_say(demo, "put_signal  data, then a signal that announces it      "
		       "ok\n");
	if (!demo_embedding(demo))
		return false;
	if (!gda_pe(demo->gda))
		show_request(demo, inbox);
	return !gda_barrier(demo->gda);
}

/* One PE; the exit status of its process. */
static int run_pe(int pe, const char *root, const char *fabric)
{
	struct gda_config config;
	struct demo demo = {0};
	bool ok;

	if (belfry_config_load(&config))
		goto failed;
	config.npes = PES;
	config.pe = pe;
	config.root = root;
	config.qps_per_peer = 2;
	config.timeout_ms = 30000;
	config.op_timeout_ms = 30000;
	config.emu.fabric = fabric;
	if (gda_init(&config, &demo.gda))
		goto failed;
	demo.dev = gda_device(demo.gda);
	demo_say(&demo,
		 "%d processes, each with %s; queue pairs are connected\n", PES,
		 on_emu(demo.gda) ? "an emulated ConnectX"
				  : "a device of libmlx5");
	ok = run_steps(&demo);
	if (!ok)
		fprintf(stderr, "PE %d: %s\n", pe, gda_last_error());
	return gda_finalize(demo.gda) || !ok;

failed:
	fprintf(stderr, "PE %d: %s\n", pe, gda_last_error());
	return 1;
}

static bool wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int belfry_demo(int argc, char **argv)
{
	char fabric[BELFRY_FABRIC_BYTES], root[32];
	pid_t children[PES];
	bool ok = true;
	int i;

	(void)argv;
	if (argc > 1) {
		fprintf(stderr, "belfry demo: takes no arguments\n");
		return 2;
	}
	if (!belfry_make_fabric(fabric)) {
		perror("belfry demo: a fabric directory in /dev/shm or /tmp");
		return 1;
	}
	snprintf(root, sizeof(root), "127.0.0.1:%d", belfry_free_port());
	for (i = 0; i < PES; i++) {
		children[i] = fork();
		if (!children[i])
			exit(run_pe(i, root, fabric));
	}
	for (i = 0; i < PES; i++)
		ok &= children[i] > 0 && wait_for(children[i]);
	belfry_remove_tree(fabric);
	printf("\n%s\n", ok ? "All results are as computed without a NIC."
			    : "FAILED, see above.");
	return !ok;
}
