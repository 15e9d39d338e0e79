/* SPDX-License-Identifier: MIT */
/*
 * The descriptor table, as the interposers need it; see uverbs.h for the rest.
 */
#ifndef EMU_UVERBS_FD_H
#define EMU_UVERBS_FD_H

#include "emu/uverbs/uverbs.h"

/* What fd is, or was when its last owner closed it behind our back. */
enum uv_fd_kind uv_fd_kind(int fd);

/* Is this thread inside uv_enter()? */
bool uv_inside(void);

/* Outside for a while, however deep inside this thread is; and back. */
unsigned uv_step_out(void);
void uv_step_in(unsigned depth);

/*
 * From a signal handler that finds its thread inside: call the function once
 * when the thread leaves. It may hold a context's lock then, and no other.
 */
void uv_when_left(void (*fn)(void));

/*
 * Around calls into context.c. A signal handler that ends the process may find
 * itself in the middle of one, with locks held.
 */
void uv_call_begin(void);
void uv_call_end(void);
bool uv_in_call(void);

/*
 * A descriptor that the kernel has just given out. Inside, it is moved to a
 * high number and becomes internal; outside, whatever the table says about
 * it is out of date and is dropped. fd < 0 passes. Returns the descriptor.
 */
int uv_fd_opened(int fd);

/*
 * Take fd out of the table before it is closed, or another descriptor takes
 * its number; then tell how that went. Not in the other order, because another
 * thread may get the number as soon as it is free.
 */
struct uv_fd_entry;
struct uv_fd_entry *uv_fd_take(int fd);
void uv_fd_closed(struct uv_fd_entry *taken);
void uv_fd_restore(int fd, struct uv_fd_entry *taken);

/* The same object under another number; from is not internal. */
struct uv_fd_entry *uv_fd_share(int fd);
void uv_fd_set(int fd, struct uv_fd_entry *entry);

/*
 * Is this the process whose table it is? A child of vfork() is not: it has
 * descriptors of its own, but our memory.
 */
bool uv_fd_mine(void);

/* The first descriptor from fd on that is in the table; -1: none. */
int uv_fd_next(int fd);

/* In a forked child: internal ones are closed, others lose their objects. */
void uv_fd_after_fork(void);

#endif
