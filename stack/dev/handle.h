/* SPDX-License-Identifier: MIT */
/*
 * What a kernel is given: plain data that the host side fills in (stack/host/
 * export.c) and the functions of stack/dev/ use. No other header of stack/ is
 * needed to read it from a debugger.
 *
 * Counters are in basic blocks of 64 bytes, run free in 64 bits and start at
 * the device's start counter; masked they are slots, cut to 16 bits they are
 * what WQEs, doorbells and CQEs carry. Always:
 *
 *	completed <= posted <= ready <= reserved <= completed + depth
 *
 * Source of truth: the counters of NVSHMEM's ibgda_qp_management and DOCA's
 * doca_gpu_dev_verbs_qp, which mean the same.
 * Thread: the constant part is read by all; see each counter for the rest.
 */
#ifndef GDA_DEV_HANDLE_H
#define GDA_DEV_HANDLE_H

#include <stdint.h>

#include "hw/be.h"
#include "stack/gda.h"

enum {
	GDA_DEV_VERSION = 1,
	GDA_DEV_DEPTH_MIN = 4, /* the longest group: see stack/dev/post.h */
	GDA_DEV_DEPTH_MAX = 32768,
	GDA_DEV_BARRIER_ROUNDS = 16, /* 2^16 PEs */
	GDA_DEV_LANE_ALL = -1,
};

/* What operations return; 0 is success. Equal to -errno on Linux. */
enum gda_dev_error {
	GDA_DEV_EIO = -5,	  /* error CQE: see the QP's error record */
	GDA_DEV_EFAULT = -14,	  /* address outside heap and buffers */
	GDA_DEV_EINVAL = -22,	  /* PE, alignment, or an argument */
	GDA_DEV_ESHUTDOWN = -108, /* the handle's PE is finalized */
	GDA_DEV_ETIMEDOUT = -110,
};

enum gda_dev_state {
	GDA_DEV_SOUND = 0,
	GDA_DEV_BROKEN, /* failure is valid */
	/* gda_finalize was called. Kernels on a GPU may still look here. */
	GDA_DEV_CLOSED,
};

/* Where one fetching operation gets its result, 16 bytes in the heap. */
struct gda_dev_slot {
	uint64_t value; /* written by the NIC */
	uint32_t taken; /* by the thread whose operation is in flight */
	uint32_t rsvd12;
};
HW_SIZE(struct gda_dev_slot, 16);

struct gda_dev_qp {
	/* Constant. */
	uint8_t *sq;		    /* send ring, depth basic blocks */
	uint8_t *cq;		    /* CQE 0 */
	be32 *record;		    /* the send word of the doorbell record */
	uint8_t *reg;		    /* the doorbell register in use */
	struct gda_dev_slot *slots; /* for fetching operations */
	uint64_t sink;		    /* address where unwanted results go */
	uint32_t qpn;
	uint32_t peer;
	uint32_t depth;		/* basic blocks, a power of two */
	uint32_t cq_depth_log2; /* ring CQ only */
	uint32_t slot_count;
	uint32_t batch; /* a power of two */
	uint32_t bf_half_bytes;
	uint8_t doorbell; /* enum gda_doorbell */
	uint8_t cq_ring;
	uint8_t shared; /* enum gda_sharing */
	/* Rings, records and data all lie in GPU memory: see order.h. */
	uint8_t in_gpu;
	uint8_t rsvd80[48];

	/* Moved by threads that post. */
	uint64_t reserved;   /* first block that nobody has taken */
	uint64_t ready;	     /* all blocks before it are written */
	uint64_t posted;     /* announced to the NIC, or about to be */
	uint32_t bell_taken; /* who rings owns it, if shared */
	uint32_t bf_half;    /* next half of the BlueFlame register */
	uint8_t rsvd160[32];

	/* Moved by threads that poll. */
	uint64_t completed;	/* all blocks before it are done */
	uint64_t cq_consumer;	/* ring CQ: next CQE to look at */
	uint64_t error;		/* enum gda_dev_state */
	uint32_t failure_taken; /* by the thread that writes failure */
	int32_t failure_code;
	uint64_t failure_index; /* block, free-running if known */
	uint8_t failure_syndrome;
	uint8_t failure_vendor;
	uint8_t failure_opcode;
	uint8_t rsvd235[21];
};
HW_SIZE(struct gda_dev_qp, 256);
HW_AT(struct gda_dev_qp, qpn, 48);
HW_AT(struct gda_dev_qp, doorbell, 76);
HW_AT(struct gda_dev_qp, reserved, 128);
HW_AT(struct gda_dev_qp, completed, 192);
HW_AT(struct gda_dev_qp, error, 208);

/* A PE's heap as WQEs name it. */
struct gda_dev_peer {
	uint64_t heap_addr;
	uint32_t rkey;
	uint32_t rsvd12;
};
HW_SIZE(struct gda_dev_peer, 16);

/* A local buffer; len 0: the entry is free. Changed while others read it. */
struct gda_dev_buffer {
	uint64_t addr;
	uint64_t len;
	uint64_t lkey;
	uint64_t rsvd24;
};
HW_SIZE(struct gda_dev_buffer, 32);

/* The barrier's words, at the same heap offset of every PE. */
struct gda_dev_barrier {
	uint64_t arrived[GDA_DEV_BARRIER_ROUNDS]; /* epoch, per round */
	uint64_t epoch; /* this PE's own count of barriers */
};

/*
 * The device handle. A thread may hold copies of it; gda_dev_lane() makes one
 * that is bound to a lane.
 */
struct gda_dev {
	uint32_t version; /* GDA_DEV_VERSION */
	int32_t pe;
	int32_t npes;
	int32_t lanes; /* queue pairs to each PE */
	int32_t lane;  /* the one in use, or GDA_DEV_LANE_ALL */
	uint32_t heap_lkey;
	uint64_t heap_addr;
	uint64_t heap_bytes;
	const struct gda_dev_peer *peers;     /* [npes] */
	struct gda_dev_qp *qps;		      /* [lane * npes + pe] */
	const struct gda_dev_buffer *buffers; /* [buffer_count] */
	struct gda_dev_barrier *barrier;
	uint32_t buffer_count;
	uint32_t swap_results_8; /* 8-byte atomic results are big-endian */
	uint64_t timeout_ns;	 /* of every wait; 0: for ever */
	gda_pause_fn *pause;	 /* see gda_dev_pause(); NULL: none */
	void *pause_arg;
};
HW_SIZE(struct gda_dev, 104);
HW_AT(struct gda_dev, heap_addr, 24);
HW_AT(struct gda_dev, qps, 48);
HW_AT(struct gda_dev, timeout_ns, 80);

#endif
