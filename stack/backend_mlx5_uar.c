/* SPDX-License-Identifier: MIT */
/*
 * Doorbell pages of a ConnectX.
 *
 * libmlx5 gives out registers, not pages: two share one (at 0x800 and 0xa00).
 * The stack wants a page, so the second register of a page that it has is set
 * aside. Three types of page exist:
 *
 *   NC dedicated  uncached, of one's own; since rdma-core 57
 *   BF            write-combining, of one's own; what BlueFlame needs
 *   NC            uncached, one for the whole context
 *
 * The uncached one of all is good for 8-byte doorbells on hardware, where
 * every store to a register arrives. Where registers are polled memory a page
 * of one's own matters, and there write-combining is only a word.
 *
 * Source of truth: rdma-core providers/mlx5/verbs.c (which types exist, which
 * are shared), providers/mlx5/man/mlx5dv_devx_alloc_uar.3.md.
 * Thread: any.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/doorbell.h"
#include "stack/backend_mlx5.h"
#include "stack/host/internal.h"

/* Of mlx5_api.h; spelled out because older headers lack the last. */
enum { TYPE_BF = 0, TYPE_NC = 1 };
#define TYPE_NC_DEDICATED (1u << 31)

/* More pages are not looked through for one whose first register is free. */
enum { SIBLINGS_MAX = 8 };

static uint32_t offset_in_page(const struct mlx5dv_devx_uar *uar)
{
	return (uint32_t)((uintptr_t)uar->reg_addr & (HW_UAR_BYTES - 1));
}

static int set_aside(struct gda_backend *backend, struct mlx5dv_devx_uar *uar)
{
	struct gda_mlx5_sibling *sibling = calloc(1, sizeof(*sibling));

	if (!sibling) {
		backend->lib.free_uar(uar);
		errno = ENOMEM;
		return -1;
	}
	sibling->uar = uar;
	pthread_mutex_lock(&backend->lock);
	sibling->next = backend->siblings;
	backend->siblings = sibling;
	pthread_mutex_unlock(&backend->lock);
	return 0;
}

/* NULL with errno: there is no such page. */
static struct mlx5dv_devx_uar *alloc_type(struct gda_backend *backend,
					  uint32_t type)
{
	struct mlx5dv_devx_uar *uar;
	int i;

	for (i = 0; i < SIBLINGS_MAX; i++) {
		errno = ENOSPC;
		uar = backend->lib.alloc_uar(backend->context, type);
		if (!uar || offset_in_page(uar) == HW_UAR_BF)
			return uar;
		if (set_aside(backend, uar))
			return NULL;
	}
	errno = ENOSPC;
	return NULL;
}

/* In the order of preference. */
static struct mlx5dv_devx_uar *alloc_any(struct gda_backend *backend,
					 enum gda_uar_kind kind)
{
	const uint32_t hardware[] = {TYPE_NC_DEDICATED, TYPE_NC, TYPE_BF};
	const uint32_t polled[] = {TYPE_NC_DEDICATED, TYPE_BF, TYPE_NC};
	const uint32_t *types = backend->emulated ? polled : hardware;
	struct mlx5dv_devx_uar *uar = NULL;
	int i;

	if (kind == GDA_UAR_BF)
		return alloc_type(backend, TYPE_BF);
	for (i = 0; !uar && i < 3; i++)
		uar = alloc_type(backend, types[i]);
	return uar;
}

int gda_mlx5_uar_alloc(struct gda_backend *backend, enum gda_uar_kind kind,
		       struct gda_uar *uar)
{
	struct mlx5dv_devx_uar *page = alloc_any(backend, kind);

	if (!page)
		return gda_fail(backend->config, errno ? -errno : -EIO,
				"%s: no %s doorbell page: %s (GDA_SHARED_UAR=1 "
				"needs one for all queue pairs)",
				backend->name,
				kind == GDA_UAR_BF ? "BlueFlame" : "uncached",
				strerror(errno));
	uar->page_id = page->page_id;
	uar->base = (uint8_t *)page->reg_addr - HW_UAR_BF;
	uar->handle = page;
	return 0;
}

void gda_mlx5_uar_free(struct gda_backend *backend, struct gda_uar *uar)
{
	backend->lib.free_uar(uar->handle);
	uar->base = NULL;
	uar->handle = NULL;
}

void gda_mlx5_uars_close(struct gda_backend *backend)
{
	struct gda_mlx5_sibling *sibling;

	while ((sibling = backend->siblings)) {
		backend->siblings = sibling->next;
		backend->lib.free_uar(sibling->uar);
		free(sibling);
	}
}
