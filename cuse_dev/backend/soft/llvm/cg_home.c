/* SPDX-License-Identifier: MIT */
/*
 * cg_home.c - registers of large kernels live in memory between blocks.
 *
 *	block 7				block 7
 *	add r1, r2, r3	becomes		r2 = home(r2); r3 = home(r3)
 *	jump 9				add r1, r2, r3
 *					home(r1) = r1
 *					jump 9
 *
 * LLVM's time for values that cross blocks grows with blocks times registers: each block that lanes may
 * come to from several places, and the dispatcher above all, has a phi for each. A warp's registers are
 * more than the CPU's, so most of them would lie in memory anyway. Registers of one block are LLVM's.
 *
 * In a kernel that runs in phases (cg_phase.c) the homes are the warp's frame: at a barrier everything that
 * lives is there already.
 */
#include <errno.h>

#include "cuse_dev/backend/soft/llvm/cg.h"
#include "cuse_dev/base/arena.h"

#define MANY_PHIS 4000u /* registers live at the start of a block, over all blocks */

void cg_parts(const struct cg_reg *r, LLVMValueRef ret_at[CG_PARTS])
{
	ret_at[0] = r->u;
	ret_at[1] = r->v;
	for (uint32_t k = 0; k < CG_MAX_GROUPS; k++)
		ret_at[2 + k] = r->x[k];
}

static uint32_t part_bytes(LLVMValueRef at)
{
	LLVMTypeRef t = LLVMGetAllocatedType(at);
	uint32_t bits, lanes = 1;

	if (LLVMGetTypeKind(t) == LLVMVectorTypeKind) {
		lanes = LLVMGetVectorSize(t);
		t = LLVMGetElementType(t);
	}
	bits = LLVMGetIntTypeWidth(t) * lanes;
	return bits < 64 ? 8 : bits / 8;
}

static uint32_t place(const struct cg_reg *r, uint32_t at)
{
	LLVMValueRef all[CG_PARTS];

	cg_parts(r, all);
	for (uint32_t k = 0; k < CG_PARTS; k++)
		at += all[k] ? part_bytes(all[k]) : 0;
	return (at + 63) & ~63u;
}

int cg_home_init(struct cg *g)
{
	uint64_t *cross = arena_alloc(g->arena, (size_t)g->reg_words * 8 + 8);
	uint32_t bytes = 0, phis = 0;

	if (!cross)
		return cg_fail(g, -ENOMEM, "out of memory");
	for (uint32_t b = 0; b < g->nblocks; b++) {
		cg_bits_or(cross, g->blocks[b].live, g->reg_words);
		cg_bits_or(cross, g->blocks[b].keep, g->reg_words);
		for (uint32_t i = 0; i < g->reg_words; i++)
			phis += (uint32_t)__builtin_popcountll(g->blocks[b].live[i]);
	}
	for (uint32_t i = 0; i < g->f->nregs; i++)
		g->regs[i].crosses = cg_bit(cross, i);
	if (g->opt->level != LLVM_QUICK && phis < MANY_PHIS)
		return 0;
	for (uint32_t i = 0; i < g->f->nregs; i++) {
		struct cg_reg *r = &g->regs[i];

		if (!r->crosses)
			continue;
		r->homed = true;
		r->home = bytes;
		bytes = place(r, bytes);
	}
	g->has_homes = true;
	if (g->phases) {
		cg_phase_homes(g, bytes);
		return 0;
	}
	g->homes = LLVMBuildArrayAlloca(g->b, cg_vec(g->i32), cg_i32(g, bytes / 128 + 1), "homes");
	LLVMSetAlignment(g->homes, 64);
	return 0;
}

/* ---- at the ends of a block ----------------------------------------------------------------- */

static void move(struct cg *g, const struct cg_reg *r, bool load)
{
	LLVMValueRef all[CG_PARTS], homes = g->phases ? cg_phase_home(g) : g->homes;
	uint64_t at = r->home;

	cg_parts(r, all);
	for (uint32_t k = 0; k < CG_PARTS; k++) {
		LLVMValueRef i = cg_i64(g, at), p, v, m;
		LLVMTypeRef t;

		if (!all[k])
			continue;
		t = LLVMGetAllocatedType(all[k]);
		p = LLVMBuildGEP2(g->b, g->i8, homes, &i, 1, "");
		v = LLVMBuildLoad2(g->b, t, load ? p : all[k], "");
		m = LLVMBuildStore(g->b, v, load ? all[k] : p);
		LLVMSetAlignment(load ? v : m, at % 64 ? 8 : 64);
		at += part_bytes(all[k]);
	}
}

void cg_home_clear(struct cg *g, const struct cg_reg *r)
{
	move(g, r, false);
}

/* The registers of @b: written, or used in any way. */
static void mark(const struct cg *g, const struct cg_block *b, uint64_t *used, uint64_t *written)
{
	if (b->term == CG_BRANCH || b->term == CG_SWITCH)
		cg_bit_set(used, b->pred);
	for (uint32_t i = 0; i < b->count; i++) {
		const struct ir_inst *in = &b->insts[i];

		if (in->guard >= 0)
			cg_bit_set(used, (uint32_t)in->guard);
		for (uint32_t k = 0; k < (uint32_t)in->nd + in->ns; k++) {
			if (in->opnd[k].kind != IR_OPND_REG)
				continue;
			cg_bit_set(used, in->opnd[k].reg);
			if (k < in->nd)
				cg_bit_set(written, in->opnd[k].reg);
		}
	}
}

/* Allocas of its own for each block: those are cheap, however many there are. */
static void renew(struct cg *g, uint32_t reg)
{
	LLVMBasicBlockRef at = LLVMGetInsertBlock(g->b);

	LLVMPositionBuilderBefore(g->b, LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(g->fn)));
	cg_allocate(g, reg);
	LLVMPositionBuilderAtEnd(g->b, at);
}

enum when { BEGIN, RESUME, END };

static void each(struct cg *g, const struct cg_block *b, enum when when)
{
	const bool load = when != END;
	uint64_t *used = arena_alloc(g->arena, 2 * (size_t)g->reg_words * 8 + 8), *written;

	if (!used) {
		cg_fail(g, -ENOMEM, "out of memory");
		return;
	}
	written = used + g->reg_words;
	mark(g, b, used, written);
	for (uint32_t i = 0; i < g->reg_words; i++) {
		/* Lanes that do not run keep what they have, and so it is read, too. */
		uint64_t in = b->live[i] | b->keep[i];

		for (uint64_t set = when == BEGIN ? used[i] : written[i]; set; set &= set - 1) {
			uint32_t r = i * 64 + (uint32_t)__builtin_ctzll(set);

			if (!g->regs[r].homed)
				continue;
			if (when == BEGIN)
				renew(g, r);
			if (when != BEGIN || (in & set & -set))
				move(g, &g->regs[r], load);
		}
	}
}

void cg_home_load(struct cg *g, const struct cg_block *b)
{
	if (g->has_homes)
		each(g, b, BEGIN);
}

void cg_home_resume(struct cg *g, const struct cg_block *b)
{
	each(g, b, RESUME);
}

void cg_home_store(struct cg *g, const struct cg_block *b)
{
	if (g->has_homes)
		each(g, b, END);
}
