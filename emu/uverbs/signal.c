/* SPDX-License-Identifier: MIT */
/*
 * libc's signal calls, as far as they could take SIGSEGV or SIGBUS away from
 * emu/fault.c or block them: a doorbell that traps must always get through.
 * The program sees what it asked for.
 *
 * Source: sigaction(2), signal(3), sigset(3), siginterrupt(3), pthread_sigmask(3).
 * Not modelled: masks of sigsuspend(), ppoll(), pselect(), epoll_pwait() and
 * pthread_attr_setsigmask_np() go through as they are; system calls that are
 * made without libc.
 * Thread: any.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/fault.h"
#include "emu/uverbs/uverbs.h"

/* Other names of the same calls, as programs import them. */
int sigaction_too(int sig, const struct sigaction *action,
		  struct sigaction *old) __asm__("__sigaction");
sighandler_t bsd_signal(int sig, sighandler_t handler);
sighandler_t sysv_signal_too(int sig,
			     sighandler_t handler) __asm__("__sysv_signal");

typedef sighandler_t (*signal_fn)(int sig, sighandler_t handler);
typedef int (*mask_fn)(int how, const sigset_t *set, sigset_t *old);

static struct {
	fault_sigaction_fn sigaction;
	signal_fn signal, sysv_signal, sigset;
	mask_fn sigprocmask, pthread_sigmask;
	int (*siginterrupt)(int sig, int flag);
	int (*sighold)(int sig);
	int (*sigrelse)(int sig);
	int (*sigignore)(int sig);
	int (*sigpending)(sigset_t *set);
} real;

/* What the masks of other signals' actions would have blocked. */
static uint8_t masked[NSIG];
/* siginterrupt() of the two signals. */
static uint8_t interrupting;

/* Other libraries' constructors may call before ours ran. */
static void resolve(void)
{
	static int resolved;

	if (__atomic_load_n(&resolved, __ATOMIC_ACQUIRE))
		return;
	real.signal = (signal_fn)dlsym(RTLD_NEXT, "signal");
	real.sysv_signal = (signal_fn)dlsym(RTLD_NEXT, "sysv_signal");
	real.sigset = (signal_fn)dlsym(RTLD_NEXT, "sigset");
	real.sigprocmask = (mask_fn)dlsym(RTLD_NEXT, "sigprocmask");
	real.pthread_sigmask = (mask_fn)dlsym(RTLD_NEXT, "pthread_sigmask");
	real.siginterrupt = (int (*)(int, int))dlsym(RTLD_NEXT, "siginterrupt");
	real.sighold = (int (*)(int))dlsym(RTLD_NEXT, "sighold");
	real.sigrelse = (int (*)(int))dlsym(RTLD_NEXT, "sigrelse");
	real.sigignore = (int (*)(int))dlsym(RTLD_NEXT, "sigignore");
	real.sigpending = (int (*)(sigset_t *))dlsym(RTLD_NEXT, "sigpending");
	real.sigaction = (fault_sigaction_fn)dlsym(RTLD_NEXT, "sigaction");
	__atomic_store_n(&resolved, 1, __ATOMIC_RELEASE);
}

/* ----------------------------------------------------------------- masks */

static unsigned bits_of(const sigset_t *set)
{
	return (sigismember(set, SIGSEGV) == 1 ? FAULT_BLOCK_SEGV : 0u) |
	       (sigismember(set, SIGBUS) == 1 ? FAULT_BLOCK_BUS : 0u);
}

static void add_bits(sigset_t *set, unsigned bits)
{
	if (bits & FAULT_BLOCK_SEGV)
		sigaddset(set, SIGSEGV);
	if (bits & FAULT_BLOCK_BUS)
		sigaddset(set, SIGBUS);
}

static void remove_bits(sigset_t *set, unsigned bits)
{
	if (bits & FAULT_BLOCK_SEGV)
		sigdelset(set, SIGSEGV);
	if (bits & FAULT_BLOCK_BUS)
		sigdelset(set, SIGBUS);
}

/*
 * A signal that is really blocked is so for a handler of the program's that
 * runs for one of the two: until it ends, the kernel alone keeps its mask.
 */
static unsigned really_blocked(mask_fn change)
{
	sigset_t now;

	sigemptyset(&now);
	change(SIG_BLOCK, NULL, &now);
	return bits_of(&now);
}

static int change_mask(mask_fn change, int how, const sigset_t *set,
		       sigset_t *old)
{
	unsigned before = fault_blocked(), bits = set ? bits_of(set) : 0;
	sigset_t others;
	int status;

	if (set)
		others = *set;
	if (bits && how != SIG_UNBLOCK) {
		bits &= ~really_blocked(change);
		remove_bits(&others, bits);
	}
	status = change(how, set ? &others : NULL, old);
	if (status)
		return status;
	if (old)
		add_bits(old, before);
	if (!set)
		return 0;
	if (how == SIG_BLOCK)
		bits |= before;
	else if (how == SIG_UNBLOCK)
		bits = before & ~bits;
	fault_set_blocked(bits);
	return 0;
}

UV_EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	resolve();
	return change_mask(real.pthread_sigmask, how, set, old);
}

UV_EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	resolve();
	return change_mask(real.sigprocmask, how, set, old);
}

UV_EXPORT int sigpending(sigset_t *set)
{
	int status;

	resolve();
	status = real.sigpending(set);
	if (!status)
		add_bits(set, fault_pending());
	return status;
}

/* Returns whether it was blocked. */
static bool change_one(int how, int sig)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigemptyset(&old);
	sigprocmask(how, &set, &old);
	return sigismember(&old, sig) == 1;
}

UV_EXPORT int sighold(int sig)
{
	resolve();
	if (!fault_owns(sig))
		return real.sighold(sig);
	change_one(SIG_BLOCK, sig);
	return 0;
}

UV_EXPORT int sigrelse(int sig)
{
	resolve();
	if (!fault_owns(sig))
		return real.sigrelse(sig);
	change_one(SIG_UNBLOCK, sig);
	return 0;
}

/* --------------------------------------------------------------- actions */

/* Another signal's handler may ring doorbells, whatever its mask says. */
static int other_sigaction(int sig, const struct sigaction *action,
			   struct sigaction *old)
{
	unsigned bits = 0;
	struct sigaction stripped;
	int status;

	/* A copy: action may be what old is. */
	if (action) {
		stripped = *action;
		bits = bits_of(&stripped.sa_mask);
		remove_bits(&stripped.sa_mask, bits);
	}
	status = real.sigaction(sig, action ? &stripped : NULL, old);
	if (status)
		return status;
	if (old)
		add_bits(&old->sa_mask, masked[sig]);
	if (action)
		masked[sig] = (uint8_t)bits;
	return 0;
}

UV_EXPORT int sigaction(int sig, const struct sigaction *action,
			struct sigaction *old)
{
	resolve();
	if (fault_owns(sig))
		return fault_sigaction(sig, action, old);
	return other_sigaction(sig, action, old);
}

UV_EXPORT int sigaction_too(int sig, const struct sigaction *action,
			    struct sigaction *old)
{
	return sigaction(sig, action, old);
}

static uint8_t bit_of(int sig)
{
	return sig == SIGSEGV ? FAULT_BLOCK_SEGV : FAULT_BLOCK_BUS;
}

/* An action as the older calls make it. */
static sighandler_t set_handler(int sig, sighandler_t handler, int flags,
				bool masks_itself)
{
	struct sigaction action = {.sa_flags = flags}, old;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	action.sa_handler = handler;
	sigemptyset(&action.sa_mask);
	if (masks_itself)
		sigaddset(&action.sa_mask, sig);
	if (fault_sigaction(sig, &action, &old))
		return SIG_ERR;
	return old.sa_handler;
}

UV_EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
	resolve();
	if (!fault_owns(sig))
		return real.signal(sig, handler);
	return set_handler(sig, handler,
			   interrupting & bit_of(sig) ? 0 : SA_RESTART, true);
}

UV_EXPORT sighandler_t bsd_signal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

UV_EXPORT sighandler_t ssignal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

UV_EXPORT sighandler_t sysv_signal(int sig, sighandler_t handler)
{
	resolve();
	if (!fault_owns(sig))
		return real.sysv_signal(sig, handler);
	return set_handler(sig, handler, (int)SA_RESETHAND | SA_NODEFER, false);
}

UV_EXPORT sighandler_t sysv_signal_too(int sig, sighandler_t handler)
{
	return sysv_signal(sig, handler);
}

UV_EXPORT sighandler_t sigset(int sig, sighandler_t handler)
{
	struct sigaction now;
	sighandler_t old;
	bool was_blocked;

	resolve();
	if (!fault_owns(sig))
		return real.sigset(sig, handler);
	if (handler == SIG_HOLD) {
		was_blocked = change_one(SIG_BLOCK, sig);
		fault_sigaction(sig, NULL, &now);
		old = now.sa_handler;
	} else {
		old = set_handler(sig, handler, 0, false);
		if (old == SIG_ERR)
			return old;
		was_blocked = change_one(SIG_UNBLOCK, sig);
	}
	return was_blocked ? SIG_HOLD : old;
}

UV_EXPORT int sigignore(int sig)
{
	resolve();
	if (!fault_owns(sig))
		return real.sigignore(sig);
	return set_handler(sig, SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
}

UV_EXPORT int siginterrupt(int sig, int flag)
{
	struct sigaction action;

	resolve();
	if (!fault_owns(sig))
		return real.siginterrupt(sig, flag);
	fault_sigaction(sig, NULL, &action);
	if (flag) {
		interrupting |= bit_of(sig);
		action.sa_flags &= ~SA_RESTART;
	} else {
		interrupting &= (uint8_t)~bit_of(sig);
		action.sa_flags |= SA_RESTART;
	}
	return fault_sigaction(sig, &action, NULL);
}

/* ------------------------------------------------------------------ start */

/*
 * From the start of the program on: a thread that blocks the signals before
 * the first NIC is made could not be helped later.
 */
__attribute__((constructor)) static void own_faults(void)
{
	sigset_t both, before;

	resolve();
	fault_use_sigaction(real.sigaction);
	if (fault_claim_by(FAULT_DMA, NULL))
		return;
	/* Inherited from who started the program. */
	sigemptyset(&both);
	add_bits(&both, FAULT_BLOCK_SEGV | FAULT_BLOCK_BUS);
	real.pthread_sigmask(SIG_UNBLOCK, &both, &before);
	fault_set_blocked(fault_blocked() | bits_of(&before));
}
