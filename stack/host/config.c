/* SPDX-License-Identifier: MIT */
/*
 * The configuration: defaults, environment, and the checks that need no
 * device.
 *
 * Thread: the caller's; reads the environment.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stack/host/internal.h"

enum { LANES_MAX = 256, SLOTS_MAX = 4096, BUFFERS_MAX = 65536 };

bool gda_parse_number(const char *text, uint64_t max, uint64_t *value)
{
	unsigned shift = 0;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*value = strtoull(text, &end, 0);
	if (errno)
		return false;
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	default:
		break;
	}
	if (shift)
		end++;
	if (*end || *value > max >> shift)
		return false;
	*value <<= shift;
	return true;
}

/* ---------------------------------------------------------- environment */

enum kind {
	KIND_TEXT,
	KIND_U32,
	KIND_U64,
	KIND_BOOL,
	KIND_NAME, /* an enum: the index in names, which are '|'-separated */
};

struct variable {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *names;
};

#define AT(field) offsetof(struct gda_config, field)

static const struct variable variables[] = {
	{"GDA_BACKEND", KIND_TEXT, AT(backend), NULL},
	{"GDA_HEAP_BYTES", KIND_U64, AT(heap_bytes), NULL},
	{"GDA_QPS_PER_PEER", KIND_U32, AT(qps_per_peer), NULL},
	{"GDA_QP_DEPTH", KIND_U32, AT(qp_depth), NULL},
	{"GDA_SHARED", KIND_NAME, AT(shared), "0|1|block"},
	{"GDA_QUEUE_PLACE", KIND_NAME, AT(queue_place), "host|gpu"},
	{"GDA_HEAP_PLACE", KIND_NAME, AT(heap_place), "host|gpu"},
	{"GDA_GPU_DMABUF", KIND_BOOL, AT(gpu_dmabuf), NULL},
	{"GDA_SHARED_UAR", KIND_BOOL, AT(shared_uar), NULL},
	{"GDA_CQ", KIND_NAME, AT(cq_mode), "collapsed|ring"},
	{"GDA_DOORBELL", KIND_NAME, AT(doorbell),
	 "classic|early|no-record|blueflame"},
	{"GDA_BATCH", KIND_U32, AT(batch), NULL},
	{"GDA_FETCH_SLOTS", KIND_U32, AT(fetch_slots), NULL},
	{"GDA_MAX_BUFFERS", KIND_U32, AT(max_buffers), NULL},
	{"GDA_TIMEOUT_MS", KIND_U32, AT(timeout_ms), NULL},
	{"GDA_OP_TIMEOUT_MS", KIND_U32, AT(op_timeout_ms), NULL},
	{"GDA_PERSONA", KIND_TEXT, AT(emu.persona), NULL},
	{"GDA_FABRIC", KIND_TEXT, AT(emu.fabric), NULL},
	{"GDA_TRACE", KIND_TEXT, AT(emu.trace), NULL},
	{"GDA_LINK", KIND_NAME, AT(emu.link), "ib|roce"},
	{"GDA_PROGRESS", KIND_NAME, AT(emu.progress), "both|hook|runner"},
	{"GDA_STRICT", KIND_BOOL, AT(emu.strict), NULL},
	{"GDA_START_COUNTER", KIND_U32, AT(emu.start_counter), NULL},
	{"GDA_DEVICE", KIND_TEXT, AT(mlx5.device), NULL},
	{"GDA_GID_INDEX", KIND_U32, AT(mlx5.gid_index), NULL},
	{"GDA_SERVICE_LEVEL", KIND_U32, AT(mlx5.service_level), NULL},
	{"GDA_TRAFFIC_CLASS", KIND_U32, AT(mlx5.traffic_class), NULL},
	{"GDA_RELAXED_ORDERING", KIND_BOOL, AT(mlx5.relaxed_ordering), NULL},
	{"GDA_LIBIBVERBS", KIND_TEXT, AT(mlx5.libibverbs), NULL},
	{"GDA_LIBMLX5", KIND_TEXT, AT(mlx5.libmlx5), NULL},
};

/* Index of word in a list separated by '|', or -1. */
static int find_name(const char *names, const char *word)
{
	size_t len = strlen(word);
	int index = 0;

	if (strchr(word, '|'))
		return -1;
	for (;; index++, names++) {
		if (!strncmp(names, word, len) &&
		    (names[len] == '|' || !names[len]))
			return index;
		names = strchr(names, '|');
		if (!names)
			return -1;
	}
}

static int refuse(const struct gda_config *config,
		  const struct variable *variable, const char *text,
		  const char *expected)
{
	return gda_fail(config, -EINVAL,
			"environment: %s is \"%s\", expected %s",
			variable->name, text, expected);
}

static int set(struct gda_config *config, const struct variable *variable,
	       const char *text)
{
	uint8_t *field = (uint8_t *)config + variable->offset;
	uint64_t max = variable->kind == KIND_U64 ? UINT64_MAX : UINT32_MAX;
	uint64_t value = 0;
	int index;

	switch (variable->kind) {
	case KIND_TEXT:
		memcpy(field, &text, sizeof(text));
		return 0;
	case KIND_BOOL:
		if (strcmp(text, "0") && strcmp(text, "1"))
			return refuse(config, variable, text, "0 or 1");
		*(bool *)field = text[0] == '1';
		return 0;
	case KIND_NAME:
		index = find_name(variable->names, text);
		if (index < 0)
			return refuse(config, variable, text, variable->names);
		memcpy(field, &index, sizeof(index));
		return 0;
	default:
		if (!gda_parse_number(text, max, &value))
			return refuse(config, variable, text,
				      "a number, with K, M or G if you like");
		memcpy(field, &value, variable->kind == KIND_U64 ? 8 : 4);
		return 0;
	}
}

static void set_defaults(struct gda_config *config)
{
	memset(config, 0, sizeof(*config));
	config->version = GDA_CONFIG_VERSION;
	config->backend = "auto";
	config->heap_bytes = 64 << 20;
	config->qps_per_peer = 1;
	config->qp_depth = 128;
	config->batch = 1;
	config->fetch_slots = 64;
	config->max_buffers = 64;
	config->timeout_ms = 30000;
	config->op_timeout_ms = 30000;
	config->mlx5.gid_index = GDA_GID_AUTO;
}

int gda_config_load(struct gda_config *config)
{
	const char *log = getenv("GDA_LOG");
	const char *text;
	size_t i;
	int rc;

	set_defaults(config);
	if (log && !strcmp(log, "stderr"))
		config->log = gda_log_stderr;
	else if (log && *log)
		return gda_fail(config, -EINVAL,
				"environment: GDA_LOG is \"%s\", expected "
				"stderr",
				log);
	rc = gda_launch_load(config);
	for (i = 0; !rc && i < sizeof(variables) / sizeof(variables[0]); i++) {
		text = getenv(variables[i].name);
		if (text)
			rc = set(config, &variables[i], text);
	}
	return rc;
}

/* --------------------------------------------------------------- checks */

struct range {
	const char *name;
	uint64_t value, min, max;
	bool power_of_two;
};

static int check_range(const struct gda_config *config,
		       const struct range *range)
{
	bool odd_one =
		range->power_of_two && (range->value & (range->value - 1));

	if (range->value >= range->min && range->value <= range->max &&
	    !odd_one)
		return 0;
	return gda_fail(
		config, -EINVAL, "config: %s is %llu, expected %s%llu to %llu",
		range->name, (unsigned long long)range->value,
		range->power_of_two ? "a power of two, " : "",
		(unsigned long long)range->min, (unsigned long long)range->max);
}

static int check_ranges(const struct gda_config *config)
{
	const struct range ranges[] = {
		{"heap_bytes", config->heap_bytes, 4096, 1ull << 46, false},
		{"qps_per_peer", config->qps_per_peer, 1, LANES_MAX, false},
		{"qp_depth", config->qp_depth, GDA_DEV_DEPTH_MIN,
		 GDA_DEV_DEPTH_MAX, true},
		{"batch", config->batch, 1, GDA_DEV_DEPTH_MAX, true},
		{"fetch_slots", config->fetch_slots, 1, SLOTS_MAX, false},
		{"max_buffers", config->max_buffers, 0, BUFFERS_MAX, false},
		{"timeout_ms", config->timeout_ms, 1, 1u << 30, false},
		{"npes", (uint64_t)config->npes, 1, 1 << GDA_DEV_BARRIER_ROUNDS,
		 false},
		{"pe", (uint64_t)config->pe, 0, (uint64_t)config->npes - 1,
		 false},
		{"shared", config->shared, 0, GDA_SHARED_BLOCK, false},
		{"queue_place", config->queue_place, 0, GDA_PLACE_GPU, false},
		{"heap_place", config->heap_place, 0, GDA_PLACE_GPU, false},
		{"cq_mode", config->cq_mode, 0, GDA_CQ_RING, false},
		{"doorbell", config->doorbell, 0, GDA_DOORBELL_BLUEFLAME,
		 false},
		{"mlx5.gid_index", config->mlx5.gid_index, 0, GDA_GID_AUTO,
		 false},
		{"mlx5.service_level", config->mlx5.service_level, 0, 15,
		 false},
		{"mlx5.traffic_class", config->mlx5.traffic_class, 0, 255,
		 false},
	};
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < sizeof(ranges) / sizeof(ranges[0]); i++)
		rc = check_range(config, &ranges[i]);
	return rc;
}

/* GPU memory comes from who holds the CUDA context. */
static int check_places(const struct gda_config *config)
{
	bool queue = config->queue_place == GDA_PLACE_GPU;
	bool heap = config->heap_place == GDA_PLACE_GPU;

	if ((queue || heap) && !config->gpu)
		return gda_fail(config, -EINVAL,
				"config: %s is gpu, and gpu is NULL, expected "
				"who allocates its memory",
				queue ? "queue_place" : "heap_place");
	if (config->gpu_dmabuf && config->gpu && !config->gpu->dmabuf)
		return gda_fail(config, -EINVAL,
				"config: gpu_dmabuf is set, and gpu->dmabuf is "
				"NULL, expected a function");
	return 0;
}

int gda_config_check(const struct gda_config *config)
{
	int rc;

	if (config->version != GDA_CONFIG_VERSION)
		return gda_fail(NULL, -EINVAL,
				"config: version is %u, expected %d: start "
				"from gda_config_load()",
				config->version, GDA_CONFIG_VERSION);
	if (config->npes < 1 || config->pe < 0)
		return gda_fail(config, -EINVAL,
				"config: npes is %d and pe is %d, expected a "
				"count and a number below it (GDA_NPES, GDA_PE "
				"or a launcher sets them)",
				config->npes, config->pe);
	if (!config->backend || !config->root || !config->job)
		return gda_fail(config, -EINVAL,
				"config: %s is NULL, expected a string",
				!config->backend ? "backend"
				: !config->root	 ? "root"
						 : "job");
	rc = check_ranges(config);
	return rc ? rc : check_places(config);
}
