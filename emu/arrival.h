/* SPDX-License-Identifier: MIT */
/*
 * A request packet on its way through the responder: responder.c checks it,
 * responder_execute.c carries it out.
 */
#ifndef EMU_ARRIVAL_H
#define EMU_ARRIVAL_H

#include "emu/core.h"

/* What is done next with it, in the order of the specification. */
enum nic_arrival_state {
	CHK_PSN,
	CHK_OP_SEQ,
	CHK_OP_VALID,
	CHK_LENGTH,
	CHK_RESOURCE,
	CHK_RKEY,
	EXECUTE,
	COMPLETE,
	DONE
};

/* The packet that is being looked at, decoded. */
struct nic_arrival {
	struct nic *nic;
	struct nic_qp *qp;
	const struct nic_packet *packet;
	struct hw_bth_info bth;
	struct hw_pkt_op op;
	uint64_t va;
	uint32_t rkey, len, imm;
	uint32_t xrc_srqn;
	uint32_t operand_bytes;
	struct hw_atomic_args atomic;
	void *memory; /* where a write or atomic goes, or its first bytes */
	uint64_t memory_len;
};

/* Answer with an AETH syndrome; fatal: the QP goes to ERR behind it. */
enum nic_arrival_state nic_arrival_nak(struct nic_arrival *a, uint8_t syndrome,
				       bool fatal);

/* The peer broke a rule: NAK, and the QP goes to ERR. */
enum nic_arrival_state nic_arrival_refuse(struct nic_arrival *a,
					  enum hw_nak code, const char *why);

/*
 * What the packet does to memory: for a write this packet's part, whose place
 * the first packet told. False: it needs no key.
 */
bool nic_arrival_use(struct nic_arrival *a, struct mkey_use *use);

/* The receive WQE in use completes in error, and the peer hears of it. */
enum nic_arrival_state nic_arrival_fail_recv(struct nic_arrival *a,
					     uint16_t wqe_counter,
					     uint8_t syndrome,
					     enum hw_nak code);

/*
 * Services without acknowledgements (responder_unacked.c): the first check; and
 * what stands for every refusal, the message being forgotten without a word.
 */
enum nic_arrival_state nic_arrival_check_unacked(struct nic_arrival *a);
enum nic_arrival_state nic_arrival_drop(struct nic_arrival *a, const char *why);

/* Complete the receive WQE; a CQ that has no room fails the QP. */
void nic_arrival_complete_recv(struct nic_arrival *a, struct hw_cqe_info *info);

/* A write with immediate uses up a receive WQE without its buffers. */
int nic_arrival_skip_recv(struct nic_arrival *a, uint16_t *wqe_counter);

enum nic_arrival_state nic_arrival_execute(struct nic_arrival *a);

#endif
