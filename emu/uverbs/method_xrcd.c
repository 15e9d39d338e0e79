/* SPDX-License-Identifier: MIT */
/*
 * XRC domains. One that is opened with a file is shared by all who open it
 * with the same file, in every context of the device.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_cmd.c (open_xrcd).
 * Not modelled: sharing between processes, whose NICs are different ones.
 * Thread: under the context's lock; the list has a leaf lock of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "emu/uverbs/call.h"

struct uv_domain {
	struct uv_domain *next;
	const struct nic *nic;
	bool named; /* by the file below */
	dev_t dev;
	ino_t ino;
	uint32_t xrcd, pdn;
	unsigned users;
};

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

static int alloc(struct uv_context *context, uint16_t opcode, uint32_t *number)
{
	struct uv_box box = {{0}, {0}};
	int ret;

	hw_set(box.in, HW_CMD_IN_OPCODE, opcode);
	ret = uv_box_exec(context, &box);
	*number = hw_get(box.out, HW_CMD_OUT_NUMBER);
	return ret;
}

static int make(struct uv_context *context, const struct stat *st,
		struct uv_domain **out)
{
	struct uv_domain *domain = calloc(1, sizeof(*domain));
	int ret;

	if (!domain)
		return -ENOMEM;
	ret = alloc(context, HW_CMD_ALLOC_XRCD, &domain->xrcd);
	if (ret)
		goto out_free;
	ret = alloc(context, HW_CMD_ALLOC_PD, &domain->pdn);
	if (ret)
		goto out_xrcd;
	domain->nic = context->nic;
	domain->named = st != NULL;
	if (st) {
		domain->dev = st->st_dev;
		domain->ino = st->st_ino;
	}
	domain->next = domains;
	domains = domain;
	*out = domain;
	return 0;
out_xrcd:
	uv_box_number(context, HW_CMD_DEALLOC_XRCD, domain->xrcd);
out_free:
	free(domain);
	return ret;
}

static int drop(struct uv_context *context, struct uv_domain *domain)
{
	struct uv_domain **link = &domains;
	int ret = 0;

	if (domain->users == 1)
		ret = uv_box_number(context, HW_CMD_DEALLOC_XRCD, domain->xrcd);
	if (ret || --domain->users)
		return ret;
	uv_box_number(context, HW_CMD_DEALLOC_PD, domain->pdn);
	while (*link != domain)
		link = &(*link)->next;
	*link = domain->next;
	free(domain);
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
