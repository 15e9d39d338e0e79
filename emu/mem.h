/* SPDX-License-Identifier: MIT */
/*
 * Client memory as the NIC knows it: umems (by id), UAR pages, memory keys.
 */
#ifndef EMU_MEM_H
#define EMU_MEM_H

#include "emu/nic.h"
#include "hw/doorbell.h"

struct nic_umem {
	struct nic_mem mem;
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
	struct nic_uar_pieces pieces[NIC_UAR_REGS], cq_pieces;
};

/* What a client stored, within the page. */
struct nic_uar_store {
	const uint8_t *bytes;
	size_t offset, len;
};

struct nic_mkey {
	struct nic_umem *umem; /* NULL: physical mode, address 1:1 */
	uint8_t *memory;       /* at start */
	uint64_t start, len;   /* addresses in WQEs */
	uint32_t pd;
	uint32_t index;
	uint32_t qpn; /* HW_MKC_QPN_ANY, or the only QP */
	uint8_t variant;
	uint8_t access; /* enum mkey_access */
	bool relaxed;
	bool owns_umem; /* made by nic_mkey_register */
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

/*
 * Translate: the memory at use->va, or NULL with *why pointing to the reason
 * ("no such key", ...). A zero length needs no valid key (IBTA C9-88).
 */
void *nic_mkey_translate(struct nic *nic, const struct mkey_use *use,
			 const char **why);

struct nic_umem *nic_umem_get(struct nic *nic, uint32_t id);
/* As nic_umem_deregister, with the lock held. */
int nic_umem_remove(struct nic *nic, uint32_t id);
struct nic_uar *nic_uar_get(struct nic *nic, uint32_t index);

/* For command handlers; key->umem's user count is taken and returned. */
int nic_mkey_add(struct nic *nic, const struct nic_mkey *key, uint32_t *index);
struct nic_mkey *nic_mkey_get(struct nic *nic, uint32_t index);
/* Its umem goes too if nic_mkey_register made it. */
void nic_mkey_remove(struct nic *nic, struct nic_mkey *key);

/* Free all (nic_destroy). */
void nic_mem_free(struct nic *nic);

#endif
