/* SPDX-License-Identifier: MIT */
/*
 * decode.h - what the files of the decoder share: IR becomes an instruction stream, see decode.c.
 *
 *	decode.c		functions, blocks, instructions; interp_prepare()
 *	decode_emit.c		the stream itself: instructions, segments, temporaries
 *	decode_fast.c		which vector handler computes an IR instruction
 *	decode_compute.c	arithmetic, comparisons, predicates
 *	decode_memory.c		loads, stores, atomics, conversions of addresses
 *	decode_warp.c		what lanes wait for: votes, matrices, barriers, calls
 */
#ifndef INTERP_DECODE_H
#define INTERP_DECODE_H

#include "cuse_dev/backend/soft/interp/code.h"
#include "cuse_dev/backend/soft/interp/vec.h"
#include "cuse_dev/base/arena.h"

#define DECODE_TEMP_BYTES 256u /* of a vector temporary */

struct dec {
	struct base_arena *arena, *tmp;
	const struct ir_unit *unit;
	const struct ir_func *f;
	struct interp_code *code;
	struct interp_func *out;
	const interp_fn *vec;
	int32_t *off;
	struct interp_inst *insts; /* in tmp, grows */
	size_t cap;
	uint32_t n;
	uint32_t *seg_at; /* segment: instruction */
	size_t seg_cap;
	uint32_t nsegs;
	uint32_t *block_seg;
	uint32_t here;	    /* segment being decoded */
	uint32_t temp_base; /* of the vector temporaries */
	uint32_t temp_used, temp_most;
	uint32_t pred_used;
	struct {
		uint32_t reg, size; /* size 0: free */
		uint8_t space;
	} notes[INTERP_NOTES];
	uint32_t next_note;
	const struct ir_inst *in;
	uint32_t line;
	bool loops;
	bool bridge; /* registers lie in slots */
	char *err;
	size_t err_bytes;
	int error;
};

/* ---- decode_emit.c: all note the first error in @d and go on with something harmless ---------- */

/** decode_fail() - the IR is not what it may be; says where. */
void decode_fail(struct dec *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** decode_emit() - the next instruction, zeroed; a dummy after an error. Valid until the next; NULL without memory. */
struct interp_inst *decode_emit(struct dec *d, interp_fn fn);
void decode_emit_bcast(struct dec *d, int32_t off, uint32_t bits, uint64_t imm);
void decode_emit_pred(struct dec *d, uint32_t h, int32_t dst, int32_t a, int32_t b);
/** decode_make_ext() - everything about the instruction, for handlers that look at it themselves. */
struct interp_ext *decode_make_ext(struct dec *d);
struct interp_inst *decode_emit_ext(struct dec *d, interp_fn fn);
uint32_t decode_new_seg(struct dec *d);
void decode_place_seg(struct dec *d, uint32_t seg);
/** decode_temp_vec(), decode_temp_pred() - registers until the next IR instruction. */
int32_t decode_temp_vec(struct dec *d);
int32_t decode_temp_pred(struct dec *d);
/** decode_vec_src(), decode_pred_src() - a source as a register; immediates are put into a temporary. */
int32_t decode_vec_src(struct dec *d, uint32_t i, uint32_t bits);
int32_t decode_pred_src(struct dec *d, uint32_t i);
bool decode_copy_slots(struct dec *d, const struct ir_slot *from, uint32_t n, struct ir_slot **ret);

static inline struct interp_inst *emit_vec(struct dec *d, uint32_t h)
{
	return decode_emit(d, d->vec[h]);
}

static inline uint32_t reg_bits(const struct dec *d, uint32_t reg)
{
	return ir_type_bits(d->f->regs[reg].type);
}

static inline int32_t dst_off(const struct dec *d, uint32_t i)
{
	const struct ir_operand *o = &d->in->opnd[i];

	return o->kind == IR_OPND_REG ? d->off[o->reg] : NO_REG;
}

static inline const struct ir_operand *src(const struct dec *d, uint32_t i)
{
	return &d->in->opnd[d->in->nd + i];
}

/* ---- decode_fast.c ---------------------------------------------------------------------------- */

enum fast_kind { FAST_UN, FAST_BIN, FAST_TER, FAST_CMP };

struct fast {
	uint16_t op;
	uint8_t type, type2, cmp, kind;
	bool comm, imm; /* may swap; has a handler with an immediate */
	uint32_t mods;
	uint16_t h; /* + 1: last source immediate; TER + 2: the middle one */
	uint8_t abits, bbits, cbits;
};

/** decode_fast_find() - NULL: none computes it. */
const struct fast *decode_fast_find(const struct ir_inst *in);

/* ---- decode_compute.c ------------------------------------------------------------------------- */

/** decode_compute() - false: no handler of ours, rt_eval() must. */
bool decode_compute(struct dec *d);

/* ---- decode_memory.c -------------------------------------------------------------------------- */

void decode_load(struct dec *d);
void decode_store(struct dec *d);
void decode_atom(struct dec *d);
/** decode_cvta() - false: not an addition. */
bool decode_cvta(struct dec *d);
/** decode_set_place() - the address @a and what is common to all that reach memory. @p may be NULL. */
void decode_set_place(struct dec *d, struct interp_inst *p, uint32_t elems, uint32_t bytes,
		      const struct ir_operand *a);
/** decode_drop_notes() - of registers that the instruction has written. */
void decode_drop_notes(struct dec *d);

/* ---- decode_warp.c ---------------------------------------------------------------------------- */

/** decode_member_source() - which source is the mask of members, or -1. */
int decode_member_source(const struct ir_inst *in);
/** decode_stops_lanes() - do lanes go on elsewhere or later? decode_stopping() is for these. */
bool decode_stops_lanes(const struct ir_inst *in);
void decode_stopping(struct dec *d);

#endif
