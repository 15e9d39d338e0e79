/* SPDX-License-Identifier: MIT */
/*
 * Faults in children, whose end is part of what is tested: helpers for tests
 * that are built with the preload library's signal.c.
 */
#ifndef T_FAULT_H
#define T_FAULT_H

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/t_nic.h"

enum { PAGE = 4096, SIGSET_BYTES = 8 };

/*
 * TSan's runtime calls a handler with every signal blocked, and both runtimes
 * have alternate stacks of their own.
 */
#if defined(__SANITIZE_THREAD__)
enum { OWN_MASKS = 0, OWN_STACKS = 0 };
#elif defined(__SANITIZE_ADDRESS__)
enum { OWN_MASKS = 1, OWN_STACKS = 0 };
#else
enum { OWN_MASKS = 1, OWN_STACKS = 1 };
#endif

/* In a child, cmocka's assertions have nobody to tell. */
#define T_NEED(condition)                                                      \
	do {                                                                   \
		if (!(condition)) {                                            \
			fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__,     \
				#condition);                                   \
			_exit(99);                                             \
		}                                                              \
	} while (0)

/* What the handlers below saw. */
static volatile sig_atomic_t t_calls, t_last_sig __attribute__((unused));
static void *volatile t_last_addr __attribute__((unused));
static volatile int t_last_code __attribute__((unused));
static uint8_t *t_hole; /* a page that is not there */

/* Child: its status; it must end itself, or by a signal. */
static inline int t_status_of(void (*child)(void))
{
	static const struct rlimit no_core;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		alarm(60);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		t_hole = mmap(NULL, PAGE, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		child();
		_exit(0);
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	return status;
}

static inline void t_passes(void (*child)(void))
{
	assert_int_equal(t_status_of(child), 0);
}

static inline void t_dies_by(void (*child)(void), int sig)
{
	int status = t_status_of(child);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), sig);
}

__attribute__((noinline, unused,
	       no_sanitize("address", "thread", "undefined"))) static void
t_touch(void)
{
	*(volatile uint8_t *)t_hole = 1;
}

static inline void t_mend(void)
{
	/* A system call and no more: NOLINTNEXTLINE(bugprone-signal-handler) */
	mprotect(t_hole, PAGE, PROT_READ | PROT_WRITE);
}

static inline void t_hide(void)
{
	mprotect(t_hole, PAGE, PROT_NONE);
}

/* Handlers that make the access work, so that returning goes on. */
static inline void t_plain(int sig)
{
	t_calls++;
	t_last_sig = sig;
	t_mend();
}

static inline void t_full(int sig, siginfo_t *info, void *context)
{
	T_NEED(context);
	t_plain(sig);
	t_last_addr = info->si_addr;
	t_last_code = info->si_code;
}

static inline void t_set_full(int flags)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | flags};

	action.sa_sigaction = t_full;
	T_NEED(!sigaction(SIGSEGV, &action, NULL));
}

static inline bool t_kernel_blocks(int sig)
{
	sigset_t now;

	sigemptyset(&now);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now,
		(size_t)SIGSET_BYTES);
	return sigismember(&now, sig) == 1;
}

static inline bool t_seems_blocked(int sig)
{
	sigset_t now;

	sigemptyset(&now);
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, sig) == 1;
}

static inline void t_change_all(int how)
{
	sigset_t all;

	sigfillset(&all);
	T_NEED(!pthread_sigmask(how, &all, NULL));
}

#endif
