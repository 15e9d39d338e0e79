/* SPDX-License-Identifier: MIT */
/*
 * The swappable NIC: what the stack's host side asks of a device.
 *
 * The table is shaped like DEVX: firmware mailboxes go through unchanged, and
 * only what a kernel driver does for its client (memory, doorbell pages,
 * protection domains, addresses) has entries of its own. Everything above it,
 * the bytes of every mailbox included, is the same for every device.
 *
 *   entry            libibverbs and libmlx5              emulated NIC
 *   open, close      ibv_open_device                     nic_create, a wire
 *   command          mlx5dv_devx_general_cmd             nic_cmd
 *   obj_*            mlx5dv_devx_obj_*                   nic_cmd
 *   pd, eqn          ibv_alloc_pd + init_obj, query_eqn  ALLOC_PD, 0
 *   umem_*           mlx5dv_devx_umem_reg                nic_umem_register
 *   uar_*            mlx5dv_devx_alloc_uar               nic_uar_alloc
 *   mr_*             ibv_reg_mr, ibv_reg_dmabuf_mr       nic_mkey_register
 *   path             ibv_create_ah + mlx5dv_init_obj     from the port
 *   event_poll       DEVX event channel                  a queue
 *   progress, pause  nothing, NULL                       nic_try_step
 *
 * Errors: every entry returns 0 or a negative errno and has then told the log
 * callback, in a sentence, which object and field it was.
 * Threads: every entry may be called from any thread; nothing blocks but
 * path(), which may wait for the network to tell a peer's MAC.
 */
#ifndef GDA_BACKEND_H
#define GDA_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/gda.h"

struct gda_backend;
struct gda_obj;

/* The emulated NIC reaches both kinds of device memory by their address, with
 * the CUDA driver: -ENOTSUP if there is none. */
enum gda_mem_kind {
	GDA_MEM_HOST = 0,
	GDA_MEM_CUDA,	/* device memory, by address */
	GDA_MEM_DMABUF, /* device memory, by descriptor */
};

struct gda_mem {
	void *addr;
	uint64_t len;
	enum gda_mem_kind kind;
	/* GDA_MEM_DMABUF only: of memory that begins at addr, rounded down to
	 * a page of 4 KiB. Borrowed for the call. */
	int fd;
};

/* How others reach this device: what PEs tell each other. */
struct gda_port {
	uint8_t gid[16];
	uint8_t mac[6];
	uint16_t lid;
	uint8_t link; /* enum gda_link */
	uint8_t mtu;  /* enum ibv_mtu: 5 is 4096 */
	uint8_t active;
	uint8_t number; /* of the port on its own device, from 1 */
	uint8_t rsvd[4];
};

enum gda_uar_kind {
	GDA_UAR_NC = 0, /* an 8-byte register at 0x800, another at 0x600 */
	GDA_UAR_BF,	/* a BlueFlame register of two halves at 0x800 */
};

struct gda_uar {
	uint32_t page_id; /* for *_uar_page fields */
	uint8_t *base;	  /* the page; registers as in hw/doorbell.h */
	void *handle;	  /* the backend's */
};

struct gda_mr {
	uint32_t lkey, rkey;
	void *handle; /* the backend's */
};

struct gda_mr_attr {
	struct gda_mem mem;
	uint64_t iova; /* address of the first byte in WQEs */
};

enum gda_event_type {
	GDA_EVENT_QP_FATAL, /* number: QP */
	GDA_EVENT_CQ_ERROR, /* number: CQ */
	GDA_EVENT_QP_OTHER, /* a refused request of a peer; number: QP */
};

struct gda_event {
	enum gda_event_type type;
	uint32_t number;
};

struct gda_backend_ops {
	const char *name;

	/*
	 * Is there such a device? For config->backend "auto".
	 * Guarantees: 0 if it is there, although open() may still fail; else a
	 * negative errno. What was found or missed is in why, and nothing is
	 * logged. NULL: it is always there.
	 */
	int (*probe)(const struct gda_config *config, char *why, size_t size);

	/*
	 * Requires: config outlives the backend.
	 * Guarantees: an open device with an active port, in *out.
	 * -ENODEV: no such device; -EINVAL: a field of config is refused.
	 */
	int (*open)(const struct gda_config *config, struct gda_backend **out);

	/*
	 * Requires: every object, umem, page and key is gone, and no thread is
	 * in the pause hook. Never fails.
	 */
	void (*close)(struct gda_backend *backend);

	/*
	 * Are doorbell registers memory that somebody polls? Then a register
	 * that two queue pairs share can lose a doorbell.
	 */
	bool (*polled_registers)(struct gda_backend *backend);

	/* Guarantees: what a peer needs for path() to this device. */
	int (*query_port)(struct gda_backend *backend, struct gda_port *port);

	/*
	 * One mailbox that makes no object (QUERY_HCA_CAP).
	 * Guarantees: 0 if out holds the device's answer, refused or not: the
	 * caller looks at status and syndrome. The same goes for obj_*.
	 */
	int (*command)(struct gda_backend *backend,
		       const struct gda_mailbox *box);

	/*
	 * Requires: in is a CREATE_* mailbox.
	 * Guarantees: *obj is the new object, or NULL if the device refused.
	 */
	int (*obj_create)(struct gda_backend *backend,
			  const struct gda_mailbox *box, struct gda_obj **obj);

	/* Requires: in names obj by its number, as the mailbox prescribes. */
	int (*obj_modify)(struct gda_obj *obj, const struct gda_mailbox *box);
	int (*obj_query)(struct gda_obj *obj, const struct gda_mailbox *box);

	/*
	 * Guarantees: the object and its handle are gone, or -EBUSY and both
	 * are still there.
	 */
	int (*obj_destroy)(struct gda_obj *obj);

	/* Guarantees: the number of the protection domain of all objects. */
	int (*pd)(struct gda_backend *backend, uint32_t *pdn);

	/* Guarantees: the number of an event queue that CQs may name. */
	int (*eqn)(struct gda_backend *backend, uint32_t *eqn);

	/*
	 * Memory for rings and records.
	 * Requires: mapped until umem_dereg. Guarantees: an id for *_umem_id.
	 */
	int (*umem_reg)(struct gda_backend *backend, const struct gda_mem *mem,
			uint32_t *id);
	int (*umem_dereg)(struct gda_backend *backend, uint32_t id);

	/*
	 * Guarantees: a doorbell page that nobody else has. Where registers
	 * are not polled it may be one for all, as no doorbell is lost there.
	 */
	int (*uar_alloc)(struct gda_backend *backend, enum gda_uar_kind kind,
			 struct gda_uar *uar);
	void (*uar_free)(struct gda_backend *backend, struct gda_uar *uar);

	/*
	 * Memory for WQEs, with local write and all remote access.
	 * Requires: pd() was called; mapped until mr_dereg. -ENOTSUP for a kind that the build
	 * or the machine lacks.
	 */
	int (*mr_reg)(struct gda_backend *backend,
		      const struct gda_mr_attr *attr, struct gda_mr *mr);
	int (*mr_dereg)(struct gda_backend *backend, struct gda_mr *mr);

	/*
	 * Fill the 44 bytes of a QP context's address path (HW_ADS_*) with how
	 * to reach remote: LID or GID and MAC, not timeout and port.
	 */
	int (*path)(struct gda_backend *backend, const struct gda_port *remote,
		    void *ads);

	/* Guarantees: 1 and *event, the oldest; or 0: there is none. */
	int (*event_poll)(struct gda_backend *backend, struct gda_event *event);

	/*
	 * Let the device move, if it is one that needs the caller's thread.
	 * What a host loop calls while it waits for other PEs.
	 * Guarantees: what the device has written is visible after it, what
	 * the caller wrote before it is visible to what the device does next.
	 */
	void (*progress)(struct gda_backend *backend);

	/*
	 * The hook of gda_dev_pause() for CPU threads, and its argument.
	 * NULL: nothing to do but relax the core.
	 */
	void (*pause_hook)(struct gda_backend *backend, gda_pause_fn **fn,
			   void **arg);
};

/* The tables known to this build, in the order of "auto", ended by NULL. */
extern const struct gda_backend_ops *const gda_backends[];
extern const struct gda_backend_ops gda_backend_mlx5;
extern const struct gda_backend_ops gda_backend_emu;

#endif
