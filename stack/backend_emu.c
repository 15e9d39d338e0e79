/* SPDX-License-Identifier: MIT */
/*
 * The emulated ConnectX as a backend: what is asked of the device.
 *
 * Everything that a driver sends as a mailbox goes to nic_cmd as a mailbox.
 *
 * Source of truth: stack/backend.h, emu/nic.h; which command destroys which
 * object: the Linux kernel's drivers/infiniband/hw/mlx5/devx.c.
 * Thread: any.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/cmd_qp.h"
#include "hw/doorbell.h"
#include "stack/backend_emu.h"
#include "stack/host/internal.h"

struct gda_obj {
	struct gda_backend *backend;
	uint16_t destroy_opcode;
	uint32_t number;
};

/* ---------------------------------------------------- mailboxes, objects */

static int emu_command(struct gda_backend *backend,
		       const struct gda_mailbox *box)
{
	return nic_cmd(backend->nic, box->in, box->in_len, box->out,
		       box->out_len);
}

static uint16_t destroy_opcode_of(uint32_t create)
{
	switch (create) {
	case HW_CMD_CREATE_CQ:
		return HW_CMD_DESTROY_CQ;
	case HW_CMD_CREATE_QP:
		return HW_CMD_DESTROY_QP;
	case HW_CMD_CREATE_MKEY:
		return HW_CMD_DESTROY_MKEY;
	case HW_CMD_CREATE_RMP:
		return HW_CMD_DESTROY_RMP;
	default:
		return 0;
	}
}

static int emu_obj_create(struct gda_backend *backend,
			  const struct gda_mailbox *box, struct gda_obj **out)
{
	uint32_t opcode = hw_get(box->in, HW_CMD_IN_OPCODE);
	struct gda_obj *obj;
	int rc;

	*out = NULL;
	if (!destroy_opcode_of(opcode))
		return -EINVAL;
	obj = calloc(1, sizeof(*obj));
	if (!obj)
		return -ENOMEM;
	rc = emu_command(backend, box);
	if (rc || hw_get(box->out, HW_CMD_OUT_STATUS)) {
		free(obj);
		return rc;
	}
	obj->backend = backend;
	obj->destroy_opcode = destroy_opcode_of(opcode);
	obj->number = hw_get(box->out, HW_CMD_OUT_NUMBER);
	*out = obj;
	return 0;
}

static int emu_obj_command(struct gda_obj *obj, const struct gda_mailbox *box)
{
	return emu_command(obj->backend, box);
}

static int destroy_number(struct gda_backend *backend, uint16_t opcode,
			  uint32_t number)
{
	uint8_t in[HW_CMD_HDR_BYTES] = {0}, out[HW_CMD_HDR_BYTES] = {0};
	struct gda_mailbox box = {in, sizeof(in), out, sizeof(out)};
	int rc;

	hw_set(in, HW_CMD_IN_OPCODE, opcode);
	hw_set(in, HW_CMD_IN_NUMBER, number);
	rc = emu_command(backend, &box);
	if (!rc && hw_get(out, HW_CMD_OUT_STATUS))
		rc = -EBUSY;
	return rc;
}

static int emu_obj_destroy(struct gda_obj *obj)
{
	int rc = destroy_number(obj->backend, obj->destroy_opcode, obj->number);

	if (!rc)
		free(obj);
	return rc;
}

/* One for all; it goes with the NIC. */
static int emu_pd(struct gda_backend *backend, uint32_t *pdn)
{
	uint8_t in[HW_CMD_HDR_BYTES] = {0}, out[HW_CMD_HDR_BYTES] = {0};
	int rc = 0;

	if (!backend->pdn) {
		hw_set(in, HW_CMD_IN_OPCODE, HW_CMD_ALLOC_PD);
		rc = nic_cmd(backend->nic, in, sizeof(in), out, sizeof(out));
		if (!rc && hw_get(out, HW_CMD_OUT_STATUS))
			rc = gda_fail(backend->config, -EREMOTEIO,
				      "emulated NIC: ALLOC_PD refused");
		backend->pdn = hw_get(out, HW_CMD_OUT_NUMBER);
	}
	*pdn = backend->pdn;
	return rc;
}

static int emu_eqn(struct gda_backend *backend, uint32_t *eqn)
{
	(void)backend;
	*eqn = 0;
	return 0;
}

static bool emu_polled_registers(struct gda_backend *backend)
{
	(void)backend;
	return true;
}

static int emu_query_port(struct gda_backend *backend, struct gda_port *port)
{
	struct nic_port from;

	nic_query_port(backend->nic, &from);
	memset(port, 0, sizeof(*port));
	memcpy(port->gid, from.gid, sizeof(port->gid));
	memcpy(port->mac, from.mac, sizeof(port->mac));
	port->lid = from.lid;
	port->link = from.link == NIC_LINK_ROCE ? GDA_LINK_ROCE : GDA_LINK_IB;
	port->mtu = from.mtu;
	port->active = from.active;
	port->number = 1;
	return 0;
}

/* ------------------------------------------------------ memory, doorbells */

/* Both kinds of device memory tell the address, which is all that it takes. */
static int to_nic_mem(struct gda_backend *backend, const struct gda_mem *mem,
		      struct nic_mem *to)
{
	if (mem->kind != GDA_MEM_HOST && mem->kind != GDA_MEM_CUDA &&
	    mem->kind != GDA_MEM_DMABUF)
		return gda_fail(backend->config, -EINVAL,
				"memory: kind is %d, expected host (%d), CUDA "
				"(%d) or dma-buf (%d)",
				mem->kind, GDA_MEM_HOST, GDA_MEM_CUDA,
				GDA_MEM_DMABUF);
	to->addr = mem->addr;
	to->len = mem->len;
	to->kind = mem->kind == GDA_MEM_HOST ? NIC_MEM_HOST : NIC_MEM_CUDA;
	return 0;
}

static int emu_umem_reg(struct gda_backend *backend, const struct gda_mem *mem,
			uint32_t *id)
{
	struct nic_mem to;
	int rc = to_nic_mem(backend, mem, &to);

	if (rc)
		return rc;
	rc = nic_umem_register(backend->nic, &to, id);
	return rc ? gda_fail(backend->config, rc,
			     "umem: %llu bytes at %p refused: %s",
			     (unsigned long long)mem->len, mem->addr,
			     gda_strerror(rc))
		  : 0;
}

static int emu_umem_dereg(struct gda_backend *backend, uint32_t id)
{
	return nic_umem_deregister(backend->nic, id);
}

static int emu_uar_alloc(struct gda_backend *backend, enum gda_uar_kind kind,
			 struct gda_uar *uar)
{
	void *page = aligned_alloc(HW_UAR_BYTES, HW_UAR_BYTES);
	int rc = -ENOMEM;

	if (page) {
		memset(page, 0, HW_UAR_BYTES);
		rc = nic_uar_alloc(backend->nic, page,
				   kind == GDA_UAR_BF ? NIC_UAR_BF : NIC_UAR_NC,
				   &uar->page_id);
	}
	if (rc) {
		free(page);
		return gda_fail(backend->config, rc,
				"doorbell page: not allocated: %s",
				gda_strerror(rc));
	}
	uar->base = page;
	uar->handle = NULL;
	return 0;
}

static void emu_uar_free(struct gda_backend *backend, struct gda_uar *uar)
{
	if (nic_uar_free(backend->nic, uar->page_id)) {
		gda_log(backend->config, GDA_LOG_WARN,
			"doorbell page %u is still in use", uar->page_id);
		return;
	}
	free(uar->base);
	uar->base = NULL;
}

static int emu_mr_reg(struct gda_backend *backend,
		      const struct gda_mr_attr *attr, struct gda_mr *mr)
{
	struct nic_mkey_attr to = {
		.iova = attr->iova,
		.pd = backend->pdn,
		.access = NIC_ACCESS_LOCAL_WRITE | NIC_ACCESS_REMOTE_WRITE |
			  NIC_ACCESS_REMOTE_READ | NIC_ACCESS_REMOTE_ATOMIC,
	};
	int rc = to_nic_mem(backend, &attr->mem, &to.mem);

	if (rc)
		return rc;
	rc = nic_mkey_register(backend->nic, &to, &mr->lkey);
	if (rc)
		return gda_fail(backend->config, rc,
				"memory key: %llu bytes at %p refused: %s",
				(unsigned long long)attr->mem.len,
				attr->mem.addr, gda_strerror(rc));
	mr->rkey = mr->lkey;
	mr->handle = NULL;
	return 0;
}

static int emu_mr_dereg(struct gda_backend *backend, struct gda_mr *mr)
{
	return nic_mkey_deregister(backend->nic, mr->lkey);
}

/* ------------------------------------------------------------------ path */

enum { HOP_LIMIT = 64, UDP_SPORT = 0xc000 };

static int emu_path(struct gda_backend *backend, const struct gda_port *remote,
		    void *ads)
{
	const uint8_t *mac = remote->mac;

	(void)backend;
	if (remote->link == GDA_LINK_IB) {
		hw_set(ads, HW_ADS_RLID, remote->lid);
		return 0;
	}
	hw_set(ads, HW_ADS_GRH, 1);
	hw_set(ads, HW_ADS_HOP_LIMIT, HOP_LIMIT);
	hw_set(ads, HW_ADS_UDP_SPORT, UDP_SPORT);
	memcpy((uint8_t *)ads + HW_ADS_RGID, remote->gid, sizeof(remote->gid));
	hw_set(ads, HW_ADS_RMAC_47_32, (uint32_t)mac[0] << 8 | mac[1]);
	hw_set(ads, HW_ADS_RMAC_31_0,
	       (uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 |
		       (uint32_t)mac[4] << 8 | mac[5]);
	return 0;
}

const struct gda_backend_ops gda_backend_emu = {
	.name = "emu",
	.open = gda_emu_open,
	.close = gda_emu_close,
	.polled_registers = emu_polled_registers,
	.query_port = emu_query_port,
	.command = emu_command,
	.obj_create = emu_obj_create,
	.obj_modify = emu_obj_command,
	.obj_query = emu_obj_command,
	.obj_destroy = emu_obj_destroy,
	.pd = emu_pd,
	.eqn = emu_eqn,
	.umem_reg = emu_umem_reg,
	.umem_dereg = emu_umem_dereg,
	.uar_alloc = emu_uar_alloc,
	.uar_free = emu_uar_free,
	.mr_reg = emu_mr_reg,
	.mr_dereg = emu_mr_dereg,
	.path = emu_path,
	.event_poll = gda_emu_event_poll,
	.progress = gda_emu_progress,
	.pause_hook = gda_emu_pause_hook,
};
