/* SPDX-License-Identifier: MIT */
/*
 * cg_flow.c - from the unit's blocks to the compiler's: split where lanes may wait, and liveness.
 *
 *	a				a
 *	bar.sync 0	becomes		bar.sync 0	waits, then jumps
 *	b				--
 *					b
 *
 *	a				a
 *	@p shfl.sync	becomes		branch p
 *	b				--
 *					shfl.sync	bare, sync
 *					--
 *					b
 *
 * A block with sync begins with an instruction that wants other lanes: lanes that come too early
 * wait at its start. Liveness is that of a single thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cuse_dev/backend/soft/llvm/cg.h"
#include "cuse_dev/base/arena.h"

int cg_fail(struct cg *g, int error, const char *fmt, ...)
{
	va_list ap;

	if (g->error)
		return g->error;
	g->error = error;
	if (g->err_bytes) {
		va_start(ap, fmt);
		vsnprintf(g->err, g->err_bytes, fmt, ap);
		va_end(ap);
	}
	return error;
}

uint32_t cg_bits_next(const uint64_t *set, uint32_t words, uint32_t i)
{
	uint32_t k = i / 64;
	uint64_t v;

	if (k >= words)
		return UINT32_MAX;
	v = set[k] & (~0ull << (i % 64));
	while (!v) {
		if (++k >= words)
			return UINT32_MAX;
		v = set[k];
	}
	return k * 64 + (uint32_t)__builtin_ctzll(v);
}

bool cg_bits_any(const uint64_t *set, uint32_t words)
{
	for (uint32_t i = 0; i < words; i++)
		if (set[i])
			return true;
	return false;
}

int cg_members(const struct ir_inst *in)
{
	int m;

	switch (in->op) {
	case IR_OP_SHFL:
		m = 3;
		break;
	case IR_OP_VOTE:
	case IR_OP_MATCH_ANY:
	case IR_OP_MATCH_ALL:
	case IR_OP_REDUX:
		m = 1;
		break;
	case IR_OP_ELECT:
	case IR_OP_WARP_SYNC:
		m = 0;
		break;
	default:
		return -1;
	}
	return in->opnd[in->nd + m].kind == IR_OPND_NONE ? -1 : m;
}

static bool waits(const struct ir_inst *in)
{
	return (in->op == IR_OP_BAR && in->sub != IR_BAR_ARRIVE) || in->op == IR_OP_CLUSTER_WAIT;
}

/* What a loop that waits for others looks at. */
static bool polls(const struct ir_inst *in)
{
	switch (in->op) {
	case IR_OP_LD:
		return in->sem >= IR_SEM_VOLATILE;
	case IR_OP_ATOM:
		return in->sub == IR_ATOM_CAS || in->sub == IR_ATOM_EXCH || in->nd;
	case IR_OP_MBAR:
		return in->sub >= IR_MBAR_TEST && in->sub <= IR_MBAR_TRY_PARITY;
	case IR_OP_NANOSLEEP:
		return true;
	default:
		return false;
	}
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* How many blocks of ours an IR block becomes; with @out they are filled in from number @at on. */
struct split {
	struct cg *g;
	const struct ir_block *from;
	struct cg_block *out; /* NULL: count */
	uint32_t n, at;
	uint32_t start; /* first instruction of the open block */
	bool bare, sync;
};

static struct cg_block *close_block(struct split *s, uint32_t end)
{
	struct cg_block *b = s->out ? &s->out[s->n] : NULL;

	s->n++;
	if (!b)
		return NULL;
	b->insts = s->from->insts ? s->from->insts + s->start : NULL;
	b->count = end - s->start;
	b->bare = s->bare;
	b->sync = s->sync;
	b->line = b->count ? b->insts[b->count - 1].line : s->from->line;
	b->term = CG_JUMP;
	b->ntargets = 1;
	b->targets = arena_alloc(s->g->arena, 2 * sizeof(uint32_t));
	if (b->targets)
		b->targets[0] = s->at + s->n;
	else
		cg_fail(s->g, -ENOMEM, "out of memory");
	return b;
}

static void split_block(struct split *s)
{
	for (uint32_t i = 0; i < s->from->count; i++) {
		const struct ir_inst *in = &s->from->insts[i];
		bool w = waits(in), sync = cg_members(in) >= 0;
		struct cg_block *b;

		if (!w && !sync)
			continue;
		if (in->guard >= 0) {
			b = close_block(s, i);
			if (b && b->targets) {
				b->term = CG_BRANCH;
				b->pred = (uint32_t)in->guard;
				b->pred_not = in->guard_not;
				b->ntargets = 2;
				b->targets[1] = s->at + s->n + 1;
			}
			s->start = i;
		} else if (sync && i > s->start) {
			close_block(s, i);
			s->start = i;
		}
		s->bare = in->guard >= 0;
		s->sync = sync;
		if (w || in->guard >= 0) {
			b = close_block(s, i + 1);
			if (b)
				b->waits = w;
			s->start = i + 1;
			s->bare = s->sync = false;
		}
	}
}

static void set_targets(struct cg *g, struct cg_block *b, const uint32_t *first, const uint32_t *t,
			uint32_t n)
{
	b->ntargets = n;
	b->targets = arena_alloc(g->arena, n * sizeof(uint32_t) + 1);
	if (!b->targets) {
		cg_fail(g, -ENOMEM, "out of memory");
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		b->targets[i] = first[t[i]];
}

/* The last of an IR block's blocks ends as that does. */
static void close_last(struct split *s, const uint32_t *first)
{
	struct cg_block *b = close_block(s, s->from->count);
	const struct ir_block *f = s->from;

	if (!b)
		return;
	b->pred = f->pred;
	b->pred_not = f->pred_not;
	b->uni = f->uniform;
	switch (f->term) {
	case IR_TERM_JUMP:
		set_targets(s->g, b, first, f->target, 1);
		break;
	case IR_TERM_BRANCH:
		b->term = f->target[0] == f->target[1] ? CG_JUMP : CG_BRANCH;
		set_targets(s->g, b, first, f->target, b->term == CG_JUMP ? 1 : 2);
		break;
	case IR_TERM_SWITCH:
		b->term = CG_SWITCH;
		set_targets(s->g, b, first, f->aux->targets, f->aux->count);
		break;
	default:
		b->term = CG_EXIT;
		b->ntargets = 0;
		b->ends = b->count == 0;
		break;
	}
}

static int build(struct cg *g)
{
	uint32_t *first = arena_alloc(g->arena, ((size_t)g->f->nblocks + 1) * sizeof(*first));

	if (!first)
		return cg_fail(g, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < g->f->nblocks; i++) {
		struct split s = { .g = g, .from = &g->f->blocks[i] };

		split_block(&s);
		first[i + 1] = first[i] + s.n + 1;
	}
	g->nblocks = first[g->f->nblocks];
	if (g->nblocks > LLVM_MAX_BLOCKS)
		return cg_fail(g, -ENOTSUP, "%u blocks, at most %u", g->nblocks, LLVM_MAX_BLOCKS);
	g->blocks = arena_alloc(g->arena, (size_t)g->nblocks * sizeof(*g->blocks));
	if (!g->blocks)
		return cg_fail(g, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < g->f->nblocks; i++) {
		struct split s = { .g = g,
				   .from = &g->f->blocks[i],
				   .out = g->blocks + first[i],
				   .at = first[i] };

		split_block(&s);
		close_last(&s, first);
	}
	return g->error;
}

/* Loops that look like waiting: from the target of a jump back to the jump. */
static void find_loops(struct cg *g)
{
	bool arrives = false;

	for (uint32_t b = 0; b < g->nblocks; b++) {
		struct cg_block *blk = &g->blocks[b];

		for (uint32_t i = 0; i < blk->count; i++) {
			blk->polls |= polls(&blk->insts[i]);
			arrives |= blk->insts[i].op == IR_OP_CLUSTER_ARRIVE;
		}
		for (uint32_t t = 0; t < blk->ntargets; t++)
			for (uint32_t k = blk->targets[t]; k <= b && !blk->turns; k++)
				blk->turns = g->blocks[k].polls;
		/* Who has come to the barrier of the cluster is known for each warp. */
		g->stops |= blk->turns || arrives;
		g->exits_count |= blk->waits || blk->sync || arrives;
	}
}

/* ---- liveness ------------------------------------------------------------------------------- */

/* From behind instruction @i to before it. */
static void live_inst(const struct cg_block *b, uint32_t i, uint64_t *live)
{
	const struct ir_inst *in = &b->insts[i];
	bool bare = b->bare && i == 0;

	for (uint32_t k = 0; k < in->nd; k++)
		if (in->opnd[k].kind == IR_OPND_REG && (in->guard < 0 || bare))
			live[in->opnd[k].reg / 64] &= ~(1ull << (in->opnd[k].reg % 64));
	if (in->guard >= 0 && !bare)
		cg_bit_set(live, (uint32_t)in->guard);
	for (uint32_t k = in->nd; k < (uint32_t)in->nd + in->ns; k++)
		if (in->opnd[k].kind == IR_OPND_REG)
			cg_bit_set(live, in->opnd[k].reg);
	for (uint32_t k = 0; in->guard >= 0 && !bare && k < in->nd; k++)
		if (in->opnd[k].kind == IR_OPND_REG)
			cg_bit_set(live, in->opnd[k].reg);
}

/* What lives at the end of @b. */
static void live_behind(const struct cg *g, const struct cg_block *b, uint64_t *live)
{
	memset(live, 0, (size_t)g->reg_words * 8);
	for (uint32_t t = 0; t < b->ntargets; t++)
		cg_bits_or(live, g->blocks[b->targets[t]].live, g->reg_words);
	if (b->term == CG_BRANCH || b->term == CG_SWITCH)
		cg_bit_set(live, b->pred);
}

static int liveness(struct cg *g)
{
	uint64_t *tmp = arena_alloc(g->arena, (size_t)g->reg_words * 8 + 8);
	bool changed = true;

	for (uint32_t b = 0; tmp && b < g->nblocks; b++) {
		struct cg_block *blk = &g->blocks[b];

		blk->live = arena_alloc(g->arena, 2 * (size_t)g->reg_words * 8 + 8);
		blk->order = arena_alloc(g->arena, 2 * (size_t)g->block_words * 8);
		if (!blk->live || !blk->order)
			return cg_fail(g, -ENOMEM, "out of memory");
		blk->keep = blk->live + g->reg_words;
		blk->park = blk->order + g->block_words;
	}
	if (!tmp)
		return cg_fail(g, -ENOMEM, "out of memory");
	while (changed) {
		changed = false;
		for (uint32_t b = g->nblocks; b-- > 0;) {
			struct cg_block *blk = &g->blocks[b];

			live_behind(g, blk, tmp);
			for (uint32_t i = blk->count; i-- > 0;)
				live_inst(blk, i, tmp);
			changed |= cg_bits_or(blk->live, tmp, g->reg_words);
		}
	}
	for (uint32_t r = 0; r < g->f->nregs; r++)
		g->regs[r].zeroed = cg_bit(g->blocks[0].live, r);
	return 0;
}

/* ---- numbers in registers ------------------------------------------------------------------- */

/* The unit's instructions again, to write into; branches and names stay the unit's. */
static struct ir_func *copy_function(struct cg *g)
{
	struct ir_func *f = arena_alloc(g->arena, sizeof(*f));

	if (!f)
		return NULL;
	*f = *g->f;
	f->blocks = arena_alloc(g->arena, f->nblocks * sizeof(*f->blocks) + 1);
	if (!f->blocks)
		return NULL;
	for (uint32_t b = 0; b < f->nblocks; b++) {
		const struct ir_block *from = &g->f->blocks[b];
		struct ir_block *to = &f->blocks[b];

		*to = *from;
		to->insts = arena_alloc(g->arena, from->count * sizeof(*to->insts) + 1);
		if (!to->insts)
			return NULL;
		for (uint32_t i = 0; i < from->count; i++) {
			struct ir_inst *in = &to->insts[i];
			size_t n =
				((size_t)from->insts[i].nd + from->insts[i].ns) * sizeof(*in->opnd);

			*in = from->insts[i];
			in->opnd = arena_alloc(g->arena, n + 1);
			if (!in->opnd)
				return NULL;
			if (n)
				memcpy(in->opnd, from->insts[i].opnd, n);
		}
	}
	return f;
}

/*
 * What defines a register that has only this definition, and a number for it:
 *
 *	mov.b32 r1, 31;  shfl.sync.bfly.b32 r2, r3, 1, r1, -1	a shuffle with known lanes
 */
static int find_numbers(struct cg *g, const struct ir_func *f, const struct ir_operand **ret)
{
	uint32_t *defs = arena_alloc(g->arena, f->nregs * sizeof(*defs) + 1);

	if (!defs)
		return -ENOMEM;
	for (uint32_t b = 0; b < f->nblocks; b++) {
		for (uint32_t i = 0; i < f->blocks[b].count; i++) {
			const struct ir_inst *in = &f->blocks[b].insts[i];

			for (uint32_t k = 0; k < in->nd; k++) {
				uint32_t r = in->opnd[k].reg;

				if (in->opnd[k].kind != IR_OPND_REG)
					continue;
				ret[r] = NULL;
				if (++defs[r] == 1 && in->op == IR_OP_MOV && in->guard < 0 &&
				    !g->regs[r].zeroed && g->regs[r].bits > 1 &&
				    ir_is_number(&in->opnd[1]))
					ret[r] = &in->opnd[1];
			}
		}
	}
	return 0;
}

static int use_numbers(struct cg *g, struct ir_func *f)
{
	const struct ir_operand **number = arena_alloc(g->arena, f->nregs * sizeof(*number) + 1);

	if (!number || find_numbers(g, f, number) < 0)
		return cg_fail(g, -ENOMEM, "out of memory");
	for (uint32_t b = 0; b < f->nblocks; b++) {
		for (uint32_t i = 0; i < f->blocks[b].count; i++) {
			struct ir_inst *in = &f->blocks[b].insts[i];

			for (uint32_t k = in->nd; k < (uint32_t)in->nd + in->ns; k++)
				if (in->opnd[k].kind == IR_OPND_REG && number[in->opnd[k].reg]) {
					uint32_t bits = g->regs[in->opnd[k].reg].bits;

					in->opnd[k] = *number[in->opnd[k].reg];
					if (bits < 64)
						in->opnd[k].imm &= (1ull << bits) - 1;
				}
		}
	}
	return 0;
}

/* ---- results that nobody reads -------------------------------------------------------------- */

/* atom.add with a result that is not used, as front ends write it, is red.add. */
static bool is_red(const struct ir_inst *in, const uint64_t *live)
{
	return in->op == IR_OP_ATOM && in->nd == 1 && in->sub != IR_ATOM_EXCH &&
	       in->sub != IR_ATOM_CAS &&
	       (in->opnd[0].kind != IR_OPND_REG || !cg_bit(live, in->opnd[0].reg));
}

static int drop_results(struct cg *g)
{
	uint64_t *live = arena_alloc(g->arena, (size_t)g->reg_words * 8 + 8);

	if (!live)
		return cg_fail(g, -ENOMEM, "out of memory");
	for (uint32_t b = 0; b < g->nblocks; b++) {
		const struct cg_block *blk = &g->blocks[b];

		live_behind(g, blk, live);
		for (uint32_t i = blk->count; i-- > 0;) {
			struct ir_inst *in = (struct ir_inst *)&blk->insts[i]; /* of our copy */

			if (is_red(in, live)) {
				in->op = IR_OP_RED;
				in->nd = 0;
				in->opnd++;
			}
			live_inst(blk, i, live);
		}
	}
	return 0;
}

int cg_flow(struct cg *g)
{
	struct ir_func *f = copy_function(g);
	int r;

	if (!f || cg_own_registers(g, f) < 0)
		return cg_fail(g, -ENOMEM, "out of memory");
	g->f = f;

	g->regs = arena_alloc(g->arena, (size_t)g->f->nregs * sizeof(*g->regs) + 1);
	if (!g->regs)
		return cg_fail(g, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < g->f->nregs; i++)
		g->regs[i].bits = ir_type_bits(g->f->regs[i].type);
	r = build(g);
	if (r < 0)
		return r;
	g->reg_words = (g->f->nregs + 63) / 64;
	g->block_words = (g->nblocks + 63) / 64;
	r = liveness(g);
	if (r == 0)
		r = use_numbers(g, f);
	if (r == 0)
		r = drop_results(g);
	if (r < 0)
		return r;
	find_loops(g);
	return liveness(g);
}
