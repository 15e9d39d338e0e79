/* SPDX-License-Identifier: MIT */
/*
 * The recorder in front of the emulated backend: see t_backend.h.
 */
#include "support/t_backend.h"

#include <errno.h>
#include <string.h>

#include "hw/cmd_cap.h"

struct t_backend_state t_backend_state;

static struct t_backend_state *const state = &t_backend_state;

#define REAL gda_backend_emu

void t_backend_reset(void)
{
	memset(state, 0, sizeof(*state));
}

const struct t_backend_box *t_backend_find(uint16_t opcode, int nth)
{
	int i;

	for (i = 0; i < state->box_count && i < T_BACKEND_BOXES; i++)
		if (state->boxes[i].opcode == opcode && !nth--)
			return &state->boxes[i];
	return NULL;
}

static bool fails(void)
{
	return ++state->calls == state->fail_at;
}

/* Returns whether the device refuses it. */
static bool record(const struct gda_mailbox *box)
{
	int number = state->box_count++;
	struct t_backend_box *kept = &state->boxes[number % T_BACKEND_BOXES];
	size_t len = box->in_len < T_BACKEND_BOX_BYTES ? box->in_len
						       : T_BACKEND_BOX_BYTES;

	kept->opcode = (uint16_t)hw_get(box->in, HW_CMD_IN_OPCODE);
	kept->in_len = box->in_len;
	memcpy(kept->in, box->in, len);
	if (state->box_count != state->refuse_at)
		return false;
	state->refused = kept->opcode;
	memset(box->out, 0, HW_CMD_HDR_BYTES);
	hw_set(box->out, HW_CMD_OUT_STATUS, HW_CMD_BAD_PARAM);
	hw_set(box->out, HW_CMD_OUT_SYNDROME, 0x12345678);
	return true;
}

static int count_object(int rc, int change)
{
	if (!rc)
		state->open_objects += change;
	return rc;
}

static int open_it(const struct gda_config *config, struct gda_backend **out)
{
	return fails() ? -ENODEV : count_object(REAL.open(config, out), 1);
}

static void close_it(struct gda_backend *backend)
{
	state->open_objects--;
	REAL.close(backend);
}

static bool polled_registers(struct gda_backend *backend)
{
	return REAL.polled_registers(backend);
}

static int query_port(struct gda_backend *backend, struct gda_port *port)
{
	return fails() ? -EIO : REAL.query_port(backend, port);
}

static int command(struct gda_backend *backend, const struct gda_mailbox *box)
{
	int rc;

	if (fails())
		return -EIO;
	if (record(box))
		return 0;
	rc = REAL.command(backend, box);
	if (state->edit_cap)
		state->edit_cap(hw_get(box->in, HW_CMD_IN_OP_MOD) >> 1,
				(uint8_t *)box->out + HW_CAP_OUT_PAGE);
	return rc;
}

static int obj_create(struct gda_backend *backend,
		      const struct gda_mailbox *box, struct gda_obj **obj)
{
	*obj = NULL;
	if (fails())
		return -EIO;
	if (record(box))
		return 0;
	return count_object(REAL.obj_create(backend, box, obj), 1);
}

static int obj_modify(struct gda_obj *obj, const struct gda_mailbox *box)
{
	if (fails())
		return -EIO;
	return record(box) ? 0 : REAL.obj_modify(obj, box);
}

static int obj_query(struct gda_obj *obj, const struct gda_mailbox *box)
{
	return REAL.obj_query(obj, box);
}

static int obj_destroy(struct gda_obj *obj)
{
	return count_object(REAL.obj_destroy(obj), -1);
}

static int pd(struct gda_backend *backend, uint32_t *pdn)
{
	return fails() ? -EIO : REAL.pd(backend, pdn);
}

static int eqn(struct gda_backend *backend, uint32_t *number)
{
	return fails() ? -EIO : REAL.eqn(backend, number);
}

static int umem_reg(struct gda_backend *backend, const struct gda_mem *mem,
		    uint32_t *id)
{
	return fails() ? -ENOMEM
		       : count_object(REAL.umem_reg(backend, mem, id), 1);
}

static int umem_dereg(struct gda_backend *backend, uint32_t id)
{
	return count_object(REAL.umem_dereg(backend, id), -1);
}

static int uar_alloc(struct gda_backend *backend, enum gda_uar_kind kind,
		     struct gda_uar *uar)
{
	return fails() ? -ENOSPC
		       : count_object(REAL.uar_alloc(backend, kind, uar), 1);
}

static void uar_free(struct gda_backend *backend, struct gda_uar *uar)
{
	REAL.uar_free(backend, uar);
	state->open_objects--;
}

static int mr_reg(struct gda_backend *backend, const struct gda_mr_attr *attr,
		  struct gda_mr *mr)
{
	return fails() ? -ENOMEM
		       : count_object(REAL.mr_reg(backend, attr, mr), 1);
}

static int mr_dereg(struct gda_backend *backend, struct gda_mr *mr)
{
	return count_object(REAL.mr_dereg(backend, mr), -1);
}

static int path(struct gda_backend *backend, const struct gda_port *remote,
		void *ads)
{
	return fails() ? -EIO : REAL.path(backend, remote, ads);
}

static int event_poll(struct gda_backend *backend, struct gda_event *event)
{
	return REAL.event_poll(backend, event);
}

static void progress(struct gda_backend *backend)
{
	REAL.progress(backend);
}

static void pause_hook(struct gda_backend *backend, gda_pause_fn **fn,
		       void **arg)
{
	REAL.pause_hook(backend, fn, arg);
}

const struct gda_backend_ops t_backend = {
	.name = "recorder",
	.open = open_it,
	.close = close_it,
	.polled_registers = polled_registers,
	.query_port = query_port,
	.command = command,
	.obj_create = obj_create,
	.obj_modify = obj_modify,
	.obj_query = obj_query,
	.obj_destroy = obj_destroy,
	.pd = pd,
	.eqn = eqn,
	.umem_reg = umem_reg,
	.umem_dereg = umem_dereg,
	.uar_alloc = uar_alloc,
	.uar_free = uar_free,
	.mr_reg = mr_reg,
	.mr_dereg = mr_dereg,
	.path = path,
	.event_poll = event_poll,
	.progress = progress,
	.pause_hook = pause_hook,
};
