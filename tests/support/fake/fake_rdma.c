/* SPDX-License-Identifier: MIT */
/*
 * See fake_rdma.h. Functions have the versions of the real libraries
 * (fake_rdma.map); two also have an older one, which must not be called.
 */
#include "fake_rdma.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#undef ibv_query_port
#undef ibv_reg_mr

struct fake_rdma fake_rdma;

static struct fake_rdma *const fake = &fake_rdma;

/* A context knows its device; both begin with what verbs expects. */
struct device {
	struct ibv_device base;
	struct fake_device *row;
};

static struct device devices[FAKE_DEVICES];
static uint8_t pages[FAKE_PAGES][4096] __attribute__((aligned(4096)));

static bool fails(const char *function)
{
	if (!fake->fail || strcmp(fake->fail, function))
		return false;
	errno = fake->error;
	return true;
}

static void *make(const char *function, size_t size)
{
	if (fails(function))
		return NULL;
	fake->open_objects++;
	return calloc(1, size);
}

static int unmake(const char *function, void *object)
{
	if (fails(function))
		return fake->error;
	fake->open_objects--;
	free(object);
	return 0;
}

/* ---------------------------------------------------- devices, contexts */

struct ibv_device **ibv_get_device_list(int *count)
{
	struct ibv_device **list;
	int i;

	if (fake->device_count < 0) {
		errno = ENOSYS;
		return NULL;
	}
	list = make("ibv_get_device_list", sizeof(void *) * 8);
	for (i = 0; list && i < fake->device_count; i++) {
		devices[i].row = &fake->devices[i];
		list[i] = &devices[i].base;
	}
	*count = fake->device_count;
	return list;
}

void ibv_free_device_list(struct ibv_device **list)
{
	unmake("ibv_free_device_list", list);
}

static struct fake_device *row_of(struct ibv_device *device)
{
	return ((struct device *)device)->row;
}

const char *ibv_get_device_name(struct ibv_device *device)
{
	return row_of(device)->name;
}

bool mlx5dv_is_supported(struct ibv_device *device)
{
	return row_of(device)->is_mlx5;
}

struct ibv_context *mlx5dv_open_device(struct ibv_device *device,
				       struct mlx5dv_context_attr *attr)
{
	struct ibv_context *context;

	fake->open_flags = attr->flags;
	errno = row_of(device)->open_errno;
	if (errno)
		return NULL;
	context = make("mlx5dv_open_device", sizeof(*context));
	if (!context)
		return NULL;
	context->device = device;
	context->async_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return context;
}

int ibv_close_device(struct ibv_context *context)
{
	close(context->async_fd);
	return unmake("ibv_close_device", context);
}

int ibv_query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	if (fails("ibv_query_device"))
		return fake->error;
	attr->phys_port_cnt = row_of(context->device)->ports;
	return 0;
}

int ibv_query_port(struct ibv_context *context, uint8_t number,
		   struct _compat_ibv_port_attr *attr)
{
	if (fails("ibv_query_port"))
		return fake->error;
	memcpy(attr, &row_of(context->device)->port[number - 1],
	       offsetof(struct ibv_port_attr, port_cap_flags2));
	return 0;
}

int _ibv_query_gid_ex(struct ibv_context *context, uint32_t port,
		      uint32_t index, struct ibv_gid_entry *entry,
		      uint32_t flags, size_t size)
{
	(void)context, (void)port, (void)flags;
	if (fails("_ibv_query_gid_ex"))
		return fake->error;
	if (index >= FAKE_GIDS || !fake->gids[index].port_num)
		return ENODATA;
	memcpy(entry, &fake->gids[index], size);
	return 0;
}

/* ----------------------------------------------------- domains, regions */

struct ibv_pd *ibv_alloc_pd(struct ibv_context *context)
{
	struct ibv_pd *pd = make("ibv_alloc_pd", sizeof(*pd));

	if (pd)
		pd->context = context;
	return pd;
}

int ibv_dealloc_pd(struct ibv_pd *pd)
{
	return unmake("ibv_dealloc_pd", pd);
}

static struct ibv_mr *make_mr(const char *function, unsigned access)
{
	struct ibv_mr *mr = make(function, sizeof(*mr));

	fake->mr_access = access;
	if (mr)
		mr->lkey = mr->rkey = 0x1234;
	return mr;
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *addr, size_t length,
				uint64_t iova, unsigned int access)
{
	(void)pd, (void)addr, (void)length;
	fake->mr_iova = iova;
	return make_mr("ibv_reg_mr_iova2", access);
}

struct ibv_mr *ibv_reg_dmabuf_mr(struct ibv_pd *pd, uint64_t offset,
				 size_t length, uint64_t iova, int fd,
				 int access)
{
	(void)pd, (void)length;
	fake->mr_offset = offset;
	fake->mr_iova = iova;
	fake->mr_fd = fd;
	return make_mr("ibv_reg_dmabuf_mr", (unsigned)access);
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
	return unmake("ibv_dereg_mr", mr);
}

struct ibv_ah *ibv_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attr)
{
	(void)pd;
	fake->ah = *attr;
	return make("ibv_create_ah", sizeof(struct ibv_ah));
}

int ibv_destroy_ah(struct ibv_ah *ah)
{
	return unmake("ibv_destroy_ah", ah);
}

int mlx5dv_init_obj(struct mlx5dv_obj *obj, uint64_t type)
{
	static struct mlx5_wqe_av av;

	if (fails("mlx5dv_init_obj"))
		return fake->error;
	if (type & MLX5DV_OBJ_PD)
		obj->pd.out->pdn = 0x77;
	if (type & MLX5DV_OBJ_AH) {
		memcpy(av.rmac, fake->next_hop, sizeof(av.rmac));
		obj->ah.out->av = &av;
	}
	return 0;
}

/* --------------------------------------------------------------- events */

int ibv_get_async_event(struct ibv_context *context,
			struct ibv_async_event *event)
{
	(void)context;
	if (!fake->port_events) {
		errno = EAGAIN;
		return -1;
	}
	fake->port_events--;
	event->event_type = IBV_EVENT_PORT_ERR;
	return 0;
}

void ibv_ack_async_event(struct ibv_async_event *event)
{
	(void)event;
}

const char *ibv_event_type_str(enum ibv_event_type event)
{
	return event == IBV_EVENT_PORT_ERR ? "local port error" : "other";
}

struct mlx5dv_devx_event_channel *mlx5dv_devx_create_event_channel(
	struct ibv_context *context,
	enum mlx5dv_devx_create_event_channel_flags flags)
{
	struct mlx5dv_devx_event_channel *channel =
		make("mlx5dv_devx_create_event_channel", sizeof(*channel));

	(void)context, (void)flags;
	if (channel)
		channel->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return channel;
}

void mlx5dv_devx_destroy_event_channel(
	struct mlx5dv_devx_event_channel *channel)
{
	close(channel->fd);
	unmake("mlx5dv_devx_destroy_event_channel", channel);
}

int mlx5dv_devx_subscribe_devx_event(struct mlx5dv_devx_event_channel *channel,
				     struct mlx5dv_devx_obj *obj, uint16_t size,
				     uint16_t events[], uint64_t cookie)
{
	(void)channel, (void)obj, (void)size;
	if (fails("mlx5dv_devx_subscribe_devx_event"))
		return fake->error;
	fake->cookies[fake->subscriptions % 16] = cookie;
	fake->event_types[fake->subscriptions++ % 16] = events[0];
	return 0;
}

ssize_t mlx5dv_devx_get_event(struct mlx5dv_devx_event_channel *channel,
			      struct mlx5dv_devx_async_event_hdr *data,
			      size_t size)
{
	(void)channel, (void)size;
	if (!fake->event_count) {
		errno = EAGAIN;
		return -1;
	}
	data->cookie = fake->events[0];
	memmove(fake->events, fake->events + 1,
		sizeof(fake->events) - sizeof(fake->events[0]));
	fake->event_count--;
	return sizeof(*data);
}

/* ----------------------------------------------------------------- DEVX */

/* The number of every object is 0x123456; a refusal has a status. */
static int answer(const char *function, const void *in, void *out)
{
	uint8_t *bytes = out;

	memcpy(fake->last_in, in, sizeof(fake->last_in));
	if (fails(function)) {
		bytes[0] = (uint8_t)fake->status;
		return fake->error;
	}
	bytes[9] = 0x12;
	bytes[10] = 0x34;
	bytes[11] = 0x56;
	return 0;
}

int mlx5dv_devx_general_cmd(struct ibv_context *context, const void *in,
			    size_t in_len, void *out, size_t out_len)
{
	(void)context, (void)in_len, (void)out_len;
	return answer("mlx5dv_devx_general_cmd", in, out);
}

struct mlx5dv_devx_obj *mlx5dv_devx_obj_create(struct ibv_context *context,
					       const void *in, size_t in_len,
					       void *out, size_t out_len)
{
	(void)context, (void)in_len, (void)out_len;
	answer("mlx5dv_devx_obj_create", in, out);
	return make("mlx5dv_devx_obj_create", 8);
}

int mlx5dv_devx_obj_modify(struct mlx5dv_devx_obj *obj, const void *in,
			   size_t in_len, void *out, size_t out_len)
{
	(void)obj, (void)in_len, (void)out_len;
	return answer("mlx5dv_devx_obj_modify", in, out);
}

int mlx5dv_devx_obj_query(struct mlx5dv_devx_obj *obj, const void *in,
			  size_t in_len, void *out, size_t out_len)
{
	(void)obj, (void)in_len, (void)out_len;
	return answer("mlx5dv_devx_obj_query", in, out);
}

int mlx5dv_devx_obj_destroy(struct mlx5dv_devx_obj *obj)
{
	return unmake("mlx5dv_devx_obj_destroy", obj);
}

int mlx5dv_devx_query_eqn(struct ibv_context *context, uint32_t vector,
			  uint32_t *eqn)
{
	(void)context, (void)vector;
	if (fails("mlx5dv_devx_query_eqn"))
		return fake->error;
	*eqn = 9;
	return 0;
}

static struct mlx5dv_devx_umem *make_umem(const char *function)
{
	struct mlx5dv_devx_umem *umem = make(function, sizeof(*umem));

	if (umem)
		umem->umem_id = (uint32_t)fake->open_objects + 100;
	return umem;
}

struct mlx5dv_devx_umem *mlx5dv_devx_umem_reg(struct ibv_context *context,
					      void *addr, size_t size,
					      uint32_t access)
{
	(void)context, (void)addr, (void)size, (void)access;
	return make_umem("mlx5dv_devx_umem_reg");
}

struct mlx5dv_devx_umem *mlx5dv_devx_umem_reg_ex(struct ibv_context *context,
						 struct mlx5dv_devx_umem_in *in)
{
	(void)context;
	fake->umem = *in;
	return make_umem("mlx5dv_devx_umem_reg_ex");
}

int mlx5dv_devx_umem_dereg(struct mlx5dv_devx_umem *umem)
{
	return unmake("mlx5dv_devx_umem_dereg", umem);
}

/* As libmlx5: one uncached page for all, else two registers a page. */
struct mlx5dv_devx_uar *mlx5dv_devx_alloc_uar(struct ibv_context *context,
					      uint32_t flags)
{
	static struct mlx5dv_devx_uar singleton;
	uint32_t type = flags == 1u << 31 ? 1 : flags == 0 ? 2 : 4;
	struct mlx5dv_devx_uar *uar;
	int number;

	(void)context;
	errno = EOPNOTSUPP;
	if (!(fake->uar_types & type))
		return NULL;
	if (type == 4) {
		singleton.base_addr = pages[FAKE_PAGES - 1];
		singleton.reg_addr = pages[FAKE_PAGES - 1] + 0x800;
		singleton.page_id = 0x1000;
		return &singleton;
	}
	uar = make("mlx5dv_devx_alloc_uar", sizeof(*uar));
	if (!uar)
		return NULL;
	number = fake->uar_registers++;
	uar->base_addr = pages[number / 2 % FAKE_PAGES];
	uar->reg_addr =
		(uint8_t *)uar->base_addr + (number % 2 ? 0xa00 : 0x800);
	uar->page_id = (uint32_t)(number / 2 + 1) | type << 8;
	return uar;
}

void mlx5dv_devx_free_uar(struct mlx5dv_devx_uar *uar)
{
	if (uar->page_id != 0x1000)
		unmake("mlx5dv_devx_free_uar", uar);
}

/* ------------------------------------------- an older ABI, beside the new */

__asm__(".symver old_alloc_pd, ibv_alloc_pd@IBVERBS_1.0");
__asm__(".symver old_init_obj, mlx5dv_init_obj@MLX5_1.0");

struct ibv_pd *old_alloc_pd(struct ibv_context *context);
int old_init_obj(struct mlx5dv_obj *obj, uint64_t type);

struct ibv_pd *old_alloc_pd(struct ibv_context *context)
{
	(void)context;
	fake->old_calls++;
	return NULL;
}

int old_init_obj(struct mlx5dv_obj *obj, uint64_t type)
{
	(void)obj, (void)type;
	fake->old_calls++;
	return EINVAL;
}
