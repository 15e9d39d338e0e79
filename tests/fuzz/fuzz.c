/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share, see fuzz.h.
 */
#include "fuzz.h"

#include "support/t_klm.h"

enum { CANARY = 0xc5 };

/* ---------------------------------------------------------------- regions */

void fuzz_region_open(struct t_node *node, struct fuzz_region *region,
		      uint32_t access)
{
	struct nic_mkey_attr attr = {
		.iova = FUZZ_IOVA, .pd = node->pd, .access = access};

	region->all = malloc(FUZZ_BYTES + 2 * FUZZ_MARGIN);
	REQUIRE(region->all);
	memset(region->all, CANARY, FUZZ_BYTES + 2 * FUZZ_MARGIN);
	region->bytes = region->all + FUZZ_MARGIN;
	attr.mem.addr = region->bytes;
	attr.mem.len = FUZZ_BYTES;
	REQUIRE(!nic_mkey_register(node->nic, &attr, &region->key));
}

static void check(const uint8_t *bytes, size_t len)
{
	/* Each byte equals its neighbour. */
	REQUIRE(bytes[0] == CANARY && !memcmp(bytes, bytes + 1, len - 1));
}

void fuzz_region_check(const struct fuzz_region *region)
{
	check(region->all, FUZZ_MARGIN);
	check(region->bytes + FUZZ_BYTES, FUZZ_MARGIN);
}

void fuzz_region_check_all(const struct fuzz_region *region)
{
	check(region->all, FUZZ_BYTES + 2 * FUZZ_MARGIN);
}

void fuzz_region_close(struct fuzz_region *region)
{
	free(region->all);
}

/* ------------------------------------------------------------- the pairs */

/* For UMR: a free key, and one of pieces that a peer may invalidate. */
static void open_indirect(struct t_node *node, uint32_t key)
{
	const struct hw_klm list[] = {hw_klm_encode(100, key, FUZZ_IOVA),
				      hw_klm_encode(60, key, FUZZ_IOVA + 500)};
	struct t_klm_options options = {.free = true, .capacity = 8};

	t_klm_key(node, &options, NULL, 0);
	options = (struct t_klm_options){
		.umr_en = true, .rinval = true, .start = FUZZ_IOVA, .len = 160};
	t_klm_key(node, &options, list, 2);
}

static void open_side(struct fuzz_pair *p, unsigned i)
{
	static const struct t_cq_options cq = {.log_size = 7};
	static const struct t_qp_options qp = {
		.log_sq_size = 4, .log_rq_size = 3, .log_rq_stride = 2};
	const uint32_t all = NIC_ACCESS_LOCAL_WRITE | NIC_ACCESS_REMOTE_WRITE |
			     NIC_ACCESS_REMOTE_READ | NIC_ACCESS_REMOTE_ATOMIC;
	struct t_node *node = &p->node[i];
	uint32_t pd = node->pd;

	fuzz_region_open(node, &p->open[i], all);
	/* What may be moved about differs from what may not change. */
	memset(p->open[i].bytes, 0x3c, FUZZ_BYTES);
	fuzz_region_open(node, &p->read_only[i], NIC_ACCESS_REMOTE_READ);
	t_cq_create(node, &p->cq[i], &cq);
	t_qp_create(node, &p->qp[i], &p->cq[i], &p->cq[i], &qp);
	p->healthy_pd[i] = node->pd = t_pd(node);
	fuzz_region_open(node, &p->foreign[i], all);
	t_cq_create(node, &p->healthy_cq[i], &cq);
	t_qp_create(node, &p->healthy[i], &p->healthy_cq[i], &p->healthy_cq[i],
		    &qp);
	node->pd = pd;
	open_indirect(node, p->open[i].key);
}

void fuzz_pair_open(struct fuzz_pair *p,
		    void (*attach)(void *arg, struct t_node *node), void *arg,
		    const struct t_connect *connect)
{
	unsigned i;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < 2; i++) {
		t_node_open(&p->node[i], NULL, NULL);
		attach(arg, &p->node[i]);
	}
	for (i = 0; i < 2; i++)
		open_side(p, i);
	t_connect(&p->qp[0], &p->qp[1], connect);
	t_connect(&p->healthy[0], &p->healthy[1], connect);
}

static void close_side(struct fuzz_pair *p, unsigned i)
{
	REQUIRE(t_qp_destroy(&p->qp[i]) == HW_CMD_OK);
	REQUIRE(t_qp_destroy(&p->healthy[i]) == HW_CMD_OK);
	REQUIRE(t_cq_destroy(&p->cq[i]) == HW_CMD_OK);
	REQUIRE(t_cq_destroy(&p->healthy_cq[i]) == HW_CMD_OK);
	t_node_close(&p->node[i]);
	fuzz_region_check(&p->open[i]);
	fuzz_region_check_all(&p->read_only[i]);
	fuzz_region_check(&p->foreign[i]);
	fuzz_region_close(&p->open[i]);
	fuzz_region_close(&p->read_only[i]);
	fuzz_region_close(&p->foreign[i]);
}

void fuzz_pair_close(struct fuzz_pair *p)
{
	close_side(p, 0);
	close_side(p, 1);
}

/* Each side writes 64 bytes from offset 0 to offset 64 of the other. */
void fuzz_healthy_post(struct fuzz_pair *p)
{
	const void *from = (void *)(uintptr_t)FUZZ_IOVA;
	const void *to = (void *)(uintptr_t)(FUZZ_IOVA + 64);
	unsigned i;

	for (i = 0; i < 2; i++) {
		/* Nobody else has a key for these bytes. */
		fuzz_region_check_all(&p->foreign[i]);
		memset(p->foreign[i].bytes, 0x11 + (int)i, 64);
	}
	for (i = 0; i < 2; i++) {
		t_rdma(&p->healthy[i], HW_OP_RDMA_WRITE, from,
		       p->foreign[i].key, to, p->foreign[!i].key, 64);
		t_ring(&p->healthy[i]);
	}
}

void fuzz_healthy_check(struct fuzz_pair *p)
{
	struct hw_cqe_info cqe;
	unsigned i, k;

	for (i = 0; i < 2; i++) {
		REQUIRE(t_poll(&p->healthy_cq[i], &cqe));
		REQUIRE(cqe.opcode == HW_CQE_REQ);
		REQUIRE(!t_poll(&p->healthy_cq[i], &cqe));
		for (k = 0; k < 64; k++)
			REQUIRE(p->foreign[i].bytes[64 + k] == 0x12 - i);
	}
}
