/* SPDX-License-Identifier: MIT */
/*
 * Doorbells seen as faults. A trapped page can be read; a store to it does not
 * reach it but is told to the page's owner, in the thread that stored.
 *
 * The owner connects it with the NIC as follows.
 *
 *   uv_trap_add(page, ...), then nic_uar_set_trapped(nic, uar, true)
 *   ops->store:    nic_uar_write(); if that says 1, nic_step() or nic_wake()
 *   ops->give_up:  nic_uar_set_trapped(nic, uar, false)
 *   nic_uar_set_trapped(nic, uar, false), then uv_trap_remove(page)
 *
 * No doorbell is lost on any of these ways: nic_uar_set_trapped() looks at the
 * page once more, and a page that is polled takes nic_uar_write() as well.
 *
 * The NIC must have a mapping of its own of the page (nic_uar_alloc), which
 * stays writable.
 */
#ifndef EMU_UVERBS_TRAP_H
#define EMU_UVERBS_TRAP_H

#include <stddef.h>

/*
 * Both run in the handler of the fault, in the thread that stored, with every
 * asynchronous signal blocked: as signal handlers they may take locks, since
 * the interrupted code is the program's; they must not take one that is held
 * over a store to a trapped page, nor call uv_trap_*. errno is kept for them.
 */
struct uv_trap_ops {
	/*
	 * The program stored len bytes (1 to 64) at this offset of what was
	 * added. Every store is told once, those of one thread in order.
	 */
	void (*store)(void *arg, size_t offset, const void *bytes, size_t len);
	/*
	 * An instruction cannot be followed, why says which. When this returns
	 * the pages are plain memory, and that instruction is the first to
	 * store to them: they must be looked at from now on. Called once at
	 * most; other threads may still be in store() meanwhile.
	 */
	void (*give_up)(void *arg, const char *why);
};

/* NULL if pages can be trapped here, else a sentence that names what is not. */
const char *uv_trap_unavailable(void);

/*
 * Trap stores to this mapping: whole pages, of len bytes. Returns 0; -ENOTSUP
 * if unavailable; -EINVAL; -EEXIST for a page that is trapped; -ENOSPC after
 * some thousand pages; or what mprotect() says.
 */
int uv_trap_add(void *addr, size_t len, const struct uv_trap_ops *ops,
		void *arg);

/*
 * Make it plain memory again, before it is unmapped. When this returns nobody
 * is in ops nor will be. Returns 0, or -ENOENT if nothing was added at addr.
 */
int uv_trap_remove(void *addr);

#endif
