/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - liveness, and a linear scan that gives registers their places.
 *
 * The registers of a warp should stay in the first-level cache, so registers whose lives do not
 * overlap share memory, if they are equally wide. Lives are those of a single thread: another
 * lane's copy lies elsewhere in the same vectors, and writes are masked, so divergence does not
 * matter.
 *
 *   life = one interval of positions, from the first to the last place where it is live
 *
 * A guarded write keeps the old value in some lanes and so ends no life. Sources and results of one
 * instruction overlap on purpose: handlers may write a result before they have read all sources.
 */
#include "cuse_dev/backend/soft/interp/alloc.h"

#include <errno.h>
#include <string.h>

#include "cuse_dev/base/arena.h"

#define UNIT	64u
#define NOWHERE UINT32_MAX
#define MANY	(UINT32_MAX - 1)

struct live {
	const struct ir_func *f;
	struct base_arena *tmp;
	uint32_t *home;	 /* per register: the only block it occurs in, MANY, NOWHERE */
	uint32_t *index; /* per register: bit in the sets, for those in MANY blocks */
	uint32_t ncross, words;
	uint64_t *use, *def, *in, *out; /* [nblocks][words] */
	uint32_t *first, *last;		/* per register: interval */
	uint32_t *block_pos;		/* [nblocks + 1] */
};

typedef void (*visit_fn)(struct live *l, uint32_t block, uint32_t pos, uint32_t reg, bool write,
			 bool partial);

static void visit_block(struct live *l, uint32_t b, visit_fn visit)
{
	const struct ir_block *blk = &l->f->blocks[b];
	uint32_t pos = l->block_pos[b];

	for (uint32_t i = 0; i < blk->count; i++, pos++) {
		const struct ir_inst *in = &blk->insts[i];

		if (in->guard >= 0)
			visit(l, b, pos, (uint32_t)in->guard, false, false);
		for (uint32_t k = in->nd; k < (uint32_t)in->nd + in->ns; k++)
			if (in->opnd[k].kind == IR_OPND_REG)
				visit(l, b, pos, in->opnd[k].reg, false, false);
		for (uint32_t k = 0; k < in->nd; k++)
			if (in->opnd[k].kind == IR_OPND_REG)
				visit(l, b, pos, in->opnd[k].reg, true, in->guard >= 0);
	}
	if (blk->term == IR_TERM_BRANCH || blk->term == IR_TERM_SWITCH)
		visit(l, b, pos, blk->pred, false, false);
}

static void find_home(struct live *l, uint32_t block, uint32_t pos, uint32_t reg, bool write,
		      bool partial)
{
	if (l->home[reg] == NOWHERE) {
		/* Read before it is written: it lives around a loop, or was never set. */
		l->home[reg] = write && !partial ? block : MANY;
	} else if (l->home[reg] != block) {
		l->home[reg] = MANY;
	}
}

static bool bit_get(const uint64_t *set, uint32_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}

static void bit_set(uint64_t *set, uint32_t i)
{
	set[i / 64] |= 1ull << (i % 64);
}

static void find_sets(struct live *l, uint32_t block, uint32_t pos, uint32_t reg, bool write,
		      bool partial)
{
	uint64_t *use = l->use + (size_t)block * l->words, *def = l->def + (size_t)block * l->words;

	if (l->home[reg] != MANY)
		return;
	if ((!write || partial) && !bit_get(def, l->index[reg]))
		bit_set(use, l->index[reg]);
	if (write && !partial)
		bit_set(def, l->index[reg]);
}

static void extend(struct live *l, uint32_t reg, uint32_t pos)
{
	if (pos < l->first[reg])
		l->first[reg] = pos;
	if (l->last[reg] == NOWHERE || pos > l->last[reg])
		l->last[reg] = pos;
}

static void find_ends(struct live *l, uint32_t block, uint32_t pos, uint32_t reg, bool write,
		      bool partial)
{
	extend(l, reg, pos);
}

static bool flow(struct live *l, uint32_t b, uint32_t succ)
{
	uint64_t *out = l->out + (size_t)b * l->words;
	const uint64_t *in = l->in + (size_t)succ * l->words;
	bool changed = false;

	for (uint32_t i = 0; i < l->words; i++) {
		uint64_t v = out[i] | in[i];

		changed |= v != out[i];
		out[i] = v;
	}
	return changed;
}

/* in = use | (out & ~def), out = union of the successors' in, until nothing changes. */
static void solve(struct live *l)
{
	bool changed = true;

	memcpy(l->in, l->use, (size_t)l->f->nblocks * l->words * 8);
	while (changed) {
		changed = false;
		for (uint32_t b = l->f->nblocks; b-- > 0;) {
			const struct ir_block *blk = &l->f->blocks[b];
			size_t at = (size_t)b * l->words;

			if (blk->term == IR_TERM_JUMP || blk->term == IR_TERM_BRANCH)
				changed |= flow(l, b, blk->target[0]);
			if (blk->term == IR_TERM_BRANCH)
				changed |= flow(l, b, blk->target[1]);
			for (uint32_t k = 0; blk->term == IR_TERM_SWITCH && k < blk->aux->count;
			     k++)
				changed |= flow(l, b, blk->aux->targets[k]);
			for (uint32_t i = 0; i < l->words; i++)
				l->in[at + i] = l->use[at + i] | (l->out[at + i] & ~l->def[at + i]);
		}
	}
}

static int liveness(struct live *l)
{
	const struct ir_func *f = l->f;
	size_t cells;

	l->home = arena_alloc(l->tmp, (size_t)f->nregs * 4 + 1);
	l->index = arena_alloc(l->tmp, (size_t)f->nregs * 4 + 1);
	l->first = arena_alloc(l->tmp, (size_t)f->nregs * 4 + 1);
	l->last = arena_alloc(l->tmp, (size_t)f->nregs * 4 + 1);
	l->block_pos = arena_alloc(l->tmp, ((size_t)f->nblocks + 1) * 4);
	if (!l->home || !l->index || !l->first || !l->last || !l->block_pos)
		return -ENOMEM;
	memset(l->home, 0xff, (size_t)f->nregs * 4);
	memset(l->first, 0xff, (size_t)f->nregs * 4);
	memset(l->last, 0xff, (size_t)f->nregs * 4);
	for (uint32_t b = 0; b < f->nblocks; b++)
		l->block_pos[b + 1] = l->block_pos[b] + f->blocks[b].count + 1;
	for (uint32_t b = 0; b < f->nblocks; b++)
		visit_block(l, b, find_home);
	for (uint32_t r = 0; r < f->nregs; r++)
		if (l->home[r] == MANY)
			l->index[r] = l->ncross++;
	l->words = (l->ncross + 63) / 64;
	cells = (size_t)f->nblocks * l->words * 8 + 1;
	l->use = arena_alloc(l->tmp, cells);
	l->def = arena_alloc(l->tmp, cells);
	l->in = arena_alloc(l->tmp, cells);
	l->out = arena_alloc(l->tmp, cells);
	if (!l->use || !l->def || !l->in || !l->out)
		return -ENOMEM;
	for (uint32_t b = 0; b < f->nblocks; b++)
		visit_block(l, b, find_sets);
	solve(l);
	for (uint32_t b = 0; b < f->nblocks; b++) {
		visit_block(l, b, find_ends);
		for (uint32_t r = 0; r < f->nregs; r++) {
			if (l->home[r] != MANY)
				continue;
			if (bit_get(l->in + (size_t)b * l->words, l->index[r]))
				extend(l, r, l->block_pos[b]);
			if (bit_get(l->out + (size_t)b * l->words, l->index[r]))
				extend(l, r, l->block_pos[b + 1] - 1);
		}
	}
	return 0;
}

/* ---- places --------------------------------------------------------------------------------- */

/*
 * The places of one width. Registers of different widths never share memory: lane i of a wide one
 * overlaps lanes 2i and 2i + 1 of a narrow one, and these may stand elsewhere in the program.
 */
struct pool {
	uint8_t *busy;
	uint32_t cap, top; /* places; highest ever used + 1 */
	uint32_t used, most;
	uint32_t width; /* bytes of a place */
	uint32_t base;	/* offset of place 0 in the register file */
};

#define POOLS 5 /* predicates, then 16, 32, 64 and 128 bits a lane */

static uint32_t pool_of(const struct ir_reg *r)
{
	switch (ir_type_bits(r->type)) {
	case 1:
		return 0;
	case 32:
		return 2;
	case 64:
		return 3;
	case 128:
		return 4;
	default:
		return 1;
	}
}

static uint32_t pool_take(struct pool *p)
{
	uint32_t at = 0;

	while (p->busy[at]) /* ends: cap is the number of registers of this width */
		at++;
	p->busy[at] = 1;
	if (at + 1 > p->top)
		p->top = at + 1;
	if (++p->used > p->most)
		p->most = p->used;
	return at;
}

static void pool_give(struct pool *p, uint32_t at)
{
	p->busy[at] = 0;
	p->used--;
}

static int pools_init(struct pool *pools, const struct ir_func *f, struct base_arena *tmp)
{
	static const uint32_t width[POOLS] = { 4, 64, 128, 256, 512 };

	for (uint32_t i = 0; i < f->nregs; i++)
		pools[pool_of(&f->regs[i])].cap++;
	for (uint32_t i = 0; i < POOLS; i++) {
		pools[i].width = width[i];
		pools[i].busy = arena_alloc(tmp, (size_t)pools[i].cap + 1);
		if (!pools[i].busy)
			return -ENOMEM;
	}
	return 0;
}

/* Predicates first, then the widest, so that every place is aligned to its width. */
static uint32_t pools_place(struct pool *pools)
{
	uint32_t at;

	pools[0].base = ALLOC_TEMP_PREDS * 4;
	at = (pools[0].base + pools[0].top * 4 + UNIT - 1) / UNIT * UNIT;
	for (uint32_t i = POOLS - 1; i > 0; i--) {
		pools[i].base = at;
		at += pools[i].top * pools[i].width;
	}
	return at;
}

int interp_alloc(struct base_arena *tmp, const struct ir_func *f, const uint8_t *pinned,
		 int32_t *ret_off, uint32_t *ret_bytes, uint32_t *ret_live)
{
	struct live l = { .f = f, .tmp = tmp };
	uint32_t positions, *starts, *ends, *next_start, *next_end, live = 0;
	struct pool pools[POOLS] = { 0 };
	int r = liveness(&l);

	if (r < 0)
		return r;
	r = pools_init(pools, f, tmp);
	if (r < 0)
		return r;
	positions = l.block_pos[f->nblocks] + 1;
	starts = arena_alloc(tmp, (size_t)positions * 4);
	ends = arena_alloc(tmp, (size_t)positions * 4);
	next_start = arena_alloc(tmp, (size_t)f->nregs * 4 + 1);
	next_end = arena_alloc(tmp, (size_t)f->nregs * 4 + 1);
	if (!starts || !ends || !next_start || !next_end)
		return -ENOMEM;
	memset(starts, 0xff, (size_t)positions * 4);
	memset(ends, 0xff, (size_t)positions * 4);
	for (uint32_t i = 0; i < f->nregs; i++) {
		ret_off[i] = 0;
		if (pinned && pinned[i]) {
			l.first[i] = 0;
			l.last[i] = positions - 1;
		}
		if (l.first[i] == NOWHERE)
			continue;
		next_start[i] = starts[l.first[i]];
		starts[l.first[i]] = i;
		next_end[i] = ends[l.last[i]];
		ends[l.last[i]] = i;
	}
	for (uint32_t p = 0; p < positions; p++) {
		for (uint32_t i = starts[p]; i != NOWHERE; i = next_start[i])
			ret_off[i] = (int32_t)pool_take(&pools[pool_of(&f->regs[i])]);
		for (uint32_t i = ends[p]; i != NOWHERE; i = next_end[i])
			pool_give(&pools[pool_of(&f->regs[i])], (uint32_t)ret_off[i]);
	}
	*ret_bytes = pools_place(pools);
	for (uint32_t i = 0; i < f->nregs; i++) {
		const struct pool *p = &pools[pool_of(&f->regs[i])];

		ret_off[i] = (int32_t)(p->base + (uint32_t)ret_off[i] * p->width);
	}
	for (uint32_t i = 1; i < POOLS; i++)
		live += pools[i].most * pools[i].width;
	*ret_live = live / 128 + 1;
	return 0;
}
