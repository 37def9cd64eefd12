/* SPDX-License-Identifier: MIT */
/* cg_print.c - what the analyses have found, for people: LLVM_PRINT_IR. */
#include <stdio.h>
#include <stdlib.h>

#include "cuse_dev/backend/soft/llvm/cg.h"

static void print_shape(const struct cg_shape *s)
{
	switch (s->kind) {
	case CG_UNI:
		fprintf(stderr, "uniform");
		break;
	case CG_AFF:
		fprintf(stderr, "affine, stride %d, %u groups", s->stride, s->groups);
		break;
	case CG_WIDE:
		fprintf(stderr, "uniform + %lld * %s32 (", (long long)s->scale,
			s->sign ? "s" : "u");
		if (s->vector)
			fprintf(stderr, "varying)");
		else
			fprintf(stderr, "affine, stride %d, %u groups)", s->stride, s->groups);
		break;
	default:
		fprintf(stderr, "varying");
		break;
	}
	fprintf(stderr, s->raw ? ", raw\n" : "\n");
}

static void print_set(const char *name, const uint64_t *set, uint32_t words)
{
	if (!cg_bits_any(set, words))
		return;
	fprintf(stderr, " %s", name);
	for (uint32_t k = cg_bits_next(set, words, 0); k != UINT32_MAX;
	     k = cg_bits_next(set, words, k + 1))
		fprintf(stderr, " b%u", k);
}

void cg_print(const struct cg *g)
{
	char *text = ir_print(g->unit);

	if (text)
		fputs(text, stderr);
	free(text);
	for (uint32_t i = 0; i < g->f->nregs; i++) {
		fprintf(stderr, "%%%u %s: ", i, g->f->regs[i].name ? g->f->regs[i].name : "");
		print_shape(&g->regs[i].s);
	}
	for (uint32_t b = 0; b < g->nblocks; b++) {
		const struct cg_block *blk = &g->blocks[b];

		fprintf(stderr, "b%u: %u instructions, line %u%s%s%s ->", b, blk->count, blk->line,
			blk->waits ? ", waits" : "", blk->sync ? ", sync" : "",
			blk->turns ? ", turns" : "");
		for (uint32_t i = 0; i < blk->ntargets; i++)
			fprintf(stderr, " b%u", blk->targets[i]);
		print_set("| order", blk->order, g->block_words);
		print_set("| park", blk->park, g->block_words);
		fprintf(stderr, "\n");
	}
}
