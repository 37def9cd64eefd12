/* SPDX-License-Identifier: MIT */
/*
 * cg.h - the compiler's own structures: blocks, shapes of values, and what the emitters share.
 *
 * The way of a unit: cg_flow.c splits blocks where lanes may wait, cg_shape.c says what is the same
 * for all lanes, cg_frontier.c where lanes can wait while a block runs, cg_func.c emits the
 * function, cg_*.c its instructions, cg_target.c makes the object.
 */
#ifndef SOFT_LLVM_CG_H
#define SOFT_LLVM_CG_H

#include <llvm-c/Core.h>

#include "cuse_dev/backend/soft/llvm/abi.h"
#include "cuse_dev/backend/soft/llvm/llvm.h"
#include "cuse_dev/backend/soft/simt/warp.h"

#define CG_LANES      SIMT_LANES
#define CG_MAX_GROUPS 4u /* groups of 8 lanes are the smallest that pay */
#define CG_ROOMS      4u

/*
 * What is known about the lanes of a register.
 *
 *	UNI	all lanes that run hold the same: a scalar
 *	AFF	32 bits; lane i of group g: base[g] + stride * i, modulo 2^32, groups are equal parts
 *	WIDE	64 bits; uni + scale * extended(part), where part is 32 bits wide: AFF, or a vector
 *	VAR	a vector
 */
enum cg_kind { CG_NONE, CG_UNI, CG_AFF, CG_WIDE, CG_VAR };

struct cg_shape {
	uint8_t kind;
	uint8_t groups; /* AFF, WIDE of AFF: 1, 2 or 4 */
	uint8_t align;	/* UNI, AFF: low bits of each base that are known to be zero */
	bool counts;	/* AFF of stride 0: x[k] is x[0] + k, and x[0] a multiple of groups */
	bool sign;	/* WIDE: part is sign-extended */
	bool vector;	/* WIDE: part is a vector */
	bool raw;	/* VAR, UNI of 32 bits: an f32 whose NaN is not the canonical one yet */
	int32_t stride; /* AFF, WIDE of AFF */
	int64_t scale;	/* WIDE */
};

/* A check that several accesses of a block share, see cg_mem.c. */
struct cg_check {
	uint32_t reg, total;
	uint8_t space, way;
	int64_t lo, hi, step;
	const struct ir_inst *last; /* up to this instruction */
	LLVMValueRef ok;	    /* NULL: it has held, or the slow copy runs */
};

#define CG_MAX_CHECKS 16u

/** A value while code is generated. */
struct cg_val {
	struct cg_shape s;
	LLVMValueRef u;		       /* UNI: it; WIDE: uni */
	LLVMValueRef x[CG_MAX_GROUPS]; /* AFF, WIDE of AFF: bases */
	LLVMValueRef v;		       /* VAR: it; WIDE of vector: part */
};

struct cg_reg {
	uint32_t bits;
	struct cg_shape s;
	bool mixed;	/* has a definition that may not be made canonical later, see cg_shape.c */
	bool zeroed;	/* may be read before it was written */
	bool crosses;	/* lives from one block to another, or may be kept for lanes that wait */
	bool homed;	/* in cg->homes between blocks, see cg_home.c */
	uint32_t place; /* in a warp's frame, see cg_phase.c */
	LLVMValueRef u, x[CG_MAX_GROUPS], v; /* allocas, as in cg_val */
	uint32_t home;
};

#define CG_PARTS (2u + CG_MAX_GROUPS)

enum cg_term { CG_JUMP, CG_BRANCH, CG_SWITCH, CG_EXIT };

struct cg_block {
	const struct ir_inst *insts;
	uint32_t count;
	uint8_t term; /* enum cg_term */
	bool pred_not, uni;
	bool waits; /* the last instruction is a barrier; lanes go on at target[0] */
	bool sync;  /* the first instruction wants other lanes of the warp */
	bool bare;  /* its first instruction's guard was tested by a branch */
	bool ends;  /* nothing but EXIT */
	bool turns; /* jumps back in a loop that may wait for other lanes */
	bool polls; /* has an access that may look at what others write */
	uint32_t pred;
	uint32_t ntargets;
	uint32_t *targets;
	uint32_t line;
	bool pendable;	/* lanes may wait to run it */
	bool full;	/* all 32 lanes run it, whenever it runs */
	uint64_t *live; /* registers live at the start */
	uint64_t
		*unsaved; /* registers whose place in the frame may be out of date: at the start, */
	uint64_t *unsaved_end; /* and at the end */
	uint64_t *keep;	       /* registers that lanes which do not run may read */
	uint64_t *order;       /* later blocks where lanes may wait, which the order runs next */
	uint64_t *park;	       /* blocks where lanes may wait that do not take part in the order */
	LLVMBasicBlockRef bb;
};

struct cg {
	const struct ir_unit *unit;
	const struct ir_func *f;
	const struct llvm_options *opt;
	struct base_arena *arena;
	char *err;
	size_t err_bytes;
	int error;

	struct cg_block *blocks;
	uint32_t nblocks;
	struct cg_reg *regs;
	uint32_t block_words, reg_words;
	bool stops;  /* waits in ways that phases are no help for: warps run one by one */
	bool phases; /* has barriers, and runs from one to the next, see cg_phase.c */
	bool counts; /* has bar.red */
	uint32_t frame_bytes, nresumes;
	bool exits_count; /* the runtime must know which lanes have ended */
	bool dispatches;
	bool huge; /* there is only quick code for it */

	LLVMContextRef lc;
	LLVMModuleRef mod;
	LLVMBuilderRef b;
	LLVMValueRef fn, ctx;
	LLVMTypeRef i1, i8, i16, i32, i64, i128, f32, f64, ptr;
	LLVMValueRef window_base, window_size, base_va[IR_BASE_COUNT], shared, shared_bytes, params,
		pending, slots;
	LLVMValueRef mask_var, warp_var, budget_var;
	LLVMValueRef room[CG_ROOMS]; /* operands of what goes lane by lane */
	bool avx512;
	LLVMValueRef homes; /* NULL: registers live in LLVM's, or they lie in the warp's frame */
	bool has_homes;
	LLVMBasicBlockRef dispatch, warp_end, next_warp;
	LLVMValueRef frames, resumes, resume_var, more_var, pred_var, come_var,
		value_var;		  /* phases */
	LLVMValueRef iota[CG_MAX_GROUPS]; /* of groups 1, 2, (3), 4 */

	/* where the emitter stands */
	uint32_t block;
	const struct ir_inst *in;
	LLVMValueRef mask, maskv;	       /* lanes that run as i32, as <32 x i1> (or NULL) */
	bool guarded;			       /* mask is narrower than the block's */
	struct cg_check checks[CG_MAX_CHECKS]; /* of the block */
	uint32_t nchecks;
	LLVMValueRef
		noted; /* the mask in the last note that surely was taken here, or NULL; its step */
	uint64_t noted_step;
	uint32_t at;		  /* number of the instruction in its block */
	LLVMBasicBlockRef *aside; /* per instruction: where the slow copy begins; NULL: in it */
	uint32_t nasides;

	struct ir_func **bridged; /* one function for each bridged operation */
	size_t bridged_cap;
	uint32_t nbridged;
};

/* ---- bit sets ------------------------------------------------------------------------------- */

static inline bool cg_bit(const uint64_t *set, uint32_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}

static inline void cg_bit_set(uint64_t *set, uint32_t i)
{
	set[i / 64] |= 1ull << (i % 64);
}

/** cg_bits_or() - says whether @to has changed. */
static inline bool cg_bits_or(uint64_t *to, const uint64_t *from, uint32_t words)
{
	uint64_t changed = 0;

	for (uint32_t i = 0; i < words; i++) {
		changed |= from[i] & ~to[i];
		to[i] |= from[i];
	}
	return changed != 0;
}

/** cg_bits_next() - the first member >= @i, or UINT32_MAX. */
uint32_t cg_bits_next(const uint64_t *set, uint32_t words, uint32_t i);
bool cg_bits_any(const uint64_t *set, uint32_t words);

/* ---- cg_flow.c, cg_shape.c, cg_frontier.c ---------------------------------------------------- */

/** cg_fail() - the unit cannot be compiled; the first reason counts. Returns cg->error. */
__attribute__((format(printf, 3, 4))) int cg_fail(struct cg *g, int error, const char *fmt, ...);

/** cg_flow() - blocks, their edges, liveness. */
int cg_flow(struct cg *g);
/** cg_own_registers() - in the compiler's copy of the function; 0 or -ENOMEM. */
int cg_own_registers(struct cg *g, struct ir_func *f);
/** cg_frontier() - shapes of registers and frontiers of blocks, which depend on each other. */
int cg_frontier(struct cg *g);
/** cg_shape_of() - the shape of result @k. */
struct cg_shape cg_shape_of(const struct cg *g, const struct ir_inst *in, uint32_t k);
/** cg_shape_pass() - once through all instructions; says whether a register has changed. */
bool cg_shape_pass(struct cg *g);
/** cg_shape_operand() - of a source. */
struct cg_shape cg_shape_operand(const struct cg *g, const struct ir_operand *o);
/** cg_raw_solve() - which f32 registers may hold a NaN that is not canonical. */
void cg_raw_solve(struct cg *g);
/** cg_makes_raw(), cg_takes_raw() - f32 arithmetic. */
bool cg_makes_raw(const struct ir_inst *in);
bool cg_takes_raw(const struct ir_inst *in, uint32_t source);

/** cg_members() - which source is the mask of member lanes, or -1. */
int cg_members(const struct ir_inst *in);
/** cg_members_differ() - lanes at the start of @b may name different ones. */
bool cg_members_differ(const struct cg *g, const struct cg_block *b);
/** cg_pure() - computes from its sources alone. */
bool cg_pure(const struct ir_inst *in);
/** cg_converged() - no other lanes can be waiting while @b runs. */
bool cg_converged(const struct cg *g, uint32_t b);

/* ---- cg_value.c ----------------------------------------------------------------------------- */

LLVMTypeRef cg_int(struct cg *g, uint32_t bits);
LLVMTypeRef cg_vec(LLVMTypeRef t);
LLVMValueRef cg_i32(struct cg *g, uint64_t v);
LLVMValueRef cg_i64(struct cg *g, uint64_t v);
/** cg_const_like() - an integer constant, in all lanes if @like is a vector. */
LLVMValueRef cg_const_like(struct cg *g, LLVMValueRef like, uint64_t v);
LLVMValueRef cg_splat(struct cg *g, LLVMValueRef scalar);
/** cg_call() - an intrinsic that is overloaded on the types of @over (n of them). */
LLVMValueRef cg_intrinsic(struct cg *g, const char *name, LLVMTypeRef *over, uint32_t n,
			  LLVMValueRef *args, uint32_t nargs);
/** cg_may_aside(), cg_aside() - the slow copy of the block from here on, see cg_func.c. */
bool cg_may_aside(const struct cg *g);
LLVMBasicBlockRef cg_aside(struct cg *g);
/** cg_likely() - the first way of a conditional branch. */
void cg_likely(struct cg *g, LLVMValueRef br);
LLVMValueRef cg_fcall1(struct cg *g, const char *name, LLVMValueRef a);

/** cg_read() - a source as it is. @bits: the width wanted of an immediate. */
struct cg_val cg_read(struct cg *g, const struct ir_operand *o, uint32_t bits);
/** cg_vector(), cg_scalar() - a value in all lanes; of UNI. */
LLVMValueRef cg_vector(struct cg *g, const struct cg_val *v);
/** cg_value_uni(), cg_value_var() - made from an LLVM value. */
struct cg_val cg_value_uni(LLVMValueRef u);
struct cg_val cg_value_var(LLVMValueRef v);
/** cg_groups() - an AFF value with more groups. */
struct cg_val cg_groups(struct cg *g, const struct cg_val *v, uint32_t groups);
/** cg_write() - to a result: as the register's shape wants it, under the mask where needed. */
void cg_write(struct cg *g, const struct ir_operand *o, const struct cg_val *v);
/** cg_resize() - an integer (or vector of them) to another width. */
LLVMValueRef cg_resize(struct cg *g, LLVMValueRef v, uint32_t bits, bool sign);
uint32_t cg_width(LLVMValueRef v);
bool cg_is_vector(LLVMValueRef v);
/** cg_float() - integer bits as floats of the same width; cg_bits() - the reverse. */
LLVMValueRef cg_float(struct cg *g, LLVMValueRef v);
LLVMValueRef cg_bits_of(struct cg *g, LLVMValueRef v);

/* ---- masks: cg_mask.c ------------------------------------------------------------------------ */

/** cg_mask_vector() - the running lanes as <32 x i1>. */
LLVMValueRef cg_mask_vector(struct cg *g);
LLVMValueRef cg_mask_to_vector(struct cg *g, LLVMValueRef bits);
LLVMValueRef cg_mask_from_vector(struct cg *g, LLVMValueRef v);
/** cg_mask_first() - the lowest lane that runs. */
LLVMValueRef cg_mask_first(struct cg *g);
/** cg_pred_mask() - a predicate operand as 32 bits. */
LLVMValueRef cg_pred_mask(struct cg *g, const struct cg_val *v);
LLVMValueRef cg_first_lane(struct cg *g, LLVMValueRef vector);

/* ---- instructions --------------------------------------------------------------------------- */

/** cg_load_field(), cg_store_field() - of ctx, by offset. */
LLVMValueRef cg_field(struct cg *g, uint32_t offset, LLVMTypeRef t, const char *name);
void cg_set_field(struct cg *g, uint32_t offset, LLVMValueRef v);
/** cg_runtime() - call a function of the table. */
LLVMValueRef cg_runtime(struct cg *g, uint32_t index, LLVMTypeRef ret, LLVMValueRef *args,
			uint32_t n);

enum cg_table {
#define X(ret, name, params) CG_RT_##name,
	LLVM_TABLE(X)
#undef X
};

#define CG_FIELD(g, name, t) cg_field(g, offsetof(struct llvm_ctx, name), (g)->t, #name)

#define MAX_SOURCES 8u

/** cg_bridge_add() - one more function of the bridged unit. */
bool cg_bridge_add(struct cg *g, struct ir_func *f);
/** cg_compare() - setp without its bool op; NULL: not known here. */
LLVMValueRef cg_compare(struct cg *g, const struct ir_inst *in, LLVMValueRef *s);
/** cg_compute() - a pure operation on scalars or vectors; NULL: not known here. */
LLVMValueRef cg_compute(struct cg *g, const struct ir_inst *in, LLVMValueRef *src);
LLVMValueRef cg_alu(struct cg *g, const struct ir_inst *in, LLVMValueRef *s);
LLVMValueRef cg_alu_float(struct cg *g, const struct ir_inst *in, LLVMValueRef *s);
LLVMValueRef cg_alu_approx(struct cg *g, const struct ir_inst *in, LLVMValueRef *s);
LLVMValueRef cg_alu_cvt(struct cg *g, const struct ir_inst *in, LLVMValueRef *s);
/** cg_saturate() - to [+0, 1]; NaN becomes +0. */
LLVMValueRef cg_saturate(struct cg *g, LLVMValueRef f);
/** cg_canonical() - f32 bits with the one NaN. */
LLVMValueRef cg_canonical(struct cg *g, LLVMValueRef v);
/** cg_affine() - a pure operation whose result is AFF or WIDE. */
struct cg_val cg_affine(struct cg *g, const struct ir_inst *in, const struct cg_shape *want);
/** cg_inst() - any instruction, its guard included. */
void cg_inst(struct cg *g, const struct ir_inst *in, bool bare);
/** cg_memory() - LD, ST; false: bridge it. */
bool cg_memory(struct cg *g, const struct ir_inst *in);
/** cg_atomic() - ATOM, RED; false: bridge it. */
bool cg_atomic(struct cg *g, const struct ir_inst *in);
/** cg_warp_op() - SHFL, VOTE and others that look at other lanes; false: bridge it. */
bool cg_warp_op(struct cg *g, const struct ir_inst *in);
bool cg_sreg(struct cg *g, const struct ir_inst *in);
/** cg_bridge() - the interpreter does it. */
void cg_bridge(struct cg *g, const struct ir_inst *in);

/** cg_allocate() - make the allocas of a register. */
void cg_allocate(struct cg *g, uint32_t reg);
/** cg_parts() - the allocas of a register, NULL where it has none. */
void cg_parts(const struct cg_reg *r, LLVMValueRef ret_at[CG_PARTS]);
/** cg_home_init() - which registers live in memory; behind cg_reg's allocas, in the entry. */
int cg_home_init(struct cg *g);
/** cg_home_clear() - @r as its allocas have it. */
void cg_home_clear(struct cg *g, const struct cg_reg *r);
/** cg_home_load() - what block @b needs; cg_home_store() - what it has changed. */
void cg_home_load(struct cg *g, const struct cg_block *b);
void cg_home_store(struct cg *g, const struct cg_block *b);
/** cg_home_resume() - behind the barrier at the end of @b: what it had changed before it. */
void cg_home_resume(struct cg *g, const struct cg_block *b);
/** cg_clear_register() - to nothing: it is not live. */
void cg_clear_register(struct cg *g, uint32_t reg);

/* ---- cg_phase.c ------------------------------------------------------------------------------ */

/** cg_phases() - can the kernel run in phases? Sets phases or stops when it has barriers. */
int cg_phases(struct cg *g);
/** cg_phase_homes() - a warp's frame is the homes of its registers, of @bytes; cg_phase_home() - where. */
void cg_phase_homes(struct cg *g, uint32_t bytes);
LLVMValueRef cg_phase_home(struct cg *g);
/** cg_phase_entry() - the variables of the loop over phases. */
void cg_phase_entry(struct cg *g);
/** cg_phase_begin() - a warp's turn: to where it stopped, or to @start; the switch. */
LLVMValueRef cg_phase_begin(struct cg *g, LLVMBasicBlockRef start);
void cg_phase_end_warp(struct cg *g);
void cg_phase_over(struct cg *g, LLVMBasicBlockRef again, LLVMBasicBlockRef done);
/** cg_phase_edge() - on the way to block @t: saves what block @t takes for saved. */
void cg_phase_edge(struct cg *g, uint32_t t);
/** cg_phase_wait() - at a barrier; returns the value for bar.red, or NULL. */
LLVMValueRef cg_phase_wait(struct cg *g, LLVMValueRef preds);

/** cg_print() - what is known, to stderr. */
void cg_print(const struct cg *g);
/** cg_func() - the whole function. */
int cg_func(struct cg *g);
/** cg_object() - passes and machine code. */
int cg_object(struct cg *g, void **ret_object, size_t *ret_bytes);

#endif
