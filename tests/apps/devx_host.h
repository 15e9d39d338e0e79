/* SPDX-License-Identifier: MIT */
/*
 * What the devx_* programs share: a device opened through libibverbs and
 * libmlx5, and queues made with DEVX commands, as the host side of a
 * GPU-initiated library makes them.
 *
 * They are single-threaded and end at the first thing that is not as they say:
 * every function here returns only if it worked.
 */
#ifndef TESTS_APPS_DEVX_HOST_H
#define TESTS_APPS_DEVX_HOST_H

#include <infiniband/mlx5dv.h>
#include <infiniband/verbs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "hw/cmd_cq.h"
#include "hw/cmd_qp.h"
#include "hw/cqe.h"
#include "hw/doorbell.h"
#include "hw/wqe.h"
#include "hw/wqe_opcode.h"

/* End with status 1 and the sentence, unless condition holds. */
void check(bool condition, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* End with status 77: this machine cannot run the program, and why. */
void skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

struct host {
	struct ibv_context *context;
	struct ibv_pd *pd;
	uint32_t pdn;
	uint32_t eqn;
	bool ethernet; /* link layer: addressed by GID, else by LID */
	uint16_t lid;
	union ibv_gid gid;
	uint8_t mac[6];
};

/* The first mlx5 device, its port active. Skips if there is none. */
void host_open(struct host *host);
void host_close(struct host *host);

/*
 * Where umems come from; NULL: ordinary memory. Gives what is registered, and
 * where this program sees it (it is never given back).
 */
extern void *(*umem_memory)(size_t len_bytes, uint8_t **seen);

/* Memory that the device reads and writes by umem. */
struct umem {
	struct mlx5dv_devx_umem *handle;
	uint8_t *bytes;
	size_t len_bytes;
};

void umem_open(const struct host *host, struct umem *umem, size_t len_bytes);
void umem_close(struct umem *umem);

enum {
	CQ_DEPTH = 64,
	SQ_DEPTH = 64, /* basic blocks */
};

struct cq {
	struct mlx5dv_devx_obj *obj;
	struct umem umem; /* ring, then the record in a line of its own */
	uint32_t cqn;
	uint32_t ci;   /* counter */
	uint32_t arms; /* counter: how often an event was asked for */
	bool collapsed;
	volatile struct hw_cqe *ring;
	volatile be32 *record;
};

/*
 * A CQ of CQ_DEPTH entries, every one of them given to the device. Collapsed:
 * all completions overwrite entry 0, and overruns are ignored.
 */
void cq_open(const struct host *host, struct cq *cq,
	     const struct mlx5dv_devx_uar *uar, bool collapsed);
void cq_close(struct cq *cq);

/* Ask for an event at the next completion; the one before it has come. */
void cq_arm(struct cq *cq, const struct mlx5dv_devx_uar *uar);

/*
 * Wait for a completion: of a collapsed CQ the one with this or a later WQE
 * index, else the next. A second without one ends the program.
 */
struct hw_cqe_info cq_wait(struct cq *cq, uint16_t wqe_index);

struct qp {
	struct mlx5dv_devx_obj *obj;
	struct umem umem; /* send ring, then the record */
	uint32_t qpn;
	uint16_t pi; /* counter of basic blocks */
	volatile be32 *record;
	volatile uint64_t *reg; /* the doorbell register */
};

/* What CREATE_QP is told beside the send queue. */
struct qp_receive {
	uint32_t cqn;
	uint32_t srqn;	 /* 0: no receive queue at all */
	uint8_t service; /* enum hw_qp_st; 0: RC */
};

/* A QP in RESET whose send queue has SQ_DEPTH basic blocks. */
void qp_open(const struct host *host, struct qp *qp, uint32_t send_cqn,
	     const struct qp_receive *receive,
	     const struct mlx5dv_devx_uar *uar);
void qp_close(struct qp *qp);

/* RESET to RTS, connected to the QP with this number on the same port. */
void qp_connect(const struct host *host, struct qp *qp, uint32_t remote_qpn);

/* The state that QUERY_QP tells, enum hw_qp_state. */
unsigned qp_state(struct qp *qp);

/* What a WQE is made of, beside its control segment. */
struct request {
	uint8_t opcode;
	uint32_t rkey, lkey, len_bytes;
	uint64_t raddr, laddr;
	struct hw_wqe_atomic atomic;
};

/*
 * Write one WQE of at most one basic block; nothing is rung yet. Returns its
 * index.
 */
uint16_t qp_post(struct qp *qp, const struct request *request);

/* Tell the device of all that was posted: record, then register. */
void qp_ring(struct qp *qp);

#endif
