/* SPDX-License-Identifier: MIT */
/*
 * A random workload over queue pairs, with a plain model beside it; see
 * t_sim.h.
 */
#include "support/t_sim.h"

#include "support/t_cuda.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	PATIENCE = 20, /* rounds without progress before time jumps */
	STUCK_ROUNDS = 2000,
	ROUNDS_MAX = 2000000,
};

#define CHECK(sim, ok, ...)                                                    \
	do {                                                                   \
		if (!(ok))                                                     \
			failed(sim, __LINE__, __VA_ARGS__);                    \
	} while (0)

static void failed(struct sim *sim, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

static void failed(struct sim *sim, int line, const char *fmt, ...)
{
	const struct sim_options *o = &sim->options;
	va_list args;
	unsigned i;

	fprintf(stderr, "seed %llu (%u nodes, %u pairs), t_sim.c:%d: ",
		(unsigned long long)o->seed, o->nodes, o->pairs, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	for (i = 0; i < o->nodes; i++)
		fprintf(stderr, "node %u at %llu ns:\n%s", i,
			(unsigned long long)sim->nodes[i].now_ns,
			sim->nodes[i].log);
	fail();
	abort();
}

uint32_t t_sim_mtu(const struct sim *sim)
{
	return 128u << sim->options.mtu;
}

/* ---------------------------------------------------------------- setup */

/* What the next allocations are. */
static void choose_memory(struct sim *sim, uint32_t device)
{
	if (sim->options.device_rings || sim->options.device_arenas)
		t_cuda_alloc(t_chance(&sim->rng, device));
}

static uint8_t *new_arena(struct sim *sim)
{
	uint8_t *arena;

	choose_memory(sim, sim->options.device_arenas);
	arena = t_alloc(SIM_ARENA);
	choose_memory(sim, 0);
	t_random_bytes(&sim->rng, arena, SIM_REGION);
	return arena;
}

static void open_indirect(struct sim *sim, struct sim_end *end)
{
	struct t_klm_options options = {
		.umr_en = true,
		.start = (uintptr_t)end->arena,
		.len = SIM_ARENA,
		.variant = (uint8_t)t_below(&sim->rng, 256)};
	struct hw_klm list[SIM_CUTS];

	t_sim_cut(sim, end, list);
	end->indirect_key = t_klm_key(end->node, &options, list, SIM_CUTS);
}

static void open_end(struct sim *sim, struct sim_end *end, struct t_node *node)
{
	struct t_rng *rng = &sim->rng;
	struct sim_options *o = &sim->options;
	struct t_qp_options qp = {
		.log_sq_size = (uint8_t)t_below(rng, o->log_sq_size + 1),
		.log_rq_size = (uint8_t)t_below(rng, o->log_rq_size + 1),
		.log_rq_stride = 2,
		.user_index = t_below(rng, 1 << 24),
	};
	struct t_cq_options cq = {.log_size = qp.log_sq_size};

	end->node = node;
	end->left = o->requests;
	cq.cqe_sz = (uint8_t)t_below(rng, 2);
	choose_memory(sim, o->device_rings);
	t_cq_create(node, &end->cq_send, &cq);
	cq.log_size = qp.log_rq_size;
	choose_memory(sim, o->device_rings);
	t_cq_create(node, &end->cq_recv, &cq);
	choose_memory(sim, o->device_rings);
	t_qp_create(node, &end->qp, &end->cq_send, &end->cq_recv, &qp);
	end->sq_ci = o->start_counter;
	end->arena = new_arena(sim);
	end->model = t_alloc(SIM_ARENA);
	memcpy(end->model, end->arena, SIM_ARENA);
	end->key = t_mr(node, end->arena, SIM_ARENA);
	open_indirect(sim, end);
}

static uint32_t draw_psn(struct t_rng *rng)
{
	/* Half of them wrap soon. */
	return t_chance(rng, 500) ? HW_PSN_MASK - t_below(rng, 100)
				  : t_below(rng, HW_PSN_MASK + 1);
}

static void open_pair(struct sim *sim, unsigned pair)
{
	struct sim_options *o = &sim->options;
	struct sim_end *a = &sim->ends[sim->end_count++], *b = a;
	struct t_connect connect = {
		.mtu = o->mtu,
		.psn = draw_psn(&sim->rng),
		.peer_psn = draw_psn(&sim->rng),
		.ack_timeout = o->ack_timeout,
		.retries = 7,
		.rnr_retries = 7,
		.min_rnr_nak = (uint8_t)(1 + t_below(&sim->rng, 8)),
		.log_ra_max = (uint8_t)t_below(&sim->rng, o->log_ra_max + 1),
	};

	open_end(sim, a, &sim->nodes[pair % o->nodes]);
	if (pair || !o->self) {
		b = &sim->ends[sim->end_count++];
		open_end(sim, b, &sim->nodes[(pair + 1) % o->nodes]);
	} else {
		connect.peer_psn = connect.psn;
	}
	a->peer = b;
	b->peer = a;
	t_connect(&a->qp, &b->qp, &connect);
}

/* T_TRACE=req_*,resp_* in the environment prints these events. */
static void print_trace(void *arg, const struct nic_trace_record *record)
{
	char text[256];

	nic_trace_format(record, text, sizeof(text));
	fprintf(stderr, "%p %s\n", arg, text);
}

static void attach(struct sim *sim, struct wire_loop_fabric *loop,
		   struct t_node *node)
{
	char error[256];

	switch (sim->options.wire) {
	case SIM_LOOP:
		assert_int_equal(wire_loop_attach(loop, node->nic), 0);
		break;
	case SIM_SHM:
		assert_int_equal(wire_shm_attach(sim->fabric, node->nic, error,
						 sizeof(error)),
				 0);
		break;
	default:
		t_lossy_attach(&sim->net, node);
	}
}

static void open_sim(struct sim *sim)
{
	const char *events = getenv("T_TRACE");
	struct sim_options *o = &sim->options;
	struct nic_config config = {
		.start_counter = o->start_counter,
		.link = o->seed % 2 ? NIC_LINK_IB : NIC_LINK_ROCE,
		.trace = print_trace,
	};
	struct wire_loop_fabric *loop = wire_loop_create();
	unsigned i;

	sim->rng.state = o->seed;
	if (o->wire == SIM_SHM)
		t_dir_make(sim->fabric);
	t_lossy_open(&sim->net, ~o->seed);
	sim->net.rates = o->rates;
	if (!o->mtu)
		o->mtu = (uint8_t)(1 + t_below(&sim->rng, 5));
	for (i = 0; i < o->nodes; i++) {
		t_node_open(&sim->nodes[i], &config, NULL);
		attach(sim, loop, &sim->nodes[i]);
		if (events)
			nic_trace_enable(sim->nodes[i].nic, events);
		choose_memory(sim, o->device_arenas);
		sim->shared[i] = t_alloc(sizeof(uint64_t));
		choose_memory(sim, 0);
		sim->shared_key[i] =
			t_mr(&sim->nodes[i], sim->shared[i], sizeof(uint64_t));
	}
	wire_loop_release(loop);
	for (i = 0; i < o->pairs; i++)
		open_pair(sim, i);
}

/* ------------------------------------------------------------ one round */

static void ring(struct sim *sim, struct t_qp *qp)
{
	/* Records on a GPU are looked at when a register rings. */
	switch (t_below(&sim->rng, 4) + !!sim->options.device_rings) {
	case 0:
		t_ring_record(qp);
		break;
	case 1:
		t_ring_register(qp);
		t_ring_record(qp);
		break;
	default:
		t_ring(qp);
		break;
	}
}

static bool post(struct sim *sim, struct sim_end *end, bool eager)
{
	unsigned most = eager ? 8 : t_below(&sim->rng, 8);
	bool posted = false, received = false;

	if (!eager && !t_chance(&sim->rng, 300))
		return false;
	while (most-- && t_sim_post(sim, end))
		posted = true;
	if (posted)
		ring(sim, &end->qp);
	most = eager ? 8 : t_below(&sim->rng, 3);
	while (most-- && t_sim_post_recv(sim, end))
		received = true;
	return posted || received;
}

static const struct sim_expect *next_expected(struct sim *sim,
					      struct sim_queue *queue,
					      const struct hw_cqe_info *cqe)
{
	CHECK(sim, !hw_cqe_is_error(cqe->opcode),
	      "QP 0x%x index 0x%04x: error CQE, syndrome 0x%02x", cqe->qpn,
	      cqe->wqe_counter, cqe->syndrome);
	CHECK(sim, queue->head != queue->tail,
	      "QP 0x%x index 0x%04x: a CQE that nobody waits for", cqe->qpn,
	      cqe->wqe_counter);
	return &queue->entry[queue->head++ % SIM_EXPECTED];
}

static bool poll_send(struct sim *sim, struct sim_end *end)
{
	const struct sim_expect *e;
	struct hw_cqe_info cqe;

	if (!t_poll(&end->cq_send, &cqe))
		return false;
	e = next_expected(sim, &end->sends, &cqe);
	CHECK(sim,
	      cqe.opcode == HW_CQE_REQ && cqe.qpn == end->qp.number &&
		      cqe.wqe_counter == e->wqe_counter &&
		      cqe.wqe_opcode == e->wqe_opcode,
	      "QP 0x%x: send CQE index 0x%04x opcode 0x%02x, expected 0x%04x "
	      "0x%02x",
	      end->qp.number, cqe.wqe_counter, cqe.wqe_opcode, e->wqe_counter,
	      e->wqe_opcode);
	end->sq_ci = e->sq_after;
	return true;
}

static bool poll_recv(struct sim *sim, struct sim_end *end)
{
	const struct sim_expect *e;
	struct hw_cqe_info cqe;

	if (!t_poll(&end->cq_recv, &cqe))
		return false;
	e = next_expected(sim, &end->recvs, &cqe);
	end->recvs_taken++;
	CHECK(sim,
	      cqe.opcode == e->opcode && cqe.qpn == end->qp.number &&
		      cqe.wqe_counter == e->wqe_counter,
	      "QP 0x%x: receive CQE index 0x%04x kind %u, expected 0x%04x %u",
	      end->qp.number, cqe.wqe_counter, cqe.opcode, e->wqe_counter,
	      e->opcode);
	CHECK(sim,
	      cqe.byte_cnt == e->byte_cnt && cqe.imm == e->imm &&
		      cqe.solicited == e->solicited,
	      "QP 0x%x: receive CQE 0x%04x: %u bytes imm 0x%x se %u, expected "
	      "%u 0x%x %u",
	      end->qp.number, cqe.wqe_counter, cqe.byte_cnt, cqe.imm,
	      cqe.solicited, e->byte_cnt, e->imm, e->solicited);
	return true;
}

static bool poll(struct sim *sim)
{
	bool progress = false;
	struct sim_end *end;

	for (end = sim->ends; end < sim->ends + sim->end_count; end++) {
		while (poll_send(sim, end))
			progress = true;
		while (poll_recv(sim, end))
			progress = true;
	}
	return progress;
}

/*
 * Any node takes a step, or none: packets pile up and meet requests that are
 * half sent.
 */
static void crawl(struct sim *sim)
{
	unsigned i, count = sim->options.nodes, steps = t_below(&sim->rng, 4);
	struct t_node *node;

	for (i = 0; i < steps; i++) {
		node = &sim->nodes[t_below(&sim->rng, count)];
		nic_step(node->nic, node->now_ns);
	}
	t_lossy_set_time(sim->nodes, count,
			 sim->nodes[0].now_ns + t_below(&sim->rng, 1000));
}

static bool round_of(struct sim *sim, bool eager)
{
	bool progress = false;
	struct sim_end *end;

	for (end = sim->ends; end < sim->ends + sim->end_count; end++)
		progress |= post(sim, end, eager);
	if (sim->options.crawl && !eager)
		crawl(sim);
	else
		t_run(sim->nodes, sim->options.nodes);
	return poll(sim) || progress;
}

static bool finished(const struct sim *sim)
{
	const struct sim_end *end;

	for (end = sim->ends; end < sim->ends + sim->end_count; end++)
		if (end->left || end->sends.head != end->sends.tail ||
		    end->recvs.head != end->recvs.tail)
			return false;
	return true;
}

static void run(struct sim *sim)
{
	unsigned rounds = 0, stuck = 0;
	uint64_t next;

	while (!finished(sim)) {
		CHECK(sim, ++rounds < ROUNDS_MAX, "it does not end");
		stuck = round_of(sim, stuck > PATIENCE) ? 0 : stuck + 1;
		if (sim->options.crawl && stuck <= PATIENCE)
			continue;
		next = t_lossy_next(&sim->net, sim->nodes, sim->options.nodes);
		if (next == UINT64_MAX)
			CHECK(sim, stuck < STUCK_ROUNDS,
			      "nothing moves any more, and no timer runs");
		else
			t_lossy_set_time(sim->nodes, sim->options.nodes, next);
		if (next != UINT64_MAX && stuck > PATIENCE)
			stuck = PATIENCE; /* time still passes */
	}
}

/* ------------------------------------------------------------ afterwards */

static void check_memory(struct sim *sim, const struct sim_end *end)
{
	unsigned i;

	if (!memcmp(end->arena, end->model, SIM_SCRATCH))
		return;
	for (i = 0; i < SIM_SCRATCH; i++)
		CHECK(sim, end->arena[i] == end->model[i],
		      "QP 0x%x: arena offset 0x%x is 0x%02x, the model has "
		      "0x%02x",
		      end->qp.number, i, end->arena[i], end->model[i]);
}

static void check_shared(struct sim *sim)
{
	const struct sim_end *end;
	uint64_t sum;
	unsigned i;

	for (i = 0; i < sim->options.nodes; i++) {
		sum = 0;
		for (end = sim->ends; end < sim->ends + sim->end_count; end++)
			if (end->peer->node == &sim->nodes[i])
				sum += end->added;
		CHECK(sim, *sim->shared[i] == sum,
		      "node %u: the shared counter is %llu, the sum is %llu", i,
		      (unsigned long long)*sim->shared[i],
		      (unsigned long long)sum);
	}
}

/* Late duplicates still arrive; then nothing is left, and no timer. */
static void settle(struct sim *sim)
{
	struct sim_end *end;

	t_lossy_run(&sim->net, sim->nodes, sim->options.nodes, 60000000000ull);
	CHECK(sim,
	      t_lossy_next(&sim->net, sim->nodes, sim->options.nodes) ==
		      UINT64_MAX,
	      "a timer was left running");
	CHECK(sim, !poll(sim), "a completion came after the last");
	for (end = sim->ends; end < sim->ends + sim->end_count; end++)
		CHECK(sim, t_state(&end->qp) == HW_QP_RTS,
		      "QP 0x%x is not in RTS", end->qp.number);
}

static void close_end(struct sim *sim, struct sim_end *end)
{
	(void)sim;
	assert_int_equal(t_qp_destroy(&end->qp), 0);
	assert_int_equal(t_cq_destroy(&end->cq_send), 0);
	assert_int_equal(t_cq_destroy(&end->cq_recv), 0);
	t_mkey_destroy(end->node, end->indirect_key);
	assert_int_equal(nic_mkey_deregister(end->node->nic, end->key), 0);
	t_free(end->arena);
	t_free(end->model);
}

static void close_sim(struct sim *sim)
{
	struct nic_usage usage;
	unsigned i;

	for (i = 0; i < sim->end_count; i++)
		close_end(sim, &sim->ends[i]);
	for (i = 0; i < sim->options.nodes; i++) {
		nic_get_usage(sim->nodes[i].nic, &usage);
		CHECK(sim, !usage.qps && !usage.cqs && usage.mkeys == 1,
		      "objects are left on node %u", i);
		t_node_close(&sim->nodes[i]);
		t_free(sim->shared[i]);
	}
	t_lossy_close(&sim->net);
	if (sim->options.wire == SIM_SHM)
		t_dir_remove(sim->fabric);
}

void t_sim_run(const struct sim_options *options)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	unsigned i;

	assert_non_null(sim);
	sim->options = *options;
	open_sim(sim);
	run(sim);
	settle(sim);
	for (i = 0; i < sim->end_count; i++)
		check_memory(sim, &sim->ends[i]);
	check_shared(sim);
	close_sim(sim);
	free(sim);
}
