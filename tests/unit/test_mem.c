/* SPDX-License-Identifier: MIT */
/*
 * Umems, doorbell pages and registered keys: ranges, users, errors.
 */
#include "support/t_nic.h"

#include <errno.h>
#include <stdlib.h>

static int setup(void **state)
{
	static struct t_node node;

	t_node_open(&node, NULL, NULL);
	*state = &node;
	return 0;
}

static int teardown(void **state)
{
	t_node_close(*state);
	return 0;
}

static int reg(struct t_node *node, uint64_t addr, uint64_t len)
{
	struct nic_mem mem = {.addr = (void *)(uintptr_t)addr, .len = len};
	uint32_t id;
	int ret = nic_umem_register(node->nic, &mem, &id);

	if (!ret) {
		assert_int_not_equal(id, 0);
		assert_int_equal(nic_umem_deregister(node->nic, id), 0);
	}
	return ret;
}

static void test_a_umem_may_not_be_empty_or_wrap(void **state)
{
	struct t_node *node = *state;

	assert_int_equal(reg(node, 0x1000, 0), -EINVAL);
	assert_int_equal(reg(node, 0x1000, 1), 0);
	assert_int_equal(reg(node, UINT64_MAX, 1), 0);
	assert_int_equal(reg(node, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(reg(node, 0x1000, UINT64_MAX - 0xfff), 0);
	assert_int_equal(reg(node, 0x1000, UINT64_MAX - 0xffe), -EINVAL);
}

static void test_missing_arguments_are_einval(void **state)
{
	struct nic_mem mem = {.addr = state, .len = 8};
	struct nic_mkey_attr attr = {.mem = mem};
	struct t_node *node = *state;
	void *page = t_alloc(8192);
	uint32_t id;

	assert_int_equal(nic_umem_register(node->nic, NULL, &id), -EINVAL);
	assert_int_equal(nic_umem_register(node->nic, &mem, NULL), -EINVAL);
	assert_int_equal(nic_mkey_register(node->nic, NULL, &id), -EINVAL);
	assert_int_equal(nic_mkey_register(node->nic, &attr, NULL), -EINVAL);
	assert_int_equal(nic_uar_alloc(node->nic, NULL, NIC_UAR_BF, &id),
			 -EINVAL);
	assert_int_equal(nic_uar_alloc(node->nic, page, NIC_UAR_BF, NULL),
			 -EINVAL);
	assert_int_equal(
		nic_uar_alloc(node->nic, (char *)page + 64, NIC_UAR_BF, &id),
		-EINVAL);
	assert_int_equal(
		nic_uar_alloc(node->nic, page, (enum nic_uar_kind)2, &id),
		-EINVAL);
	free(page);
}

static void test_cuda_memory_without_a_driver_is_refused(void **state)
{
	struct nic_mem mem = {.addr = state, .len = 8, .kind = NIC_MEM_CUDA};
	struct t_node *node = *state;
	uint32_t id;

	/* With one, a stack is still no device memory. */
	if (nic_umem_register(node->nic, &mem, &id) == -ENOTSUP)
		assert_true(t_logged(node, "CUDA driver"));
	else
		assert_true(t_logged(node, "it is not device memory"));
}

static void test_unknown_ids_are_enoent(void **state)
{
	struct t_node *node = *state;

	assert_int_equal(nic_umem_deregister(node->nic, 0), -ENOENT);
	assert_int_equal(nic_umem_deregister(node->nic, 77), -ENOENT);
	assert_int_equal(nic_uar_free(node->nic, 0), -ENOENT);
	assert_int_equal(nic_uar_free(node->nic, 77), -ENOENT);
	assert_int_equal(nic_mkey_deregister(node->nic, 0), -ENOENT);
	assert_int_equal(nic_mkey_deregister(node->nic, 0xffffff00), -ENOENT);
}

static void test_a_key_needs_a_pd_and_leaves_nothing_without(void **state)
{
	struct nic_mkey_attr attr = {.mem = {.addr = state, .len = 8}};
	struct t_node *node = *state;
	struct nic_usage usage;
	uint32_t key;

	attr.pd = node->pd + 1;
	assert_int_equal(nic_mkey_register(node->nic, &attr, &key), -EINVAL);
	/* An iova whose range wraps */
	attr.pd = node->pd;
	attr.iova = UINT64_MAX - 6;
	assert_int_equal(nic_mkey_register(node->nic, &attr, &key), -EINVAL);
	nic_get_usage(node->nic, &usage);
	assert_int_equal(usage.umems, 0);
	assert_int_equal(usage.mkeys, 0);
	attr.iova--;
	assert_int_equal(nic_mkey_register(node->nic, &attr, &key), 0);
	nic_get_usage(node->nic, &usage);
	assert_int_equal(usage.umems, 1);
	assert_int_equal(usage.mkeys, 1);
	assert_int_equal(nic_mkey_deregister(node->nic, key), 0);
	assert_int_equal(nic_mkey_deregister(node->nic, key), -ENOENT);
	nic_get_usage(node->nic, &usage);
	assert_int_equal(usage.umems, 0);
}

static void test_a_changed_key_keeps_its_number_and_leaves_nothing(void **state)
{
	uint8_t memory[64];
	struct nic_mkey_attr attr = {.mem = {.addr = memory, .len = 8}};
	struct t_node *node = *state;
	uint8_t out[T_OUT];
	struct nic_usage usage;
	uint32_t key;

	attr.pd = node->pd;
	assert_int_equal(nic_mkey_register(node->nic, &attr, &key), 0);
	assert_int_equal(nic_mkey_change(node->nic, key + 0x100, &attr),
			 -ENOENT);
	attr.mem.len = 0;
	assert_int_equal(nic_mkey_change(node->nic, key, &attr), -EINVAL);
	attr.mem.len = sizeof(memory);
	attr.access = NIC_ACCESS_REMOTE_READ;
	assert_int_equal(nic_mkey_change(node->nic, key, &attr), 0);
	assert_int_equal(t_simple(node, HW_CMD_QUERY_MKEY, key >> 8, out), 0);
	assert_int_equal(hw_get64(out + HW_MKC_OFFSET, HW_MKC_LEN),
			 sizeof(memory));
	assert_int_equal(hw_get(out + HW_MKC_OFFSET, HW_MKC_RR), 1);
	nic_get_usage(node->nic, &usage);
	assert_int_equal(usage.umems, 1);
	assert_int_equal(usage.mkeys, 1);
	assert_int_equal(nic_mkey_deregister(node->nic, key), 0);
}

static void test_a_umem_of_a_key_is_busy(void **state)
{
	uint8_t in[HW_CREATE_MKEY_IN_BYTES] = {0}, out[T_OUT];
	struct t_node *node = *state;
	uint8_t memory[64];
	uint32_t umem = t_umem(node, memory, sizeof(memory));

	hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_CREATE_MKEY);
	hw_set(in, HW_CREATE_MKEY_UMEM_ID, umem);
	hw_set(in + HW_MKC_OFFSET, HW_MKC_ACCESS_MODE_1_0, HW_MKC_MODE_MTT);
	hw_set(in + HW_MKC_OFFSET, HW_MKC_PD, node->pd);
	hw_set64(in + HW_MKC_OFFSET, HW_MKC_LEN, sizeof(memory));
	assert_int_equal(t_cmd(node, in, sizeof(in), out), HW_CMD_OK);
	assert_int_equal(nic_umem_deregister(node->nic, umem), -EBUSY);
	/* Made by a command: nic_mkey_deregister does not know it. */
	assert_int_equal(
		nic_mkey_deregister(node->nic, hw_get(out, HW_CMD_OUT_NUMBER)
						       << 8),
		-ENOENT);
	assert_int_equal(t_simple(node, HW_CMD_DESTROY_MKEY,
				  hw_get(out, HW_CMD_OUT_NUMBER), NULL),
			 HW_CMD_OK);
	assert_int_equal(nic_umem_deregister(node->nic, umem), 0);
}

static void test_a_uar_of_a_qp_is_free_again_after_it(void **state)
{
	struct t_node *node = *state;
	void *page = t_alloc(HW_UAR_BYTES);
	uint32_t index, other;

	assert_int_equal(nic_uar_alloc(node->nic, page, NIC_UAR_NC, &index), 0);
	assert_int_equal(nic_uar_alloc(node->nic, page, NIC_UAR_BF, &other), 0);
	assert_int_not_equal(index, other);
	assert_int_equal(nic_uar_free(node->nic, index), 0);
	assert_int_equal(nic_uar_free(node->nic, index), -ENOENT);
	assert_int_equal(nic_uar_free(node->nic, other), 0);
	free(page);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_umem_may_not_be_empty_or_wrap),
		T(test_missing_arguments_are_einval),
		T(test_cuda_memory_without_a_driver_is_refused),
		T(test_unknown_ids_are_enoent),
		T(test_a_key_needs_a_pd_and_leaves_nothing_without),
		T(test_a_changed_key_keeps_its_number_and_leaves_nothing),
		T(test_a_umem_of_a_key_is_busy),
		T(test_a_uar_of_a_qp_is_free_again_after_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
