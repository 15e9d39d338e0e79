/* SPDX-License-Identifier: MIT */
/*
 * Faults: who gets them, and that a program which has ideas of its own about
 * SIGSEGV and SIGBUS sees what it would see without us. Everything runs in
 * children, whose end is part of what is tested.
 */
#include "emu/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emu/dma.h"
#include "support/t_nic.h"

enum { PAGE = 4096, SIGSET_BYTES = 8 };

/* The older calls are tested too. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

sighandler_t bsd_signal(int sig, sighandler_t handler);

/* In a child, cmocka's assertions have nobody to tell. */
#define NEED(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__,     \
				#condition);                                   \
			_exit(99);                                             \
		}                                                              \
	} while (0)

static volatile sig_atomic_t calls, last_sig;
static void *volatile last_addr;
static volatile int last_code;
static uint8_t *hole; /* a page that is not there */

/* Child: its status; it must end itself, or by a signal. */
static int status_of(void (*child)(void))
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
		hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
		child();
		_exit(0);
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	return status;
}

static void passes(void (*child)(void))
{
	assert_int_equal(status_of(child), 0);
}

static void dies_by(void (*child)(void), int sig)
{
	int status = status_of(child);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), sig);
}

__attribute__((noinline,
	       no_sanitize("address", "thread", "undefined"))) static void
touch(void)
{
	*(volatile uint8_t *)hole = 1;
}

static void mend(void)
{
	mprotect(hole, PAGE, PROT_READ | PROT_WRITE);
}

static void hide(void)
{
	mprotect(hole, PAGE, PROT_NONE);
}

/* Handlers that make the access work, so that returning goes on. */
static void plain(int sig)
{
	calls++;
	last_sig = sig;
	mend();
}

static void full(int sig, siginfo_t *info, void *context)
{
	NEED(context);
	plain(sig);
	last_addr = info->si_addr;
	last_code = info->si_code;
}

static void set_full(int flags)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | flags};

	action.sa_sigaction = full;
	NEED(!sigaction(SIGSEGV, &action, NULL));
}

static bool kernel_blocks(int sig)
{
	sigset_t now;

	sigemptyset(&now);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now,
		(size_t)SIGSET_BYTES);
	return sigismember(&now, sig) == 1;
}

static bool seems_blocked(int sig)
{
	sigset_t now;

	sigemptyset(&now);
	pthread_sigmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, sig) == 1;
}

static void change_all(int how)
{
	sigset_t all;

	sigfillset(&all);
	NEED(!pthread_sigmask(how, &all, NULL));
}

/* -------------------------------------------------------- default action */

static void kernel_default(void)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} none = {0};

	NEED(!syscall(SYS_rt_sigaction, SIGSEGV, &none, NULL,
		      (size_t)SIGSET_BYTES));
	touch();
}

static void send_to_itself(void)
{
	kill(getpid(), SIGSEGV);
	for (;;)
		pause();
}

static void bus_to_itself(void)
{
	raise(SIGBUS);
}

static void bus_error(void)
{
	int fd = memfd_create("empty", 0);
	volatile uint8_t *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);

	(void)page[0];
}

static void test_the_default_action_kills_as_without_us(void **state)
{
	(void)state;
	assert_int_equal(status_of(touch), status_of(kernel_default));
	dies_by(touch, SIGSEGV);
	dies_by(send_to_itself, SIGSEGV);
	dies_by(bus_to_itself, SIGBUS);
	dies_by(bus_error, SIGBUS);
}

static void ignore_and_touch(void)
{
	signal(SIGSEGV, SIG_IGN);
	NEED(!raise(SIGSEGV));
	NEED(!raise(SIGSEGV));
	fputs("", stderr);
	touch();
}

static void ignore_and_send(void)
{
	NEED(!sigignore(SIGSEGV));
	NEED(!raise(SIGSEGV));
}

static void test_an_ignored_signal_may_be_sent_but_a_fault_kills(void **state)
{
	(void)state;
	passes(ignore_and_send);
	dies_by(ignore_and_touch, SIGSEGV);
}

/* -------------------------------------------------------------- handlers */

static void full_handler(void)
{
	set_full(0);
	touch();
	NEED(calls == 1 && last_sig == SIGSEGV && last_addr == hole);
	NEED(last_code == SEGV_ACCERR);
	NEED(!kernel_blocks(SIGSEGV));
	hide();
	touch();
	NEED(calls == 2);
	NEED(!raise(SIGSEGV));
	NEED(calls == 3 && last_code == SI_TKILL);
}

static void handlers_by_any_call(void)
{
	NEED(signal(SIGSEGV, plain) == SIG_DFL);
	touch();
	NEED(bsd_signal(SIGSEGV, SIG_DFL) == plain);
	NEED(bsd_signal(SIGSEGV, plain) == SIG_DFL);
	hide();
	touch();
	NEED(sigset(SIGSEGV, plain) == plain);
	hide();
	touch();
	NEED(calls == 3);
	NEED(sigset(SIGSEGV, SIG_HOLD) == plain);
	NEED(seems_blocked(SIGSEGV));
	NEED(sigset(SIGSEGV, plain) == SIG_HOLD);
	NEED(!seems_blocked(SIGSEGV));
	NEED(signal(SIGSEGV, SIG_ERR) == SIG_ERR && errno == EINVAL);
	NEED(!siginterrupt(SIGSEGV, 1));
	NEED(!siginterrupt(SIGSEGV, 0));
	hide();
	touch();
	NEED(calls == 4);
}

static void test_a_handler_of_the_program_gets_its_faults(void **state)
{
	(void)state;
	passes(full_handler);
	passes(handlers_by_any_call);
}

static void actions_are_reported(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK}, old;

	action.sa_sigaction = full;
	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR1);
	NEED(!sigaction(SIGSEGV, &action, &old));
	NEED(old.sa_handler == SIG_DFL);
	NEED(!sigaction(SIGSEGV, NULL, &old));
	NEED(old.sa_sigaction == full && old.sa_flags == action.sa_flags);
	NEED(sigismember(&old.sa_mask, SIGUSR1) == 1);
	NEED(sigismember(&old.sa_mask, SIGUSR2) == 0);
	action.sa_flags = 0;
	action.sa_handler = plain;
	NEED(!sigaction(SIGSEGV, &action, &old));
	NEED(old.sa_sigaction == full);
	NEED(!siginterrupt(SIGSEGV, 0));
	NEED(!sigaction(SIGSEGV, NULL, &old));
	NEED(old.sa_handler == plain && old.sa_flags == SA_RESTART);
	NEED(signal(SIGSEGV, SIG_DFL) == plain);
	NEED(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL);
}

static void other_masks_are_reported(void)
{
	struct sigaction action = {.sa_handler = plain}, old;

	sigfillset(&action.sa_mask);
	NEED(!sigaction(SIGUSR1, &action, NULL));
	NEED(!sigaction(SIGUSR1, NULL, &old));
	NEED(sigismember(&old.sa_mask, SIGSEGV) == 1);
	NEED(sigismember(&old.sa_mask, SIGBUS) == 1);
	sigemptyset(&action.sa_mask);
	NEED(!sigaction(SIGUSR1, &action, &old));
	NEED(sigismember(&old.sa_mask, SIGSEGV) == 1);
	NEED(!sigaction(SIGUSR1, NULL, &old));
	NEED(sigismember(&old.sa_mask, SIGSEGV) == 0);
	NEED(!raise(SIGUSR1) && calls == 1);
}

static void test_actions_are_reported_as_they_were_set(void **state)
{
	(void)state;
	passes(actions_are_reported);
	passes(other_masks_are_reported);
}

/* ----------------------------------------------------------------- flags */

static void once_only(void)
{
	struct sigaction old;

	set_full((int)SA_RESETHAND);
	touch();
	NEED(calls == 1);
	NEED(!sigaction(SIGSEGV, NULL, &old) && old.sa_handler == SIG_DFL);
	hide();
	touch();
}

static void note_masks(int sig)
{
	plain(sig);
	NEED(kernel_blocks(SIGSEGV) && seems_blocked(SIGSEGV));
	NEED(kernel_blocks(SIGUSR1));
	NEED(kernel_blocks(SIGHUP)); /* of the interrupted code */
	NEED(!kernel_blocks(SIGUSR2) && !kernel_blocks(SIGBUS));
}

static void masks_are_as_asked(void)
{
	struct sigaction action = {.sa_handler = note_masks};
	sigset_t hup;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &hup, NULL);
	sigaddset(&action.sa_mask, SIGUSR1);
	NEED(!sigaction(SIGSEGV, &action, NULL));
	touch();
	NEED(calls == 1);
	NEED(!kernel_blocks(SIGSEGV) && !kernel_blocks(SIGUSR1));
}

static void fault_again(int sig)
{
	if (calls++ == 0)
		touch();
	else
		plain(sig);
}

static void nested(void)
{
	struct sigaction action = {.sa_handler = fault_again,
				   .sa_flags = SA_NODEFER};

	NEED(!sigaction(SIGSEGV, &action, NULL));
	touch();
	NEED(calls == 3);
}

static void nested_is_deferred(void)
{
	signal(SIGSEGV, fault_again);
	touch();
}

static uint8_t alternate[1 << 16];

static bool on_alternate(void)
{
	uint8_t here;
	uintptr_t at = (uintptr_t)__builtin_frame_address(0);

	(void)here;
	return at - (uintptr_t)alternate < sizeof(alternate);
}

static void note_stack(int sig)
{
	plain(sig);
	last_code = on_alternate();
}

static void stacks_are_as_asked(void)
{
	struct sigaction action = {.sa_handler = note_stack};
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};

	NEED(!sigaltstack(&stack, NULL));
	NEED(!sigaction(SIGSEGV, &action, NULL));
	touch();
	NEED(calls == 1 && last_code == 0);
	action.sa_flags = SA_ONSTACK;
	NEED(!sigaction(SIGSEGV, &action, NULL));
	hide();
	touch();
	NEED(calls == 2 && last_code == 1);
}

static void test_flags_and_masks_of_a_handler_are_followed(void **state)
{
	(void)state;
	dies_by(once_only, SIGSEGV);
	passes(masks_are_as_asked);
	passes(nested);
	dies_by(nested_is_deferred, SIGSEGV);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	/* These bring stacks of their own. */
	passes(stacks_are_as_asked);
#endif
}

static sigjmp_buf out;

static void jump(int sig)
{
	sigset_t all, old;

	(void)sig;
	calls++;
	/* Blocking for a while inside must leave nothing behind. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	siglongjmp(out, 1);
}

static void jump_out(void)
{
	volatile int i;

	signal(SIGSEGV, jump);
	for (i = 0; i < 100; i++)
		if (!sigsetjmp(out, 1))
			touch();
	NEED(calls == 100);
	NEED(!kernel_blocks(SIGSEGV) && !seems_blocked(SIGSEGV));
}

static void test_a_handler_may_leave_by_a_jump(void **state)
{
	(void)state;
	passes(jump_out);
}

/* --------------------------------------------------------------- blocked */

static void blocked_fault(void)
{
	signal(SIGSEGV, plain);
	change_all(SIG_BLOCK);
	touch();
}

static void blocked_is_kept_and_reported(void)
{
	sigset_t set, old;

	change_all(SIG_BLOCK);
	NEED(seems_blocked(SIGSEGV) && seems_blocked(SIGBUS));
	NEED(!kernel_blocks(SIGSEGV) && !kernel_blocks(SIGBUS));
	NEED(kernel_blocks(SIGUSR1));
	NEED(!sigrelse(SIGBUS));
	NEED(seems_blocked(SIGSEGV) && !seems_blocked(SIGBUS));
	NEED(!sighold(SIGBUS));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	NEED(!sigprocmask(SIG_SETMASK, &set, &old));
	NEED(sigismember(&old, SIGSEGV) == 1 && sigismember(&old, SIGBUS) == 1);
	NEED(!seems_blocked(SIGSEGV) && !seems_blocked(SIGBUS));
	NEED(seems_blocked(SIGUSR1) && !seems_blocked(SIGUSR2));
	NEED(pthread_sigmask(77, &old, NULL) == EINVAL);
	NEED(!seems_blocked(SIGSEGV));
}

static void sent_while_blocked(void)
{
	sigset_t pending;

	set_full(0);
	change_all(SIG_BLOCK);
	NEED(!raise(SIGSEGV) && !raise(SIGSEGV));
	NEED(!calls);
	NEED(!sigpending(&pending));
	NEED(sigismember(&pending, SIGSEGV) == 1);
	NEED(sigismember(&pending, SIGBUS) == 0);
	change_all(SIG_UNBLOCK);
	NEED(calls == 1 && last_code == SI_TKILL);
	NEED(!sigpending(&pending) && !sigismember(&pending, SIGSEGV));
}

static void *blocking_thread(void *arg)
{
	change_all(SIG_BLOCK);
	((void (*)(void))arg)();
	return NULL;
}

static void in_a_thread_that_blocks(void (*what)(void))
{
	pthread_t thread;

	NEED(!pthread_create(&thread, NULL, blocking_thread, (void *)what));
	NEED(!pthread_join(thread, NULL));
}

static void others_do_not_block(void)
{
	signal(SIGSEGV, plain);
	in_a_thread_that_blocks(mend);
	hide();
	NEED(!seems_blocked(SIGSEGV));
	touch();
	NEED(calls == 1);
}

static void test_a_blocked_fault_kills_and_a_blocked_signal_waits(void **state)
{
	(void)state;
	dies_by(blocked_fault, SIGSEGV);
	passes(blocked_is_kept_and_reported);
	passes(sent_while_blocked);
	passes(others_do_not_block);
}

/* ------------------------------------------------------------- claimants */

static volatile sig_atomic_t claimed;

static bool claim_hole(const siginfo_t *info, ucontext_t *context)
{
	(void)context;
	if ((uintptr_t)info->si_addr - (uintptr_t)hole >= PAGE)
		return false;
	claimed++;
	errno = EXFULL;
	mend();
	return true;
}

static void touch_hole(void)
{
	int before = claimed;

	hide();
	errno = 0;
	touch();
	NEED(claimed == before + 1 && errno == 0);
}

static void claims_come_first(void)
{
	NEED(!fault_claim_by(FAULT_TRAP, claim_hole));
	touch_hole();
	set_full(0);
	touch_hole();
	signal(SIGSEGV, SIG_IGN);
	touch_hole();
	change_all(SIG_BLOCK);
	touch_hole();
	change_all(SIG_UNBLOCK);
	in_a_thread_that_blocks(touch_hole);
	NEED(!calls);
	/* What is not claimed: another page, and what is sent. */
	set_full(0);
	NEED(!raise(SIGSEGV) && calls == 1);
	hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void in_a_handler_of_another_signal(int sig)
{
	(void)sig;
	touch_hole();
}

static void claims_in_handlers(void)
{
	struct sigaction action = {.sa_handler =
					   in_a_handler_of_another_signal};

	NEED(!fault_claim_by(FAULT_TRAP, claim_hole));
	sigfillset(&action.sa_mask);
	NEED(!sigaction(SIGUSR1, &action, NULL));
	NEED(!raise(SIGUSR1));
	NEED(claimed == 1);
}

static bool copy_in_claim(const siginfo_t *info, ucontext_t *context)
{
	static const uint8_t zero;
	uint8_t *gone;

	if (!claim_hole(info, context))
		return false;
	/* A trap that finds client memory gone. */
	gone = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(dma_copy(gone, &zero, 1) == -EFAULT);
	return true;
}

static void dma_faults_stay_values(void)
{
	uint8_t byte = 1;

	NEED(!dma_init());
	NEED(!fault_claim_by(FAULT_TRAP, claim_hole));
	set_full(0);
	NEED(dma_copy(hole, &byte, 1) == -EFAULT);
	change_all(SIG_BLOCK);
	NEED(dma_copy(&byte, hole, 1) == -EIO);
	NEED(kernel_blocks(SIGUSR1) && seems_blocked(SIGSEGV));
	change_all(SIG_UNBLOCK);
	NEED(dma_copy(hole, &byte, 1) == -EFAULT);
	NEED(!kernel_blocks(SIGUSR1) && !kernel_blocks(SIGSEGV));
	NEED(!calls && !claimed);
#ifndef __SANITIZE_THREAD__
	/* Its runtime calls a handler with both signals blocked. */
	NEED(!fault_claim_by(FAULT_TRAP, copy_in_claim));
	touch_hole();
	touch_hole();
#endif
}

static void test_claimants_are_asked_before_the_program(void **state)
{
	(void)state;
	passes(claims_come_first);
	/* TSan's runtime calls a handler with every signal blocked. */
#ifndef __SANITIZE_THREAD__
	passes(claims_in_handlers);
#endif
	passes(dma_faults_stay_values);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_default_action_kills_as_without_us),
		cmocka_unit_test(
			test_an_ignored_signal_may_be_sent_but_a_fault_kills),
		cmocka_unit_test(test_a_handler_of_the_program_gets_its_faults),
		cmocka_unit_test(test_actions_are_reported_as_they_were_set),
		cmocka_unit_test(
			test_flags_and_masks_of_a_handler_are_followed),
		cmocka_unit_test(test_a_handler_may_leave_by_a_jump),
		cmocka_unit_test(
			test_a_blocked_fault_kills_and_a_blocked_signal_waits),
		cmocka_unit_test(test_claimants_are_asked_before_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
