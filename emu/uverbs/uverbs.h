/* SPDX-License-Identifier: MIT */
/*
 * The impersonated kernel device: what its parts ask of each other.
 *
 * libbelfry-uverbs.so is loaded into a program by LD_PRELOAD. It shows the
 * program /dev/infiniband/uverbs<N> and /sys/class/infiniband, and answers
 * the ioctls of the stock libibverbs and libmlx5 as the kernel's ib_uverbs and
 * mlx5_ib would, with emulated NICs (emu/nic.h) behind them.
 *
 *   path_*.c  calls that name a file: redirected into a tree of our own
 *   fd_*.c    calls that take a descriptor: which descriptors are ours
 *   real.c    the calls behind them
 *   sysfs*.c  that tree
 *   device.c  the NICs of this process, made when they are first needed
 *   context.c one open device file: its objects, until its last close
 *   ioctl.c   attributes checked by tables, then the methods (method_*.c)
 *   event.c   completion and asynchronous event channels
 *   trap.c    doorbells seen as faults
 *
 * Everything here may be called from any thread, and from a program that was
 * forked; nothing prints but through uv_say().
 */
#ifndef EMU_UVERBS_UVERBS_H
#define EMU_UVERBS_UVERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/nic.h"

/* Only what the program must find by name is visible. */
#define UV_EXPORT __attribute__((visibility("default")))

enum {
	UV_NICS_MAX = 16,
	UV_CHAR_MAJOR = 231, /* /dev/infiniband/uverbs<N> is 231:192 + N */
	UV_CHAR_MINOR = 192,
};

/* --------------------------------------------------------------- config.c */

enum uv_detect { UV_DETECT_AUTO, UV_DETECT_TRAP, UV_DETECT_POLL };

/* From the environment that `belfry run` sets; the name is in the comment. */
struct uv_config {
	unsigned nics;		  /* BELFRY_NICS, 1 to UV_NICS_MAX */
	enum nic_persona persona; /* BELFRY_PERSONA: cx5 cx6 cx7 cx8 */
	enum nic_link link;	  /* BELFRY_LINK: ib roce */
	enum uv_detect detect;	  /* BELFRY_DETECT: auto trap poll */
	enum nic_log_level log;	  /* BELFRY_LOG: error warn info */
	bool quiet;		  /* BELFRY_LOG=quiet */
	bool idle_dc;		  /* BELFRY_DC: none idle */
	const char *fabric;	  /* BELFRY_FABRIC; NULL: the user's default */
	const char *trace;	  /* BELFRY_TRACE: a file; NULL: none */
};

/* Read once; a value that makes no sense is told once and its default used. */
const struct uv_config *uv_config(void);

/* One line to standard error, "belfry: ...", as far as the verbosity goes. */
void uv_say(enum nic_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* --------------------------------------------------------------- device.c */

struct uv_device;

enum uv_port_state {
	UV_PORT_DOWN = 1,
	UV_PORT_ACTIVE = 4
}; /* ibv_port_state */

/* IBTA vol. 1, 14.2.5.6 (PortInfo); a network interface that is down has the
 * second of them, whatever its cable says. */
enum uv_phys_state { UV_POLLING = 2, UV_DISABLED = 3, UV_LINK_UP = 5 };

/* A NIC as sysfs shows it. */
struct uv_device_info {
	char name[16];	    /* mlx5_0 */
	uint64_t guid;	    /* node and port, host order */
	uint16_t device_id; /* PCI */
	char firmware[16];  /* as the commands say it */
	enum nic_link link;
	struct nic_port port;
	enum uv_port_state state;
	enum uv_phys_state phys_state;
};

/*
 * The NIC with this index, made and attached to the fabric when it is first
 * asked for. NULL with errno (and a line told once) if that fails; ENODEV for
 * an index that is not below uv_config()->nics.
 */
struct uv_device *uv_device_get(unsigned index);
/* The same if it was made already, else NULL. */
struct uv_device *uv_device_made(unsigned index);
void uv_device_describe(struct uv_device *device, struct uv_device_info *info);
struct nic *uv_device_nic(struct uv_device *device);

/* So many more pages (or fewer) are rung by a GPU, which wakes nobody. */
void uv_device_rung_by_gpu(int more);

/* Serve what has arrived, before something that it is for goes. */
void uv_settle(struct nic *nic);

/* Who gets the events of all NICs: called with that NIC's lock held. */
void uv_device_set_event(void (*handler)(struct uv_device *,
					 const struct nic_event *));

/* -------------------------------------------------------------- context.c */

struct uv_context;

/*
 * open("/dev/infiniband/uverbs<index>"). Returns a descriptor that is known
 * to fd.c as UV_FD_CONTEXT, or -1 with errno. flags: O_CLOEXEC counts.
 */
int uv_context_open(unsigned index, int flags);

/* The last descriptor of it is closed: destroy every object of it. */
void uv_context_release(struct uv_context *context);

/* ioctl(fd, request, arg) as the kernel answers it: 0, or -1 with errno. */
int uv_context_ioctl(struct uv_context *context, unsigned long request,
		     void *arg);

/* The program mapped len bytes of the descriptor at offset to addr. */
void uv_context_mapped(struct uv_context *context, void *addr, size_t len,
		       uint64_t offset);

/*
 * The program unmapped, or mapped something else over, this range, which may
 * hold pages of contexts. Called before the kernel does it.
 */
void uv_context_unmapped(void *addr, size_t len);

/*
 * In a forked child, before anything else: contexts and channels are the
 * parent's. Only async-signal-safe calls are allowed. Their descriptors stay
 * in the table without an object: ioctl() on them is EIO, the last close()
 * releases nothing.
 */
void uv_context_after_fork(void);

/* Index of the device that a context was opened on (its minor number). */
unsigned uv_context_device(const struct uv_context *context);

/* ---------------------------------------------------------------- event.c */

struct uv_channel;

/* The program closed the last descriptor of an event channel. */
void uv_channel_release(struct uv_channel *channel);

/* ------------------------------------------------------------------- fd.c */

enum uv_fd_kind {
	UV_FD_NONE = 0, /* the program's own */
	UV_FD_CONTEXT,	/* struct uv_context */
	UV_FD_CHANNEL,	/* struct uv_channel */
	UV_FD_INTERNAL, /* ours: the program cannot close it */
};

/*
 * A descriptor that the program will get: dup() and friends share object,
 * and the last close() releases it. Returns 0 or -ENOMEM.
 */
int uv_fd_add(int fd, enum uv_fd_kind kind, void *object);

/*
 * The object behind fd if it is of this kind, else NULL. It stays until the
 * matching uv_fd_put(), also if the program closes fd meanwhile.
 */
void *uv_fd_get(int fd, enum uv_fd_kind kind);
void uv_fd_put(enum uv_fd_kind kind, void *object);

/*
 * What this thread opens in between (also inside the NIC) is UV_FD_INTERNAL,
 * and paths are not redirected. They nest.
 */
void uv_enter(void);
void uv_leave(void);

/* ---------------------------------------------------------------- sysfs.c */

/*
 * The directory that stands for /sys/class/infiniband and the rest, made when
 * it is first asked for; NULL with errno. Removed when the process ends;
 * what a killed process left is removed by the next one.
 */
const char *uv_sysfs_root(void);

#endif
