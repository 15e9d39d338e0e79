/* SPDX-License-Identifier: MIT */
/*
 * Memory key context and its commands.
 *
 *   CREATE_MKEY input   0x0c[30] mkey_umem_valid | 0x10 mkc (64 B)
 *                       0x60 entries that are in the mailbox (octwords)
 *                       0x64 mkey_umem_id | 0x68 mkey_umem_offset
 *                       0x110 the entries (hw/umr.h)
 *   CREATE_MKEY output  0x08[23:0] mkey_index
 *   QUERY_MKEY output   0x10 mkc | 0x110 the first two entries
 *   DESTROY_MKEY input  0x08[23:0] mkey_index
 *   QUERY_SPECIAL_CONTEXTS output: keys that are always there
 *
 * A key is index << 8 | variant; the client chooses the variant (mkey_7_0).
 * Access: lkey use needs lr or lw, rkey use needs rr, rw or a.
 * A free key has no memory: UMR binds it, and UMR or a send with invalidate
 * makes it free again.
 *
 * Source of truth: rdma-core mlx5_ifc.h, struct mlx5_ifc_mkc_bits; UCX
 * ib_mlx5_ifc.h for the umem words; Linux mlx5_ifc.h for the special contexts.
 */
#ifndef HW_CMD_MKEY_H
#define HW_CMD_MKEY_H

#include "cmd.h"

enum {
	HW_MKC_OFFSET = 0x10,
	HW_MKC_BYTES = 0x40,
	HW_CREATE_MKEY_IN_BYTES = 0x110,
	HW_CREATE_MKEY_LIST = 0x110, /* offset of the entries */
	HW_QUERY_MKEY_OUT_BYTES = 0x110,
	HW_QUERY_MKEY_LIST = 0x110,
	HW_QUERY_SPECIAL_OUT_BYTES = 0x20,
};

#define HW_CREATE_MKEY_UMEM_VALID  HW_FIELD(0x0c, 30, 30)
#define HW_CREATE_MKEY_ACTUAL_SIZE HW_FIELD(0x60, 31, 0) /* octwords */
#define HW_CREATE_MKEY_UMEM_ID	   HW_FIELD(0x64, 31, 0)
#define HW_CREATE_MKEY_UMEM_OFFSET HW_FIELD64(0x68)

/* Offsets into the context */
#define HW_MKC_FREE		      HW_FIELD(0x00, 30, 30)
#define HW_MKC_ACCESS_MODE_4_2	      HW_FIELD(0x00, 28, 26)
#define HW_MKC_RELAXED_ORDERING_WRITE HW_FIELD(0x00, 18, 18)
#define HW_MKC_UMR_EN		      HW_FIELD(0x00, 15, 15)
#define HW_MKC_A		      HW_FIELD(0x00, 14, 14)
#define HW_MKC_RW		      HW_FIELD(0x00, 13, 13)
#define HW_MKC_RR		      HW_FIELD(0x00, 12, 12)
#define HW_MKC_LW		      HW_FIELD(0x00, 11, 11)
#define HW_MKC_LR		      HW_FIELD(0x00, 10, 10)
#define HW_MKC_ACCESS_MODE_1_0	      HW_FIELD(0x00, 9, 8)
#define HW_MKC_QPN		      HW_FIELD(0x04, 31, 8) /* ffffff: any */
#define HW_MKC_MKEY_7_0		      HW_FIELD(0x04, 7, 0)
#define HW_MKC_LENGTH64		      HW_FIELD(0x0c, 31, 31)
#define HW_MKC_BSF_EN		      HW_FIELD(0x0c, 30, 30)
#define HW_MKC_EN_RINVAL	      HW_FIELD(0x0c, 24, 24)
#define HW_MKC_PD		      HW_FIELD(0x0c, 23, 0)
#define HW_MKC_START_ADDR	      HW_FIELD64(0x10)
#define HW_MKC_LEN		      HW_FIELD64(0x18)
#define HW_MKC_TRANSLATIONS_SIZE      HW_FIELD(0x34, 31, 0) /* octwords */
#define HW_MKC_RELAXED_ORDERING_READ  HW_FIELD(0x38, 6, 6)
#define HW_MKC_LOG_PAGE_SIZE	      HW_FIELD(0x38, 4, 0) /* KSM: entity */
#define HW_MKC_CRYPTO_EN	      HW_FIELD(0x3c, 28, 27)

/* QUERY_SPECIAL_CONTEXTS */
#define HW_SPECIAL_DUMP_FILL_MKEY HW_FIELD(0x08, 31, 0)
#define HW_SPECIAL_RESD_LKEY	  HW_FIELD(0x0c, 31, 0)
#define HW_SPECIAL_NULL_MKEY	  HW_FIELD(0x10, 31, 0)
#define HW_SPECIAL_TERMINATE_MKEY HW_FIELD(0x14, 31, 0)
#define HW_SPECIAL_REPEATED_MKEY  HW_FIELD(0x18, 31, 0)

enum hw_mkc_access_mode {
	HW_MKC_MODE_PA = 0,
	HW_MKC_MODE_MTT = 1,
	HW_MKC_MODE_KLMS = 2,
	HW_MKC_MODE_KSM = 3,
};

enum { HW_MKC_QPN_ANY = 0xffffff };

#endif
