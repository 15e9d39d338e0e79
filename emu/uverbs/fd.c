/* SPDX-License-Identifier: MIT */
/*
 * Which descriptors are ours, and what is behind them.
 *
 * Every interposer asks for every descriptor, so looking is two loads without
 * a lock. Slots point to entries; descriptors made by dup() share one. Memory
 * of entries is never given back: who follows a pointer that is out of date
 * finds an entry, perhaps of another object, and notices by looking at the
 * slot again. This also keeps close() usable in signal handlers.
 *
 * Internal descriptors are moved to high numbers: a program that picks a
 * number itself (dup2) then does not pick one of theirs.
 *
 * Not modelled: a descriptor that arrives by SCM_RIGHTS, or is closed by a
 * system call of the program's own; the next descriptor with its number
 * corrects the table.
 *
 * Thread: any.
 */
#include "emu/uverbs/fd.h"

#include <assert.h>
#include <errno.h>
#include <sys/resource.h>
#include "emu/uverbs/real.h"

enum {
	CHUNK_LOG2 = 12,
	CHUNK = 1 << CHUNK_LOG2,
	/* 2^30 descriptors: the most that Linux allows (fs.nr_open). */
	CHUNKS = 1 << (30 - CHUNK_LOG2),
	POOL = 256,
	/* Internal descriptors start at three quarters of the limit, which
	 * is taken for this at most: the kernel's table of a process grows
	 * with its highest number, and fork() copies it. */
	LIMIT_MAX = 4096,
	LIMIT_DEFAULT = 1024,
};

struct uv_fd_entry {
	uint32_t refs; /* slots, and gets; 0: free */
	enum uv_fd_kind kind;
	void *object;
};

struct pool {
	struct uv_fd_entry entries[POOL];
	struct pool *next;
};

static struct uv_fd_entry **chunks[CHUNKS];
static struct pool first_pool;
static struct uv_fd_entry internal = {.refs = 1, .kind = UV_FD_INTERNAL};
static int highest = -1; /* no slot above it was ever filled */
static pid_t owner;
/* Initial-exec: reading them in a signal handler never allocates. */
static __thread unsigned depth __attribute__((tls_model("initial-exec")));
static __thread unsigned calls __attribute__((tls_model("initial-exec")));
static __thread void (*volatile when_left)(void)
	__attribute__((tls_model("initial-exec")));

void uv_enter(void)
{
	depth++;
}

void uv_leave(void)
{
	assert(depth);
	/* After depth: a signal handler that runs later finds it outside. */
	while (!--depth && when_left) {
		void (*fn)(void) = when_left;

		depth++;
		when_left = NULL;
		fn();
	}
}

void uv_when_left(void (*fn)(void))
{
	when_left = fn;
}

bool uv_inside(void)
{
	return depth != 0;
}

unsigned uv_step_out(void)
{
	unsigned was = depth;

	depth = 0;
	return was;
}

void uv_step_in(unsigned was)
{
	depth = was;
}

void uv_call_begin(void)
{
	calls++;
}

void uv_call_end(void)
{
	calls--;
}

bool uv_in_call(void)
{
	return depth || calls;
}

/* The first to ask is the owner, at the latest the library's constructor. */
bool uv_fd_mine(void)
{
	pid_t pid = getpid(), none = 0;

	return __atomic_load_n(&owner, __ATOMIC_RELAXED) == pid ||
	       __atomic_compare_exchange_n(&owner, &none, pid, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* --------------------------------------------------------------- slots */

static void *pages(size_t size)
{
	void *memory = uv_real()->mmap(NULL, size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* NULL if fd has none (yet). */
static struct uv_fd_entry **find_slot(int fd)
{
	struct uv_fd_entry **chunk;

	if (fd < 0 || fd >> CHUNK_LOG2 >= CHUNKS)
		return NULL;
	chunk = __atomic_load_n(&chunks[fd >> CHUNK_LOG2], __ATOMIC_ACQUIRE);
	return chunk ? &chunk[fd & (CHUNK - 1)] : NULL;
}

static struct uv_fd_entry **make_slot(int fd)
{
	struct uv_fd_entry **slot = find_slot(fd), **none = NULL, **chunk;
	const size_t size = CHUNK * sizeof(struct uv_fd_entry *);

	if (slot || fd < 0 || fd >> CHUNK_LOG2 >= CHUNKS)
		return slot;
	chunk = pages(size);
	if (!chunk)
		return NULL;
	if (!__atomic_compare_exchange_n(&chunks[fd >> CHUNK_LOG2], &none,
					 chunk, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		uv_real()->munmap(chunk, size);
	return find_slot(fd);
}

static struct uv_fd_entry *load(struct uv_fd_entry **slot)
{
	return slot ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : NULL;
}

enum uv_fd_kind uv_fd_kind(int fd)
{
	struct uv_fd_entry *entry = load(find_slot(fd));

	return entry ? __atomic_load_n(&entry->kind, __ATOMIC_RELAXED)
		     : UV_FD_NONE;
}

int uv_fd_next(int fd)
{
	int last = __atomic_load_n(&highest, __ATOMIC_ACQUIRE);

	for (; fd <= last; fd++) {
		if (!find_slot(fd))
			fd |= CHUNK - 1;
		else if (load(find_slot(fd)))
			return fd;
	}
	return -1;
}

static void note_highest(int fd)
{
	int before = __atomic_load_n(&highest, __ATOMIC_RELAXED);

	while (fd > before &&
	       !__atomic_compare_exchange_n(&highest, &before, fd, false,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

/* ------------------------------------------------------------- entries */

/* refs of an entry whose fields are being written. */
#define REFS_BUSY UINT32_MAX

static struct uv_fd_entry *claim_in(struct pool *pool)
{
	for (unsigned i = 0; i < POOL; i++) {
		struct uv_fd_entry *entry = &pool->entries[i];
		uint32_t none = 0;

		if (__atomic_compare_exchange_n(&entry->refs, &none, REFS_BUSY,
						false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return entry;
	}
	return NULL;
}

static struct pool *next_pool(struct pool *pool)
{
	struct pool *next = __atomic_load_n(&pool->next, __ATOMIC_ACQUIRE);
	struct pool *none = NULL;

	if (next)
		return next;
	next = pages(sizeof(*next));
	if (!next ||
	    __atomic_compare_exchange_n(&pool->next, &none, next, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return next;
	uv_real()->munmap(next, sizeof(*next));
	return none;
}

/* With one reference. */
static struct uv_fd_entry *claim(enum uv_fd_kind kind, void *object)
{
	struct uv_fd_entry *entry = NULL;

	for (struct pool *pool = &first_pool; pool && !entry;) {
		entry = claim_in(pool);
		if (!entry)
			pool = next_pool(pool);
	}
	if (!entry)
		return NULL;
	__atomic_store_n(&entry->kind, kind, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->object, object, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->refs, 1, __ATOMIC_RELEASE);
	return entry;
}

static void release(enum uv_fd_kind kind, void *object)
{
	if (!object)
		return;
	uv_call_begin();
	if (kind == UV_FD_CONTEXT)
		uv_context_release(object);
	else if (kind == UV_FD_CHANNEL)
		uv_channel_release(object);
	uv_call_end();
}

static void put(struct uv_fd_entry *entry)
{
	enum uv_fd_kind kind = entry->kind;
	void *object = entry->object;
	uint32_t refs = __atomic_load_n(&entry->refs, __ATOMIC_RELAXED), less;

	if (entry == &internal)
		return;
	do {
		assert(refs && refs != REFS_BUSY);
		less = refs == 1 ? REFS_BUSY : refs - 1;
	} while (!__atomic_compare_exchange_n(&entry->refs, &refs, less, false,
					      __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	if (less != REFS_BUSY)
		return;
	__atomic_store_n(&entry->kind, UV_FD_NONE, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->object, NULL, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->refs, 0, __ATOMIC_RELEASE);
	release(kind, object);
}

/* One more reference to what the slot points to; NULL if to nothing. */
static struct uv_fd_entry *acquire(struct uv_fd_entry **slot)
{
	struct uv_fd_entry *entry;
	uint32_t refs;

	while ((entry = load(slot)) && entry != &internal) {
		refs = __atomic_load_n(&entry->refs, __ATOMIC_RELAXED);
		if (!refs || refs == REFS_BUSY ||
		    !__atomic_compare_exchange_n(&entry->refs, &refs, refs + 1,
						 false, __ATOMIC_ACQUIRE,
						 __ATOMIC_RELAXED))
			continue;
		if (load(slot) == entry)
			break;
		put(entry);
	}
	return entry;
}

/* ---------------------------------------------------------- the program's */

int uv_fd_add(int fd, enum uv_fd_kind kind, void *object)
{
	struct uv_fd_entry **slot = make_slot(fd);
	struct uv_fd_entry *entry = &internal;

	if (!slot)
		return -ENOMEM;
	if (kind != UV_FD_INTERNAL) {
		entry = claim(kind, object);
		if (!entry)
			return -ENOMEM;
	}
	uv_fd_set(fd, entry);
	return 0;
}

/* What was there before had been closed unseen. */
void uv_fd_set(int fd, struct uv_fd_entry *entry)
{
	struct uv_fd_entry **slot = entry ? make_slot(fd) : find_slot(fd);
	struct uv_fd_entry *before;

	if (!slot) {
		if (entry)
			put(entry);
		return;
	}
	if (entry)
		note_highest(fd);
	before = __atomic_exchange_n(slot, entry, __ATOMIC_ACQ_REL);
	if (before)
		put(before);
}

struct uv_fd_entry *uv_fd_take(int fd)
{
	struct uv_fd_entry **slot = find_slot(fd);

	if (!load(slot))
		return NULL;
	return __atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL);
}

void uv_fd_closed(struct uv_fd_entry *taken)
{
	if (taken)
		put(taken);
}

void uv_fd_restore(int fd, struct uv_fd_entry *taken)
{
	if (taken)
		uv_fd_set(fd, taken);
}

struct uv_fd_entry *uv_fd_share(int fd)
{
	struct uv_fd_entry *entry = acquire(find_slot(fd));

	return entry == &internal ? NULL : entry;
}

void *uv_fd_get(int fd, enum uv_fd_kind kind)
{
	struct uv_fd_entry *entry = uv_fd_share(fd);

	if (entry && (entry->kind != kind || !entry->object)) {
		put(entry);
		return NULL;
	}
	return entry ? entry->object : NULL;
}

static bool holds(const struct uv_fd_entry *entry, enum uv_fd_kind kind,
		  const void *object)
{
	return __atomic_load_n(&entry->object, __ATOMIC_RELAXED) == object &&
	       __atomic_load_n(&entry->kind, __ATOMIC_RELAXED) == kind;
}

void uv_fd_put(enum uv_fd_kind kind, void *object)
{
	struct pool *pool;

	for (pool = &first_pool; pool; pool = pool->next)
		for (unsigned i = 0; i < POOL; i++)
			if (holds(&pool->entries[i], kind, object)) {
				put(&pool->entries[i]);
				return;
			}
	assert(!"an object that uv_fd_get() gave");
}

/* ------------------------------------------------------------- internal */

static int lowest_internal(void)
{
	rlim_t limit = LIMIT_DEFAULT;
	struct rlimit now;

	if (!getrlimit(RLIMIT_NOFILE, &now))
		limit = now.rlim_cur;
	if (limit > LIMIT_MAX)
		limit = LIMIT_MAX;
	return (int)(limit - limit / 4);
}

static int make_internal(int fd)
{
	int high = uv_real()->fcntl(fd, F_DUPFD_CLOEXEC, lowest_internal());

	/* A number of the program's range is better than none. */
	if (high >= 0) {
		uv_real()->close(fd);
		fd = high;
	}
	if (!uv_fd_add(fd, UV_FD_INTERNAL, NULL))
		return fd;
	uv_real()->close(fd);
	errno = ENOMEM;
	return -1;
}

int uv_fd_opened(int fd)
{
	if (fd < 0)
		return fd;
	if (depth)
		return make_internal(fd);
	if (load(find_slot(fd)) && uv_fd_mine())
		uv_fd_set(fd, NULL);
	return fd;
}

void uv_fd_after_fork(void)
{
	struct pool *pool;

	__atomic_store_n(&owner, getpid(), __ATOMIC_RELAXED);
	for (int fd = uv_fd_next(0); fd >= 0; fd = uv_fd_next(fd + 1)) {
		if (uv_fd_kind(fd) != UV_FD_INTERNAL)
			continue;
		uv_fd_take(fd);
		uv_real()->close(fd);
	}
	for (pool = &first_pool; pool; pool = pool->next)
		for (unsigned i = 0; i < POOL; i++)
			pool->entries[i].object = NULL;
}
