/* SPDX-License-Identifier: MIT */
/* lower_sync.c - what lanes and warps do together (ISA 9.7.9.6, 9.7.13), and the odd ones. */
#include "cuse_dev/backend/soft/ptx/lower.h"

void ptx_lower_shfl(struct ptx_lower *l, enum ir_op op)
{
	static const uint16_t words[] = { PTX_MOD_UP, PTX_MOD_DOWN, PTX_MOD_BFLY, PTX_MOD_IDX };
	bool sync = ptx_lo_mod(l, PTX_MOD_SYNC);
	struct ir_operand d[2], s[4];
	struct ir_inst *i;
	uint8_t sub, type;

	if (!ptx_lo_count(l, sync ? 5 : 4, sync ? 5 : 4))
		return;
	for (sub = 0; sub < 4; sub++)
		if (ptx_lo_mod(l, (enum ptx_mod)words[sub]))
			break;
	if (sub == 4) {
		ptx_lo_fail(l, "the mode is missing");
		return;
	}
	type = ptx_lo_type(l);
	s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U32);
	s[2] = ptx_lo_src(l, ptx_lo_opnd(l, 3), IR_U32);
	s[3] = sync ? ptx_lo_src(l, ptx_lo_opnd(l, 4), IR_U32) : ptx_lo_none();
	ptx_lo_dst_pair(l, ptx_lo_opnd(l, 0), type, IR_PRED, &d[0], &d[1]);
	i = ptx_lo_emit(l, IR_OP_SHFL, type, 2, d, 4, s);
	i->sub = sub;
	i->sync = sync;
}

void ptx_lower_vote(struct ptx_lower *l, enum ir_op op)
{
	static const uint16_t words[] = { PTX_MOD_ALL, PTX_MOD_ANY, PTX_MOD_UNI, PTX_MOD_BALLOT };
	bool sync = ptx_lo_mod(l, PTX_MOD_SYNC);
	struct ir_operand s[2], d;
	struct ir_inst *i;
	uint8_t sub;

	if (!ptx_lo_count(l, sync ? 3 : 2, sync ? 3 : 2))
		return;
	for (sub = 0; sub < 4; sub++)
		if (ptx_lo_mod(l, (enum ptx_mod)words[sub]))
			break;
	if (sub == 4) {
		ptx_lo_fail(l, "the mode is missing");
		return;
	}
	ptx_lo_type(l);
	s[0] = ptx_lo_pred(l, ptx_lo_opnd(l, 1));
	s[1] = sync ? ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U32) : ptx_lo_none();
	d = ptx_lo_dst(l, ptx_lo_opnd(l, 0), sub == IR_VOTE_BALLOT ? IR_U32 : IR_PRED);
	i = ptx_lo_emit1(l, IR_OP_VOTE, sub == IR_VOTE_BALLOT ? IR_U32 : IR_PRED, d, 2, s);
	i->sub = sub;
	i->sync = sync;
}

void ptx_lower_match(struct ptx_lower *l, enum ir_op op)
{
	bool all = ptx_lo_mod(l, PTX_MOD_ALL), any = ptx_lo_mod(l, PTX_MOD_ANY);
	struct ir_operand d[2], s[2];
	uint8_t type;

	ptx_lo_mod(l, PTX_MOD_SYNC);
	if (!ptx_lo_count(l, 3, 3))
		return;
	if (all == any) {
		ptx_lo_fail(l, ".any or .all is missing");
		return;
	}
	type = ptx_lo_type(l);
	s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U32);
	ptx_lo_dst_pair(l, ptx_lo_opnd(l, 0), IR_U32, IR_PRED, &d[0], &d[1]);
	if (all)
		ptx_lo_emit(l, IR_OP_MATCH_ALL, type, 2, d, 2, s)->sync = true;
	else
		ptx_lo_emit(l, IR_OP_MATCH_ANY, type, 1, d, 2, s)->sync = true;
}

void ptx_lower_redux(struct ptx_lower *l, enum ir_op op)
{
	static const uint16_t words[] = { PTX_MOD_ADD, PTX_MOD_MIN, PTX_MOD_MAX,
					  PTX_MOD_AND, PTX_MOD_OR,  PTX_MOD_XOR };
	struct ptx_lo_flags fl;
	struct ir_operand s[2];
	struct ir_inst *i;
	uint8_t sub, type;

	ptx_lo_mod(l, PTX_MOD_SYNC);
	if (!ptx_lo_count(l, 3, 3))
		return;
	for (sub = 0; sub < 6; sub++)
		if (ptx_lo_mod(l, (enum ptx_mod)words[sub]))
			break;
	if (sub == 6) {
		ptx_lo_fail(l, "the operation is missing");
		return;
	}
	ptx_lo_flags(l, &fl);
	type = ptx_lo_type(l);
	s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), type);
	s[1] = ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U32);
	i = ptx_lo_emit1(l, IR_OP_REDUX, type, ptx_lo_dst(l, ptx_lo_opnd(l, 0), type), 2, s);
	i->sub = sub;
	i->nan = fl.nan;
	i->sat = fl.abs; /* as ir_op.def has it */
	i->sync = true;
}

void ptx_lower_activemask(struct ptx_lower *l, enum ir_op op)
{
	if (!ptx_lo_count(l, 1, 1))
		return;
	ptx_lo_type(l);
	ptx_lo_emit1(l, IR_OP_ACTIVEMASK, IR_U32, ptx_lo_dst(l, ptx_lo_opnd(l, 0), IR_U32), 0,
		     NULL);
}

void ptx_lower_elect(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand d[2], s;

	ptx_lo_mod(l, PTX_MOD_SYNC);
	if (!ptx_lo_count(l, 2, 2))
		return;
	s = ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U32);
	ptx_lo_dst_pair(l, ptx_lo_opnd(l, 0), IR_U32, IR_PRED, &d[0], &d[1]);
	ptx_lo_emit(l, IR_OP_ELECT, IR_U32, 2, d, 1, &s)->sync = true;
}

/* ---- barriers -------------------------------------------------------------------------------- */

/* .red.popc.u32 d, a{, b}, {!}c   .red.and.pred p, a{, b}, {!}c */
static void bar_red(struct ptx_lower *l)
{
	struct ir_operand s[3], d;
	struct ir_inst *i;
	uint32_t n = l->in->nopnds;
	uint8_t sub;

	if (!ptx_lo_count(l, 3, 4))
		return;
	if (ptx_lo_mod(l, PTX_MOD_POPC)) {
		sub = IR_BAR_RED_POPC;
	} else if (ptx_lo_mod(l, PTX_MOD_AND)) {
		sub = IR_BAR_RED_AND;
	} else if (ptx_lo_mod(l, PTX_MOD_OR)) {
		sub = IR_BAR_RED_OR;
	} else {
		ptx_lo_fail(l, "the operation is missing");
		return;
	}
	ptx_lo_type(l);
	s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U32);
	s[1] = n == 4 ? ptx_lo_src(l, ptx_lo_opnd(l, 2), IR_U32) : ptx_lo_none();
	s[2] = ptx_lo_pred(l, ptx_lo_opnd(l, n - 1));
	d = ptx_lo_dst(l, ptx_lo_opnd(l, 0), sub == IR_BAR_RED_POPC ? IR_U32 : IR_PRED);
	i = ptx_lo_emit1(l, IR_OP_BAR, IR_U32, d, 3, s);
	i->sub = sub;
}

/* bar and barrier; .warp and .cluster forms too */
void ptx_lower_bar(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand s[2];
	struct ir_inst *i;
	uint8_t scope = IR_SCOPE_CTA;
	bool arrive;

	ptx_lo_mod(l, PTX_MOD_ALIGNED);
	ptx_lo_kind(l, PTX_KIND_SCOPE, &scope);
	if (scope == IR_SCOPE_CLUSTER) {
		ptx_lo_cluster_barrier(l);
		return;
	}
	if (ptx_lo_mod(l, PTX_MOD_WARP)) {
		ptx_lo_mod(l, PTX_MOD_SYNC);
		if (!ptx_lo_count(l, 1, 1))
			return;
		s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 0), IR_U32);
		ptx_lo_emit(l, IR_OP_WARP_SYNC, IR_U32, 0, NULL, 1, s)->sync = true;
		return;
	}
	l->un->u->uses_barrier = true;
	if (ptx_lo_mod(l, PTX_MOD_RED)) {
		bar_red(l);
		return;
	}
	arrive = ptx_lo_mod(l, PTX_MOD_ARRIVE);
	if (!arrive && !ptx_lo_mod(l, PTX_MOD_SYNC)) {
		ptx_lo_fail(l, ".sync, .arrive or .red is missing");
		return;
	}
	if (!ptx_lo_count(l, arrive ? 2 : 1, 2))
		return;
	s[0] = ptx_lo_src(l, ptx_lo_opnd(l, 0), IR_U32);
	s[1] = l->in->nopnds == 2 ? ptx_lo_src(l, ptx_lo_opnd(l, 1), IR_U32) : ptx_lo_none();
	i = ptx_lo_emit(l, IR_OP_BAR, IR_U32, 0, NULL, 2, s);
	i->sub = arrive ? IR_BAR_ARRIVE : IR_BAR_SYNC;
}

/* ---- the rest -------------------------------------------------------------------------------- */

void ptx_lower_nanosleep(struct ptx_lower *l, enum ir_op op)
{
	struct ir_operand s;

	if (!ptx_lo_count(l, 1, 1))
		return;
	ptx_lo_type(l);
	s = ptx_lo_src(l, ptx_lo_opnd(l, 0), IR_U32);
	ptx_lo_emit(l, IR_OP_NANOSLEEP, IR_U32, 0, NULL, 1, &s);
}

/* trap, brkpt */
void ptx_lower_plain0(struct ptx_lower *l, enum ir_op op)
{
	if (ptx_lo_count(l, 0, 0))
		ptx_lo_emit(l, op, IR_NONE, 0, NULL, 0, NULL);
}

void ptx_lower_unsupported(struct ptx_lower *l, enum ir_op op)
{
	ptx_lo_refuse(l);
}
