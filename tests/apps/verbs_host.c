/* SPDX-License-Identifier: MIT */
#include "tests/apps/verbs_host.h"

#include <stdio.h>
#include <stdlib.h>

void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

void verbs_open(struct verbs_host *host)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_port_attr port;

	check(list && *list, "no device");
	host->context = ibv_open_device(*list);
	ibv_free_device_list(list);
	check(host->context != NULL, "the device does not open");
	check(!ibv_query_port(host->context, 1, &port), "no port");
	host->lid = port.lid;
	host->pd = ibv_alloc_pd(host->context);
	check(host->pd != NULL, "no protection domain");
}

struct ibv_qp *verbs_qp(struct verbs_host *host, struct ibv_cq *cq)
{
	struct ibv_qp_init_attr init = {
		.send_cq = cq,
		.recv_cq = cq,
		.cap = {.max_send_wr = VERBS_DEPTH,
			.max_recv_wr = VERBS_DEPTH,
			.max_send_sge = 1,
			.max_recv_sge = 1,
			.max_inline_data = 32},
		.qp_type = IBV_QPT_RC,
		.sq_sig_all = 1,
	};
	struct ibv_qp *qp = ibv_create_qp(host->pd, &init);

	check(qp != NULL, "no queue pair");
	return qp;
}

void verbs_connect(struct ibv_qp *qp, uint16_t lid, uint32_t qpn)
{
	struct ibv_qp_attr attr = {.qp_state = IBV_QPS_INIT,
				   .port_num = 1,
				   .qp_access_flags = IBV_ACCESS_REMOTE_WRITE};

	check(!ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
				     IBV_QP_ACCESS_FLAGS),
	      "INIT failed");
	attr.qp_state = IBV_QPS_RTR;
	attr.path_mtu = IBV_MTU_1024;
	attr.dest_qp_num = qpn;
	attr.ah_attr.port_num = 1;
	attr.ah_attr.dlid = lid;
	check(!ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				     IBV_QP_MAX_DEST_RD_ATOMIC |
				     IBV_QP_MIN_RNR_TIMER),
	      "RTR failed");
	attr.qp_state = IBV_QPS_RTS;
	attr.timeout = 14;
	attr.retry_cnt = attr.rnr_retry = 7;
	check(!ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
				     IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
				     IBV_QP_MAX_QP_RD_ATOMIC),
	      "RTS failed");
}
