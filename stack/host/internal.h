/* SPDX-License-Identifier: MIT */
/*
 * What the files of stack/host/ share: the state of one PE, and the steps
 * that gda_init() takes in order.
 *
 *	config -> open -> caps -> heap -> cq, qp -> connect -> export
 *
 * Each step has a function that undoes it; gda_finalize() runs them backwards.
 * Thread: as gda.h says for each call.
 */
#ifndef GDA_HOST_INTERNAL_H
#define GDA_HOST_INTERNAL_H

#include <pthread.h>
#include <stdarg.h>

#include "hw/cmd.h"
#include "stack/backend.h"
#include "stack/dev/handle.h"
#include "stack/gda.h"
#include "stack/host/bootstrap.h"
#include "stack/host/region.h"
#include "stack/host/space.h"

/* What the device can do, from QUERY_HCA_CAP. */
struct gda_caps {
	uint32_t log_max_qp_depth;
	uint32_t log_max_cq_depth;
	uint32_t max_wqe_bytes;
	uint32_t log_max_reads_out; /* reads and atomics in flight */
	uint32_t log_max_reads_in;
	uint32_t log_bf_reg_bytes;
	bool no_record; /* send_dbr_mode NO_DBR_EXT */
	bool swap_results_8;
};

/* One queue pair and its completion queue, at one place in the arena. */
struct gda_qp {
	struct gda_obj *cq_obj;
	struct gda_obj *qp_obj;
	struct gda_uar uar; /* of its own, unless shared_uar */
	uint32_t cqn;
	uint32_t qpn;
	uint64_t sq_offset; /* in the arena, in bytes */
	uint64_t cq_offset;
	uint64_t record_offset; /* CQ record, then QP record, 64 bytes each */
};

/* What each PE tells all others before they connect. */
struct gda_hello {
	struct gda_port port;
	uint64_t heap_addr;
	uint64_t heap_bytes;
	uint32_t rkey;
	uint32_t lanes;
	uint32_t fetch_slots;
	uint32_t psn;
	uint32_t qpns[]; /* [lane * npes + pe] */
};

struct gda {
	struct gda_config config;
	const struct gda_backend_ops *ops;
	struct gda_backend *backend;
	struct gda_bootstrap *bootstrap;
	struct gda_caps caps;
	struct gda_port port;
	uint32_t pdn;
	uint32_t eqn;

	struct gda_region heap; /* with the part that belongs to the stack */
	struct gda_mr heap_mr;
	struct gda_space space;

	/* Rings and records of all queue pairs: one umem. */
	struct gda_region arena;
	uint32_t arena_umem;
	struct gda_uar uar; /* shared_uar */
	struct gda_qp *qps; /* [lane * npes + pe] */
	uint32_t qp_count;

	pthread_mutex_t lock; /* buffers */
	struct gda_mr *buffer_mrs;

	struct gda_dev dev;
	/* The handle's tables, one piece of memory, and what kernels on a GPU
	 * have instead (NULL: the same). */
	uint8_t *tables, *gpu_tables;
	size_t tables_len;
	struct gda_dev_peer *peers;
	struct gda_dev_qp *dev_qps;
	struct gda_dev_buffer *buffers;
};

/* ------------------------------------------------------------- log.c --- */

/* Say a sentence to the log and remember it; returns code. */
int gda_fail(const struct gda_config *config, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Move this thread's last sentence to text: it was no error after all. */
void gda_take_error(char *text, size_t size);
void gda_log(const struct gda_config *config, enum gda_log_level level,
	     const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --------------------------------------------------- config.c, launch.c --- */

/* Refuse what no device can do. */
int gda_config_check(const struct gda_config *config);
/* PE count, number, root and job from the environment. */
int gda_launch_load(struct gda_config *config);
/* A decimal number from text; K, M, G allowed. Returns false for others. */
bool gda_parse_number(const char *text, uint64_t max, uint64_t *value);

/* ---------------------------------------------------------- backend.c --- */

/* The backend of config->backend. -ENODEV: there is no such one. */
int gda_backend_find(const struct gda_config *config,
		     const struct gda_backend_ops **ops);

/* ---------------------------------------------------------- command.c --- */

/* Send a mailbox; what for is told if it fails: -EREMOTEIO, or the errno. */
int gda_command(struct gda *gda, const struct gda_mailbox *box,
		const char *what);
int gda_create(struct gda *gda, const struct gda_mailbox *box, const char *what,
	       struct gda_obj **obj);
int gda_modify(struct gda *gda, struct gda_obj *obj,
	       const struct gda_mailbox *box, const char *what);
/* Undo gda_create; obj NULL is allowed. Failure is only logged. */
void gda_destroy(struct gda *gda, struct gda_obj *obj, const char *what);

/* ------------------------------------------------------- steps, in order --- */

/* gda_init after the config is checked and the backend found. */
int gda_init_on(const struct gda_backend_ops *ops,
		const struct gda_config *config, struct gda **out);

/* The bootstrap's, with the device's work ordered before and after. */
int gda_allgather(struct gda *gda, const void *mine, void *all, size_t len);
int gda_caps_query(struct gda *gda);
int gda_heap_open(struct gda *gda);
void gda_heap_close(struct gda *gda);
int gda_queues_open(struct gda *gda);
void gda_queues_close(struct gda *gda);
int gda_cq_create(struct gda *gda, struct gda_qp *qp, uint32_t uar_page);
int gda_qp_create(struct gda *gda, struct gda_qp *qp, uint32_t uar_page);
int gda_connect(struct gda *gda);
int gda_export(struct gda *gda, const struct gda_hello *hellos,
	       size_t hello_bytes);
/* Kernels that get the handle from now on are told that it is closed. */
void gda_handle_close(struct gda *gda);
void gda_unexport(struct gda *gda);
/* Let kernels see what changed in the tables. 0, or the error of the copy. */
int gda_tables_push(struct gda *gda, const void *place, size_t bytes);
void gda_buffers_close(struct gda *gda);

/* CQEs in a completion queue: as many as WQEs can be outstanding. */
uint32_t gda_cq_depth(const struct gda *gda);
uint32_t gda_log2(uint32_t value);

/* heap.c: places in the stack's part of the heap. */
struct gda_dev_barrier *gda_heap_barrier(const struct gda *gda);
uint8_t *gda_heap_sink(const struct gda *gda);
struct gda_dev_slot *gda_heap_slots(const struct gda *gda, uint32_t qp_index);
uint64_t gda_heap_user_offset(const struct gda_config *config);

#endif
