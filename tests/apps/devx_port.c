/* SPDX-License-Identifier: MIT */
/*
 * Tells what it hears of its port, as test_port.sh takes the link down and up:
 * the events of two contexts, and an EQE of a DEVX subscription without an
 * object. When the link goes down it posts a write, and it tells what becomes
 * of that; it ends with the first that fails.
 *
 * Source of truth: rdma-core ibv_get_async_event(3), mlx5dv.h; Linux
 * include/linux/mlx5/device.h (mlx5_eqe_port_state).
 */
#include "tests/apps/devx_host.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	PORT = 1,
	ACK_TIMEOUT = 17, /* 0.54 s, eight times: the script is slower */
	RETRIES = 7,
	EVENT_PORT_CHANGE = 0x09,
	COOKIE = 0x3333,
	PATIENCE_S = 60,
};

struct watch {
	struct host host;
	struct ibv_context *contexts[2]; /* [0] is the host's */
	struct mlx5dv_devx_event_channel *channel;
	struct ibv_cq *cq;
	struct ibv_qp *qps[2];
	struct ibv_mr *mr;
	uint64_t words[2];
};

/* ------------------------------------------------------------ connection */

static void to_rts(struct watch *w, int side)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = PORT,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = w->qps[!side]->qp_num,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 12,
		.ah_attr = {.dlid = w->host.lid,
			    .is_global = 1,
			    .grh = {.dgid = w->host.gid, .hop_limit = 1},
			    .port_num = PORT},
		.timeout = ACK_TIMEOUT,
		.retry_cnt = RETRIES,
		.rnr_retry = 7,
		.max_rd_atomic = 1,
	};

	check(!ibv_modify_qp(w->qps[side], &attr,
			     IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
				     IBV_QP_ACCESS_FLAGS),
	      "no INIT");
	attr.qp_state = IBV_QPS_RTR;
	check(!ibv_modify_qp(w->qps[side], &attr,
			     IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				     IBV_QP_MAX_DEST_RD_ATOMIC |
				     IBV_QP_MIN_RNR_TIMER),
	      "no RTR");
	attr.qp_state = IBV_QPS_RTS;
	check(!ibv_modify_qp(w->qps[side], &attr,
			     IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
				     IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
				     IBV_QP_MAX_QP_RD_ATOMIC),
	      "no RTS");
}

static void open_all(struct watch *w)
{
	struct ibv_qp_init_attr attr = {
		.cap = {.max_send_wr = 4, .max_send_sge = 1},
		.qp_type = IBV_QPT_RC,
	};
	uint16_t event = EVENT_PORT_CHANGE;
	int i;

	host_open(&w->host);
	w->contexts[0] = w->host.context;
	w->contexts[1] = ibv_open_device(w->host.context->device);
	check(w->contexts[1], "no second context");
	w->channel = mlx5dv_devx_create_event_channel(w->host.context, 0);
	check(w->channel, "no event channel");
	check(!mlx5dv_devx_subscribe_devx_event(w->channel, NULL, sizeof(event),
						&event, COOKIE),
	      "no subscription to the port");
	w->mr = ibv_reg_mr(w->host.pd, w->words, sizeof(w->words),
			   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	w->cq = ibv_create_cq(w->host.context, 16, NULL, NULL, 0);
	check(w->mr && w->cq, "no MR or CQ");
	attr.send_cq = attr.recv_cq = w->cq;
	for (i = 0; i < 2; i++) {
		w->qps[i] = ibv_create_qp(w->host.pd, &attr);
		check(w->qps[i], "no QP");
	}
	for (i = 0; i < 2; i++)
		to_rts(w, i);
}

/* None of these waits for an event to be acknowledged. */
static void close_all(struct watch *w)
{
	int i;

	for (i = 0; i < 2; i++)
		check(!ibv_destroy_qp(w->qps[i]), "a QP is in use");
	check(!ibv_destroy_cq(w->cq), "the CQ is in use");
	check(!ibv_dereg_mr(w->mr), "the MR is in use");
	mlx5dv_devx_destroy_event_channel(w->channel);
	check(!ibv_close_device(w->contexts[1]), "the device does not close");
	host_close(&w->host);
}

/* ---------------------------------------------------------------- telling */

static void post_write(struct watch *w)
{
	struct ibv_sge sge = {.addr = (uintptr_t)&w->words[0],
			      .length = sizeof(w->words[0]),
			      .lkey = w->mr->lkey};
	struct ibv_send_wr *bad,
		wr = {
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = IBV_WR_RDMA_WRITE,
			.send_flags = IBV_SEND_SIGNALED,
			.wr.rdma = {.remote_addr = (uintptr_t)&w->words[1],
				    .rkey = w->mr->rkey},
		};

	w->words[0]++;
	check(!ibv_post_send(w->qps[0], &wr, &bad), "the write is refused");
}

static void tell_event(struct watch *w, int index)
{
	struct ibv_async_event event;
	struct ibv_port_attr port;

	check(!ibv_get_async_event(w->contexts[index], &event),
	      "no event of context %d", index);
	check(!ibv_query_port(w->contexts[index], PORT, &port), "no port");
	printf("context %d: %s port %d, state %s, phys_state %u\n", index,
	       ibv_event_type_str(event.event_type), event.element.port_num,
	       ibv_port_state_str(port.state), port.phys_state);
	ibv_ack_async_event(&event);
	if (!index && event.event_type == IBV_EVENT_PORT_ERR)
		post_write(w);
}

static void tell_eqe(struct watch *w)
{
	struct {
		struct mlx5dv_devx_async_event_hdr header;
		uint8_t eqe[64];
	} event;
	ssize_t len;

	len = mlx5dv_devx_get_event(w->channel, &event.header, sizeof(event));
	check(len == sizeof(event), "an EQE of %zd bytes", len);
	check(event.header.cookie == COOKIE, "the EQE has another cookie");
	printf("EQE type 0x%02x sub_type %u port %u\n", event.eqe[1],
	       event.eqe[3], event.eqe[0x20 + 8] >> 4);
}

/* Returns false when a request has failed. */
static bool tell_completions(struct watch *w)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(w->cq, 1, &wc) > 0) {
		printf("completion: %s\n", ibv_wc_status_str(wc.status));
		if (wc.status != IBV_WC_SUCCESS)
			return false;
		check(w->words[1] == w->words[0], "nothing was written");
	}
	return true;
}

int main(void)
{
	struct watch watch = {0}, *w = &watch;
	struct pollfd fds[3];
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(PATIENCE_S);
	open_all(w);
	for (i = 0; i < 2; i++)
		fds[i].fd = w->contexts[i]->async_fd;
	fds[2].fd = w->channel->fd;
	for (i = 0; i < 3; i++)
		fds[i].events = POLLIN;
	printf("ready: GUID %016" PRIx64 "\n",
	       be64toh(ibv_get_device_guid(w->host.context->device)));
	while (tell_completions(w)) {
		if (poll(fds, 3, 10) <= 0)
			continue;
		for (i = 0; i < 2; i++)
			if (fds[i].revents)
				tell_event(w, i);
		if (fds[2].revents)
			tell_eqe(w);
	}
	close_all(w);
	printf("closed\n");
	return 0;
}
