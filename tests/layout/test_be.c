/* SPDX-License-Identifier: MIT */
/* hw/be.h against the C library's byte order functions. */
#include <endian.h>
#include "layout/compare.h"
#include "hw/be.h"

static void test_be_integers_lie_as_htobe_writes_them(void **state)
{
	struct t_rng random = t_random_start("be");
	(void)state;

	for (int i = 0; i < T_ROUNDS; i++) {
		uint64_t v64 = t_random(&random);
		uint32_t v32 = (uint32_t)v64;
		uint16_t v16 = (uint16_t)v64;
		uint64_t e64 = htobe64(v64);
		uint32_t e32 = htobe32(v32);
		uint16_t e16 = htobe16(v16);
		be64 b64 = to_be64(v64);
		be32 b32 = to_be32(v32);
		be16 b16 = to_be16(v16);

		assert_memory_equal(&b64, &e64, sizeof(e64));
		assert_memory_equal(&b32, &e32, sizeof(e32));
		assert_memory_equal(&b16, &e16, sizeof(e16));
		assert_true(from_be64(b64) == v64);
		assert_int_equal(from_be32(b32), v32);
		assert_int_equal(from_be16(b16), v16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_be_integers_lie_as_htobe_writes_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
