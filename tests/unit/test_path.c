/* SPDX-License-Identifier: MIT */
/*
 * Paths of datagrams: what is remembered, for how long, and that two addresses
 * with one place in the table do not mix. Method: a wire that counts.
 */
#include "support/t_nic.h"

#include <errno.h>

#include "emu/core.h"

enum { NOBODY = 999 };

static unsigned asked;

static int resolve(struct wire *wire, const struct wire_path *path,
		   uint32_t *peer)
{
	(void)wire;
	asked++;
	if (path->lid == NOBODY)
		return -EHOSTUNREACH;
	*peer = path->lid;
	if (path->global)
		*peer = path->gid[14] * 256u + path->gid[15];
	return 0;
}

static const struct wire_ops ops = {.name = "counting", .resolve = resolve};
static struct wire wire = {.ops = &ops};
static struct nic nic;

static int setup(void **state)
{
	(void)state;
	memset(&nic, 0, sizeof(nic));
	nic.wire = &wire;
	asked = 0;
	return 0;
}

static uint32_t find(uint16_t lid)
{
	struct wire_path to = {.lid = lid};
	uint32_t peer = 0;

	assert_int_equal(nic_path_find(&nic, &to, &peer), 0);
	return peer;
}

static uint32_t find_gid(uint16_t last)
{
	struct wire_path to = {.global = true, .lid = 1};
	uint32_t peer = 0;

	to.gid[14] = (uint8_t)(last >> 8);
	to.gid[15] = (uint8_t)last;
	assert_int_equal(nic_path_find(&nic, &to, &peer), 0);
	return peer;
}

static void test_an_address_is_asked_for_once(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 10; i++)
		assert_int_equal(find(5), 5);
	assert_int_equal(asked, 1);
	for (i = 0; i < 10; i++)
		assert_int_equal(find_gid(0x105), 0x105);
	assert_int_equal(asked, 2);
}

static void test_more_addresses_than_places(void **state)
{
	unsigned lid;

	(void)state;
	for (lid = 1; lid < 3 * NIC_PATHS; lid++)
		if (lid != NOBODY)
			assert_int_equal(find((uint16_t)lid), lid);
	for (lid = 1; lid < 3 * NIC_PATHS; lid++)
		assert_int_equal(find_gid((uint16_t)lid), lid);
	for (lid = 1; lid < 3 * NIC_PATHS; lid++)
		assert_int_equal(find((uint16_t)lid), lid);
}

static void test_a_peer_that_is_gone_is_asked_for_again(void **state)
{
	(void)state;
	find(5);
	find(6);
	nic_path_forget(&nic, 5);
	find(6);
	assert_int_equal(asked, 2);
	find(5);
	assert_int_equal(asked, 3);
}

static void test_nobody_is_not_remembered(void **state)
{
	struct wire_path to = {.lid = NOBODY};
	uint32_t peer;

	(void)state;
	assert_int_equal(nic_path_find(&nic, &to, &peer), -EHOSTUNREACH);
	assert_int_equal(nic_path_find(&nic, &to, &peer), -EHOSTUNREACH);
	assert_int_equal(asked, 2);
	nic.wire = NULL;
	assert_int_equal(nic_path_find(&nic, &to, &peer), -EHOSTUNREACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_an_address_is_asked_for_once,
				       setup),
		cmocka_unit_test_setup(test_more_addresses_than_places, setup),
		cmocka_unit_test_setup(
			test_a_peer_that_is_gone_is_asked_for_again, setup),
		cmocka_unit_test_setup(test_nobody_is_not_remembered, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
