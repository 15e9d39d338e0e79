/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV and SIGBUS: who gets a fault.
 *
 * Two parts of the NIC take faults in the normal course of things: copies of
 * client memory that may be gone, and doorbell pages that trap. The program
 * has its own ideas about these signals too. So this file alone installs the
 * handlers, asks its claimants, and plays the kernel for the rest: it keeps
 * the action that the program believes to be installed and follows it with
 * flags, mask and default action. Where the kernel can do that itself, it
 * does: ours runs on the alternate stack if the program's action says so, and
 * the program's handler runs with the mask that it would have had.
 *
 * Source: sigaction(2), signal(7); Linux kernel/signal.c, force_sig_info_to_task()
 * for what happens to a fault that is blocked or ignored.
 * Not modelled: sigwait() and signalfd() for these two signals; SA_RESTORER in
 * reported flags; a thread starts with neither of the two blocked.
 * Thread: any.
 */
#include "emu/fault.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OWNED = 2, KERNEL_SIGSET_BYTES = 8 };

static const int owned[OWNED] = {SIGSEGV, SIGBUS};

static fault_claim claims[FAULT_CLAIMANTS];
static fault_sigaction_fn real_sigaction = sigaction;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int init_error;
static int installed;

/* What the program believes to be installed; under the lock, with every signal
 * blocked, since the handlers take it too. */
static struct sigaction program[OWNED];
static int lock;

struct wanted {
	unsigned blocked;
	unsigned held;
	siginfo_t info[OWNED]; /* of what is held */
};

/* Initial-exec: reading it in a signal handler never allocates. */
static __thread struct wanted wanted __attribute__((tls_model("initial-exec")));

/* Of one of the two. */
static unsigned slot_of(int sig)
{
	return sig == owned[1];
}

/* Not through libc, whose function may be wrapped. */
static void set_mask(const sigset_t *mask, sigset_t *old)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, old,
		(size_t)KERNEL_SIGSET_BYTES);
}

static void take_lock(void)
{
	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void drop_lock(void)
{
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

void fault_leave(const ucontext_t *context)
{
	set_mask(&context->uc_sigmask, NULL);
}

/* ----------------------------------------------------- what is not claimed */

/* Sent by somebody, and not by an instruction that would fault again. */
static bool was_sent(const siginfo_t *info)
{
	return info->si_code <= 0 ||
	       (info->si_signo == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

static void send_again(const siginfo_t *info)
{
	syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid),
		info->si_signo, info);
}

/* Returning repeats the access, now without a handler. */
static void follow_default(const siginfo_t *info)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	real_sigaction(info->si_signo, &action, NULL);
	if (was_sent(info))
		send_again(info);
}

static bool is_function(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* The mask of the program's handler, as the kernel makes it. */
static void enter_mask(const struct sigaction *action, int sig,
		       const ucontext_t *context)
{
	sigset_t mask = action->sa_mask, interrupted;

	/* The kernel's mask is shorter than libc's type. */
	sigemptyset(&interrupted);
	memcpy(&interrupted, &context->uc_sigmask, KERNEL_SIGSET_BYTES);
	sigorset(&mask, &mask, &interrupted);
	if (!(action->sa_flags & SA_NODEFER))
		sigaddset(&mask, sig);
	set_mask(&mask, NULL);
}

static void call(const struct sigaction *action, int sig, siginfo_t *info,
		 ucontext_t *context)
{
	unsigned blocked = wanted.blocked;

	enter_mask(action, sig, context);
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(sig, info, context);
	else
		action->sa_handler(sig);
	/* What the handler did to its mask ends with it. */
	fault_set_blocked(blocked);
}

/* The program's action now; one that is for once is forgotten. */
static struct sigaction take_action(unsigned slot)
{
	struct sigaction action;

	take_lock();
	action = program[slot];
	if (is_function(&action) && (action.sa_flags & SA_RESETHAND))
		program[slot].sa_handler = SIG_DFL;
	drop_lock();
	return action;
}

static void to_program(int sig, siginfo_t *info, ucontext_t *context)
{
	unsigned slot = slot_of(sig), bit = 1u << slot;
	struct sigaction action;

	if (wanted.blocked & bit) {
		if (!was_sent(info)) {
			follow_default(info);
			return;
		}
		/* As the kernel: a signal that waits is there once. */
		if (!(wanted.held & bit))
			wanted.info[slot] = *info;
		wanted.held |= bit;
		return;
	}
	action = take_action(slot);
	if (is_function(&action))
		call(&action, sig, info, context);
	else if (action.sa_handler == SIG_DFL || !was_sent(info))
		follow_default(info);
}

/* ------------------------------------------------------------- the handler */

static void on_fault(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	fault_claim claim;
	unsigned i;

	for (i = 0; i < FAULT_CLAIMANTS && !was_sent(info); i++) {
		claim = __atomic_load_n(&claims[i], __ATOMIC_ACQUIRE);
		if (!claim || !claim(info, context))
			continue;
		errno = saved;
		return;
	}
	to_program(sig, info, context);
}

/*
 * Ours, with those flags of the program's that the kernel must follow. A
 * signal that is ignored must not end system calls.
 */
static int install_handler(unsigned slot)
{
	static const int unblocked[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
					SIGTRAP, SIGABRT, SIGSYS};
	const struct sigaction *wants = &program[slot];
	struct sigaction action;
	unsigned i;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_fault;
	/* NODEFER: what a claimant touches may fault as well. */
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	action.sa_flags |= is_function(wants)
				   ? wants->sa_flags & (SA_ONSTACK | SA_RESTART)
				   : SA_RESTART;
	sigfillset(&action.sa_mask);
	for (i = 0; i < sizeof(unblocked) / sizeof(unblocked[0]); i++)
		sigdelset(&action.sa_mask, unblocked[i]);
	return real_sigaction(owned[slot], &action, NULL);
}

static void install(void)
{
	unsigned slot;

	for (slot = 0; slot < OWNED; slot++)
		if (real_sigaction(owned[slot], NULL, &program[slot]) ||
		    install_handler(slot))
			init_error = -errno;
	/* A child of a thread that does not hold the lock. */
	pthread_atfork(NULL, NULL, drop_lock);
	__atomic_store_n(&installed, !init_error, __ATOMIC_RELEASE);
}

int fault_claim_by(enum fault_claimant who, fault_claim claim)
{
	if (claim)
		__atomic_store_n(&claims[who], claim, __ATOMIC_RELEASE);
	pthread_once(&once, install);
	return init_error;
}

/* ----------------------------------------------------- the program's calls */

void fault_use_sigaction(fault_sigaction_fn real)
{
	real_sigaction = real;
}

bool fault_owns(int sig)
{
	return (sig == owned[0] || sig == owned[1]) &&
	       __atomic_load_n(&installed, __ATOMIC_ACQUIRE);
}

int fault_sigaction(int sig, const struct sigaction *action,
		    struct sigaction *old)
{
	unsigned slot = slot_of(sig);
	int status = 0;
	struct sigaction now, before;
	sigset_t all, mask;

	if (action)
		now = *action;
	sigfillset(&all);
	set_mask(&all, &mask);
	take_lock();
	before = program[slot];
	if (action) {
		program[slot] = now;
		status = install_handler(slot);
	}
	drop_lock();
	set_mask(&mask, NULL);
	if (old)
		*old = before;
	return status;
}

unsigned fault_blocked(void)
{
	return wanted.blocked;
}

unsigned fault_pending(void)
{
	return wanted.held;
}

void fault_set_blocked(unsigned blocked)
{
	unsigned slot;

	wanted.blocked = blocked;
	for (slot = 0; slot < OWNED; slot++) {
		if (!(wanted.held & ~wanted.blocked & 1u << slot))
			continue;
		wanted.held &= ~(1u << slot);
		send_again(&wanted.info[slot]);
	}
}
