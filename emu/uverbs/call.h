/* SPDX-License-Identifier: MIT */
/*
 * One ioctl on its way through the impersonated kernel: the objects of an
 * open device file, and a call whose attributes have been checked.
 *
 * Source of truth: rdma/ib_user_ioctl_cmds.h, rdma/mlx5_user_ioctl_cmds.h;
 * Linux drivers/infiniband/core/uverbs_ioctl.c, rdma_core.c (which errno).
 */
#ifndef EMU_UVERBS_CALL_H
#define EMU_UVERBS_CALL_H

#include <pthread.h>

#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/mlx5-abi.h>
#include <rdma/mlx5_user_ioctl_cmds.h>
#include <rdma/mlx5_user_ioctl_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>

#include "emu/uverbs/event.h"
#include "emu/uverbs/uverbs.h"
#include "hw/cmd.h"

/* ---------------------------------------------------------------- objects */

/* The head of everything that a program names by a handle. */
struct uv_object {
	struct uv_context *context;
	const struct uv_object_type *type;
	uint32_t handle;
	uint32_t users; /* objects that name it: it cannot be destroyed */
};

struct uv_object_type {
	uint16_t id; /* UVERBS_OBJECT_* or MLX5_IB_OBJECT_* */
	size_t bytes;
	/*
	 * Undo what the object stands for. Returns 0, or a negative errno and
	 * everything is as before.
	 */
	int (*destroy)(struct uv_object *object);
};

struct uv_context {
	struct uv_context *next; /* of this process */
	struct uv_device *device;
	struct nic *nic;
	unsigned index; /* of the device */
	pthread_mutex_t lock;
	bool ready; /* GET_CONTEXT was called */
	bool devx;
	bool forked;  /* in a child: the NIC is the parent's */
	int pages_fd; /* the memory behind the file: doorbell pages */
	struct uv_object **objects; /* by handle; NULL: free */
	uint32_t object_room, handle_next;
	struct uv_channel *async; /* where events without a channel go */
	struct uv_uar *fixed;	  /* pages of a library without dynamic UARs */
	unsigned fixed_count;
	uint32_t bfregs; /* registers on them; 0: dynamic */
	uint32_t bfreg_next;
};

/*
 * A new object with a handle, zeroed behind its head; NULL: no memory. It is
 * in the table at once: a caller that fails later calls uv_object_free.
 */
void *uv_object_new(struct uv_context *context,
		    const struct uv_object_type *type);
void uv_object_free(struct uv_object *object);

/* The object, or NULL and *error: -ENOENT, or -EINVAL for another type. */
void *uv_object_find(struct uv_context *context, uint16_t type_id,
		     uint64_t handle, int *error);

/* -EBUSY while it is in use; else destroyed and freed, or the errno. */
int uv_object_destroy(struct uv_object *object);

/* The file is closed. */
void uv_object_destroy_all(struct uv_context *context);

/* ------------------------------------------------------------------- call */

enum { UV_ATTRS_MAX = 24 };

/* An attribute of this call; data is the value or a pointer of the program. */
struct uv_attr {
	const struct uv_spec *spec;
	struct ib_uverbs_attr *user; /* in the program's memory */
	uint64_t data;
	uint16_t len;
	uint8_t elem; /* enum attributes */
	struct uv_object *object;
	struct uv_channel *channel;
};

struct uv_call {
	struct uv_context *context;
	const struct uv_method *method;
	const char *name; /* for uv_say() */
	unsigned count;
	struct uv_attr attrs[UV_ATTRS_MAX];
};

enum uv_attr_type {
	UV_IN,	   /* bytes: up to 8 in place, more behind a pointer */
	UV_OUT,	   /* a pointer */
	UV_OBJ,	   /* a handle */
	UV_NEW,	   /* the handle of an object that this call makes */
	UV_KILL,   /* the handle of an object that this call destroys */
	UV_FD,	   /* a channel */
	UV_NEWFD,  /* the descriptor of a channel that this call makes */
	UV_OBJS,   /* several handles */
	UV_RAW_FD, /* a descriptor of the program's, in place */
};

struct uv_spec {
	uint16_t id;
	uint8_t type; /* enum uv_attr_type */
	bool mandatory;
	bool open_ended;   /* may be longer, if what is behind is zero */
	uint16_t min, max; /* UV_IN, UV_OUT: bytes */
	uint16_t object;   /* object and descriptor types: which */
};

/* The provider's part of a call. */
#define UV_UHW                                                                 \
	{UVERBS_ATTR_UHW_IN, UV_IN, false, false, 0, UINT16_MAX, 0},           \
	{                                                                      \
		UVERBS_ATTR_UHW_OUT, UV_OUT, false, false, 0, UINT16_MAX, 0    \
	}

struct uv_method {
	uint16_t object, method;
	bool before_context; /* may be called before GET_CONTEXT */
	uint8_t spec_count;
	const char *name;
	int (*handler)(struct uv_call *call);
	const struct uv_spec *specs;
};

/* The tables of each file; ended by a NULL handler. */
extern const struct uv_method uv_methods_device[], uv_methods_write[],
	uv_methods_memory[], uv_methods_key[], uv_methods_xrcd[],
	uv_methods_cq[], uv_methods_srq[], uv_methods_qp[], uv_methods_uar[],
	uv_methods_devx[], uv_methods_devx_event[];

#define UV_METHOD(object_, method_, handler_, specs_)                          \
	{                                                                      \
		.object = object_, .method = method_, .handler = handler_,     \
		.specs = specs_, .name = #method_,                             \
		.spec_count = sizeof(specs_) / sizeof((specs_)[0]),            \
	}

/* The attribute, or NULL: the program did not give it. */
struct uv_attr *uv_call_attr(struct uv_call *call, uint16_t id);
bool uv_call_has(struct uv_call *call, uint16_t id);

/* An integer of up to 8 bytes; fallback if the attribute is not there. */
uint64_t uv_call_u64(struct uv_call *call, uint16_t id, uint64_t fallback);

/* A UV_RAW_FD; -1 if it is not there, or none. */
int uv_call_raw_fd(struct uv_call *call, uint16_t id);

/*
 * Copy the attribute in, at most bytes of it; what it lacks is zero. Returns
 * 0; -EFAULT; -ENOENT if it is not there (out is zeroed).
 */
int uv_call_in(struct uv_call *call, uint16_t id, void *out, size_t bytes);

/*
 * Copy out as much as the program's room takes, zero what is left of it, and
 * mark it as written. Returns 0, also if the attribute is not there; -EFAULT.
 */
int uv_call_out(struct uv_call *call, uint16_t id, const void *in,
		size_t bytes);

/* The object of an attribute; NULL if that is not there. */
void *uv_call_object(struct uv_call *call, uint16_t id);
struct uv_channel *uv_call_channel(struct uv_call *call, uint16_t id);

/* Tell the program the handle (or the descriptor) that the call made. */
int uv_call_made(struct uv_call *call, uint16_t id, int64_t handle);

/* Memory of the program; 0 or -EFAULT. */
int uv_copy_in(void *to, uint64_t from, size_t bytes);
int uv_copy_out(uint64_t to, const void *from, size_t bytes);

/* The channel of an attribute, or the context's own. */
struct uv_channel *uv_call_async(struct uv_call *call, uint16_t id);

/* Say once, by name, what the impersonated kernel cannot do. */
void uv_unsupported(const char *what);

/* ---------------------------------------------------------------- mailbox */

struct uv_box {
	uint8_t in[0x110];
	uint8_t out[0x110];
};

/* Execute a mailbox of ours. Returns 0, or what the kernel makes of the
 * device's status (mlx5_core cmd_status_to_err). */
int uv_box_exec(struct uv_context *context, struct uv_box *box);
int uv_status_errno(uint8_t status);

/* A command with nothing but a number, as all destroy commands are. */
int uv_box_number(struct uv_context *context, uint16_t opcode, uint32_t number);

/* ----------------------------------------------------- objects, by type */

struct uv_pd {
	struct uv_object object;
	uint32_t pdn;
};

struct uv_uar {
	struct uv_object object;
	uint32_t page_id;  /* the NIC's index */
	uint8_t *page;	   /* our mapping */
	uint64_t offset;   /* in the file */
	unsigned mappings; /* of the program, that are trapped */
	bool by_gpu;	   /* rung by a GPU: never trapped */
};

struct uv_cq {
	struct uv_object object;
	struct uv_event_source source;
	struct uv_uar *uar;
	uint32_t cqn, umem, dbr_umem, resize_umem;
};

struct uv_xrcd {
	struct uv_object object;
	struct uv_domain *domain; /* method_xrcd.c */
	uint32_t xrcd;
	uint32_t pdn, cqn; /* of its target queue pairs, that name none */
};

void uv_xrcd_after_fork(void);

struct uv_srq {
	struct uv_object object;
	struct uv_event_source source;
	struct uv_pd *pd;
	struct uv_cq *cq;
	struct uv_xrcd *xrcd;
	uint32_t srqn, umem, dbr_umem;
	uint32_t max_wr, max_sge;
};

struct uv_qp {
	struct uv_object object;
	struct uv_event_source source;
	struct uv_pd *pd;
	struct uv_cq *send_cq, *recv_cq;
	struct uv_srq *srq;
	struct uv_xrcd *xrcd;
	struct uv_uar *uar;
	uint32_t qpn, umem, dbr_umem;
	struct ib_uverbs_qp_cap cap;
	uint8_t type;  /* enum ib_uverbs_qp_type */
	uint8_t state; /* as the kernel believes: enum ib_qp_state */
	uint8_t port;
	bool sq_sig_all;
};

/* Ask each context, until one says yes: none of them goes meanwhile. */
bool uv_contexts_any(bool (*is)(struct uv_context *context, void *arg),
		     void *arg);

/* Doorbell pages (uar.c). */
bool uv_uar_has_blueflame(void);
struct uv_uar *uv_uar_at(struct uv_context *context, uint64_t offset);
struct uv_uar *uv_uar_by_page(struct uv_context *context, uint32_t page_id);
struct uv_uar *uv_uar_fixed(struct uv_context *context, uint32_t index);
int uv_uar_make_fixed(struct uv_context *context, unsigned count);
void uv_uar_free_fixed(struct uv_context *context);

/* write.c: commands of the time before ioctl, through INVOKE_WRITE. */
struct uv_write {
	uint32_t command; /* with IB_USER_VERBS_CMD_FLAG_EXTENDED */
	const char *name;
	uint16_t in_bytes, out_bytes; /* least */
	int (*handler)(struct uv_call *call);
};

extern const struct uv_write uv_writes_device[], uv_writes_memory[],
	uv_writes_key[], uv_writes_xrcd[], uv_writes_cq[], uv_writes_srq[],
	uv_writes_qp[];

#define UV_WRITE(command_, in_, out_, handler_)                                \
	{                                                                      \
		IB_USER_VERBS_CMD_##command_, #command_, in_, out_, handler_   \
	}
#define UV_WRITE_EX(command_, in_, out_, handler_)                             \
	{                                                                      \
		IB_USER_VERBS_EX_CMD_##command_ |                              \
			IB_USER_VERBS_CMD_FLAG_EXTENDED,                       \
			"EX_" #command_, in_, out_, handler_                   \
	}

#endif
