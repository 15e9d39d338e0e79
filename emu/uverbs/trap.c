/* SPDX-License-Identifier: MIT */
/*
 * Pages whose stores fault, are decoded, told to the page's owner and skipped.
 *
 * The handler finds its page in a hash table without a lock, and the decoded
 * instruction in a cache, since a program has few places that ring. What
 * cannot be decoded is not lost: the owner is told to poll, the page becomes
 * plain memory, and the instruction runs again by itself.
 *
 * Reads of a page show what the NIC's mapping of it holds, which is what a
 * read-modify-write would see; of these only XCHG is followed.
 *
 * Stack: 5.3 KiB with a step of the NIC in ops, measured; 3.3 KiB of them are
 * the kernel's frame with AVX-512. Decoding takes 1.5 KiB before ops are
 * called. It is the alternate stack if the program's own action for SIGSEGV has
 * SA_ONSTACK, and one of 8 KiB is enough.
 *
 * Not modelled: system calls that write to a page (they fail with EFAULT), and
 * stores by a GPU or another device.
 * Thread: any.
 */
#include "emu/uverbs/trap.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "emu/dma.h"
#include "emu/fault.h"
#include "emu/uverbs/store.h"

enum {
	PAGE = 4096,
	SLOTS = 8192,
	PAGES_MAX = SLOTS / 2,
	CACHE = 256,
	WHY_BYTES = 128,
};

struct trap {
	uintptr_t start;
	size_t len;
	const struct uv_trap_ops *ops;
	void *arg;
	uint32_t given_up;
};

/*
 * A slot of the hash table. key is 0 (never used), the address of a trapped
 * page, or that of a page that is not trapped any more, with bit 0 set.
 */
struct slot {
	uintptr_t key;
	struct trap *trap;
	uint32_t users;	 /* handlers that use trap */
	uint32_t change; /* number of the change that set bit 0 */
};

static struct slot slots[SLOTS];
static unsigned pages_used; /* under the lock */
static uint32_t changes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Faults that met a page which had just become plain memory. */
struct retried {
	uintptr_t page;
	uint32_t change;
};

static __thread struct retried retried
	__attribute__((tls_model("initial-exec")));

/* ------------------------------------------------------------------- table */

static unsigned slot_index(uintptr_t page)
{
	return (unsigned)((page / PAGE * 0x9e3779b97f4a7c15ull) >> 51) % SLOTS;
}

static uintptr_t load_key(const struct slot *slot)
{
	return __atomic_load_n(&slot->key, __ATOMIC_SEQ_CST);
}

/* The slot of a page, trapped or formerly trapped; NULL: neither. */
static struct slot *find(uintptr_t page)
{
	unsigned i = slot_index(page), tries;
	uintptr_t key;

	for (tries = 0; tries < SLOTS; tries++) {
		key = load_key(&slots[(i + tries) % SLOTS]);
		if (!key)
			return NULL;
		if ((key & ~1ull) == page)
			return &slots[(i + tries) % SLOTS];
	}
	return NULL;
}

/* Under the lock: a slot that may take the page. */
static struct slot *find_free(uintptr_t page)
{
	unsigned i = slot_index(page);
	struct slot *slot = find(page);

	while (!slot) {
		struct slot *next = &slots[i++ % SLOTS];

		if (!load_key(next) || (load_key(next) & 1 && !next->trap))
			slot = next;
	}
	return slot;
}

/*
 * A handler says that it uses the slot before it looks again whether the slot
 * still is what it found; who takes the page away says so before it looks for
 * users. Both sequentially consistent: one of them sees the other.
 */
static bool hold(struct slot *slot, uintptr_t page)
{
	__atomic_add_fetch(&slot->users, 1, __ATOMIC_SEQ_CST);
	if (load_key(slot) == page)
		return true;
	__atomic_sub_fetch(&slot->users, 1, __ATOMIC_SEQ_CST);
	return false;
}

static void release(struct slot *slot)
{
	__atomic_sub_fetch(&slot->users, 1, __ATOMIC_SEQ_CST);
}

static void mark_plain(struct slot *slot, uintptr_t page)
{
	uint32_t change = __atomic_add_fetch(&changes, 1, __ATOMIC_SEQ_CST);

	__atomic_store_n(&slot->change, change, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->key, page | 1, __ATOMIC_SEQ_CST);
}

/* ------------------------------------------------------------------- cache */

enum { CACHE_WORDS = (sizeof(struct uv_store) + 7) / 8, CODE_WORDS = 2 };

/* Odd sequence: being written. Words, because two threads may race here. */
struct cached {
	uint32_t sequence;
	uint64_t rip;
	uint64_t code[CODE_WORDS];
	uint64_t store[CACHE_WORDS];
};

static struct cached cache[CACHE];

static struct cached *cache_entry(uintptr_t rip)
{
	return &cache[(rip * 0x9e3779b97f4a7c15ull) >> 56];
}

static void load_words(uint64_t *to, const uint64_t *from, unsigned count)
{
	while (count--)
		to[count] = __atomic_load_n(&from[count], __ATOMIC_ACQUIRE);
}

static void store_words(uint64_t *to, const uint64_t *from, unsigned count)
{
	while (count--)
		__atomic_store_n(&to[count], from[count], __ATOMIC_RELEASE);
}

/*
 * Code may be rewritten: an entry counts if the bytes are the same. Whoever
 * loads a word of a new entry (acquire, release) also sees its sequence.
 */
static bool from_cache(uintptr_t rip, struct uv_store *store)
{
	struct cached *entry = cache_entry(rip);
	uint64_t words[CACHE_WORDS], code[CODE_WORDS];
	uint32_t sequence;

	sequence = __atomic_load_n(&entry->sequence, __ATOMIC_ACQUIRE);
	if (sequence & 1 ||
	    __atomic_load_n(&entry->rip, __ATOMIC_ACQUIRE) != rip)
		return false;
	load_words(code, entry->code, CODE_WORDS);
	load_words(words, entry->store, CACHE_WORDS);
	if (__atomic_load_n(&entry->sequence, __ATOMIC_RELAXED) != sequence)
		return false;
	memcpy(store, words, sizeof(*store));
	return !memcmp((const void *)rip, code, store->length);
}

static void to_cache(uintptr_t rip, const struct uv_store *store)
{
	struct cached *entry = cache_entry(rip);
	uint64_t words[CACHE_WORDS] = {0}, code[CODE_WORDS] = {0};
	uint32_t sequence = __atomic_load_n(&entry->sequence, __ATOMIC_RELAXED);

	memcpy(words, store, sizeof(*store));
	memcpy(code, (const void *)rip, store->length);
	if (sequence & 1 || !__atomic_compare_exchange_n(
				    &entry->sequence, &sequence, sequence + 1,
				    false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return; /* somebody else fills it */
	__atomic_store_n(&entry->rip, rip, __ATOMIC_RELEASE);
	store_words(entry->code, code, CODE_WORDS);
	store_words(entry->store, words, CACHE_WORDS);
	__atomic_store_n(&entry->sequence, sequence + 2, __ATOMIC_RELEASE);
}

static bool decode(uintptr_t rip, struct uv_store *store)
{
	if (from_cache(rip, store))
		return true;
	if (!uv_store_decode((const uint8_t *)rip, store))
		return false;
	to_cache(rip, store);
	return true;
}

/* ----------------------------------------------------------------- give up */

static char *put_text(char *to, const char *text)
{
	while (*text)
		*to++ = *text++;
	return to;
}

static char *put_hex(char *to, uint64_t value, unsigned digits)
{
	while (digits--)
		*to++ = "0123456789abcdef"[value >> 4 * digits & 15];
	return to;
}

/* Not snprintf(): this is a signal handler. */
static void describe(char why[WHY_BYTES], const uint8_t *code, unsigned len)
{
	char *to = put_text(why, "the instruction");
	unsigned i;

	for (i = 0; i < len; i++) {
		*to++ = ' ';
		to = put_hex(to, code[i], 2);
	}
	to = put_text(to, " at 0x");
	to = put_hex(to, (uintptr_t)code, 12);
	to = put_text(to, " cannot be followed");
	*to = '\0';
}

static void make_plain(struct trap *trap)
{
	uintptr_t page;
	struct slot *slot;

	mprotect((void *)trap->start, trap->len, PROT_READ | PROT_WRITE);
	for (page = trap->start; page < trap->start + trap->len; page += PAGE) {
		slot = find(page);
		if (slot && load_key(slot) == page)
			mark_plain(slot, page);
	}
}

/* A short instruction may end where nothing is mapped behind it. */
static unsigned code_bytes(uintptr_t rip, const struct uv_store *store)
{
	size_t left = PAGE - rip % PAGE;

	if (store->length)
		return store->length;
	return left < UV_STORE_CODE_MAX ? (unsigned)left : UV_STORE_CODE_MAX;
}

static void give_up(struct trap *trap, uintptr_t rip,
		    const struct uv_store *store)
{
	char why[WHY_BYTES];

	/* The others run their instruction again until it gets through. */
	if (__atomic_exchange_n(&trap->given_up, 1, __ATOMIC_ACQ_REL))
		return;
	describe(why, (const uint8_t *)rip, code_bytes(rip, store));
	trap->ops->give_up(trap->arg, why);
	make_plain(trap);
}

/* ----------------------------------------------------------------- handler */

static void follow(struct trap *trap, uintptr_t fault, ucontext_t *context)
{
	uintptr_t rip = uv_store_rip(context);
	struct uv_store_target target = {.start = trap->start,
					 .len = trap->len,
					 .fault = fault,
					 .put = trap->ops->store,
					 .arg = trap->arg};
	struct uv_store store = {0};
	struct dma_guard guard;

	/* The store may be that of a signal handler. */
	dma_suspend(&guard);
	if (!decode(rip, &store) || !uv_store_run(&store, context, &target))
		give_up(trap, rip, &store);
	dma_resume(&guard);
}

/*
 * A page that was trapped when the store faulted and is plain by now: the
 * store gets through if it is tried again. Once, for it may also be gone.
 */
static bool try_again(const struct slot *slot, uintptr_t page)
{
	uint32_t change = __atomic_load_n(&slot->change, __ATOMIC_SEQ_CST);

	if (retried.page == page && retried.change == change)
		return false;
	retried.page = page;
	retried.change = change;
	return true;
}

static bool on_fault(const siginfo_t *info, ucontext_t *context)
{
	uintptr_t fault = (uintptr_t)info->si_addr;
	uintptr_t page = fault & ~(uintptr_t)(PAGE - 1);
	struct slot *slot = find(page);

	if (!slot || info->si_signo != SIGSEGV || !uv_store_faulted(context))
		return false;
	if (!hold(slot, page))
		return try_again(slot, page);
	follow(slot->trap, fault, context);
	release(slot);
	return true;
}

/* ---------------------------------------------------------------- control */

const char *uv_trap_unavailable(void)
{
	const char *why = uv_store_open();

	if (!why && fault_claim_by(FAULT_TRAP, on_fault))
		why = "no handler for SIGSEGV can be installed";
	return why;
}

static bool overlaps(const struct trap *trap)
{
	struct slot *slot;
	size_t at;

	for (at = 0; at < trap->len; at += PAGE) {
		slot = find(trap->start + at);
		if (slot && slot->trap)
			return true;
	}
	return false;
}

static void insert(struct trap *trap)
{
	uintptr_t page = trap->start;
	struct slot *slot;

	do {
		slot = find_free(page);
		slot->trap = trap;
		__atomic_store_n(&slot->key, page, __ATOMIC_SEQ_CST);
		page += PAGE;
	} while (page < trap->start + trap->len);
	pages_used += (unsigned)(trap->len / PAGE);
}

/* Nobody finds the pages any more; wait for who did. */
static void take_out(const struct trap *trap)
{
	uintptr_t page;
	struct slot *slot;

	for (page = trap->start; page < trap->start + trap->len; page += PAGE) {
		slot = find(page);
		while (__atomic_load_n(&slot->users, __ATOMIC_SEQ_CST))
			sched_yield();
		slot->trap = NULL;
	}
	pages_used -= (unsigned)(trap->len / PAGE);
}

static int add_locked(struct trap *trap)
{
	if (overlaps(trap))
		return -EEXIST;
	if (trap->len / PAGE > PAGES_MAX - pages_used)
		return -ENOSPC;
	insert(trap);
	/* In the table first: the next store faults. */
	if (!mprotect((void *)trap->start, trap->len, PROT_READ))
		return 0;
	return -errno;
}

int uv_trap_add(void *addr, size_t len, const struct uv_trap_ops *ops,
		void *arg)
{
	struct trap *trap;
	int status;

	if (!addr || (uintptr_t)addr % PAGE || !len || len % PAGE || !ops)
		return -EINVAL;
	if (uv_trap_unavailable())
		return -ENOTSUP;
	trap = calloc(1, sizeof(*trap));
	if (!trap)
		return -ENOMEM;
	*trap = (struct trap){
		.start = (uintptr_t)addr, .len = len, .ops = ops, .arg = arg};
	pthread_mutex_lock(&lock);
	status = add_locked(trap);
	if (status && status != -EEXIST && status != -ENOSPC) {
		make_plain(trap);
		take_out(trap);
	}
	pthread_mutex_unlock(&lock);
	if (status)
		free(trap);
	return status;
}

int uv_trap_remove(void *addr)
{
	struct trap *trap = NULL;
	struct slot *slot;

	pthread_mutex_lock(&lock);
	slot = find((uintptr_t)addr);
	if (slot && slot->trap && slot->trap->start == (uintptr_t)addr)
		trap = slot->trap;
	if (trap) {
		make_plain(trap);
		take_out(trap);
	}
	pthread_mutex_unlock(&lock);
	free(trap);
	return trap ? 0 : -ENOENT;
}
