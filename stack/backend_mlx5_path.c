/* SPDX-License-Identifier: MIT */
/*
 * Addresses of a ConnectX port, and the path to a peer's.
 *
 * InfiniBand: the LID, and a GRH where the subnet demands one or the peer is
 * in another. RoCE: the GID of the peer, and the MAC of the next hop, which
 * the kernel knows: an address handle asks it (neighbour table, routes).
 *
 * Which GID a RoCE port sends from, if the config does not say: RoCE v2 only;
 * an IPv4 address before an IPv6 one, and a link-local one last, because it
 * does not leave the link. The same rule is that of NCCL and UCX in short.
 *
 * Source of truth: the Linux kernel's mlx5_set_path() in
 * drivers/infiniband/hw/mlx5/qp.c for which field carries what on which link;
 * rdma-core libibverbs/man/ibv_query_gid_ex.3.md, ibv_create_ah.3.
 * Not modelled: RoCE v1; LMC path bits; static rates.
 * Thread: any. Resolving a MAC may wait for an answer from the network.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hw/cmd_qp.h"
#include "stack/backend_mlx5.h"
#include "stack/host/internal.h"

enum {
	GIDS_MAX = 256, /* the index has 8 bits in a path */
	GID_PREFIX_BYTES = 8,
	HOP_LIMIT = 64,
	UDP_SPORT_FIRST = 0xc000, /* of RoCE v2; the 14 bits below are free */
	UDP_SPORT_MASK = 0x3fff,
};

/* ----------------------------------------------------------- which GID */

static int query_gid(struct gda_backend *backend, uint32_t index,
		     struct ibv_gid_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	return backend->lib.query_gid_ex(backend->context, backend->port, index,
					 entry, 0, sizeof(*entry));
}

/* How good a source it is; 0: it is none. */
static int rank(const struct ibv_gid_entry *entry)
{
	static const uint8_t ipv4[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *raw = entry->gid.raw;

	if (entry->gid_type != IBV_GID_TYPE_ROCE_V2)
		return 0;
	if (!memcmp(raw, ipv4, sizeof(ipv4)))
		return 3;
	return raw[0] == 0xfe && (raw[1] & 0xc0) == 0x80 ? 1 : 2;
}

static int use_gid(struct gda_backend *backend,
		   const struct ibv_gid_entry *entry)
{
	backend->gid_index = entry->gid_index;
	backend->gid = entry->gid;
	return 0;
}

static int use_configured(struct gda_backend *backend)
{
	uint32_t index = backend->config->mlx5.gid_index;
	struct ibv_gid_entry entry;

	if (index >= GIDS_MAX || query_gid(backend, index, &entry))
		return gda_fail(backend->config, -EINVAL,
				"config: mlx5.gid_index is %u, and %s has no "
				"such GID (ibv_devinfo -v lists them)",
				index, backend->name);
	if (backend->link == GDA_LINK_ROCE && !rank(&entry))
		return gda_fail(backend->config, -EINVAL,
				"config: mlx5.gid_index is %u, a RoCE v1 GID "
				"of %s, expected one of RoCE v2",
				index, backend->name);
	entry.gid_index = index;
	return use_gid(backend, &entry);
}

static int use_best(struct gda_backend *backend)
{
	struct ibv_gid_entry entry, best;
	int best_rank = 0;
	uint32_t i;

	for (i = 0; i < GIDS_MAX; i++) {
		if (query_gid(backend, i, &entry) || rank(&entry) <= best_rank)
			continue;
		best_rank = rank(&entry);
		best = entry;
		best.gid_index = i;
	}
	if (best_rank)
		return use_gid(backend, &best);
	return gda_fail(backend->config, -ENODEV,
			"%s: no GID of RoCE v2 among its %d: has the network "
			"device an address (ip addr), and is RoCE v2 on?",
			backend->name, GIDS_MAX);
}

int gda_mlx5_choose_gid(struct gda_backend *backend)
{
	struct ibv_gid_entry entry;

	if (backend->config->mlx5.gid_index != GDA_GID_AUTO)
		return use_configured(backend);
	if (backend->link == GDA_LINK_ROCE)
		return use_best(backend);
	if (query_gid(backend, 0, &entry))
		return gda_fail(backend->config, -ENODEV,
				"%s: GID 0 cannot be read", backend->name);
	entry.gid_index = 0;
	return use_gid(backend, &entry);
}

/* ----------------------------------------------------------- next hop */

static void fill_ah(const struct gda_backend *backend, const void *gid,
		    struct ibv_ah_attr *attr)
{
	const struct gda_mlx5_config *config = &backend->config->mlx5;

	memset(attr, 0, sizeof(*attr));
	attr->is_global = 1;
	attr->port_num = backend->port;
	attr->sl = (uint8_t)config->service_level;
	attr->grh.sgid_index = (uint8_t)backend->gid_index;
	attr->grh.hop_limit = HOP_LIMIT;
	attr->grh.traffic_class = (uint8_t)config->traffic_class;
	memcpy(attr->grh.dgid.raw, gid, sizeof(attr->grh.dgid.raw));
}

/* Ask the kernel for the MAC behind a GID. Returns an errno. */
static int resolve(struct gda_backend *backend, const void *gid, uint8_t mac[6])
{
	struct mlx5dv_ah out = {0};
	struct mlx5dv_obj obj = {.ah = {NULL, &out}};
	struct ibv_ah_attr attr;
	uint32_t pdn;
	int rc = gda_mlx5_pd(backend, &pdn);

	if (rc)
		return -rc;
	fill_ah(backend, gid, &attr);
	errno = EIO;
	obj.ah.in = backend->lib.create_ah(backend->pd, &attr);
	if (!obj.ah.in)
		return errno;
	rc = backend->lib.init_obj(&obj, MLX5DV_OBJ_AH);
	if (!rc)
		memcpy(mac, out.av->rmac, 6);
	backend->lib.destroy_ah(obj.ah.in);
	return rc < 0 ? -rc : rc;
}

/* ---------------------------------------------------------------- port */

int gda_mlx5_query_port(struct gda_backend *backend, struct gda_port *port)
{
	struct ibv_port_attr attr = {0};
	int rc = backend->lib.query_port(backend->context, backend->port,
					 (void *)&attr);

	if (rc)
		return gda_fail(backend->config, rc < 0 ? rc : -rc,
				"%s: cannot be queried: %s", backend->name,
				strerror(rc < 0 ? -rc : rc));
	memset(port, 0, sizeof(*port));
	memcpy(port->gid, backend->gid.raw, sizeof(port->gid));
	port->lid = attr.lid;
	port->link = backend->link;
	port->mtu = (uint8_t)attr.active_mtu;
	port->active = attr.state == IBV_PORT_ACTIVE;
	port->number = backend->port;
	/* For whoever reads it: our own path() asks the kernel again. */
	if (backend->link == GDA_LINK_ROCE)
		resolve(backend, port->gid, port->mac);
	return 0;
}

/* ---------------------------------------------------------------- path */

static void set_global(const struct gda_backend *backend, const void *gid,
		       void *ads)
{
	hw_set(ads, HW_ADS_SRC_ADDR_INDEX, backend->gid_index);
	hw_set(ads, HW_ADS_HOP_LIMIT, HOP_LIMIT);
	hw_set(ads, HW_ADS_TCLASS, backend->config->mlx5.traffic_class);
	memcpy((uint8_t *)ads + HW_ADS_RGID, gid, sizeof(union ibv_gid));
}

static int ib_path(struct gda_backend *backend, const struct gda_port *remote,
		   void *ads)
{
	bool far = memcmp(remote->gid, backend->gid.raw, GID_PREFIX_BYTES) != 0;
	bool global = backend->grh_required || far || !remote->lid;

	hw_set(ads, HW_ADS_RLID, remote->lid);
	hw_set(ads, HW_ADS_SL, backend->config->mlx5.service_level);
	if (!global)
		return 0;
	hw_set(ads, HW_ADS_GRH, 1);
	set_global(backend, remote->gid, ads);
	return 0;
}

static void print_gid(const void *gid, char text[INET6_ADDRSTRLEN])
{
	if (!inet_ntop(AF_INET6, gid, text, INET6_ADDRSTRLEN))
		text[0] = 0;
}

static int unreachable(const struct gda_backend *backend,
		       const struct gda_port *remote, int error)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	print_gid(backend->gid.raw, from);
	print_gid(remote->gid, to);
	return gda_fail(backend->config, -error,
			"%s: path: no next hop from GID %u (%s) to %s: %s (is "
			"there a route, and does ping answer? GDA_GID_INDEX "
			"chooses another GID)",
			backend->name, backend->gid_index, from, to,
			strerror(error));
}

/* Each queue pair has a source port of its own: switches spread them. */
static uint32_t next_sport(struct gda_backend *backend)
{
	uint32_t number;

	pthread_mutex_lock(&backend->lock);
	number = backend->paths++;
	pthread_mutex_unlock(&backend->lock);
	return UDP_SPORT_FIRST | (number & UDP_SPORT_MASK);
}

/* The GRH bit is reserved here: every RoCE packet has one. */
static int roce_path(struct gda_backend *backend, const struct gda_port *remote,
		     void *ads)
{
	const struct gda_mlx5_config *config = &backend->config->mlx5;
	uint8_t mac[6] = {0};
	int error = resolve(backend, remote->gid, mac);

	if (error)
		return unreachable(backend, remote, error);
	set_global(backend, remote->gid, ads);
	hw_set(ads, HW_ADS_DSCP, config->traffic_class >> 2);
	hw_set(ads, HW_ADS_UDP_SPORT, next_sport(backend));
	hw_set(ads, HW_ADS_ETH_PRIO, config->service_level & 7);
	hw_set(ads, HW_ADS_RMAC_47_32, (uint32_t)mac[0] << 8 | mac[1]);
	hw_set(ads, HW_ADS_RMAC_31_0,
	       (uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 |
		       (uint32_t)mac[4] << 8 | mac[5]);
	return 0;
}

int gda_mlx5_path(struct gda_backend *backend, const struct gda_port *remote,
		  void *ads)
{
	return backend->link == GDA_LINK_ROCE ? roce_path(backend, remote, ads)
					      : ib_path(backend, remote, ads);
}
