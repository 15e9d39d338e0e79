/* SPDX-License-Identifier: MIT */
/*
 * Interposer of dlsym(): who asks for a call of the CUDA driver that cuda.c
 * interposes gets that one.
 *
 * The real dlsym() looks at who called it (RTLD_NEXT), so for everything else
 * it is jumped to, and returns to the program. On other processors than these
 * dlsym() is left alone.
 *
 * Source: dlsym(3); glibc dlfcn/dlsym.c.
 * Thread: any, also before main() and while an allocator is made.
 */
#include <dlfcn.h>
#include <stddef.h>

#include "emu/uverbs/cuda.h"

typedef void *dlsym_fn(void *library, const char *name);

/* Read by the assembler below. */
__attribute__((used, visibility("hidden"))) dlsym_fn *uv_dlsym_behind;
__attribute__((used, visibility("hidden"))) void *
uv_dlsym_ours(void *library, const char *name);

static dlsym_fn *find(void)
{
	static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.2.5",
					       "GLIBC_2.17"};
	void *found = NULL;
	unsigned i;

	for (i = 0; !found && i < 3; i++)
		found = dlvsym(RTLD_NEXT, "dlsym", versions[i]);
	return (dlsym_fn *)found;
}

/* Whoever comes first, all find the same. */
static dlsym_fn *behind(void)
{
	dlsym_fn *found = __atomic_load_n(&uv_dlsym_behind, __ATOMIC_RELAXED);

	if (!found) {
		found = find();
		__atomic_store_n(&uv_dlsym_behind, found, __ATOMIC_RELAXED);
	}
	return found;
}

void *uv_real_dlsym(void *library, const char *name)
{
	return behind()(library, name);
}

/* NULL: the real one is to answer. A sanitizer's runtime looks its own calls up
 * before code that it watches can run: only names of CUDA go any further. */
void *uv_dlsym_ours(void *library, const char *name)
{
	behind();
	if (library == RTLD_NEXT || !name || name[0] != 'c' || name[1] != 'u')
		return NULL;
	return uv_cuda_symbol(name);
}

#if defined(__x86_64__)
__asm__(".text\n"
	".globl dlsym\n"
	".type dlsym, @function\n"
	"dlsym:\n"
	"	push %rdi\n"
	"	push %rsi\n"
	"	sub $8, %rsp\n"
	"	call uv_dlsym_ours\n"
	"	add $8, %rsp\n"
	"	pop %rsi\n"
	"	pop %rdi\n"
	"	test %rax, %rax\n"
	"	jne 1f\n"
	"	jmp *uv_dlsym_behind(%rip)\n"
	"1:	ret\n"
	".size dlsym, .-dlsym\n");
#elif defined(__aarch64__)
__asm__(".text\n"
	".globl dlsym\n"
	".type dlsym, %function\n"
	"dlsym:\n"
	"	stp x29, x30, [sp, #-32]!\n"
	"	stp x0, x1, [sp, #16]\n"
	"	bl uv_dlsym_ours\n"
	"	mov x9, x0\n"
	"	ldp x0, x1, [sp, #16]\n"
	"	ldp x29, x30, [sp], #32\n"
	"	cbnz x9, 1f\n"
	"	adrp x9, uv_dlsym_behind\n"
	"	ldr x9, [x9, #:lo12:uv_dlsym_behind]\n"
	"	br x9\n"
	"1:	mov x0, x9\n"
	"	ret\n"
	".size dlsym, .-dlsym\n");
#endif
