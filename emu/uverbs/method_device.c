/* SPDX-License-Identifier: MIT */
/*
 * The device and its port, as the kernel tells about them.
 *
 * Source of truth: Linux drivers/infiniband/hw/mlx5/main.c (alloc_ucontext,
 * query_device, query_port), core/uverbs_std_types_device.c.
 * Not modelled: clock pages, ODP, device memory, raw packets, RSS, tag
 * matching: their capabilities are zero.
 * Thread: under the context's lock.
 */
#include <errno.h>
#include <string.h>

#include <rdma/ib_user_ioctl_verbs.h>

#include "emu/uverbs/call.h"
#include "emu/uverbs/limits.h"
#include "hw/doorbell.h"

enum {
	GIDS = 8, /* room in the table; index 0 is in use */
	PKEYS = 1,
	WIDTH_4X = 2,
	LINK_LAYER_IB = 1,
	LINK_LAYER_ETHERNET = 2,
	SM_LID = 1,
	CAP_FLAGS_IB = 0xa651e848, /* as ConnectX reports them */
	CAP_FLAGS_ROCE = 0x04010000,
	STATIC_BFREGS_MAX = 512,
	DYNAMIC_BFREGS = 1024,
	ATOMIC_HCA = 1, /* enum ibv_atomic_cap */
};

/* --------------------------------------------------------------- context */

static int check_ucontext(const struct mlx5_ib_alloc_ucontext_req_v2 *req,
			  size_t len)
{
	if (len != sizeof(struct mlx5_ib_alloc_ucontext_req) &&
	    len < offsetof(struct mlx5_ib_alloc_ucontext_req_v2, reserved0))
		return -EINVAL;
	if (req->flags & ~MLX5_IB_ALLOC_UCTX_DEVX)
		return -EINVAL;
	if (req->comp_mask || req->reserved0 || req->reserved1 ||
	    req->reserved2)
		return -EOPNOTSUPP;
	if (!req->total_num_bfregs ||
	    req->total_num_bfregs > STATIC_BFREGS_MAX ||
	    req->num_low_latency_bfregs > req->total_num_bfregs - 1)
		return req->total_num_bfregs > STATIC_BFREGS_MAX ? -ENOMEM
								 : -EINVAL;
	return 0;
}

static int alloc_ucontext(struct uv_call *call)
{
	struct uv_context *context = call->context;
	const struct uv_attr *in = uv_call_attr(call, UVERBS_ATTR_UHW_IN);
	struct mlx5_ib_alloc_ucontext_req_v2 req;
	bool dynamic;
	int ret;

	ret = uv_call_in(call, UVERBS_ATTR_UHW_IN, &req, sizeof(req));
	if (!ret)
		ret = check_ucontext(&req, in->len);
	if (ret)
		return ret == -ENOENT ? -EINVAL : ret;
	dynamic = req.lib_caps & MLX5_LIB_CAP_DYN_UAR;
	context->devx = req.flags & MLX5_IB_ALLOC_UCTX_DEVX;
	context->bfregs = dynamic ? 0 : (req.total_num_bfregs + 1) & ~1u;
	if (!dynamic)
		ret = uv_uar_make_fixed(context, context->bfregs / 2);
	return ret;
}

/* What the provider is told about the device when it opens or asks again. */
static int answer_ucontext(struct uv_call *call, uint16_t id)
{
	const struct uv_attr *out = uv_call_attr(call, id);
	struct mlx5_ib_alloc_ucontext_resp resp = {
		.qp_tab_size = 1u << UV_LOG_MAX_QP,
		.bf_reg_size = uv_uar_has_blueflame() ? HW_UAR_BF_REG_BYTES : 0,
		.tot_bfregs = call->context->bfregs,
		.cache_line_size = 64,
		.max_sq_desc_sz = UV_MAX_SQ_DESC,
		.max_rq_desc_sz = UV_MAX_RQ_DESC,
		.max_send_wqebb = UV_MAX_WR,
		.max_recv_wr = UV_MAX_WR,
		.max_srq_recv_wr = UV_MAX_WR - 1,
		.num_ports = 1,
		.cqe_version = 1,
		.cmds_supp_uhw = MLX5_USER_CMDS_SUPP_UHW_QUERY_DEVICE |
				 MLX5_USER_CMDS_SUPP_UHW_CREATE_AH,
		.eth_min_inline = MLX5_USER_INLINE_MODE_NONE,
		.log_uar_size = 12,
		.num_uars_per_page = 1,
		.num_dyn_bfregs = DYNAMIC_BFREGS,
	};

	if (!out)
		return 0;
	resp.response_length =
		out->len < sizeof(resp) ? out->len : (uint32_t)sizeof(resp);
	return uv_call_out(call, id, &resp, sizeof(resp));
}

static int answer_core(struct uv_call *call)
{
	uint32_t vectors = UV_COMP_VECTORS;
	uint64_t support = IB_UVERBS_CORE_SUPPORT_OPTIONAL_MR_ACCESS;
	int ret;

	/* The ids of GET_CONTEXT and QUERY_CONTEXT are the same. */
	ret = uv_call_out(call, UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS,
			  &vectors, sizeof(vectors));
	if (ret)
		return ret;
	return uv_call_out(call, UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, &support,
			   sizeof(support));
}

static int get_context(struct uv_call *call)
{
	int ret;

	if (call->context->ready)
		return -EINVAL;
	ret = answer_core(call);
	if (!ret)
		ret = alloc_ucontext(call);
	if (!ret)
		ret = answer_ucontext(call, UVERBS_ATTR_UHW_OUT);
	call->context->ready = !ret;
	if (ret)
		uv_uar_free_fixed(call->context);
	return ret;
}

static int query_context(struct uv_call *call)
{
	int ret = answer_core(call);

	return ret ? ret
		   : answer_ucontext(call,
				     MLX5_IB_ATTR_QUERY_CONTEXT_RESP_UCTX);
}

static int info_handles(struct uv_call *call)
{
	struct uv_attr *list =
		uv_call_attr(call, UVERBS_ATTR_INFO_HANDLES_LIST);
	uint16_t type =
		(uint16_t)uv_call_u64(call, UVERBS_ATTR_INFO_OBJECT_ID, 0);
	struct uv_context *context = call->context;
	uint64_t total = 0;
	uint32_t i;

	if (!list || !list->len || list->len % sizeof(uint32_t))
		return -EINVAL;
	for (i = 0;
	     i < context->object_room && total < list->len / sizeof(uint32_t);
	     i++) {
		if (!context->objects[i] ||
		    context->objects[i]->type->id != type)
			continue;
		if (uv_copy_out(list->data + total++ * sizeof(i), &i,
				sizeof(i)))
			return -EFAULT;
	}
	return uv_call_out(call, UVERBS_ATTR_INFO_TOTAL_HANDLES, &total,
			   sizeof(total));
}

/* ------------------------------------------------------------------ port */

static uint8_t active_speed(const struct uv_device_info *info)
{
	switch (info->device_id) {
	case 0x1017:
		return 32; /* EDR */
	case 0x101b:
		return 64; /* HDR */
	default:
		return 128; /* NDR; XDR has no room in 8 bits */
	}
}

static void fill_port(struct uv_context *context,
		      struct ib_uverbs_query_port_resp *resp)
{
	struct uv_device_info info;
	bool roce;

	uv_device_describe(context->device, &info);
	roce = info.link == NIC_LINK_ROCE;
	resp->port_cap_flags = roce ? CAP_FLAGS_ROCE : CAP_FLAGS_IB;
	resp->max_msg_sz = 1u << 30;
	resp->gid_tbl_len = GIDS;
	resp->pkey_tbl_len = PKEYS;
	resp->lid = roce ? 0 : info.port.lid;
	resp->sm_lid = roce ? 0 : SM_LID;
	resp->state = (uint8_t)info.state;
	resp->max_mtu = resp->active_mtu = info.port.mtu;
	resp->max_vl_num = 4;
	resp->subnet_timeout = roce ? 0 : 18;
	resp->active_width = WIDTH_4X;
	resp->active_speed = active_speed(&info);
	resp->phys_state = (uint8_t)info.phys_state;
	resp->link_layer = roce ? LINK_LAYER_ETHERNET : LINK_LAYER_IB;
	resp->flags = roce ? 1 /* GRH required */ : 0;
}

static int query_port(struct uv_call *call)
{
	struct ib_uverbs_query_port_resp_ex resp = {0};

	if (uv_call_u64(call, UVERBS_ATTR_QUERY_PORT_PORT_NUM, 0) != 1)
		return -EINVAL;
	fill_port(call->context, &resp.legacy_resp);
	return uv_call_out(call, UVERBS_ATTR_QUERY_PORT_RESP, &resp,
			   sizeof(resp));
}

static void fill_gid(struct uv_context *context,
		     struct ib_uverbs_gid_entry *entry)
{
	struct uv_device_info info;
	bool roce;

	uv_device_describe(context->device, &info);
	roce = info.link == NIC_LINK_ROCE;
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->gid, info.port.gid, sizeof(entry->gid));
	entry->port_num = 1;
	entry->gid_type =
		roce ? IB_UVERBS_GID_TYPE_ROCE_V2 : IB_UVERBS_GID_TYPE_IB;
	/* The loopback interface stands for the port's. */
	entry->netdev_ifindex = roce ? 1 : 0;
}

static int query_gid_entry(struct uv_call *call)
{
	struct ib_uverbs_gid_entry entry;

	if (uv_call_u64(call, UVERBS_ATTR_QUERY_GID_ENTRY_FLAGS, 0) ||
	    uv_call_u64(call, UVERBS_ATTR_QUERY_GID_ENTRY_PORT, 0) != 1)
		return -EINVAL;
	switch (uv_call_u64(call, UVERBS_ATTR_QUERY_GID_ENTRY_GID_INDEX, 0)) {
	case 0:
		break;
	case 1 ... GIDS - 1:
		return -ENODATA;
	default:
		return -EINVAL;
	}
	fill_gid(call->context, &entry);
	return uv_call_out(call, UVERBS_ATTR_QUERY_GID_ENTRY_RESP_ENTRY, &entry,
			   sizeof(entry));
}

static int query_gid_table(struct uv_call *call)
{
	uint64_t size =
		uv_call_u64(call, UVERBS_ATTR_QUERY_GID_TABLE_ENTRY_SIZE, 0);
	struct uv_attr *out =
		uv_call_attr(call, UVERBS_ATTR_QUERY_GID_TABLE_RESP_ENTRIES);
	struct ib_uverbs_gid_entry entry;
	uint64_t count = 1;
	int ret;

	if (uv_call_u64(call, UVERBS_ATTR_QUERY_GID_TABLE_FLAGS, 0))
		return -EINVAL;
	if (!size || out->len < size)
		return -EINVAL;
	fill_gid(call->context, &entry);
	/* A longer entry of a newer library ends in zeros, which uv_call_out
	 * writes. */
	ret = uv_call_out(call, UVERBS_ATTR_QUERY_GID_TABLE_RESP_ENTRIES,
			  &entry, size < sizeof(entry) ? size : sizeof(entry));
	if (ret)
		return ret;
	return uv_call_out(call, UVERBS_ATTR_QUERY_GID_TABLE_RESP_NUM_ENTRIES,
			   &count, sizeof(count));
}

/* mlx5dv_query_port: there is no eswitch, so nothing of it is known. */
static int query_vport(struct uv_call *call)
{
	struct mlx5_ib_uapi_query_port resp = {0};

	if (uv_call_u64(call, MLX5_IB_ATTR_QUERY_PORT_PORT_NUM, 0) != 1)
		return -EINVAL;
	return uv_call_out(call, MLX5_IB_ATTR_QUERY_PORT, &resp, sizeof(resp));
}

/* ---------------------------------------------------------------- device */

/* Bits of device_cap_flags (enum ibv_device_cap_flags). */
enum {
	CAP_BAD_PKEY_CNTR = 1 << 1,
	CAP_BAD_QKEY_CNTR = 1 << 2,
	CAP_CHANGE_PHY_PORT = 1 << 5,
	CAP_PORT_ACTIVE_EVENT = 1 << 10,
	CAP_SYS_IMAGE_GUID = 1 << 11,
	CAP_RC_RNR_NAK_GEN = 1 << 12,
	CAP_MEM_WINDOW = 1 << 17,
	CAP_XRC = 1 << 20,
	CAP_MEM_MGT_EXTENSIONS = 1 << 21,
	CAP_MEM_WINDOW_TYPE_2B = 1 << 24,
};

static void fill_device(struct uv_context *context,
			struct ib_uverbs_query_device_resp *resp)
{
	struct uv_device_info info;

	uv_device_describe(context->device, &info);
	resp->fw_ver =
		(uint64_t)UV_FW_MAJOR << 32 | UV_FW_MINOR << 16 | UV_FW_SUB;
	resp->node_guid = __builtin_bswap64(info.guid);
	resp->sys_image_guid = resp->node_guid;
	resp->max_mr_size = UINT64_MAX;
	resp->page_size_cap = 0xfffffffffffff000;
	resp->vendor_id = 0x2c9;
	resp->vendor_part_id = info.device_id;
	resp->max_qp = 1u << UV_LOG_MAX_QP;
	resp->max_qp_wr = UV_MAX_WR;
	resp->device_cap_flags =
		CAP_BAD_PKEY_CNTR | CAP_BAD_QKEY_CNTR | CAP_CHANGE_PHY_PORT |
		CAP_PORT_ACTIVE_EVENT | CAP_SYS_IMAGE_GUID |
		CAP_RC_RNR_NAK_GEN | CAP_XRC | CAP_MEM_WINDOW |
		CAP_MEM_WINDOW_TYPE_2B | CAP_MEM_MGT_EXTENSIONS;
	resp->max_sge = 30;
	resp->max_sge_rd = 30;
	resp->max_cq = 1u << UV_LOG_MAX_CQ;
	resp->max_cqe = (1u << UV_LOG_MAX_CQE) - 1;
	resp->max_mr = resp->max_mw = 1u << UV_LOG_MAX_MKEY;
	resp->max_pd = 1u << 16;
	resp->max_qp_rd_atom = resp->max_qp_init_rd_atom = 16;
	resp->max_res_rd_atom = resp->max_qp * 16u;
	resp->atomic_cap = ATOMIC_HCA;
	resp->max_ah = INT32_MAX;
	resp->max_srq = 1u << UV_LOG_MAX_SRQ;
	resp->max_srq_wr = UV_MAX_WR - 1;
	resp->max_srq_sge = 31;
	resp->max_pkeys = PKEYS;
	resp->local_ca_ack_delay = 16;
	resp->phys_port_cnt = 1;
}

static int query_device(struct uv_call *call)
{
	struct ib_uverbs_query_device_resp resp = {0};

	fill_device(call->context, &resp);
	return uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
}

static int ex_query_device(struct uv_call *call)
{
	const struct uv_attr *core = uv_call_attr(call, UVERBS_ATTR_CORE_OUT);
	const struct uv_attr *uhw = uv_call_attr(call, UVERBS_ATTR_UHW_OUT);
	struct mlx5_ib_query_device_resp driver = {0};
	struct ib_uverbs_ex_query_device_resp resp = {0};
	struct ib_uverbs_ex_query_device req;
	int ret = uv_call_in(call, UVERBS_ATTR_CORE_IN, &req, sizeof(req));

	if (ret)
		return ret;
	if (req.comp_mask || req.reserved)
		return -EINVAL;
	fill_device(call->context, &resp.base);
	resp.response_length =
		core->len < sizeof(resp) ? core->len : (uint32_t)sizeof(resp);
	resp.timestamp_mask = UINT64_MAX;
	resp.hca_core_clock = 1000000; /* kHz: CQE timestamps count ns */
	resp.device_cap_flags_ex = resp.base.device_cap_flags;
	resp.cq_moderation_caps.max_cq_moderation_count = 65535;
	resp.cq_moderation_caps.max_cq_moderation_period = 4095;
	ret = uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
	if (ret || !uhw)
		return ret;
	driver.response_length =
		uhw->len < sizeof(driver) ? uhw->len : (uint32_t)sizeof(driver);
	driver.flags = MLX5_IB_QUERY_DEV_RESP_FLAGS_CQE_128B_PAD;
	return uv_call_out(call, UVERBS_ATTR_UHW_OUT, &driver, sizeof(driver));
}

/* --------------------------------------------------------------- channels */

static int create_comp_channel(struct uv_call *call)
{
	struct ib_uverbs_create_comp_channel_resp resp;
	struct uv_channel *channel;
	int fd, ret;

	ret = uv_channel_new(call->context, UVERBS_OBJECT_COMP_CHANNEL,
			     &channel, &fd);
	if (ret)
		return ret;
	resp.fd = (uint32_t)fd;
	return uv_call_out(call, UVERBS_ATTR_CORE_OUT, &resp, sizeof(resp));
}

static int async_event_alloc(struct uv_call *call)
{
	struct uv_context *context = call->context;
	struct uv_channel *channel;
	int fd, ret;

	ret = uv_channel_new(context, UVERBS_OBJECT_ASYNC_EVENT, &channel, &fd);
	if (ret)
		return ret;
	/* The first is where objects without a channel of their own report. */
	if (!context->async) {
		uv_channel_hold(channel);
		context->async = channel;
	}
	return uv_call_made(call, UVERBS_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE, fd);
}

/* ----------------------------------------------------------------- tables */

static const struct uv_spec get_context_specs[] = {
	{UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, UV_OUT, false, false, 4, 4,
	 0},
	{UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, UV_OUT, false, false, 8, 8, 0},
	UV_UHW,
};

static const struct uv_spec query_context_specs[] = {
	{UVERBS_ATTR_QUERY_CONTEXT_NUM_COMP_VECTORS, UV_OUT, false, false, 4, 4,
	 0},
	{UVERBS_ATTR_QUERY_CONTEXT_CORE_SUPPORT, UV_OUT, false, false, 8, 8, 0},
	{MLX5_IB_ATTR_QUERY_CONTEXT_RESP_UCTX, UV_OUT, true, true, 4,
	 sizeof(struct mlx5_ib_alloc_ucontext_resp), 0},
};

static const struct uv_spec info_handles_specs[] = {
	{UVERBS_ATTR_INFO_OBJECT_ID, UV_IN, true, false, 1, 8, 0},
	{UVERBS_ATTR_INFO_TOTAL_HANDLES, UV_OUT, false, false, 4, 8, 0},
	{UVERBS_ATTR_INFO_HANDLES_LIST, UV_OUT, false, false, 4, UINT16_MAX, 0},
};

static const struct uv_spec query_port_specs[] = {
	{UVERBS_ATTR_QUERY_PORT_PORT_NUM, UV_IN, true, false, 1, 8, 0},
	{UVERBS_ATTR_QUERY_PORT_RESP, UV_OUT, true, true, 40,
	 sizeof(struct ib_uverbs_query_port_resp_ex), 0},
};

static const struct uv_spec query_gid_entry_specs[] = {
	{UVERBS_ATTR_QUERY_GID_ENTRY_PORT, UV_IN, true, false, 4, 8, 0},
	{UVERBS_ATTR_QUERY_GID_ENTRY_GID_INDEX, UV_IN, true, false, 4, 8, 0},
	{UVERBS_ATTR_QUERY_GID_ENTRY_FLAGS, UV_IN, true, false, 4, 8, 0},
	{UVERBS_ATTR_QUERY_GID_ENTRY_RESP_ENTRY, UV_OUT, true, true, 32,
	 sizeof(struct ib_uverbs_gid_entry), 0},
};

static const struct uv_spec query_gid_table_specs[] = {
	{UVERBS_ATTR_QUERY_GID_TABLE_ENTRY_SIZE, UV_IN, true, false, 4, 8, 0},
	{UVERBS_ATTR_QUERY_GID_TABLE_FLAGS, UV_IN, false, false, 4, 8, 0},
	{UVERBS_ATTR_QUERY_GID_TABLE_RESP_ENTRIES, UV_OUT, true, false, 0,
	 UINT16_MAX, 0},
	{UVERBS_ATTR_QUERY_GID_TABLE_RESP_NUM_ENTRIES, UV_OUT, true, false, 8,
	 8, 0},
};

static const struct uv_spec query_vport_specs[] = {
	{MLX5_IB_ATTR_QUERY_PORT_PORT_NUM, UV_IN, true, false, 4, 8, 0},
	{MLX5_IB_ATTR_QUERY_PORT, UV_OUT, true, true, 8,
	 sizeof(struct mlx5_ib_uapi_query_port), 0},
};

static const struct uv_spec async_event_specs[] = {
	{UVERBS_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE, UV_NEWFD, true, false, 0, 0,
	 UVERBS_OBJECT_ASYNC_EVENT},
};

const struct uv_method uv_methods_device[] = {
	{
		.object = UVERBS_OBJECT_DEVICE,
		.method = UVERBS_METHOD_GET_CONTEXT,
		.before_context = true,
		.spec_count = sizeof(get_context_specs) /
			      sizeof(get_context_specs[0]),
		.name = "GET_CONTEXT",
		.handler = get_context,
		.specs = get_context_specs,
	},
	UV_METHOD(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_QUERY_CONTEXT,
		  query_context, query_context_specs),
	UV_METHOD(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_INFO_HANDLES,
		  info_handles, info_handles_specs),
	UV_METHOD(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_QUERY_PORT, query_port,
		  query_port_specs),
	UV_METHOD(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_QUERY_GID_ENTRY,
		  query_gid_entry, query_gid_entry_specs),
	UV_METHOD(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_QUERY_GID_TABLE,
		  query_gid_table, query_gid_table_specs),
	UV_METHOD(UVERBS_OBJECT_DEVICE, MLX5_IB_METHOD_QUERY_PORT, query_vport,
		  query_vport_specs),
	UV_METHOD(UVERBS_OBJECT_ASYNC_EVENT, UVERBS_METHOD_ASYNC_EVENT_ALLOC,
		  async_event_alloc, async_event_specs),
	{0},
};

const struct uv_write uv_writes_device[] = {
	UV_WRITE(QUERY_DEVICE, sizeof(struct ib_uverbs_query_device),
		 sizeof(struct ib_uverbs_query_device_resp), query_device),
	UV_WRITE_EX(QUERY_DEVICE, sizeof(struct ib_uverbs_ex_query_device),
		    sizeof(struct ib_uverbs_query_device_resp),
		    ex_query_device),
	UV_WRITE(CREATE_COMP_CHANNEL,
		 sizeof(struct ib_uverbs_create_comp_channel),
		 sizeof(struct ib_uverbs_create_comp_channel_resp),
		 create_comp_channel),
	{0},
};
