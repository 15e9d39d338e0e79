/* SPDX-License-Identifier: MIT */
/*
 * The header that a NIC shows to its fabric (file nic.<lid>), and the question
 * whether the process behind it is alive.
 *
 * A NIC belongs to the process that attached it: pid, start time of that pid,
 * and a pidfd answer whether it lives. No file lock is held for life, because
 * a forked child would inherit it and keep a dead NIC alive. A child does
 * not take the NIC over; when the parent ends, the NIC is dead.
 *
 * An exec() keeps the pid: the new program calls shm_fabric_leave_all() for
 * the NICs of the old one, or they look alive until the process ends.
 * Not modelled: a fabric shared between pid namespaces.
 */
#ifndef EMU_WIRE_SHM_NIC_H
#define EMU_WIRE_SHM_NIC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "emu/wire_shm_fabric.h"

/* One incarnation: the generation is never used again. */
struct shm_nic_id {
	uint64_t generation;
	uint64_t pid_start; /* ticks since boot, 0: not known */
	uint8_t gid[16];
	int32_t pid;
	uint16_t lid;
	uint16_t rsvd26;
};

/* Shared memory. Peers read the id once and check it; see order_shm.h. */
struct shm_nic {
	uint64_t magic;
	uint32_t version;
	uint32_t rsvd0c;
	struct shm_nic_id id;
	/* The NIC has left in good order. */
	_Alignas(64) uint32_t gone;
	/* A byte in its FIFO is needed, and the flag to be cleared. */
	_Alignas(64) uint32_t asleep;
	/* For those who list NICs. */
	_Alignas(64) uint32_t link; /* enum nic_link */
	uint32_t qps;
	uint32_t port_down;
	/* Bit lid - 1: NIC lid made a ring to this one, or has left. */
	_Alignas(64) uint64_t attention[SHM_NICS_MAX / 64];
	/* From those who command NICs; on a line that every poll reads. */
	uint32_t port_wish; /* enum shm_port_wish */
};

enum shm_port_wish { SHM_PORT_DOWN = 1, SHM_PORT_UP };

/* Another process's NIC, opened. */
struct shm_nic_ref {
	struct shm_nic *shared;
	struct shm_nic_id id;
	int pid_fd;
};

int shm_nic_join(struct shm_fabric *fabric, uint64_t guid, struct shm_nic **nic,
		 struct shm_nic_id *id, const struct shm_error *error);
void shm_nic_leave(struct shm_fabric *fabric);
void shm_nic_unmap(struct shm_nic *nic);

int shm_nic_open(const struct shm_fabric *fabric, uint16_t lid,
		 struct shm_nic_ref *ref);
void shm_nic_close(struct shm_nic_ref *ref);

bool shm_fabric_has_own(const struct shm_fabric *fabric);
void shm_fabric_leave_all(struct shm_fabric *fabric);
void shm_fabric_sweep(struct shm_fabric *fabric, bool alive[SHM_NICS_MAX + 1]);

uint64_t shm_process_start(int32_t pid);
bool shm_process_ended(int32_t pid, uint64_t start);

void shm_wake_name(char name[SHM_NAME_MAX], uint16_t lid);
void shm_nic_wake(const struct shm_fabric *fabric, struct shm_nic_ref *ref);

#endif
