/* SPDX-License-Identifier: MIT */
/*
 * XRC domains. One that is opened with a file is shared by all who open it
 * with the same file, in every context of the device.
 *
 * A target queue pair has no queue, no PD and no CQ of the program's, but the
 * device wants to be told some: the kernel has its own, and so have we.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_cmd.c (open_xrcd),
 * hw/mlx5/main.c (mlx5_ib_dev_res_init).
 * Not modelled: sharing between processes, whose NICs are different ones.
 * Thread: under the context's lock; the list has a leaf lock of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emu/uverbs/call.h"
#include "emu/uverbs/memory.h"
#include "hw/cmd_cq.h"
#include "hw/cqe.h"
#include "hw/doorbell.h"

struct uv_domain {
	struct uv_domain *next;
	const struct nic *nic;
	bool named; /* by the file below */
	dev_t dev;
	ino_t ino;
	uint32_t xrcd, pdn, cqn;
	uint32_t umem, uar;
	uint8_t *memory; /* a doorbell page, then the CQ and its record */
	unsigned users;
};

enum { CQ_OFFSET = HW_UAR_BYTES, DBR_OFFSET = CQ_OFFSET + HW_CQE_BYTES };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct uv_domain *domains;

static struct uv_domain *find(const struct nic *nic, const struct stat *st)
{
	struct uv_domain *d = domains;

	while (d && (d->nic != nic || !d->named || d->dev != st->st_dev ||
		     d->ino != st->st_ino))
		d = d->next;
	return d;
}

static int alloc(struct uv_context *context, struct uv_box *box,
		 uint16_t opcode, uint32_t *number)
{
	int ret;

	hw_set(box->in, HW_CMD_IN_OPCODE, opcode);
	ret = uv_box_exec(context, box);
	*number = hw_get(box->out, HW_CMD_OUT_NUMBER);
	return ret;
}

/* A completion queue that nobody reads and that never overruns. */
static int make_cq(struct uv_context *context, struct uv_domain *domain)
{
	struct nic_mem mem = {.len = 2 * (size_t)HW_UAR_BYTES,
			      .kind = NIC_MEM_HOST};
	struct uv_box box = {{0}, {0}};
	uint8_t *cqc = box.in + HW_CQC_OFFSET;
	int ret;

	domain->memory = aligned_alloc(HW_UAR_BYTES, mem.len);
	if (!domain->memory)
		return -ENOMEM;
	memset(domain->memory, 0, mem.len);
	mem.addr = domain->memory;
	ret = nic_uar_alloc(context->nic, domain->memory, NIC_UAR_NC,
			    &domain->uar);
	if (!ret)
		ret = nic_umem_register(context->nic, &mem, &domain->umem);
	if (ret)
		return ret;
	hw_set(box.in, HW_CREATE_CQ_UMEM_ID, domain->umem);
	hw_set64(box.in, HW_CREATE_CQ_UMEM_OFFSET, CQ_OFFSET);
	hw_set(cqc, HW_CQC_CC, 1);
	hw_set(cqc, HW_CQC_OI, 1);
	hw_set(cqc, HW_CQC_UAR_PAGE, domain->uar);
	hw_set(cqc, HW_CQC_DBR_UMEM_ID, domain->umem);
	hw_set64(cqc, HW_CQC_DBR_ADDR, DBR_OFFSET);
	return alloc(context, &box, HW_CMD_CREATE_CQ, &domain->cqn);
}

/* What there is of it. */
static void unmake(struct uv_context *context, struct uv_domain *domain)
{
	if (domain->cqn)
		uv_box_number(context, HW_CMD_DESTROY_CQ, domain->cqn);
	uv_umem_drop(context, domain->umem);
	if (domain->uar)
		nic_uar_free(context->nic, domain->uar);
	if (domain->pdn)
		uv_box_number(context, HW_CMD_DEALLOC_PD, domain->pdn);
	free(domain->memory);
	free(domain);
}

static int make(struct uv_context *context, const struct stat *st,
		struct uv_domain **out)
{
	struct uv_domain *domain = calloc(1, sizeof(*domain));
	struct uv_box pd = {{0}, {0}}, xrcd = {{0}, {0}};
	int ret;

	if (!domain)
		return -ENOMEM;
	domain->nic = context->nic;
	ret = alloc(context, &pd, HW_CMD_ALLOC_PD, &domain->pdn);
	if (!ret)
		ret = make_cq(context, domain);
	if (!ret)
		ret = alloc(context, &xrcd, HW_CMD_ALLOC_XRCD, &domain->xrcd);
	if (ret) {
		unmake(context, domain);
		return ret;
	}
	domain->named = st != NULL;
	if (st) {
		domain->dev = st->st_dev;
		domain->ino = st->st_ino;
	}
	domain->next = domains;
	domains = domain;
	*out = domain;
	return 0;
}

static int drop(struct uv_context *context, struct uv_domain *domain)
{
	struct uv_domain **link = &domains;
	int ret = 0;

	if (domain->users == 1)
		ret = uv_box_number(context, HW_CMD_DEALLOC_XRCD, domain->xrcd);
	if (ret || --domain->users)
		return ret;
	while (*link != domain)
		link = &(*link)->next;
	*link = domain->next;
	unmake(context, domain);
	return 0;
}

static int destroy_xrcd(struct uv_object *object)
{
	struct uv_xrcd *xrcd = (struct uv_xrcd *)object;
	int ret;

	pthread_mutex_lock(&lock);
	ret = drop(object->context, xrcd->domain);
	pthread_mutex_unlock(&lock);
	return ret;
}

static const struct uv_object_type xrcd_type = {
	.id = UVERBS_OBJECT_XRCD,
	.bytes = sizeof(struct uv_xrcd),
	.destroy = destroy_xrcd,
};

/* The domain that the request means, with one user more. */
static int open_domain(struct uv_context *context,
		       const struct ib_uverbs_open_xrcd *req,
		       struct uv_domain **out)
{
	bool named = req->fd != UINT32_MAX;
	struct stat st;
	int ret = 0;

	if (named && fstat((int)req->fd, &st))
		return -EBADF;
	pthread_mutex_lock(&lock);
	*out = named ? find(context->nic, &st) : NULL;
	if (!*out && named && !(req->oflags & O_CREAT))
		ret = -EAGAIN;
	else if (*out && (req->oflags & O_EXCL))
		ret = -EINVAL;
	else if (!*out)
		ret = make(context, named ? &st : NULL, out);
	if (!ret)
		(*out)->users++;
	pthread_mutex_unlock(&lock);
	return ret;
}

static int open_xrcd(struct uv_call *call)
{
	struct ib_uverbs_open_xrcd_resp resp;
	struct ib_uverbs_open_xrcd req;
	struct uv_xrcd *xrcd;
	int ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));

	if (ret)
		return ret;
	xrcd = uv_object_new(call->context, &xrcd_type);
	if (!xrcd)
		return -ENOMEM;
	ret = open_domain(call->context, &req, &xrcd->domain);
	if (ret) {
		uv_object_free(&xrcd->object);
		return ret;
	}
	xrcd->xrcd = xrcd->domain->xrcd;
	xrcd->pdn = xrcd->domain->pdn;
	xrcd->cqn = xrcd->domain->cqn;
	resp.xrcd_handle = xrcd->object.handle;
	ret = uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
	if (ret)
		uv_object_destroy(&xrcd->object);
	return ret;
}

static int xrcd_destroy(struct uv_call *call)
{
	return uv_object_destroy(
		uv_call_object(call, UVERBS_ATTR_DESTROY_XRCD_HANDLE));
}

void uv_xrcd_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	domains = NULL;
}

static const struct uv_spec xrcd_destroy_specs[] = {
	{UVERBS_ATTR_DESTROY_XRCD_HANDLE, UV_KILL, true, false, 0, 0,
	 UVERBS_OBJECT_XRCD},
};

const struct uv_method uv_methods_xrcd[] = {
	UV_METHOD(UVERBS_OBJECT_XRCD, UVERBS_METHOD_XRCD_DESTROY, xrcd_destroy,
		  xrcd_destroy_specs),
	{0},
};

const struct uv_write uv_writes_xrcd[] = {
	UV_WRITE(OPEN_XRCD, sizeof(struct ib_uverbs_open_xrcd),
		 sizeof(struct ib_uverbs_open_xrcd_resp), open_xrcd),
	{0},
};
