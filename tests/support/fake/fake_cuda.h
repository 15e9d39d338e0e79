/* SPDX-License-Identifier: MIT */
/*
 * A CUDA driver for tests without a GPU: what a test asks of it beside the
 * driver's own calls. The library has the name of the real one.
 *
 * "Device" memory is mapped without access, so that a CPU that touches it
 * faults; the fake's copies, and tests, use a second mapping (the view).
 * Nothing that is put on a stream happens before somebody asks whether the
 * stream is done, one operation for each `latency` questions.
 */
#ifndef FAKE_CUDA_H
#define FAKE_CUDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A kernel of moves counts as one, and its moves behind it. */
enum fake_cuda_kind { FAKE_TO_DEVICE, FAKE_TO_HOST, FAKE_KERNEL, FAKE_MOVE };

/* An operation as it was carried out. */
struct fake_cuda_op {
	enum fake_cuda_kind kind;
	void *device; /* address in device memory */
	size_t len;
};

struct fake_cuda {
	/* Bytes of device memory; its address and that of its view. NULL: no
	 * more. */
	void *(*alloc)(size_t len);
	void (*release)(void *device);
	void *(*view)(const void *device); /* NULL: it is none */
	void *(*device)(const void *view);

	/* From now on: questions to a stream for each of its operations. */
	void (*set_latency)(unsigned latency);
	/* Kernels do not start; false: those that wait do now. */
	void (*set_full)(bool full);
	/* The call of this name gives this result, from the skip-th on, for
	 * count times. "" ends it. */
	void (*refuse)(const char *call, int result, unsigned skip,
		       unsigned count);
	/* The context is gone: the program reset the device. */
	void (*reset)(void);
	/* No GPU is found by cuInit (to be called before it). */
	void (*set_devices)(int count);
	/* Between a kernel's start and its look at what cancels it. */
	void (*on_start)(void (*hook)(void *slot));

	/* Operations carried out; the last ones, oldest first. Returns how many
	 * were written. */
	size_t (*ops)(struct fake_cuda_op *ops, size_t max);
	void (*forget_ops)(void);
	uint64_t (*questions)(void);
	/* Everything is as a caller should leave it: contexts popped, capture
	 * modes put back, nothing waits on a stream. */
	bool (*tidy)(void);
};

/* The library's only symbol that is not the driver's: "fake_cuda". */
typedef const struct fake_cuda *fake_cuda_get(void);

#endif
