/* SPDX-License-Identifier: MIT */
/*
 * The emulated ConnectX as a backend: a NIC of our own in this process.
 *
 * Everything that a driver sends as a mailbox goes to nic_cmd as a mailbox.
 * A doorbell is a plain store that wakes nobody, so the NIC moves when a
 * polling thread calls the pause hook, and a runner thread serves it while
 * nobody polls (GDA_PROGRESS_*).
 *
 * Source of truth: stack/backend.h, emu/nic.h; which command destroys which
 * object: the Linux kernel's drivers/infiniband/hw/mlx5/devx.c.
 * Not modelled: GPU memory.
 * Thread: any; the pause hook: any number at a time.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/nic.h"
#include "emu/runner.h"
#include "emu/wire.h"
#include "hw/cmd_qp.h"
#include "hw/doorbell.h"
#include "stack/backend.h"
#include "stack/host/internal.h"
#include "stack/host/local.h"

enum {
	EVENTS_MAX = 64,
	/* Pauses without work after which the core is given to others. */
	IDLE_ROUNDS = 32,
	/* A hook that ran so recently needs no help of the runner. */
	HOOK_FRESH_NS = 100000,
};

struct gda_backend {
	const struct gda_config *config;
	struct nic *nic;
	struct nic_runner *runner;
	uint64_t hook_ns; /* when a hook stepped last; atomic */
	uint32_t pdn;

	pthread_mutex_t lock; /* events */
	struct gda_event events[EVENTS_MAX];
	unsigned event_first, event_count;
};

struct gda_obj {
	struct gda_backend *backend;
	uint16_t destroy_opcode;
	uint32_t number;
};

/* ------------------------------------------------- callbacks of the NIC */

static void on_log(void *arg, enum nic_log_level level, const char *text)
{
	struct gda_backend *backend = arg;

	/* The levels are the same three, in the same order. */
	gda_log(backend->config, (enum gda_log_level)level, "PE %d: NIC: %s",
		backend->config->pe, text);
}

/* GDA_EVENT_* + 1; 0: not for the stack */
static const uint8_t event_types[] = {
	[NIC_EVENT_CQ_ERROR] = GDA_EVENT_CQ_ERROR + 1,
	[NIC_EVENT_QP_FATAL] = GDA_EVENT_QP_FATAL + 1,
	[NIC_EVENT_QP_REQ_ERR] = GDA_EVENT_QP_OTHER + 1,
	[NIC_EVENT_QP_ACCESS_ERR] = GDA_EVENT_QP_OTHER + 1,
	[NIC_EVENT_SRQ_LIMIT] = 0,
};

/* The oldest stay: they tell how it began. */
static void on_event(void *arg, const struct nic_event *event)
{
	struct gda_backend *backend = arg;
	struct gda_event mine = {.number = event->number};

	if (!event_types[event->type])
		return;
	mine.type = (enum gda_event_type)(event_types[event->type] - 1);
	pthread_mutex_lock(&backend->lock);
	if (backend->event_count < EVENTS_MAX)
		backend->events[(backend->event_first +
				 backend->event_count++) %
				EVENTS_MAX] = mine;
	pthread_mutex_unlock(&backend->lock);
}

/*
 * A thread that polls will find the packet itself. If it stops polling just
 * now, the runner finds it at its next look at the doorbells, 1 ms on.
 */
static void on_wake(void *arg)
{
	struct gda_backend *backend = arg;
	uint64_t last = __atomic_load_n(&backend->hook_ns, __ATOMIC_RELAXED);
	struct nic_runner *runner =
		__atomic_load_n(&backend->runner, __ATOMIC_ACQUIRE);

	if (runner && nic_runner_now_ns() - last > HOOK_FRESH_NS)
		nic_runner_wake(runner);
}

/* -------------------------------------------------------- open and close */

static int parse_persona(const struct gda_config *config,
			 enum nic_persona *persona)
{
	static const char *const names[] = {
		[NIC_CONNECTX_5] = "connectx-5",
		[NIC_CONNECTX_6] = "connectx-6",
		[NIC_CONNECTX_7] = "connectx-7",
		[NIC_CONNECTX_8] = "connectx-8",
	};
	const char *name = config->emu.persona;
	size_t i;

	*persona = NIC_CONNECTX_7;
	if (!name)
		return 0;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name))
			continue;
		*persona = (enum nic_persona)i;
		return 0;
	}
	return gda_fail(config, -EINVAL,
			"config: emu.persona is \"%s\", expected connectx-5, "
			"-6, -7 or -8",
			name);
}

static int make_nic(struct gda_backend *backend)
{
	const struct gda_config *config = backend->config;
	struct nic_config nic = {
		.link = config->emu.link == GDA_LINK_ROCE ? NIC_LINK_ROCE
							  : NIC_LINK_IB,
		.progress = config->emu.strict ? NIC_STRICT : NIC_COMPAT,
		.start_counter = config->emu.start_counter,
		.arg = backend,
		.log = on_log,
		.event = on_event,
		.wake = on_wake,
	};
	int rc = parse_persona(config, &nic.persona);

	if (rc)
		return rc;
	backend->nic = nic_create(&nic);
	if (!backend->nic)
		return gda_fail(config, -errno, "emulated NIC: not made: %s",
				strerror(errno));
	return 0;
}

static int attach_wire(struct gda_backend *backend)
{
	const struct gda_config *config = backend->config;
	char why[256] = "";
	int rc;

	if (config->group)
		rc = wire_loop_attach(gda_local_fabric(config->group),
				      backend->nic);
	else
		rc = wire_shm_attach(config->emu.fabric, backend->nic, why,
				     sizeof(why));
	if (rc)
		return gda_fail(config, rc, "emulated NIC: no wire: %s",
				why[0] ? why : gda_strerror(rc));
	return 0;
}

static int start_runner(struct gda_backend *backend)
{
	struct nic_runner_config runner = {.cpu = -1};
	struct nic_runner *started;
	int rc;

	if (backend->config->emu.progress == GDA_PROGRESS_HOOK)
		return 0;
	started = nic_runner_start(&runner);
	if (!started)
		return gda_fail(backend->config, -errno,
				"emulated NIC: no runner thread: %s",
				strerror(errno));
	__atomic_store_n(&backend->runner, started, __ATOMIC_RELEASE);
	rc = nic_runner_add(started, backend->nic);
	if (!rc)
		return 0;
	backend->runner = NULL;
	nic_runner_stop(started);
	return gda_fail(backend->config, rc, "emulated NIC: no runner: %s",
			gda_strerror(rc));
}

static bool is_group_hook(const struct gda_config *config)
{
	return config->group && config->emu.progress == GDA_PROGRESS_HOOK;
}

static int open_nic(struct gda_backend *backend)
{
	int rc = make_nic(backend);

	if (rc)
		return rc;
	rc = attach_wire(backend);
	if (!rc)
		rc = start_runner(backend);
	if (rc) {
		nic_destroy(backend->nic);
		return rc;
	}
	if (is_group_hook(backend->config))
		gda_local_set_nic(backend->config->group, backend->config->pe,
				  backend->nic);
	return 0;
}

static int emu_open(const struct gda_config *config, struct gda_backend **out)
{
	struct gda_backend *backend = calloc(1, sizeof(*backend));
	int rc;

	if (!backend)
		return gda_fail(config, -ENOMEM, "emulated NIC: no memory");
	backend->config = config;
	pthread_mutex_init(&backend->lock, NULL);
	rc = open_nic(backend);
	if (rc) {
		pthread_mutex_destroy(&backend->lock);
		free(backend);
		return rc;
	}
	*out = backend;
	return 0;
}

static void emu_close(struct gda_backend *backend)
{
	if (is_group_hook(backend->config))
		gda_local_set_nic(backend->config->group, backend->config->pe,
				  NULL);
	if (backend->runner)
		nic_runner_remove(backend->runner, backend->nic);
	/* The wire first: until it is gone, others may want us to wake up. */
	nic_destroy(backend->nic);
	if (backend->runner)
		nic_runner_stop(backend->runner);
	pthread_mutex_destroy(&backend->lock);
	free(backend);
}

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
	return 0;
}

/* ------------------------------------------------------ memory, doorbells */

static int to_nic_mem(struct gda_backend *backend, const struct gda_mem *mem,
		      struct nic_mem *to)
{
	if (mem->kind != GDA_MEM_HOST)
		return gda_fail(backend->config, -ENOTSUP,
				"memory: kind is %d, the emulated NIC takes "
				"host memory (%d) only",
				mem->kind, GDA_MEM_HOST);
	to->addr = mem->addr;
	to->len = mem->len;
	to->kind = NIC_MEM_HOST;
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

/* ---------------------------------------------------- events, progress */

static int emu_event_poll(struct gda_backend *backend, struct gda_event *event)
{
	int found = 0;

	pthread_mutex_lock(&backend->lock);
	if (backend->event_count) {
		*event = backend->events[backend->event_first];
		backend->event_first = (backend->event_first + 1) % EVENTS_MAX;
		backend->event_count--;
		found = 1;
	}
	pthread_mutex_unlock(&backend->lock);
	return found;
}

static bool step(struct gda_backend *backend)
{
	uint64_t now_ns = nic_runner_now_ns();

	if (is_group_hook(backend->config))
		return gda_local_step(backend->config->group, now_ns);
	__atomic_store_n(&backend->hook_ns, now_ns, __ATOMIC_RELAXED);
	return nic_try_step(backend->nic, now_ns);
}

/* Let somebody else have the core now and then: maybe whom we wait for. */
static void rest(bool busy)
{
	static _Thread_local unsigned idle_rounds;

	idle_rounds = busy ? 0 : idle_rounds + 1;
	if (idle_rounds < IDLE_ROUNDS)
		return;
	idle_rounds = 0;
	sched_yield();
}

static void pause_and_step(void *arg)
{
	rest(step(arg));
}

static void pause_only(void *arg)
{
	(void)arg;
	rest(false);
}

static void emu_progress(struct gda_backend *backend)
{
	if (backend->config->emu.progress != GDA_PROGRESS_RUNNER)
		step(backend);
}

static void emu_pause_hook(struct gda_backend *backend, gda_pause_fn **fn,
			   void **arg)
{
	*fn = backend->config->emu.progress == GDA_PROGRESS_RUNNER
		      ? pause_only
		      : pause_and_step;
	*arg = backend;
}

const struct gda_backend_ops gda_backend_emu = {
	.name = "emu",
	.polled_registers = true,
	.open = emu_open,
	.close = emu_close,
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
	.event_poll = emu_event_poll,
	.progress = emu_progress,
	.pause_hook = emu_pause_hook,
};
