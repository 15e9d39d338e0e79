/* SPDX-License-Identifier: MIT */
/*
 * What device operations return when something is wrong: nothing posted for a
 * bad argument, a record for an error CQE, a timeout for a NIC that stands
 * still; and that everything else goes on.
 *
 * One thread plays both PEs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/cqe.h"
#include "support/t_pes.h"

enum { NPES = 2, BYTES = 4096, ME = 0, PEER = 1 };

static struct t_pe pes[NPES];
static char log_text[4096];

static void remember(void *arg, enum gda_log_level level, const char *text)
{
	size_t used = strlen(log_text);

	(void)arg, (void)level;
	snprintf(log_text + used, sizeof(log_text) - used, "%s\n", text);
}

static void set_up(struct gda_config *config)
{
	t_config(config);
	config->log = remember;
	config->op_timeout_ms = 200;
	log_text[0] = 0;
}

static const struct gda_dev *start(const struct gda_config *config)
{
	assert_int_equal(t_pes_start(config, NPES, BYTES, pes), 0);
	return pes[ME].dev;
}

static void stop(void)
{
	assert_int_equal(t_pes_stop(pes, NPES), 0);
}

static uint8_t *memory(int pe)
{
	return pes[pe].arg;
}

static uint64_t reserved(const struct gda_dev *dev, int pe)
{
	return dev->qps[pe].reserved;
}

static void test_a_bad_argument_posts_nothing(void **state)
{
	uint8_t stranger[16], *mine;
	const struct gda_dev *dev;
	struct gda_config config;
	uint64_t *end, word = 0;
	uint32_t word_32 = 0;

	(void)state;
	set_up(&config);
	dev = start(&config);
	mine = memory(ME);
	end = (uint64_t *)(uintptr_t)(dev->heap_addr + dev->heap_bytes);
	assert_int_equal(gda_dev_put(dev, mine, mine, 8, 2), GDA_DEV_EINVAL);
	assert_int_equal(gda_dev_put(dev, mine, mine, 8, -1), GDA_DEV_EINVAL);
	assert_int_equal(gda_dev_quiet_pe(dev, 2), GDA_DEV_EINVAL);
	assert_int_equal(gda_dev_quiet_qp(dev, 0, 1), GDA_DEV_EINVAL);
	assert_int_equal(gda_dev_put(dev, stranger, mine, 8, PEER),
			 GDA_DEV_EFAULT);
	assert_int_equal(gda_dev_put(dev, mine, stranger, 8, PEER),
			 GDA_DEV_EFAULT);
	assert_int_equal(gda_dev_get(dev, stranger, mine, 8, PEER),
			 GDA_DEV_EFAULT);
	assert_int_equal(gda_dev_put(dev, end - 1, mine, 9, PEER),
			 GDA_DEV_EFAULT);
	assert_int_equal(gda_dev_put(dev, mine, end - 1, 9, PEER),
			 GDA_DEV_EFAULT);
	assert_int_equal(gda_dev_put(dev, mine, mine, UINT64_MAX, PEER),
			 GDA_DEV_EFAULT);
	assert_int_equal(gda_dev_p_u64(dev, end, 1, PEER), GDA_DEV_EFAULT);
	assert_int_equal(gda_dev_g_u64(dev, end, &word, PEER), GDA_DEV_EFAULT);
	assert_int_equal(
		gda_dev_atomic_inc_u64(dev, (uint64_t *)(mine + 4), PEER),
		GDA_DEV_EINVAL);
	assert_int_equal(gda_dev_atomic_fetch_u32(dev, (uint32_t *)(mine + 2),
						  PEER, &word_32),
			 GDA_DEV_EINVAL);
	assert_int_equal(gda_dev_atomic_inc_u64(dev, end, PEER),
			 GDA_DEV_EFAULT);
	assert_int_equal(reserved(dev, PEER), 0);
	assert_int_equal(word, 0);
	/* One byte less, and it works. */
	assert_int_equal(gda_dev_put(dev, end - 1, mine, 8, PEER), 0);
	assert_int_equal(gda_dev_put(dev, mine, mine, 0, PEER), 0);
	assert_int_equal(reserved(dev, PEER), 1);
	stop();
}

static void test_a_bad_signal_posts_nothing(void **state)
{
	struct gda_dev_signal signal = {NULL, 1, PEER, GDA_DEV_SIGNAL_SET};
	const struct gda_dev *dev;
	struct gda_config config;

	(void)state;
	set_up(&config);
	dev = start(&config);
	signal.addr = (uint64_t *)(memory(ME) + 4);
	assert_int_equal(
		gda_dev_put_signal(dev, memory(ME), memory(ME), 8, &signal),
		GDA_DEV_EINVAL);
	signal.addr = (uint64_t *)log_text;
	assert_int_equal(gda_dev_signal_op(dev, &signal), GDA_DEV_EFAULT);
	signal.addr = (uint64_t *)memory(ME);
	signal.pe = 7;
	assert_int_equal(
		gda_dev_put_signal_nbi(dev, memory(ME), memory(ME), 8, &signal),
		GDA_DEV_EINVAL);
	assert_int_equal(reserved(dev, PEER), 0);
	stop();
}

/* A handle whose key for PEER is wrong, as after a bug in the exchange. */
static struct gda_dev with_bad_key(const struct gda_dev *dev,
				   struct gda_dev_peer peers[NPES])
{
	struct gda_dev bad = *dev;

	memcpy(peers, dev->peers, NPES * sizeof(*peers));
	peers[PEER].rkey ^= 0xabcd00;
	bad.peers = peers;
	return bad;
}

static void check_record(uint32_t index)
{
	struct gda_qp_error error;
	char text[256];

	assert_int_equal(gda_qp_error(pes[ME].gda, PEER, 0, &error), 0);
	assert_int_equal(error.code, GDA_DEV_EIO);
	assert_int_equal(error.peer, PEER);
	assert_int_equal(error.qpn, pes[ME].dev->qps[PEER].qpn);
	assert_int_equal(error.wqe_index, index);
	assert_int_equal(error.wqe_opcode, HW_OP_RDMA_WRITE);
	assert_int_equal(error.syndrome, HW_SYND_REMOTE_ACCESS);
	gda_error_string(&error, text, sizeof(text));
	assert_non_null(strstr(text, "PE 1 lane 0"));
	assert_non_null(strstr(text, "RDMA_WRITE"));
	assert_non_null(strstr(text, "REMOTE_ACCESS"));
}

static void run_error_cqe(enum gda_cq_mode mode, bool shared, uint32_t start_at)
{
	struct gda_dev_peer peers[NPES];
	const struct gda_dev *dev;
	struct gda_config config;
	struct gda_qp_error error;
	struct gda_dev bad;
	uint64_t value = 0;
	uint8_t *mine;
	int i;

	set_up(&config);
	config.cq_mode = mode;
	config.shared = shared;
	t_emu_options(&config, NULL, start_at);
	start_at = config.emu.start_counter;
	dev = start(&config);
	bad = with_bad_key(dev, peers);
	mine = memory(ME);
	for (i = 0; i < 3; i++)
		assert_int_equal(gda_dev_put(dev, mine, mine, 8, PEER), 0);
	assert_int_equal(gda_qp_error(pes[ME].gda, PEER, 0, &error), 0);
	assert_int_equal(error.code, 0);
	assert_int_equal(gda_dev_put(&bad, mine, mine, 8, PEER), GDA_DEV_EIO);
	check_record((start_at + 3) & 0xffff);
	/* All that comes later fails at once, with nothing posted. */
	assert_int_equal(gda_dev_put(dev, mine, mine, 8, PEER), GDA_DEV_EIO);
	assert_int_equal(gda_dev_g_u64(dev, (uint64_t *)mine, &value, PEER),
			 GDA_DEV_EIO);
	assert_int_equal(gda_dev_quiet_pe(dev, PEER), GDA_DEV_EIO);
	assert_int_equal(gda_dev_quiet(dev), GDA_DEV_EIO);
	assert_int_equal(gda_dev_barrier(dev), GDA_DEV_EIO);
	assert_int_equal(reserved(dev, PEER), (uint64_t)start_at + 4);
	check_record((start_at + 3) & 0xffff);
	/* The other queue pair goes on. */
	assert_int_equal(gda_dev_put(dev, mine, mine, 8, ME), 0);
	assert_int_equal(gda_dev_quiet_pe(dev, ME), 0);
	stop();
	assert_non_null(strstr(log_text, "refused a peer's request"));
}

static void test_an_error_cqe_is_a_value_with_a_record(void **state)
{
	(void)state;
	run_error_cqe(GDA_CQ_COLLAPSED, false, 0);
	run_error_cqe(GDA_CQ_COLLAPSED, true, 0xfffe);
	run_error_cqe(GDA_CQ_RING, false, 0xfffe);
	run_error_cqe(GDA_CQ_RING, true, 0xfffffffe);
}

/* Many in flight: a ring keeps the first error, whatever is flushed after. */
static void
test_the_first_error_is_kept_and_what_was_before_is_done(void **state)
{
	struct gda_dev_peer peers[NPES];
	const struct gda_dev *dev;
	struct gda_config config;
	struct gda_dev bad;
	uint8_t *mine;
	int i;

	(void)state;
	set_up(&config);
	config.cq_mode = GDA_CQ_RING;
	config.batch = 32;
	dev = start(&config);
	bad = with_bad_key(dev, peers);
	mine = memory(ME);
	for (i = 0; i < 20; i++)
		assert_int_equal(gda_dev_put_nbi(i == 7 ? &bad : dev, mine + i,
						 mine, 1, PEER),
				 0);
	assert_int_equal(gda_dev_quiet(dev), GDA_DEV_EIO);
	check_record(7);
	assert_int_equal(dev->qps[PEER].completed, 7);
	assert_int_equal(gda_dev_wait_done(dev, &dev->qps[PEER], 7), 0);
	assert_int_equal(gda_dev_wait_done(dev, &dev->qps[PEER], 8),
			 GDA_DEV_EIO);
	stop();
}

/* A handle whose threads do not move the NIC. */
static struct gda_dev stalled(const struct gda_dev *dev)
{
	struct gda_dev view = *dev;

	view.pause = NULL;
	view.timeout_ns = 3000000;
	return view;
}

static void test_a_nic_that_stands_still_is_a_timeout(void **state)
{
	const struct gda_dev *dev;
	struct gda_config config;
	struct gda_dev view;
	uint8_t *mine;

	(void)state;
	set_up(&config);
	dev = start(&config);
	view = stalled(dev);
	mine = memory(ME);
	mine[8] = 99;
	assert_int_equal(gda_dev_put(&view, mine, mine + 8, 1, PEER),
			 GDA_DEV_ETIMEDOUT);
	assert_int_equal(gda_dev_quiet(&view), GDA_DEV_ETIMEDOUT);
	assert_int_equal(gda_dev_barrier(&view), GDA_DEV_ETIMEDOUT);
	/* It was late, not lost. */
	assert_int_equal(gda_dev_quiet(dev), 0);
	assert_int_equal(memory(PEER)[0], 99);
	stop();
}

static void test_a_full_queue_times_out_and_leaves_no_hole(void **state)
{
	const struct gda_dev *dev;
	struct gda_config config;
	struct gda_dev view;
	uint8_t *mine;
	int shared, i;

	(void)state;
	for (shared = 0; shared < 2; shared++) {
		set_up(&config);
		config.qp_depth = 4;
		config.shared = shared;
		dev = start(&config);
		view = stalled(dev);
		mine = memory(ME);
		for (i = 0; i < 4; i++)
			assert_int_equal(
				gda_dev_put_nbi(&view, mine, mine + 8, 1, PEER),
				0);
		assert_int_equal(gda_dev_put_nbi(&view, mine, mine, 1, PEER),
				 GDA_DEV_ETIMEDOUT);
		assert_int_equal(gda_dev_p_u8(&view, mine, 1, PEER),
				 GDA_DEV_ETIMEDOUT);
		assert_int_equal(reserved(dev, PEER), 4);
		mine[8] = 5;
		assert_int_equal(gda_dev_put(dev, mine, mine + 8, 1, PEER), 0);
		assert_int_equal(memory(PEER)[0], 5);
		stop();
	}
}

/* The NIC may still write to it, so nobody else may have it. */
static void test_a_fetch_that_times_out_keeps_its_slot(void **state)
{
	const struct gda_dev *dev;
	struct gda_config config;
	struct gda_dev view;
	uint64_t value = 1;
	uint64_t *mine;

	(void)state;
	set_up(&config);
	config.fetch_slots = 2;
	dev = start(&config);
	view = stalled(dev);
	mine = (uint64_t *)memory(ME);
	*(uint64_t *)memory(PEER) = 1234;
	assert_int_equal(gda_dev_g_u64(&view, mine, &value, PEER),
			 GDA_DEV_ETIMEDOUT);
	assert_int_equal(value, 1);
	assert_int_equal(dev->qps[PEER].slots[0].taken, 1);
	assert_int_equal(gda_dev_g_u64(dev, mine, &value, PEER), 0);
	assert_int_equal(value, 1234);
	assert_int_equal(gda_dev_g_u64(&view, mine, &value, PEER),
			 GDA_DEV_ETIMEDOUT);
	/* None is left. */
	assert_int_equal(gda_dev_g_u64(dev, mine, &value, PEER),
			 GDA_DEV_ETIMEDOUT);
	assert_int_equal(gda_dev_quiet(dev), 0);
	stop();
}

/*
 * The barrier's messages: round r goes to the PE 2^r further on. The others
 * are said to have arrived, so that one thread gets through.
 */
static void test_a_barrier_tells_each_round_another_pe(void **state)
{
	struct t_pe five[5];
	struct gda_dev_barrier *mine;
	struct gda_config config;
	int pe, round, expected;

	(void)state;
	set_up(&config);
	assert_int_equal(t_pes_start(&config, 5, BYTES, five), 0);
	mine = five[1].dev->barrier;
	mine->arrived[0] = mine->arrived[1] = 1;
	/* Round 2 waits for PE 1 - 4, and there is no round 3. */
	assert_int_equal(gda_dev_barrier(five[1].dev), GDA_DEV_ETIMEDOUT);
	mine->arrived[0] = mine->arrived[1] = mine->arrived[2] = 2;
	assert_int_equal(gda_dev_barrier(five[1].dev), 0);
	assert_int_equal(gda_dev_quiet(five[1].dev), 0);
	for (pe = 0; pe < 5; pe++) {
		if (pe == 1)
			continue;
		for (round = 0; round < 4; round++) {
			expected = (1 + (1 << round)) % 5 == pe && round < 3;
			assert_int_equal(five[pe].dev->barrier->arrived[round],
					 expected ? 2 : 0);
		}
	}
	assert_int_equal(t_pes_stop(five, 5), 0);
}

/* A CQE whose index was never posted is not believed. */
static void test_an_impossible_index_is_not_believed(void **state)
{
	struct hw_cqe_info info = {.opcode = HW_CQE_REQ, .wqe_counter = 40};
	const struct gda_dev *dev;
	struct gda_config config;
	struct hw_cqe cqe;
	int mode;

	(void)state;
	for (mode = 0; mode < 2; mode++) {
		set_up(&config);
		config.cq_mode = (enum gda_cq_mode)mode;
		dev = start(&config);
		info.qpn = dev->qps[PEER].qpn;
		cqe = hw_cqe_encode(&info);
		memcpy(dev->qps[PEER].cq, &cqe, sizeof(cqe));
		assert_int_equal(gda_dev_poll(&dev->qps[PEER]), 0);
		assert_int_equal(dev->qps[PEER].completed, 0);
		stop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_bad_argument_posts_nothing),
		cmocka_unit_test(test_a_bad_signal_posts_nothing),
		cmocka_unit_test(test_an_error_cqe_is_a_value_with_a_record),
		cmocka_unit_test(
			test_the_first_error_is_kept_and_what_was_before_is_done),
		cmocka_unit_test(test_a_barrier_tells_each_round_another_pe),
		cmocka_unit_test(test_an_impossible_index_is_not_believed),
	};
	/* They stop the NIC by not calling its hook. */
	const struct CMUnitTest emu_tests[] = {
		cmocka_unit_test(test_a_nic_that_stands_still_is_a_timeout),
		cmocka_unit_test(
			test_a_full_queue_times_out_and_leaves_no_hole),
		cmocka_unit_test(test_a_fetch_that_times_out_keeps_its_slot),
	};
	int failures = cmocka_run_group_tests(tests, NULL, NULL);

	if (t_is_emu())
		failures += cmocka_run_group_tests(emu_tests, NULL, NULL);
	return failures;
}
