/* SPDX-License-Identifier: MIT */
/*
 * Every store instruction that a trapped page follows: what is told is what
 * the instruction would have written, and the program goes on behind it. Strings
 * that are longer than one piece: test_uverbs_strings.c.
 *
 * Each stub loads the 64 bytes at RSI into the registers that it needs and
 * stores to RDI. Forms that this CPU does not have are listed and left out.
 */
#include <cpuid.h>

#include "emu/uverbs/store.h"
#include "support/t_trap.h"

#ifdef __x86_64__

enum need { BASE = 0, MOVBE, MOVDIRI, MOVDIR64B, SSE41, AVX, AVX2, AVX512 };

struct form {
	const char *name;
	void (*run)(uint8_t *to, const uint8_t *from);
	enum need need;
	uint8_t len, shift; /* bytes shift to shift + len of the source */
};

/* With every form, behind it: that the next instruction is the next. */
#define STUB(name, code)                                                       \
	static void name(uint8_t *to, const uint8_t *from)                     \
	{                                                                      \
		uint64_t next = 0;                                             \
                                                                               \
		__asm__ volatile(code "\n\tincq %2"                            \
				 : "+D"(to), "+S"(from), "+r"(next)            \
				 :                                             \
				 : "rax", "rcx", "rdx", "r9", "r15", "xmm0",   \
				   "xmm1", "xmm13", "memory", "cc");           \
		assert_int_equal(next, 1);                                     \
	}

STUB(mov_al, "movb (%1), %%al; movb %%al, (%0)")
STUB(mov_ah, "movw (%1), %%ax; movb %%ah, (%0)")
STUB(mov_dh, "movw (%1), %%dx; movb %%dh, (%0)")
STUB(mov_r9b, "movb (%1), %%r9b; movb %%r9b, (%0)")
STUB(mov_sil, "movq %0, %%rax; movb (%1), %%sil; movb %%sil, (%%rax)")
STUB(mov_cx, "movw (%1), %%cx; movw %%cx, (%0)")
STUB(mov_r15w, "movw (%1), %%r15w; movw %%r15w, (%0)")
STUB(mov_edx, "movl (%1), %%edx; movl %%edx, (%0)")
STUB(mov_rax, "movq (%1), %%rax; movq %%rax, (%0)")
STUB(mov_r15, "movq (%1), %%r15; movq %%r15, (%0)")
STUB(mov_disp8, "movq (%1), %%rax; subq $16, %0; movq %%rax, 16(%0)")
STUB(mov_disp32, "movq (%1), %%rax; subq $0x4000, %0; movq %%rax, 0x4000(%0)")
STUB(mov_index, "movq (%1), %%rax; movq $-3, %%rcx; addq $24, %0\n\t"
		"movq %%rax, (%0, %%rcx, 8)")
STUB(mov_index_only, "movq (%1), %%rax; shrq $1, %0; pushf; "
		     "movq %%rax, (, %0, 2); popf")
STUB(mov_r9_base, "movq (%1), %%rax; leaq -8(%0), %%r9; movq %%rax, 8(%%r9)")
STUB(mov_absolute, "movq (%1), %%rax; movq %0, %%rcx; movq %%rax, (%%rcx)")
STUB(movnti_32, "movl (%1), %%eax; movnti %%eax, (%0)")
STUB(movnti_64, "movq (%1), %%rax; movnti %%rax, (%0)")
STUB(xchg_8, "movb (%1), %%al; xchgb %%al, (%0)")
STUB(xchg_16, "movw (%1), %%ax; xchgw %%ax, (%0)")
STUB(xchg_32, "movl (%1), %%eax; xchgl %%eax, (%0)")
STUB(xchg_64, "movq (%1), %%rax; xchgq %%rax, (%0)")
STUB(movsb, "cld; movsb")
STUB(movsw, "cld; movsw")
STUB(movsl, "cld; movsl")
STUB(movsq, "cld; movsq")
STUB(stosb, "movb (%1), %%al; cld; stosb")
STUB(stosw, "movw (%1), %%ax; cld; stosw")
STUB(stosl, "movl (%1), %%eax; cld; stosl")
STUB(stosq, "movq (%1), %%rax; cld; stosq")
STUB(rep_movsb, "movl $64, %%ecx; cld; rep movsb")
STUB(rep_movsw, "movl $11, %%ecx; cld; rep movsw")
STUB(rep_movsl, "movl $3, %%ecx; cld; rep movsl")
STUB(rep_movsq, "movl $8, %%ecx; cld; rep movsq")
STUB(repne_movsq, "movl $2, %%ecx; cld; .byte 0xf2, 0x48, 0xa5")
STUB(movd, "movd (%1), %%xmm1; movd %%xmm1, (%0)")
STUB(movq, "movq (%1), %%xmm13; movq %%xmm13, (%0)")
STUB(movq_66, "movq (%1), %%xmm1; .byte 0x66, 0x48, 0x0f, 0x7e, 0x0f")
STUB(movss, "movss (%1), %%xmm0; movss %%xmm0, (%0)")
STUB(movsd, "movsd (%1), %%xmm0; movsd %%xmm0, (%0)")
STUB(movlps, "movups (%1), %%xmm1; movlps %%xmm1, (%0)")
STUB(movlpd, "movups (%1), %%xmm1; movlpd %%xmm1, (%0)")
STUB(movhps, "movups (%1), %%xmm1; movhps %%xmm1, (%0)")
STUB(movhpd, "movups (%1), %%xmm13; movhpd %%xmm13, (%0)")
STUB(movups, "movups (%1), %%xmm0; movups %%xmm0, (%0)")
STUB(movaps, "movups (%1), %%xmm13; movaps %%xmm13, (%0)")
STUB(movupd, "movups (%1), %%xmm0; movupd %%xmm0, (%0)")
STUB(movapd, "movups (%1), %%xmm0; movapd %%xmm0, (%0)")
STUB(movdqu, "movups (%1), %%xmm0; movdqu %%xmm0, (%0)")
STUB(movdqa, "movups (%1), %%xmm13; movdqa %%xmm13, (%0)")
STUB(movntps, "movups (%1), %%xmm0; movntps %%xmm0, (%0)")
STUB(movntpd, "movups (%1), %%xmm0; movntpd %%xmm0, (%0)")
STUB(movntdq, "movups (%1), %%xmm1; movntdq %%xmm1, (%0)")
STUB(movbe_16, "movw (%1), %%ax; xchgb %%al, %%ah; movbe %%ax, (%0)")
STUB(movbe_32, "movl (%1), %%eax; bswapl %%eax; movbe %%eax, (%0)")
STUB(movbe_64, "movq (%1), %%rax; bswapq %%rax; movbe %%rax, (%0)")
STUB(movdiri, "movq (%1), %%rax; movdiri %%rax, (%0)")
STUB(movdir64b, "movdir64b (%1), %0")
STUB(pextrd, "movups (%1), %%xmm0; pextrd $2, %%xmm0, (%0)")
STUB(pextrq, "movups (%1), %%xmm0; pextrq $1, %%xmm0, (%0)")
STUB(vmovd, "vmovd (%1), %%xmm1; vmovd %%xmm1, (%0)")
STUB(vmovq, "vmovq (%1), %%xmm1; vmovq %%xmm1, (%0)")
STUB(vmovhps, "vmovups (%1), %%xmm1; vmovhps %%xmm1, (%0)")
STUB(vmovdqu_x, "vmovdqu (%1), %%xmm13; vmovdqu %%xmm13, (%0)")
STUB(vmovups_y, "vmovups (%1), %%ymm0; vmovups %%ymm0, (%0); vzeroupper")
STUB(vmovaps_y, "vmovups (%1), %%ymm13; vmovaps %%ymm13, (%0); vzeroupper")
STUB(vmovupd_y, "vmovups (%1), %%ymm0; vmovupd %%ymm0, (%0); vzeroupper")
STUB(vmovapd_y, "vmovups (%1), %%ymm0; vmovapd %%ymm0, (%0); vzeroupper")
STUB(vmovdqu_y, "vmovups (%1), %%ymm1; vmovdqu %%ymm1, (%0); vzeroupper")
STUB(vmovdqa_y, "vmovups (%1), %%ymm1; vmovdqa %%ymm1, (%0); vzeroupper")
STUB(vmovntdq_y, "vmovups (%1), %%ymm1; vmovntdq %%ymm1, (%0); vzeroupper")
STUB(vmovntps_y, "vmovups (%1), %%ymm1; vmovntps %%ymm1, (%0); vzeroupper")
STUB(vextractf128, "vmovups (%1), %%ymm1; vextractf128 $1, %%ymm1, (%0); "
		   "vzeroupper")
STUB(vextracti128, "vmovups (%1), %%ymm1; vextracti128 $1, %%ymm1, (%0); "
		   "vzeroupper")
STUB(vmovups_z, "vmovups (%1), %%zmm0; vmovups %%zmm0, (%0); vzeroupper")
STUB(vmovups_z31, "vmovups (%1), %%zmm31; vmovups %%zmm31, (%0)")
STUB(vmovaps_z13, "vmovups (%1), %%zmm13; vmovaps %%zmm13, (%0); vzeroupper")
STUB(vmovdqu64_z16, "vmovups (%1), %%zmm16; vmovdqu64 %%zmm16, (%0)")
STUB(vmovdqu32_z, "vmovups (%1), %%zmm1; vmovdqu32 %%zmm1, (%0); vzeroupper")
STUB(vmovdqa64_z, "vmovups (%1), %%zmm1; vmovdqa64 %%zmm1, (%0); vzeroupper")
STUB(vmovdqa32_z, "vmovups (%1), %%zmm1; vmovdqa32 %%zmm1, (%0); vzeroupper")
STUB(vmovdqu8_z, "vmovups (%1), %%zmm1; vmovdqu8 %%zmm1, (%0); vzeroupper")
STUB(vmovdqu16_z, "vmovups (%1), %%zmm1; vmovdqu16 %%zmm1, (%0); vzeroupper")
STUB(vmovntdq_z, "vmovups (%1), %%zmm1; vmovntdq %%zmm1, (%0); vzeroupper")
STUB(vmovups_y18, "vmovups (%1), %%ymm18; vmovups %%ymm18, (%0)")
STUB(vmovups_x19, "vmovups (%1), %%xmm19; vmovups %%xmm19, (%0)")
/* The displacement is stored divided by 64. */
STUB(vmovups_disp, "vmovups (%1), %%zmm1; subq $128, %0; "
		   "vmovups %%zmm1, 128(%0); vzeroupper")
STUB(vextracti32x4, "vmovups (%1), %%zmm20; vextracti32x4 $3, %%zmm20, (%0)")
STUB(vextractf64x4, "vmovups (%1), %%zmm1; vextractf64x4 $1, %%zmm1, (%0); "
		    "vzeroupper")

#define FORM(name, need, len, shift)                                           \
	{                                                                      \
#name, name, need, len, shift                                  \
	}

static const struct form forms[] = {
	FORM(mov_al, BASE, 1, 0),
	FORM(mov_ah, BASE, 1, 1),
	FORM(mov_dh, BASE, 1, 1),
	FORM(mov_r9b, BASE, 1, 0),
	FORM(mov_sil, BASE, 1, 0),
	FORM(mov_cx, BASE, 2, 0),
	FORM(mov_r15w, BASE, 2, 0),
	FORM(mov_edx, BASE, 4, 0),
	FORM(mov_rax, BASE, 8, 0),
	FORM(mov_r15, BASE, 8, 0),
	FORM(mov_disp8, BASE, 8, 0),
	FORM(mov_disp32, BASE, 8, 0),
	FORM(mov_index, BASE, 8, 0),
	FORM(mov_index_only, BASE, 8, 0),
	FORM(mov_r9_base, BASE, 8, 0),
	FORM(mov_absolute, BASE, 8, 0),
	FORM(movnti_32, BASE, 4, 0),
	FORM(movnti_64, BASE, 8, 0),
	FORM(xchg_8, BASE, 1, 0),
	FORM(xchg_16, BASE, 2, 0),
	FORM(xchg_32, BASE, 4, 0),
	FORM(xchg_64, BASE, 8, 0),
	FORM(movsb, BASE, 1, 0),
	FORM(movsw, BASE, 2, 0),
	FORM(movsl, BASE, 4, 0),
	FORM(movsq, BASE, 8, 0),
	FORM(stosb, BASE, 1, 0),
	FORM(stosw, BASE, 2, 0),
	FORM(stosl, BASE, 4, 0),
	FORM(stosq, BASE, 8, 0),
	FORM(rep_movsb, BASE, 64, 0),
	FORM(rep_movsw, BASE, 22, 0),
	FORM(rep_movsl, BASE, 12, 0),
	FORM(rep_movsq, BASE, 64, 0),
	FORM(repne_movsq, BASE, 16, 0),
	FORM(movd, BASE, 4, 0),
	FORM(movq, BASE, 8, 0),
	FORM(movq_66, BASE, 8, 0),
	FORM(movss, BASE, 4, 0),
	FORM(movsd, BASE, 8, 0),
	FORM(movlps, BASE, 8, 0),
	FORM(movlpd, BASE, 8, 0),
	FORM(movhps, BASE, 8, 8),
	FORM(movhpd, BASE, 8, 8),
	FORM(movups, BASE, 16, 0),
	FORM(movaps, BASE, 16, 0),
	FORM(movupd, BASE, 16, 0),
	FORM(movapd, BASE, 16, 0),
	FORM(movdqu, BASE, 16, 0),
	FORM(movdqa, BASE, 16, 0),
	FORM(movntps, BASE, 16, 0),
	FORM(movntpd, BASE, 16, 0),
	FORM(movntdq, BASE, 16, 0),
	FORM(movbe_16, MOVBE, 2, 0),
	FORM(movbe_32, MOVBE, 4, 0),
	FORM(movbe_64, MOVBE, 8, 0),
	FORM(movdiri, MOVDIRI, 8, 0),
	FORM(movdir64b, MOVDIR64B, 64, 0),
	FORM(pextrd, SSE41, 4, 8),
	FORM(pextrq, SSE41, 8, 8),
	FORM(vmovd, AVX, 4, 0),
	FORM(vmovq, AVX, 8, 0),
	FORM(vmovhps, AVX, 8, 8),
	FORM(vmovdqu_x, AVX, 16, 0),
	FORM(vmovups_y, AVX, 32, 0),
	FORM(vmovaps_y, AVX, 32, 0),
	FORM(vmovupd_y, AVX, 32, 0),
	FORM(vmovapd_y, AVX, 32, 0),
	FORM(vmovdqu_y, AVX, 32, 0),
	FORM(vmovdqa_y, AVX, 32, 0),
	FORM(vmovntdq_y, AVX, 32, 0),
	FORM(vmovntps_y, AVX, 32, 0),
	FORM(vextractf128, AVX, 16, 16),
	FORM(vextracti128, AVX2, 16, 16),
	FORM(vmovups_z, AVX512, 64, 0),
	FORM(vmovups_z31, AVX512, 64, 0),
	FORM(vmovaps_z13, AVX512, 64, 0),
	FORM(vmovdqu64_z16, AVX512, 64, 0),
	FORM(vmovdqu32_z, AVX512, 64, 0),
	FORM(vmovdqa64_z, AVX512, 64, 0),
	FORM(vmovdqa32_z, AVX512, 64, 0),
	FORM(vmovdqu8_z, AVX512, 64, 0),
	FORM(vmovdqu16_z, AVX512, 64, 0),
	FORM(vmovntdq_z, AVX512, 64, 0),
	FORM(vmovups_y18, AVX512, 32, 0),
	FORM(vmovups_x19, AVX512, 16, 0),
	FORM(vmovups_disp, AVX512, 64, 0),
	FORM(vextracti32x4, AVX512, 16, 48),
	FORM(vextractf64x4, AVX512, 32, 32),
};

static bool cpu_has(enum need need)
{
	unsigned a, b, c1, c7 = 0, d;

	__cpuid(1, a, b, c1, d);
	__cpuid_count(7, 0, a, b, c7, d);
	switch (need) {
	case BASE:
		return true;
	case MOVBE:
		return c1 >> 22 & 1;
	case MOVDIRI:
		return c7 >> 27 & 1;
	case MOVDIR64B:
		return c7 >> 28 & 1;
	case SSE41:
		return __builtin_cpu_supports("sse4.1");
	case AVX:
		return __builtin_cpu_supports("avx");
	case AVX2:
		return __builtin_cpu_supports("avx2");
	case AVX512:
		return __builtin_cpu_supports("avx512f") &&
		       __builtin_cpu_supports("avx512bw") &&
		       __builtin_cpu_supports("avx512dq") &&
		       __builtin_cpu_supports("avx512vl");
	}
	return false;
}

static void fill(uint8_t from[64], unsigned seed)
{
	unsigned i;

	for (i = 0; i < 64; i++)
		from[i] = (uint8_t)(0x80 + seed * 31 + i * 7);
}

static void check_form(struct t_trap *t, const struct form *form)
{
	_Alignas(64) uint8_t from[64];
	unsigned lap;

	for (lap = 0; lap < 3; lap++) {
		t->told_count = 0;
		fill(from, lap);
		form->run(t->page + 0x800, from);
		if (t->told_count != 1 || t->given_up)
			fail_msg("%s: told %u times, %s", form->name,
				 t->told_count, t->why);
		if (memcmp(t->told[0].bytes, from + form->shift, form->len))
			fail_msg("%s: another value", form->name);
		t_trap_told(t, 0, 0x800, form->len, from + form->shift);
	}
}

static void test_every_form_is_told_as_it_would_store(void **state)
{
	struct t_trap *t = t_trap_open(1);
	unsigned i;

	(void)state;
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (cpu_has(forms[i].need))
			check_form(t, &forms[i]);
		else
			print_message("this CPU has no %s\n", forms[i].name);
	}
	assert_int_equal(t->alias[0x800], 0);
	t_trap_close(t);
}

#define IMMEDIATE(store, bytes)                                                \
	do {                                                                   \
		__asm__ volatile(store : : "r"(t->page + 0x900) : "memory");   \
		t_trap_told(t, t->told_count - 1, 0x900, sizeof(bytes) - 1,    \
			    bytes);                                            \
	} while (0)

static void test_immediates_are_extended_with_their_sign(void **state)
{
	struct t_trap *t = t_trap_open(1);

	(void)state;
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	IMMEDIATE("movb $0xa5, (%0)", "\xa5");
	IMMEDIATE("movw $0x8182, (%0)", "\x82\x81");
	IMMEDIATE("movl $0x81828384, (%0)", "\x84\x83\x82\x81");
	IMMEDIATE("movq $0x71828384, (%0)", "\x84\x83\x82\x71\0\0\0\0");
	IMMEDIATE("movq $-2, (%0)", "\xfe\xff\xff\xff\xff\xff\xff\xff");
	IMMEDIATE("movq $0, (%0)", "\0\0\0\0\0\0\0\0");
	assert_int_equal(t->told_count, 6);
	t_trap_close(t);
}

/* Of this program's own memory: addressed relative to the instruction. */
_Alignas(4096) uint8_t test_own_page[4096];

static void test_addresses_may_be_relative_to_the_instruction(void **state)
{
	struct t_trap t = {0};

	(void)state;
	assert_int_equal(uv_trap_add(test_own_page, 4096, &t_trap_ops, &t), 0);
	__asm__ volatile("movq %0, test_own_page+0x600(%%rip)"
			 :
			 : "r"(0x1122334455667788)
			 : "memory");
	__asm__ volatile("movl $0x11223344, test_own_page+0x20(%%rip)"
			 :
			 :
			 : "memory");
	assert_int_equal(uv_trap_remove(test_own_page), 0);
	t_trap_told(&t, 0, 0x600, 8, "\x88\x77\x66\x55\x44\x33\x22\x11");
	t_trap_told(&t, 1, 0x20, 4, "\x44\x33\x22\x11");
	assert_int_equal(t.told_count, 2);
}

static void test_exchange_answers_with_what_the_page_shows(void **state)
{
	uint64_t rax = 0xaaaaaaaaaaaaaaaa;
	struct t_trap *t = t_trap_open(1);

	(void)state;
	memcpy(t->alias + 0x40, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	assert_int_equal(t_trap_add(t, 0, 1), 0);
#define EXCHANGE(suffix, reg)                                                  \
	__asm__ volatile("xchg" suffix " %%" reg ", (%1)"                      \
			 : "+a"(rax)                                           \
			 : "r"(t->page + 0x40)                                 \
			 : "memory")
	EXCHANGE("b", "ah");
	assert_true(rax == 0xaaaaaaaaaaaa01aa);
	EXCHANGE("w", "ax");
	assert_true(rax == 0xaaaaaaaaaaaa0201);
	EXCHANGE("l", "eax");
	assert_true(rax == 0x04030201);
	EXCHANGE("q", "rax");
	assert_true(rax == 0x0807060504030201);
#undef EXCHANGE
	/* How C stores with sequential consistency. */
	__atomic_store_n((uint64_t *)(t->page + 0x40), 9, __ATOMIC_SEQ_CST);
	t_trap_told(t, 4, 0x40, 8, "\x09\0\0\0\0\0\0\0");
	assert_int_equal(t->told_count, 5);
	assert_int_equal(t->alias[0x40], 1);
	t_trap_close(t);
}

static void test_the_upper_half_of_a_register_may_be_zero(void **state)
{
	uint8_t from[64], expected[32] = {0};
	struct t_trap *t = t_trap_open(1);

	(void)state;
	if (!cpu_has(AVX))
		skip();
	fill(from, 1);
	memcpy(expected, from, 16);
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	__asm__ volatile("vzeroall; vmovdqu (%1), %%xmm0; vmovups %%ymm0, (%0)"
			 :
			 : "r"(t->page), "r"(from)
			 : "memory", "xmm0");
	t_trap_told(t, 0, 0, 32, expected);
	t_trap_close(t);
}

/* ----------------------------------------------------------- not followed */

static void backward_string(uint8_t *to, const uint8_t *from)
{
	uint64_t count = 8;

	to += 7;
	from += 7;
	__asm__ volatile("std; rep movsb; cld"
			 : "+D"(to), "+S"(from), "+c"(count)
			 :
			 : "memory");
}

static void masked(uint8_t *to, const uint8_t *from)
{
	__asm__ volatile("vmovups (%1), %%zmm16; movl $0xff, %%eax\n\t"
			 "kmovw %%eax, %%k1; vmovdqu8 %%zmm16, (%0)%{%%k1%}"
			 :
			 : "r"(to), "r"(from)
			 : "memory", "rax");
}

static void short_address(uint8_t *to, const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	__asm__ volatile("addr32 movq %1, (%k0)"
			 :
			 : "r"(to), "r"(value)
			 : "memory");
}

static void mmx(uint8_t *to, const uint8_t *from)
{
	__asm__ volatile("movq (%1), %%mm3; movntq %%mm3, (%0); emms"
			 :
			 : "r"(to), "r"(from)
			 : "memory");
}

static void makes_plain(struct t_trap *t,
			void (*store)(uint8_t *to, const uint8_t *from))
{
	_Alignas(64) uint8_t from[64];

	fill(from, 9);
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	store(t->page + 0x100, from);
	assert_int_equal(t->told_count, 0);
	assert_int_equal(t->given_up, 1);
	assert_memory_equal(t->alias + 0x100, from, 8);
	t_trap_close(t);
}

static void test_other_forms_store_by_themselves(void **state)
{
	struct t_trap *t;

	(void)state;
	makes_plain(t_trap_open(1), backward_string);
	makes_plain(t_trap_open(1), mmx);
	if (cpu_has(AVX512))
		makes_plain(t_trap_open(1), masked);
	t = t_trap_open(1);
	munmap(t->page, 4096);
	t->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	assert_true(t->page != MAP_FAILED);
	munmap(t->alias, 4096);
	t->alias = t->page;
	makes_plain(t, short_address);
}

/* The code at one address may change: what is remembered is not believed. */
static void test_code_that_is_rewritten_is_decoded_anew(void **state)
{
	static const uint8_t store_rax[] = {0x48, 0x89, 0x07, 0xc3};
	static const uint8_t store_ecx[] = {0x89, 0x0f, 0x90, 0xc3};
	struct t_trap *t = t_trap_open(1);
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* The last bytes of a page that nothing follows. */
	uint8_t *at = code + 4096 - sizeof(store_rax);
	unsigned i;

	(void)state;
	if (code == MAP_FAILED)
		skip();
	assert_int_equal(t_trap_add(t, 0, 1), 0);
	for (i = 0; i < 6; i++) {
		memcpy(at, i & 1 ? store_ecx : store_rax, sizeof(store_rax));
		__asm__ volatile("call *%0"
				 :
				 : "r"(at), "D"(t->page), "a"(0x1122ll),
				   "c"(0x33ll)
				 : "memory");
		t_trap_told(t, i, 0, i & 1 ? 4 : 8,
			    i & 1 ? "\x33\0\0\0" : "\x22\x11\0\0\0\0\0\0");
	}
	munmap(code, 4096);
	t_trap_close(t);
}

/* What this CPU may lack is decoded all the same. */
static void test_direct_stores_are_decoded(void **state)
{
	/* movdir64b (%rcx), %rax; movdiri %r9, 0x10(%rdi); bytes behind */
	static const uint8_t code[] = {0x66, 0x0f, 0x38, 0xf8, 0x01, 0x4c, 0x0f,
				       0x38, 0xf9, 0x4f, 0x10, 0,    0,	   0,
				       0,    0,	   0,	 0,    0,    0};
	struct uv_store store;

	(void)state;
	assert_true(uv_store_decode(code, &store));
	assert_int_equal(store.kind, UV_STORE_BLOCK);
	assert_int_equal(store.length, 5);
	assert_int_equal(store.size, 64);
	assert_int_equal(store.reg, 0);
	assert_int_equal(store.base, 1);
	assert_true(uv_store_decode(code + 5, &store));
	assert_int_equal(store.kind, UV_STORE_GENERAL);
	assert_int_equal(store.length, 6);
	assert_int_equal(store.size, 8);
	assert_int_equal(store.reg, 9);
	assert_int_equal(store.base, 7);
	assert_int_equal(store.disp, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form_is_told_as_it_would_store),
		cmocka_unit_test(test_immediates_are_extended_with_their_sign),
		cmocka_unit_test(
			test_addresses_may_be_relative_to_the_instruction),
		cmocka_unit_test(
			test_exchange_answers_with_what_the_page_shows),
		cmocka_unit_test(test_the_upper_half_of_a_register_may_be_zero),
		cmocka_unit_test(test_other_forms_store_by_themselves),
		cmocka_unit_test(test_code_that_is_rewritten_is_decoded_anew),
		cmocka_unit_test(test_direct_stores_are_decoded),
	};

	if (t_trap_missing())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return t_trap_missing() ? 77 : 1;
}

#endif
