/* SPDX-License-Identifier: MIT */
/*
 * cg_frontier.c - where lanes can be waiting while a block runs.
 *
 * The order of execution is the interpreter's: the earliest block that has lanes runs next. So while
 * block b runs, others can wait in
 *
 *	order(b)	blocks after b that branches left behind; the jump to t first runs those
 *			before t. b itself, if its lanes may name different members
 *	park(b)		blocks whose lanes wait for a barrier or for other lanes, or that spin and have
 *			given others a turn; they come back through the dispatcher only
 *
 * What lanes in order(b) or park(b) may still read must survive the writes in b: keep(b). And what is
 * written in b and kept for others is not the same for all lanes any more, which makes more
 * branches divergent; so shapes and frontiers are solved together, from the optimistic side.
 */
#include <errno.h>
#include <string.h>

#include "cuse_dev/backend/soft/llvm/cg.h"
#include "cuse_dev/base/arena.h"

bool cg_converged(const struct cg *g, uint32_t b)
{
	return !cg_bits_any(g->blocks[b].order, g->block_words) &&
	       !cg_bits_any(g->blocks[b].park, g->block_words);
}

bool cg_members_differ(const struct cg *g, const struct cg_block *b)
{
	const struct ir_inst *in = b->insts;

	return b->sync && cg_shape_operand(g, &in->opnd[in->nd + cg_members(in)]).kind > CG_UNI;
}

struct solve {
	struct cg *g;
	uint64_t *all, *waits;
	bool changed;
};

static void add_order(struct solve *s, uint32_t to, uint32_t k)
{
	uint64_t *set = s->g->blocks[to].order;

	if (k > to && !cg_bit(set, k)) {
		cg_bit_set(set, k);
		s->changed = true;
	}
}

/* Those of @from that come after @to. */
static void add_later(struct solve *s, uint32_t to, const uint64_t *from)
{
	uint64_t *set = s->g->blocks[to].order;

	for (uint32_t i = to / 64; i < s->g->block_words; i++) {
		uint64_t later = i == to / 64 ? from[i] & (~1ull << to % 64) : from[i];

		s->changed |= (later & ~set[i]) != 0;
		set[i] |= later;
	}
}

static void add_park(struct solve *s, uint32_t to, const uint64_t *from)
{
	s->changed |= cg_bits_or(s->g->blocks[to].park, from, s->g->block_words);
}

/* Whoever waits may run next, in any order: after a park, and at the end of some lanes. */
static void any_next(struct solve *s, uint32_t b, uint32_t parked)
{
	struct cg_block *blk = &s->g->blocks[b];
	const uint32_t words = s->g->block_words;

	memcpy(s->all, blk->order, words * 8);
	cg_bits_or(s->all, blk->park, words);
	memcpy(s->waits, s->all, words * 8);
	if (parked != UINT32_MAX)
		cg_bit_set(s->waits, parked);
	for (uint32_t n = cg_bits_next(s->waits, words, 0); n != UINT32_MAX;
	     n = cg_bits_next(s->waits, words, n + 1)) {
		add_later(s, n, s->waits);
		add_park(s, n, s->waits);
	}
}

/* Jumps to some of the targets @t, by all lanes or by a part of them. */
static void jump_next(struct solve *s, uint32_t b, const uint32_t *t, uint32_t n, bool divergent)
{
	struct cg_block *blk = &s->g->blocks[b];
	const uint32_t words = s->g->block_words;
	uint32_t last = 0;

	for (uint32_t i = 0; i < n; i++) {
		add_later(s, t[i], blk->order);
		add_park(s, t[i], blk->park);
		last = t[i] > last ? t[i] : last;
		for (uint32_t k = 0; divergent && k < n; k++)
			add_order(s, t[i], t[k]);
	}
	/* Blocks that wait and come before a target run first. */
	for (uint32_t k = cg_bits_next(blk->order, words, 0); k < last;
	     k = cg_bits_next(blk->order, words, k + 1)) {
		add_later(s, k, blk->order);
		add_park(s, k, blk->park);
		for (uint32_t i = 0; i < n; i++)
			add_order(s, k, t[i]);
	}
}

static bool diverges(const struct cg *g, const struct cg_block *b)
{
	return (b->term == CG_BRANCH || b->term == CG_SWITCH) && !b->uni &&
	       g->regs[b->pred].s.kind > CG_UNI;
}

static void block_next(struct solve *s, uint32_t b)
{
	struct cg *g = s->g;
	struct cg_block *blk = &g->blocks[b];
	uint32_t t[2], n = 0;
	bool apart;

	/* Lanes that name other members run the block later, and then find the first ones ahead. */
	if (cg_members_differ(g, blk) && !cg_bit(blk->order, b)) {
		cg_bit_set(blk->order, b);
		s->changed = true;
	}
	apart = !cg_converged(g, b);
	if (apart && blk->sync)
		any_next(s, b, b);
	if (apart && blk->waits)
		any_next(s, b, blk->targets[0]);
	if (apart && blk->turns)
		for (uint32_t i = 0; i < blk->ntargets; i++)
			if (blk->targets[i] <= b)
				any_next(s, b, blk->targets[i]);
	if (blk->term == CG_EXIT && apart)
		any_next(s, b, UINT32_MAX);
	if (blk->ntargets > 2) {
		jump_next(s, b, blk->targets, blk->ntargets, diverges(g, blk));
		return;
	}
	/* Lanes that go to the end are gone at once; the others are not kept apart by it. */
	for (uint32_t i = 0; i < blk->ntargets; i++)
		if (!g->blocks[blk->targets[i]].ends || !diverges(g, blk))
			t[n++] = blk->targets[i];
	jump_next(s, b, t, n, n > 1 && diverges(g, blk));
	if (n == 0 && apart)
		any_next(s, b, UINT32_MAX);
	if (n == 1 && apart && blk->ntargets == 2)
		any_next(s, b, UINT32_MAX); /* all may have ended */
}

static void find_keep(struct cg *g)
{
	for (uint32_t b = 0; b < g->nblocks; b++) {
		struct cg_block *blk = &g->blocks[b];

		for (uint32_t k = cg_bits_next(blk->order, g->block_words, 0); k != UINT32_MAX;
		     k = cg_bits_next(blk->order, g->block_words, k + 1))
			cg_bits_or(blk->keep, g->blocks[k].live, g->reg_words);
		for (uint32_t k = cg_bits_next(blk->park, g->block_words, 0); k != UINT32_MAX;
		     k = cg_bits_next(blk->park, g->block_words, k + 1))
			cg_bits_or(blk->keep, g->blocks[k].live, g->reg_words);
	}
}

static bool frontiers(struct solve *s)
{
	bool any = false;

	do {
		s->changed = false;
		for (uint32_t b = 0; b < s->g->nblocks; b++)
			block_next(s, b);
		any |= s->changed;
	} while (s->changed);
	return any;
}

/* What is read although nothing writes it: some value, the same for all; here 0. */
static bool take_unwritten(struct cg *g)
{
	bool any = false;

	for (uint32_t i = 0; i < g->f->nregs; i++) {
		struct cg_reg *r = &g->regs[i];

		if (r->s.kind != CG_NONE)
			continue;
		r->s.kind = CG_UNI;
		any = true;
	}
	return any;
}

/* @b, and whatever may run after it, may run with lanes missing. */
static void mark_partial(struct solve *s, uint32_t b)
{
	const struct cg_block *blk = &s->g->blocks[b];

	if (cg_bit(s->all, b))
		return;
	cg_bit_set(s->all, b);
	s->changed = true;
	for (uint32_t i = 0; i < blk->ntargets; i++)
		cg_bit_set(s->waits, blk->targets[i]);
}

/*
 * Lanes that ended while others went on are missing from then on. Where none can be missing and none can wait
 * elsewhere, the mask is known.
 */
static void find_full(struct solve *s)
{
	struct cg *g = s->g;
	const uint32_t *n = g->opt->block, words = g->block_words;

	if (!n[0] || n[0] * n[1] * n[2] % CG_LANES)
		return;
	memset(s->all, 0, words * 8);
	memset(s->waits, 0, words * 8);
	for (uint32_t b = 0; b < g->nblocks; b++) {
		const struct cg_block *blk = &g->blocks[b];
		bool some = blk->term == CG_EXIT && !cg_converged(g, b);

		for (uint32_t i = 0; i < blk->ntargets; i++)
			some |= g->blocks[blk->targets[i]].ends && diverges(g, blk);
		if (!some)
			continue;
		for (uint32_t i = 0; i < blk->ntargets; i++)
			cg_bit_set(s->waits, blk->targets[i]);
		cg_bits_or(s->waits, blk->order, words);
		cg_bits_or(s->waits, blk->park, words);
	}
	do {
		s->changed = false;
		for (uint32_t b = cg_bits_next(s->waits, words, 0); b != UINT32_MAX;
		     b = cg_bits_next(s->waits, words, b + 1))
			mark_partial(s, b);
	} while (s->changed);
	for (uint32_t b = 0; b < g->nblocks; b++)
		g->blocks[b].full = cg_converged(g, b) && !cg_bit(s->all, b);
}

int cg_frontier(struct cg *g)
{
	struct solve s = { .g = g };
	bool changed;

	s.all = arena_alloc(g->arena, 2 * (size_t)g->block_words * 8);
	if (!s.all)
		return cg_fail(g, -ENOMEM, "out of memory");
	s.waits = s.all + g->block_words;
	do {
		changed = false;
		while (cg_shape_pass(g))
			changed = true;
		if (frontiers(&s)) {
			find_keep(g);
			changed = true;
		}
		if (!changed)
			changed = take_unwritten(g);
	} while (changed);
	cg_raw_solve(g);
	find_full(&s);
	memset(s.all, 0, (size_t)g->block_words * 8);
	for (uint32_t b = 0; b < g->nblocks; b++) {
		const struct cg_block *blk = &g->blocks[b];

		cg_bits_or(s.all, blk->order, g->block_words);
		cg_bits_or(s.all, blk->park, g->block_words);
		/* A switch leaves its lanes at all targets. */
		for (uint32_t i = 0; blk->term == CG_SWITCH && i < blk->ntargets; i++)
			cg_bit_set(s.all, blk->targets[i]);
	}
	for (uint32_t b = 0; b < g->nblocks; b++)
		g->blocks[b].pendable = cg_bit(s.all, b);
	return 0;
}
