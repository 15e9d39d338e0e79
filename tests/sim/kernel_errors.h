/* SPDX-License-Identifier: MIT */
/*
 * Kernels that go wrong: what those of kernel_errors.cu are given.
 */
#ifndef KERNEL_ERRORS_H
#define KERNEL_ERRORS_H

#include "kernels/gpu_host.h"
#include "stack/dev/handle.h"

enum wrong {
	WRONG_PE,	   /* of one lane */
	WRONG_ADDRESS,	   /* of one lane */
	WRONG_LENGTH,	   /* too long for one WQE */
	WRONG_BLOCK,	   /* threads of a block go to two PEs */
	WRONG_SIGNALS,	   /* lanes use different signal operations */
	WRONG_SIGNAL_PE,   /* not that of the data */
	WRONG_VALUE,	   /* 9 bytes */
	WRONG_ALIGNMENT,   /* of one lane's atomic */
	WRONG_GET_VALUE,   /* 9 bytes */
	WRONG_GET_ADDRESS, /* of one thread */
	WRONG_GET_BLOCK,   /* threads of a block go to two PEs */
	WRONG_FETCH,	   /* alignment of one lane's atomic */
	WRONG_FETCH_LENGTH,
	WRONG_FETCHES,	   /* lanes' atomics differ in size */
	WRONG_LED,	   /* PE of put_warp */
	WRONG_FAR_ADDRESS, /* of put_block */
	WRONGS,
};

/* What is done with the handle of a PE that is finalized. */
enum late {
	LATE_PUT_EACH,
	LATE_PUT,
	LATE_GET_BLOCK,
	LATE_FETCH,
	LATE_FETCH_EACH,
	LATE_GET_VALUE_EACH,
	LATE_WAIT,
	LATE_QUIET,
	LATE_BARRIER,
	LATES,
};

enum { ERRORS_WORDS = 64 };

struct errors_args {
	struct gda_dev dev;
	uint64_t *memory; /* heap, ERRORS_WORDS */
	int32_t *codes;	  /* what each thread of the grid got */
	struct gda_qp_error *error;
	int32_t kind;  /* enum wrong or enum late */
	int32_t posts; /* of each block, in post_until_broken */
};

GPU_KERNEL_DECLARE(wrong_call);
GPU_KERNEL_DECLARE(post_until_broken);
GPU_KERNEL_DECLARE(wait_in_vain);
GPU_KERNEL_DECLARE(call_too_late);

#endif
