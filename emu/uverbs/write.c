/* SPDX-License-Identifier: MIT */
/*
 * INVOKE_WRITE: the commands of the time before ioctl, by number.
 *
 * The first call of a library has no room for an answer and must get ENOSPC:
 * so it learns that these commands come by ioctl here.
 *
 * Source of truth: Linux drivers/infiniband/core/uverbs_std_types_device.c,
 * uverbs_cmd.c.
 * Thread: under the context's lock.
 */
#include <errno.h>

#include "emu/uverbs/call.h"

static const struct uv_write *find_write(uint32_t command)
{
	static const struct uv_write *const tables[] = {
		uv_writes_device, uv_writes_memory, uv_writes_key,
		uv_writes_xrcd,	  uv_writes_cq,	    uv_writes_srq,
		uv_writes_qp,
	};
	const struct uv_write *w;
	unsigned i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (w = tables[i]; w->handler; w++)
			if (w->command == command)
				return w;
	return NULL;
}

/* Commands that a kernel has and that are not here, by name. */
static int unknown(uint32_t command)
{
	switch (command) {
	case IB_USER_VERBS_CMD_ATTACH_MCAST:
	case IB_USER_VERBS_CMD_DETACH_MCAST:
		uv_unsupported("multicast");
		return -EOPNOTSUPP;
	case IB_USER_VERBS_EX_CMD_CREATE_FLOW | IB_USER_VERBS_CMD_FLAG_EXTENDED:
		uv_unsupported("flow steering");
		return -EOPNOTSUPP;
	case IB_USER_VERBS_EX_CMD_CREATE_WQ | IB_USER_VERBS_CMD_FLAG_EXTENDED:
	case IB_USER_VERBS_EX_CMD_CREATE_RWQ_IND_TBL |
		IB_USER_VERBS_CMD_FLAG_EXTENDED:
		uv_unsupported("a work queue without a queue pair (RSS)");
		return -EOPNOTSUPP;
	default:
		uv_say(NIC_LOG_INFO, "INVOKE_WRITE 0x%x: no such command",
		       command);
		return -EPROTONOSUPPORT;
	}
}

static size_t length(struct uv_call *call, uint16_t id)
{
	const struct uv_attr *attr = uv_call_attr(call, id);

	return attr ? attr->len : 0;
}

static int invoke_write(struct uv_call *call)
{
	uint32_t command =
		(uint32_t)uv_call_u64(call, UVERBS_ATTR_WRITE_CMD, 0);
	const struct uv_write *write = find_write(command);

	if (!write)
		return unknown(command);
	if (length(call, UVERBS_ATTR_CORE_IN) < write->in_bytes ||
	    length(call, UVERBS_ATTR_CORE_OUT) < write->out_bytes)
		return -ENOSPC;
	if (!call->context->ready)
		return -EINVAL;
	call->name = write->name;
	return write->handler(call);
}

static const struct uv_spec invoke_write_specs[] = {
	{UVERBS_ATTR_WRITE_CMD, UV_IN, true, false, 1, 8, 0},
	{UVERBS_ATTR_CORE_IN, UV_IN, false, false, 4, UINT16_MAX, 0},
	{UVERBS_ATTR_CORE_OUT, UV_OUT, false, false, 0, UINT16_MAX, 0},
	UV_UHW,
};

const struct uv_method uv_methods_write[] = {
	{
		.object = UVERBS_OBJECT_DEVICE,
		.method = UVERBS_METHOD_INVOKE_WRITE,
		.before_context = true,
		.spec_count = sizeof(invoke_write_specs) /
			      sizeof(invoke_write_specs[0]),
		.name = "INVOKE_WRITE",
		.handler = invoke_write,
		.specs = invoke_write_specs,
	},
	{0},
};
