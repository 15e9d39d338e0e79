/* SPDX-License-Identifier: MIT */
/*
 * Backend mlx5 on fake libraries (fake/fake_rdma.h), for tests with cmocka.
 *
 * One at a time, used by one thread.
 */
#ifndef T_MLX5_H
#define T_MLX5_H

#include "stack/backend_mlx5.h"
#include "stack/host/internal.h"
#include "support/fake/fake_rdma.h"

struct t_mlx5 {
	struct fake_rdma *fake;
	struct gda_config config;
	struct gda_backend *backend;
	char log_text[4096]; /* all that was logged, a line each */
};

extern struct t_mlx5 t_mlx5;

/* One InfiniBand device with an active port; the second also opens it. */
int t_mlx5_set_up_fake(void **state);
int t_mlx5_set_up(void **state);
/* Fail if anything that was made is left, or an older ABI was called. */
int t_mlx5_tear_down_fake(void **state);
int t_mlx5_tear_down(void **state);

#define T_WITH_FAKE(test)                                                      \
	cmocka_unit_test_setup_teardown(test, t_mlx5_set_up_fake,              \
					t_mlx5_tear_down_fake)
#define T_WITH_DEVICE(test)                                                    \
	cmocka_unit_test_setup_teardown(test, t_mlx5_set_up, t_mlx5_tear_down)

void t_mlx5_device(int index, const char *name, enum ibv_port_state state,
		   uint8_t link_layer);
void t_mlx5_gid(uint32_t index, enum ibv_gid_type type, const char *text);

/* Close and open, after the device or the config has changed. */
void t_mlx5_reopen(void);

/* The library's function fails with error, until fake->fail is NULL. */
void t_mlx5_fail(const char *function, int error);

/* The code and these words of gda_last_error() are as expected. */
void t_mlx5_expect(int rc, int expected, const char *words);
bool t_mlx5_says(const char *words);

#endif
