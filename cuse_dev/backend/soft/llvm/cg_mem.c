/* SPDX-License-Identifier: MIT */
/*
 * cg_mem.c - loads and stores of a warp (PTX ISA 9.7.9.8 and on).
 *
 *	address		memory						check
 *	UNI		one scalar access, a broadcast			one
 *	AFF, WIDE	step = element: a vector access per group	first and last lane that run
 *			step = 0: a scalar access per group		one per group
 *	else		gather or scatter				all lanes
 *
 * What fails its check, and what has no fast form, goes through the bridge: the interpreter knows
 * all spaces and words the faults. Pages of the window that are not mapped fault in the access
 * itself; line, address and step tell which lane that was (warp.c).
 */
#include "cuse_dev/backend/soft/llvm/cg.h"

#include "cuse_dev/backend/soft/llvm/cg_mem.h"

typedef LLVMValueRef V;

/* ---- checks --------------------------------------------------------------------------------- */

/* The first offset at which an access does not fit any more; 0 when none does. */
static V beyond(struct cg *g, const struct mem *m, LLVMTypeRef t)
{
	V size = m->local ? m->local_bytes : m->shared ? g->shared_bytes : g->window_size, a[2];

	if (LLVMTypeOf(size) != t)
		size = LLVMBuildZExt(g->b, size, t, "");
	a[0] = LLVMBuildAdd(g->b, size, LLVMConstInt(t, 1, false), "");
	a[1] = LLVMConstInt(t, m->total, false);
	return cg_intrinsic(g, "llvm.usub.sat", &t, 1, a, 2);
}

/* May an access that is aligned be at @off? i64, counted from the start of the memory. */
static V below(struct cg *g, const struct mem *m, V off)
{
	return LLVMBuildICmp(g->b, LLVMIntULT, off, beyond(g, m, g->i64), "");
}

/* May the access be at @off? */
static V inside(struct cg *g, const struct mem *m, V off)
{
	V ok = below(g, m, off), low;

	if (m->total == 1)
		return ok;
	low = LLVMBuildAnd(g->b, off, cg_i64(g, m->total - 1), "");
	return LLVMBuildAnd(g->b, ok, LLVMBuildICmp(g->b, LLVMIntEQ, low, cg_i64(g, 0), ""), "");
}

/* The same for a vector; lanes that do not run do not count. */
V cg_mem_checked(struct cg *g, const struct mem *m, V off)
{
	LLVMTypeRef t = cg_int(g, cg_width(off));
	V end = cg_splat(g, beyond(g, m, t));
	V bad = LLVMBuildICmp(g->b, LLVMIntUGE, off, end, "");

	if (m->reach) {
		V far = LLVMBuildAdd(g->b, off, cg_const_like(g, off, (uint64_t)m->reach), "");

		bad = LLVMBuildOr(g->b, bad, LLVMBuildICmp(g->b, LLVMIntUGE, far, end, ""), "");
	}
	if (m->total > 1) {
		V low = LLVMBuildAnd(g->b, off, cg_const_like(g, off, m->total - 1), "");

		bad = LLVMBuildOr(g->b, bad,
				  LLVMBuildICmp(g->b, LLVMIntNE, low, cg_const_like(g, low, 0), ""),
				  "");
	}
	bad = LLVMBuildAnd(g->b, bad, cg_mask_vector(g), "");
	return LLVMBuildICmp(g->b, LLVMIntEQ, cg_mask_from_vector(g, bad), cg_i32(g, 0), "");
}

V cg_mem_pointer(struct cg *g, V base, V offset)
{
	return LLVMBuildGEP2(g->b, g->i8, base, &offset, 1, "");
}

/* An address that a check has let through. */
static V place(struct cg *g, const struct mem *m, V address)
{
	if (m->shared)
		return cg_mem_pointer(g, g->shared, address);
	return LLVMBuildIntToPtr(g->b, address, g->ptr, "");
}

/* ---- checks for several accesses ------------------------------------------------------------ */

typedef V check_fn(struct cg *g, const struct mem *m, const struct cg_val *a, int64_t step);

#define FARTHEST (1 << 20) /* accesses of one check, apart */

/*
 * Accesses of a block at one register and different offsets all happen or one of them faults, so it is enough
 * to look at the lowest and the highest; up to *ret_last. When the check fails, all go through the bridge, up
 * to the one that does fault.
 */
static void find_range(struct cg *g, const struct mem *m, int64_t *lo, int64_t *hi,
		       const struct ir_inst **ret_last)
{
	const struct cg_block *b = &g->blocks[g->block];
	uint32_t reg = m->in->opnd[m->in->nd].reg;

	for (const struct ir_inst *in = m->in; in < b->insts + b->count; in++) {
		bool load = in->op == IR_OP_LD;
		uint32_t n = load ? in->nd : in->ns - 1u;

		if ((load || in->op == IR_OP_ST) && in->guard < 0 && in->space == m->in->space &&
		    in->opnd[in->nd].kind == IR_OPND_REG && in->opnd[in->nd].reg == reg &&
		    n * (ir_type_bits(in->type) / 8) == m->total &&
		    (in->offset - m->offset) % m->total == 0 && in->offset - m->offset < FARTHEST &&
		    m->offset - in->offset < FARTHEST) {
			*lo = in->offset < *lo ? in->offset : *lo;
			*hi = in->offset > *hi ? in->offset : *hi;
			*ret_last = in;
		}
		for (uint32_t k = 0; k < in->nd; k++)
			if (in->opnd[k].kind == IR_OPND_REG && in->opnd[k].reg == reg)
				return;
	}
}

/* Elsewhere an address that fails is none of a fault: the access alone takes the slow way. */
static bool plain_space(const struct mem *m)
{
	return m->in->guard < 0 &&
	       (m->in->space == IR_SPACE_GLOBAL || m->in->space == IR_SPACE_SHARED ||
		m->in->space == IR_SPACE_CONST);
}

static V shared_check(struct cg *g, struct mem *m, const struct cg_val *a, int64_t step,
		      check_fn *check)
{
	const struct ir_operand *o = &m->in->opnd[m->in->nd];
	struct cg_check c = { .space = m->in->space, .way = a->s.kind, .total = m->total };
	int64_t lo = m->offset, hi = m->offset;
	struct mem at = *m;
	V ok;

	if (o->kind != IR_OPND_REG || !plain_space(m) || g->nchecks == CG_MAX_CHECKS)
		return check(g, m, a, step);
	c.reg = o->reg;
	for (uint32_t i = 0; i < g->nchecks; i++) {
		const struct cg_check *k = &g->checks[i];

		if (k->reg == c.reg && k->space == c.space && k->way == c.way &&
		    k->total == c.total && m->in <= k->last && k->step == step &&
		    (m->offset - k->lo) % m->total == 0 && m->offset >= k->lo &&
		    m->offset <= k->hi) {
			m->from = k->lo;
			return k->ok;
		}
	}
	find_range(g, m, &lo, &hi, &c.last);
	c.lo = lo;
	c.hi = hi;
	c.step = step;
	at.offset = lo;
	at.from = lo;
	at.reach = hi - lo;
	ok = check(g, &at, a, step);
	c.ok = cg_may_aside(g) ? NULL : ok;
	g->checks[g->nchecks++] = c;
	m->from = lo;
	return ok;
}

/* What a trap in the access needs to know. */
void cg_mem_note(struct cg *g, const struct mem *m, V address, uint64_t step)
{
	if (m->shared || m->local)
		return;
	cg_set_field(g, offsetof(struct llvm_ctx, line), cg_i32(g, m->in->line));
	cg_set_field(g, offsetof(struct llvm_ctx, address), address ? address : cg_i64(g, 0));
	if (address && (!g->noted || step != g->noted_step)) {
		cg_set_field(g, offsetof(struct llvm_ctx, step), cg_i64(g, step));
		g->noted_step = step;
	} else if (!g->noted) {
		g->noted_step = UINT64_MAX;
	}
	if (g->noted != g->mask)
		cg_set_field(g, offsetof(struct llvm_ctx, running), g->mask);
	g->noted = g->mask;
}

/* ---- one place ------------------------------------------------------------------------------ */

static void order_fence(struct cg *g)
{
	LLVMBuildFence(g->b, LLVMAtomicOrderingSequentiallyConsistent, true, "");
}

static V load_at(struct cg *g, const struct mem *m, V p, uint32_t align)
{
	V v = LLVMBuildLoad2(g->b, cg_int(g, 8 * m->size), p, "");

	LLVMSetAlignment(v, align);
	LLVMSetVolatile(v, m->ordered);
	return v;
}

static void put_loaded(struct cg *g, const struct mem *m, uint32_t e, V v)
{
	const struct ir_operand *o = &m->in->opnd[e];
	struct cg_val r;

	if (o->kind != IR_OPND_REG)
		return;
	v = cg_resize(g, v, g->regs[o->reg].bits, ir_type_signed(m->in->type));
	r = cg_is_vector(v) ? cg_value_var(v) : cg_value_uni(v);
	cg_write(g, o, &r);
}

/* What a store writes, in all lanes. */
V cg_mem_stored(struct cg *g, const struct mem *m, uint32_t e)
{
	const struct ir_operand *o = &m->in->opnd[m->in->nd + 1 + e];
	uint32_t bits = 8 * m->size;
	struct cg_val v = cg_read(g, o, bits < 16 ? 16 : bits);
	V r = cg_vector(g, &v);

	if (o->kind == IR_OPND_REG && g->regs[o->reg].s.raw)
		r = cg_canonical(g, r);
	return cg_resize(g, r, bits, false);
}

/* The highest lane that runs wins. */
static V stored_last(struct cg *g, const struct mem *m, uint32_t e)
{
	const struct ir_operand *o = &m->in->opnd[m->in->nd + 1 + e];
	uint32_t bits = 8 * m->size;
	struct cg_val v = cg_read(g, o, bits < 16 ? 16 : bits);
	V a[2] = { g->mask, LLVMConstInt(g->i1, 1, false) }, n, r;

	if (v.s.kind == CG_UNI) {
		r = v.u;
	} else {
		n = cg_intrinsic(g, "llvm.ctlz", &g->i32, 1, a, 2);
		r = LLVMBuildExtractElement(g->b, cg_vector(g, &v),
					    LLVMBuildSub(g->b, cg_i32(g, 31), n, ""), "");
	}
	if (o->kind == IR_OPND_REG && g->regs[o->reg].s.raw)
		r = cg_canonical(g, r);
	return cg_resize(g, r, bits, false);
}

static void one_place(struct cg *g, const struct mem *m, V p)
{
	for (uint32_t e = 0; e < m->n; e++) {
		V q = e ? cg_mem_pointer(g, p, cg_i64(g, e * m->size)) : p, st;
		uint32_t align = e ? m->size : m->total;

		if (m->load) {
			put_loaded(g, m, e, load_at(g, m, q, align));
			continue;
		}
		st = LLVMBuildStore(g->b, stored_last(g, m, e), q);
		LLVMSetAlignment(st, align);
		LLVMSetVolatile(st, m->ordered);
	}
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* Lanes [from, from + n) of a vector of 32. */
static V part(struct cg *g, V v, uint32_t from, uint32_t n, uint32_t repeat)
{
	V pick[CG_LANES * 8];

	for (uint32_t i = 0; i < n * repeat; i++)
		pick[i] = cg_i32(g, from + i / repeat);
	return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(LLVMTypeOf(v)),
				      LLVMConstVector(pick, n * repeat), "");
}

/* Groups side by side. */
static V join(struct cg *g, V *v, uint32_t groups)
{
	V pick[CG_LANES];

	for (uint32_t n = CG_LANES / groups; groups > 1; groups /= 2, n *= 2) {
		for (uint32_t i = 0; i < 2 * n; i++)
			pick[i] = cg_i32(g, i);
		for (uint32_t i = 0; i < groups / 2; i++)
			v[i] = LLVMBuildShuffleVector(g->b, v[2 * i], v[2 * i + 1],
						      LLVMConstVector(pick, 2 * n), "");
	}
	return v[0];
}

static V row_mask(struct cg *g, const struct mem *m, uint32_t group)
{
	uint32_t width = CG_LANES / m->groups;

	return part(g, cg_mask_vector(g), group * width, width, m->n);
}

static V load_row(struct cg *g, const struct mem *m, V p, uint32_t group)
{
	LLVMTypeRef t = LLVMVectorType(cg_int(g, 8 * m->size), CG_LANES / m->groups * m->n);
	LLVMTypeRef over[2] = { t, g->ptr };
	V a[4] = { p, cg_i32(g, m->total), row_mask(g, m, group), LLVMGetPoison(t) };

	return cg_intrinsic(g, "llvm.masked.load", over, 2, a, 4);
}

/* Element @e of each lane of a row of tuples. */
static V every(struct cg *g, V wide, uint32_t e, uint32_t n, uint32_t lanes)
{
	V pick[CG_LANES];

	if (n == 1)
		return wide;
	for (uint32_t i = 0; i < lanes; i++)
		pick[i] = cg_i32(g, i * n + e);
	return LLVMBuildShuffleVector(g->b, wide, LLVMGetPoison(LLVMTypeOf(wide)),
				      LLVMConstVector(pick, lanes), "");
}

/* The elements of one group, tuple by tuple. */
static V interleave(struct cg *g, V *v, uint32_t n, uint32_t lanes)
{
	V pick[CG_LANES * 8];

	for (uint32_t have = 1; have < n; have *= 2) {
		/* v[i] holds elements i, i + n / have, ... of each lane, side by side */
		for (uint32_t i = 0; i < n / have / 2; i++) {
			for (uint32_t k = 0; k < 2 * have * lanes; k++)
				pick[k] = cg_i32(g, k);
			v[i] = LLVMBuildShuffleVector(g->b, v[i], v[i + n / have / 2],
						      LLVMConstVector(pick, 2 * have * lanes), "");
		}
	}
	/*
	 * v[0]: blocks of @lanes, block j holds the element whose number has the bits of j reversed;
	 * put them in order.
	 */
	for (uint32_t i = 0; i < lanes * n; i++) {
		uint32_t e = i % n, j = 0;

		for (uint32_t bit = 1; bit < n; bit *= 2)
			j = j * 2 + (e & bit ? 1 : 0);
		pick[i] = cg_i32(g, j * lanes + i / n);
	}
	return LLVMBuildShuffleVector(g->b, v[0], LLVMGetPoison(LLVMTypeOf(v[0])),
				      LLVMConstVector(pick, lanes * n), "");
}

#define LINE	   64u
#define MOST_LINES 4u /* of a row; more ask for themselves */

/*
 * A CPU writes in order and asks for few of the lines ahead that it will write, fewer when notes are written in
 * between; so they are asked for as soon as it is known where.
 */
static void fetch_lines(struct cg *g, const struct mem *m, V p)
{
	uint32_t row = CG_LANES / m->groups * m->total;
	V a[4] = { NULL, cg_i32(g, 1), cg_i32(g, 3),
		   cg_i32(g, 1) }; /* to write, all caches, data */

	if (m->shared || g->opt->level == LLVM_QUICK || row > MOST_LINES * LINE)
		return;
	for (uint32_t at = 0; at < row; at += LINE) {
		a[0] = cg_mem_pointer(g, p, cg_i64(g, at));
		cg_intrinsic(g, "llvm.prefetch", &g->ptr, 1, a, 4);
	}
}

static void store_rows(struct cg *g, const struct mem *m, V *p)
{
	uint32_t width = CG_LANES / m->groups;
	LLVMTypeRef t = LLVMVectorType(cg_int(g, 8 * m->size), width * m->n),
		    over[2] = { t, g->ptr };
	V all[8], v[8];

	for (uint32_t e = 0; e < m->n; e++)
		all[e] = cg_mem_stored(g, m, e);
	for (uint32_t k = 0; k < m->groups; k++) {
		V a[4];

		for (uint32_t e = 0; e < m->n; e++)
			v[e] = part(g, all[e], k * width, width, 1);
		a[0] = m->n > 1 ? interleave(g, v, m->n, width) : v[0];
		a[1] = p[k];
		a[2] = cg_i32(g, m->total);
		a[3] = row_mask(g, m, k);
		cg_intrinsic(g, "llvm.masked.store", over, 2, a, 4);
	}
}

static void load_rows(struct cg *g, const struct mem *m, V *p)
{
	uint32_t width = CG_LANES / m->groups;
	V wide[CG_MAX_GROUPS], v[CG_MAX_GROUPS];

	for (uint32_t k = 0; k < m->groups; k++)
		wide[k] = load_row(g, m, p[k], k);
	for (uint32_t e = 0; e < m->n; e++) {
		for (uint32_t k = 0; k < m->groups; k++)
			v[k] = every(g, wide[k], e, m->n, width);
		put_loaded(g, m, e, join(g, v, m->groups));
	}
}

/* Each group at one place; groups without lanes read a place of ours. */
static void load_spots(struct cg *g, const struct mem *m, V *p)
{
	uint32_t width = CG_LANES / m->groups;
	LLVMTypeRef t = LLVMVectorType(cg_int(g, 8 * m->size), width);
	V zeros = LLVMConstNull(LLVMVectorType(g->i32, width)), v[CG_MAX_GROUPS];

	for (uint32_t e = 0; e < m->n; e++) {
		for (uint32_t k = 0; k < m->groups; k++) {
			V q = cg_mem_pointer(g, p[k], cg_i64(g, e * m->size));

			v[k] = LLVMBuildInsertElement(g->b, LLVMGetPoison(t),
						      load_at(g, m, q, m->size), cg_i32(g, 0), "");
			v[k] = LLVMBuildShuffleVector(g->b, v[k], LLVMGetPoison(t), zeros, "");
		}
		put_loaded(g, m, e, join(g, v, m->groups));
	}
}

/* ---- the ways ------------------------------------------------------------------------------- */

LLVMBasicBlockRef cg_mem_begin(struct cg *g, const struct mem *m, V ok)
{
	LLVMBasicBlockRef fast, slow, next = NULL;

	if (ok) {
		fast = LLVMAppendBasicBlockInContext(g->lc, g->fn, "fast");
		slow = plain_space(m) && cg_may_aside(g) ? cg_aside(g) : NULL;
		if (!slow) {
			slow = LLVMAppendBasicBlockInContext(g->lc, g->fn, "slow");
			next = LLVMAppendBasicBlockInContext(g->lc, g->fn, "next");
		}
		cg_likely(g, LLVMBuildCondBr(g->b, ok, fast, slow));
		if (next) {
			LLVMPositionBuilderAtEnd(g->b, slow);
			cg_bridge(g, m->in);
			LLVMBuildBr(g->b, next);
		}
		LLVMPositionBuilderAtEnd(g->b, fast);
	}
	if (m->ordered)
		order_fence(g);
	return next;
}

void cg_mem_end(struct cg *g, const struct mem *m, LLVMBasicBlockRef next)
{
	if (m->ordered)
		order_fence(g);
	if (!next)
		return;
	g->noted = NULL;
	LLVMBuildBr(g->b, next);
	LLVMPositionBuilderAtEnd(g->b, next);
}

static V uniform_address(struct cg *g, const struct mem *m, const struct cg_val *a)
{
	V u = LLVMConstInt(LLVMTypeOf(a->u), (uint64_t)m->from, false);

	u = cg_resize(g, LLVMBuildAdd(g->b, a->u, u, ""), 64, false);
	return LLVMBuildAdd(g->b, u, cg_i64(g, (uint64_t)(m->offset - m->from)), "");
}

static V check_uniform(struct cg *g, const struct mem *m, const struct cg_val *a, int64_t step)
{
	V u = uniform_address(g, m, a), ok;

	u = m->shared ? u : LLVMBuildSub(g->b, u, g->window_base, "");
	ok = inside(g, m, u);
	if (m->reach) {
		u = LLVMBuildAdd(g->b, u, cg_i64(g, (uint64_t)m->reach), "");
		ok = LLVMBuildAnd(g->b, ok, below(g, m, u), "");
	}
	return ok;
}

static bool access_uniform(struct cg *g, struct mem *m, const struct cg_val *a)
{
	LLVMBasicBlockRef next = cg_mem_begin(g, m, shared_check(g, m, a, 0, check_uniform));
	V u = uniform_address(g, m, a);

	cg_mem_note(g, m, u, 0);
	one_place(g, m, place(g, m, u));
	cg_mem_end(g, m, next);
	return true;
}

/*
 * The first and the last lane of a group that matter, and whether any does (NULL: surely). In shared memory, which is
 * small, these are those that run. Elsewhere whole rows fit nearly always, and who wants them need not wait for
 * the mask.
 */
static void edges(struct cg *g, const struct mem *m, uint32_t k, V *ret_first, V *ret_last,
		  V *ret_any)
{
	uint32_t width = CG_LANES / m->groups;
	V mask = g->mask, a[2] = { NULL, LLVMConstInt(g->i1, 0, false) };

	*ret_any = NULL;
	if (m->groups > 1) {
		mask = LLVMBuildLShr(g->b, mask, cg_i32(g, k * width), "");
		mask = LLVMBuildAnd(g->b, mask, cg_i32(g, (1u << width) - 1), "");
		*ret_any = LLVMBuildICmp(g->b, LLVMIntNE, mask, cg_i32(g, 0), "");
	}
	if (!m->shared) {
		*ret_first = cg_i32(g, 0);
		*ret_last = cg_i32(g, width - 1);
		return;
	}
	a[0] = mask;
	*ret_first = cg_intrinsic(g, "llvm.cttz", &g->i32, 1, a, 2);
	*ret_last = LLVMBuildSub(g->b, cg_i32(g, 31),
				 cg_intrinsic(g, "llvm.ctlz", &g->i32, 1, a, 2), "");
}

/* Lane @lane of group @k: its address, i64. */
static V lane_address(struct cg *g, const struct mem *m, const struct cg_val *a, uint32_t k, V lane)
{
	V x = LLVMBuildMul(g->b, lane, cg_i32(g, (uint32_t)a->s.stride), "");

	x = LLVMBuildAdd(g->b, a->x[k], x, "");
	if (a->s.kind == CG_AFF) {
		x = LLVMBuildAdd(g->b, x, cg_i32(g, (uint64_t)m->from), "");
		x = LLVMBuildZExt(g->b, x, g->i64, "");
		return LLVMBuildAdd(g->b, x, cg_i64(g, (uint64_t)(m->offset - m->from)), "");
	}
	x = cg_resize(g, x, 64, a->s.sign);
	x = LLVMBuildMul(g->b, x, cg_i64(g, (uint64_t)a->s.scale), "");
	x = LLVMBuildAdd(g->b, a->u, x, "");
	return LLVMBuildAdd(g->b, x, cg_i64(g, (uint64_t)m->offset), "");
}

static V from_start(struct cg *g, const struct mem *m, V address)
{
	return m->shared ? address : LLVMBuildSub(g->b, address, g->window_base, "");
}

static V check_lines(struct cg *g, const struct mem *m, const struct cg_val *a, int64_t step)
{
	V ok = NULL, first, last, any;

	for (uint32_t k = 0; k < a->s.groups; k++) {
		V lo, hi, span, good;

		edges(g, m, k, &first, &last, &any);
		lo = lane_address(g, m, a, k, first);
		good = inside(g, m, from_start(g, m, lo));
		if (step) {
			hi = lane_address(g, m, a, k, last);
			span = LLVMBuildAdd(g->b, from_start(g, m, hi),
					    cg_i64(g, (uint64_t)m->reach), "");
			good = LLVMBuildAnd(g->b, good, below(g, m, span), "");
			span = LLVMBuildZExt(g->b, LLVMBuildSub(g->b, last, first, ""), g->i64, "");
			span = LLVMBuildMul(g->b, span, cg_i64(g, (uint64_t)step), "");
			good = LLVMBuildAnd(g->b, good,
					    LLVMBuildICmp(g->b, LLVMIntEQ,
							  LLVMBuildSub(g->b, hi, lo, ""), span, ""),
					    "");
		} else if (m->reach) {
			hi = LLVMBuildAdd(g->b, from_start(g, m, lo), cg_i64(g, (uint64_t)m->reach),
					  "");
			good = LLVMBuildAnd(g->b, good, below(g, m, hi), "");
		}
		if (any)
			good = LLVMBuildOr(g->b, good, LLVMBuildNot(g->b, any, ""), "");
		ok = ok ? LLVMBuildAnd(g->b, ok, good, "") : good;
	}
	return ok;
}

/* Rows (step = total) or spots (step = 0), one per group. */
static bool access_lines(struct cg *g, struct mem *m, const struct cg_val *a, int64_t step)
{
	V p[CG_MAX_GROUPS], first, last, any, at;
	LLVMBasicBlockRef next;

	m->groups = a->s.groups;
	next = cg_mem_begin(g, m, shared_check(g, m, a, step, check_lines));
	for (uint32_t k = 0; k < m->groups; k++) {
		edges(g, m, k, &first, &last, &any);
		at = lane_address(g, m, a, k, first);
		if (step)
			at = LLVMBuildSub(g->b, at,
					  LLVMBuildMul(g->b, LLVMBuildZExt(g->b, first, g->i64, ""),
						       cg_i64(g, (uint64_t)step), ""),
					  "");
		p[k] = place(g, m, at);
		if (!step && m->groups > 1)
			p[k] = LLVMBuildSelect(g->b, any, p[k], g->slots, "");
	}
	for (uint32_t k = 0; !m->load && step && k < m->groups; k++)
		fetch_lines(g, m, p[k]);
	cg_mem_note(g, m, LLVMBuildPtrToInt(g->b, p[0], g->i64, ""), (uint64_t)step);
	if (!m->load)
		store_rows(g, m, p);
	else if (step)
		load_rows(g, m, p);
	else
		load_spots(g, m, p);
	cg_mem_end(g, m, next);
	return true;
}

/* ---- scattered ------------------------------------------------------------------------------ */

static V gather(struct cg *g, const struct mem *m, V p, LLVMTypeRef t, uint32_t align)
{
	LLVMTypeRef over[2] = { cg_vec(t), LLVMTypeOf(p) };
	V a[4] = { p, cg_i32(g, align), cg_mask_vector(g), LLVMGetPoison(cg_vec(t)) };

	return cg_intrinsic(g, "llvm.masked.gather", over, 2, a, 4);
}

/* Bytes and halves out of the aligned words they lie in: those never cross a page. */
static V gather_small(struct cg *g, const struct mem *m, V off, V base)
{
	V low = LLVMBuildAnd(g->b, off, cg_const_like(g, off, 3), "");
	V word = LLVMBuildAnd(g->b, off, cg_const_like(g, off, ~3ull), ""), v, n;

	v = gather(g, m, LLVMBuildGEP2(g->b, g->i8, base, &word, 1, ""), g->i32, 4);
	n = LLVMBuildShl(g->b, cg_resize(g, low, 32, false), cg_const_like(g, v, 3), "");
	return cg_resize(g, LLVMBuildLShr(g->b, v, n, ""), 8 * m->size, false);
}

static void scatter(struct cg *g, const struct mem *m, V p, V v, uint32_t align)
{
	LLVMTypeRef over[2] = { LLVMTypeOf(v), LLVMTypeOf(p) };
	V a[4] = { v, p, cg_i32(g, align), cg_mask_vector(g) };

	cg_intrinsic(g, "llvm.masked.scatter", over, 2, a, 4);
}

/* @off: checked offsets from @base; 32 bits wide ones are below 2^31. */
static void scattered(struct cg *g, const struct mem *m, V base, V off)
{
	for (uint32_t e = 0; e < m->n; e++) {
		uint32_t align = e ? m->size : m->total;
		V q = e ? cg_mem_pointer(g, base, cg_i64(g, e * m->size)) : base;
		V p = LLVMBuildGEP2(g->b, g->i8, q, &off, 1, "");

		if (!m->load && m->size < 4)
			cg_lanes_store(g, m, q, off);
		else if (!m->load)
			scatter(g, m, p, cg_mem_stored(g, m, e), align);
		else if (m->size < 4)
			put_loaded(g, m, e, gather_small(g, m, off, q));
		else
			put_loaded(g, m, e, gather(g, m, p, cg_int(g, 8 * m->size), align));
	}
}

/* The window starts on a page, so an offset is aligned as the address is. */
V cg_mem_offsets(struct cg *g, const struct mem *m, const struct cg_val *a, V *ret_base)
{
	V off = cg_vector(g, a), base = g->shared;

	off = LLVMBuildAdd(g->b, off, cg_const_like(g, off, (uint64_t)m->from), "");
	if (!m->shared) {
		base = LLVMBuildIntToPtr(g->b, g->window_base, g->ptr, "");
		off = LLVMBuildSub(g->b, off, cg_splat(g, g->window_base), "");
	}
	*ret_base = m->offset == m->from
			    ? base
			    : cg_mem_pointer(g, base, cg_i64(g, (uint64_t)(m->offset - m->from)));
	return off;
}

static V check_any(struct cg *g, const struct mem *m, const struct cg_val *a, int64_t step)
{
	V base;

	return cg_mem_checked(g, m, cg_mem_offsets(g, m, a, &base));
}

static bool access_any(struct cg *g, struct mem *m, const struct cg_val *a)
{
	LLVMBasicBlockRef next;
	V off, base;

	if (m->size < 4 && m->n > 1)
		return false;
	next = cg_mem_begin(g, m, shared_check(g, m, a, 0, check_any));
	off = cg_mem_offsets(g, m, a, &base);
	cg_mem_note(g, m, NULL, 0);
	scattered(g, m, base, off);
	cg_mem_end(g, m, next);
	return true;
}

/* Lane i's memory lies at local + i * local_stride. */
static bool access_local(struct cg *g, struct mem *m, const struct cg_val *a)
{
	V off = cg_vector(g, a), lane[CG_LANES], stride;
	LLVMBasicBlockRef next;

	if (m->size < 4 && m->n > 1)
		return false;
	m->local = true;
	m->local_bytes = CG_FIELD(g, local_bytes, i32);
	off = LLVMBuildAdd(g->b, off, cg_const_like(g, off, (uint64_t)m->offset), "");
	for (uint32_t i = 0; i < CG_LANES; i++)
		lane[i] = cg_i32(g, i);
	stride = cg_resize(g, CG_FIELD(g, local_stride, i64), 32, false);
	next = cg_mem_begin(g, m, cg_mem_checked(g, m, off));
	off = LLVMBuildAdd(
		g->b, cg_resize(g, off, 32, false),
		LLVMBuildMul(g->b, LLVMConstVector(lane, CG_LANES), cg_splat(g, stride), ""), "");
	scattered(g, m, CG_FIELD(g, local, ptr), off);
	cg_mem_end(g, m, next);
	return true;
}

/* The parameters of the kernel: decode.c has checked fixed places, and so has cg_memory(). */
static bool access_param(struct cg *g, const struct mem *m)
{
	const struct ir_operand *o = &m->in->opnd[m->in->nd];
	uint64_t at = o->imm + (uint64_t)m->offset;

	if (!m->load || o->kind != IR_OPND_IMM || at > g->unit->param_bytes ||
	    m->total > g->unit->param_bytes - at || at % m->total)
		return false;
	one_place(g, m, cg_mem_pointer(g, g->params, cg_i64(g, at)));
	return true;
}

static bool access(struct cg *g, struct mem *m)
{
	const struct ir_operand *o = &m->in->opnd[m->in->nd];
	bool small = o->kind == IR_OPND_REG && g->regs[o->reg].bits == 32;
	struct cg_val a;
	int64_t step;

	if (m->in->space == IR_SPACE_PARAM)
		return access_param(g, m);
	a = cg_read(g, o, 64);
	if (m->in->space == IR_SPACE_LOCAL || m->in->space == IR_SPACE_FRAME)
		return access_local(g, m, &a);
	if (a.s.kind == CG_UNI)
		return access_uniform(g, m, &a);
	if (small && !m->shared)
		return false;
	step = a.s.kind == CG_AFF ? a.s.stride : a.s.stride * a.s.scale;
	if ((a.s.kind == CG_AFF || (a.s.kind == CG_WIDE && !a.s.vector)) &&
	    (step == m->total || (step == 0 && m->load)))
		return access_lines(g, m, &a, step);
	return access_any(g, m, &a);
}

bool cg_memory(struct cg *g, const struct ir_inst *in)
{
	struct mem m = { .in = in,
			 .offset = in->offset,
			 .from = in->offset,
			 .load = in->op == IR_OP_LD,
			 .size = ir_type_bits(in->type) / 8,
			 .shared = in->space == IR_SPACE_SHARED,
			 .ordered = in->sem >= IR_SEM_VOLATILE };
	bool r;

	m.n = m.load ? in->nd : in->ns - 1u;
	m.total = m.n * m.size;
	if (m.size > 8 || m.n > 8 || (m.n & (m.n - 1)) || m.total > 64 || (m.ordered && m.n > 1))
		return false;
	if (m.ordered)
		cg_set_field(g, offsetof(struct llvm_ctx, polls), cg_i32(g, 1));
	if (!m.load && (in->sem == IR_SEM_RELEASE || in->sem == IR_SEM_SC))
		LLVMBuildFence(g->b, LLVMAtomicOrderingSequentiallyConsistent, false, "");
	r = g->aside || in->space == IR_SPACE_PARAM ? access(g, &m) : false;
	if (!r)
		cg_bridge(g, in);
	if (m.load && (in->sem == IR_SEM_ACQUIRE || in->sem == IR_SEM_SC))
		LLVMBuildFence(g->b, LLVMAtomicOrderingSequentiallyConsistent, false, "");
	return true;
}
