/* SPDX-License-Identifier: MIT */
/*
 * A ConnectX behind libibverbs and libmlx5 as a backend, in parts:
 *
 *	backend_mlx5_lib.c    the libraries, opened at run time
 *	backend_mlx5_open.c   which device and port; open and close
 *	backend_mlx5.c        mailboxes and objects; the table
 *	backend_mlx5_mem.c    umems, memory regions, the protection domain
 *	backend_mlx5_uar.c    doorbell pages
 *	backend_mlx5_path.c   the port's addresses, and how to reach a peer
 *	backend_mlx5_event.c  what the device reports
 *
 * libmlx5 may sit on hardware, or on the emulated kernel device of `belfry
 * run`; the difference is one flag, see struct gda_backend.
 */
#ifndef GDA_BACKEND_MLX5_H
#define GDA_BACKEND_MLX5_H

#include <pthread.h>

#include <infiniband/mlx5dv.h>

#include "stack/backend.h"

/* Macros that would call through symbols which we do not link. */
#undef ibv_query_port

/*
 * X(library, need, field, function, version): every function that is called.
 * The version is that of the ABI in the header that we compile with; a
 * library may have older ones of the same name beside it. MAY: the function is
 * newer than rdma-core 32, and its absence is told when it is needed.
 */
#define GDA_MLX5_FUNCTIONS(X)                                                  \
	X(VERBS, MUST, get_device_list, ibv_get_device_list, "IBVERBS_1.1")    \
	X(VERBS, MUST, free_device_list, ibv_free_device_list, "IBVERBS_1.1")  \
	X(VERBS, MUST, get_device_name, ibv_get_device_name, "IBVERBS_1.1")    \
	X(VERBS, MUST, close_device, ibv_close_device, "IBVERBS_1.1")          \
	X(VERBS, MUST, query_device, ibv_query_device, "IBVERBS_1.1")          \
	X(VERBS, MUST, query_port, ibv_query_port, "IBVERBS_1.1")              \
	X(VERBS, MUST, query_gid_ex, _ibv_query_gid_ex, "IBVERBS_1.11")        \
	X(VERBS, MUST, alloc_pd, ibv_alloc_pd, "IBVERBS_1.1")                  \
	X(VERBS, MUST, dealloc_pd, ibv_dealloc_pd, "IBVERBS_1.1")              \
	X(VERBS, MUST, reg_mr_iova2, ibv_reg_mr_iova2, "IBVERBS_1.8")          \
	X(VERBS, MAY, reg_dmabuf_mr, ibv_reg_dmabuf_mr, "IBVERBS_1.12")        \
	X(VERBS, MUST, dereg_mr, ibv_dereg_mr, "IBVERBS_1.1")                  \
	X(VERBS, MUST, create_ah, ibv_create_ah, "IBVERBS_1.1")                \
	X(VERBS, MUST, destroy_ah, ibv_destroy_ah, "IBVERBS_1.1")              \
	X(VERBS, MUST, get_async_event, ibv_get_async_event, "IBVERBS_1.1")    \
	X(VERBS, MUST, ack_async_event, ibv_ack_async_event, "IBVERBS_1.1")    \
	X(VERBS, MUST, event_type_str, ibv_event_type_str, "IBVERBS_1.1")      \
	X(MLX5, MUST, is_supported, mlx5dv_is_supported, "MLX5_1.8")           \
	X(MLX5, MUST, open_device, mlx5dv_open_device, "MLX5_1.7")             \
	X(MLX5, MUST, init_obj, mlx5dv_init_obj, "MLX5_1.2")                   \
	X(MLX5, MUST, general_cmd, mlx5dv_devx_general_cmd, "MLX5_1.7")        \
	X(MLX5, MUST, obj_create, mlx5dv_devx_obj_create, "MLX5_1.7")          \
	X(MLX5, MUST, obj_modify, mlx5dv_devx_obj_modify, "MLX5_1.7")          \
	X(MLX5, MUST, obj_query, mlx5dv_devx_obj_query, "MLX5_1.7")            \
	X(MLX5, MUST, obj_destroy, mlx5dv_devx_obj_destroy, "MLX5_1.7")        \
	X(MLX5, MUST, umem_reg, mlx5dv_devx_umem_reg, "MLX5_1.7")              \
	X(MLX5, MAY, umem_reg_ex, mlx5dv_devx_umem_reg_ex, "MLX5_1.19")        \
	X(MLX5, MUST, umem_dereg, mlx5dv_devx_umem_dereg, "MLX5_1.7")          \
	X(MLX5, MUST, alloc_uar, mlx5dv_devx_alloc_uar, "MLX5_1.7")            \
	X(MLX5, MUST, free_uar, mlx5dv_devx_free_uar, "MLX5_1.7")              \
	X(MLX5, MUST, query_eqn, mlx5dv_devx_query_eqn, "MLX5_1.7")            \
	X(MLX5, MUST, create_event_channel, mlx5dv_devx_create_event_channel,  \
	  "MLX5_1.11")                                                         \
	X(MLX5, MUST, destroy_event_channel,                                   \
	  mlx5dv_devx_destroy_event_channel, "MLX5_1.11")                      \
	X(MLX5, MUST, subscribe_devx_event, mlx5dv_devx_subscribe_devx_event,  \
	  "MLX5_1.11")                                                         \
	X(MLX5, MUST, get_event, mlx5dv_devx_get_event, "MLX5_1.11")

struct gda_mlx5_lib {
	void *verbs, *mlx5; /* of dlopen */
#define GDA_MLX5_POINTER(library, need, field, function, version)              \
	__typeof__(function) *field;
	GDA_MLX5_FUNCTIONS(GDA_MLX5_POINTER)
#undef GDA_MLX5_POINTER
};

struct gda_mlx5_umem {
	struct gda_mlx5_umem *next;
	struct mlx5dv_devx_umem *umem;
};

/* Registers that share a page with one that was given out. */
struct gda_mlx5_sibling {
	struct gda_mlx5_sibling *next;
	struct mlx5dv_devx_uar *uar;
};

struct gda_backend {
	const struct gda_config *config;
	struct gda_mlx5_lib lib;
	struct ibv_context *context;
	struct mlx5dv_devx_event_channel *channel; /* NULL: no events */
	char name[64];				   /* "mlx5_0 port 1" */
	uint8_t port;
	uint8_t link; /* enum gda_link */
	bool grh_required;
	bool hears_port; /* its events can be read without waiting */
	/*
	 * The device is Belfry's own behind stock libraries: registers are
	 * polled memory, and CPU threads that wait must give the core away
	 * now and then. From the board_id in sysfs, which names a board's
	 * maker and type and which a ConnectX cannot have by accident; an
	 * environment variable would be inherited by programs that run
	 * beside the emulated device.
	 */
	bool emulated;
	uint32_t gid_index;
	union ibv_gid gid;

	pthread_mutex_t lock; /* all below */
	struct ibv_pd *pd;
	uint32_t pdn;
	uint32_t paths; /* made so far */
	struct gda_mlx5_umem *umems;
	struct gda_mlx5_sibling *siblings;
};

/* What board_id of an emulated device begins with. */
#define GDA_MLX5_EMULATED_BOARD "BFY_"

/* ------------------------------------------------- backend_mlx5_lib.c --- */

/*
 * Open both libraries: config->mlx5.libibverbs and libmlx5, or the installed
 * ones. Returns 0, or -ENODEV and a sentence: not there, or too old.
 */
int gda_mlx5_lib_open(const struct gda_config *config,
		      struct gda_mlx5_lib *lib);
void gda_mlx5_lib_close(struct gda_mlx5_lib *lib);

/* ------------------------------------------------ backend_mlx5_open.c --- */

int gda_mlx5_probe(const struct gda_config *config, char *why, size_t size);
int gda_mlx5_open(const struct gda_config *config, struct gda_backend **out);
void gda_mlx5_close(struct gda_backend *backend);

/* ------------------------------------------------- backend_mlx5_mem.c --- */

int gda_mlx5_pd(struct gda_backend *backend, uint32_t *pdn);
int gda_mlx5_umem_reg(struct gda_backend *backend, const struct gda_mem *mem,
		      uint32_t *id);
int gda_mlx5_umem_dereg(struct gda_backend *backend, uint32_t id);
int gda_mlx5_mr_reg(struct gda_backend *backend, const struct gda_mr_attr *attr,
		    struct gda_mr *mr);
int gda_mlx5_mr_dereg(struct gda_backend *backend, struct gda_mr *mr);

/* ------------------------------------------------- backend_mlx5_uar.c --- */

int gda_mlx5_uar_alloc(struct gda_backend *backend, enum gda_uar_kind kind,
		       struct gda_uar *uar);
void gda_mlx5_uar_free(struct gda_backend *backend, struct gda_uar *uar);
void gda_mlx5_uars_close(struct gda_backend *backend);

/* ------------------------------------------------ backend_mlx5_path.c --- */

/* Choose the GID that we send from; part of open. */
int gda_mlx5_choose_gid(struct gda_backend *backend);
int gda_mlx5_query_port(struct gda_backend *backend, struct gda_port *port);
int gda_mlx5_path(struct gda_backend *backend, const struct gda_port *remote,
		  void *ads);

/* ----------------------------------------------- backend_mlx5_event.c --- */

/* Without it the device works, and reports nothing: only logged. */
void gda_mlx5_events_open(struct gda_backend *backend);
void gda_mlx5_events_close(struct gda_backend *backend);
/* An object was made by the mailbox: hear of its errors. */
void gda_mlx5_events_subscribe(struct gda_backend *backend,
			       struct mlx5dv_devx_obj *obj,
			       const struct gda_mailbox *box);
int gda_mlx5_event_poll(struct gda_backend *backend, struct gda_event *event);

#endif
