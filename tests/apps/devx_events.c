/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous events of DEVX objects: completions of an armed CQ, to a
 * channel and to a descriptor of the program's own; an access error of a QP.
 *
 * Source of truth: rdma-core mlx5dv.h (mlx5dv_devx_subscribe_*); Linux
 * drivers/infiniband/hw/mlx5/devx.c; event numbers: include/linux/mlx5/device.h
 */
#include "tests/apps/devx_host.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	EVENT_COMPLETION = 0x00,
	EVENT_WQ_ACCESS_ERROR = 0x11,
	COOKIE_CQ = 0x1111,
	COOKIE_QP = 0x2222,
	EQE_BYTES = 64,
};

struct bench {
	struct host host;
	struct mlx5dv_devx_uar *uar;
	struct ibv_mr *mr;
	uint64_t words[2];
	struct cq cq[2];
	struct qp qp[2];
};

static bool readable(int fd, int timeout_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	return poll(&ready, 1, timeout_ms) == 1;
}

static void open_all(struct bench *b)
{
	struct qp_receive receive;
	int i;

	host_open(&b->host);
	b->uar = mlx5dv_devx_alloc_uar(b->host.context,
				       MLX5DV_UAR_ALLOC_TYPE_NC);
	check(b->uar, "no UAR");
	b->mr = ibv_reg_mr(b->host.pd, b->words, sizeof(b->words),
			   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	check(b->mr, "no memory region");
	for (i = 0; i < 2; i++) {
		cq_open(&b->host, &b->cq[i], b->uar, false);
		receive = (struct qp_receive){.cqn = b->cq[i].cqn};
		qp_open(&b->host, &b->qp[i], b->cq[i].cqn, &receive, b->uar);
	}
	for (i = 0; i < 2; i++)
		qp_connect(&b->host, &b->qp[i], b->qp[!i].qpn);
}

static void close_all(struct bench *b)
{
	int i;

	for (i = 0; i < 2; i++) {
		qp_close(&b->qp[i]);
		cq_close(&b->cq[i]);
	}
	check(!ibv_dereg_mr(b->mr), "the MR is in use");
	mlx5dv_devx_free_uar(b->uar);
	host_close(&b->host);
}

/* A write from word 0 to word 1; returns what its completion says. */
static struct hw_cqe_info do_write(struct bench *b, uint32_t rkey)
{
	struct request write = {
		.opcode = HW_OP_RDMA_WRITE,
		.len_bytes = sizeof(b->words[0]),
		.lkey = b->mr->lkey,
		.rkey = rkey,
		.laddr = (uintptr_t)&b->words[0],
		.raddr = (uintptr_t)&b->words[1],
	};
	uint16_t index = qp_post(&b->qp[0], &write);

	qp_ring(&b->qp[0]);
	return cq_wait(&b->cq[0], index);
}

static void subscribe(struct mlx5dv_devx_event_channel *channel,
		      struct mlx5dv_devx_obj *obj, uint16_t event,
		      uint64_t cookie)
{
	check(!mlx5dv_devx_subscribe_devx_event(channel, obj, sizeof(event),
						&event, cookie),
	      "no subscription to event 0x%x", event);
}

static void expect_event(struct mlx5dv_devx_event_channel *channel,
			 uint64_t cookie, const char *what)
{
	struct {
		struct mlx5dv_devx_async_event_hdr header;
		uint8_t eqe[EQE_BYTES];
	} event;
	ssize_t len;

	check(readable(channel->fd, 2000), "no event: %s", what);
	len = mlx5dv_devx_get_event(channel, &event.header, sizeof(event));
	check(len >= (ssize_t)sizeof(event.header), "event of %zd bytes: %s",
	      len, what);
	check(event.header.cookie == cookie, "the event has cookie 0x%jx: %s",
	      (uintmax_t)event.header.cookie, what);
}

/* An event follows an armed completion, and only that. */
static void test_completions(struct bench *b,
			     struct mlx5dv_devx_event_channel *channel)
{
	int i;

	for (i = 0; i < 3; i++) {
		cq_arm(&b->cq[0], b->uar);
		check(!readable(channel->fd, 0),
		      "an event without a completion");
		b->words[0] = (uint64_t)i + 1;
		check(do_write(b, b->mr->rkey).opcode == HW_CQE_REQ,
		      "the write failed");
		check(b->words[1] == (uint64_t)i + 1, "nothing was written");
		expect_event(channel, COOKIE_CQ, "armed completion");
	}
	do_write(b, b->mr->rkey);
	check(!readable(channel->fd, 20), "an event of a CQ that is not armed");
}

/* The same to an eventfd, as a program's main loop wants it. */
static void test_descriptor(struct bench *b,
			    struct mlx5dv_devx_event_channel *channel)
{
	uint64_t count = 0;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	check(fd >= 0, "no eventfd");
	check(!mlx5dv_devx_subscribe_devx_event_fd(channel, fd, b->cq[0].obj,
						   EVENT_COMPLETION),
	      "no subscription of an eventfd");
	cq_arm(&b->cq[0], b->uar);
	do_write(b, b->mr->rkey);
	check(readable(fd, 2000), "the eventfd heard nothing");
	check(read(fd, &count, sizeof(count)) == sizeof(count) && count == 1,
	      "the eventfd counted %ju", (uintmax_t)count);
	close(fd);
}

/* The side that was asked for memory with a bad key hears of it. */
static void test_access_error(struct bench *b,
			      struct mlx5dv_devx_event_channel *channel)
{
	struct hw_cqe_info cqe = do_write(b, b->mr->rkey ^ 0xff);

	check(cqe.opcode == HW_CQE_REQ_ERR &&
		      cqe.syndrome == HW_SYND_REMOTE_ACCESS,
	      "a bad key ends with syndrome %s",
	      hw_syndrome_name(cqe.syndrome));
	expect_event(channel, COOKIE_QP, "access error at the responder");
}

int main(void)
{
	struct mlx5dv_devx_event_channel *completions, *descriptors, *errors;
	struct bench bench = {0}, *b = &bench;

	open_all(b);
	completions = mlx5dv_devx_create_event_channel(
		b->host.context,
		MLX5DV_DEVX_CREATE_EVENT_CHANNEL_FLAGS_OMIT_EV_DATA);
	descriptors = mlx5dv_devx_create_event_channel(
		b->host.context,
		MLX5DV_DEVX_CREATE_EVENT_CHANNEL_FLAGS_OMIT_EV_DATA);
	errors = mlx5dv_devx_create_event_channel(b->host.context, 0);
	check(completions && descriptors && errors, "no event channels");
	subscribe(completions, b->cq[0].obj, EVENT_COMPLETION, COOKIE_CQ);
	subscribe(errors, b->qp[1].obj, EVENT_WQ_ACCESS_ERROR, COOKIE_QP);
	test_completions(b, completions);
	test_descriptor(b, descriptors);
	test_access_error(b, errors);
	mlx5dv_devx_destroy_event_channel(completions);
	mlx5dv_devx_destroy_event_channel(descriptors);
	mlx5dv_devx_destroy_event_channel(errors);
	close_all(b);
	printf("completion events, an eventfd and an access error.\n");
	return 0;
}
