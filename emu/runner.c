/* SPDX-License-Identifier: MIT */
/*
 * The runner: one thread that steps NICs, spins while there is work and
 * sleeps in libev when there is none.
 *
 * Going to sleep has the order that nic_set_asleep() asks for: say so, look
 * once more, sleep. The runner stays asleep while only its alarm goes off and
 * the NICs have no work then; a wake or a descriptor always ends the sleep.
 *
 * Timeouts are a timerfd among the watched descriptors, because libev's own
 * timers sleep whole milliseconds on epoll and a doorbell should not wait
 * that long.
 *
 * Thread: its own; the list of NICs is shared under a mutex.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* libev's macros narrow implicitly. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#include <ev.h>
#pragma GCC diagnostic pop

#include "emu/runner.h"

enum {
	NICS_MAX = 64,
	FDS_PER_NIC = 4,
	FDS_MAX = NICS_MAX * FDS_PER_NIC,
	SPIN_NS = 50 * 1000,
	DOORBELL_POLL_NS = 10 * 1000 * 1000,
	/* While asleep, doorbells are looked at whenever a sixteenth of the
	 * time since the last work has passed: one that wakes nobody waits
	 * little longer than its program did before it, and the looks of a
	 * NIC become rare while it is idle. */
	DOORBELL_POLL_SHARE = 16,
	DOORBELL_POLL_FIRST_NS = 50 * 1000,
	/* Rounds without work before the core is offered to others: the
	 * program that is served may need this very core. */
	POLITE_ROUNDS = 64,
	CLOCK_ROUNDS = 16,
};

struct nic_runner {
	pthread_t thread;
	struct nic_runner_config config;
	struct ev_loop *loop;
	ev_async async;
	ev_io timer_io;
	int timer_fd;
	ev_io ios[FDS_MAX];
	int fds[FDS_MAX];
	unsigned fd_count;

	/* What is wanted; the counter changes with it. */
	pthread_mutex_t lock;
	pthread_cond_t taken;
	struct nic *wanted[NICS_MAX];
	unsigned wanted_count;
	bool stop;
	uint32_t changes;
	uint32_t changes_taken;

	/* The thread's own. */
	struct nic *nics[NICS_MAX];
	unsigned count;
	bool stopping;
	bool woken;	    /* by more than the alarm */
	uint64_t worked_ns; /* when there was work last */
};

static void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

uint64_t nic_runner_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ------------------------------------------------------------ the thread */

static void unwatch_fds(struct nic_runner *runner)
{
	for (unsigned i = 0; i < runner->fd_count; i++)
		ev_io_stop(runner->loop, &runner->ios[i]);
	runner->fd_count = 0;
}

/*
 * Take over the list of NICs. A NIC that was removed, and its descriptors, are
 * not touched after this.
 */
static void take_changes(struct nic_runner *runner)
{
	/* Relaxed: a change that is not seen yet is seen a round later, and
	 * the list itself is read under the lock. */
	if (__atomic_load_n(&runner->changes, __ATOMIC_RELAXED) ==
	    runner->changes_taken)
		return;
	pthread_mutex_lock(&runner->lock);
	unwatch_fds(runner);
	runner->count = runner->wanted_count;
	memcpy(runner->nics, runner->wanted, sizeof(runner->nics));
	runner->stopping = runner->stop;
	runner->changes_taken = runner->changes;
	pthread_cond_broadcast(&runner->taken);
	pthread_mutex_unlock(&runner->lock);
}

static bool step_all(struct nic_runner *runner, uint64_t now_ns)
{
	bool work = false;

	for (unsigned i = 0; i < runner->count; i++)
		work |= nic_step(runner->nics[i], now_ns) == NIC_STEP_BUSY;
	return work;
}

static void set_asleep(struct nic_runner *runner, bool asleep)
{
	for (unsigned i = 0; i < runner->count; i++)
		nic_set_asleep(runner->nics[i], asleep);
}

static void on_wake(struct ev_loop *loop, ev_async *async, int events)
{
	struct nic_runner *runner = async->data;

	(void)loop, (void)events;
	runner->woken = true;
}

/* Whoever made it readable is served by the next step. */
static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct nic_runner *runner = io->data;

	(void)loop, (void)events;
	runner->woken = true;
}

/* Nothing to read: setting the alarm anew makes it unreadable. */
static void on_alarm(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop, (void)io, (void)events;
}

static void watch_fd(struct nic_runner *runner, unsigned i, int fd)
{
	runner->fds[i] = fd;
	ev_io_init(&runner->ios[i], on_io, fd, EV_READ);
	runner->ios[i].data = runner;
	ev_io_start(runner->loop, &runner->ios[i]);
}

/* The descriptors of a NIC change when it gets a wire. */
static void watch_fds(struct nic_runner *runner)
{
	unsigned count = 0;
	int fds[FDS_MAX];

	for (unsigned i = 0; i < runner->count; i++)
		count += nic_fds(runner->nics[i], fds + count, FDS_PER_NIC);
	if (count == runner->fd_count &&
	    !memcmp(fds, runner->fds, count * sizeof(fds[0])))
		return;
	unwatch_fds(runner);
	for (unsigned i = 0; i < count; i++)
		watch_fd(runner, i, fds[i]);
	runner->fd_count = count;
}

/* Do threads of the client serve every NIC, so that none needs this one? */
static bool all_lent(const struct nic_runner *runner, uint64_t now_ns)
{
	for (unsigned i = 0; i < runner->count; i++)
		if (!nic_is_lent(runner->nics[i], now_ns))
			return false;
	return runner->count != 0;
}

static uint64_t doorbell_interval_ns(const struct nic_runner *runner,
				     uint64_t now_ns)
{
	uint64_t interval_ns =
		(now_ns - runner->worked_ns) / DOORBELL_POLL_SHARE;

	if (interval_ns < DOORBELL_POLL_FIRST_NS)
		interval_ns = DOORBELL_POLL_FIRST_NS;
	if (interval_ns > runner->config.doorbell_poll_ns)
		interval_ns = runner->config.doorbell_poll_ns;
	return interval_ns;
}

/* Until when the runner may sleep; UINT64_MAX: until it is woken. */
static uint64_t sleep_until(struct nic_runner *runner, uint64_t now_ns)
{
	uint64_t look_ns = now_ns + doorbell_interval_ns(runner, now_ns);
	uint64_t until = UINT64_MAX;
	bool doorbells = false;

	for (unsigned i = 0; i < runner->count; i++) {
		uint64_t deadline = nic_deadline(runner->nics[i]);

		if (deadline < until)
			until = deadline;
		doorbells |= nic_watches_doorbells(runner->nics[i]);
	}
	return doorbells && look_ns < until ? look_ns : until;
}

/* Sets the alarm, which also forgets an old one. Returns false if it is due. */
static bool set_alarm(struct nic_runner *runner, uint64_t now_ns, bool lent)
{
	uint64_t until = sleep_until(runner, now_ns);
	struct itimerspec alarm = {{0}, {0}};

	if (lent && until > now_ns + NIC_LENT_NS)
		until = now_ns + NIC_LENT_NS;

	if (until <= now_ns)
		return false;
	/* An all-zero time switches it off. */
	if (until != UINT64_MAX) {
		alarm.it_value.tv_sec = (time_t)(until / 1000000000u);
		alarm.it_value.tv_nsec = (long)(until % 1000000000u);
	}
	timerfd_settime(runner->timer_fd, TFD_TIMER_ABSTIME, &alarm, NULL);
	return true;
}

/* Everything that is there for the NICs now; true if that was work. */
static bool look(struct nic_runner *runner, uint64_t now_ns)
{
	enum nic_step_result result;
	bool work = false;

	/* Each NIC to the end of its doorbell scan: a whole pass by one does
	 * not end where the pass of another does. */
	for (unsigned i = 0; i < runner->count; i++) {
		do
			result = nic_step(runner->nics[i], now_ns);
		while (result == NIC_STEP_LOOKING);
		work |= result == NIC_STEP_BUSY;
	}
	return work;
}

/* Returns when there is work, or when it was woken for whatever reason. */
static void sleep_until_woken(struct nic_runner *runner)
{
	bool asleep = false, lent;
	uint64_t now_ns = 0;

	watch_fds(runner);
	runner->woken = false;
	while (!runner->woken) {
		now_ns = nic_runner_now_ns();
		lent = all_lent(runner, now_ns);
		if (asleep == lent) {
			asleep = !lent;
			set_asleep(runner, asleep);
		}
		if (look(runner, now_ns)) {
			runner->worked_ns = now_ns;
			break;
		}
		if (set_alarm(runner, now_ns, lent))
			ev_run(runner->loop, EVRUN_ONCE);
	}
	if (asleep)
		set_asleep(runner, false);
}

static void relax(unsigned idle_rounds)
{
	if (idle_rounds > POLITE_ROUNDS)
		sched_yield();
	else
		cpu_relax();
}

/* Relaxed: it is only a duration. */
static uint64_t spin_ns(const struct nic_runner *runner)
{
	return __atomic_load_n(&runner->config.spin_ns, __ATOMIC_RELAXED);
}

void nic_runner_set_spin(struct nic_runner *runner, uint64_t ns)
{
	__atomic_store_n(&runner->config.spin_ns, ns ? ns : SPIN_NS,
			 __ATOMIC_RELAXED);
}

static void *run(void *arg)
{
	struct nic_runner *runner = arg;
	unsigned idle_rounds = 0;
	uint64_t now_ns = 0;

	if (runner->config.begin)
		runner->config.begin();
	for (;;) {
		take_changes(runner);
		if (runner->stopping)
			return NULL;
		/* The clock costs as much as a look at the doorbells. */
		if (idle_rounds % CLOCK_ROUNDS == 0)
			now_ns = nic_runner_now_ns();
		if (step_all(runner, now_ns)) {
			runner->worked_ns = now_ns;
			idle_rounds = 0;
		} else if (now_ns - runner->worked_ns < spin_ns(runner) &&
			   !all_lent(runner, now_ns)) {
			relax(++idle_rounds);
		} else {
			sleep_until_woken(runner);
			idle_rounds = 0;
		}
	}
}

/* -------------------------------------------------------------- control */

void nic_runner_wake(void *arg)
{
	struct nic_runner *runner = arg;

	/* libev makes it a store unless the loop sleeps. */
	ev_async_send(runner->loop, &runner->async);
}

/* Requires: locked. Returns when the thread has taken the change over. */
static void publish_change(struct nic_runner *runner)
{
	uint32_t change = runner->changes + 1;

	__atomic_store_n(&runner->changes, change, __ATOMIC_RELAXED);
	nic_runner_wake(runner);
	while ((int32_t)(runner->changes_taken - change) < 0)
		pthread_cond_wait(&runner->taken, &runner->lock);
}

static unsigned find(const struct nic_runner *runner, const struct nic *nic)
{
	unsigned i = 0;

	while (i < runner->wanted_count && runner->wanted[i] != nic)
		i++;
	return i;
}

int nic_runner_add(struct nic_runner *runner, struct nic *nic)
{
	int status = 0;

	pthread_mutex_lock(&runner->lock);
	if (find(runner, nic) < runner->wanted_count)
		status = -EEXIST;
	else if (runner->wanted_count == NICS_MAX)
		status = -ENOSPC;
	if (!status) {
		runner->wanted[runner->wanted_count++] = nic;
		publish_change(runner);
	}
	pthread_mutex_unlock(&runner->lock);
	return status;
}

int nic_runner_remove(struct nic_runner *runner, struct nic *nic)
{
	int status = -ENOENT;
	unsigned i;

	pthread_mutex_lock(&runner->lock);
	i = find(runner, nic);
	if (i < runner->wanted_count) {
		runner->wanted[i] = runner->wanted[--runner->wanted_count];
		publish_change(runner);
		status = 0;
	}
	pthread_mutex_unlock(&runner->lock);
	return status;
}

static void free_runner(struct nic_runner *runner)
{
	if (runner->loop)
		ev_loop_destroy(runner->loop);
	if (runner->timer_fd >= 0)
		close(runner->timer_fd);
	pthread_cond_destroy(&runner->taken);
	pthread_mutex_destroy(&runner->lock);
	free(runner);
}

static int make_loop(struct nic_runner *runner)
{
	runner->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (runner->timer_fd < 0)
		return errno;
	runner->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!runner->loop)
		return ENOMEM;
	ev_io_init(&runner->timer_io, on_alarm, runner->timer_fd, EV_READ);
	ev_io_start(runner->loop, &runner->timer_io);
	ev_async_init(&runner->async, on_wake);
	runner->async.data = runner;
	ev_async_start(runner->loop, &runner->async);
	return 0;
}

static int pin(pthread_attr_t *attr, int cpu)
{
	cpu_set_t cpus;

	if (cpu < 0)
		return 0;
	if (cpu >= CPU_SETSIZE)
		return EINVAL;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return pthread_attr_setaffinity_np(attr, sizeof(cpus), &cpus);
}

/*
 * The program's signals are not for this thread; faults are, since the NIC
 * finds missing client memory by them (emu/dma.c).
 */
static int start_thread(struct nic_runner *runner)
{
	static const int faults[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
				     SIGABRT, SIGTRAP, SIGSYS};
	sigset_t blocked, before;
	pthread_attr_t attr;
	int status;

	sigfillset(&blocked);
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&blocked, faults[i]);
	pthread_attr_init(&attr);
	status = pin(&attr, runner->config.cpu);
	if (!status) {
		pthread_sigmask(SIG_SETMASK, &blocked, &before);
		status = pthread_create(&runner->thread, &attr, run, runner);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_attr_destroy(&attr);
	return status;
}

struct nic_runner *nic_runner_start(const struct nic_runner_config *config)
{
	static const struct nic_runner_config defaults = {.cpu = -1};
	struct nic_runner *runner = calloc(1, sizeof(*runner));
	int status;

	if (!runner)
		return NULL;
	runner->config = config ? *config : defaults;
	if (!runner->config.spin_ns)
		runner->config.spin_ns = SPIN_NS;
	if (!runner->config.doorbell_poll_ns)
		runner->config.doorbell_poll_ns = DOORBELL_POLL_NS;
	pthread_mutex_init(&runner->lock, NULL);
	pthread_cond_init(&runner->taken, NULL);
	runner->timer_fd = -1;
	status = make_loop(runner);
	if (!status)
		status = start_thread(runner);
	if (!status)
		return runner;
	free_runner(runner);
	errno = status;
	return NULL;
}

void nic_runner_halt(struct nic_runner *runner)
{
	pthread_mutex_lock(&runner->lock);
	runner->stop = true;
	publish_change(runner);
	pthread_mutex_unlock(&runner->lock);
	pthread_join(runner->thread, NULL);
}

void nic_runner_stop(struct nic_runner *runner)
{
	if (!runner)
		return;
	if (!runner->stop)
		nic_runner_halt(runner);
	free_runner(runner);
}
