/* SPDX-License-Identifier: MIT */
/*
 * A fabric of the shared-memory wire: one directory, one file that versions
 * and locks it.
 *
 *   fabric            magic, version, generation counter; flock()ed while
 *                     NICs come and go, never on the data path
 *   nic.<lid>         a NIC's header, see wire_shm_nic.h
 *   wake.<lid>        FIFO that wakes a sleeping NIC
 *   ring.<src>.<dst>  packets, see wire_shm_ring.h; gone as soon as its
 *                     receiver has mapped it
 *
 * A process that was killed leaves its files behind; whoever comes next
 * sweeps them (shm_fabric_sweep in wire_shm_nic.h). Nothing is global in a
 * process: two fabrics beside each other know nothing of each other.
 */
#ifndef EMU_WIRE_SHM_FABRIC_H
#define EMU_WIRE_SHM_FABRIC_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SHM_VERSION = 3, /* of every file in a fabric, together */
	SHM_NICS_MAX = 256,
	SHM_NAME_MAX = 32,
};

/* Where the sentence about a failure goes; text may be NULL. */
struct shm_error {
	char *text;
	size_t size;
};

struct shm_fabric {
	int dir_fd;
	int file_fd;
	char path[PATH_MAX];
};

/* Format the sentence and return status, for "return shm_fail(...)". */
int shm_fail(const struct shm_error *error, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

int shm_fabric_open(struct shm_fabric *fabric, const char *dir, bool create,
		    const struct shm_error *error);
int shm_fabric_peek(struct shm_fabric *fabric, const char *dir);
void shm_fabric_close(struct shm_fabric *fabric);

int shm_fabric_lock(struct shm_fabric *fabric, unsigned patience_ms);
void shm_fabric_unlock(struct shm_fabric *fabric);

int shm_fabric_next_generation(struct shm_fabric *fabric, uint64_t *generation);

#endif
