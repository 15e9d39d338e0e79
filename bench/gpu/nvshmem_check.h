/* SPDX-License-Identifier: MIT */
/*
 * Operations of NVSHMEM's device library with random contents, and a plain
 * model of them: both PEs make the same list from the same seed, one performs
 * it on the GPU, and each compares its whole arena with what the model says.
 *
 * No two operations share a byte that one of them writes, so that their order
 * does not matter. Puts and gets of a scope are one call of it; in the other
 * operations each thread of the scope has a word of its own, or all have one.
 *
 * Source of truth: OpenSHMEM 1.5 for what an operation does.
 * Thread: the kernel is one block; all else is on the CPU.
 */
#ifndef NVSHMEM_CHECK_H
#define NVSHMEM_CHECK_H

#include "bench/gpu/nvshmem_time.h"

enum { ARENA = 6 << 20, SOURCES = 128 << 10, OPS_MAX = 1024 };

enum kind {
	PUT,
	PUT_NBI,
	PUT_SIGNAL,
	PUT_SIGNAL_NBI,
	GET,
	GET_NBI,
	P,
	G,
	ADD, /* the first atomic */
	INC,
	AND,
	OR,
	XOR,
	SET,
	FETCH, /* the first that returns something */
	FETCH_ADD,
	FETCH_INC,
	FETCH_AND,
	FETCH_OR,
	FETCH_XOR,
	SWAP,
	COMPARE_SWAP,
	KINDS
};

static const char *const kind_names[KINDS] = {
	"put",	     "put_nbi",	    "put_signal", "put_signal_nbi",
	"get",	     "get_nbi",	    "p",	  "g",
	"add",	     "inc",	    "and",	  "or",
	"xor",	     "set",	    "fetch",	  "fetch_add",
	"fetch_inc", "fetch_and",   "fetch_or",	  "fetch_xor",
	"swap",	     "compare_swap"};

static const char *const scope_names[] = {"thread", "warp", "block"};
static const uint32_t scope_threads[] = {1, LANES, BLOCK};

/* Offsets are into the arenas; PE 0 performs, "remote" is PE 1's. */
struct op {
	uint32_t kind, scope;
	uint32_t bytes;	 /* of a call, or of a thread's word */
	uint32_t stride; /* 0 if all threads have one word */
	uint32_t local;	 /* source or destination; what threads fetched */
	uint32_t remote;
	uint32_t signal; /* offset of put_signal's word */
	int32_t signal_op;
	uint64_t value; /* and the thread's number times STEP */
	uint64_t compare;
};

#define STEP 0x9e3779b97f4a7c15ull

/* ---------------------------------------------------------------- kernel */

/* Each atomic for one type: C++ sees by the word's type which. */
#define ATOMIC_OF(name)                                                        \
	GPU_FN uint64_t atomic_op(uint32_t kind, name##_t *word,               \
				  name##_t value, name##_t compare, int pe)    \
	{                                                                      \
		switch (kind) {                                                \
		case ADD:                                                      \
			nvshmem_##name##_atomic_add(word, value, pe);          \
			return 0;                                              \
		case INC:                                                      \
			nvshmem_##name##_atomic_inc(word, pe);                 \
			return 0;                                              \
		case AND:                                                      \
			nvshmem_##name##_atomic_and(word, value, pe);          \
			return 0;                                              \
		case OR:                                                       \
			nvshmem_##name##_atomic_or(word, value, pe);           \
			return 0;                                              \
		case XOR:                                                      \
			nvshmem_##name##_atomic_xor(word, value, pe);          \
			return 0;                                              \
		case SET:                                                      \
			nvshmem_##name##_atomic_set(word, value, pe);          \
			return 0;                                              \
		case FETCH:                                                    \
			return nvshmem_##name##_atomic_fetch(word, pe);        \
		case FETCH_ADD:                                                \
			return nvshmem_##name##_atomic_fetch_add(word, value,  \
								 pe);          \
		case FETCH_INC:                                                \
			return nvshmem_##name##_atomic_fetch_inc(word, pe);    \
		case FETCH_AND:                                                \
			return nvshmem_##name##_atomic_fetch_and(word, value,  \
								 pe);          \
		case FETCH_OR:                                                 \
			return nvshmem_##name##_atomic_fetch_or(word, value,   \
								pe);           \
		case FETCH_XOR:                                                \
			return nvshmem_##name##_atomic_fetch_xor(word, value,  \
								 pe);          \
		case SWAP:                                                     \
			return nvshmem_##name##_atomic_swap(word, value, pe);  \
		default:                                                       \
			return nvshmem_##name##_atomic_compare_swap(           \
				word, compare, value, pe);                     \
		}                                                              \
	}
ATOMIC_OF(uint32)
ATOMIC_OF(uint64)

/* p, or g, of one width. */
#define VALUE_OF(bits)                                                         \
	case bits / 8:                                                         \
		if (op->kind == G)                                             \
			return nvshmem_uint##bits##_g((uint##bits##_t *)word,  \
						      pe);                     \
		nvshmem_uint##bits##_p((uint##bits##_t *)word,                 \
				       (uint##bits##_t)value, pe);             \
		return 0

/* What a thread does with its word of PE pe; what it fetched, or 0. */
GPU_FN uint64_t word_op(const struct op *op, void *word, uint64_t value, int pe)
{
	if (op->kind >= ADD && op->bytes == 4)
		return atomic_op(op->kind, (uint32_t *)word, (uint32_t)value,
				 (uint32_t)op->compare, pe);
	if (op->kind >= ADD)
		return atomic_op(op->kind, (uint64_t *)word, value, op->compare,
				 pe);
	switch (op->bytes) {
		VALUE_OF(8);
		VALUE_OF(16);
		VALUE_OF(32);
		VALUE_OF(64);
	}
	return 0;
}

/* A call that moves bytes, at one scope. */
#define RMA_OF(scope, prefix, suffix)                                          \
	GPU_FN void rma_##scope(const struct op *op, uint8_t *arena, int pe)   \
	{                                                                      \
		uint8_t *local = arena + op->local;                            \
		uint8_t *remote = arena + op->remote;                          \
		uint64_t *signal = (uint64_t *)(arena + op->signal);           \
                                                                               \
		switch (op->kind) {                                            \
		case PUT:                                                      \
			prefix##_putmem##suffix(remote, local, op->bytes, pe); \
			break;                                                 \
		case PUT_NBI:                                                  \
			prefix##_putmem_nbi##suffix(remote, local, op->bytes,  \
						    pe);                       \
			break;                                                 \
		case PUT_SIGNAL:                                               \
			prefix##_putmem_signal##suffix(                        \
				remote, local, op->bytes, signal, op->value,   \
				op->signal_op, pe);                            \
			break;                                                 \
		case PUT_SIGNAL_NBI:                                           \
			prefix##_putmem_signal_nbi##suffix(                    \
				remote, local, op->bytes, signal, op->value,   \
				op->signal_op, pe);                            \
			break;                                                 \
		case GET:                                                      \
			prefix##_getmem##suffix(local, remote, op->bytes, pe); \
			break;                                                 \
		default:                                                       \
			prefix##_getmem_nbi##suffix(local, remote, op->bytes,  \
						    pe);                       \
		}                                                              \
	}
RMA_OF(thread, nvshmem, )
RMA_OF(warp, nvshmemx, _warp)
RMA_OF(block, nvshmemx, _block)

GPU_FN void rma(const struct op *op, uint8_t *arena, int pe)
{
	if (op->scope == 0)
		rma_thread(op, arena, pe);
	else if (op->scope == 1)
		rma_warp(op, arena, pe);
	else
		rma_block(op, arena, pe);
}

static __global__ void perform(const struct op *ops, uint32_t count,
			       uint8_t *arena, int pe)
{
	const uint32_t threads[] = {1, LANES, BLOCK};
	const struct op *op;
	uint64_t fetched;

	for (op = ops; op < ops + count; op++) {
		if (threadIdx.x < threads[op->scope] && op->kind <= GET_NBI) {
			rma(op, arena, pe);
		} else if (threadIdx.x < threads[op->scope]) {
			fetched = word_op(op,
					  arena + op->remote +
						  threadIdx.x * op->stride,
					  op->value + threadIdx.x * STEP, pe);
			if (op->local)
				((uint64_t *)(arena + op->local))[threadIdx.x] =
					fetched;
		}
		__syncthreads();
	}
	nvshmem_quiet();
}

/* ----------------------------------------------------------------- model */

static uint64_t load(const uint8_t *at, uint32_t bytes)
{
	uint64_t word = 0;

	memcpy(&word, at, bytes);
	return word;
}

static uint64_t model_word(const struct op *op, uint64_t old, uint64_t value)
{
	uint64_t mask = op->bytes < 8 ? (1ull << op->bytes * 8) - 1 : ~0ull;

	switch (op->kind) {
	case ADD:
	case FETCH_ADD:
		return old + value;
	case INC:
	case FETCH_INC:
		return old + 1;
	case AND:
	case FETCH_AND:
		return old & value;
	case OR:
	case FETCH_OR:
		return old | value;
	case XOR:
	case FETCH_XOR:
		return old ^ value;
	case P:
	case SET:
	case SWAP:
		return value;
	case COMPARE_SWAP:
		return old == (op->compare & mask) ? value : old;
	default:
		return old;
	}
}

static void model_words(const struct op *op, uint8_t *mine, uint8_t *peers)
{
	uint64_t old, word;
	uint32_t i;

	for (i = 0; i < scope_threads[op->scope]; i++) {
		uint8_t *at = peers + op->remote + i * op->stride;

		old = load(at, op->bytes);
		word = model_word(op, old, op->value + i * STEP);
		memcpy(at, &word, op->bytes);
		if (op->local)
			memcpy(mine + op->local + i * 8, &old, 8);
	}
}

static void model(const struct op *op, uint8_t *mine, uint8_t *peers)
{
	uint64_t signal;

	if (op->kind > GET_NBI) {
		model_words(op, mine, peers);
		return;
	}
	if (op->kind >= GET) {
		memcpy(mine + op->local, peers + op->remote, op->bytes);
		return;
	}
	memcpy(peers + op->remote, mine + op->local, op->bytes);
	if (op->kind < PUT_SIGNAL)
		return;
	signal = op->signal_op == NVSHMEM_SIGNAL_ADD
			 ? load(peers + op->signal, 8) + op->value
			 : op->value;
	memcpy(peers + op->signal, &signal, 8);
}

/* ------------------------------------------------------------------ list */

struct check {
	uint64_t seed;
	uint8_t *memory[2]; /* what is there first, and then should be */
	struct op ops[OPS_MAX];
	uint32_t count;
	uint32_t used; /* of the arenas; what operations write lies apart */
};

/* splitmix64 */
static uint64_t next_random(struct check *check)
{
	uint64_t z = check->seed += STEP;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* At any address, if align is 1. */
static uint32_t take(struct check *check, uint32_t bytes, uint32_t align)
{
	uint32_t at = check->used;

	at += align > 1 ? align : 1 + (uint32_t)(next_random(check) % 16);
	at -= at % align;
	check->used = at + bytes;
	if (check->used > ARENA) {
		fprintf(stderr, "the arena is too small\n");
		exit(1);
	}
	return at;
}

static struct op *next_op(struct check *check, uint32_t kind, uint32_t scope,
			  uint32_t bytes)
{
	struct op *op = &check->ops[check->count++];

	if (check->count > OPS_MAX) {
		fprintf(stderr, "too many operations\n");
		exit(1);
	}
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->scope = scope;
	op->bytes = bytes;
	op->value = next_random(check);
	op->compare = next_random(check);
	return op;
}

static void add_rma(struct check *check, uint32_t kind, uint32_t scope,
		    uint32_t bytes)
{
	struct op *op = next_op(check, kind, scope, bytes);
	uint32_t source = next_random(check) % (SOURCES - bytes);
	uint32_t destination = take(check, bytes, 1);

	op->local = kind >= GET ? destination : source;
	op->remote = kind >= GET ? source : destination;
	if (kind != PUT_SIGNAL && kind != PUT_SIGNAL_NBI)
		return;
	op->signal = take(check, 8, 8);
	op->signal_op =
		check->count % 2 ? NVSHMEM_SIGNAL_ADD : NVSHMEM_SIGNAL_SET;
}

static void add_words(struct check *check, uint32_t kind, uint32_t scope,
		      uint32_t bytes, bool shared)
{
	struct op *op = next_op(check, kind, scope, bytes);
	uint32_t threads = scope_threads[scope], i;
	uint64_t word;

	op->stride = shared ? 0 : bytes;
	op->remote = take(check, threads * bytes, 8);
	if (kind == G || kind >= FETCH)
		op->local = take(check, threads * 8, 8);
	/* Every second one finds what it compares with. */
	for (i = 0; i < threads && kind == COMPARE_SWAP; i++) {
		word = op->compare + i % 2;
		memcpy(check->memory[1] + op->remote + i * bytes, &word, bytes);
	}
}

static void add_transfers(struct check *check)
{
	static const uint32_t lengths[] = {1,	2,    3,    8,	  17,	 64,
					   255, 1000, 4096, 4099, 65535, 65536};
	uint32_t kind, scope, i;

	for (scope = 0; scope < 3; scope++) {
		for (kind = PUT; kind <= GET_NBI; kind++)
			for (i = 0; i < sizeof(lengths) / 4; i++)
				add_rma(check, kind, scope, lengths[i]);
		for (kind = P; kind <= G; kind++)
			for (i = 1; i <= 8; i *= 2)
				add_words(check, kind, scope, i, false);
	}
}

static void add_atomics(struct check *check)
{
	uint32_t kind, scope, bytes;

	for (scope = 0; scope < 3; scope++)
		for (bytes = 4; bytes <= 8; bytes += 4) {
			for (kind = ADD; kind < KINDS; kind++)
				add_words(check, kind, scope, bytes, false);
			/* Whose order does not matter. */
			for (kind = ADD; kind <= XOR; kind++)
				add_words(check, kind, scope, bytes, true);
		}
}

/* With what the arenas hold first; the caller frees both. */
static void make_check(struct check *check, uint64_t seed, bool atomics)
{
	uint64_t word;
	uint32_t pe, i;

	memset(check, 0, sizeof(*check));
	check->seed = seed;
	for (pe = 0; pe < 2; pe++) {
		check->memory[pe] = (uint8_t *)malloc(ARENA);
		for (i = 0; i < ARENA; i += 8) {
			word = next_random(check);
			memcpy(check->memory[pe] + i, &word, 8);
		}
	}
	check->used = SOURCES;
	if (atomics)
		add_atomics(check);
	else
		add_transfers(check);
}

/* ---------------------------------------------------------------- result */

/* Where op writes on PE pe: up to two places. */
static bool writes(const struct op *op, int pe, uint32_t offset)
{
	uint32_t threads = scope_threads[op->scope];
	uint32_t bytes = op->kind <= GET_NBI ? op->bytes : op->bytes * threads;
	bool gets = op->kind == GET || op->kind == GET_NBI;

	if (pe == 1)
		return (!gets && offset - op->remote < bytes) ||
		       (op->signal && offset - op->signal < 8);
	if (op->kind > GET_NBI)
		return op->local && offset - op->local < threads * 8;
	return gets && offset - op->local < bytes;
}

static void print_bytes(const char *what, const uint8_t *bytes)
{
	int i;

	printf(", %s", what);
	for (i = 0; i < 8; i++)
		printf(" %02x", bytes[i]);
}

/* Prints the first difference, and 8 bytes from there. */
static bool as_expected(const struct check *check, int pe, const uint8_t *got)
{
	const uint8_t *expected = check->memory[pe];
	const struct op *op = check->ops, *end = op + check->count;
	uint32_t i = 0;

	while (i < ARENA && got[i] == expected[i])
		i++;
	if (i == ARENA)
		return true;
	while (op < end && !writes(op, pe, i))
		op++;
	if (op == end)
		printf("PE %d: no operation writes offset %u", pe, i);
	else
		printf("PE %d: %s by a %s, %u bytes, offset %u", pe,
		       kind_names[op->kind], scope_names[op->scope], op->bytes,
		       op->kind < GET || pe == 1 ? i - op->remote
						 : i - op->local);
	i = i < ARENA - 8 ? i : ARENA - 8;
	print_bytes("got", got + i);
	print_bytes("expected", expected + i);
	printf("\n");
	return false;
}

#endif
