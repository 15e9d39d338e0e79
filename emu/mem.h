/* SPDX-License-Identifier: MIT */
/*
 * Client memory as the NIC knows it: umems (by id), UAR pages, memory keys.
 */
#ifndef EMU_MEM_H
#define EMU_MEM_H

#include "emu/klm_list.h"
#include "emu/nic.h"
#include "hw/cmd_mkey.h"
#include "hw/doorbell.h"

struct nic_umem {
	struct nic_mem mem;
	uint8_t *base; /* mem.addr as dma.h wants it */
	uint32_t id;
	uint32_t users; /* QPs, CQs, RMPs and mkeys that name it */
};

/* Send registers of a page: the BlueFlame halves, and the one at 0x600. */
enum {
	NIC_UAR_REG_NO_DBR = 2 * HW_UAR_BF_REGS,
	NIC_UAR_REGS,
};

/* A register that is stored in pieces: rung when all of it has arrived. */
struct nic_uar_pieces {
	uint8_t bytes[8];
	uint8_t have; /* a bit for each byte */
};

struct nic_uar {
	uint8_t *page;
	uint32_t index;
	uint32_t users; /* QPs and CQs that name it */
	enum nic_uar_kind kind;
	bool trapped; /* rung by nic_uar_write() alone, not looked at */
	uint64_t seen[NIC_UAR_REGS]; /* words when last looked at */
	uint32_t no_dbr_users;	     /* QPs that ring at HW_UAR_NO_DBR */
	uint32_t qps;		     /* that ring here */
	uint32_t rings; /* times that it was found rung, see scan_record() */
	struct nic_uar_pieces pieces[NIC_UAR_REGS], cq_pieces;
};

/* What a client stored, within the page. */
struct nic_uar_store {
	const uint8_t *bytes;
	size_t offset, len;
};

/*
 * The fields that every access looks at come first. memory is set for a key
 * that is not free and has one piece of memory: the usual one.
 */
struct nic_mkey {
	struct nic_umem *umem; /* of an MTT key */
	uint8_t *memory;       /* at start */
	uint64_t start, len;   /* addresses in WQEs */
	uint32_t pd;
	uint32_t index;
	uint32_t qpn; /* HW_MKC_QPN_ANY, or the only QP */
	uint8_t variant;
	uint8_t access; /* enum mkey_access */
	bool relaxed;
	bool owns_umem; /* made by nic_mkey_register */
	uint8_t mode;	/* enum hw_mkc_access_mode */
	uint8_t log_entity;
	bool free;   /* no access until UMR binds it */
	bool all;    /* every address (length64) */
	bool umr_en; /* UMR may change it */
	bool rinval; /* a peer may make it free */
	uint64_t umem_offset;
	struct nic_klm_list *list; /* of a KLM or KSM key */
	uint8_t mkc[HW_MKC_BYTES]; /* as created */
};

/* Rights as the mkey context has them. */
enum mkey_access {
	MKEY_LOCAL_READ = 1 << 0,
	MKEY_LOCAL_WRITE = 1 << 1,
	MKEY_REMOTE_READ = 1 << 2,
	MKEY_REMOTE_WRITE = 1 << 3,
	MKEY_ATOMIC = 1 << 4,
};

/* What somebody wants to do with a range of memory. */
struct mkey_use {
	uint64_t va;
	uint64_t len;
	uint32_t key;
	uint32_t pd;
	uint32_t qpn;
	uint8_t access; /* all of these rights */
};

/* Keys that are always there (QUERY_SPECIAL_CONTEXTS). */
enum nic_special_mkey {
	/* Local use by any queue pair: reads as zeros, swallows writes. */
	NIC_MKEY_NULL = 0x700,
	NIC_MKEY_DUMP_FILL = 0x800,
	/* All addresses 1:1, local use by queue pairs with qpc.rlky. */
	NIC_MKEY_RESERVED = 0x900,
};

/*
 * Translate: the memory at use->va, and in *len how many bytes of the range
 * lie there in one piece (1 or more); NULL with *why pointing to the reason
 * ("no such key", ...). The range is not empty: a zero length needs no valid
 * key (IBTA C9-88). To walk a range, go on behind the piece:
 *
 *   for (; use.len; nic_mkey_next(&use, len))
 *           memory = nic_mkey_piece(nic, &use, &len, &why);
 */
void *nic_mkey_piece(struct nic *nic, const struct mkey_use *use, uint64_t *len,
		     const char **why);

static inline void nic_mkey_next(struct mkey_use *use, uint64_t len)
{
	use->va += len;
	use->len -= len;
}

/* May the whole range be used? Behind many pieces only the first are checked:
 * the others are when it is their turn. */
bool nic_mkey_check(struct nic *nic, const struct mkey_use *use,
		    const char **why);

struct nic_umem *nic_umem_get(struct nic *nic, uint32_t id);
/* As nic_umem_deregister, with the lock held. */
int nic_umem_remove(struct nic *nic, uint32_t id);
struct nic_uar *nic_uar_get(struct nic *nic, uint32_t index);

/* For command handlers; key->umem's user count is taken and returned, and its
 * list belongs to the table from then on. */
int nic_mkey_add(struct nic *nic, const struct nic_mkey *key, uint32_t *index);
struct nic_mkey *nic_mkey_get(struct nic *nic, uint32_t index);
/* Its umem goes too if nic_mkey_register made it. */
void nic_mkey_remove(struct nic *nic, struct nic_mkey *key);

/* What is behind the key may be used (again), or not any more. */
void nic_mkey_set_free(struct nic_mkey *key, bool free);

/* UMR: take over the fields of the context that the mask names (hw/umr.h);
 * the caller has checked that they may be. */
void nic_mkey_update(struct nic_mkey *key, uint64_t mask, const uint8_t *mkc);

/* A peer's send with invalidate, on a QP: NULL, or why the key stays. */
const char *nic_mkey_invalidate(struct nic *nic, uint32_t rkey, uint32_t pd,
				uint32_t qpn);

/* Free all (nic_destroy). */
void nic_mem_free(struct nic *nic);

#endif
