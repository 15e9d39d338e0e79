/* SPDX-License-Identifier: MIT */
/*
 * A fake libibverbs and libmlx5 in one shared library: devices in a table,
 * every object counted, and any function made to fail by its name. It shows
 * what a program asked for; it moves no data.
 *
 * The test opens it beside the code under test and reaches its state by the
 * symbol fake_rdma. One thread.
 */
#ifndef FAKE_RDMA_H
#define FAKE_RDMA_H

#include <infiniband/mlx5dv.h>

enum { FAKE_DEVICES = 4, FAKE_PORTS = 2, FAKE_GIDS = 8, FAKE_PAGES = 64 };

struct fake_device {
	const char *name;
	bool is_mlx5;
	uint8_t ports;
	int open_errno;
	struct ibv_port_attr port[FAKE_PORTS];
};

struct fake_rdma {
	struct fake_device devices[FAKE_DEVICES];
	int device_count; /* -1: no list at all */
	struct ibv_gid_entry gids[FAKE_GIDS];
	uint8_t next_hop[6];

	const char *fail; /* the function that fails, by its name */
	int error;	  /* with this errno */
	uint32_t status;  /* and this one in the mailbox's answer */

	uint32_t uar_types; /* bit 0: NC dedicated, 1: BF, 2: NC */
	int uar_registers;  /* given out so far; two share a page */
	uint64_t events[8]; /* cookies, in order */
	int event_count;
	int port_events;

	/* What was asked for. */
	int open_objects; /* all that has an opposite */
	int old_calls;	  /* of functions of an older ABI */
	uint32_t open_flags;
	struct ibv_ah_attr ah;
	unsigned mr_access;
	uint64_t mr_iova, mr_offset;
	int mr_fd;
	struct mlx5dv_devx_umem_in umem;
	uint64_t cookies[16];
	uint16_t event_types[16];
	int subscriptions;
	uint8_t last_in[16];
};

#endif
