/* SPDX-License-Identifier: MIT */
/*
 * Every device operation, between PEs that are threads on a loop wire, with
 * the result compared to plain computation. Each PE works on every PE, itself
 * included.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/t_pes.h"
#include "support/t_rng.h"

enum { NPES = 3, BYTES = 20000 };

/* Byte i of what PE from writes for PE to. */
static uint8_t pattern(int from, int to, size_t i)
{
	return (uint8_t)(i * 7 + (size_t)from * 31 + (size_t)to * 101 + 1);
}

static bool is_pattern(const uint8_t *bytes, int from, int to, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (bytes[i] != pattern(from, to, i))
			return false;
	return true;
}

static void fill_pattern(uint8_t *bytes, int from, int to, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = pattern(from, to, i);
}

static void do_put_get(struct t_pe *pe)
{
	uint8_t *inbox = gda_calloc(pe->gda, NPES, BYTES);
	uint8_t *outbox = gda_calloc(pe->gda, NPES, BYTES);
	uint8_t *mine = malloc(BYTES);
	int to, from;

	T_EXPECT(pe, gda_buffer_register(pe->gda, mine, BYTES) == 0);
	for (to = 0; to < NPES; to++) {
		fill_pattern(mine, pe->pe, to, BYTES);
		T_EXPECT(pe, !gda_dev_put(pe->dev, inbox + pe->pe * BYTES, mine,
					  BYTES, to));
		fill_pattern(outbox + to * BYTES, pe->pe, to, BYTES);
	}
	T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
	for (from = 0; from < NPES; from++) {
		T_EXPECT(pe,
			 is_pattern(inbox + from * BYTES, from, pe->pe, BYTES));
		memset(mine, 0, BYTES);
		T_EXPECT(pe,
			 !gda_dev_get(pe->dev, mine, outbox + pe->pe * BYTES,
				      BYTES, from));
		T_EXPECT(pe, is_pattern(mine, from, pe->pe, BYTES));
	}
	T_EXPECT(pe, gda_buffer_unregister(pe->gda, mine) == 0);
	free(mine);
	T_EXPECT(pe, gda_free(pe->gda, outbox) == 0);
	T_EXPECT(pe, gda_free(pe->gda, inbox) == 0);
}

static void do_nbi(struct t_pe *pe)
{
	enum { PIECE = 50, PIECES = 400 }; /* more than the queue holds */
	uint8_t *inbox = gda_calloc(pe->gda, NPES, BYTES);
	uint8_t *outbox = gda_calloc(pe->gda, NPES, BYTES);
	uint8_t *back = gda_calloc(pe->gda, NPES, BYTES);
	int to, i;

	for (to = 0; to < NPES; to++)
		fill_pattern(outbox + to * BYTES, pe->pe, to, BYTES);
	for (i = 0; i < PIECES; i++)
		for (to = 0; to < NPES; to++)
			T_EXPECT(pe, !gda_dev_put_nbi(
					     pe->dev,
					     inbox + pe->pe * BYTES + i * PIECE,
					     outbox + to * BYTES + i * PIECE,
					     PIECE, to));
	T_EXPECT(pe, gda_dev_quiet(pe->dev) == 0);
	for (i = 0; i < PIECES; i++)
		for (to = 0; to < NPES; to++)
			T_EXPECT(pe,
				 !gda_dev_get_nbi(
					 pe->dev, back + to * BYTES + i * PIECE,
					 inbox + pe->pe * BYTES + i * PIECE,
					 PIECE, to));
	for (to = 0; to < NPES; to++) {
		T_EXPECT(pe, gda_dev_quiet_pe(pe->dev, to) == 0);
		T_EXPECT(pe, is_pattern(back + to * BYTES, pe->pe, to, BYTES));
	}
	T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
	for (i = 0; i < NPES; i++)
		T_EXPECT(pe, is_pattern(inbox + i * BYTES, i, pe->pe, BYTES));
}

#define P_AND_G(name, type, value)                                             \
	do {                                                                   \
		type *at = gda_calloc(pe->gda, NPES, sizeof(type));            \
		type got;                                                      \
		int i;                                                         \
		for (i = 0; i < NPES; i++)                                     \
			T_EXPECT(pe,                                           \
				 !gda_dev_p_##name(                            \
					 pe->dev, &at[pe->pe],                 \
					 (type)(value + (type)pe->pe), i));    \
		T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);                   \
		for (i = 0; i < NPES; i++) {                                   \
			T_EXPECT(pe, at[i] == (type)(value + (type)i));        \
			T_EXPECT(pe, !gda_dev_g_##name(pe->dev, &at[i], &got,  \
						       (i + 1) % NPES));       \
			T_EXPECT(pe, got == (type)(value + (type)i));          \
		}                                                              \
	} while (0)

static void do_p_and_g(struct t_pe *pe)
{
	P_AND_G(u8, uint8_t, 0x81);
	P_AND_G(u16, uint16_t, 0x8123);
	P_AND_G(u32, uint32_t, 0x81234567u);
	P_AND_G(u64, uint64_t, 0x8123456789abcdefull);
	P_AND_G(float, float, 1.5f);
	P_AND_G(double, double, 3.25);
}

/*
 * Fetching atomics one after the other on a word of every PE that only this
 * PE touches, each compared with the same done here.
 */
#define ATOMICS(name, type)                                                    \
	static void do_atomics_##name(struct t_pe *pe, int to, type *word)     \
	{                                                                      \
		struct t_rng rng = {.state = (uint64_t)(to * 10 + pe->pe)};    \
		const struct gda_dev *dev = pe->dev;                           \
		type now = 0, old = 0, value;                                  \
		int i;                                                         \
                                                                               \
		for (i = 0; i < 20; i++) {                                     \
			value = (type)t_random(&rng);                          \
			T_EXPECT(pe, !gda_dev_atomic_fetch_add_##name(         \
					     dev, word, value, to, &old));     \
			T_EXPECT(pe, old == now);                              \
			now += value;                                          \
			T_EXPECT(pe, !gda_dev_atomic_fetch_xor_##name(         \
					     dev, word, value * 3, to, &old)); \
			T_EXPECT(pe, old == now);                              \
			now ^= value * 3;                                      \
			T_EXPECT(pe, !gda_dev_atomic_fetch_or_##name(          \
					     dev, word, value, to, &old));     \
			T_EXPECT(pe, old == now);                              \
			now |= value;                                          \
			T_EXPECT(pe, !gda_dev_atomic_fetch_and_##name(         \
					     dev, word, value ^ 0x5a5a5a5a,    \
					     to, &old));                       \
			T_EXPECT(pe, old == now);                              \
			now &= value ^ 0x5a5a5a5a;                             \
			T_EXPECT(pe, !gda_dev_atomic_fetch_inc_##name(         \
					     dev, word, to, &old));            \
			T_EXPECT(pe, old == now);                              \
			now++;                                                 \
			old = now + 1; /* does not compare */                  \
			T_EXPECT(pe, !gda_dev_atomic_compare_swap_##name(      \
					     dev, word, &old, 77, to));        \
			T_EXPECT(pe, old == now);                              \
			T_EXPECT(pe, !gda_dev_atomic_compare_swap_##name(      \
					     dev, word, &old, value, to));     \
			T_EXPECT(pe, old == now);                              \
			now = value;                                           \
			T_EXPECT(pe, !gda_dev_atomic_swap_##name(              \
					     dev, word, ~value, to, &old));    \
			T_EXPECT(pe, old == now);                              \
			now = (type)~value;                                    \
			T_EXPECT(pe, !gda_dev_atomic_fetch_##name(dev, word,   \
								  to, &old));  \
			T_EXPECT(pe, old == now);                              \
			now = 2 * now + 1;                                     \
			T_EXPECT(pe, !gda_dev_atomic_set_##name(dev, word,     \
								now, to));     \
			T_EXPECT(pe, !gda_dev_atomic_add_##name(dev, word,     \
								value, to));   \
			now += value;                                          \
			T_EXPECT(pe,                                           \
				 !gda_dev_atomic_inc_##name(dev, word, to));   \
			now++;                                                 \
			T_EXPECT(pe, !gda_dev_atomic_xor_##name(               \
					     dev, word, value * 5, to));       \
			now ^= value * 5;                                      \
			T_EXPECT(pe, !gda_dev_atomic_or_##name(dev, word,      \
							       value, to));    \
			now |= value;                                          \
			T_EXPECT(pe, !gda_dev_atomic_and_##name(               \
					     dev, word, ~(value * 9), to));    \
			now &= ~(value * 9);                                   \
			T_EXPECT(pe, !gda_dev_atomic_fetch_##name(dev, word,   \
								  to, &old));  \
			T_EXPECT(pe, old == now);                              \
		}                                                              \
	}

ATOMICS(u32, uint32_t)
ATOMICS(u64, uint64_t)

static void do_atomics(struct t_pe *pe)
{
	uint32_t *words_32 = gda_calloc(pe->gda, NPES + 1, sizeof(uint32_t));
	uint64_t *words_64 = gda_calloc(pe->gda, NPES + 1, sizeof(uint64_t));
	int to, i;

	for (to = 0; to < NPES; to++) {
		do_atomics_u32(pe, to, &words_32[pe->pe]);
		do_atomics_u64(pe, to, &words_64[pe->pe]);
	}
	/* All PEs at once on the last word. */
	for (i = 0; i < 100; i++)
		for (to = 0; to < NPES; to++) {
			T_EXPECT(pe, !gda_dev_atomic_inc_u32(
					     pe->dev, &words_32[NPES], to));
			T_EXPECT(pe, !gda_dev_atomic_add_u64(
					     pe->dev, &words_64[NPES], 3, to));
		}
	T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
	T_EXPECT(pe, words_32[NPES] == 100 * NPES);
	T_EXPECT(pe, words_64[NPES] == 300 * NPES);
}

static void do_signals(struct t_pe *pe)
{
	uint8_t *inbox = gda_calloc(pe->gda, 1, BYTES);
	uint64_t *signals = gda_calloc(pe->gda, 2, sizeof(*signals));
	uint8_t *source = gda_malloc(pe->gda, BYTES);
	struct gda_dev_signal set = {&signals[0], 0, 0, GDA_DEV_SIGNAL_SET};
	struct gda_dev_signal add = {&signals[1], 5, 0, GDA_DEV_SIGNAL_ADD};
	int previous = (pe->pe + NPES - 1) % NPES;
	uint64_t seen = 0;
	int round;

	set.pe = add.pe = (pe->pe + 1) % NPES;
	for (round = 1; round <= 50; round++) {
		set.value = (uint64_t)round;
		fill_pattern(source, pe->pe, round, BYTES);
		T_EXPECT(pe, !gda_dev_put_signal(pe->dev, inbox, source, BYTES,
						 &set));
		T_EXPECT(pe, !gda_dev_signal_wait_until(
				     pe->dev, &signals[0], GDA_DEV_EQ,
				     (uint64_t)round, &seen));
		T_EXPECT(pe, seen == (uint64_t)round);
		T_EXPECT(pe, is_pattern(inbox, previous, round, BYTES));
		T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
		T_EXPECT(pe, !gda_dev_put_signal_nbi(pe->dev, inbox, source,
						     100, &add));
		T_EXPECT(pe, !gda_dev_wait_until_u64(pe->dev, &signals[1],
						     GDA_DEV_GE,
						     (uint64_t)round * 5));
		T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
	}
	add.value = 1000;
	T_EXPECT(pe, gda_dev_signal_op(pe->dev, &add) == 0);
	T_EXPECT(pe, gda_dev_put_signal(pe->dev, inbox, source, 0, &add) == 0);
	T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
	T_EXPECT(pe, signals[1] == 50 * 5 + 2000);
}

static void do_wait(struct t_pe *pe)
{
	uint32_t *word = gda_calloc(pe->gda, 2, sizeof(*word));
	struct gda_dev view = *pe->dev;
	int32_t *negative = (int32_t *)&word[1];

	*word = 5;
	*negative = -5;
	T_EXPECT(pe, gda_dev_test_u32(word, GDA_DEV_EQ, 5));
	T_EXPECT(pe, !gda_dev_test_u32(word, GDA_DEV_EQ, 4));
	T_EXPECT(pe, gda_dev_test_u32(word, GDA_DEV_NE, 4));
	T_EXPECT(pe, !gda_dev_test_u32(word, GDA_DEV_NE, 5));
	T_EXPECT(pe, gda_dev_test_u32(word, GDA_DEV_GT, 4));
	T_EXPECT(pe, !gda_dev_test_u32(word, GDA_DEV_GT, 5));
	T_EXPECT(pe, gda_dev_test_u32(word, GDA_DEV_GE, 5));
	T_EXPECT(pe, !gda_dev_test_u32(word, GDA_DEV_GE, 6));
	T_EXPECT(pe, gda_dev_test_u32(word, GDA_DEV_LT, 6));
	T_EXPECT(pe, !gda_dev_test_u32(word, GDA_DEV_LT, 5));
	T_EXPECT(pe, gda_dev_test_u32(word, GDA_DEV_LE, 5));
	T_EXPECT(pe, !gda_dev_test_u32(word, GDA_DEV_LE, 4));
	T_EXPECT(pe, gda_dev_test_i32(negative, GDA_DEV_LT, 0));
	T_EXPECT(pe, !gda_dev_test_u32(&word[1], GDA_DEV_LT, 0x7fffffff));
	view.timeout_ns = 2000000;
	T_EXPECT(pe, gda_dev_wait_until_u32(&view, word, GDA_DEV_EQ, 6) ==
			     GDA_DEV_ETIMEDOUT);
	T_EXPECT(pe, gda_barrier(pe->gda) == 0);
	T_EXPECT(pe, gda_dev_p_u32(pe->dev, word, 6, (pe->pe + 1) % NPES) == 0);
	T_EXPECT(pe, !gda_dev_wait_until_u32(pe->dev, word, GDA_DEV_EQ, 6));
	T_EXPECT(pe, gda_dev_barrier(pe->dev) == 0);
}

static void run_threads(t_pe_fn *fn)
{
	struct gda_config config;

	t_config(&config);
	assert_int_equal(t_pes_run(&config, NPES, fn, NULL), 0);
}

static void test_put_and_get_move_bytes_between_all_pes(void **state)
{
	(void)state;
	run_threads(do_put_get);
}

static void test_non_blocking_copies_outnumber_the_queue(void **state)
{
	(void)state;
	run_threads(do_nbi);
}

static void test_p_and_g_of_every_type(void **state)
{
	(void)state;
	run_threads(do_p_and_g);
}

static void test_atomics_equal_plain_computation(void **state)
{
	(void)state;
	run_threads(do_atomics);
}

static void test_who_sees_the_signal_sees_the_data(void **state)
{
	(void)state;
	run_threads(do_signals);
}

static void test_waits_compare_and_time_out(void **state)
{
	(void)state;
	run_threads(do_wait);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_and_get_move_bytes_between_all_pes),
		cmocka_unit_test(test_non_blocking_copies_outnumber_the_queue),
		cmocka_unit_test(test_p_and_g_of_every_type),
		cmocka_unit_test(test_atomics_equal_plain_computation),
		cmocka_unit_test(test_who_sees_the_signal_sees_the_data),
		cmocka_unit_test(test_waits_compare_and_time_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
