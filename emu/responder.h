/* SPDX-License-Identifier: MIT */
/*
 * Responder: state of one queue pair.
 */
#ifndef EMU_RESPONDER_H
#define EMU_RESPONDER_H

#include "emu/rmp.h"

/* A read or atomic that the responder answers, and can answer again. */
struct nic_response {
	uint64_t va; /* read: start; atomic: original value */
	uint32_t psn;
	uint32_t rkey;
	uint32_t len;
	uint32_t packets : 31;
	uint32_t atomic : 1;
};

#define NIC_NO_PSN 0xffffffffu

struct nic_responder {
	uint32_t epsn;	    /* expected PSN */
	uint32_t msn;	    /* messages completed */
	uint32_t nak_psn;   /* of a late refusal, else NIC_NO_PSN */
	uint32_t left;	    /* of the write that is arriving */
	uint32_t write_len; /* of that write, for its receive CQE */
	uint32_t rkey;
	uint64_t va;	 /* where its next byte goes */
	uint8_t message; /* HW_PKTF_SEND or _WRITE in progress, or 0 */
	uint8_t nak;	 /* AETH syndrome to send, 0: none */
	bool ack_due;
	bool nak_sent; /* wait for the expected PSN */
	bool fatal;    /* go to ERR once the NAK is out */
	bool established;
	struct nic_recv recv;
	struct nic_rmp *xrc_srq; /* XRC: the latest packet's */
	/* Responses, a ring: rd_next is sent next, from packet rd_offset on.
	 * What is before rd_new was answered once and is sent again for a
	 * duplicate. */
	struct nic_response *rd;
	uint32_t rd_pi, rd_next, rd_new, rd_offset;
	uint16_t rd_size;
};

#endif
