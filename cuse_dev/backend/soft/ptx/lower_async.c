/* SPDX-License-Identifier: MIT */
/*
 * lower_async.c - asynchronous copies, mbarrier, clusters (ISA 9.7.9.25, 9.7.13.15, 9.7.13.16).
 *
 * Copies are executed where they stand, which the manual allows: nobody may look at the destination,
 * nor write the source, before the copy is known to be complete. So groups of copies need no
 * instructions, and an mbarrier is told of a copy's bytes by the copy itself. Tensor copies stand
 * in lower_tma.c.
 */
#include "cuse_dev/backend/soft/ptx/lower.h"

bool ptx_lo_place(struct ptx_lower *l, const struct ptx_opnd *o, bool has_space, uint8_t space,
		  struct ir_operand ret[2])
{
	struct ptx_lo_addr at;

	if (!ptx_lo_address(l, o, has_space, space, &at))
		return false;
	if (at.space == IR_SPACE_LOCAL || at.space == IR_SPACE_FRAME) {
		ptx_lo_fail(l, "local memory cannot take part");
		return false;
	}
	if (at.offset != (int32_t)at.offset) {
		ptx_lo_fail(l, "offset too large");
		return false;
	}
	ret[0] = at.base;
	ret[1] = ptx_lo_imm(IR_AT(at.space, at.offset));
	return true;
}

/* An address whose space a modifier names; none: generic. */
static bool place_here(struct ptx_lower *l, const struct ptx_opnd *o, struct ir_operand ret[2])
{
	uint8_t space = IR_SPACE_GENERIC;
	bool has = ptx_lo_kind(l, PTX_KIND_SPACE, &space);

	return ptx_lo_place(l, o, has, space, ret);
}

static bool place_shared(struct ptx_lower *l, const struct ptx_opnd *o, struct ir_operand ret[2])
{
	return ptx_lo_place(l, o, true, IR_SPACE_SHARED, ret);
}

void ptx_lo_policy(struct ptx_lower *l, uint32_t opnd)
{
	if (opnd < l->in->nopnds)
		ptx_lo_src(l, ptx_lo_opnd(l, opnd), IR_U64);
}

bool ptx_lo_cache_hint(struct ptx_lower *l)
{
	bool hint = ptx_lo_mod(l, PTX_MOD_L2_CACHE_HINT);

	ptx_lo_ignore(l, PTX_KIND_CACHE);
	return hint;
}

static bool is_pred(struct ptx_lower *l, const struct ptx_opnd *o)
{
	return o->kind == PTX_O_REG && ptx_lo_reg_type(l, ptx_lo_reg(l, o->reg)) == IR_PRED;
}

/* ---- cp.async -------------------------------------------------------------------------------- */

/* [dst], [src], bytes {, source bytes | ignore} {, policy} */
static void cp_async(struct ptx_lower *l)
{
	bool cg = ptx_lo_mod(l, PTX_MOD_CG), ca = ptx_lo_mod(l, PTX_MOD_CA),
	     hint = ptx_lo_cache_hint(l);
	uint8_t to = 0, from = 0;
	struct ir_operand s[7];
	uint32_t n = l->in->nopnds;
	uint64_t size;

	if (ca == cg) {
		ptx_lo_fail(l, ".ca or .cg is missing");
		return;
	}
	if (!ptx_lo_count(l, 3, hint ? 5 : 4))
		return;
	if (!ptx_lo_kind(l, PTX_KIND_SPACE, &to) || !ptx_lo_kind(l, PTX_KIND_SPACE, &from) ||
	    to != IR_SPACE_SHARED || from != IR_SPACE_GLOBAL) {
		ptx_lo_fail(l, ".shared.global is expected");
		return;
	}
	size = ptx_lo_opnd(l, 2)->bits;
	if (ptx_lo_opnd(l, 2)->kind != PTX_O_INT ||
	    !(size == 16 || (ca && (size == 4 || size == 8)))) {
		ptx_lo_fail(l, "the size must be %s", ca ? "4, 8 or 16" : "16");
		return;
	}
	if (!ptx_lo_place(l, ptx_lo_opnd(l, 0), true, to, s) ||
	    !ptx_lo_place(l, ptx_lo_opnd(l, 1), true, from, s + 2))
		return;
	s[4] = ptx_lo_imm(size);
	s[5] = s[6] = ptx_lo_none();
	if (hint)
		ptx_lo_policy(l, --n);
	if (n == 4 && is_pred(l, ptx_lo_opnd(l, 3)))
		s[6] = ptx_lo_pred(l, ptx_lo_opnd(l, 3));
	else if (n == 4)
		s[5] = ptx_lo_src(l, ptx_lo_opnd(l, 3), IR_U32);
	ptx_lo_emit(l, IR_OP_CP_ASYNC, IR_NONE, 0, NULL, 7, s);
}

/*
 * The barrier is told when the copies before are done, and they are. Without .noinc it first expects
 * one arrival more, so nothing changes.
 */
static void cp_async_arrive(struct ptx_lower *l)
{
	bool noinc = ptx_lo_mod(l, PTX_MOD_NOINC);
	struct ir_operand s[4], none = ptx_lo_none();

	if (!ptx_lo_mod(l, PTX_MOD_ARRIVE)) {
		ptx_lo_fail(l, ".arrive is missing");
		return;
	}
	if (!ptx_lo_count(l, 1, 1) || !place_here(l, ptx_lo_opnd(l, 0), s))
		return;
	ptx_lo_type(l);
	s[2] = ptx_lo_imm(noinc);
	s[3] = ptx_lo_imm(0);
	ptx_lo_emit1(l, IR_OP_MBAR, IR_U64, none, 4, s)->sub = IR_MBAR_ARRIVE;
}

/* commit_group, wait_group N, wait_all */
static bool groups(struct ptx_lower *l)
{
	if (ptx_lo_mod(l, PTX_MOD_COMMIT_GROUP) || ptx_lo_mod(l, PTX_MOD_WAIT_ALL)) {
		ptx_lo_count(l, 0, 0);
		return true;
	}
	if (!ptx_lo_mod(l, PTX_MOD_WAIT_GROUP))
		return false;
	ptx_lo_mod(l, PTX_MOD_READ);
	if (ptx_lo_count(l, 1, 1) && ptx_lo_opnd(l, 0)->kind != PTX_O_INT)
		ptx_lo_fail(l, "the number of groups must be a constant");
	return true;
}

/* ---- bulk copies ----------------------------------------------------------------------------- */

/* How the end of a copy is told. An error unless it is said as the destination wants it. */
static bool completion(struct ptx_lower *l, bool to_shared, bool *ret_mbar)
{
	bool mbar = ptx_lo_mod(l, PTX_MOD_MBARRIER_BYTES),
	     group = ptx_lo_mod(l, PTX_MOD_BULK_GROUP);

	*ret_mbar = mbar;
	if (mbar == group || mbar != to_shared) {
		ptx_lo_fail(l, "%s is expected",
			    to_shared ? ".mbarrier::complete_tx::bytes" : ".bulk_group");
		return false;
	}
	return true;
}

/*
 * [dst], [src], bytes, [mbar] {, block mask} {, policy}    to shared memory
 * [dst], [src], bytes {, policy} {, byte mask}             to global memory
 */
static void bulk(struct ptx_lower *l, bool reduce, uint8_t sub, uint8_t type)
{
	bool multicast = ptx_lo_mod(l, PTX_MOD_MULTICAST), mask = ptx_lo_mod(l, PTX_MOD_CP_MASK),
	     hint = ptx_lo_cache_hint(l), mbar;
	uint8_t to = 0, from = 0;
	struct ir_operand s[9];
	uint32_t n = 3;

	if (!ptx_lo_kind(l, PTX_KIND_SPACE, &to) || !ptx_lo_kind(l, PTX_KIND_SPACE, &from) ||
	    (to == IR_SPACE_SHARED) + (from == IR_SPACE_SHARED) == 0) {
		ptx_lo_fail(l, "two state spaces are expected, one of them shared");
		return;
	}
	if (!completion(l, to == IR_SPACE_SHARED, &mbar) ||
	    !ptx_lo_count(l, 3u + mbar + multicast + mask + hint,
			  3u + mbar + multicast + mask + hint) ||
	    !ptx_lo_place(l, ptx_lo_opnd(l, 0), true, to, s) ||
	    !ptx_lo_place(l, ptx_lo_opnd(l, 1), true, from, s + 2))
		return;
	s[4] = ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U32);
	s[5] = s[6] = s[7] = s[8] = ptx_lo_none();
	if (mbar && !place_shared(l, ptx_lo_opnd(l, n++), s + 5))
		return;
	if (multicast)
		s[7] = ptx_lo_src(l, ptx_lo_opnd(l, n++), IR_U16);
	if (hint)
		ptx_lo_policy(l, n++);
	if (mask)
		s[8] = ptx_lo_src(l, ptx_lo_opnd(l, n++), IR_U16);
	if (reduce)
		ptx_lo_emit(l, IR_OP_RED_BULK, type, 0, NULL, 7, s)->sub = sub;
	else
		ptx_lo_emit(l, IR_OP_CP_BULK, IR_NONE, 0, NULL, 9, s);
}

bool ptx_lo_reduction(struct ptx_lower *l, uint8_t *ret_sub)
{
	static const struct {
		uint16_t word;
		uint8_t sub;
	} words[] = { { PTX_MOD_ADD, IR_ATOM_ADD }, { PTX_MOD_MIN, IR_ATOM_MIN },
		      { PTX_MOD_MAX, IR_ATOM_MAX }, { PTX_MOD_INC, IR_ATOM_INC },
		      { PTX_MOD_DEC, IR_ATOM_DEC }, { PTX_MOD_AND, IR_ATOM_AND },
		      { PTX_MOD_OR, IR_ATOM_OR },   { PTX_MOD_XOR, IR_ATOM_XOR } };

	for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!ptx_lo_mod(l, (enum ptx_mod)words[i].word))
			continue;
		*ret_sub = words[i].sub;
		return true;
	}
	ptx_lo_fail(l, "the operation is missing");
	return false;
}

/* Which operation goes with which type: what the manual lists for cp.reduce.async.bulk. */
static bool reduces(uint8_t sub, uint8_t type)
{
	uint32_t bits = ptx_lo_bits(type);

	switch (sub) {
	case IR_ATOM_ADD:
		return bits >= 32 || type == IR_F16 || type == IR_BF16;
	case IR_ATOM_MIN:
	case IR_ATOM_MAX:
		return ptx_lo_is_float(type) ? bits == 16 : bits >= 32;
	case IR_ATOM_INC:
	case IR_ATOM_DEC:
		return type == IR_U32;
	default:
		return !ptx_lo_is_float(type) && bits >= 32;
	}
}

static void reduce_bulk(struct ptx_lower *l)
{
	uint8_t sub, type;

	if (!ptx_lo_reduction(l, &sub))
		return;
	type = ptx_lo_type(l);
	if (!reduces(sub, type)) {
		ptx_lo_fail(l, "no such operation for this type");
		return;
	}
	bulk(l, true, sub, type);
}

static void prefetch_bulk(struct ptx_lower *l)
{
	bool hint = ptx_lo_cache_hint(l);
	struct ir_operand s[2];
	uint8_t from = 0;

	if (!ptx_lo_kind(l, PTX_KIND_SPACE, &from) || from != IR_SPACE_GLOBAL) {
		ptx_lo_fail(l, ".global is expected");
		return;
	}
	if (!ptx_lo_count(l, 2u + hint, 2u + hint) ||
	    !ptx_lo_place(l, ptx_lo_opnd(l, 0), true, from, s))
		return;
	ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U32);
	if (hint)
		ptx_lo_policy(l, 2);
}

/* cp.async ..., cp.reduce.async.bulk ... */
void ptx_lower_cp(struct ptx_lower *l, enum ir_op op)
{
	bool reduce = ptx_lo_mod(l, PTX_MOD_REDUCE), bulky;

	if (!ptx_lo_mod(l, PTX_MOD_ASYNC)) {
		ptx_lo_fail(l, ".async is missing");
		return;
	}
	bulky = ptx_lo_mod(l, PTX_MOD_BULK);
	if (reduce && !bulky)
		ptx_lo_fail(l, ".bulk is missing");
	else if (bulky && ptx_lo_mod(l, PTX_MOD_IGNORE_OOB))
		ptx_lo_refuse(l);
	else if (bulky && ptx_lo_mod(l, PTX_MOD_TENSOR))
		ptx_lo_tensor_copy(l, reduce);
	else if (reduce)
		reduce_bulk(l);
	else if (groups(l))
		;
	else if (bulky && ptx_lo_mod(l, PTX_MOD_PREFETCH))
		prefetch_bulk(l);
	else if (bulky)
		bulk(l, false, 0, 0);
	else if (ptx_lo_mod(l, PTX_MOD_MBARRIER))
		cp_async_arrive(l);
	else
		cp_async(l);
}

/* ---- mbarrier -------------------------------------------------------------------------------- */

void ptx_lo_complete_tx(struct ptx_lower *l, const struct ptx_opnd *mbar, uint32_t bytes)
{
	struct ir_operand s[3];

	if (!place_shared(l, mbar, s))
		return;
	s[2] = ptx_lo_imm(bytes);
	ptx_lo_emit(l, IR_OP_MBAR, IR_U64, 0, NULL, 3, s)->sub = IR_MBAR_COMPLETE_TX;
}

/* state|_, [addr] {, count}    .expect_tx: state|_, [addr], bytes */
static void mbar_arrive(struct ptx_lower *l, uint8_t sub)
{
	bool tx = ptx_lo_mod(l, PTX_MOD_EXPECT_TX);
	struct ir_operand s[4];

	ptx_lo_mod(l, PTX_MOD_NOCOMPLETE);
	if (!ptx_lo_count(l, tx ? 3 : 2, 3) || !place_here(l, ptx_lo_opnd(l, 1), s))
		return;
	s[2] = ptx_lo_imm(1);
	s[3] = ptx_lo_imm(0);
	if (l->in->nopnds == 3)
		s[tx ? 3 : 2] = ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U32);
	ptx_lo_emit1(l, IR_OP_MBAR, IR_U64, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_U64), 4, s)->sub =
		sub;
}

/* done, [addr], state|parity {, time} */
static void mbar_wait(struct ptx_lower *l, bool try)
{
	bool parity = ptx_lo_mod(l, PTX_MOD_PARITY);
	struct ir_operand s[3];

	if (!ptx_lo_count(l, 3, try ? 4 : 3) || !place_here(l, ptx_lo_opnd(l, 1), s))
		return;
	s[2] = ptx_lo_src(l, ptx_lo_opnd(l, 2), parity ? IR_U32 : IR_U64);
	if (l->in->nopnds == 4)
		ptx_lo_src(l, ptx_lo_opnd(l, 3), IR_U32);
	ptx_lo_emit1(l, IR_OP_MBAR, IR_U64, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_PRED), 3, s)->sub =
		parity ? (try ? IR_MBAR_TRY_PARITY : IR_MBAR_TEST_PARITY)
		       : (try ? IR_MBAR_TRY : IR_MBAR_TEST);
}

/* init [addr], count    inval [addr]    expect_tx, complete_tx [addr], bytes */
static void mbar_set(struct ptx_lower *l, uint8_t sub)
{
	uint32_t n = sub == IR_MBAR_INVAL ? 1 : 2;
	struct ir_operand s[3];

	if (!ptx_lo_count(l, n, n) || !place_here(l, ptx_lo_opnd(l, 0), s))
		return;
	if (n == 2)
		s[2] = ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U32);
	ptx_lo_emit(l, IR_OP_MBAR, IR_U64, 0, NULL, 1 + n, s)->sub = sub;
}

static void mbar_pending(struct ptx_lower *l)
{
	struct ir_operand s;

	if (!ptx_lo_count(l, 2, 2))
		return;
	s = ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U64);
	ptx_lo_emit1(l, IR_OP_MBAR, IR_U64, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_U32), 1, &s)->sub =
		IR_MBAR_PENDING;
}

/*
 * The order that .release, .acquire and .relaxed ask for is there in any case: who can reach the same
 * barrier runs on the same CPU thread.
 */
void ptx_lower_mbarrier(struct ptx_lower *l, enum ir_op op)
{
	uint8_t v = IR_U64;

	ptx_lo_kind(l, PTX_KIND_SEM, &v);
	ptx_lo_kind(l, PTX_KIND_SCOPE, &v);
	v = IR_U64;
	ptx_lo_kind(l, PTX_KIND_TYPE, &v);
	if (v != IR_U64)
		ptx_lo_fail(l, "the type must be .b64");
	else if (ptx_lo_mod(l, PTX_MOD_ARRIVE))
		mbar_arrive(l, IR_MBAR_ARRIVE);
	else if (ptx_lo_mod(l, PTX_MOD_ARRIVE_DROP))
		mbar_arrive(l, IR_MBAR_ARRIVE_DROP);
	else if (ptx_lo_mod(l, PTX_MOD_TEST_WAIT))
		mbar_wait(l, false);
	else if (ptx_lo_mod(l, PTX_MOD_TRY_WAIT))
		mbar_wait(l, true);
	else if (ptx_lo_mod(l, PTX_MOD_INIT))
		mbar_set(l, IR_MBAR_INIT);
	else if (ptx_lo_mod(l, PTX_MOD_INVAL))
		mbar_set(l, IR_MBAR_INVAL);
	else if (ptx_lo_mod(l, PTX_MOD_EXPECT_TX))
		mbar_set(l, IR_MBAR_EXPECT_TX);
	else if (ptx_lo_mod(l, PTX_MOD_COMPLETE_TX))
		mbar_set(l, IR_MBAR_COMPLETE_TX);
	else if (ptx_lo_mod(l, PTX_MOD_PENDING_COUNT))
		mbar_pending(l);
	else
		ptx_lo_fail(l, "no such operation");
}

/* st.bulk.weak.shared::cta [addr], bytes, 0 */
void ptx_lo_st_bulk(struct ptx_lower *l)
{
	struct ir_operand s[3], zero;
	uint8_t sem;

	ptx_lo_kind(l, PTX_KIND_SEM, &sem);
	if (!ptx_lo_count(l, 3, 3) || !place_here(l, ptx_lo_opnd(l, 0), s))
		return;
	s[2] = ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U64);
	zero = ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U64);
	if (zero.kind != IR_OPND_IMM || zero.imm)
		ptx_lo_fail(l, "the value must be 0");
	else
		ptx_lo_emit(l, IR_OP_FILL_BULK, IR_NONE, 0, NULL, 3, s);
}

/* ---- clusters -------------------------------------------------------------------------------- */

/* mapa{.shared::cluster}.type d, a, block */
void ptx_lower_mapa(struct ptx_lower *l, enum ir_op op)
{
	uint8_t space = IR_SPACE_GENERIC, type;
	struct ir_operand s[2];

	ptx_lo_kind(l, PTX_KIND_SPACE, &space);
	type = ptx_lo_type(l);
	if (!ptx_lo_count(l, 3, 3))
		return;
	if (type != IR_U32 && type != IR_U64) {
		ptx_lo_fail(l, "the type must be .u32 or .u64");
		return;
	}
	s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U32);
	ptx_lo_emit1(l, IR_OP_MAPA, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), type), 2, s)->space =
		space;
}

/* getctarank{.shared::cluster}.type d, a */
void ptx_lower_getctarank(struct ptx_lower *l, enum ir_op op)
{
	uint8_t space = IR_SPACE_GENERIC, type;
	struct ir_operand s;

	ptx_lo_kind(l, PTX_KIND_SPACE, &space);
	type = ptx_lo_type(l);
	if (!ptx_lo_count(l, 2, 2))
		return;
	s = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	ptx_lo_emit1(l, IR_OP_CTARANK, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_U32), 1, &s)
		->space = space;
}

void ptx_lo_cluster_barrier(struct ptx_lower *l)
{
	bool arrive = ptx_lo_mod(l, PTX_MOD_ARRIVE), wait = ptx_lo_mod(l, PTX_MOD_WAIT);
	uint8_t sem;

	ptx_lo_kind(l, PTX_KIND_SEM, &sem);
	if (arrive == wait)
		ptx_lo_fail(l, ".arrive or .wait is expected");
	else if (ptx_lo_count(l, 0, 0))
		ptx_lo_emit(l, arrive ? IR_OP_CLUSTER_ARRIVE : IR_OP_CLUSTER_WAIT, IR_NONE, 0, NULL,
			    0, NULL);
	l->un->u->uses_barrier = true;
}

/*
 * The answer to try_cancel, 16 bytes of our own: first block's x, y, z, and 1 where a cluster was taken,
 * else 0.
 */
static void query_cancel(struct ptx_lower *l)
{
	struct ir_operand part[4], d, one = ptx_lo_imm(1), s[3], mask;
	const struct ptx_opnd *to;
	struct ir_inst *i;
	uint32_t n;

	if (!ptx_lo_count(l, 2, 2))
		return;
	s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U128);
	for (uint32_t k = 0; k < 4; k++)
		part[k] = ptx_lo_temp(l, IR_U32);
	ptx_lo_emit(l, IR_OP_UNPACK, IR_U128, 4, part, 1, s);
	if (ptx_lo_mod(l, PTX_MOD_IS_CANCELED)) {
		ptx_lo_type(l); /* .pred */
		ptx_lo_type(l); /* .b128 */
		d = ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_PRED);
		mask = ptx_lo_none();
		s[0] = part[3];
		s[1] = one;
		s[2] = mask;
		i = ptx_lo_emit(l, IR_OP_SETP, IR_U32, 2, (struct ir_operand[2]){ d, mask }, 3, s);
		i->cmp = IR_EQ;
		return;
	}
	for (n = 0; n < 3; n++) {
		if (!ptx_lo_mod(l, (enum ptx_mod)(PTX_MOD_FIRST_CTAID_X + n)))
			continue;
		ptx_lo_type(l);
		ptx_lo_type(l);
		ptx_lo_emit1(l, IR_OP_MOV, IR_U32, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_U32), 1,
			     &part[n]);
		return;
	}
	if (!ptx_lo_mod(l, PTX_MOD_FIRST_CTAID)) {
		ptx_lo_fail(l, "no such query");
		return;
	}
	ptx_lo_mod(l, PTX_MOD_V4);
	ptx_lo_type(l);
	ptx_lo_type(l);
	if (ptx_lo_list(ptx_lo_opnd(l, 0), &to) != 4) {
		ptx_lo_fail(l, "a vector of 4 is expected");
		return;
	}
	for (n = 0; n < 3; n++)
		ptx_lo_emit1(l, IR_OP_MOV, IR_U32, ptx_lo_dst(l, &to[n], IR_U32), 1, &part[n]);
}

/* try_cancel.async{.shared::cta}.mbarrier::complete_tx::bytes{.multicast::cluster::all}.b128 [addr], [mbar] */
void ptx_lower_clusterlaunchcontrol(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand s[4];
	bool all;

	if (ptx_lo_mod(l, PTX_MOD_QUERY_CANCEL)) {
		query_cancel(l);
		return;
	}
	if (!ptx_lo_mod(l, PTX_MOD_TRY_CANCEL) || !ptx_lo_mod(l, PTX_MOD_ASYNC) ||
	    !ptx_lo_mod(l, PTX_MOD_MBARRIER_BYTES)) {
		ptx_lo_fail(l, "no such operation");
		return;
	}
	all = ptx_lo_mod(l, PTX_MOD_MULTICAST_ALL);
	if (ptx_lo_type(l) != IR_U128)
		ptx_lo_fail(l, "the type must be .b128");
	if (!ptx_lo_count(l, 2, 2) || !place_here(l, ptx_lo_opnd(l, 0), s) ||
	    !place_shared(l, ptx_lo_opnd(l, 1), s + 2))
		return;
	ptx_lo_emit(l, IR_OP_TRY_CANCEL, IR_NONE, 0, NULL, 4, s)->sub = all;
}
