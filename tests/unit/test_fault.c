/* SPDX-License-Identifier: MIT */
/*
 * A program that has ideas of its own about SIGSEGV and SIGBUS sees what it
 * would see without us. Blocked signals and claimants: test_fault_claims.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "support/t_fault.h"

/* The older calls are tested too. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

sighandler_t bsd_signal(int sig, sighandler_t handler);

/* -------------------------------------------------------- default action */

static void kernel_default(void)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} none = {0};

	T_NEED(!syscall(SYS_rt_sigaction, SIGSEGV, &none, NULL,
			(size_t)SIGSET_BYTES));
	t_touch();
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
	assert_int_equal(t_status_of(t_touch), t_status_of(kernel_default));
	t_dies_by(t_touch, SIGSEGV);
	t_dies_by(send_to_itself, SIGSEGV);
	t_dies_by(bus_to_itself, SIGBUS);
	t_dies_by(bus_error, SIGBUS);
}

static void ignore_and_touch(void)
{
	signal(SIGSEGV, SIG_IGN);
	T_NEED(!raise(SIGSEGV));
	T_NEED(!raise(SIGSEGV));
	fputs("", stderr);
	t_touch();
}

static void ignore_and_send(void)
{
	T_NEED(!sigignore(SIGSEGV));
	T_NEED(!raise(SIGSEGV));
}

static void test_an_ignored_signal_may_be_sent_but_a_fault_kills(void **state)
{
	(void)state;
	t_passes(ignore_and_send);
	t_dies_by(ignore_and_touch, SIGSEGV);
}

/* -------------------------------------------------------------- handlers */

static void full_handler(void)
{
	t_set_full(0);
	t_touch();
	T_NEED(t_calls == 1 && t_last_sig == SIGSEGV && t_last_addr == t_hole);
	T_NEED(t_last_code == SEGV_ACCERR);
	T_NEED(!t_kernel_blocks(SIGSEGV));
	t_hide();
	t_touch();
	T_NEED(t_calls == 2);
	T_NEED(!raise(SIGSEGV));
	T_NEED(t_calls == 3 && t_last_code == SI_TKILL);
}

static void handlers_by_any_call(void)
{
	T_NEED(signal(SIGSEGV, t_plain) == SIG_DFL);
	t_touch();
	T_NEED(bsd_signal(SIGSEGV, SIG_DFL) == t_plain);
	T_NEED(bsd_signal(SIGSEGV, t_plain) == SIG_DFL);
	t_hide();
	t_touch();
	T_NEED(sigset(SIGSEGV, t_plain) == t_plain);
	t_hide();
	t_touch();
	T_NEED(t_calls == 3);
	T_NEED(sigset(SIGSEGV, SIG_HOLD) == t_plain);
	T_NEED(t_seems_blocked(SIGSEGV));
	T_NEED(sigset(SIGSEGV, t_plain) == SIG_HOLD);
	T_NEED(!t_seems_blocked(SIGSEGV));
	T_NEED(signal(SIGSEGV, SIG_ERR) == SIG_ERR && errno == EINVAL);
	T_NEED(!siginterrupt(SIGSEGV, 1));
	T_NEED(!siginterrupt(SIGSEGV, 0));
	t_hide();
	t_touch();
	T_NEED(t_calls == 4);
}

static void test_a_handler_of_the_program_gets_its_faults(void **state)
{
	(void)state;
	t_passes(full_handler);
	t_passes(handlers_by_any_call);
}

static void actions_are_reported(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK}, old;

	action.sa_sigaction = t_full;
	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR1);
	T_NEED(!sigaction(SIGSEGV, &action, &old));
	T_NEED(old.sa_handler == SIG_DFL);
	T_NEED(!sigaction(SIGSEGV, NULL, &old));
	T_NEED(old.sa_sigaction == t_full && old.sa_flags == action.sa_flags);
	T_NEED(sigismember(&old.sa_mask, SIGUSR1) == 1);
	T_NEED(sigismember(&old.sa_mask, SIGUSR2) == 0);
	action.sa_flags = 0;
	action.sa_handler = t_plain;
	T_NEED(!sigaction(SIGSEGV, &action, &old));
	T_NEED(old.sa_sigaction == t_full);
	T_NEED(!siginterrupt(SIGSEGV, 0));
	T_NEED(!sigaction(SIGSEGV, NULL, &old));
	T_NEED(old.sa_handler == t_plain && old.sa_flags == SA_RESTART);
	T_NEED(signal(SIGSEGV, SIG_DFL) == t_plain);
	T_NEED(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL);
}

static void other_masks_are_reported(void)
{
	struct sigaction action = {.sa_handler = t_plain}, old;

	sigfillset(&action.sa_mask);
	T_NEED(!sigaction(SIGUSR1, &action, NULL));
	T_NEED(!sigaction(SIGUSR1, NULL, &old));
	T_NEED(sigismember(&old.sa_mask, SIGSEGV) == 1);
	T_NEED(sigismember(&old.sa_mask, SIGBUS) == 1);
	sigemptyset(&action.sa_mask);
	T_NEED(!sigaction(SIGUSR1, &action, &old));
	T_NEED(sigismember(&old.sa_mask, SIGSEGV) == 1);
	T_NEED(!sigaction(SIGUSR1, NULL, &old));
	T_NEED(sigismember(&old.sa_mask, SIGSEGV) == 0);
	T_NEED(!raise(SIGUSR1) && t_calls == 1);
}

static void test_actions_are_reported_as_they_were_set(void **state)
{
	(void)state;
	t_passes(actions_are_reported);
	t_passes(other_masks_are_reported);
}

/* ----------------------------------------------------------------- flags */

static void once_only(void)
{
	struct sigaction old;

	t_set_full((int)SA_RESETHAND);
	t_touch();
	T_NEED(t_calls == 1);
	T_NEED(!sigaction(SIGSEGV, NULL, &old) && old.sa_handler == SIG_DFL);
	t_hide();
	t_touch();
}

static void note_masks(int sig)
{
	t_plain(sig);
	T_NEED(t_kernel_blocks(SIGSEGV) && t_seems_blocked(SIGSEGV));
	T_NEED(t_kernel_blocks(SIGUSR1));
	T_NEED(t_kernel_blocks(SIGHUP)); /* of the interrupted code */
	T_NEED(!t_kernel_blocks(SIGUSR2) && !t_kernel_blocks(SIGBUS));
}

static void masks_are_as_asked(void)
{
	struct sigaction action = {.sa_handler = note_masks};
	sigset_t hup;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &hup, NULL);
	sigaddset(&action.sa_mask, SIGUSR1);
	T_NEED(!sigaction(SIGSEGV, &action, NULL));
	t_touch();
	T_NEED(t_calls == 1);
	T_NEED(!t_kernel_blocks(SIGSEGV) && !t_kernel_blocks(SIGUSR1));
}

static void fault_again(int sig)
{
	if (t_calls++ == 0)
		t_touch();
	else
		t_plain(sig);
}

static void nested(void)
{
	struct sigaction action = {.sa_handler = fault_again,
				   .sa_flags = SA_NODEFER};

	T_NEED(!sigaction(SIGSEGV, &action, NULL));
	t_touch();
	T_NEED(t_calls == 3);
}

static void nested_is_deferred(void)
{
	signal(SIGSEGV, fault_again);
	t_touch();
}

static uint8_t alternate[1 << 16];

static bool on_alternate(void)
{
	uintptr_t at = (uintptr_t)__builtin_frame_address(0);

	return at - (uintptr_t)alternate < sizeof(alternate);
}

static void note_stack(int sig)
{
	t_plain(sig);
	t_last_code = on_alternate();
}

static void stacks_are_as_asked(void)
{
	struct sigaction action = {.sa_handler = note_stack};
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};

	T_NEED(!sigaltstack(&stack, NULL));
	T_NEED(!sigaction(SIGSEGV, &action, NULL));
	t_touch();
	T_NEED(t_calls == 1 && t_last_code == 0);
	action.sa_flags = SA_ONSTACK;
	T_NEED(!sigaction(SIGSEGV, &action, NULL));
	t_hide();
	t_touch();
	T_NEED(t_calls == 2 && t_last_code == 1);
}
static void test_flags_and_masks_of_a_handler_are_followed(void **state)
{
	(void)state;
	t_dies_by(once_only, SIGSEGV);
	t_passes(masks_are_as_asked);
	t_passes(nested);
	t_dies_by(nested_is_deferred, SIGSEGV);
	if (OWN_STACKS)
		t_passes(stacks_are_as_asked);
}

static sigjmp_buf out;

static void jump(int sig)
{
	sigset_t all, old;

	(void)sig;
	t_calls++;
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
			t_touch();
	T_NEED(t_calls == 100);
	T_NEED(!t_kernel_blocks(SIGSEGV) && !t_seems_blocked(SIGSEGV));
}

static void test_a_handler_may_leave_by_a_jump(void **state)
{
	(void)state;
	t_passes(jump_out);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
