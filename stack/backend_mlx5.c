/* SPDX-License-Identifier: MIT */
/*
 * A ConnectX behind libibverbs and libmlx5 as a backend: mailboxes, objects,
 * and the table.
 *
 * A mailbox that the firmware refuses: since Linux 5.18 the kernel says
 * EREMOTEIO and hands out the answer, which is what the caller of an entry
 * wants to see. Before, it keeps the answer and gives an errno of its own.
 *
 * Source of truth: stack/backend.h; rdma-core
 * providers/mlx5/man/mlx5dv_devx_obj_create.3.md; the Linux kernel's
 * drivers/infiniband/hw/mlx5/devx.c.
 * Thread: any.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "stack/backend_mlx5.h"
#include "stack/dev/order.h"
#include "stack/host/internal.h"

struct gda_obj {
	struct gda_backend *backend;
	struct mlx5dv_devx_obj *obj;
};

/* ---------------------------------------------------- mailboxes, objects */

/* What came back besides an error is not that of an earlier command. */
static void clear_answer(const struct gda_mailbox *box)
{
	memset(box->out, 0, box->out_len);
}

/* error is an errno, of either sign as functions of the library have it. */
static int check_answer(const struct gda_backend *backend,
			const struct gda_mailbox *box, int error)
{
	error = abs(error);
	if (!error || hw_get(box->out, HW_CMD_OUT_STATUS))
		return 0;
	return gda_fail(backend->config, -error,
			"%s: command 0x%03x failed in the kernel: %s (before "
			"Linux 5.18 the device's own answer is in dmesg only)",
			backend->name, hw_get(box->in, HW_CMD_IN_OPCODE),
			strerror(error));
}

static int mlx5_command(struct gda_backend *backend,
			const struct gda_mailbox *box)
{
	clear_answer(box);
	return check_answer(backend, box,
			    backend->lib.general_cmd(backend->context, box->in,
						     box->in_len, box->out,
						     box->out_len));
}

static int mlx5_obj_create(struct gda_backend *backend,
			   const struct gda_mailbox *box, struct gda_obj **out)
{
	struct gda_obj *obj = calloc(1, sizeof(*obj));
	int error = 0;

	*out = NULL;
	if (!obj)
		return gda_fail(backend->config, -ENOMEM,
				"%s: object: no memory", backend->name);
	clear_answer(box);
	obj->backend = backend;
	errno = EIO;
	obj->obj = backend->lib.obj_create(backend->context, box->in,
					   box->in_len, box->out, box->out_len);
	if (!obj->obj) {
		error = errno ? errno : EIO;
		free(obj);
		return check_answer(backend, box, error);
	}
	gda_mlx5_events_subscribe(backend, obj->obj, box);
	*out = obj;
	return 0;
}

static int mlx5_obj_modify(struct gda_obj *obj, const struct gda_mailbox *box)
{
	struct gda_backend *backend = obj->backend;

	clear_answer(box);
	return check_answer(backend, box,
			    backend->lib.obj_modify(obj->obj, box->in,
						    box->in_len, box->out,
						    box->out_len));
}

static int mlx5_obj_query(struct gda_obj *obj, const struct gda_mailbox *box)
{
	struct gda_backend *backend = obj->backend;

	clear_answer(box);
	return check_answer(backend, box,
			    backend->lib.obj_query(obj->obj, box->in,
						   box->in_len, box->out,
						   box->out_len));
}

static int mlx5_obj_destroy(struct gda_obj *obj)
{
	struct gda_backend *backend = obj->backend;
	int rc = backend->lib.obj_destroy(obj->obj);

	if (rc)
		return gda_fail(backend->config, -EBUSY,
				"%s: object cannot be destroyed: %s",
				backend->name, strerror(abs(rc)));
	free(obj);
	return 0;
}

/* The queue of the first completion vector; no CQ of ours raises events. */
static int mlx5_eqn(struct gda_backend *backend, uint32_t *eqn)
{
	int rc = backend->lib.query_eqn(backend->context, 0, eqn);

	if (rc)
		return gda_fail(backend->config, -abs(rc),
				"%s: event queue of vector 0: %s",
				backend->name, strerror(abs(rc)));
	return 0;
}

static bool mlx5_polled_registers(struct gda_backend *backend)
{
	return backend->emulated;
}

/* ------------------------------------------------------- waiting threads */

/* Hardware moves by itself; so does the emulated device, with a thread. */
static void mlx5_progress(struct gda_backend *backend)
{
	(void)backend;
}

/* Pauses after which the core is given to others: a few microseconds. */
enum { IDLE_PAUSES = 64 };

static void pause_and_yield(void *arg)
{
	static _Thread_local unsigned pauses;

	(void)arg;
	gda_dev_relax();
	if (++pauses % IDLE_PAUSES == 0)
		sched_yield();
}

static void mlx5_pause_hook(struct gda_backend *backend, gda_pause_fn **fn,
			    void **arg)
{
	*fn = backend->emulated ? pause_and_yield : NULL;
	*arg = NULL;
}

const struct gda_backend_ops gda_backend_mlx5 = {
	.name = "mlx5",
	.probe = gda_mlx5_probe,
	.open = gda_mlx5_open,
	.close = gda_mlx5_close,
	.polled_registers = mlx5_polled_registers,
	.query_port = gda_mlx5_query_port,
	.command = mlx5_command,
	.obj_create = mlx5_obj_create,
	.obj_modify = mlx5_obj_modify,
	.obj_query = mlx5_obj_query,
	.obj_destroy = mlx5_obj_destroy,
	.pd = gda_mlx5_pd,
	.eqn = mlx5_eqn,
	.umem_reg = gda_mlx5_umem_reg,
	.umem_dereg = gda_mlx5_umem_dereg,
	.uar_alloc = gda_mlx5_uar_alloc,
	.uar_free = gda_mlx5_uar_free,
	.mr_reg = gda_mlx5_mr_reg,
	.mr_dereg = gda_mlx5_mr_dereg,
	.path = gda_mlx5_path,
	.event_poll = gda_mlx5_event_poll,
	.progress = mlx5_progress,
	.pause_hook = mlx5_pause_hook,
};
