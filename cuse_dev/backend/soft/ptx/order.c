/* SPDX-License-Identifier: MIT */
/*
 * order.c - the order of a function's blocks.
 *
 * The thread frontier runs the earliest block that has waiting lanes, so the order decides where
 * lanes meet again: a block must come after its predecessors (except for loop back edges), and
 *nothing that is not part of a loop may stand inside it, or lanes that left would run before those
 *that still go around.
 *
 *	1. reverse post-order of a depth-first walk; what it does not reach is dropped
 *	2. dominators (Cooper, Harvey, Kennedy), back edges, natural loops
 *	3. from outer to inner loops: members move together behind their header, keeping their order
 */
#include "cuse_dev/backend/soft/ptx/lower.h"

#include <string.h>

#include "cuse_dev/base/arena.h"

#define NONE	  UINT32_MAX
#define LOOP_WORK (64u << 20) /* steps; hostile graphs stay in reverse post-order */

struct order {
	struct ptx_lower *l;
	struct base_arena *a;
	uint32_t n;		      /* reachable */
	uint32_t *seq;		      /* position -> block */
	uint32_t *pos;		      /* block -> position or NONE */
	uint32_t *rpo;		      /* block -> number in reverse post-order, stays */
	uint32_t *idom;		      /* by reverse post-order number */
	uint32_t *pred_first, *preds; /* by block: preds[pred_first[b] .. pred_first[b + 1]) */
	uint32_t *mark;		      /* by block: header + 1 of the loop it was last found in */
	uint32_t *work;
	uint64_t steps;
};

/* The block meant by a target; through empty ones that only jump on. */
static uint32_t resolve(const struct ptx_lower *l, int64_t target)
{
	uint32_t b = 0;

	for (int hops = 0; hops < 8; hops++) {
		b = target >= 0 ? (uint32_t)target : l->block_at[~target] - 1;
		if (l->blocks[b].count || l->blocks[b].term != IR_TERM_JUMP)
			break;
		target = l->blocks[b].target[0];
	}
	return b;
}

static uint32_t succ_count(const struct ptx_lo_block *b)
{
	switch (b->term) {
	case IR_TERM_JUMP:
		return 1;
	case IR_TERM_BRANCH:
		return 2;
	case IR_TERM_SWITCH:
		return b->ntargets;
	default:
		return 0;
	}
}

static uint32_t succ(const struct order *o, uint32_t block, uint32_t i)
{
	const struct ptx_lo_block *b = &o->l->blocks[block];

	return resolve(o->l, b->term == IR_TERM_SWITCH ? b->targets[i] : b->target[i]);
}

/* Fills seq, pos and rpo. */
static bool walk(struct order *o)
{
	uint32_t nb = (uint32_t)o->l->nblocks, top = 0, out = nb;
	uint32_t *stack = arena_alloc(o->a, nb * sizeof(*stack));
	uint32_t *next = arena_alloc(o->a, nb * sizeof(*next));

	if (!stack || !next)
		return false;
	for (uint32_t i = 0; i < nb; i++)
		o->pos[i] = NONE;
	stack[top++] = 0;
	o->pos[0] = 0;
	while (top) {
		uint32_t b = stack[top - 1];

		if (next[b] < succ_count(&o->l->blocks[b])) {
			uint32_t s = succ(o, b, next[b]++);

			if (o->pos[s] == NONE) {
				o->pos[s] = 0;
				stack[top++] = s;
			}
			continue;
		}
		o->seq[--out] = b;
		top--;
	}
	o->n = nb - out;
	memmove(o->seq, o->seq + out, o->n * sizeof(*o->seq));
	for (uint32_t i = 0; i < o->n; i++)
		o->pos[o->seq[i]] = i;
	memcpy(o->rpo, o->pos, nb * sizeof(*o->rpo));
	return true;
}

static bool predecessors(struct order *o)
{
	uint32_t nb = (uint32_t)o->l->nblocks, total = 0;

	for (uint32_t i = 0; i < o->n; i++) {
		uint32_t b = o->seq[i], n = succ_count(&o->l->blocks[b]);

		for (uint32_t k = 0; k < n; k++)
			o->pred_first[succ(o, b, k) + 1]++;
		total += n;
	}
	for (uint32_t b = 0; b < nb; b++)
		o->pred_first[b + 1] += o->pred_first[b];
	o->preds = arena_alloc(o->a, (total + 1) * sizeof(*o->preds));
	if (!o->preds)
		return false;
	memset(o->work, 0, nb * sizeof(*o->work));
	for (uint32_t i = 0; i < o->n; i++) {
		uint32_t b = o->seq[i], n = succ_count(&o->l->blocks[b]);

		for (uint32_t k = 0; k < n; k++) {
			uint32_t s = succ(o, b, k);

			o->preds[o->pred_first[s] + o->work[s]++] = b;
		}
	}
	return true;
}

static uint32_t intersect(const struct order *o, uint32_t a, uint32_t b)
{
	while (a != b) {
		while (a > b)
			a = o->idom[a];
		while (b > a)
			b = o->idom[b];
	}
	return a;
}

static void dominators(struct order *o)
{
	bool changed = true;

	for (uint32_t i = 0; i < o->n; i++)
		o->idom[i] = NONE;
	o->idom[0] = 0;
	while (changed && o->steps < LOOP_WORK) {
		changed = false;
		for (uint32_t i = 1; i < o->n; i++) {
			uint32_t b = o->seq[i], new_idom = NONE;

			for (uint32_t k = o->pred_first[b]; k < o->pred_first[b + 1]; k++) {
				uint32_t p = o->rpo[o->preds[k]];

				if (o->idom[p] != NONE)
					new_idom = new_idom == NONE ? p : intersect(o, p, new_idom);
				o->steps++;
			}
			if (o->idom[i] != new_idom) {
				o->idom[i] = new_idom;
				changed = true;
			}
		}
	}
}

static bool dominates(const struct order *o, uint32_t a, uint32_t b)
{
	while (b > a)
		b = o->idom[b];
	return a == b;
}

/* Marks the loop of header @h with h + 1; returns its last position, or 0 when it is no loop. */
static uint32_t find_loop(struct order *o, uint32_t h)
{
	uint32_t top = 0, last = 0;

	for (uint32_t k = o->pred_first[h]; k < o->pred_first[h + 1]; k++) {
		uint32_t p = o->preds[k];

		if (p != h && o->rpo[p] > o->rpo[h] && o->mark[p] != h + 1 &&
		    dominates(o, o->rpo[h], o->rpo[p])) {
			o->mark[p] = h + 1;
			o->work[top++] = p;
		}
	}
	if (!top)
		return 0;
	o->mark[h] = h + 1;
	while (top) {
		uint32_t b = o->work[--top];

		if (last < o->pos[b])
			last = o->pos[b];
		for (uint32_t k = o->pred_first[b]; k < o->pred_first[b + 1]; k++) {
			uint32_t p = o->preds[k];

			o->steps++;
			if (o->mark[p] == h + 1)
				continue;
			o->mark[p] = h + 1;
			o->work[top++] = p;
		}
	}
	return last;
}

/* Stable: members of the loop first, the others after them. */
static void gather(struct order *o, uint32_t h, uint32_t last)
{
	uint32_t to = o->pos[h], others = 0;

	for (uint32_t i = to; i <= last; i++) {
		uint32_t b = o->seq[i];

		if (o->mark[b] == h + 1)
			o->seq[to++] = b;
		else
			o->work[others++] = b;
	}
	memcpy(o->seq + to, o->work, others * sizeof(*o->work));
	for (uint32_t i = o->pos[h]; i <= last; i++)
		o->pos[o->seq[i]] = i;
	o->steps += last;
}

static bool loops_together(struct order *o)
{
	/* headers in reverse post-order: an outer loop's comes before an inner one's */
	uint32_t *headers = arena_alloc(o->a, o->n * sizeof(*headers));

	if (!headers)
		return false;
	memcpy(headers, o->seq, o->n * sizeof(*headers));
	for (uint32_t i = 0; i < o->n && o->steps < LOOP_WORK; i++) {
		uint32_t last = find_loop(o, headers[i]);

		if (last)
			gather(o, headers[i], last);
	}
	return true;
}

static bool place_block(struct order *o, struct ir_block *to, uint32_t from)
{
	const struct ptx_lo_block *b = &o->l->blocks[from];

	to->label = b->label;
	to->count = b->count;
	to->insts = arena_alloc(o->l->arena, b->count * sizeof(*to->insts));
	if (!to->insts)
		return false;
	if (b->count)
		memcpy(to->insts, o->l->insts + b->first, b->count * sizeof(*to->insts));
	to->term = b->term;
	to->pred_not = b->pred_not;
	to->uniform = b->uniform;
	to->pred = b->pred;
	to->line = b->line;
	if (b->term == IR_TERM_JUMP || b->term == IR_TERM_BRANCH)
		to->target[0] = o->pos[succ(o, from, 0)];
	if (b->term == IR_TERM_BRANCH)
		to->target[1] = o->pos[succ(o, from, 1)];
	if (b->term != IR_TERM_SWITCH)
		return true;
	to->aux = arena_alloc(o->l->arena, sizeof(*to->aux));
	if (to->aux)
		to->aux->targets = arena_alloc(o->l->arena, b->ntargets * sizeof(uint32_t));
	if (!to->aux || !to->aux->targets)
		return false;
	to->aux->count = b->ntargets;
	for (uint32_t i = 0; i < b->ntargets; i++)
		to->aux->targets[i] = o->pos[succ(o, from, i)];
	return true;
}

bool ptx_lo_order(struct ptx_lower *l)
{
	size_t nb = l->nblocks;
	struct base_arena *a = l->un->scratch;
	struct order o = { .l = l, .a = a };
	struct ir_func *f = l->f;

	o.seq = arena_alloc(a, nb * sizeof(uint32_t));
	o.pos = arena_alloc(a, nb * sizeof(uint32_t));
	o.rpo = arena_alloc(a, nb * sizeof(uint32_t));
	o.idom = arena_alloc(a, nb * sizeof(uint32_t));
	o.mark = arena_alloc(a, nb * sizeof(uint32_t));
	o.work = arena_alloc(a, nb * sizeof(uint32_t));
	o.pred_first = arena_alloc(a, (nb + 2) * sizeof(uint32_t));
	if (!o.seq || !o.pos || !o.rpo || !o.idom || !o.mark || !o.work || !o.pred_first)
		goto no_memory;
	if (!walk(&o) || !predecessors(&o))
		goto no_memory;
	dominators(&o);
	if (o.steps < LOOP_WORK && !loops_together(&o))
		goto no_memory;
	f->blocks = arena_alloc(l->arena, o.n * sizeof(*f->blocks));
	if (!f->blocks)
		goto no_memory;
	f->nblocks = o.n;
	for (uint32_t i = 0; i < o.n; i++)
		if (!place_block(&o, &f->blocks[i], o.seq[i]))
			goto no_memory;
	return true;

no_memory:
	ptx_fail(l->err, PTX_ERR_MEMORY, l->fn->line, 0, "out of memory");
	return false;
}
