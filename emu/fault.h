/* SPDX-License-Identifier: MIT */
/*
 * The one owner of SIGSEGV and SIGBUS. A fault is offered to the parts of the
 * NIC that make faults on purpose, in a fixed order; what none of them claims
 * goes where the program wants its faults. See fault.c.
 */
#ifndef EMU_FAULT_H
#define EMU_FAULT_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who is asked, in this order. */
enum fault_claimant {
	FAULT_DMA = 0, /* client memory that is gone (emu/dma.c) */
	FAULT_TRAP,    /* a doorbell (emu/uverbs/trap.c) */
	FAULT_CLAIMANTS,
};

/*
 * Is it yours? True: it is handled, the program goes on with *context, which
 * the function may have changed. Runs in the handler, in the thread that
 * faulted, on whatever stack the program has for that; every signal but the
 * synchronous ones is blocked. A fault in the function itself comes here too.
 * It may leave by a jump if it calls fault_leave() before.
 */
typedef bool (*fault_claim)(const siginfo_t *info, ucontext_t *context);

/*
 * Install the handlers if nobody did yet, and ask this function from now on.
 * NULL: install only. Returns 0 or -errno.
 */
int fault_claim_by(enum fault_claimant who, fault_claim claim);

/* Give the thread the signal mask that it had when it faulted. */
void fault_leave(const ucontext_t *context);

/* ------------------------------------- for who stands in for libc's calls --- */

typedef int (*fault_sigaction_fn)(int sig, const struct sigaction *action,
				  struct sigaction *old);

/* libc's sigaction(), if the symbol leads elsewhere. Before the first claim. */
void fault_use_sigaction(fault_sigaction_fn real);

/* Is this signal one of the two, and are the handlers installed? */
bool fault_owns(int sig);

/*
 * sigaction() of a signal that fault_owns(): the action is kept, reported and
 * followed as the kernel would, and the handler stays ours. Returns 0, or -1
 * with errno.
 */
int fault_sigaction(int sig, const struct sigaction *action,
		    struct sigaction *old);

/*
 * The two signals stay unblocked, or a doorbell would end the process. What
 * the calling thread wants to be blocked is kept here: bit 0 SIGSEGV, bit 1
 * SIGBUS. A real fault of a blocked signal kills, as the kernel has it; one
 * that was sent waits until it is unblocked.
 */
enum { FAULT_BLOCK_SEGV = 1 << 0, FAULT_BLOCK_BUS = 1 << 1 };

unsigned fault_blocked(void);
void fault_set_blocked(unsigned blocked);
/* Of those: which were sent, and wait. */
unsigned fault_pending(void);

#ifdef __cplusplus
}
#endif
#endif
