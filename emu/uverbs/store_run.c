/* SPDX-License-Identifier: MIT */
/*
 * Follow a decoded store: fetch its value from the registers that the signal
 * frame holds, hand it over, move the registers on.
 *
 * Vector registers lie in the frame as XSAVE wrote them: XMM in the legacy
 * part, the rest in components whose places CPUID leaf 0xd gives. A component
 * whose bit in XSTATE_BV is clear was all zeros.
 *
 * Source: Intel SDM vol. 1, 13.4 (layout), vol. 2, MOVS and STOS; Linux
 * arch/x86/include/uapi/asm/sigcontext.h (the words behind the legacy part).
 * Thread: the one that faulted, in the handler.
 */
#include "emu/uverbs/store.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <string.h>

#include "emu/dma.h"

enum {
	XSAVE_XMM = 160, /* offset of XMM0 in the legacy part */
	XSAVE_SW_RESERVED = 464,
	XSAVE_MAGIC = 0x46505853, /* "the frame goes beyond the legacy part" */
	XSAVE_XSTATE_BV = 512,
	COMPONENT_YMM_HIGH = 2,
	COMPONENT_ZMM_HIGH = 6,	 /* bytes 32 to 63 of ZMM0 to 15 */
	COMPONENT_ZMM_UPPER = 7, /* ZMM16 to 31, whole */
	DIRECTION_FLAG = 1 << 10,
	PAGE_FAULT_WRITE = 1 << 1, /* of the error code */
	GENERAL_RCX = 1,
	GENERAL_RSI = 6,
	GENERAL_RDI = 7,
};

static greg_t *general(ucontext_t *context, unsigned number)
{
	static const uint8_t places[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX,
					   REG_RSP, REG_RBP, REG_RSI, REG_RDI,
					   REG_R8,  REG_R9,  REG_R10, REG_R11,
					   REG_R12, REG_R13, REG_R14, REG_R15};

	return &context->uc_mcontext.gregs[places[number & 15]];
}

static uintptr_t address(const struct uv_store *store, ucontext_t *context)
{
	uint64_t at = (uint64_t)store->disp;

	if (store->base == UV_REG_RIP)
		at += (uint64_t)context->uc_mcontext.gregs[REG_RIP] +
		      store->length;
	else if (store->base != UV_REG_NONE)
		at += (uint64_t)*general(context, store->base);
	if (store->index != UV_REG_NONE)
		at += (uint64_t)*general(context, store->index) * store->scale;
	return at;
}

static void go_on(const struct uv_store *store, ucontext_t *context)
{
	context->uc_mcontext.gregs[REG_RIP] += store->length;
}

/* ---------------------------------------------------------------- vectors */

static uint32_t component_offset(unsigned component)
{
	static uint32_t offsets[COMPONENT_ZMM_UPPER + 1];
	uint32_t offset, size, ecx, edx;

	/* The same from every thread: it does not matter who stores it. */
	offset = __atomic_load_n(&offsets[component], __ATOMIC_RELAXED);
	if (offset)
		return offset;
	__cpuid_count(0xd, component, size, offset, ecx, edx);
	__atomic_store_n(&offsets[component], offset, __ATOMIC_RELAXED);
	return offset;
}

/* A part of a component; false: the frame has none. */
static bool from_component(const uint8_t *frame, unsigned component,
			   size_t offset, uint8_t *bytes, size_t len)
{
	uint64_t have, in_use;
	uint32_t magic;

	memcpy(&magic, frame + XSAVE_SW_RESERVED, sizeof(magic));
	memcpy(&have, frame + XSAVE_SW_RESERVED + 8, sizeof(have));
	if (magic != XSAVE_MAGIC || !(have >> component & 1))
		return false;
	memcpy(&in_use, frame + XSAVE_XSTATE_BV, sizeof(in_use));
	if (in_use >> component & 1)
		memcpy(bytes, frame + component_offset(component) + offset,
		       len);
	else
		memset(bytes, 0, len);
	return true;
}

/* The first len bytes of a vector register. */
static bool vector(const ucontext_t *context, unsigned number,
		   uint8_t bytes[UV_STORE_BYTES_MAX], size_t len)
{
	const uint8_t *frame = (const uint8_t *)context->uc_mcontext.fpregs;

	if (!frame)
		return false;
	if (number >= 16)
		return from_component(frame, COMPONENT_ZMM_UPPER,
				      (number - 16) * 64u, bytes, 64);
	memcpy(bytes, frame + XSAVE_XMM + number * 16u, 16);
	if (len > 16 && !from_component(frame, COMPONENT_YMM_HIGH, number * 16u,
					bytes + 16, 16))
		return false;
	return len <= 32 || from_component(frame, COMPONENT_ZMM_HIGH,
					   number * 32u, bytes + 32, 32);
}

/* ----------------------------------------------------------------- values */

static void reverse(uint8_t *bytes, size_t len)
{
	uint8_t swap;
	size_t i;

	for (i = 0; i < len / 2; i++) {
		swap = bytes[i];
		bytes[i] = bytes[len - 1 - i];
		bytes[len - 1 - i] = swap;
	}
}

/* What is stored; bytes has room for a whole register. */
static bool value(const struct uv_store *store, ucontext_t *context,
		  uint8_t bytes[UV_STORE_BYTES_MAX])
{
	uint64_t word = store->imm;

	switch (store->kind) {
	case UV_STORE_BLOCK:
		return !dma_copy(bytes, (void *)address(store, context),
				 store->size);
	case UV_STORE_VECTOR:
		if (!vector(context, store->reg, bytes,
			    (size_t)store->shift + store->size))
			return false;
		memmove(bytes, bytes + store->shift, store->size);
		return true;
	case UV_STORE_GENERAL:
	case UV_STORE_EXCHANGE:
		word = (uint64_t)*general(context, store->reg) >>
		       8 * store->shift;
		break;
	default:
		break;
	}
	memcpy(bytes, &word, sizeof(word));
	if (store->reversed)
		reverse(bytes, store->size);
	return true;
}

/* Half a register is replaced as the instruction does it. */
static void load_register(const struct uv_store *store, ucontext_t *context,
			  const uint8_t *bytes)
{
	greg_t *reg = general(context, store->reg);

	if (store->size == 4)
		*reg = 0;
	memcpy((uint8_t *)reg + store->shift, bytes, store->size);
}

/* Does the store lie in what is replaced, and is it the one that faulted? */
static bool fits(const struct uv_store_target *target, uintptr_t at, size_t len)
{
	return at >= target->start && at - target->start < target->len &&
	       len <= target->len - (at - target->start) &&
	       target->fault - at < len;
}

static bool run_one(const struct uv_store *store, ucontext_t *context,
		    const struct uv_store_target *target)
{
	uint8_t bytes[UV_STORE_BYTES_MAX], shown[sizeof(uint64_t)];
	uintptr_t at = store->kind == UV_STORE_BLOCK
			       ? (uintptr_t)*general(context, store->reg)
			       : address(store, context);

	if (!fits(target, at, store->size) || !value(store, context, bytes))
		return false;
	if (store->kind == UV_STORE_EXCHANGE) {
		if (dma_copy(shown, (void *)at, store->size))
			return false;
		load_register(store, context, shown);
	}
	go_on(store, context);
	target->put(target->arg, at - target->start, bytes, store->size);
	return true;
}

/* ---------------------------------------------------------------- strings */

/* The source of len bytes of a string; false: it is not there. */
static bool string_source(const struct uv_store *store, ucontext_t *context,
			  uint8_t *bytes, size_t len)
{
	const void *word = general(context, 0); /* RAX */
	size_t i;

	if (store->kind == UV_STORE_MOVS)
		return !dma_copy(bytes, (void *)*general(context, GENERAL_RSI),
				 len);
	for (i = 0; i < len; i += store->size)
		memcpy(bytes + i, word, store->size);
	return true;
}

/*
 * In portions, as much as lies in what is replaced. The registers are moved on
 * first: whoever gets the bytes may look at a state that is consistent.
 */
static bool run_string(const struct uv_store *store, ucontext_t *context,
		       const struct uv_store_target *target)
{
	greg_t *to = general(context, GENERAL_RDI);
	greg_t *count = general(context, GENERAL_RCX);
	uint64_t left = store->repeated ? (uint64_t)*count : 1;
	uint8_t bytes[UV_STORE_BYTES_MAX];
	bool moved = false;
	uintptr_t at;
	size_t len;

	if (context->uc_mcontext.gregs[REG_EFL] & DIRECTION_FLAG ||
	    !fits(target, (uintptr_t)*to, store->size))
		return false;
	while (left) {
		at = (uintptr_t)*to;
		len = target->len - (at - target->start);
		len = len < sizeof(bytes) ? len : sizeof(bytes);
		len -= len % store->size;
		if (len / store->size > left)
			len = left * store->size;
		if (!len || !string_source(store, context, bytes, len))
			return moved;
		moved = true;
		left -= len / store->size;
		*to += (greg_t)len;
		if (store->kind == UV_STORE_MOVS)
			*general(context, GENERAL_RSI) += (greg_t)len;
		if (store->repeated)
			*count = (greg_t)left;
		if (!left)
			go_on(store, context);
		target->put(target->arg, at - target->start, bytes, len);
	}
	return true;
}

bool uv_store_faulted(const ucontext_t *context)
{
	return context->uc_mcontext.gregs[REG_ERR] & PAGE_FAULT_WRITE;
}

uintptr_t uv_store_rip(const ucontext_t *context)
{
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

bool uv_store_run(const struct uv_store *store, ucontext_t *context,
		  const struct uv_store_target *target)
{
	switch (store->kind) {
	case UV_STORE_UNKNOWN:
		return false;
	case UV_STORE_MOVS:
	case UV_STORE_STOS:
		return run_string(store, context, target);
	default:
		return run_one(store, context, target);
	}
}

#else

bool uv_store_faulted(const ucontext_t *context)
{
	(void)context;
	return false;
}

uintptr_t uv_store_rip(const ucontext_t *context)
{
	(void)context;
	return 0;
}

bool uv_store_run(const struct uv_store *store, ucontext_t *context,
		  const struct uv_store_target *target)
{
	(void)store, (void)context, (void)target;
	return false;
}

#endif
