/* SPDX-License-Identifier: MIT */
/*
 * Decode a store instruction with Zydis.
 *
 * Only its header is needed to build; the library is opened when the first
 * page is to be trapped. Everything is in fixed tables and on the stack, so
 * decoding may happen in a signal handler.
 *
 * Source: Intel SDM vol. 2; Zydis 4.0, DecoderTypes.h.
 * Not modelled, and so left to who polls: stores through FS and GS, 32-bit
 * addresses, masked and scattering vector stores, MMX and x87, and everything
 * that reads before it writes but XCHG.
 * Thread: any, once uv_store_open() has returned.
 */
#include "emu/uverbs/store.h"

#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<Zydis/Zydis.h>)
#define HAVE_ZYDIS 1
#endif
#endif

#ifdef HAVE_ZYDIS

#include <Zydis/Zydis.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static __typeof__(&ZydisDecoderDecodeFull) decode_full;
static ZydisDecoder decoder;
static char missing[96]; /* empty: nothing */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Its structures change with the minor version. */
static bool same_version(ZyanU64 version)
{
	return ZYDIS_VERSION_MAJOR(version) ==
		       ZYDIS_VERSION_MAJOR(ZYDIS_VERSION) &&
	       ZYDIS_VERSION_MINOR(version) ==
		       ZYDIS_VERSION_MINOR(ZYDIS_VERSION);
}

/* What keeps the library from being used; NULL: nothing. */
static const char *load(const char *name)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	__typeof__(&ZydisGetVersion) version;
	__typeof__(&ZydisDecoderInit) init;

	if (!library)
		return "cannot be opened";
	init = (__typeof__(init))dlsym(library, "ZydisDecoderInit");
	version = (__typeof__(version))dlsym(library, "ZydisGetVersion");
	decode_full = (__typeof__(decode_full))dlsym(library,
						     "ZydisDecoderDecodeFull");
	if (!init || !version || !decode_full)
		return "lacks a function";
	if (!same_version(version()))
		return "is not the version of the header at build time";
	if (!ZYAN_SUCCESS(init(&decoder, ZYDIS_MACHINE_MODE_LONG_64,
			       ZYDIS_STACK_WIDTH_64)))
		return "does not start";
	return NULL;
}

static void open_library(void)
{
	const char *why;
	char name[32];

	snprintf(name, sizeof(name), "libZydis.so.%u.%u",
		 (unsigned)ZYDIS_VERSION_MAJOR(ZYDIS_VERSION),
		 (unsigned)ZYDIS_VERSION_MINOR(ZYDIS_VERSION));
	why = load(name);
	if (why)
		snprintf(missing, sizeof(missing), "%s %s", name, why);
}

const char *uv_store_open(void)
{
	pthread_once(&once, open_library);
	return missing[0] ? missing : NULL;
}

/* ----------------------------------------------------------------- tables */

/* How the operands of an instruction are read. */
enum form {
	FORM_MOVE = 1, /* memory, register or immediate */
	FORM_REVERSED,
	FORM_LOW,     /* memory, low part of a vector register */
	FORM_HIGH,    /* memory, bytes 8 to 15 of one */
	FORM_EXTRACT, /* memory, register, number of the part */
	FORM_EXCHANGE,
	FORM_MOVS,
	FORM_STOS,
	FORM_BLOCK,
};

static const struct {
	uint16_t mnemonic;
	uint8_t form;
} instructions[] = {
	{ZYDIS_MNEMONIC_MOV, FORM_MOVE},
	{ZYDIS_MNEMONIC_MOVNTI, FORM_MOVE},
	{ZYDIS_MNEMONIC_MOVDIRI, FORM_MOVE},
	{ZYDIS_MNEMONIC_MOVBE, FORM_REVERSED},
	{ZYDIS_MNEMONIC_XCHG, FORM_EXCHANGE},
	{ZYDIS_MNEMONIC_MOVDIR64B, FORM_BLOCK},
	{ZYDIS_MNEMONIC_MOVSB, FORM_MOVS},
	{ZYDIS_MNEMONIC_MOVSW, FORM_MOVS},
	{ZYDIS_MNEMONIC_MOVSQ, FORM_MOVS},
	{ZYDIS_MNEMONIC_STOSB, FORM_STOS},
	{ZYDIS_MNEMONIC_STOSW, FORM_STOS},
	{ZYDIS_MNEMONIC_STOSD, FORM_STOS},
	{ZYDIS_MNEMONIC_STOSQ, FORM_STOS},
	{ZYDIS_MNEMONIC_MOVSD, FORM_LOW}, /* of a string too */
	{ZYDIS_MNEMONIC_MOVSS, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVD, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVQ, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVLPS, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVLPD, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVHPS, FORM_HIGH},
	{ZYDIS_MNEMONIC_MOVHPD, FORM_HIGH},
	{ZYDIS_MNEMONIC_MOVAPS, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVAPD, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVUPS, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVUPD, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVDQA, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVDQU, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVNTPS, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVNTPD, FORM_LOW},
	{ZYDIS_MNEMONIC_MOVNTDQ, FORM_LOW},
	{ZYDIS_MNEMONIC_PEXTRD, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_PEXTRQ, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VMOVSS, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVSD, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVD, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVQ, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVLPS, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVLPD, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVHPS, FORM_HIGH},
	{ZYDIS_MNEMONIC_VMOVHPD, FORM_HIGH},
	{ZYDIS_MNEMONIC_VMOVAPS, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVAPD, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVUPS, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVUPD, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVDQA, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVDQA32, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVDQA64, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVDQU, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVDQU8, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVDQU16, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVDQU32, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVDQU64, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVNTPS, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVNTPD, FORM_LOW},
	{ZYDIS_MNEMONIC_VMOVNTDQ, FORM_LOW},
	{ZYDIS_MNEMONIC_VPEXTRD, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VPEXTRQ, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VEXTRACTF128, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VEXTRACTI128, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VEXTRACTF32X4, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VEXTRACTI32X4, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VEXTRACTF64X2, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VEXTRACTI64X2, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VEXTRACTF32X8, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VEXTRACTI32X8, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VEXTRACTF64X4, FORM_EXTRACT},
	{ZYDIS_MNEMONIC_VEXTRACTI64X4, FORM_EXTRACT},
};

static unsigned form_of(const ZydisDecodedInstruction *instruction)
{
	size_t i;

	if (instruction->mnemonic == ZYDIS_MNEMONIC_MOVSD &&
	    instruction->meta.category == ZYDIS_CATEGORY_STRINGOP)
		return FORM_MOVS;
	for (i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++)
		if (instructions[i].mnemonic == instruction->mnemonic)
			return instructions[i].form;
	return 0;
}

/* -------------------------------------------------------------- registers */

/* Registers of one kind are numbered as the hardware does. */
static bool in_range(unsigned reg, unsigned first, unsigned last,
		     uint8_t *number)
{
	if (reg < first || reg > last)
		return false;
	*number = (uint8_t)(reg - first);
	return true;
}

static bool general(unsigned reg, struct uv_store *store)
{
	if (in_range(reg, ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15,
		     &store->reg) ||
	    in_range(reg, ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D,
		     &store->reg) ||
	    in_range(reg, ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W,
		     &store->reg) ||
	    in_range(reg, ZYDIS_REGISTER_AL, ZYDIS_REGISTER_BL, &store->reg))
		return true;
	if (in_range(reg, ZYDIS_REGISTER_AH, ZYDIS_REGISTER_BH, &store->reg)) {
		store->shift = 1;
		return true;
	}
	if (!in_range(reg, ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_R15B,
		      &store->reg))
		return false;
	store->reg += 4; /* SPL is number 4 */
	return true;
}

/* Bytes of the register; 0: it is no vector. */
static unsigned vector(unsigned reg, struct uv_store *store)
{
	if (in_range(reg, ZYDIS_REGISTER_XMM0, ZYDIS_REGISTER_XMM31,
		     &store->reg))
		return 16;
	if (in_range(reg, ZYDIS_REGISTER_YMM0, ZYDIS_REGISTER_YMM31,
		     &store->reg))
		return 32;
	if (in_range(reg, ZYDIS_REGISTER_ZMM0, ZYDIS_REGISTER_ZMM31,
		     &store->reg))
		return 64;
	return 0;
}

static bool address(const ZydisDecodedOperand *operand, struct uv_store *store)
{
	const __typeof__(operand->mem) *mem = &operand->mem;

	if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY ||
	    mem->type != ZYDIS_MEMOP_TYPE_MEM ||
	    mem->segment == ZYDIS_REGISTER_FS ||
	    mem->segment == ZYDIS_REGISTER_GS)
		return false;
	store->base = store->index = UV_REG_NONE;
	if (mem->base == ZYDIS_REGISTER_RIP)
		store->base = UV_REG_RIP;
	else if (mem->base != ZYDIS_REGISTER_NONE &&
		 !in_range(mem->base, ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15,
			   &store->base))
		return false;
	if (mem->index != ZYDIS_REGISTER_NONE &&
	    !in_range(mem->index, ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15,
		      &store->index))
		return false;
	store->scale = mem->scale;
	store->disp = mem->disp.has_displacement ? mem->disp.value : 0;
	store->size = (uint8_t)(operand->size / 8);
	return operand->size / 8 <= UV_STORE_BYTES_MAX;
}

/* ------------------------------------------------------------ instructions */

static bool move(const ZydisDecodedOperand *source, struct uv_store *store)
{
	if (source->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		store->kind = UV_STORE_IMMEDIATE;
		store->imm = source->imm.value.u;
		return true;
	}
	store->kind = UV_STORE_GENERAL;
	return source->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       general(source->reg.value, store);
}

static bool move_vector(const ZydisDecodedOperand *source, unsigned first_byte,
			struct uv_store *store)
{
	store->kind = UV_STORE_VECTOR;
	store->shift = (uint8_t)first_byte;
	return source->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       vector(source->reg.value, store);
}

/* The number of the part counts modulo the parts that there are. */
static bool extract(const ZydisDecodedOperand *source, struct uv_store *store)
{
	unsigned bytes = vector(source[0].reg.value, store);

	return source[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && bytes &&
	       move_vector(source,
			   (unsigned)source[1].imm.value.u * store->size %
				   bytes,
			   store);
}

static bool exchange(const ZydisDecodedOperand *operands,
		     struct uv_store *store)
{
	unsigned memory = operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? 0 : 1;

	store->kind = UV_STORE_EXCHANGE;
	return address(&operands[memory], store) &&
	       general(operands[!memory].reg.value, store);
}

/* Its destination is a register that holds an address. */
static bool block(const ZydisDecodedOperand *operands, struct uv_store *store)
{
	store->kind = UV_STORE_BLOCK;
	return operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       general(operands[0].reg.value, store) &&
	       address(&operands[1], store);
}

static bool read_operands(unsigned form, const ZydisDecodedOperand *operands,
			  struct uv_store *store)
{
	const ZydisDecodedOperand *source = &operands[1];

	if (form == FORM_EXCHANGE)
		return exchange(operands, store);
	if (form == FORM_BLOCK)
		return block(operands, store);
	if (!address(&operands[0], store))
		return false;
	/* The mask of an EVEX instruction is an operand, also if it is K0. */
	source += source->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		  source->reg.value >= ZYDIS_REGISTER_K0 &&
		  source->reg.value <= ZYDIS_REGISTER_K7;
	switch (form) {
	case FORM_REVERSED:
		store->reversed = true;
		return move(source, store);
	case FORM_MOVE:
		return move(source, store);
	case FORM_LOW:
		return move_vector(source, 0, store);
	case FORM_HIGH:
		return move_vector(source, 8, store);
	case FORM_EXTRACT:
		return extract(source, store);
	case FORM_MOVS:
		store->kind = UV_STORE_MOVS;
		return true;
	case FORM_STOS:
		store->kind = UV_STORE_STOS;
		return true;
	default:
		return false;
	}
}

/* An instruction at the end of a page need not have a page behind it. */
static size_t readable(const uint8_t *code)
{
	size_t left = 4096 - (uintptr_t)code % 4096;

	return left < UV_STORE_CODE_MAX ? left : UV_STORE_CODE_MAX;
}

/* K0 stands for no mask. */
static bool is_masked(const ZydisDecodedInstruction *instruction)
{
	return instruction->avx.mask.reg != ZYDIS_REGISTER_NONE &&
	       instruction->avx.mask.reg != ZYDIS_REGISTER_K0;
}

bool uv_store_decode(const uint8_t *code, struct uv_store *store)
{
	enum {
		REPEATS = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
			  ZYDIS_ATTRIB_HAS_REPNE
	};
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction instruction;
	size_t len = readable(code);
	ZyanStatus status;

	*store = (struct uv_store){0};
	status = decode_full(&decoder, code, len, &instruction, operands);
	if (status == ZYDIS_STATUS_NO_MORE_DATA && len < UV_STORE_CODE_MAX)
		status = decode_full(&decoder, code, UV_STORE_CODE_MAX,
				     &instruction, operands);
	if (!ZYAN_SUCCESS(status) || instruction.address_width != 64 ||
	    is_masked(&instruction))
		return false;
	store->length = instruction.length;
	store->repeated = instruction.attributes & REPEATS;
	if (read_operands(form_of(&instruction), operands, store))
		return true;
	store->kind = UV_STORE_UNKNOWN;
	return false;
}

#else

const char *uv_store_open(void)
{
#ifdef __x86_64__
	return "this was built without the header Zydis/Zydis.h";
#else
	return "instructions of this architecture are not decoded";
#endif
}

bool uv_store_decode(const uint8_t *code, struct uv_store *store)
{
	(void)code;
	*store = (struct uv_store){0};
	return false;
}

#endif
