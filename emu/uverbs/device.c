/* SPDX-License-Identifier: MIT */
/*
 * The NICs of this process: made when one is first asked for, on a fabric of
 * shared memory, moved by one thread.
 *
 * A forked child forgets them (they are the parent's) and makes its own when
 * it needs them. Nothing is freed at the end of the process, because other
 * threads may still be in a call; the NICs only leave the fabric.
 *
 * Thread: any; one lock is held while NICs are made and while the process
 * forks or ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "emu/core.h"
#include "emu/runner.h"
#include "emu/uverbs/device.h"
#include "emu/uverbs/fd.h"
#include "emu/uverbs/limits.h"
#include "emu/uverbs/mapping.h"
#include "emu/uverbs/real.h"
#include "emu/uverbs/sysfs.h"
#include "emu/wire.h"

struct uv_device {
	unsigned index;
	struct nic *nic;
	struct uv_device_info info;
};

enum {
	/* A crowd of processes that start at once keeps the fabric locked. */
	ATTACH_ATTEMPTS = 10,
	/* Steps for the last answers of a process that ends. */
	LAST_STEPS = 64,
	/* Where cores are few: for the answer to what was just sent. */
	SHORT_SPIN_NS = 2000,
	GPU_SPIN_NS = 10 * 1000 * 1000,
	SLICE_NS = 100000,
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct uv_device store[UV_NICS_MAX];
static struct uv_device *devices[UV_NICS_MAX]; /* NULL: not made */
static int failed[UV_NICS_MAX];		       /* errno, not tried again */
static struct nic_runner *runner;
static int trace_fd = -1;
static bool started, ended;
static void (*event_handler)(struct uv_device *, const struct nic_event *);

/* ------------------------------------------------------------ callbacks */

static void on_log(void *arg, enum nic_log_level level, const char *text)
{
	const struct uv_device *device = arg;

	uv_say(level, "mlx5_%u: %s", device->index, text);
}

/* What the state of the port is called. */
static void set_port_state(struct uv_device_info *info, bool active)
{
	info->port.active = active;
	info->state = active ? UV_PORT_ACTIVE : UV_PORT_DOWN;
	info->phys_state = UV_LINK_UP;
	if (!active)
		info->phys_state =
			info->link == NIC_LINK_ROCE ? UV_DISABLED : UV_POLLING;
}

/* Without a call to the NIC, which has called. */
static void show_port(const struct uv_device *device, bool active)
{
	struct uv_device_info info = device->info;

	set_port_state(&info, active);
	uv_enter();
	uv_sysfs_show_port(&info);
	uv_leave();
}

static void on_event(void *arg, const struct nic_event *event)
{
	void (*handler)(struct uv_device *, const struct nic_event *) =
		__atomic_load_n(&event_handler, __ATOMIC_ACQUIRE);

	if (event->type == NIC_EVENT_PORT_DOWN ||
	    event->type == NIC_EVENT_PORT_ACTIVE)
		show_port(arg, event->type == NIC_EVENT_PORT_ACTIVE);
	if (handler)
		handler(arg, event);
}

static void on_trace(void *arg, const struct nic_trace_record *record)
{
	const struct uv_device *device = arg;
	char line[512];
	int len;

	len = snprintf(line, sizeof(line), "%d mlx5_%u ", getpid(),
		       device->index);
	len += nic_trace_format(record, line + len,
				sizeof(line) - (size_t)len - 1);
	if ((size_t)len > sizeof(line) - 1)
		len = (int)sizeof(line) - 1;
	line[len++] = '\n';
	/* One write to a file opened for appending: lines stay whole. */
	(void)!write(trace_fd, line, (size_t)len);
}

static void on_wake(void *arg)
{
	(void)arg;
	nic_runner_wake(runner);
}

void uv_device_set_event(void (*handler)(struct uv_device *,
					 const struct nic_event *))
{
	__atomic_store_n(&event_handler, handler, __ATOMIC_RELEASE);
}

/* ----------------------------------------------------------------- make */

static void open_trace(void)
{
	const char *name = uv_config()->trace;

	if (!name || trace_fd >= 0)
		return;
	trace_fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (trace_fd < 0)
		uv_say(NIC_LOG_ERROR, "no trace: %s: %s", name,
		       strerror(errno));
}

/*
 * The runner's first call. Where the program polls on every core, the runner
 * has to take one from it the moment that a packet comes, or each message
 * waits for the end of a time slice. A real-time priority does that; without
 * the right to one, a short slice helps where the kernel (6.12) knows it.
 */
static void begin_runner(void)
{
	const struct sched_param first = {.sched_priority = 1};
	struct slice {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime_ns, deadline_ns, period_ns;
	} slice = {.size = sizeof(slice), .runtime_ns = SLICE_NS};

	uv_enter();
	if (!uv_mapping_traps())
		return;
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &first))
		syscall(SYS_sched_setattr, 0, &slice, 0);
}

/* What all NICs share. Returns 0 or -errno. */
static int start(void)
{
	const struct nic_runner_config config = {
		.cpu = -1,
		.begin = begin_runner,
		.spin_ns = uv_mapping_traps() ? SHORT_SPIN_NS : 0,
	};

	if (ended)
		return -ENODEV;
	if (started)
		return 0;
	uv_former_image_gone();
	open_trace();
	runner = nic_runner_start(&config);
	if (!runner) {
		uv_say(NIC_LOG_ERROR, "no thread for the NICs: %s",
		       strerror(errno));
		return -errno;
	}
	started = true;
	return 0;
}

static int attach(struct nic *nic)
{
	int status = -ETIMEDOUT;
	char error[512] = "";

	for (unsigned i = 0; i < ATTACH_ATTEMPTS && status == -ETIMEDOUT; i++)
		status = wire_shm_attach(uv_config()->fabric, nic, error,
					 sizeof(error));
	if (status)
		uv_say(NIC_LOG_ERROR, "no NIC: %s", error);
	return status;
}

static void describe(struct uv_device *device)
{
	const struct uv_config *config = uv_config();
	struct uv_device_info *info = &device->info;

	snprintf(info->name, sizeof(info->name), "mlx5_%u", device->index);
	snprintf(info->firmware, sizeof(info->firmware), "%d.%d.%04d",
		 UV_FW_MAJOR, UV_FW_MINOR, UV_FW_SUB);
	info->device_id = nic_persona_info(config->persona)->device_id;
	info->link = config->link;
	nic_query_port(device->nic, &info->port);
	info->guid = 0;
	for (unsigned i = 8; i < 16; i++)
		info->guid = info->guid << 8 | info->port.gid[i];
}

static int make(struct uv_device *device)
{
	const struct uv_config *config = uv_config();
	struct nic_config nic_config = {
		.persona = config->persona,
		.link = config->link,
		.idle_dc = config->idle_dc,
		.arg = device,
		.log = on_log,
		.event = on_event,
		.wake = on_wake,
	};
	int status = start();

	if (status)
		return status;
	if (trace_fd >= 0)
		nic_config.trace = on_trace;
	device->nic = nic_create(&nic_config);
	if (!device->nic)
		return -errno;
	status = attach(device->nic);
	if (!status)
		status = nic_runner_add(runner, device->nic);
	if (status) {
		nic_destroy(device->nic);
		device->nic = NULL;
		return status;
	}
	if (trace_fd >= 0)
		nic_trace_enable(device->nic, "*");
	describe(device);
	return 0;
}

struct uv_device *uv_device_get(unsigned index)
{
	struct uv_device *device;

	if (index >= uv_config()->nics) {
		errno = ENODEV;
		return NULL;
	}
	device = __atomic_load_n(&devices[index], __ATOMIC_ACQUIRE);
	if (device)
		return device;
	if (!uv_fd_mine()) {
		errno = ENODEV;
		return NULL;
	}
	uv_enter();
	pthread_mutex_lock(&lock);
	device = devices[index];
	if (!device && !failed[index]) {
		store[index].index = index;
		failed[index] = -make(&store[index]);
		if (!failed[index])
			device = &store[index];
		/* Release: who sees it sees the NIC. */
		__atomic_store_n(&devices[index], device, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&lock);
	uv_leave();
	if (!device)
		errno = failed[index];
	return device;
}

struct uv_device *uv_device_made(unsigned index)
{
	return __atomic_load_n(&devices[index], __ATOMIC_ACQUIRE);
}

/* Addresses stay what they were when the NIC was made; the link does not. */
void uv_device_describe(struct uv_device *device, struct uv_device_info *info)
{
	struct nic_port port;

	nic_query_port(device->nic, &port);
	*info = device->info;
	set_port_state(info, port.active);
}

struct nic *uv_device_nic(struct uv_device *device)
{
	return device->nic;
}

/*
 * On few cores the program needs them more than the runner, and it stays with
 * looks as far apart as they ever are.
 */
void uv_device_rung_by_gpu(int more)
{
	static int pages;
	int now = __atomic_add_fetch(&pages, more, __ATOMIC_RELAXED);

	if (started && !uv_mapping_traps())
		nic_runner_set_spin(runner, now > 0 ? GPU_SPIN_NS : 0);
}

/* ----------------------------------------------------------------- fork */

static void before_fork(void)
{
	/* In the order of uv_sysfs_root(), which asks for devices. */
	uv_sysfs_before_fork();
	pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&lock);
	uv_sysfs_after_fork(false);
}

/* Only what is allowed after fork() in a program with threads. */
static void after_fork_child(void)
{
	for (unsigned i = 0; i < UV_NICS_MAX; i++) {
		devices[i] = NULL;
		failed[i] = 0;
	}
	runner = NULL;
	trace_fd = -1;
	started = false;
	uv_context_after_fork();
	uv_fd_after_fork();
	pthread_mutex_unlock(&lock);
	uv_sysfs_after_fork(true);
}

/* ------------------------------------------------------ begin and end */

__attribute__((constructor)) static void begin(void)
{
	(void)uv_fd_mine();
	uv_config();
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
	uv_former_image_gone();
}

void uv_settle(struct nic *nic)
{
	for (unsigned i = 0; i < LAST_STEPS; i++)
		if (nic_step(nic, nic_runner_now_ns()) == NIC_STEP_IDLE)
			break;
}

static void leave(struct uv_device *device)
{
	uv_settle(device->nic);
	nic_detach_wire(device->nic);
}

/* A child of vfork() that ends by exit() must leave all as it is. */
__attribute__((destructor)) static void end(void)
{
	/* So must a signal handler that ends the process from within. */
	if (!started || !uv_fd_mine() || uv_in_call())
		return;
	uv_enter();
	pthread_mutex_lock(&lock);
	ended = true;
	nic_runner_halt(runner);
	for (unsigned i = 0; i < UV_NICS_MAX; i++)
		if (devices[i])
			leave(devices[i]);
	pthread_mutex_unlock(&lock);
	uv_sysfs_remove();
	uv_leave();
}
