/* SPDX-License-Identifier: MIT */
/*
 * The kernel of dma_gpu_atomic.c. As text, because the driver compiles it for
 * whatever GPU there is, and no build needs the CUDA compiler. In C:
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
 */
#ifndef EMU_DMA_GPU_PTX_H
#define EMU_DMA_GPU_PTX_H

#define GPU_ATOMIC_KERNEL "belfry_atomic"

static const char gpu_atomic_ptx[] =
	".version 6.4\n"
	".target sm_70\n"
	".address_size 64\n"
	".visible .entry " GPU_ATOMIC_KERNEL "(\n"
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
	"}\n";

#endif
