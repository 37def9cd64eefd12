/* SPDX-License-Identifier: MIT */
/*
 * lower.h - from PTX instructions to IR: what the lower_<family>.c files share.
 *
 * Each ptx_lower_<family>() takes the modifiers it understands (ptx_lo_mod() and friends); what it
 * leaves is an error, so that no modifier is ever ignored by mistake. Errors stick in err; helpers
 * then return harmless values and the driver stops after the instruction.
 */
#ifndef SOFT_PTX_LOWER_H
#define SOFT_PTX_LOWER_H

#include "cuse_dev/backend/soft/ptx/ptx.h"

/* An IMM operand with this in .reg is relative to the start of dynamic shared memory. */
#define PTX_LO_DYNAMIC 0x44594e41u

/** A place in the unit that wants the start of dynamic shared memory added. */
struct ptx_lo_fixup {
	uint64_t *imm;
	struct ptx_lo_fixup *next;
};

struct ptx_lo_indirect {
	const struct ptx_proto *proto;
	struct ptx_lo_indirect *next;
};

/** What the functions of one unit share while it is made. */
struct ptx_lo_unit {
	struct ptx_module *m;
	const struct ptx_place *place;
	struct base_arena *arena, *scratch;
	struct ir_unit *u;
	struct ptx_unit_info info;
	struct ptx_error refusal; /* first instruction that is not executed yet */
	struct ptx_error *err;
	struct ptx_func **funcs; /* parallel to u->funcs */
	size_t nfuncs, funcs_cap;
	uint32_t *func_slot; /* by ptx_func.index: number in the unit + 1 */
	uint64_t *shared_at; /* by ptx_var.index: offset + 1 */
	uint8_t *const_seen; /* by ptx_var.index */
	uint32_t shared_bytes, dynamic_align, frame_align;
	uint32_t reserved_at, reserved_bytes; /* in shared memory; at + 1, 0 none */
	struct ptx_lo_fixup *fixups;
	struct ptx_lo_indirect *indirect;
	bool guessing;	      /* functions now added are only candidates of indirect calls */
	uint32_t (*edges)[2]; /* caller, callee */
	size_t nedges, edges_cap;
};

/** A block before it has its place; targets: >= 0 a block, < 0 ~(number of a PTX instruction). */
struct ptx_lo_block {
	uint32_t first, count;
	uint8_t term;
	bool pred_not, uniform;
	uint32_t pred;
	int64_t target[2];
	int64_t *targets; /* SWITCH */
	uint32_t ntargets;
	uint32_t line;
	const char *label;
};

struct ptx_lower {
	struct ptx_lo_unit *un;
	struct ptx_module *m;
	struct base_arena *arena;
	struct ptx_error *err;
	const struct ptx_func *fn;
	struct ptx_body *b;
	struct ir_func *f;
	uint32_t *reg_map; /* body register -> IR register + 1 */
	size_t regs_cap;
	uint32_t cc; /* IR register of CC.CF + 1 */

	struct ir_inst *insts;
	size_t ninsts, insts_cap;
	struct ptx_lo_block *blocks;
	size_t nblocks, blocks_cap;
	uint32_t *block_at; /* by PTX instruction: block + 1 */

	const struct ptx_inst *in;
	uint32_t used; /* bit per modifier */
	int32_t guard;
	bool guard_not;
};

struct ptx_lo_flags {
	uint8_t round;
	bool has_round, ftz, sat, relu, nan, xorsign, abs;
};

typedef void ptx_lower_fn(struct ptx_lower *l, enum ir_op op);

#define PTX_OP(NAME, text, lower, ir) ptx_lower_fn ptx_lower_##lower;
#include "ptx_op.def"
#undef PTX_OP

/* ---- lower_util.c ---------------------------------------------------------------------------- */

void ptx_lo_fail(struct ptx_lower *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** ptx_lo_refuse() - known, but not executed yet: an UNSUPPORTED in its place. */
void ptx_lo_refuse(struct ptx_lower *l);

bool ptx_lo_mod(struct ptx_lower *l, enum ptx_mod m);
/** ptx_lo_kind() - take the first untaken modifier of a kind; false if there is none. */
bool ptx_lo_kind(struct ptx_lower *l, enum ptx_mod_kind k, uint8_t *ret_value);
/** ptx_lo_type() - take the next type; an error when there is none. */
uint8_t ptx_lo_type(struct ptx_lower *l);
void ptx_lo_ignore(struct ptx_lower *l, enum ptx_mod_kind k);
void ptx_lo_flags(struct ptx_lower *l, struct ptx_lo_flags *fl);
void ptx_lo_apply(struct ir_inst *i, const struct ptx_lo_flags *fl);
bool ptx_lo_count(struct ptx_lower *l, uint32_t least, uint32_t most);

bool ptx_lo_is_float(uint8_t type);
bool ptx_lo_is_signed(uint8_t type);
uint32_t ptx_lo_bits(uint8_t type);
uint8_t ptx_lo_storage(uint8_t type);

struct ir_operand ptx_lo_none(void);
struct ir_operand ptx_lo_imm(uint64_t v);
struct ir_operand ptx_lo_temp(struct ptx_lower *l, uint8_t type);
struct ir_operand ptx_lo_reg(struct ptx_lower *l, uint32_t body_reg);
uint8_t ptx_lo_reg_type(const struct ptx_lower *l, struct ir_operand o);
/** ptx_lo_src() - operand @o as a value of @type; registers must have its width. */
struct ir_operand ptx_lo_src(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type);
/** ptx_lo_src_wide() - the same, but a register may be wider (ld, st, cvt). */
struct ir_operand ptx_lo_src_wide(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type);
struct ir_operand ptx_lo_pred(struct ptx_lower *l, const struct ptx_opnd *o);
struct ir_operand ptx_lo_dst(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type);
struct ir_operand ptx_lo_dst_wide(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type);
/** ptx_lo_dst_pair() - "d|p" or "d"; p is NONE if absent. */
void ptx_lo_dst_pair(struct ptx_lower *l, const struct ptx_opnd *o, uint8_t type, uint8_t type2,
		     struct ir_operand *ret_d, struct ir_operand *ret_p);
/** ptx_lo_list() - a vector's parts, or the operand itself as the only one. */
uint32_t ptx_lo_list(const struct ptx_opnd *o, const struct ptx_opnd **ret_parts);
const struct ptx_opnd *ptx_lo_opnd(struct ptx_lower *l, uint32_t i);

struct ir_inst *ptx_lo_emit(struct ptx_lower *l, enum ir_op op, uint8_t type, uint32_t nd,
			    const struct ir_operand *d, uint32_t ns, const struct ir_operand *s);
struct ir_inst *ptx_lo_emit1(struct ptx_lower *l, enum ir_op op, uint8_t type, struct ir_operand d,
			     uint32_t ns, const struct ir_operand *s);

/** An address for LD, ST, ATOM. */
struct ptx_lo_addr {
	uint8_t space;
	struct ir_operand base;
	int64_t offset;
};

bool ptx_lo_address(struct ptx_lower *l, const struct ptx_opnd *mem, bool has_space, uint8_t space,
		    struct ptx_lo_addr *ret);
/** ptx_lo_var() - where a variable lies: its space and address; FRAME for what is in the frame. */
bool ptx_lo_var(struct ptx_lower *l, struct ptx_var *v, const struct ptx_opnd *at,
		uint8_t *ret_space, struct ir_operand *ret_imm);

/* ---- lower_async.c, lower_tma.c -------------------------------------------------------------- */

/** ptx_lo_place() - an address of an asynchronous operation: two sources, see IR_AT(). */
bool ptx_lo_place(struct ptx_lower *l, const struct ptx_opnd *o, bool has_space, uint8_t space,
		  struct ir_operand ret[2]);
/** ptx_lo_policy() - check an operand that is a cache policy, if it is there. */
void ptx_lo_policy(struct ptx_lower *l, uint32_t opnd);
/** ptx_lo_cache_hint() - take all cache modifiers; true: a policy stands among the operands. */
bool ptx_lo_cache_hint(struct ptx_lower *l);
bool ptx_lo_reduction(struct ptx_lower *l, uint8_t *ret_sub);
/** ptx_lo_complete_tx() - tell @mbar that @bytes have come. */
void ptx_lo_complete_tx(struct ptx_lower *l, const struct ptx_opnd *mbar, uint32_t bytes);
void ptx_lo_st_bulk(struct ptx_lower *l);
void ptx_lo_cluster_barrier(struct ptx_lower *l);
void ptx_lo_tensor_copy(struct ptx_lower *l, bool reduce);

/* ---- lower.c --------------------------------------------------------------------------------- */

void ptx_lo_block_begin(struct ptx_lower *l);
struct ptx_lo_block *ptx_lo_block_now(struct ptx_lower *l);
bool ptx_lo_function(struct ptx_lo_unit *un, struct ptx_func *fn, struct ir_func **ret_func);
/** ptx_lo_reach() - number in the unit of a function that is called, queued if new. */
bool ptx_lo_reach(struct ptx_lo_unit *un, struct ptx_func *fn, uint32_t *ret_index);
uint32_t ptx_lo_frame(struct ptx_lower *l, uint32_t bytes);

/* order.c */

/** ptx_lo_order() - places blocks of @l; fills f->blocks. Unreachable ones are left out. */
bool ptx_lo_order(struct ptx_lower *l);

#endif
