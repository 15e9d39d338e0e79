/* SPDX-License-Identifier: MIT */
/*
 * Faults that the NIC claims come through whatever the program's handlers and
 * masks are, and what it blocks is blocked all the same.
 */
#include "emu/fault.h"

#include <errno.h>
#include <stdlib.h>

#include "emu/dma.h"
#include "support/t_fault.h"

/* The older calls are tested too. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* --------------------------------------------------------------- blocked */

static void blocked_fault(void)
{
	signal(SIGSEGV, t_plain);
	t_change_all(SIG_BLOCK);
	t_touch();
}

static void blocked_is_kept_and_reported(void)
{
	sigset_t set, old;

	t_change_all(SIG_BLOCK);
	T_NEED(t_seems_blocked(SIGSEGV) && t_seems_blocked(SIGBUS));
	T_NEED(!t_kernel_blocks(SIGSEGV) && !t_kernel_blocks(SIGBUS));
	T_NEED(t_kernel_blocks(SIGUSR1));
	T_NEED(!sigrelse(SIGBUS));
	T_NEED(t_seems_blocked(SIGSEGV) && !t_seems_blocked(SIGBUS));
	T_NEED(!sighold(SIGBUS));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	T_NEED(!sigprocmask(SIG_SETMASK, &set, &old));
	T_NEED(sigismember(&old, SIGSEGV) == 1 &&
	       sigismember(&old, SIGBUS) == 1);
	T_NEED(!t_seems_blocked(SIGSEGV) && !t_seems_blocked(SIGBUS));
	T_NEED(t_seems_blocked(SIGUSR1) && !t_seems_blocked(SIGUSR2));
	T_NEED(pthread_sigmask(77, &old, NULL) == EINVAL);
	T_NEED(!t_seems_blocked(SIGSEGV));
}

static void sent_while_blocked(void)
{
	sigset_t pending;

	t_set_full(0);
	t_change_all(SIG_BLOCK);
	T_NEED(!raise(SIGSEGV) && !raise(SIGSEGV));
	T_NEED(!t_calls);
	T_NEED(!sigpending(&pending));
	T_NEED(sigismember(&pending, SIGSEGV) == 1);
	T_NEED(sigismember(&pending, SIGBUS) == 0);
	t_change_all(SIG_UNBLOCK);
	T_NEED(t_calls == 1 && t_last_code == SI_TKILL);
	T_NEED(!sigpending(&pending) && !sigismember(&pending, SIGSEGV));
}

static void *blocking_thread(void *arg)
{
	t_change_all(SIG_BLOCK);
	((void (*)(void))arg)();
	return NULL;
}

static void in_a_thread_that_blocks(void (*what)(void))
{
	pthread_t thread;

	T_NEED(!pthread_create(&thread, NULL, blocking_thread, (void *)what));
	T_NEED(!pthread_join(thread, NULL));
}

static void others_do_not_block(void)
{
	signal(SIGSEGV, t_plain);
	in_a_thread_that_blocks(t_mend);
	t_hide();
	T_NEED(!t_seems_blocked(SIGSEGV));
	t_touch();
	T_NEED(t_calls == 1);
}

static void test_a_blocked_fault_kills_and_a_blocked_signal_waits(void **state)
{
	(void)state;
	t_dies_by(blocked_fault, SIGSEGV);
	t_passes(blocked_is_kept_and_reported);
	t_passes(sent_while_blocked);
	t_passes(others_do_not_block);
}

/* ------------------------------------------------------------- claimants */

static volatile sig_atomic_t claimed;

static bool claim_hole(const siginfo_t *info, ucontext_t *context)
{
	(void)context;
	if ((uintptr_t)info->si_addr - (uintptr_t)t_hole >= PAGE)
		return false;
	claimed++;
	errno = EXFULL;
	t_mend();
	return true;
}

static void touch_hole(void)
{
	int before = claimed;

	t_hide();
	errno = 0;
	t_touch();
	T_NEED(claimed == before + 1 && errno == 0);
}

static void claims_come_first(void)
{
	T_NEED(!fault_claim_by(FAULT_TRAP, claim_hole));
	touch_hole();
	t_set_full(0);
	touch_hole();
	signal(SIGSEGV, SIG_IGN);
	touch_hole();
	t_change_all(SIG_BLOCK);
	touch_hole();
	t_change_all(SIG_UNBLOCK);
	in_a_thread_that_blocks(touch_hole);
	T_NEED(!t_calls);
	/* What is not claimed: another page, and what is sent. */
	t_set_full(0);
	T_NEED(!raise(SIGSEGV) && t_calls == 1);
	t_hole =
		mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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

	T_NEED(!fault_claim_by(FAULT_TRAP, claim_hole));
	sigfillset(&action.sa_mask);
	T_NEED(!sigaction(SIGUSR1, &action, NULL));
	T_NEED(!raise(SIGUSR1));
	T_NEED(claimed == 1);
}

static bool copy_in_claim(const siginfo_t *info, ucontext_t *context)
{
	static const uint8_t zero;
	uint8_t *gone;

	if (!claim_hole(info, context))
		return false;
	/* A trap that finds client memory gone. */
	gone = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T_NEED(dma_copy(gone, &zero, 1) == -EFAULT);
	return true;
}

static void dma_faults_stay_values(void)
{
	uint8_t byte = 1;

	T_NEED(!dma_init());
	T_NEED(!fault_claim_by(FAULT_TRAP, claim_hole));
	t_set_full(0);
	T_NEED(dma_copy(t_hole, &byte, 1) == -EFAULT);
	t_change_all(SIG_BLOCK);
	T_NEED(dma_copy(&byte, t_hole, 1) == -EIO);
	T_NEED(t_kernel_blocks(SIGUSR1) && t_seems_blocked(SIGSEGV));
	t_change_all(SIG_UNBLOCK);
	T_NEED(dma_copy(t_hole, &byte, 1) == -EFAULT);
	T_NEED(!t_kernel_blocks(SIGUSR1) && !t_kernel_blocks(SIGSEGV));
	T_NEED(!t_calls && !claimed);
	if (!OWN_MASKS)
		return;
	T_NEED(!fault_claim_by(FAULT_TRAP, copy_in_claim));
	touch_hole();
	touch_hole();
}

static void test_claimants_are_asked_before_the_program(void **state)
{
	(void)state;
	t_passes(claims_come_first);
	if (OWN_MASKS)
		t_passes(claims_in_handlers);
	t_passes(dma_faults_stay_values);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_blocked_fault_kills_and_a_blocked_signal_waits),
		cmocka_unit_test(test_claimants_are_asked_before_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
