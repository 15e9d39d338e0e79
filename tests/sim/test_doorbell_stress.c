/* SPDX-License-Identifier: MIT */
/*
 * Many queue pairs, few doorbell registers, several threads that ring them:
 * every work request completes, however the doorbells are noticed. Sharing a
 * register is the point: a polled register keeps only its last doorbell, and
 * the record must make up for that; a trapped one must not need the record.
 *
 * T_SEED=N runs another seed.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#include "emu/runner.h"
#include "support/t_rng.h"
#include "support/t_trap.h"

enum {
	PAGES = 2,
	QPS = 64,
	THREADS = 4,
	QPS_EACH = QPS / THREADS,
	LOG_SQ = 3,
	LOG_CQ = 8, /* all send queues of a thread at once */
	REGISTERS = 4,
	LIMIT_NS = 1000000000,
	LIMIT_S = 90,
#ifdef __SANITIZE_THREAD__
	REQUESTS = 60, /* of each queue pair */
#else
	REQUESTS = 400,
#endif
};

enum mode {
	POLLED,	     /* the runner looks */
	TRAP_INLINE, /* who rings serves it */
	TRAP_WAKES,  /* who rings wakes the runner */
	TOGGLED,     /* all three in turn, while they ring */
};

struct stress {
	enum mode mode;
	bool records; /* the classic protocol; else the register alone */
	bool trapped;
	struct nic_runner *runner;
	struct t_node node;
	struct wire_loop_fabric *fabric;
	struct t_trap *pages;
	uint32_t uar[PAGES];
	struct page {
		struct stress *s;
		unsigned index;
	} page[PAGES];
	uint64_t traps;
	unsigned working;
};

struct worker {
	struct stress *s;
	pthread_t thread;
	struct t_rng rng;
	struct t_cq cq;
	struct t_qp qp[QPS_EACH];
	uint32_t completed[QPS_EACH];
	unsigned errors;
};

static uint64_t seed = 1;
static struct nic_runner *runner;

static void wake(void *arg)
{
	(void)arg;
	nic_runner_wake(runner);
}

/* ------------------------------------------------------------------ traps */

static void told(void *arg, size_t offset, const void *bytes, size_t len)
{
	struct page *page = arg;
	struct stress *s = page->s;
	unsigned turns = 8;

	__atomic_add_fetch(&s->traps, 1, __ATOMIC_RELAXED);
	if (nic_uar_write(s->node.nic, s->uar[page->index], (uint32_t)offset,
			  bytes, len) != 1)
		return;
	if (s->mode != TRAP_INLINE) {
		nic_wake(s->node.nic);
		return;
	}
	while (nic_step(s->node.nic, nic_runner_now_ns()) == NIC_STEP_BUSY)
		if (!--turns) {
			nic_wake(s->node.nic);
			return;
		}
}

static void no_give_up(void *arg, const char *why)
{
	(void)arg;
	fprintf(stderr, "%s\n", why);
	abort();
}

static const struct uv_trap_ops ops = {told, no_give_up};

static void trap(struct stress *s)
{
	unsigned i;

	for (i = 0; i < PAGES; i++) {
		assert_int_equal(uv_trap_add(s->pages->page + i * 4096u, 4096,
					     &ops, &s->page[i]),
				 0);
		nic_uar_set_trapped(s->node.nic, s->uar[i], true);
	}
}

static void untrap(struct stress *s)
{
	unsigned i;

	for (i = 0; i < PAGES; i++) {
		nic_uar_set_trapped(s->node.nic, s->uar[i], false);
		assert_int_equal(uv_trap_remove(s->pages->page + i * 4096u), 0);
	}
}

/* ----------------------------------------------------------------- workers */

/*
 * The thread sanitizer does not see the order of a store that it did not make,
 * nor that the NIC looks at the same memory under another address.
 */
static void publish(const struct stress *s, uint8_t *at)
{
#ifdef __SANITIZE_THREAD__
	__tsan_release(s->pages->alias + (at - s->pages->page));
#else
	(void)s, (void)at;
#endif
}

static void ring_word(const struct stress *s, struct t_qp *qp, uint32_t offset)
{
	struct hw_sq_doorbell db =
		hw_sq_doorbell_encode(qp->number, (uint16_t)qp->sq_pi);
	uint64_t word;

	memcpy(&word, &db, sizeof(word));
	publish(s, qp->uar + offset);
	t_trap_store(qp->uar + offset, word);
}

/* A copy of the last WQE, as libmlx5 makes it: its ds is not 0. */
static void ring_blueflame(const struct stress *s, struct t_qp *qp,
			   uint32_t offset)
{
	const uint8_t *wqe =
		qp->sq +
		(size_t)((qp->sq_pi - 1) & (qp->sq_size - 1)) * HW_WQE_BB;
	uint8_t *to = qp->uar + offset;
	unsigned i;

	publish(s, to);
	for (i = 0; i < HW_WQE_BB; i += 8)
		t_trap_store(to + i, t_trap_load(wqe + i));
}

static void post_some(struct worker *w)
{
	unsigned i = t_below(&w->rng, QPS_EACH), count;
	struct t_qp *qp = &w->qp[i];
	uint32_t offset =
		HW_UAR_BF + t_below(&w->rng, REGISTERS) * HW_UAR_BF_HALF_BYTES;
	uint32_t room = qp->sq_size - (qp->sq_pi - w->completed[i]);

	count = 1 + t_below(&w->rng, 3);
	if (count > room)
		count = room;
	if (count > REQUESTS - qp->sq_pi)
		count = REQUESTS - qp->sq_pi;
	if (!count)
		return;
	while (count--) {
		t_begin(qp, HW_OP_NOP, 0, T_SIGNALED);
		t_end(qp);
	}
	if (w->s->records)
		t_ring_record(qp);
	if (t_chance(&w->rng, 300))
		ring_blueflame(w->s, qp, offset);
	else
		ring_word(w->s, qp, offset);
}

/* Returns how many there were. */
static unsigned take_completions(struct worker *w)
{
	struct hw_cqe_info info;
	unsigned count = 0, i;

	for (; t_poll(&w->cq, &info); count++) {
		for (i = 0; i < QPS_EACH; i++)
			if (w->qp[i].number == info.qpn)
				break;
		if (i == QPS_EACH || info.opcode != HW_CQE_REQ ||
		    info.wqe_counter != (uint16_t)w->completed[i]) {
			w->errors++;
			return count;
		}
		w->completed[i]++;
	}
	return count;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t end_ns = nic_runner_now_ns() + LIMIT_S * (uint64_t)LIMIT_NS;
	unsigned left = QPS_EACH * REQUESTS, taken;

	while (left && !w->errors) {
		post_some(w);
		taken = take_completions(w);
		left -= taken;
		if (!taken)
			sched_yield();
		if (nic_runner_now_ns() > end_ns)
			w->errors++;
	}
	__atomic_sub_fetch(&w->s->working, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* ------------------------------------------------------------------ stress */

static void open_stress(struct stress *s)
{
	struct nic_config config = {
		.wake = wake, .progress = s->records ? NIC_COMPAT : NIC_STRICT};
	unsigned i;

	runner = nic_runner_start(NULL);
	s->fabric = wire_loop_create();
	t_node_open(&s->node, &config, s->fabric);
	s->pages = t_trap_open(PAGES);
	for (i = 0; i < PAGES; i++) {
		s->page[i] = (struct page){s, i};
		assert_int_equal(nic_uar_alloc(s->node.nic,
					       s->pages->alias + i * 4096u,
					       NIC_UAR_BF, &s->uar[i]),
				 0);
	}
}

static void open_worker(struct worker *w, struct stress *s, unsigned number)
{
	struct t_qp_options options = {.log_sq_size = LOG_SQ,
				       .rq_type = HW_RQ_ZERO_SIZE};
	unsigned i;

	w->s = s;
	w->rng.state = seed * 1000 + number;
	t_cq_create(&s->node, &w->cq,
		    &(struct t_cq_options){.log_size = LOG_CQ});
	/* Nobody rings it: it need not be looked at. */
	nic_uar_set_trapped(s->node.nic, w->cq.uar_index, true);
	for (i = 0; i < QPS_EACH; i++) {
		options.share_uar = s->uar[i % PAGES];
		options.share_uar_page = s->pages->page + i % PAGES * 4096u;
		t_qp_create(&s->node, &w->qp[i], &w->cq, &w->cq, &options);
		t_connect(&w->qp[i], &w->qp[i], NULL);
	}
}

/* The NIC first: then the pages are not freed with their last queue pair. */
static void close_stress(struct stress *s, struct worker *workers)
{
	unsigned i, j;

	nic_runner_remove(runner, s->node.nic);
	if (s->trapped)
		untrap(s);
	t_node_close(&s->node);
	for (i = 0; i < THREADS; i++) {
		for (j = 0; j < QPS_EACH; j++)
			t_qp_destroy(&workers[i].qp[j]);
		t_cq_destroy(&workers[i].cq);
	}
	wire_loop_release(s->fabric);
	nic_runner_stop(runner);
	munmap(s->pages->page, s->pages->bytes);
	munmap(s->pages->alias, s->pages->bytes);
	free(s->pages);
	free(workers);
}

static void toggle(struct stress *s)
{
	unsigned i;

	for (i = 0; __atomic_load_n(&s->working, __ATOMIC_ACQUIRE); i++) {
		if (i & 1)
			untrap(s);
		else
			trap(s);
		usleep(100);
	}
	if (i & 1)
		untrap(s);
}

static void run(enum mode mode, bool records)
{
	struct stress s = {.mode = mode, .records = records};
	struct worker *w = calloc(THREADS, sizeof(*w));
	struct nic_counters counters;
	unsigned i, errors = 0;

	open_stress(&s);
	for (i = 0; i < THREADS; i++)
		open_worker(&w[i], &s, i);
	s.trapped = mode == TRAP_INLINE || mode == TRAP_WAKES;
	if (s.trapped)
		trap(&s);
	nic_runner_add(runner, s.node.nic);
	s.working = THREADS;
	for (i = 0; i < THREADS; i++)
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	if (mode == TOGGLED)
		toggle(&s);
	for (i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		errors += w[i].errors;
	}
	nic_get_counters(s.node.nic, &counters);
	print_message("seed %llu: %llu requests, %llu stores told, %llu "
		      "doorbells, %llu by record\n",
		      (unsigned long long)seed,
		      (unsigned long long)counters.wqes,
		      (unsigned long long)s.traps,
		      (unsigned long long)counters.doorbells,
		      (unsigned long long)counters.doorbells_by_record);
	assert_int_equal(errors, 0);
	assert_int_equal(counters.wqes, QPS * REQUESTS);
	assert_int_equal(counters.doorbells_dropped, 0);
	if (s.trapped) {
		assert_int_equal(counters.doorbells_by_record, 0);
		assert_false(nic_watches_doorbells(s.node.nic));
	}
	close_stress(&s, w);
}

static void test_polled_registers_are_saved_by_the_records(void **state)
{
	(void)state;
	run(POLLED, true);
}

static void test_trapped_doorbells_served_by_who_rings(void **state)
{
	(void)state;
	run(TRAP_INLINE, true);
	run(TRAP_INLINE, false);
}

static void test_trapped_doorbells_served_by_a_runner_that_sleeps(void **state)
{
	(void)state;
	run(TRAP_WAKES, true);
	run(TRAP_WAKES, false);
}

static void test_pages_that_change_between_trap_and_poll(void **state)
{
	(void)state;
	run(TOGGLED, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_polled_registers_are_saved_by_the_records),
		cmocka_unit_test(test_trapped_doorbells_served_by_who_rings),
		cmocka_unit_test(
			test_trapped_doorbells_served_by_a_runner_that_sleeps),
		cmocka_unit_test(test_pages_that_change_between_trap_and_poll),
	};
	const char *text = getenv("T_SEED");

	if (text)
		seed = strtoull(text, NULL, 0);
	if (t_trap_missing())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
