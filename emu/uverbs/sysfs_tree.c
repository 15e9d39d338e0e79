/* SPDX-License-Identifier: MIT */
/*
 * The files of the tree: /sys/class/infiniband*, the PCI devices behind it and
 * /dev/infiniband, as mlx5_ib and ib_uverbs show a ConnectX.
 *
 * Source of truth: drivers/infiniband/core/sysfs.c, uverbs_main.c,
 * drivers/pci/pci-sysfs.c; what readers look at: libibverbs/init.c, libibumad,
 * UCX ib_device.c, NCCL's topology search.
 * Not modelled: files that can be written; counters count nothing. A file whose
 * reading fails in the kernel (the type of an empty GID) is not there.
 *
 * Thread: one, uv_sysfs_root() has a lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "emu/uverbs/path.h"
#include "emu/uverbs/sysfs.h"

enum { GIDS = 8, VENDOR = 0x15b3, SUBSYSTEM = 0x0016 };

/* A directory that is being filled; the first error stays. */
struct tree {
	int root; /* has the files that many names link to */
	int fd;
	int status;
};

static const char pci_dir[] = "sys/devices/pci" UV_PCI_DOMAIN ":00";

/* ----------------------------------------------------------- primitives */

static void check(struct tree *t, int ret)
{
	if (ret < 0 && !t->status)
		t->status = -errno;
}

static void file(struct tree *t, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void file(struct tree *t, const char *name, const char *fmt, ...)
{
	char text[1024];
	va_list args;
	int fd, len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text) - 1, fmt, args);
	va_end(args);
	if (len > (int)sizeof(text) - 2)
		len = (int)sizeof(text) - 2;
	text[len++] = '\n';
	fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	check(t, fd);
	if (fd < 0)
		return;
	if (write(fd, text, (size_t)len) != len && !t->status)
		t->status = errno ? -errno : -ENOSPC;
	close(fd);
}

/*
 * A file like many others: a name of the one in the root, because each file
 * would take a page of memory.
 */
static void same(struct tree *t, const char *like, const char *name)
{
	check(t, linkat(t->root, like, t->fd, name, 0));
}

static void symbolic(struct tree *t, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void symbolic(struct tree *t, const char *name, const char *fmt, ...)
{
	char target[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(target, sizeof(target), fmt, args);
	va_end(args);
	check(t, symlinkat(target, t->fd, name));
}

/* Make path, all of it; a part that is there already is fine. */
static struct tree enter(struct tree *t, const char *path)
{
	struct tree inner = {.root = t->root, .fd = -1, .status = t->status};
	char part[256];

	snprintf(part, sizeof(part), "%s/", path);
	for (char *end = part; (end = strchr(end, '/')); *end++ = '/') {
		*end = '\0';
		if (mkdirat(t->fd, part, 0755) && errno != EEXIST)
			check(&inner, -1);
	}
	inner.fd = openat(t->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(&inner, inner.fd);
	return inner;
}

static void leave(struct tree *t, struct tree *inner)
{
	if (inner->fd >= 0)
		close(inner->fd);
	t->status = inner->status;
}

/* -------------------------------------------------------------- the port */

static void write_zeros(struct tree *t, const char *dir,
			const char *const *names)
{
	struct tree zeros = enter(t, dir);

	for (; *names; names++)
		same(&zeros, "zero", *names);
	leave(t, &zeros);
}

static void write_counters(struct tree *port)
{
	static const char *const counters[] = {
		"VL15_dropped",
		"excessive_buffer_overrun_errors",
		"link_downed",
		"link_error_recovery",
		"local_link_integrity_errors",
		"multicast_rcv_packets",
		"multicast_xmit_packets",
		"port_rcv_constraint_errors",
		"port_rcv_data",
		"port_rcv_errors",
		"port_rcv_packets",
		"port_rcv_remote_physical_errors",
		"port_rcv_switch_relay_errors",
		"port_xmit_constraint_errors",
		"port_xmit_data",
		"port_xmit_discards",
		"port_xmit_packets",
		"port_xmit_wait",
		"symbol_error",
		"unicast_rcv_packets",
		"unicast_xmit_packets",
		NULL,
	};
	static const char *const hw_counters[] = {
		"duplicate_request",
		"implied_nak_seq_err",
		"local_ack_timeout_err",
		"out_of_buffer",
		"out_of_sequence",
		"packet_seq_err",
		"req_cqe_error",
		"req_cqe_flush_error",
		"req_remote_access_errors",
		"req_remote_invalid_request",
		"resp_cqe_error",
		"resp_cqe_flush_error",
		"resp_local_length_error",
		"resp_remote_access_errors",
		"rnr_nak_retry_err",
		"rx_atomic_requests",
		"rx_read_requests",
		"rx_write_requests",
		NULL,
	};
	struct tree hw;

	write_zeros(port, "counters", counters);
	write_zeros(port, "hw_counters", hw_counters);
	hw = enter(port, "hw_counters");
	file(&hw, "lifespan", "10");
	leave(port, &hw);
}

static void write_gids(struct tree *port, const struct uv_device_info *info)
{
	const uint8_t *g = info->port.gid;
	struct tree gids = enter(port, "gids"), attrs;
	char name[12];

	file(&gids, "0",
	     "%02x%02x:%02x%02x:%02x%02x:%02x%02x:"
	     "%02x%02x:%02x%02x:%02x%02x:%02x%02x",
	     g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7], g[8], g[9], g[10],
	     g[11], g[12], g[13], g[14], g[15]);
	for (unsigned i = 1; i < GIDS; i++) {
		snprintf(name, sizeof(name), "%u", i);
		same(&gids, "gid", name);
	}
	leave(port, &gids);
	attrs = enter(port, "gid_attrs/types");
	file(&attrs, "0", "%s",
	     info->link == NIC_LINK_ROCE ? "RoCE v2" : "IB/RoCE v1");
	leave(port, &attrs);
	attrs = enter(port, "gid_attrs/ndevs");
	/* A network interface that every host has. */
	if (info->link == NIC_LINK_ROCE)
		file(&attrs, "0", "lo");
	leave(port, &attrs);
}

static const char *rate(void)
{
	switch (uv_config()->persona) {
	case NIC_CONNECTX_5:
		return "100 Gb/sec (4X EDR)";
	case NIC_CONNECTX_6:
		return "200 Gb/sec (4X HDR)";
	case NIC_CONNECTX_8:
		return "800 Gb/sec (4X XDR)";
	case NIC_CONNECTX_7:
	default:
		return "400 Gb/sec (4X NDR)";
	}
}

/* A file that is there already is replaced: who has it open reads the old. */
static void write_port_state(struct tree *port,
			     const struct uv_device_info *info)
{
	static const char *const phys_states[] = {
		[UV_POLLING] = "Polling",
		[UV_DISABLED] = "Disabled",
		[UV_LINK_UP] = "LinkUp",
	};

	file(port, ".state", "%u: %s", info->state,
	     info->state == UV_PORT_ACTIVE ? "ACTIVE" : "DOWN");
	check(port, renameat(port->fd, ".state", port->fd, "state"));
	file(port, ".state", "%u: %s", info->phys_state,
	     phys_states[info->phys_state]);
	check(port, renameat(port->fd, ".state", port->fd, "phys_state"));
}

void uv_sysfs_write_port_state(int fd, const struct uv_device_info *info)
{
	struct tree port = {.root = fd, .fd = fd};

	write_port_state(&port, info);
	if (port.status)
		uv_say(NIC_LOG_ERROR,
		       "%s: no state of its port in the tree: %s", info->name,
		       strerror(-port.status));
}

static void write_port(struct tree *device, const struct uv_device_info *info)
{
	struct tree port = enter(device, "ports/1"), pkeys;
	bool ib = info->link == NIC_LINK_IB;

	write_port_state(&port, info);
	file(&port, "lid", "0x%x", ib ? info->port.lid : 0);
	same(&port, "zero", "lid_mask_count");
	file(&port, "sm_lid", "0x%x", ib);
	same(&port, "zero", "sm_sl");
	file(&port, "rate", "%s", rate());
	file(&port, "cap_mask", "%s", ib ? "0xa651e848" : "0x04010000");
	file(&port, "link_layer", "%s", ib ? "InfiniBand" : "Ethernet");
	pkeys = enter(&port, "pkeys");
	file(&pkeys, "0", "0xffff");
	leave(&port, &pkeys);
	write_gids(&port, info);
	write_counters(&port);
	leave(device, &port);
}

/* --------------------------------------------------- the RDMA device --- */

static void guid(struct tree *t, const char *name, uint64_t value)
{
	file(t, name, "%04x:%04x:%04x:%04x", (unsigned)(value >> 48),
	     (unsigned)(value >> 32 & 0xffff), (unsigned)(value >> 16 & 0xffff),
	     (unsigned)(value & 0xffff));
}

static void write_rdma(struct tree *pci, const struct uv_device_info *info,
		       const char *address)
{
	struct tree classes = enter(pci, "infiniband");
	struct tree device = enter(&classes, info->name);

	file(&device, "node_type", "1: CA");
	guid(&device, "node_guid", info->guid);
	guid(&device, "sys_image_guid", info->guid);
	file(&device, "node_desc", "Belfry %s", info->name);
	file(&device, "fw_ver", "%s", info->firmware);
	file(&device, "hca_type", "MT%u", info->device_id);
	file(&device, "board_id", "BFY_%010u", info->device_id);
	file(&device, "hw_rev", "0");
	file(&device, "uevent", "NAME=%s", info->name);
	symbolic(&device, "device", "../../../%s", address);
	symbolic(&device, "subsystem", "../../../../../class/infiniband");
	write_port(&device, info);
	leave(&classes, &device);
	leave(pci, &classes);
}

static void write_uverbs(struct tree *pci, const struct uv_device_info *info,
			 const char *address, unsigned index)
{
	struct tree classes = enter(pci, "infiniband_verbs"), device;
	unsigned minor = UV_CHAR_MINOR + index;
	char name[24];

	snprintf(name, sizeof(name), "uverbs%u", index);
	device = enter(&classes, name);
	file(&device, "abi_version", "1");
	file(&device, "dev", "%d:%u", UV_CHAR_MAJOR, minor);
	file(&device, "ibdev", "%s", info->name);
	file(&device, "uevent", "MAJOR=%d\nMINOR=%u\nDEVNAME=infiniband/%s",
	     UV_CHAR_MAJOR, minor, name);
	symbolic(&device, "device", "../../../%s", address);
	symbolic(&device, "subsystem", "../../../../../class/infiniband_verbs");
	leave(&classes, &device);
	leave(pci, &classes);
}

/* ---------------------------------------------------- the PCI device --- */

/* What a file of the real sysfs says, without its newline. */
static bool read_real(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

/* Near the first processors; -1 as on a machine without nodes. */
static void write_locality(struct tree *pci)
{
	const char *const node = "/sys/devices/system/node/node0";
	char path[64], map[512], list[512];
	bool known;

	snprintf(path, sizeof(path), "%s/cpumap", node);
	known = read_real(path, map, sizeof(map));
	snprintf(path, sizeof(path), "%s/cpulist", node);
	known &= read_real(path, list, sizeof(list));
	if (!known) {
		snprintf(map, sizeof(map), "ffffffff");
		if (!read_real("/sys/devices/system/cpu/online", list,
			       sizeof(list)))
			snprintf(list, sizeof(list), "0-31");
	}
	file(pci, "numa_node", "%d", known ? 0 : -1);
	file(pci, "local_cpus", "%s", map);
	file(pci, "local_cpulist", "%s", list);
}

static void write_link(struct tree *pci)
{
	static const char *const speeds[] = {
		[NIC_CONNECTX_5] = "16.0 GT/s PCIe",
		[NIC_CONNECTX_6] = "16.0 GT/s PCIe",
		[NIC_CONNECTX_7] = "32.0 GT/s PCIe",
		[NIC_CONNECTX_8] = "64.0 GT/s PCIe",
	};
	const char *speed = speeds[uv_config()->persona];

	file(pci, "max_link_speed", "%s", speed);
	file(pci, "current_link_speed", "%s", speed);
	file(pci, "max_link_width", "16");
	file(pci, "current_link_width", "16");
}

static void write_pci(struct tree *pci, const struct uv_device_info *info,
		      const char *address)
{
	bool ib = info->link == NIC_LINK_IB;
	unsigned subclass = ib ? 7 : 0;
	char modalias[80];

	snprintf(modalias, sizeof(modalias),
		 "pci:v%08Xd%08Xsv%08Xsd%08Xbc02sc%02Xi00", VENDOR,
		 info->device_id, VENDOR, SUBSYSTEM, subclass);
	file(pci, "vendor", "0x%04x", VENDOR);
	file(pci, "device", "0x%04x", info->device_id);
	file(pci, "subsystem_vendor", "0x%04x", VENDOR);
	file(pci, "subsystem_device", "0x%04x", SUBSYSTEM);
	file(pci, "class", "0x02%02x00", subclass);
	file(pci, "revision", "0x00");
	file(pci, "modalias", "%s", modalias);
	file(pci, "uevent",
	     "DRIVER=mlx5_core\nPCI_CLASS=2%02X00\nPCI_ID=%04X:%04X\n"
	     "PCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\nMODALIAS=%s",
	     subclass, VENDOR, info->device_id, VENDOR, SUBSYSTEM, address,
	     modalias);
	file(pci, "enable", "1");
	same(pci, "zero", "irq");
	file(pci, "dma_mask_bits", "64");
	file(pci, "resource", "0x%016x 0x%016x 0x%016x", 0, 0, 0);
	write_locality(pci);
	write_link(pci);
	symbolic(pci, "subsystem", "../../../bus/pci");
	symbolic(pci, "driver", "../../../bus/pci/drivers/mlx5_core");
}

/* ------------------------------------------------------------- the whole */

static void link_class(struct tree *t, const char *class, const char *name,
		       const char *address)
{
	struct tree classes;
	char path[64];

	snprintf(path, sizeof(path), "sys/class/%s", class);
	classes = enter(t, path);
	symbolic(&classes, name, "../../devices/pci%s:00/%s/%s/%s",
		 UV_PCI_DOMAIN, address, class, name);
	leave(t, &classes);
}

static void write_links(struct tree *t, const struct uv_device_info *info,
			const char *address, unsigned index)
{
	char uverbs[24], number[24];
	struct tree dir;

	snprintf(uverbs, sizeof(uverbs), "uverbs%u", index);
	snprintf(number, sizeof(number), "%d:%u", UV_CHAR_MAJOR,
		 UV_CHAR_MINOR + index);
	link_class(t, "infiniband", info->name, address);
	link_class(t, "infiniband_verbs", uverbs, address);
	dir = enter(t, "sys/bus/pci/devices");
	symbolic(&dir, address, "../../../devices/pci%s:00/%s", UV_PCI_DOMAIN,
		 address);
	leave(t, &dir);
	dir = enter(t, "sys/dev/char");
	symbolic(&dir, number, "../../devices/pci%s:00/%s/infiniband_verbs/%s",
		 UV_PCI_DOMAIN, address, uverbs);
	leave(t, &dir);
	dir = enter(t, "dev/char");
	symbolic(&dir, number, "../infiniband/%s", uverbs);
	leave(t, &dir);
	dir = enter(t, "dev/infiniband");
	/* A socket's name cannot be opened: who gets here by a way that we do
	 * not see gets an error and not a file. */
	check(&dir, mknodat(dir.fd, uverbs, S_IFSOCK | 0666, 0));
	leave(t, &dir);
}

static void write_device(struct tree *t, unsigned index)
{
	struct uv_device *device = uv_device_get(index);
	struct uv_device_info info;
	struct tree bus, pci;
	char address[24];

	if (!device) {
		check(t, -1);
		return;
	}
	uv_device_describe(device, &info);
	snprintf(address, sizeof(address), UV_PCI_FORMAT, index + 1);
	bus = enter(t, pci_dir);
	pci = enter(&bus, address);
	write_pci(&pci, &info, address);
	write_rdma(&pci, &info, address);
	write_uverbs(&pci, &info, address, index);
	/* Listed by who looks for the interface of a RoCE device. */
	if (info.link == NIC_LINK_ROCE) {
		struct tree net = enter(&pci, "net/lo");

		leave(&pci, &net);
	}
	leave(&bus, &pci);
	leave(t, &bus);
	write_links(t, &info, address, index);
}

int uv_sysfs_write(int root_fd)
{
	struct tree t = {.root = root_fd, .fd = root_fd};
	struct tree dir;

	file(&t, "zero", "0");
	file(&t, "gid", "%s", "0000:0000:0000:0000:0000:0000:0000:0000");
	dir = enter(&t, "sys/bus/pci/drivers/mlx5_core");
	leave(&t, &dir);
	dir = enter(&t, "sys/class/infiniband_verbs");
	file(&dir, "abi_version", "6");
	leave(&t, &dir);
	/* Enough for libibumad to list devices; there are no umad files. */
	dir = enter(&t, "sys/class/infiniband_mad");
	file(&dir, "abi_version", "5");
	leave(&t, &dir);
	for (unsigned i = 0; i < uv_config()->nics && !t.status; i++)
		write_device(&t, i);
	return t.status;
}
