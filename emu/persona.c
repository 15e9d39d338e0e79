/* SPDX-License-Identifier: MIT */
/*
 * Device generations: what each can do.
 *
 * Source: PCI ids of the ConnectX family (rdma-core mlx5.c, mlx5_hca_table);
 * limits as mlx5 devices report them, capped by what the emulation carries.
 */
#include "emu/core.h"

#define COMMON                                                                 \
	.log_max_qp = 18, .log_max_cq = 18, .log_max_rmp = 16,                 \
	.log_max_mkey = 20, .log_max_qp_sz = 15, .log_max_cq_sz = 22,          \
	.log_max_srq_sz = 15, .log_max_ra = 4, .max_wqe_sz_sq = 1008,          \
	.max_wqe_sz_rq = 512

static const struct nic_persona_info personas[] = {
	[NIC_CONNECTX_5] = {.name = "connectx-5", .device_id = 0x1017, COMMON},
	[NIC_CONNECTX_6] = {.name = "connectx-6", .device_id = 0x101b, COMMON},
	[NIC_CONNECTX_7] = {.name = "connectx-7", .device_id = 0x1021, COMMON},
	[NIC_CONNECTX_8] = {.name = "connectx-8",
			    .device_id = 0x1023,
			    .no_dbr_ext = true,
			    COMMON},
};

const struct nic_persona_info *nic_persona_info(enum nic_persona persona)
{
	if ((unsigned)persona >= sizeof(personas) / sizeof(personas[0]))
		return NULL;
	return &personas[persona];
}
