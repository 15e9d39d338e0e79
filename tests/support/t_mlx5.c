/* SPDX-License-Identifier: MIT */
/*
 * Backend mlx5 on fake libraries: see t_mlx5.h.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/t_mlx5.h"
#include "support/t_pes.h"

struct t_mlx5 t_mlx5;

static struct t_mlx5 *const t = &t_mlx5;

static void remember(void *arg, enum gda_log_level level, const char *text)
{
	size_t used = strlen(t->log_text);

	(void)arg, (void)level;
	snprintf(t->log_text + used, sizeof(t->log_text) - used, "%s\n", text);
}

void t_mlx5_gid(uint32_t index, enum ibv_gid_type type, const char *text)
{
	struct ibv_gid_entry *entry = &t->fake->gids[index];

	entry->port_num = 1;
	entry->gid_type = type;
	inet_pton(AF_INET6, text, entry->gid.raw);
}

void t_mlx5_device(int index, const char *name, enum ibv_port_state state,
		   uint8_t link_layer)
{
	struct fake_device *device = &t->fake->devices[index];

	device->name = name;
	device->is_mlx5 = true;
	device->ports = 1;
	device->port[0].state = state;
	device->port[0].lid = 7;
	device->port[0].active_mtu = IBV_MTU_2048;
	device->port[0].link_layer = link_layer;
	if (t->fake->device_count <= index)
		t->fake->device_count = index + 1;
}

int t_mlx5_set_up_fake(void **state)
{
	static void *library;

	(void)state;
	if (!library)
		library = dlopen(FAKE_RDMA, RTLD_NOW);
	if (!library)
		return -1;
	t->fake = dlsym(library, "fake_rdma");
	memset(t->fake, 0, sizeof(*t->fake));
	t->fake->uar_types = 7;
	memcpy(t->fake->next_hop, "\x02\x03\x04\x05\x06\x07", 6);
	t_mlx5_device(0, "mlx5_0", IBV_PORT_ACTIVE, IBV_LINK_LAYER_INFINIBAND);
	t_mlx5_gid(0, IBV_GID_TYPE_IB, "fe80::1");
	t_config(&t->config);
	t->config.backend = "mlx5";
	t->config.mlx5.libibverbs = t->config.mlx5.libmlx5 = FAKE_RDMA;
	t->config.log = remember;
	t->log_text[0] = 0;
	return 0;
}

int t_mlx5_set_up(void **state)
{
	int rc = t_mlx5_set_up_fake(state);

	return rc ? rc : gda_backend_mlx5.open(&t->config, &t->backend);
}

int t_mlx5_tear_down_fake(void **state)
{
	(void)state;
	return t->fake->open_objects || t->fake->old_calls;
}

int t_mlx5_tear_down(void **state)
{
	gda_backend_mlx5.close(t->backend);
	return t_mlx5_tear_down_fake(state);
}

void t_mlx5_reopen(void)
{
	gda_backend_mlx5.close(t->backend);
	if (gda_backend_mlx5.open(&t->config, &t->backend))
		fail_msg("%s", gda_last_error());
}

void t_mlx5_fail(const char *function, int error)
{
	t->fake->fail = function;
	t->fake->error = error;
}

bool t_mlx5_says(const char *words)
{
	return strstr(gda_last_error(), words) != NULL;
}

void t_mlx5_expect(int rc, int expected, const char *words)
{
	if (rc != expected || !t_mlx5_says(words))
		fail_msg("returned %d and says \"%s\", expected %d and \"%s\"",
			 rc, gda_last_error(), expected, words);
}
