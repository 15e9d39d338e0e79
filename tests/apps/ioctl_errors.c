/* SPDX-License-Identifier: MIT */
/*
 * What the kernel refuses, sent by hand to /dev/infiniband/uverbs0: each case
 * names the errno that ib_uverbs and mlx5_ib answer with.
 *
 * Run under `belfry run`. Source of truth: Linux
 * drivers/infiniband/core/uverbs_ioctl.c, rdma_core.c, hw/mlx5/devx.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/mlx5-abi.h>
#include <rdma/mlx5_user_ioctl_cmds.h>
#include <rdma/rdma_user_ioctl_cmds.h>

enum { ATTRS_MAX = 16, HANDLE_NONE = 0x7fffffff };

static int device_fd;
static unsigned failures, cases;

struct call {
	struct ib_uverbs_ioctl_hdr hdr;
	struct ib_uverbs_attr attrs[ATTRS_MAX];
};

static struct call start(uint16_t object, uint16_t method)
{
	struct call call;

	memset(&call, 0, sizeof(call));
	call.hdr.object_id = object;
	call.hdr.method_id = method;
	call.hdr.driver_id = RDMA_DRIVER_MLX5;
	return call;
}

static struct ib_uverbs_attr *add(struct call *call, uint16_t id, uint64_t data,
				  size_t len)
{
	struct ib_uverbs_attr *attr = &call->attrs[call->hdr.num_attrs++];

	attr->attr_id = id;
	attr->flags = UVERBS_ATTR_F_MANDATORY;
	attr->len = (uint16_t)len;
	attr->data = data;
	return attr;
}

static void add_out(struct call *call, uint16_t id, void *to, size_t len)
{
	add(call, id, (uintptr_t)to, len);
}

static int send_call(struct call *call)
{
	call->hdr.length =
		(uint16_t)(sizeof(call->hdr) +
			   call->hdr.num_attrs * sizeof(call->attrs[0]));
	return ioctl(device_fd, RDMA_VERBS_IOCTL, call) ? errno : 0;
}

static void expect(const char *what, int got, int want)
{
	cases++;
	if (got == want)
		return;
	failures++;
	printf("%s: errno %d (%s), expected %d (%s)\n", what, got,
	       strerror(got), want, strerror(want));
}

/* --------------------------------------------------------------- the calls */

static struct call get_context(struct mlx5_ib_alloc_ucontext_req_v2 *req,
			       struct mlx5_ib_alloc_ucontext_resp *resp)
{
	struct call call =
		start(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_GET_CONTEXT);

	memset(req, 0, sizeof(*req));
	req->total_num_bfregs = 16;
	req->num_low_latency_bfregs = 4;
	req->flags = MLX5_IB_ALLOC_UCTX_DEVX;
	req->max_cqe_version = 1;
	req->lib_caps = MLX5_LIB_CAP_4K_UAR | MLX5_LIB_CAP_DYN_UAR;
	add(&call, UVERBS_ATTR_UHW_IN, (uintptr_t)req, sizeof(*req));
	add_out(&call, UVERBS_ATTR_UHW_OUT, resp, sizeof(*resp));
	return call;
}

static struct call write_call(uint32_t command, const void *in, size_t in_len,
			      void *out, size_t out_len)
{
	struct call call =
		start(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_INVOKE_WRITE);

	add(&call, UVERBS_ATTR_WRITE_CMD, command, 8);
	if (in_len)
		add(&call, UVERBS_ATTR_CORE_IN, (uintptr_t)in, in_len);
	if (out_len)
		add_out(&call, UVERBS_ATTR_CORE_OUT, out, out_len);
	return call;
}

static int alloc_pd(uint32_t *handle)
{
	struct ib_uverbs_alloc_pd in = {0};
	struct ib_uverbs_alloc_pd_resp resp = {0};
	struct mlx5_ib_alloc_pd_resp driver;
	struct call call = write_call(IB_USER_VERBS_CMD_ALLOC_PD, &in,
				      sizeof(in), &resp, sizeof(resp));
	int ret;

	add_out(&call, UVERBS_ATTR_UHW_OUT, &driver, sizeof(driver));
	ret = send_call(&call);
	*handle = resp.pd_handle;
	return ret;
}

static int destroy(uint16_t object, uint16_t method, uint32_t handle)
{
	struct call call = start(object, method);

	add(&call, 0, handle, 0);
	return send_call(&call);
}

static int reg_mr(struct ib_uverbs_reg_mr *in, uint32_t *handle)
{
	struct ib_uverbs_reg_mr_resp resp = {0};
	struct call call = write_call(IB_USER_VERBS_CMD_REG_MR, in, sizeof(*in),
				      &resp, sizeof(resp));
	int ret = send_call(&call);

	*handle = resp.mr_handle;
	return ret;
}

/* ------------------------------------------------------------------- cases */

static void header_cases(void)
{
	struct call call =
		start(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_QUERY_PORT);
	int ret;

	expect("an ioctl of another kind",
	       ioctl(device_fd, 0x12345678, &call) ? errno : 0, ENOTTY);
	expect("a header that is not mapped",
	       ioctl(device_fd, RDMA_VERBS_IOCTL, (void *)16) ? errno : 0,
	       EFAULT);
	call.hdr.length = 4;
	ret = ioctl(device_fd, RDMA_VERBS_IOCTL, &call) ? errno : 0;
	expect("a wrong header length", ret, EINVAL);
	call.hdr.reserved1 = 1;
	expect("a reserved field", send_call(&call), EPROTONOSUPPORT);
	call.hdr.reserved1 = 0;
	call.hdr.driver_id = RDMA_DRIVER_MLX4;
	expect("another driver", send_call(&call), EINVAL);
	call = start(UVERBS_OBJECT_DEVICE, 77);
	expect("an unknown method", send_call(&call), EPROTONOSUPPORT);
	call = start(0x7777, 0);
	expect("an unknown object", send_call(&call), EPROTONOSUPPORT);
}

static void before_context_cases(void)
{
	struct mlx5_ib_alloc_ucontext_req_v2 req;
	struct mlx5_ib_alloc_ucontext_resp resp;
	struct call call;
	uint32_t handle;

	expect("a command before the context is there", alloc_pd(&handle),
	       EINVAL);
	call = get_context(&req, &resp);
	req.total_num_bfregs = 0;
	expect("a context without registers", send_call(&call), EINVAL);
	call = get_context(&req, &resp);
	req.flags = 0x80;
	expect("a context with unknown flags", send_call(&call), EINVAL);
	call = get_context(&req, &resp);
	call.attrs[0].len = 7;
	expect("a context request that is too short", send_call(&call), EINVAL);
	call = get_context(&req, &resp);
	call.attrs[1].data = 16;
	expect("a context answer that is not mapped", send_call(&call), EFAULT);
	call = get_context(&req, &resp);
	expect("a context", send_call(&call), 0);
	call = get_context(&req, &resp);
	expect("a second context", send_call(&call), EINVAL);
}

static void attribute_cases(void)
{
	uint8_t room[64];
	struct call call =
		start(UVERBS_OBJECT_DEVICE, UVERBS_METHOD_QUERY_PORT);

	add(&call, UVERBS_ATTR_QUERY_PORT_PORT_NUM, 1, 1);
	expect("a mandatory attribute is missing", send_call(&call), EINVAL);
	add_out(&call, UVERBS_ATTR_QUERY_PORT_RESP, room, 8);
	expect("an answer too short", send_call(&call), EINVAL);
	call.attrs[1].len = 48;
	expect("a port", send_call(&call), 0);
	add(&call, UVERBS_ATTR_QUERY_PORT_PORT_NUM, 1, 1);
	expect("an attribute twice", send_call(&call), EINVAL);
	call.attrs[2].attr_id = 99;
	expect("an unknown mandatory attribute", send_call(&call),
	       EPROTONOSUPPORT);
	call.attrs[2].flags = 0;
	expect("an unknown optional attribute", send_call(&call), 0);
	call.hdr.num_attrs = 2;
	call.attrs[0].attr_data.reserved = 1;
	expect("a reserved part of an attribute", send_call(&call), EINVAL);
	call.attrs[0].attr_data.reserved = 0;
	call.attrs[0].data = 2;
	expect("a port that is not there", send_call(&call), EINVAL);
	call.attrs[0].data = 1;
	call.attrs[1].data = 16;
	expect("an answer that is not mapped", send_call(&call), EFAULT);
}

static void write_cases(void)
{
	struct ib_uverbs_query_device in = {0};
	struct ib_uverbs_query_device_resp resp;
	struct call call = write_call(IB_USER_VERBS_CMD_QUERY_DEVICE, &in,
				      sizeof(in), &resp, 4);

	expect("QUERY_DEVICE without room", send_call(&call), ENOSPC);
	call = write_call(IB_USER_VERBS_CMD_POLL_CQ, &in, sizeof(in), &resp,
			  sizeof(resp));
	expect("a command that mlx5 has not", send_call(&call),
	       EPROTONOSUPPORT);
	call = write_call(IB_USER_VERBS_CMD_QUERY_DEVICE, &in, sizeof(in),
			  &resp, sizeof(resp));
	expect("QUERY_DEVICE", send_call(&call), 0);
	expect("write()", write(device_fd, &in, sizeof(in)) < 0 ? errno : 0,
	       EINVAL);
}

static void object_cases(void)
{
	uint32_t pd, mr;
	static char memory[8192] __attribute__((aligned(4096)));
	struct ib_uverbs_reg_mr in = {
		.start = (uintptr_t)memory,
		.hca_va = (uintptr_t)memory,
		.length = sizeof(memory),
		.access_flags = IB_UVERBS_ACCESS_LOCAL_WRITE,
	};

	expect("a PD", alloc_pd(&pd), 0);
	expect("a handle that is not there",
	       destroy(UVERBS_OBJECT_PD, UVERBS_METHOD_PD_DESTROY, HANDLE_NONE),
	       ENOENT);
	expect("a handle of another type",
	       destroy(UVERBS_OBJECT_MR, UVERBS_METHOD_MR_DESTROY, pd), EINVAL);
	in.pd_handle = pd;
	expect("a region", reg_mr(&in, &mr), 0);
	expect("a PD in use",
	       destroy(UVERBS_OBJECT_PD, UVERBS_METHOD_PD_DESTROY, pd), EBUSY);
	expect("the region goes",
	       destroy(UVERBS_OBJECT_MR, UVERBS_METHOD_MR_DESTROY, mr), 0);
	expect("the region is gone",
	       destroy(UVERBS_OBJECT_MR, UVERBS_METHOD_MR_DESTROY, mr), ENOENT);
	expect("the PD goes",
	       destroy(UVERBS_OBJECT_PD, UVERBS_METHOD_PD_DESTROY, pd), 0);
}

static void region_cases(void)
{
	void *ro =
		mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ib_uverbs_reg_mr in = {.start = (uintptr_t)ro,
				      .hca_va = (uintptr_t)ro,
				      .length = 4096};
	uint32_t pd, mr;

	expect("a PD", alloc_pd(&pd), 0);
	in.pd_handle = pd;
	in.access_flags = IB_UVERBS_ACCESS_LOCAL_WRITE;
	expect("read-only memory, to be written", reg_mr(&in, &mr), EFAULT);
	in.access_flags = IB_UVERBS_ACCESS_REMOTE_WRITE;
	expect("remote write without local write", reg_mr(&in, &mr), EINVAL);
	in.access_flags = 0x4000;
	expect("unknown access", reg_mr(&in, &mr), EINVAL);
	in.access_flags = 0;
	in.hca_va++;
	expect("an address that is at another place in its page",
	       reg_mr(&in, &mr), EINVAL);
	in.hca_va--;
	in.length = 0;
	expect("no bytes", reg_mr(&in, &mr), EINVAL);
	in.length = UINT64_MAX;
	expect("a range that wraps", reg_mr(&in, &mr), EINVAL);
	in.length = 4096;
	expect("read-only memory, to be read", reg_mr(&in, &mr), 0);
	munmap(ro, 4096);
	expect("memory that is not there", reg_mr(&in, &mr), EFAULT);
	in.pd_handle = HANDLE_NONE;
	expect("no such PD", reg_mr(&in, &mr), EINVAL);
}

static int devx_other(uint16_t opcode, uint16_t op_mod, uint8_t *out,
		      size_t out_len)
{
	uint8_t in[16] = {(uint8_t)(opcode >> 8), (uint8_t)opcode, 0, 0, 0, 0,
			  (uint8_t)(op_mod >> 8), (uint8_t)op_mod};
	struct call call =
		start(MLX5_IB_OBJECT_DEVX, MLX5_IB_METHOD_DEVX_OTHER);

	add(&call, MLX5_IB_ATTR_DEVX_OTHER_CMD_IN, (uintptr_t)in, sizeof(in));
	add_out(&call, MLX5_IB_ATTR_DEVX_OTHER_CMD_OUT, out, out_len);
	return send_call(&call);
}

static void devx_cases(void)
{
	static uint8_t out[0x1010];
	uint8_t in[16] = {0x04, 0x02}; /* QUERY_CQ */
	struct call call;
	uint32_t pd;

	expect("QUERY_HCA_CAP", devx_other(0x100, 1, out, sizeof(out)), 0);
	expect("a capability that is not there",
	       devx_other(0x100, 0x7e, out, sizeof(out)), EREMOTEIO);
	expect("and its status is told", out[0] != 0, 1);
	expect("a command that makes an object, as a general one",
	       devx_other(0x400, 0, out, sizeof(out)), EINVAL);
	expect("an answer without room", devx_other(0x100, 1, out, 8), EINVAL);
	expect("a PD", alloc_pd(&pd), 0);
	call = start(MLX5_IB_OBJECT_DEVX_OBJ, MLX5_IB_METHOD_DEVX_OBJ_QUERY);
	add(&call, MLX5_IB_ATTR_DEVX_OBJ_QUERY_HANDLE, pd, 0);
	add(&call, MLX5_IB_ATTR_DEVX_OBJ_QUERY_CMD_IN, (uintptr_t)in,
	    sizeof(in));
	add_out(&call, MLX5_IB_ATTR_DEVX_OBJ_QUERY_CMD_OUT, out, sizeof(out));
	expect("a query about an object of another sort", send_call(&call),
	       EINVAL);
}

int main(void)
{
	device_fd = open("/dev/infiniband/uverbs0", O_RDWR | O_CLOEXEC);
	if (device_fd < 0) {
		perror("/dev/infiniband/uverbs0");
		return 1;
	}
	header_cases();
	before_context_cases();
	attribute_cases();
	write_cases();
	object_cases();
	region_cases();
	devx_cases();
	close(device_fd);
	printf("%u cases, %u failures\n", cases, failures);
	return failures != 0;
}
