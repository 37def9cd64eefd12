/* SPDX-License-Identifier: MIT */
/*
 * code.h - the decoded program and the state of a warp that runs it.
 *
 * Decoding turns each IR instruction into one or a few struct interp_inst whose handler reads and
 * writes registers of the running frame at fixed byte offsets. A register of w bits is an array of
 * 32 lanes of w / 8 bytes; a predicate is one 32-bit word, bit i for lane i. The result of an
 * instruction never shares memory with one of its sources unless both are the same register.
 *
 * A segment is a place where lanes may wait: the start of a block, and the point after (or at) each
 * instruction that can stop a group of lanes. Segments are numbered in program order.
 *
 *   frame->waiting[s]   lanes that wait at segment s and may run
 *   frame->limit        no lanes wait at a segment < limit; jumps below it need no look
 *   full                every lane that owns the frame runs, so results are written unmasked
 */
#ifndef SOFT_INTERP_CODE_H
#define SOFT_INTERP_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/backend/soft/ir/ir.h"
#include "cuse_dev/backend/soft/simt/warp.h"

#define LANES_N	    32u
#define NO_REG	    (-1)
#define NO_SEG	    UINT32_MAX
#define MAX_ELEMS   16
#define SCRATCH_MAX (MAX_ELEMS * 512u)

struct interp_inst;
struct interp_warp;

/* Runs an instruction, returns the next one; NULL: the warp stops, w->stop says why. */
typedef const struct interp_inst *(*interp_fn)(struct interp_warp *w, const struct interp_inst *in);

/** An operand of the slow path, or an element of a memory access. */
struct interp_opnd {
	int32_t off;   /* in the frame, NO_REG: imm */
	uint32_t bits; /* 1: predicate */
	uint64_t imm;
};

/** What does not fit an instruction. */
struct interp_ext {
	struct ir_inst ir;	  /* opnd and aux are not valid */
	struct interp_opnd *opnd; /* [nd + ns] */
	struct ir_slot *args, *rets;
	uint32_t nargs, nrets;
	const struct interp_mma *mma; /* matrix instructions, see matrix.h */
	uint32_t *targets;	      /* SWITCH: segments */
	uint32_t count;
};

struct interp_inst {
	interp_fn fn;
	int32_t d, a, b, c; /* byte offsets in the frame */
	uint64_t imm;
	const struct interp_ext *ext;
	uint32_t line;
	uint32_t seg;  /* jump: target; waiting instruction: where lanes go on */
	uint32_t seg2; /* branch: other target */
	uint8_t n;     /* memory: elements */
	uint8_t bytes; /* memory: of one element */
	uint8_t space;
	uint8_t flags; /* INTERP_* */
	int32_t e;
	uint32_t here; /* the segment this instruction belongs to */
};

/*
 * e of a load or store: NO_REG, or a note about its addresses: later accesses through the same
 * register, of the same size and by the same lanes, find the pattern there.
 */
#define INTERP_NOTES	  8u
#define INTERP_NOTE_FIRST 256 /* this one writes the note */

#define INTERP_NOT    1u /* branch, guard: the predicate is inverted */
#define INTERP_ADDR64 2u /* memory: the address register has 64 bits */
#define INTERP_ADDR0  4u /* memory: no register, imm is the address */
#define INTERP_POLL   8u /* memory: may be what a spin loop looks at */

struct interp_seg {
	const struct interp_inst *inst;
};

struct interp_func {
	const char *name;
	uint32_t index, code;
	struct interp_inst *insts;
	uint32_t ninsts;
	struct interp_seg *segs;
	uint32_t nsegs;
	const struct interp_inst *prologue[2]; /* once per launch, once per block; or NULL */
	uint32_t reg_bytes;		       /* predicates, then vectors; multiple of 64 */
	uint32_t frame_bytes;
	struct ir_slot *params, *rets;
	uint32_t nparams, nrets;
};

struct interp_code {
	struct simt_code base;
	struct base_arena *arena;
	uint64_t serial; /* never reused, tells a warp whether its cached frames fit */
	struct interp_func *funcs;
	uint32_t nfuncs;
	const interp_fn *handlers; /* of this CPU, see vec.h */
};

struct interp_frame {
	uint8_t *regs;
	const struct interp_func *func;
	struct interp_frame *parent;
	struct interp_frame *newer, *older; /* all frames of the warp; free list: older */
	uint32_t lanes;			    /* that are in it, or in something it has called */
	uint32_t limit;
	uint32_t ret_seg; /* in parent */
	const struct interp_ext *call;
	uint32_t base, top; /* local memory: start of the frame; end with what alloca took */
	uint32_t nwaiting;  /* segments with waiting lanes */
	uint32_t *waiting;
	uint64_t *bits;		/* bit s: waiting[s] != 0 */
	uint64_t launch, block; /* for which the prologues have run: grid's id, block + 1 */
};

enum interp_wait { WAIT_BAR, WAIT_SYNC };

/** Lanes that cannot go on by themselves. */
struct interp_group {
	struct interp_frame *frame;
	uint32_t mask, seg;
	uint32_t members; /* WAIT_SYNC: who must come */
	enum interp_wait kind;
	const struct interp_inst *in; /* WAIT_BAR: the bar, for its result */
	uint32_t id;
};

/** The pattern of the addresses in a register, without the offset; see vec_mem.h. */
struct interp_note {
	uint32_t shape;
	uint32_t quick; /* the shape, where offsets low .. low + span only move base; else 0 */
	uint64_t at[2];
	uint64_t low, span;
	uintptr_t base[2]; /* of offset 0: it need not lie in what is reached */
};

struct interp_warp {
	struct simt_warp base;
	/* the running group */
	uint8_t *regs;
	uint32_t mask;
	bool full;
	uint32_t sync_ok; /* lanes whose partners have all come: they pass their next sync */
	enum simt_stop stop;
	const struct interp_inst *cur; /* of the last memory access, for faults */
	uint32_t cur_lane;	       /* where cur goes lane by lane */
	struct interp_frame *frame;

	int32_t budget;	    /* back edges until a look around */
	uint32_t rounds;    /* looks since others had a turn */
	uint32_t polls;	    /* accesses that look like waiting, since the last look */
	uint32_t exclusive; /* jumps left of a turn out of order, 0: normal order */
	uint32_t waiting;   /* sum of nwaiting over all frames */
	uint32_t ngroups;
	struct interp_group groups[LANES_N];

	struct interp_frame *prefer; /* after a yield: whose turn it is, with prefer_seg */
	uint32_t prefer_seg;

	struct interp_frame *newest;
	struct interp_frame **cache; /* per function: free frames */
	uint32_t ncache;
	uint64_t serial;
	const struct interp_code *code;
	struct simt_trap trap, *outer_trap;
	struct interp_note notes[INTERP_NOTES];

	_Alignas(64) uint8_t scratch[SCRATCH_MAX]; /* results before they are blended */
	_Alignas(64) uint8_t dummy[256];	   /* where lanes that do not run read and write */
};

/* ---- warp.c: groups, frames, who runs next -------------------------------------------------- */

extern const struct simt_tier interp_tier;
/** interp_code_destroy() - for the tier's table (decode.c) */
void interp_code_destroy(struct simt_code *c);

#define INTERP_BUDGET	 256 /* back edges between looks */
#define INTERP_POLLS	 16  /* the same, after a yield while it seems to wait */
#define INTERP_ROUNDS	 4   /* looks until other lanes of the warp get a turn */
#define INTERP_EXCLUSIVE 1024
#define INTERP_SLOT	 32u /* local memory that each call takes at least, so that recursion ends */
#define INTERP_LONG	 65536 /* back edges after which a warp yields in any case */

/** interp_pick() - the next group to run, or NULL (stop is set). The current one is put away. */
const struct interp_inst *interp_pick(struct interp_warp *w);
/** interp_wait() - put runnable lanes to a segment of a frame. */
void interp_wait(struct interp_warp *w, struct interp_frame *f, uint32_t seg, uint32_t lanes);
/** interp_jump_slow() - lanes wait earlier, or an exclusive turn. */
const struct interp_inst *interp_jump_slow(struct interp_warp *w, uint32_t seg);
/** interp_look() - the budget of back edges is used up on the way to @seg. */
const struct interp_inst *interp_look(struct interp_warp *w, uint32_t seg);
/** interp_diverge() - t lanes to in->seg, n to in->seg2; neither is empty. */
const struct interp_inst *interp_diverge(struct interp_warp *w, const struct interp_inst *in,
					 uint32_t t, uint32_t n);
/** interp_block() - the running lanes wait for what @kind says and go on at in->seg; next group. */
const struct interp_inst *interp_block(struct interp_warp *w, const struct interp_inst *in,
				       enum interp_wait kind, uint32_t members);
/** interp_op_end() - of a prologue */
const struct interp_inst *interp_op_end(struct interp_warp *w, const struct interp_inst *in);
/** interp_ret(), interp_exit() - lanes return from the function, or end */
const struct interp_inst *interp_ret(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_exit(struct interp_warp *w, const struct interp_inst *in);
/** interp_call() - lanes into function @callee; they go on at in->seg. */
const struct interp_inst *interp_call(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_call_indirect(struct interp_warp *w, const struct interp_inst *in);
/** interp_fault() - record and stop; returns NULL. */
__attribute__((format(printf, 6, 7))) const struct interp_inst *
interp_fault(struct interp_warp *w, const struct interp_inst *in, uint32_t error, int lane,
	     uint64_t address, const char *fmt, ...);

/** interp_jump() - the running lanes go to @seg of their frame. */
static inline const struct interp_inst *interp_jump(struct interp_warp *w,
						    const struct interp_inst *in, uint32_t seg)
{
	if (seg <= in->here && --w->budget <= 0)
		return interp_look(w, seg);
	if (__builtin_expect(seg < w->frame->limit, 1))
		return w->frame->func->segs[seg].inst;
	return interp_jump_slow(w, seg);
}

/* ---- memory.c ------------------------------------------------------------------------------- */

/**
 * interp_lane_ptrs() - where the running lanes' accesses of in->n * in->bytes bytes go
 *
 * Lanes that do not run get the dummy. false: a fault is recorded.
 */
bool interp_lane_ptrs(struct interp_warp *w, const struct interp_inst *in, uint8_t **ret_ptr);
/** interp_lane_ptr() - the same for one lane; NULL: a fault is recorded. */
uint8_t *interp_lane_ptr(struct interp_warp *w, const struct interp_inst *in, uint32_t lane);
/** interp_space_ptr() - one address in a space; NULL if it is not valid for @bytes. */
uint8_t *interp_space_ptr(struct interp_warp *w, uint8_t space, uint32_t lane, uint64_t va,
			  uint64_t bytes);
/** interp_generic_ptr() - one address; NULL if it is not valid for @bytes. */
uint8_t *interp_generic_ptr(struct interp_warp *w, uint32_t lane, uint64_t va, uint64_t bytes);
/** interp_read() - copy from a generic address; false if that faults. */
bool interp_read(struct interp_warp *w, uint32_t lane, uint64_t va, void *buf, size_t bytes);
/** interp_write() - copy to a generic address; false if that faults. */
bool interp_write(struct interp_warp *w, uint32_t lane, uint64_t va, const void *buf, size_t bytes);
uint64_t interp_lane_address(const struct interp_warp *w, const struct interp_inst *in,
			     uint32_t lane);

/* ---- handlers that need no vectors (slow.c, sync.c, atom.c, builtin.c) ----------------------- */

const struct interp_inst *interp_op_eval(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_sreg(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_fence(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_misc(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_mem128(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_mem_whole(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_atom(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_sync(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_bar(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_builtin(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_warp(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_tex(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_txq(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_istypep(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_suld(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_sust(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_sured(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_switch(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_async(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_tensor(struct interp_warp *w, const struct interp_inst *in);
const struct interp_inst *interp_op_cluster_wait(struct interp_warp *w,
						 const struct interp_inst *in);

/** interp_put() - write one lane of a register; bits 1: predicate. */
static inline void interp_put(struct interp_warp *w, int32_t off, uint32_t bits, uint32_t lane,
			      uint64_t lo, uint64_t hi)
{
	uint8_t *r = w->regs + off;

	switch (bits) {
	case 1:
		*(uint32_t *)r = (*(uint32_t *)r & ~(1u << lane)) | (uint32_t)(lo & 1) << lane;
		break;
	case 16:
		((uint16_t *)r)[lane] = (uint16_t)lo;
		break;
	case 32:
		((uint32_t *)r)[lane] = (uint32_t)lo;
		break;
	case 64:
		((uint64_t *)r)[lane] = lo;
		break;
	default:
		((uint64_t *)r)[2 * lane] = lo;
		((uint64_t *)r)[2 * lane + 1] = hi;
		break;
	}
}

/** interp_get() - one lane of a register; the high half only for 128 bits. */
static inline uint64_t interp_get(const struct interp_warp *w, int32_t off, uint32_t bits,
				  uint32_t lane)
{
	const uint8_t *r = w->regs + off;

	switch (bits) {
	case 1:
		return *(const uint32_t *)r >> lane & 1;
	case 16:
		return ((const uint16_t *)r)[lane];
	case 32:
		return ((const uint32_t *)r)[lane];
	case 64:
		return ((const uint64_t *)r)[lane];
	default:
		return ((const uint64_t *)r)[2 * lane];
	}
}

static inline uint64_t interp_value(const struct interp_warp *w, const struct interp_opnd *o,
				    uint32_t lane)
{
	return o->off == NO_REG ? o->imm : interp_get(w, o->off, o->bits, lane);
}

#endif
