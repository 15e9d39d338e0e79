/* SPDX-License-Identifier: MIT */
/*
 * Pages that a test traps, mapped twice: as the program has them and as the
 * NIC would. What is told about them is kept in order.
 *
 * For tests that are built with the preload library's trap.c.
 */
#ifndef T_TRAP_H
#define T_TRAP_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/uverbs/trap.h"
#include "support/t_nic.h"

enum { T_TRAP_TOLD = 128 };

struct t_trap_told {
	size_t offset, len;
	uint8_t bytes[64];
};

struct t_trap {
	uint8_t *page, *alias;
	size_t bytes;
	struct t_trap_told told[T_TRAP_TOLD]; /* the last ones */
	unsigned told_count;
	unsigned given_up;
	char why[160];
};

static inline void t_trap_note(void *arg, size_t offset, const void *bytes,
			       size_t len)
{
	struct t_trap *t = arg;
	struct t_trap_told *told = &t->told[t->told_count++ % T_TRAP_TOLD];

	told->offset = offset;
	told->len = len;
	memcpy(told->bytes, bytes, len);
}

static inline void t_trap_note_give_up(void *arg, const char *why)
{
	struct t_trap *t = arg;

	t->given_up++;
	snprintf(t->why, sizeof(t->why), "%s", why);
}

static const struct uv_trap_ops t_trap_ops
	__attribute__((unused)) = {t_trap_note, t_trap_note_give_up};

static inline struct t_trap *t_trap_open(unsigned pages)
{
	struct t_trap *t = calloc(1, sizeof(*t));
	int fd = memfd_create("doorbells", MFD_CLOEXEC);

	t->bytes = (size_t)pages * 4096;
	assert_int_equal(ftruncate(fd, (off_t)t->bytes), 0);
	t->page =
		mmap(NULL, t->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	t->alias =
		mmap(NULL, t->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(t->page != MAP_FAILED && t->alias != MAP_FAILED);
	close(fd);
	return t;
}

static inline int t_trap_add(struct t_trap *t, unsigned first, unsigned pages)
{
	return uv_trap_add(t->page + (size_t)first * 4096, (size_t)pages * 4096,
			   &t_trap_ops, t);
}

static inline void t_trap_close(struct t_trap *t)
{
	uv_trap_remove(t->page);
	munmap(t->page, t->bytes);
	munmap(t->alias, t->bytes);
	free(t);
}

/* This was told as number i of what was told. */
static inline void t_trap_told(const struct t_trap *t, unsigned i,
			       size_t offset, size_t len, const void *bytes)
{
	const struct t_trap_told *told = &t->told[i % T_TRAP_TOLD];

	assert_true(i < t->told_count);
	assert_int_equal(told->offset, offset);
	assert_int_equal(told->len, len);
	assert_memory_equal(told->bytes, bytes, len);
}

/* One store, whatever the sanitizers do to others. */
static inline void t_trap_store(uint8_t *at, uint64_t value)
{
	__asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(at) : "memory");
}

static inline uint64_t t_trap_load(const uint8_t *at)
{
	uint64_t value;

	__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(at) : "memory");
	return value;
}

/* Why the test must be skipped, if it must. */
static inline bool t_trap_missing(void)
{
	const char *why = uv_trap_unavailable();

	if (why)
		printf("pages cannot be trapped: %s\n", why);
	return why != NULL;
}

#endif
