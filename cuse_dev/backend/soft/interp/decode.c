/* SPDX-License-Identifier: MIT */
/*
 * decode.c - IR to the instruction stream: interp_prepare().
 *
 * Each IR instruction becomes one handler, or a short row of them: immediates that no handler takes
 * are put into a temporary register first, setp with a second result or a bool op is a comparison
 * and operations on predicates. What has no vector handler goes through rt_eval(), lane by lane.
 * Not here: where registers lie (alloc.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/backend/soft/interp/alloc.h"
#include "cuse_dev/backend/soft/interp/decode.h"

static void decode_builtin(struct dec *d)
{
	const struct ir_inst *in = d->in;
	struct interp_ext *x = decode_make_ext(d);
	struct interp_inst *p;

	if (!x || !decode_copy_slots(d, in->aux->args, in->aux->count, &x->args) ||
	    !decode_copy_slots(d, in->aux->rets, in->aux->nrets, &x->rets))
		return;
	x->nargs = in->aux->count;
	x->nrets = in->aux->nrets;
	p = decode_emit(d, interp_op_builtin);
	if (p) {
		p->ext = x;
		p->imm = in->aux->func;
	}
}

/* imm: which of the sources that may be absent are there, as bits 1, 2, 4. */
static void decode_async(struct dec *d, uint32_t a, uint32_t b, uint32_t c)
{
	const uint32_t maybe[] = { a, b, c };
	struct interp_inst *p = decode_emit_ext(d, interp_op_async);

	for (uint32_t i = 0; p && i < 3; i++)
		if (maybe[i] < d->in->ns && src(d, maybe[i])->kind != IR_OPND_NONE)
			p->imm |= 1u << i;
}

static const interp_fn texture_handlers[] = {
	[IR_OP_TEX - IR_OP_TEX] = interp_op_tex,
	[IR_OP_TXQ - IR_OP_TEX] = interp_op_txq,
	[IR_OP_ISTYPEP - IR_OP_TEX] = interp_op_istypep,
	[IR_OP_SULD - IR_OP_TEX] = interp_op_suld,
	[IR_OP_SUST - IR_OP_TEX] = interp_op_sust,
	[IR_OP_SURED - IR_OP_TEX] = interp_op_sured,
};

static void decode_plain(struct dec *d)
{
	const struct ir_inst *in = d->in;
	struct interp_inst *p;

	switch (in->op) {
	case IR_OP_LD:
		decode_load(d);
		if (in->sem == IR_SEM_ACQUIRE || in->sem == IR_SEM_SC)
			decode_emit(d, interp_op_fence);
		return;
	case IR_OP_ST:
		if (in->sem == IR_SEM_RELEASE || in->sem == IR_SEM_SC)
			decode_emit(d, interp_op_fence);
		decode_store(d);
		return;
	case IR_OP_ATOM:
	case IR_OP_RED:
		decode_atom(d);
		return;
	case IR_OP_CVTA:
	case IR_OP_CVTA_TO:
		if (decode_cvta(d))
			return;
		break;
	case IR_OP_CALL_BUILTIN:
		decode_builtin(d);
		return;
	case IR_OP_SREG:
		if (in->sub <= IR_SREG_TID_Z && dst_off(d, 0) != NO_REG &&
		    reg_bits(d, in->opnd[0].reg) == 32) {
			p = emit_vec(d, VEC_X_tid);
			if (p) {
				p->d = dst_off(d, 0);
				p->imm = in->sub - IR_SREG_TID_X;
			}
			return;
		}
		p = decode_emit_ext(d, interp_op_sreg);
		if (p)
			p->d = dst_off(d, 0);
		return;
	case IR_OP_FENCE:
		decode_emit(d, interp_op_fence);
		return;
	case IR_OP_CP_ASYNC:
		decode_async(d, 5, 6, 8);
		return;
	case IR_OP_CP_BULK:
	case IR_OP_RED_BULK:
		decode_async(d, 5, 7, 8);
		return;
	case IR_OP_CP_TENSOR:
		p = decode_emit_ext(d, interp_op_tensor);
		if (p)
			p->imm = src(d, in->ns - 1u)->kind != IR_OPND_NONE;
		return;
	case IR_OP_TENSORMAP:
		decode_emit_ext(d, interp_op_tensor);
		return;
	case IR_OP_MBAR:
	case IR_OP_FILL_BULK:
	case IR_OP_MAPA:
	case IR_OP_CTARANK:
	case IR_OP_TRY_CANCEL:
		decode_emit_ext(d, interp_op_async);
		return;
	case IR_OP_PREFETCH:
	case IR_OP_PMEVENT:
		return;
	default:
		break;
	}
	if (in->op >= IR_OP_TEX && in->op <= IR_OP_SURED)
		decode_emit_ext(d, texture_handlers[in->op - IR_OP_TEX]);
	else if (in->op >= IR_OP_FRAME_ADDR)
		decode_emit_ext(d, interp_op_misc);
	else if (!decode_compute(d))
		decode_emit_ext(d, interp_op_eval);
}

static void decode_inst(struct dec *d)
{
	const struct ir_inst *in = d->in;
	uint32_t guard = d->n;
	struct interp_inst *p;

	d->temp_used = 0;
	d->pred_used = 0;
	d->line = in->line;
	if (decode_stops_lanes(in)) {
		decode_stopping(d);
		memset(d->notes, 0, sizeof(d->notes));
		return;
	}
	if (in->guard >= 0) {
		p = emit_vec(d, VEC_X_guard);
		if (!p)
			return;
		p->a = d->off[in->guard];
		p->flags = in->guard_not ? INTERP_NOT : 0;
	}
	decode_plain(d);
	if (in->guard >= 0 && !d->error)
		d->insts[guard].imm = d->n - guard - 1;
	decode_drop_notes(d);
}

static uint32_t target(struct dec *d, uint32_t from, uint32_t to)
{
	if (to <= from)
		d->loops = true;
	return d->block_seg[to];
}

static void decode_term(struct dec *d, uint32_t b, const uint32_t *preds)
{
	const struct ir_block *blk = &d->f->blocks[b];
	struct interp_ext *x;
	struct interp_inst *p;

	d->in = NULL;
	d->line = blk->count ? blk->insts[blk->count - 1].line : blk->line;
	switch (blk->term) {
	case IR_TERM_JUMP:
		if (blk->target[0] == b + 1 && preds[b + 1] == 1)
			return; /* falls through; nobody else waits there */
		p = emit_vec(d, VEC_X_jump);
		if (p)
			p->seg = target(d, b, blk->target[0]);
		return;
	case IR_TERM_BRANCH:
		p = emit_vec(d, VEC_X_branch);
		if (!p)
			return;
		p->a = d->off[blk->pred];
		p->flags = blk->pred_not ? INTERP_NOT : 0;
		p->seg = target(d, b, blk->target[0]);
		p->seg2 = target(d, b, blk->target[1]);
		return;
	case IR_TERM_SWITCH:
		x = arena_alloc(d->arena, sizeof(*x));
		p = decode_emit(d, interp_op_switch);
		if (!p || !x)
			return;
		p->ext = x;
		p->a = d->off[blk->pred];
		x->count = blk->aux->count;
		x->targets = arena_alloc(d->arena, x->count * sizeof(*x->targets));
		for (uint32_t i = 0; x->targets && i < x->count; i++)
			x->targets[i] = target(d, b, blk->aux->targets[i]);
		if (!x->targets)
			d->error = -ENOMEM;
		return;
	case IR_TERM_RET:
		decode_emit(d, interp_ret);
		return;
	default:
		decode_emit(d, interp_exit);
		return;
	}
}

/* How many ways lead to each block. */
static uint32_t *count_preds(struct dec *d)
{
	uint32_t *n = arena_alloc(d->tmp, ((size_t)d->f->nblocks + 1) * sizeof(*n));

	for (uint32_t b = 0; n && b < d->f->nblocks; b++) {
		const struct ir_block *blk = &d->f->blocks[b];

		if (blk->term == IR_TERM_JUMP || blk->term == IR_TERM_BRANCH)
			n[blk->target[0]]++;
		if (blk->term == IR_TERM_BRANCH)
			n[blk->target[1]]++;
		for (uint32_t i = 0; blk->term == IR_TERM_SWITCH && i < blk->aux->count; i++)
			n[blk->aux->targets[i]]++;
	}
	return n;
}

static int finish_func(struct dec *d)
{
	struct interp_func *o = d->out;

	o->insts = arena_alloc(d->arena, ((size_t)d->n + 1) * sizeof(*o->insts) + 64);
	o->segs = arena_alloc(d->arena, (size_t)d->nsegs * sizeof(*o->segs));
	if (!o->insts || !o->segs)
		return -ENOMEM;
	o->insts = (void *)(((uintptr_t)o->insts + 63) & ~(uintptr_t)63);
	memcpy(o->insts, d->insts, (size_t)d->n * sizeof(*o->insts));
	o->ninsts = d->n;
	o->nsegs = d->nsegs;
	for (uint32_t i = 0; i < d->nsegs; i++)
		o->segs[i].inst = &o->insts[d->seg_at[i]];
	o->reg_bytes = d->temp_base + d->temp_most * DECODE_TEMP_BYTES;
	return 0;
}

/*
 * Segments must be numbered in program order, also those inside blocks, while jumps forward need
 * the numbers of later blocks: count first.
 */
static uint32_t segs_in_block(const struct ir_block *b)
{
	uint32_t n = 1;

	for (uint32_t i = 0; i < b->count; i++) {
		const struct ir_inst *in = &b->insts[i];
		int m = decode_member_source(in);

		if (!decode_stops_lanes(in))
			continue;
		if (in->guard >= 0)
			n++;
		if (m >= 0)
			n += (in->opnd[in->nd + m].kind != IR_OPND_NONE) + (in->guard >= 0);
		else
			n++;
	}
	return n;
}

/* The instructions of one level, with an end; returns where, or NO_SEG when there are none. */
static uint32_t decode_prologue(struct dec *d, const uint8_t *hoisted, uint8_t level)
{
	const struct ir_func *f = d->f;
	uint32_t start = d->n;

	for (uint32_t b = 0; b < f->nblocks; b++) {
		for (uint32_t i = 0; i < f->blocks[b].count && !d->error; i++) {
			d->in = &f->blocks[b].insts[i];
			if (*hoisted++ == level)
				decode_inst(d);
		}
	}
	if (d->n == start)
		return NO_SEG;
	decode_emit(d, interp_op_end);
	return start;
}

static int decode_func(struct dec *d)
{
	const struct ir_func *f = d->f;
	uint32_t live = 0, *preds, seg = 0, start[2] = { NO_SEG, NO_SEG };
	uint8_t *hoisted = NULL, *pinned = NULL;
	int r;

	d->off = arena_alloc(d->tmp, (size_t)f->nregs * sizeof(*d->off) + 1);
	d->block_seg = arena_alloc(d->tmp, (size_t)f->nblocks * sizeof(*d->block_seg));
	preds = count_preds(d);
	if (!d->off || !d->block_seg || !preds)
		return -ENOMEM;
	if (f == d->unit->funcs[0] && !d->bridge) {
		r = interp_hoist(d->tmp, f, &hoisted, &pinned);
		if (r < 0)
			return r;
	}
	if (d->bridge) {
		for (uint32_t i = 0; i < f->nregs; i++)
			d->off[i] = (int32_t)(i * INTERP_BRIDGE_SLOT + INTERP_BRIDGE_HEAD);
		d->temp_base = f->nregs * INTERP_BRIDGE_SLOT + INTERP_BRIDGE_HEAD;
	} else {
		r = interp_alloc(d->tmp, f, pinned, d->off, &d->temp_base, &live);
		if (r < 0)
			return r;
	}
	if (live > d->code->base.registers)
		d->code->base.registers = live;
	for (uint32_t b = 0; b < f->nblocks; b++) {
		d->block_seg[b] = seg;
		seg += segs_in_block(&f->blocks[b]);
	}
	for (uint32_t i = 0; hoisted && i < 2; i++)
		start[i] = decode_prologue(d, hoisted, i ? HOIST_BLOCK : HOIST_LAUNCH);
	for (uint32_t b = 0; b < f->nblocks && !d->error; b++) {
		if (decode_new_seg(d) != d->block_seg[b])
			decode_fail(d, "segments out of order");
		decode_place_seg(d, d->block_seg[b]);
		for (uint32_t i = 0; i < f->blocks[b].count && !d->error; i++) {
			d->in = &f->blocks[b].insts[i];
			if (!hoisted || !*hoisted++)
				decode_inst(d);
		}
		if (!d->error)
			decode_term(d, b, preds);
	}
	d->in = NULL;
	if (d->error)
		return d->error;
	d->out->name =
		arena_strndup(d->arena, f->name ? f->name : "", f->name ? strlen(f->name) : 0);
	d->out->code = f->code;
	d->out->frame_bytes = (f->frame_bytes + 15) & ~15u;
	d->out->nparams = f->nparams;
	d->out->nrets = f->nrets;
	if (!d->out->name || !decode_copy_slots(d, f->params, f->nparams, &d->out->params) ||
	    !decode_copy_slots(d, f->rets, f->nrets, &d->out->rets))
		return -ENOMEM;
	r = finish_func(d);
	for (uint32_t i = 0; r == 0 && i < 2; i++)
		d->out->prologue[i] = start[i] == NO_SEG ? NULL : d->out->insts + start[i];
	return r;
}

/* ---- the whole ------------------------------------------------------------------------------- */

enum { UNSEEN, OPEN, CLOSED };

/* Deepest chain of frames below function @i; recursion and indirect calls are flagged. */
static uint32_t local_need(const struct ir_unit *u, uint32_t i, uint8_t *state, uint32_t *need,
			   bool *recursive)
{
	const struct ir_func *f = u->funcs[i];
	uint32_t most = 0;

	if (state[i] == CLOSED)
		return need[i];
	if (state[i] == OPEN) {
		*recursive = true;
		return 0;
	}
	state[i] = OPEN;
	for (uint32_t b = 0; b < f->nblocks; b++) {
		for (uint32_t k = 0; k < f->blocks[b].count; k++) {
			const struct ir_inst *in = &f->blocks[b].insts[k];
			uint32_t n = 0;

			if (in->op == IR_OP_CALL)
				n = local_need(u, in->aux->func, state, need, recursive);
			else if (in->op == IR_OP_CALL_INDIRECT || in->op == IR_OP_ALLOCA)
				*recursive = true;
			if (n > most)
				most = n;
		}
	}
	state[i] = CLOSED;
	need[i] = ((f->frame_bytes + 15) & ~15u) + most + (i ? INTERP_SLOT : 0);
	return need[i];
}

static bool has_calls(const struct ir_func *f)
{
	for (uint32_t b = 0; b < f->nblocks; b++)
		for (uint32_t k = 0; k < f->blocks[b].count; k++)
			if (f->blocks[b].insts[k].op == IR_OP_CALL ||
			    f->blocks[b].insts[k].op == IR_OP_CALL_INDIRECT ||
			    f->blocks[b].insts[k].op == IR_OP_ALLOCA ||
			    f->blocks[b].insts[k].space == IR_SPACE_LOCAL)
				return true;
	return false;
}

static int measure(struct interp_code *code, const struct ir_unit *unit, struct base_arena *tmp)
{
	uint8_t *state = arena_alloc(tmp, unit->nfuncs);
	uint32_t *need = arena_alloc(tmp, unit->nfuncs * sizeof(*need));

	if (!state || !need)
		return -ENOMEM;
	code->base.local_bytes = local_need(unit, 0, state, need, &code->base.recursive);
	for (uint32_t i = 1; code->base.recursive && i < unit->nfuncs; i++) {
		uint32_t n = local_need(unit, i, state, need, &code->base.recursive);

		/* Any of them may be called indirectly from the kernel. */
		if (n + need[0] > code->base.local_bytes)
			code->base.local_bytes = n + need[0];
	}
	code->base.uses_local = code->base.local_bytes || has_calls(unit->funcs[0]);
	code->base.shared_bytes = unit->shared_bytes;
	code->base.param_bytes = unit->param_bytes;
	code->base.registers = 1;
	return 0;
}

void interp_code_destroy(struct simt_code *c)
{
	struct interp_code *code = (struct interp_code *)c;

	arena_destroy(code->arena);
	free(code);
}

int interp_prepare(const struct ir_unit *unit, struct simt_code **ret_code, char *err,
		   size_t err_bytes)
{
	return interp_prepare_with(unit, interp_vec_handlers(), ret_code, err, err_bytes);
}

static int prepare(const struct ir_unit *unit, const interp_fn *handlers, bool bridge,
		   struct simt_code **ret_code, char *err, size_t err_bytes)
{
	static uint64_t serial;
	struct interp_code *code = calloc(1, sizeof(*code));
	struct base_arena *tmp = arena_create(0);
	int r = -ENOMEM;

	if (!code || !tmp)
		goto free_code;
	r = ir_verify(unit, err, err_bytes);
	if (r < 0)
		goto free_code;
	r = -ENOMEM;
	code->arena = arena_create(0);
	if (!code->arena)
		goto free_code;
	code->base.tier = &interp_tier;
	code->handlers = handlers;
	code->serial = __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED);
	code->nfuncs = unit->nfuncs;
	code->funcs = arena_alloc(code->arena, unit->nfuncs * sizeof(*code->funcs));
	if (!code->funcs || measure(code, unit, tmp) < 0)
		goto free_arena;
	for (uint32_t i = 0; i < unit->nfuncs; i++) {
		struct dec d = { .arena = code->arena,
				 .tmp = tmp,
				 .unit = unit,
				 .f = unit->funcs[i],
				 .code = code,
				 .out = &code->funcs[i],
				 .vec = code->handlers,
				 .bridge = bridge,
				 .err = err,
				 .err_bytes = err_bytes };

		code->funcs[i].index = i;
		r = decode_func(&d);
		if (r < 0)
			goto free_arena;
		code->base.insts += d.n;
		code->base.has_loops |= d.loops;
	}
	if (code->base.registers > 255)
		code->base.registers = 255;
	code->base.has_loops |= code->base.recursive;
	arena_destroy(tmp);
	*ret_code = &code->base;
	return 0;

free_arena:
	arena_destroy(code->arena);
free_code:
	arena_destroy(tmp);
	free(code);
	return r;
}

int interp_prepare_with(const struct ir_unit *unit, const interp_fn *handlers,
			struct simt_code **ret_code, char *err, size_t err_bytes)
{
	return prepare(unit, handlers, false, ret_code, err, err_bytes);
}

int interp_prepare_bridge(const struct ir_unit *unit, struct simt_code **ret_code, char *err,
			  size_t err_bytes)
{
	return prepare(unit, interp_vec_handlers(), true, ret_code, err, err_bytes);
}
