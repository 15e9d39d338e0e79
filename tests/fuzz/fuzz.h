/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: reading the input, and failing.
 *
 * Every target is one LLVMFuzzerTestOneInput(). It runs under libFuzzer
 * (BELFRY_FUZZ) and, over its corpus and seeded random inputs, in an ordinary
 * test (regress.c). Numbers, keys and addresses that an input can name
 * are the same in every run, so that a corpus stays valid: memory keys start
 * at FUZZ_IOVA, whatever address the memory has.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "support/t_lossy.h"

#define FUZZ_IOVA 0x10000ull

enum {
	FUZZ_BYTES = 16 << 10, /* of a memory region */
	FUZZ_MARGIN = 4096,    /* canary bytes on each side of it */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The promise that was broken; the fuzzer keeps the input. */
#define REQUIRE(ok)                                                            \
	do {                                                                   \
		if (!(ok)) {                                                   \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, \
				__LINE__, #ok);                                \
			abort();                                               \
		}                                                              \
	} while (0)

struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

/* Bytes behind the end are zero. */
static inline void fuzz_take(struct fuzz_input *in, void *out, size_t len)
{
	size_t have = len < in->left ? len : in->left;

	memset(out, 0, len);
	memcpy(out, in->data, have);
	in->data += have;
	in->left -= have;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	uint8_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint16_t v;

	fuzz_take(in, &v, sizeof(v));
	return v;
}

/* fuzz.c: memory with canaries around it, and a key for it. */
struct fuzz_region {
	uint8_t *all, *bytes;
	uint32_t key;
};

void fuzz_region_open(struct t_node *node, struct fuzz_region *region,
		      uint32_t access);
/* The margins are as they were. */
void fuzz_region_check(const struct fuzz_region *region);
/* So is every byte of the region. */
void fuzz_region_check_all(const struct fuzz_region *region);
void fuzz_region_close(struct fuzz_region *region);

/*
 * Two NICs with a queue pair that the input attacks, and one in another
 * protection domain that must not notice.
 */
struct fuzz_pair {
	struct t_node node[2];
	struct t_cq cq[2], healthy_cq[2];
	struct t_qp qp[2], healthy[2];
	uint32_t healthy_pd[2];
	struct fuzz_region open[2];	 /* all rights */
	struct fuzz_region read_only[2]; /* local and remote read */
	struct fuzz_region foreign[2];	 /* the healthy pair's */
};

/* attach: connects a node to whatever wire the target uses. */
void fuzz_pair_open(struct fuzz_pair *p,
		    void (*attach)(void *arg, struct t_node *node), void *arg,
		    const struct t_connect *connect);
/* Destroys everything and checks all that must not have changed. */
void fuzz_pair_close(struct fuzz_pair *p);

/* Post a write on the healthy pair in each direction. */
void fuzz_healthy_post(struct fuzz_pair *p);
/* Both arrived; call it when the NICs are quiet. */
void fuzz_healthy_check(struct fuzz_pair *p);

#endif
