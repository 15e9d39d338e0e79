/* SPDX-License-Identifier: MIT */
/*
 * The program's mappings of doorbell pages: each is trapped, or the page is
 * polled.
 *
 * A mapping is learned in mmap(); one that was made behind our back (UCX
 * patches mmap() in memory) is found in /proc/self/maps when a queue is made
 * that may ring there. A page of which any mapping is not trapped is polled.
 *
 * A trapped store rings in the thread that stored, and that thread serves the
 * NIC for a bounded while; what is left is the runner's.
 *
 * A signal handler of the program may ring while its thread is inside, with
 * the NIC's lock in its hands. What it stores then goes to the page's memory,
 * and the thread looks there when it leaves.
 *
 * Thread: any; a leaf lock over the list.
 */
#include "emu/uverbs/mapping.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emu/order.h"
#include "emu/runner.h"
#include "emu/uverbs/call.h"
#include "emu/uverbs/fd.h"
#include "emu/uverbs/trap.h"
#include "emu/wire.h"
#include "hw/doorbell.h"

enum {
	FEW_CORES = 8,
	STEPS = 16, /* of a thread that rang, before the runner goes on */
};

struct mapping {
	struct mapping *next;
	struct uv_uar *uar; /* NULL: the page is gone */
	struct nic *nic;
	uint32_t page_id;
	bool missed; /* its memory holds doorbells that nobody looked at */
	void *addr;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mapping *mappings;
static int traps = -1;

/* ----------------------------------------------------------------- policy */

static bool few_cores(void)
{
	cpu_set_t cpus;

	return !sched_getaffinity(0, sizeof(cpus), &cpus) &&
	       CPU_COUNT(&cpus) < FEW_CORES;
}

static bool decide(void)
{
	enum uv_detect detect = uv_config()->detect;
	const char *why = uv_trap_unavailable();

	if (detect == UV_DETECT_POLL ||
	    (detect == UV_DETECT_AUTO && !few_cores()))
		return false;
	if (why)
		uv_say(detect == UV_DETECT_TRAP ? NIC_LOG_ERROR : NIC_LOG_INFO,
		       "doorbells are polled: %s", why);
	return !why;
}

bool uv_mapping_traps(void)
{
	/* Relaxed: whoever decides, decides the same. */
	if (__atomic_load_n(&traps, __ATOMIC_RELAXED) < 0)
		__atomic_store_n(&traps, decide(), __ATOMIC_RELAXED);
	return traps;
}

/* ------------------------------------------------------------------ stores */

static void serve(struct nic *nic)
{
	uint64_t now_ns = nic_runner_now_ns();
	unsigned i;

	for (i = 0; i < STEPS; i++)
		if (nic_step(nic, now_ns) != NIC_STEP_BUSY)
			return;
	nic_wake(nic);
}

/* A page whose memory is to be looked at; NULL: none. */
static struct nic *take_missed(uint32_t *page_id)
{
	struct nic *nic = NULL;
	struct mapping *m;

	pthread_mutex_lock(&lock);
	for (m = mappings; m && !nic; m = m->next) {
		if (!__atomic_exchange_n(&m->missed, false, __ATOMIC_ACQUIRE))
			continue;
		nic = m->nic;
		*page_id = m->page_id;
	}
	pthread_mutex_unlock(&lock);
	return nic;
}

static void catch_up(void)
{
	int saved = errno;
	struct nic *nic;
	uint32_t page_id;

	while ((nic = take_missed(&page_id)))
		if (!nic_uar_look(nic, page_id))
			serve(nic);
	errno = saved;
}

static void keep(struct mapping *mapping, size_t offset, const void *bytes,
		 size_t len)
{
	uint8_t *to = mapping->uar->page + offset;
	uint64_t word;

	if (len == sizeof(word) && offset % sizeof(word) == 0) {
		memcpy(&word, bytes, sizeof(word));
		nic_order_store_register(to, word);
	} else {
		memcpy(to, bytes, len);
	}
	/* Who takes the mark looks at the page after it. */
	__atomic_store_n(&mapping->missed, true, __ATOMIC_RELEASE);
	uv_when_left(catch_up);
}

/* In the handler of the fault; see trap.h. */
static void on_store(void *arg, size_t offset, const void *bytes, size_t len)
{
	struct mapping *mapping = arg;
	struct nic *nic = mapping->nic;

	/* In a forked child the NIC is the parent's. */
	if (!uv_fd_mine())
		return;
	if (uv_inside()) {
		keep(mapping, offset, bytes, len);
		return;
	}
	uv_enter();
	if (nic_uar_write(nic, mapping->page_id, (uint32_t)offset, bytes, len) >
	    0)
		serve(nic);
	uv_leave();
}

static void on_give_up(void *arg, const char *why)
{
	const struct mapping *mapping = arg;

	uv_enter();
	uv_say(NIC_LOG_WARN, "a doorbell page is polled from now on: %s", why);
	nic_uar_set_trapped(mapping->nic, mapping->page_id, false);
	nic_wake(mapping->nic);
	uv_leave();
}

static const struct uv_trap_ops ops = {
	.store = on_store,
	.give_up = on_give_up,
};

/* -------------------------------------------------------------------- list */

/* Requires: the context's lock, or that the page cannot go. */
static void add(struct uv_context *context, struct uv_uar *uar, void *addr)
{
	struct mapping *mapping = calloc(1, sizeof(*mapping));
	int ret = -ENOMEM;

	if (uar->by_gpu) {
		free(mapping);
		return;
	}
	if (mapping) {
		mapping->uar = uar;
		mapping->nic = context->nic;
		mapping->page_id = uar->page_id;
		mapping->addr = addr;
		ret = uv_trap_add(addr, HW_UAR_BYTES, &ops, mapping);
	}
	if (ret) {
		/* Somebody polls it, or it is trapped already. */
		if (ret != -EEXIST)
			nic_uar_set_trapped(context->nic, uar->page_id, false);
		free(mapping);
		return;
	}
	pthread_mutex_lock(&lock);
	mapping->next = mappings;
	mappings = mapping;
	uar->mappings++;
	pthread_mutex_unlock(&lock);
	nic_uar_set_trapped(context->nic, uar->page_id, true);
}

/* Take the first mapping that matches off the list. */
static struct mapping *take(const struct uv_uar *uar, const void *addr,
			    size_t len)
{
	struct mapping **link = &mappings, *m;

	pthread_mutex_lock(&lock);
	while ((m = *link)) {
		bool inside = (uintptr_t)m->addr >= (uintptr_t)addr &&
			      (uintptr_t)m->addr < (uintptr_t)addr + len;

		if (uar ? m->uar == uar : inside)
			break;
		link = &m->next;
	}
	if (m) {
		*link = m->next;
		if (m->uar)
			m->uar->mappings--;
	}
	pthread_mutex_unlock(&lock);
	return m;
}

/* What is rung meanwhile is not lost: the page is looked at first. */
static void forget(struct mapping *mapping)
{
	nic_uar_set_trapped(mapping->nic, mapping->page_id, false);
	uv_trap_remove(mapping->addr);
	free(mapping);
}

void uv_mapping_drop(struct uv_uar *uar)
{
	struct mapping *m;

	while ((m = take(uar, NULL, 0)))
		forget(m);
}

void uv_context_unmapped(void *addr, size_t len)
{
	struct mapping *m;

	if (!__atomic_load_n(&mappings, __ATOMIC_RELAXED))
		return;
	uv_enter();
	while ((m = take(NULL, addr, len)))
		forget(m);
	uv_leave();
}

void uv_context_mapped(struct uv_context *context, void *addr, size_t len,
		       uint64_t offset)
{
	struct uv_uar *uar;

	if (!uv_mapping_traps())
		return;
	uv_enter();
	pthread_mutex_lock(&context->lock);
	for (; len >= HW_UAR_BYTES; len -= HW_UAR_BYTES) {
		uar = uv_uar_at(context, offset);
		if (uar)
			add(context, uar, addr);
		addr = (uint8_t *)addr + HW_UAR_BYTES;
		offset += HW_UAR_BYTES;
	}
	pthread_mutex_unlock(&context->lock);
	uv_leave();
}

/* ------------------------------------------------------------ rung by a GPU */

/* A mapping of the file of some context. */
struct place {
	ino_t inode;
	uint64_t offset;
};

/* What is mapped at the address, by /proc/self/maps. */
static bool find_place(uint64_t addr, struct place *place)
{
	unsigned long long from, to, offset, inode;
	bool found = false;
	char line[512];
	FILE *maps;

	maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return false;
	while (!found && fgets(line, sizeof(line), maps)) {
		found = sscanf(line, "%llx-%llx %*s %llx %*s %llu", &from, &to,
			       &offset, &inode) == 4 &&
			addr >= from && addr < to;
		if (found) {
			place->inode = inode;
			place->offset = offset + (addr - from);
		}
	}
	fclose(maps);
	return found;
}

/* For each context, until one has the page; its lock is not held. */
static bool poll_page(struct uv_context *context, void *arg)
{
	const struct place *place = arg;
	struct uv_uar *uar = NULL;
	struct stat st;

	if (fstat(context->pages_fd, &st) || st.st_ino != place->inode)
		return false;
	pthread_mutex_lock(&context->lock);
	uar = uv_uar_at(context, place->offset & ~(HW_UAR_BYTES - 1ull));
	if (uar && !uar->by_gpu) {
		uar->by_gpu = true;
		uv_mapping_drop(uar);
		nic_uar_set_trapped(context->nic, uar->page_id, false);
		uv_device_rung_by_gpu(1);
	}
	pthread_mutex_unlock(&context->lock);
	return uar != NULL;
}

bool uv_mapping_rung_by_gpu(const void *addr, size_t len)
{
	uint64_t at = (uintptr_t)addr, end = at + len;
	struct place place;
	bool ours = false;

	uv_enter();
	for (at &= ~(HW_UAR_BYTES - 1ull); at < end; at += HW_UAR_BYTES) {
		if (!find_place(at, &place) ||
		    !uv_contexts_any(poll_page, &place))
			break;
		ours = true;
	}
	uv_leave();
	return ours;
}

/* ------------------------------------------------------------ found later */

/* One line of /proc/self/maps: is it a mapping of the page? */
static void look_at(struct uv_context *context, struct uv_uar *uar,
		    const char *line, unsigned long long inode)
{
	unsigned long long from, to, offset, found;
	char perms[8];

	if (sscanf(line, "%llx-%llx %7s %llx %*s %llu", &from, &to, perms,
		   &offset, &found) != 5 ||
	    found != inode || uar->offset < offset ||
	    uar->offset >= offset + (to - from))
		return;
	from += uar->offset - offset;
	if ((uintptr_t)uar->page != from)
		add(context, uar, (void *)(uintptr_t)from);
}

void uv_mapping_find(struct uv_context *context, struct uv_uar *uar)
{
	char line[512];
	struct stat st;
	FILE *maps;

	if (!uv_mapping_traps() || uar->mappings ||
	    fstat(context->pages_fd, &st))
		return;
	maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return;
	while (fgets(line, sizeof(line), maps))
		look_at(context, uar, line, st.st_ino);
	fclose(maps);
}

void uv_mapping_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	mappings = NULL;
}
