/* SPDX-License-Identifier: MIT */
/*
 * The installed rdma-core headers, if there are any: the independent
 * definition of what hw/ describes. T_RDMA_CORE tells whether they are there.
 */
#ifndef LAYOUT_RDMA_CORE_H
#define LAYOUT_RDMA_CORE_H

#include <endian.h>

#if __has_include(<infiniband/mlx5dv.h>) && __has_include(<rdma/mlx5-abi.h>)
#include <infiniband/mlx5dv.h>
#include <infiniband/opcode.h>
#include <rdma/mlx5-abi.h>
#define T_RDMA_CORE 1
#else
#define T_RDMA_CORE 0
#endif

#define T_NO_RDMA_CORE "no infiniband/mlx5dv.h here (package libibverbs-dev)"

#endif
