/* SPDX-License-Identifier: MIT */
/*
 * lower.c - one function: its parsed body into blocks of IR.
 */
#include "cuse_dev/backend/soft/ptx/lower.h"

#include <string.h>

#include "cuse_dev/base/arena.h"
#include "cuse_dev/base/limits.h"

static const struct {
	ptx_lower_fn *fn;
	uint16_t op;
} rows[] = {
#define PTX_OP(NAME, text, lower, ir) { ptx_lower_##lower, IR_OP_##ir },
#include "ptx_op.def"
#undef PTX_OP
};

/* ---- blocks ---------------------------------------------------------------------------------- */

void ptx_lo_block_begin(struct ptx_lower *l)
{
	struct ptx_lo_block *b;

	if (l->nblocks)
		l->blocks[l->nblocks - 1].count =
			(uint32_t)l->ninsts - l->blocks[l->nblocks - 1].first;
	b = arena_grow(l->un->scratch, l->blocks, &l->blocks_cap, l->nblocks + 1, sizeof(*b));
	if (!b) {
		ptx_fail(l->err, PTX_ERR_MEMORY, l->fn->line, 0, "out of memory");
		return;
	}
	l->blocks = b;
	b += l->nblocks++;
	memset(b, 0, sizeof(*b));
	b->first = (uint32_t)l->ninsts;
	b->term = IR_TERM_JUMP; /* to the next one, unless something ends it otherwise */
	b->target[0] = (int64_t)l->nblocks;
}

struct ptx_lo_block *ptx_lo_block_now(struct ptx_lower *l)
{
	return l->err->code || !l->nblocks ? NULL : &l->blocks[l->nblocks - 1];
}

uint32_t ptx_lo_frame(struct ptx_lower *l, uint32_t bytes)
{
	uint32_t at = (l->b->frame_bytes + 15) & ~15u;

	if (at > (1u << 28)) {
		ptx_lo_fail(l, "too much local memory");
		return 0;
	}
	l->b->frame_bytes = at + bytes;
	return at;
}

/* ---- instructions ---------------------------------------------------------------------------- */

static void check_leftover(struct ptx_lower *l)
{
	for (uint32_t i = 0; i < l->in->nmods; i++)
		if (!(l->used >> i & 1)) {
			ptx_lo_fail(l, "modifier '.%.*s' cannot stand here", l->in->mods[i].len,
				    l->in->mods[i].text);
			return;
		}
}

static void lower_inst(struct ptx_lower *l, const struct ptx_inst *in)
{
	l->in = in;
	l->used = 0;
	l->guard = -1;
	l->guard_not = false;
	if (in->guarded) {
		l->guard = (int32_t)ptx_lo_reg(l, in->guard).reg;
		l->guard_not = in->guard_not;
	}
	rows[in->op].fn(l, (enum ir_op)rows[in->op].op);
	if (!l->err->code)
		check_leftover(l);
	l->guard = -1;
}

/* .reg parameters come out of the frame first. */
static void load_formals(struct ptx_lower *l)
{
	const struct ptx_proto *pr = &l->fn->proto;

	for (uint32_t k = 0; k < pr->nparams; k++) {
		struct ir_operand s = ptx_lo_imm(l->b->params[k].offset), d;
		struct ir_inst *i;

		if (l->b->formal_reg[k] == UINT32_MAX)
			continue;
		d = ptx_lo_reg(l, l->b->formal_reg[k]);
		i = ptx_lo_emit1(l, IR_OP_LD, ptx_lo_reg_type(l, d), d, 1, &s);
		i->type2 = i->type;
		if (pr->params[k].size == 1)
			i->type = IR_U8;
		i->space = l->fn->is_entry ? IR_SPACE_PARAM : IR_SPACE_FRAME;
	}
}

/* Which instructions have a label before them: 1, or the label's name for the IR's text. */
static const char **label_names(struct ptx_lower *l)
{
	const char **names = arena_alloc(l->un->scratch, (l->b->ninsts + 1) * sizeof(*names));

	for (uint32_t h = 0; names && h < PTX_BODY_BUCKETS; h++)
		for (struct ptx_label *lb = l->b->label_hash[h]; lb; lb = lb->next)
			names[lb->at] = arena_strndup(l->arena, lb->name, lb->len);
	return names;
}

static bool lower_insts(struct ptx_lower *l)
{
	const char **names = label_names(l);
	struct ptx_body *b = l->b;

	l->block_at = arena_alloc(l->un->scratch, (b->ninsts + 1) * sizeof(*l->block_at));
	if (!names || !l->block_at) {
		ptx_fail(l->err, PTX_ERR_MEMORY, l->fn->line, 0, "out of memory");
		return false;
	}
	ptx_lo_block_begin(l);
	load_formals(l);
	for (size_t i = 0; i <= b->ninsts && !l->err->code; i++) {
		if (names[i]) {
			ptx_lo_block_begin(l);
			if (!l->err->code)
				l->blocks[l->nblocks - 1].label = names[i];
		}
		l->block_at[i] = (uint32_t)l->nblocks;
		if (i < b->ninsts)
			lower_inst(l, &b->insts[i]);
	}
	if (l->err->code)
		return false;
	/* falling off the end returns */
	l->in = NULL;
	l->blocks[l->nblocks - 1].term = IR_TERM_RET;
	l->blocks[l->nblocks - 1].line = b->end_line;
	l->blocks[l->nblocks - 1].count = (uint32_t)l->ninsts - l->blocks[l->nblocks - 1].first;
	return true;
}

static bool set_frame(struct ptx_lower *l)
{
	struct ir_func *f = l->f;
	const struct ptx_proto *pr = &l->fn->proto;

	f->frame_bytes = (l->b->frame_bytes + 15) & ~15u;
	if (l->un->frame_align < l->b->frame_align)
		l->un->frame_align = l->b->frame_align;
	if (l->fn->is_entry)
		return true;
	f->params = arena_alloc(l->arena, pr->nparams * sizeof(*f->params));
	f->rets = arena_alloc(l->arena, pr->nrets * sizeof(*f->rets));
	if (!f->params || !f->rets) {
		ptx_fail(l->err, PTX_ERR_MEMORY, l->fn->line, 0, "out of memory");
		return false;
	}
	if (pr->nparams)
		memcpy(f->params, l->b->params, pr->nparams * sizeof(*f->params));
	if (pr->nrets)
		memcpy(f->rets, l->b->rets, pr->nrets * sizeof(*f->rets));
	f->nparams = pr->nparams;
	f->nrets = pr->nrets;
	return true;
}

bool ptx_lo_function(struct ptx_lo_unit *un, struct ptx_func *fn, struct ir_func **ret_func)
{
	struct ptx_lower *l = arena_alloc(un->scratch, sizeof(*l));
	struct ir_func *f = arena_alloc(un->arena, sizeof(*f));

	if (!l || !f) {
		ptx_fail(un->err, PTX_ERR_MEMORY, fn->line, 0, "out of memory");
		return false;
	}
	l->un = un;
	l->m = un->m;
	l->arena = un->arena;
	l->err = un->err;
	l->fn = fn;
	l->f = f;
	l->guard = -1;
	f->name = arena_strndup(un->arena, fn->name, strlen(fn->name));
	f->code = fn->index;
	l->b = ptx_body_parse(un->m, fn, un->scratch, un->err);
	if (!l->b)
		return false;
	l->reg_map = arena_alloc(un->scratch, (l->b->nregs + 1) * sizeof(*l->reg_map));
	l->insts = arena_grow(un->scratch, NULL, &l->insts_cap, 2, sizeof(*l->insts));
	if (!f->name || !l->reg_map || !l->insts) {
		ptx_fail(un->err, PTX_ERR_MEMORY, fn->line, 0, "out of memory");
		return false;
	}
	if (!lower_insts(l) || !ptx_lo_order(l) || !set_frame(l))
		return false;
	*ret_func = f;
	return true;
}
