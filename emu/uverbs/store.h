/* SPDX-License-Identifier: MIT */
/*
 * A store instruction of the program: what it stores, and going on behind it
 * as if it had. See store.c (decoding) and store_run.c (following).
 */
#ifndef EMU_UVERBS_STORE_H
#define EMU_UVERBS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

enum uv_store_kind {
	UV_STORE_UNKNOWN = 0, /* not one that can be followed */
	UV_STORE_GENERAL,     /* a general register */
	UV_STORE_IMMEDIATE,
	UV_STORE_VECTOR,   /* an XMM, YMM or ZMM register, or a part of it */
	UV_STORE_EXCHANGE, /* XCHG: the page answers with what it shows */
	UV_STORE_MOVS,	   /* string instructions, with or without REP */
	UV_STORE_STOS,
	UV_STORE_BLOCK, /* MOVDIR64B: reg holds the destination */
};

enum {
	UV_STORE_BYTES_MAX = 64,
	UV_STORE_CODE_MAX = 15, /* of an x86 instruction */
	UV_REG_NONE = 0xff,
	UV_REG_RIP = 0xfe,
};

/* Registers by the number that the hardware gives them. */
struct uv_store {
	uint8_t kind;	/* enum uv_store_kind */
	uint8_t length; /* of the instruction */
	uint8_t size;	/* bytes stored; of one element of a string */
	uint8_t reg;
	uint8_t shift;		    /* first byte stored of the register */
	bool reversed;		    /* MOVBE */
	bool repeated;		    /* REP */
	uint8_t base, index, scale; /* of the memory operand */
	int64_t disp;
	uint64_t imm;
};

/* Find what decoding needs. NULL, or a sentence that names what is missing. */
const char *uv_store_open(void);

/*
 * Decode the instruction at code, which was executed. False: none that can be
 * followed. uv_store_open() returned NULL before. Uses 1.5 KiB of stack.
 */
bool uv_store_decode(const uint8_t *code, struct uv_store *store);

/* Was the fault one of a store, and of which instruction? */
bool uv_store_faulted(const ucontext_t *context);
uintptr_t uv_store_rip(const ucontext_t *context);

/* Where a store goes instead of memory. */
struct uv_store_target {
	uintptr_t start; /* addresses that are replaced */
	size_t len;
	uintptr_t fault; /* the address that could not be written */
	void (*put)(void *arg, size_t offset, const void *bytes, size_t len);
	void *arg;
};

/*
 * Do what the instruction does, with the registers of context, and leave them
 * as it would. False: it does something else than the fault says, or needs
 * what is not there; nothing has happened then. A REP may be left half done:
 * it goes on by itself.
 */
bool uv_store_run(const struct uv_store *store, ucontext_t *context,
		  const struct uv_store_target *target);

#endif
