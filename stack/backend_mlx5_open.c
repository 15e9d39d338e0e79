/* SPDX-License-Identifier: MIT */
/*
 * Which device and port a ConnectX backend uses: the one that the config
 * names, or the first with an active port. Opened with DEVX, because the stack
 * sends its own mailboxes.
 *
 * Source of truth: rdma-core providers/mlx5/man/mlx5dv_open_device.3.md; the
 * Linux kernel's mlx5_ib_devx_create() for why DEVX is refused.
 * Thread: any.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/backend_mlx5.h"
#include "stack/host/internal.h"

/* What was looked at, and why it was not taken: grows into one sentence. */
struct search {
	const char *name; /* of the device; NULL: any */
	size_t name_len;
	uint8_t port; /* 0: any */
	unsigned seen;
	int rc; /* of the last that was not taken */
	size_t used;
	char text[320];
};

static void note(struct search *search, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct search *search, const char *fmt, ...)
{
	size_t room = sizeof(search->text) - search->used;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(search->text + search->used, room, fmt, args);
	va_end(args);
	if (len > 0)
		search->used += (size_t)len < room ? (size_t)len : room - 1;
}

/* --------------------------------------------------------------- config */

/* An option that would change what the program does must not be dropped. */
static int refuse_emu_options(const struct gda_config *config)
{
	const struct gda_emu_config *emu = &config->emu;
	char option[96] = "";

	if (emu->persona)
		snprintf(option, sizeof(option), "persona is \"%s\"",
			 emu->persona);
	else if (emu->trace)
		snprintf(option, sizeof(option), "trace is \"%s\"", emu->trace);
	else if (emu->strict)
		snprintf(option, sizeof(option), "strict is set");
	else if (emu->start_counter)
		snprintf(option, sizeof(option), "start_counter is 0x%x",
			 emu->start_counter);
	if (!option[0])
		return 0;
	return gda_fail(config, -EINVAL,
			"config: emu.%s, and backend mlx5 has no such option "
			"(GDA_BACKEND=emu has; behind the emulated kernel "
			"device it is one of belfry run)",
			option);
}

/* "mlx5_0" or "mlx5_0:1" */
static int parse_device(const struct gda_config *config, struct search *search)
{
	const char *text = config->mlx5.device;
	const char *colon;
	uint64_t port = 0;

	memset(search, 0, sizeof(*search));
	if (!text)
		return 0;
	colon = strchr(text, ':');
	search->name = text;
	search->name_len = colon ? (size_t)(colon - text) : strlen(text);
	if (search->name_len &&
	    (!colon ||
	     (gda_parse_number(colon + 1, UINT8_MAX, &port) && port))) {
		search->port = (uint8_t)port;
		return 0;
	}
	return gda_fail(config, -EINVAL,
			"config: mlx5.device is \"%s\", expected a name and "
			"maybe a port, as in mlx5_0 or mlx5_0:1",
			text);
}

/* ----------------------------------------------------------- one device */

static const char *open_mend(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return "may this user write to /dev/infiniband/uverbs*, and is "
		       "it in the container? Old kernels also want CAP_NET_RAW "
		       "for DEVX";
	case EINVAL:
	case EOPNOTSUPP:
	case EPROTONOSUPPORT:
		return "DEVX is missing: mlxconfig set UCTX_EN=1, and Linux "
		       "5.4 or a newer OFED";
	case ENOMEM:
		return "ulimit -l unlimited?";
	default:
		return "is the driver healthy (dmesg)?";
	}
}

static int open_context(struct gda_backend *backend, struct ibv_device *device,
			struct search *search)
{
	struct mlx5dv_context_attr attr = {.flags = MLX5DV_CONTEXT_FLAGS_DEVX};

	errno = EIO;
	backend->context = backend->lib.open_device(device, &attr);
	if (backend->context)
		return 0;
	search->rc = errno ? -errno : -EIO;
	note(search, "; %s: not opened: %s (%s)",
	     backend->lib.get_device_name(device), strerror(-search->rc),
	     open_mend(-search->rc));
	return search->rc;
}

static const char *state_name(enum ibv_port_state state)
{
	static const char *const names[] = {"NOP",   "DOWN",   "INIT",
					    "ARMED", "ACTIVE", "ACTIVE_DEFER"};

	return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state]
								  : "?";
}

static bool take_port(struct gda_backend *backend, uint8_t number,
		      struct search *search)
{
	const char *device =
		backend->lib.get_device_name(backend->context->device);
	struct ibv_port_attr attr = {0};
	int rc = backend->lib.query_port(backend->context, number,
					 (void *)&attr);

	if (rc || attr.state != IBV_PORT_ACTIVE) {
		search->rc = -ENODEV;
		note(search, "; %s port %u: %s", device, number,
		     rc ? strerror(abs(rc)) : state_name(attr.state));
		return false;
	}
	backend->port = number;
	backend->link = attr.link_layer == IBV_LINK_LAYER_ETHERNET
				? GDA_LINK_ROCE
				: GDA_LINK_IB;
	backend->grh_required = attr.flags & IBV_QPF_GRH_REQUIRED;
	snprintf(backend->name, sizeof(backend->name), "%s port %u", device,
		 number);
	return true;
}

static int take_any_port(struct gda_backend *backend, struct search *search)
{
	struct ibv_device_attr attr = {0};
	unsigned number;
	int rc = backend->lib.query_device(backend->context, &attr);

	if (rc) {
		search->rc = -abs(rc);
		note(search, "; %s: cannot be queried: %s",
		     backend->lib.get_device_name(backend->context->device),
		     strerror(abs(rc)));
		return search->rc;
	}
	for (number = 1; number <= attr.phys_port_cnt; number++)
		if ((!search->port || search->port == number) &&
		    take_port(backend, (uint8_t)number, search))
			return 0;
	if (search->port > attr.phys_port_cnt) {
		search->rc = -ENODEV;
		note(search, "; it has %u ports, not %u", attr.phys_port_cnt,
		     search->port);
	}
	return search->rc;
}

static bool is_named(const struct search *search, const char *name)
{
	return !search->name || (strlen(name) == search->name_len &&
				 !memcmp(name, search->name, search->name_len));
}

static int try_device(struct gda_backend *backend, struct ibv_device *device,
		      struct search *search)
{
	const char *name = backend->lib.get_device_name(device);
	int rc;

	if (!backend->lib.is_supported(device))
		return -ENODEV;
	if (!is_named(search, name)) {
		note(search, "; %s is there", name);
		return -ENODEV;
	}
	search->seen++;
	rc = open_context(backend, device, search);
	if (rc)
		return rc;
	rc = take_any_port(backend, search);
	if (!rc)
		return 0;
	backend->lib.close_device(backend->context);
	backend->context = NULL;
	return rc;
}

/* ---------------------------------------------------------- all devices */

/* Nothing was taken. The text begins with a separator, if there is one. */
static int tell_none(const struct gda_config *config,
		     const struct search *search)
{
	const char *found = search->used ? search->text + 2 : "none is there";

	if (!search->seen && search->name)
		return gda_fail(config, -ENODEV,
				"config: mlx5.device is \"%s\", and no mlx5 "
				"device has that name: %s",
				config->mlx5.device, found);
	if (!search->seen)
		return gda_fail(config, -ENODEV,
				"mlx5: libibverbs lists no mlx5 device "
				"(are the modules mlx5_ib and ib_uverbs "
				"loaded, is /dev/infiniband here, and the "
				"library as new as the device? "
				"GDA_BACKEND=emu needs no device)");
	return gda_fail(config, search->rc,
			"mlx5: no device with an active port: %s", found);
}

static int find_device(struct gda_backend *backend, struct search *search)
{
	struct ibv_device **devices;
	int i, count = 0, rc = -ENODEV;

	devices = backend->lib.get_device_list(&count);
	for (i = 0; devices && rc && i < count; i++)
		rc = try_device(backend, devices[i], search);
	/* An open context holds on to its device. */
	if (devices)
		backend->lib.free_device_list(devices);
	return rc ? tell_none(backend->config, search) : 0;
}

static int find(struct gda_backend *backend, struct search *search)
{
	int rc = gda_mlx5_lib_open(backend->config, &backend->lib);

	if (rc)
		return rc;
	rc = find_device(backend, search);
	if (rc)
		gda_mlx5_lib_close(&backend->lib);
	return rc;
}

/* The board's own name of itself, from where libibverbs reads it. */
static bool is_emulated(const struct gda_backend *backend)
{
	char path[160], board[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/board_id",
		 backend->lib.get_device_name(backend->context->device));
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(board, sizeof(board), file))
		board[0] = 0;
	fclose(file);
	return !strncmp(board, GDA_MLX5_EMULATED_BOARD,
			sizeof(GDA_MLX5_EMULATED_BOARD) - 1);
}

static void log_device(const struct gda_backend *backend)
{
	gda_log(backend->config, GDA_LOG_INFO,
		"PE %d: %s: %s, GID index %u, %s registers",
		backend->config->pe, backend->name,
		backend->link == GDA_LINK_ROCE ? "RoCE" : "InfiniBand",
		backend->gid_index,
		backend->emulated ? "an emulated device's" : "hardware");
}

static int open_found(struct gda_backend *backend)
{
	int rc = gda_mlx5_choose_gid(backend);

	if (rc) {
		backend->lib.close_device(backend->context);
		gda_mlx5_lib_close(&backend->lib);
		return rc;
	}
	backend->emulated = is_emulated(backend);
	pthread_mutex_init(&backend->lock, NULL);
	gda_mlx5_events_open(backend);
	log_device(backend);
	return 0;
}

int gda_mlx5_open(const struct gda_config *config, struct gda_backend **out)
{
	struct gda_backend *backend;
	struct search search;
	int rc = refuse_emu_options(config);

	if (!rc)
		rc = parse_device(config, &search);
	if (rc)
		return rc;
	backend = calloc(1, sizeof(*backend));
	if (!backend)
		return gda_fail(config, -ENOMEM, "mlx5: no memory");
	backend->config = config;
	rc = find(backend, &search);
	if (!rc)
		rc = open_found(backend);
	if (rc) {
		free(backend);
		return rc;
	}
	*out = backend;
	return 0;
}

void gda_mlx5_close(struct gda_backend *backend)
{
	gda_mlx5_uars_close(backend);
	gda_mlx5_events_close(backend);
	if (backend->pd)
		backend->lib.dealloc_pd(backend->pd);
	backend->lib.close_device(backend->context);
	gda_mlx5_lib_close(&backend->lib);
	pthread_mutex_destroy(&backend->lock);
	free(backend);
}

/*
 * A device that is there but cannot be used counts as there: open() then says
 * why, which is better than a cluster that emulates without a word.
 */
int gda_mlx5_probe(const struct gda_config *config, char *why, size_t size)
{
	struct gda_config quiet = *config;
	struct gda_backend backend = {.config = &quiet};
	struct search search;
	int rc;

	quiet.log = NULL;
	rc = parse_device(&quiet, &search);
	if (!rc)
		rc = find(&backend, &search);
	if (!rc) {
		snprintf(why, size, "%s is active", backend.name);
		backend.lib.close_device(backend.context);
		gda_mlx5_lib_close(&backend.lib);
		return 0;
	}
	gda_take_error(why, size);
	return search.name || rc != -ENODEV ? 0 : rc;
}
