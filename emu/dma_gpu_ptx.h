/* SPDX-License-Identifier: MIT */
/*
 * The NIC's kernels. As text, because the driver compiles it for whatever GPU
 * there is, and no build needs the CUDA compiler.
 *
 * The atomic of dma_gpu_atomic.c, in C:
 *
 *   slot->state = RUNS;
 *   fence;                       seen by the CPU before the next load
 *   if (slot->cancel) { slot->state = NOTHING_DONE; return; }
 *   do {
 *           old = *addr;
 *           if (!swap)
 *                   new = ((old & ~compare) + (operand & ~compare)) ^
 *                         ((old ^ operand) & compare);
 *           else if ((old ^ compare) & compare_mask)
 *                   new = old;
 *           else
 *                   new = (old & ~swap_mask) | (operand & swap_mask);
 *   } while (atomicCAS_system(addr, old, new) != old);
 *   slot->original = old;
 *   fence;
 *   slot->state = DONE;
 *
 * as dma_atomic_result() has it; the states are those of enum gpu_slot_state.
 *
 * The moves of dma_gpu_move.c, by one block, one move after the other:
 *
 *   list = moves, 16 bytes a thread;        shared by the block
 *   if (thread == 0) {
 *           slot->state = RUNS;
 *           fence;
 *           is_cancelled = slot->cancel;    shared by the block
 *   }
 *   barrier;
 *   if (is_cancelled) { if (thread == 0) slot->state = NOTHING_DONE; return; }
 *   for (move = list; move < list + count; move++) {
 *           for each word of the largest size, 16 to 1 bytes, to which both
 *           addresses and the length are aligned, threads side by side:
 *                   store(load(word));
 *           barrier;
 *           if (thread == 0) fence;         the stores of all are seen
 *           barrier;                        before any of the next
 *   }
 *   if (thread == 0) { fence; slot->state = DONE; }
 *
 * Reads of host memory are few, and one thread fences for all: each is about
 * a microsecond, and those of several threads wait for each other. Requires
 * count <= GPU_MOVES, and 96 threads for as many.
 *
 * A word is one access, as dma_copy() promises of those of 1 to 8 bytes.
 */
#ifndef EMU_DMA_GPU_PTX_H
#define EMU_DMA_GPU_PTX_H

#define GPU_ATOMIC_NAME "belfry_atomic"
#define GPU_MOVE_NAME	"belfry_move"

/* clang-format off */

/* Copy words of one size until this thread is past the end. */
#define GPU_MOVE_WORDS(label, type, reg) \
	label ":\n" \
	"  setp.ge.u64 %p, %at, %len;\n" \
	"  @%p bra NEXT;\n" \
	"  add.u64 %a, %src, %at;\n" \
	"  add.u64 %b, %dst, %at;\n" \
	"  ld.relaxed.gpu." type " " reg ", [%a];\n" \
	"  st.relaxed.gpu." type " [%b], " reg ";\n" \
	"  add.u64 %at, %at, %step;\n" \
	"  bra " label ";\n"

/* Go there if the words are no larger than that. */
#define GPU_MOVE_CHOOSE(label, mask, shift) \
	"  shl.b64 %at, %thread8, " shift ";\n" \
	"  shl.b64 %step, %threads8, " shift ";\n" \
	"  and.b64 %a, %bits, " mask ";\n" \
	"  setp.ne.u64 %p, %a, 0;\n" \
	"  @%p bra " label ";\n"

static const char gpu_kernels_ptx[] =
	".version 6.4\n"
	".target sm_70\n"
	".address_size 64\n"
	".visible .entry " GPU_ATOMIC_NAME "(\n"
	"  .param .u64 slot, .param .u64 addr,\n"
	"  .param .u32 bytes, .param .u32 swap,\n"
	"  .param .u64 operand, .param .u64 compare,\n"
	"  .param .u64 swap_mask, .param .u64 compare_mask)\n"
	"{\n"
	"  .reg .pred %wide, %is_swap, %p;\n"
	"  .reg .b32 %size, %kind, %cancel, %old4, %new4, %seen4;\n"
	"  .reg .b64 %slot, %addr, %operand, %compare, %smask, %cmask;\n"
	"  .reg .b64 %old, %new, %seen, %a, %b, %keep;\n"
	"  ld.param.u64 %slot, [slot];\n"
	"  ld.param.u64 %addr, [addr];\n"
	"  ld.param.u32 %size, [bytes];\n"
	"  ld.param.u32 %kind, [swap];\n"
	"  ld.param.u64 %operand, [operand];\n"
	"  ld.param.u64 %compare, [compare];\n"
	"  ld.param.u64 %smask, [swap_mask];\n"
	"  ld.param.u64 %cmask, [compare_mask];\n"
	"  st.relaxed.sys.u32 [%slot], 1;\n"
	"  fence.sc.sys;\n"
	"  ld.relaxed.sys.u32 %cancel, [%slot+4];\n"
	"  setp.ne.u32 %p, %cancel, 0;\n"
	"  @%p bra NOTHING;\n"
	"  setp.eq.u32 %wide, %size, 8;\n"
	"  setp.ne.u32 %is_swap, %kind, 0;\n"
	"AGAIN:\n"
	"  @%wide ld.relaxed.sys.u64 %old, [%addr];\n"
	"  @!%wide ld.relaxed.sys.u32 %old4, [%addr];\n"
	"  @!%wide cvt.u64.u32 %old, %old4;\n"
	"  @%is_swap bra SWAP;\n"
	"  not.b64 %keep, %compare;\n"
	"  and.b64 %a, %old, %keep;\n"
	"  and.b64 %b, %operand, %keep;\n"
	"  add.u64 %new, %a, %b;\n"
	"  xor.b64 %a, %old, %operand;\n"
	"  and.b64 %a, %a, %compare;\n"
	"  xor.b64 %new, %new, %a;\n"
	"  bra STORE;\n"
	"SWAP:\n"
	"  not.b64 %keep, %smask;\n"
	"  and.b64 %a, %old, %keep;\n"
	"  and.b64 %b, %operand, %smask;\n"
	"  or.b64 %new, %a, %b;\n"
	"  xor.b64 %a, %old, %compare;\n"
	"  and.b64 %a, %a, %cmask;\n"
	"  setp.ne.u64 %p, %a, 0;\n"
	"  @%p mov.b64 %new, %old;\n"
	"STORE:\n"
	"  @%wide bra STORE8;\n"
	"  cvt.u32.u64 %new4, %new;\n"
	"  atom.acq_rel.sys.cas.b32 %seen4, [%addr], %old4, %new4;\n"
	"  setp.ne.u32 %p, %seen4, %old4;\n"
	"  @%p bra AGAIN;\n"
	"  bra DONE;\n"
	"STORE8:\n"
	"  atom.acq_rel.sys.cas.b64 %seen, [%addr], %old, %new;\n"
	"  setp.ne.u64 %p, %seen, %old;\n"
	"  @%p bra AGAIN;\n"
	"DONE:\n"
	"  st.relaxed.sys.u64 [%slot+8], %old;\n"
	"  fence.sc.sys;\n"
	"  st.relaxed.sys.u32 [%slot], 2;\n"
	"  ret;\n"
	"NOTHING:\n"
	"  st.relaxed.sys.u32 [%slot], 3;\n"
	"  ret;\n"
	"}\n"
	".visible .entry " GPU_MOVE_NAME "(\n"
	"  .param .u64 slot, .param .u64 moves, .param .u32 count)\n"
	"{\n"
	"  .shared .u32 is_cancelled;\n"
	"  .shared .align 16 .b8 list[1536];\n"
	"  .reg .pred %first, %p;\n"
	"  .reg .b16 %v1, %v2;\n"
	"  .reg .b32 %thread, %threads, %left, %at4, %v4;\n"
	"  .reg .b64 %slot, %moves, %dst, %src, %len, %at, %step;\n"
	"  .reg .b64 %thread8, %threads8, %a, %b, %bits, %v8, %low, %high;\n"
	"  ld.param.u64 %slot, [slot];\n"
	"  ld.param.u64 %moves, [moves];\n"
	"  ld.param.u32 %left, [count];\n"
	"  mov.u32 %thread, %tid.x;\n"
	"  mov.u32 %threads, %ntid.x;\n"
	"  cvt.u64.u32 %thread8, %thread;\n"
	"  cvt.u64.u32 %threads8, %threads;\n"
	"  mov.u32 %at4, list;\n"
	"  shl.b32 %v4, %thread, 4;\n"
	"  mul.lo.u32 %threads, %left, 24;\n"
	"  setp.ge.u32 %p, %v4, %threads;\n"
	"  @%p bra LISTED;\n"
	"  cvt.u64.u32 %a, %v4;\n"
	"  add.u64 %a, %moves, %a;\n"
	"  ld.relaxed.sys.v2.u64 {%low, %high}, [%a];\n"
	"  add.u32 %v4, %v4, %at4;\n"
	"  st.shared.v2.u64 [%v4], {%low, %high};\n"
	"LISTED:\n"
	"  setp.eq.u32 %first, %thread, 0;\n"
	"  @!%first bra MEET;\n"
	"  st.relaxed.sys.u32 [%slot], 1;\n"
	"  fence.sc.sys;\n"
	"  ld.relaxed.sys.u32 %v4, [%slot+4];\n"
	"  st.shared.u32 [is_cancelled], %v4;\n"
	"MEET:\n"
	"  bar.sync 0;\n"
	"  ld.shared.u32 %v4, [is_cancelled];\n"
	"  setp.ne.u32 %p, %v4, 0;\n"
	"  @%p bra NOTHING;\n"
	"MOVE:\n"
	"  setp.eq.u32 %p, %left, 0;\n"
	"  @%p bra END;\n"
	"  ld.shared.u64 %dst, [%at4];\n"
	"  ld.shared.u64 %src, [%at4+8];\n"
	"  ld.shared.u64 %len, [%at4+16];\n"
	"  or.b64 %bits, %dst, %src;\n"
	"  or.b64 %bits, %bits, %len;\n"
	GPU_MOVE_CHOOSE("BYTES_1", "1", "0")
	GPU_MOVE_CHOOSE("BYTES_2", "3", "1")
	GPU_MOVE_CHOOSE("BYTES_4", "7", "2")
	GPU_MOVE_CHOOSE("BYTES_8", "15", "3")
	"  shl.b64 %at, %thread8, 4;\n"
	"  shl.b64 %step, %threads8, 4;\n"
	"BYTES_16:\n"
	"  setp.ge.u64 %p, %at, %len;\n"
	"  @%p bra NEXT;\n"
	"  add.u64 %a, %src, %at;\n"
	"  add.u64 %b, %dst, %at;\n"
	"  ld.relaxed.gpu.v2.u64 {%low, %high}, [%a];\n"
	"  st.relaxed.gpu.v2.u64 [%b], {%low, %high};\n"
	"  add.u64 %at, %at, %step;\n"
	"  bra BYTES_16;\n"
	GPU_MOVE_WORDS("BYTES_8", "u64", "%v8")
	GPU_MOVE_WORDS("BYTES_4", "u32", "%v4")
	GPU_MOVE_WORDS("BYTES_2", "u16", "%v2")
	GPU_MOVE_WORDS("BYTES_1", "u8", "%v1")
	"NEXT:\n"
	"  bar.sync 0;\n"
	"  @%first fence.acq_rel.gpu;\n"
	"  bar.sync 0;\n"
	"  add.u32 %at4, %at4, 24;\n"
	"  sub.u32 %left, %left, 1;\n"
	"  bra MOVE;\n"
	"END:\n"
	"  @!%first bra OUT;\n"
	"  fence.sc.sys;\n"
	"  st.relaxed.sys.u32 [%slot], 2;\n"
	"OUT:\n"
	"  ret;\n"
	"NOTHING:\n"
	"  @%first st.relaxed.sys.u32 [%slot], 3;\n"
	"  ret;\n"
	"}\n";

/* clang-format on */

#endif
