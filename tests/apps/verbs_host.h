/* SPDX-License-Identifier: MIT */
/*
 * What the verbs_*.c programs share: a device, and RC queue pairs on it.
 * Whatever fails ends the program with a sentence.
 */
#ifndef TESTS_APPS_VERBS_HOST_H
#define TESTS_APPS_VERBS_HOST_H

#include <infiniband/verbs.h>
#include <stdint.h>

struct verbs_host {
	struct ibv_context *context;
	struct ibv_pd *pd;
	uint16_t lid;
};

enum { VERBS_DEPTH = 16 };

void check(int good, const char *what);

/* The first device; link layer InfiniBand. */
void verbs_open(struct verbs_host *host);

/* Every send is signaled; both halves complete on cq. */
struct ibv_qp *verbs_qp(struct verbs_host *host, struct ibv_cq *cq);

/* From RESET to RTS. */
void verbs_connect(struct ibv_qp *qp, uint16_t lid, uint32_t qpn);

#endif
