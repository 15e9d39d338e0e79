/* SPDX-License-Identifier: MIT */
/*
 * Trace: events of one request in the order of its life, switches, text form.
 */
#include "emu/trace.h"

#include <errno.h>

#include "support/t_pair.h"

enum { RECORDS = 64 };

static struct nic_trace_record records[RECORDS];
static unsigned count;

static void on_trace(void *arg, const struct nic_trace_record *record)
{
	(void)arg;
	if (count < RECORDS)
		records[count++] = *record;
}

static struct t_pair *open_traced(const char *patterns)
{
	struct t_pair_options options = t_pair_defaults;
	struct t_pair *p;

	count = 0;
	options.config.trace = on_trace;
	p = t_pair_open(&options);
	assert_int_equal(nic_trace_enable(p->node[0].nic, patterns), 0);
	assert_int_equal(nic_trace_enable(p->node[1].nic, patterns), 0);
	return p;
}

static void test_a_request_is_followed_from_doorbell_to_cqe(void **state)
{
	static const uint16_t life[] = {
		NIC_TRACE_db_register, NIC_TRACE_sq_fetch,
		NIC_TRACE_execute,     NIC_TRACE_req_send,
		NIC_TRACE_resp_recv,   NIC_TRACE_resp_write,
		NIC_TRACE_resp_ack,    NIC_TRACE_comp_recv,
		NIC_TRACE_comp_done,   NIC_TRACE_cqe_post};
	struct t_pair *p = open_traced(
		"db_register,sq_*,execute,req_*,resp_*,comp_*,cqe_post");
	unsigned i;

	(void)state;
	t_pair_works(p);
	assert_int_equal(count, sizeof(life) / sizeof(life[0]));
	for (i = 0; i < count; i++)
		assert_int_equal(records[i].event, life[i]);
	assert_int_equal(records[1].qpn, p->qp[0].number);
	assert_int_equal(records[1].args[0], HW_OP_RDMA_WRITE);
	assert_int_equal(records[2].args[1], 5000);
	t_pair_close(p);
}

static void test_nothing_is_traced_until_it_is_switched_on(void **state)
{
	struct t_pair *p = open_traced("");

	(void)state;
	t_pair_works(p);
	assert_int_equal(count, 0);
	assert_int_equal(nic_trace_enable(p->node[0].nic, "cqe_post"), 0);
	t_pair_works(p);
	assert_int_equal(count, 1);
	assert_int_equal(nic_trace_enable(p->node[0].nic, ""), 0);
	t_pair_works(p);
	assert_int_equal(count, 1);
	t_pair_close(p);
}

static void test_a_pattern_that_names_nothing_is_enoent(void **state)
{
	struct t_pair *p = open_traced("cqe_post");

	(void)state;
	assert_int_equal(nic_trace_enable(p->node[0].nic, "nonsense"), -ENOENT);
	assert_int_equal(nic_trace_enable(p->node[0].nic, "sq_*,nonsense"),
			 -ENOENT);
	assert_int_equal(nic_trace_enable(p->node[0].nic, "sq_*,,db_*"),
			 -ENOENT);
	/* What was on stays on. */
	t_pair_works(p);
	assert_int_equal(count, 1);
	assert_int_equal(nic_trace_enable(p->node[0].nic, "*"), 0);
	t_pair_close(p);
}

static void test_a_record_is_a_line_of_text(void **state)
{
	struct nic_trace_record record = {.now_ns = 3000000042,
					  .event = NIC_TRACE_sq_fetch,
					  .wqe_index = 0x1ff,
					  .qpn = 0x2ed,
					  .args = {8, 3, 0x7f00}};
	char text[256], small[8];
	int length;

	(void)state;
	length = nic_trace_format(&record, text, sizeof(text));
	assert_int_equal(length, strlen(text));
	assert_string_equal(text,
			    "3.000000042 qp=0x0002ed wqe=0x01ff sq_fetch    "
			    "opcode=0x08 ds=3 address=0x7f00");
	assert_int_equal(nic_trace_format(&record, small, sizeof(small)),
			 length);
	assert_int_equal(strlen(small), 7);
	record.event = 0xffff;
	assert_true(nic_trace_format(&record, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "?"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_request_is_followed_from_doorbell_to_cqe),
		cmocka_unit_test(
			test_nothing_is_traced_until_it_is_switched_on),
		cmocka_unit_test(test_a_pattern_that_names_nothing_is_enoent),
		cmocka_unit_test(test_a_record_is_a_line_of_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
