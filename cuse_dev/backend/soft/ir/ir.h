/* SPDX-License-Identifier: MIT */
/*
 * ir.h - the typed program that the PTX front end produces and that both tiers execute.
 *
 * Here: the data structures. Not here: the operations and what they mean (ir_op.def), text form
 * (ir_text.h), checks (ir_verify.c).
 *
 * A unit is what one kernel needs: the kernel itself (funcs[0]) and every function it can reach.
 * A function is a list of basic blocks; blocks stand in the order in which the thread frontier picks
 * them (the earliest block that has waiting lanes runs next), so a block comes after its
 * predecessors except for loop back edges. Registers are mutable variables (not SSA), as in PTX.
 *
 * Memory: everything of a unit lies in one arena and goes with it.
 *
 * Addresses (lanes' 64-bit values)
 *   generic   window addresses as they are; shared, local and param memory through the apertures
 *   shared    0 .. shared_bytes + dynamic - 1 of the block; dynamic shared starts at the static size
 *             rounded up to 16 (ir_unit.shared_bytes is already rounded)
 *             (1 + r) << IR_CLUSTER_SHIFT + x is place x in block r of the cluster, this one included
 *   local     0 .. stack_bytes - 1 of the thread; frames of functions lie in it
 *   param     0 .. param_bytes - 1 of the launch
 *   global, const   window addresses (.const variables lie in device memory)
 *   code      IR_CODE_BASE + 16 * function number in its module
 */
#ifndef SOFT_IR_H
#define SOFT_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct base_arena;

/* Apertures in the generic address space; far from window, heap and stacks of any process. */
#define IR_APERTURE_BYTES  (1ull << 32)
#define IR_SHARED_APERTURE 0x0000080000000000ull
#define IR_LOCAL_APERTURE  0x0000080100000000ull
#define IR_PARAM_APERTURE  0x0000080200000000ull
#define IR_CODE_BASE	   0x0000080300000000ull
#define IR_CLUSTER_SHIFT   24u

/* The second source of an address of an asynchronous operation: its space and an offset. */
#define IR_AT(space, offset) ((uint64_t)(space) << 32 | (uint32_t)(offset))

/*
 * Types.   X(NAME, text, bits, class)   class: P predicate, U unsigned/bits, S signed, F float
 * .bN is IR_UN. Narrow float formats occur only in conversions.
 */
/* clang-format off */
#define IR_TYPES(X)                                                                                \
	X(NONE,   "none",   0,   N)                                                                \
	X(PRED,   "pred",   1,   P)                                                                \
	X(U8,     "u8",     8,   U)                                                                \
	X(S8,     "s8",     8,   S)                                                                \
	X(U16,    "u16",    16,  U)                                                                \
	X(S16,    "s16",    16,  S)                                                                \
	X(U32,    "u32",    32,  U)                                                                \
	X(S32,    "s32",    32,  S)                                                                \
	X(U64,    "u64",    64,  U)                                                                \
	X(S64,    "s64",    64,  S)                                                                \
	X(U128,   "u128",   128, U)                                                                \
	X(F16,    "f16",    16,  F)                                                                \
	X(BF16,   "bf16",   16,  F)                                                                \
	X(F32,    "f32",    32,  F)                                                                \
	X(F64,    "f64",    64,  F)                                                                \
	X(F16X2,  "f16x2",  32,  F)                                                                \
	X(BF16X2, "bf16x2", 32,  F)                                                                \
	X(F32X2,  "f32x2",  64,  F)                                                                \
	X(U16X2,  "u16x2",  32,  U)                                                                \
	X(S16X2,  "s16x2",  32,  S)                                                                \
	X(TF32,   "tf32",   32,  F)                                                                \
	X(E4M3X2, "e4m3x2", 16,  F)                                                                \
	X(E5M2X2, "e5m2x2", 16,  F)                                                                \
	X(E2M3X2, "e2m3x2", 16,  F)                                                                \
	X(E3M2X2, "e3m2x2", 16,  F)                                                                \
	X(E2M1X2, "e2m1x2", 8,   F)                                                                \
	X(UE8M0X2, "ue8m0x2", 16, F)
/* clang-format on */

enum ir_type {
#define X(NAME, text, bits, class) IR_##NAME,
	IR_TYPES(X)
#undef X
		IR_TYPE_COUNT
};

enum ir_op {
	IR_OP_NONE,
#define IR_OP(NAME, text, nd, ns) IR_OP_##NAME,
#include "ir_op.def"
#undef IR_OP
	IR_OP_COUNT
};

enum ir_space {
	IR_SPACE_GENERIC,
	IR_SPACE_GLOBAL,
	IR_SPACE_CONST,
	IR_SPACE_SHARED,
	IR_SPACE_LOCAL,
	IR_SPACE_PARAM, /* parameters of the kernel */
	IR_SPACE_FRAME, /* base 0 = start of the running function's frame in local memory */
};

enum ir_round {
	IR_RN, /* nearest even, the default of float */
	IR_RZ,
	IR_RM,	   /* to -inf */
	IR_RP,	   /* to +inf */
	IR_RNA,	   /* nearest, ties away */
	IR_RS,	   /* stochastic */
	IR_APPROX, /* .approx and .full */
};

/* Comparisons; the ..U ones are true if either operand is NaN. Signedness comes from the type. */
enum ir_cmp {
	IR_EQ,
	IR_NE,
	IR_LT,
	IR_LE,
	IR_GT,
	IR_GE,
	IR_EQU,
	IR_NEU,
	IR_LTU,
	IR_LEU,
	IR_GTU,
	IR_GEU,
	IR_NUM,
	IR_NAN,
};

enum ir_bool { IR_BOOL_NONE, IR_BOOL_AND, IR_BOOL_OR, IR_BOOL_XOR };

enum ir_atom {
	IR_ATOM_ADD,
	IR_ATOM_MIN,
	IR_ATOM_MAX,
	IR_ATOM_AND,
	IR_ATOM_OR,
	IR_ATOM_XOR,
	IR_ATOM_EXCH,
	IR_ATOM_CAS,
	IR_ATOM_INC,
	IR_ATOM_DEC,
};

enum ir_sem {
	IR_SEM_WEAK,
	IR_SEM_VOLATILE,
	IR_SEM_RELAXED,
	IR_SEM_ACQUIRE,
	IR_SEM_RELEASE,
	IR_SEM_ACQ_REL,
	IR_SEM_SC
};
enum ir_scope { IR_SCOPE_CTA, IR_SCOPE_CLUSTER, IR_SCOPE_GPU, IR_SCOPE_SYS };

enum ir_vote { IR_VOTE_ALL, IR_VOTE_ANY, IR_VOTE_UNI, IR_VOTE_BALLOT };
enum ir_shfl { IR_SHFL_UP, IR_SHFL_DOWN, IR_SHFL_BFLY, IR_SHFL_IDX };
enum ir_bar { IR_BAR_SYNC, IR_BAR_ARRIVE, IR_BAR_RED_POPC, IR_BAR_RED_AND, IR_BAR_RED_OR };
/* MBAR. [m] is the barrier, see ir_op.def. */
enum ir_mbar {
	IR_MBAR_INIT,	     /* [m] count */
	IR_MBAR_INVAL,	     /* [m] */
	IR_MBAR_EXPECT_TX,   /* [m] bytes */
	IR_MBAR_COMPLETE_TX, /* [m] bytes */
	IR_MBAR_ARRIVE,	     /* d u64 state|none = [m] count, bytes expected before|0 */
	IR_MBAR_ARRIVE_DROP, /* the same */
	IR_MBAR_TEST,	     /* d pred = [m] u64 state */
	IR_MBAR_TRY,	     /* the same; the warp gives others a turn when it must wait */
	IR_MBAR_TEST_PARITY, /* d pred = [m] u32 parity */
	IR_MBAR_TRY_PARITY,
	IR_MBAR_PENDING, /* d u32 = u64 state */
};

/* CP_TENSOR: from global to shared memory, back, into global memory with an operation, nowhere. */
enum ir_tensor { IR_TENSOR_LOAD, IR_TENSOR_STORE, IR_TENSOR_RED, IR_TENSOR_PREFETCH };

enum ir_tensor_mode {
	IR_TENSOR_TILE,
	IR_TENSOR_TILE4, /* tile::gather4, tile::scatter4: 5 coordinates for 2 dimensions */
	IR_TENSOR_IM2COL,
	IR_TENSOR_IM2COL_W,
	IR_TENSOR_IM2COL_W_128,
};

/*
 * CP_TENSOR.offset: mode, coordinates, im2col offsets, enum ir_atom of RED.
 * Sources: [map], the coordinates, [shared] (not PREFETCH), LOAD: [mbar], the im2col offsets (LOAD and
 * PREFETCH), LOAD: block mask|none.
 */
#define IR_TENSOR(mode, coords, offsets, atom)                                                     \
	((int64_t)((mode) | (coords) << 8 | (offsets) << 16 | (uint32_t)(atom) << 24))
#define IR_TENSOR_MODE(offset)	  ((uint32_t)(offset)&0xff)
#define IR_TENSOR_COORDS(offset)  ((uint32_t)(offset) >> 8 & 0xff)
#define IR_TENSOR_OFFSETS(offset) ((uint32_t)(offset) >> 16 & 0xff)
#define IR_TENSOR_ATOM(offset)	  ((uint32_t)(offset) >> 24 & 0xff)

/* TENSORMAP: the field that is replaced. */
enum ir_tensormap {
	IR_TENSORMAP_ADDRESS,
	IR_TENSORMAP_RANK,
	IR_TENSORMAP_BOX_DIM,
	IR_TENSORMAP_GLOBAL_DIM,
	IR_TENSORMAP_GLOBAL_STRIDE,
	IR_TENSORMAP_ELEMENT_STRIDE,
	IR_TENSORMAP_ELEMTYPE,
	IR_TENSORMAP_INTERLEAVE,
	IR_TENSORMAP_SWIZZLE,
	IR_TENSORMAP_FILL,
	IR_TENSORMAP_ATOMICITY,
};

enum ir_prmt {
	IR_PRMT_DEFAULT,
	IR_PRMT_F4E,
	IR_PRMT_B4E,
	IR_PRMT_RC8,
	IR_PRMT_ECL,
	IR_PRMT_ECR,
	IR_PRMT_RC16
};

/*
 * What the elements of a matrix are.   X(NAME, text, bits, register bits)
 * S4 .. E2M1 stand packed in 32-bit registers, lowest bits first.
 */
/* clang-format off */
#define IR_MATS(X)                                                                                 \
	X(NONE, "none", 0)                                                                         \
	X(F16,  "f16",  16)                                                                        \
	X(BF16, "bf16", 16)                                                                        \
	X(TF32, "tf32", 32)                                                                        \
	X(F32,  "f32",  32)                                                                        \
	X(F64,  "f64",  64)                                                                        \
	X(S32,  "s32",  32)                                                                        \
	X(S8,   "s8",   8)                                                                         \
	X(U8,   "u8",   8)                                                                         \
	X(S4,   "s4",   4)                                                                         \
	X(U4,   "u4",   4)                                                                         \
	X(B1,   "b1",   1)                                                                         \
	X(E4M3, "e4m3", 8)                                                                         \
	X(E5M2, "e5m2", 8)                                                                         \
	X(E3M2, "e3m2", 8)  /* in the low 6 bits of a byte */                                      \
	X(E2M3, "e2m3", 8)  /* the same */                                                         \
	X(E2M1, "e2m1", 8)  /* in the middle 4 bits of a byte */                                   \
	X(P4,   "p4",   4)  /* e2m1 without padding: kinds mxf4, mxf4nvf4 */                       \
	X(UE8M0, "ue8m0", 8)                                                                       \
	X(UE4M3, "ue4m3", 8)                                                                       \
	X(B16,  "b16",  16) /* ldmatrix, stmatrix */                                               \
	X(B8,   "b8",   8)                                                                         \
	X(B6P32, "b6x16_p32", 8) /* 16 elements of 6 bits, 32 bits of padding */                   \
	X(B4P64, "b4x16_p64", 8)
/* clang-format on */

enum ir_mat {
#define X(NAME, text, bits) IR_MAT_##NAME,
	IR_MATS(X)
#undef X
		IR_MAT_COUNT
};

/* Which matrix a fragment holds: of WMMA_LD and WMMA_ST. */
enum ir_frag { IR_FRAG_A, IR_FRAG_B, IR_FRAG_C };
enum ir_bitop { IR_BITOP_NONE, IR_BITOP_XOR, IR_BITOP_AND };

/*
 * The numbers of a matrix instruction.   X(field, text)   Printed as text=value where not 0.
 *
 *   m n k        shape; of ldmatrix and stmatrix the shape of one matrix (k = 0)
 *   a b d c      enum ir_mat
 *   sparse       A holds half of its columns; 2: ordered metadata
 *   quad         m8n8k4 of f16: each quad pair multiplies matrices of its own
 *   scale        scales per row (1X, 2X, 4X), 0 none; stype: their enum ir_mat
 *   acol bcol    of quad: the matrix stands column by column in its quad pair; of wgmma: .trans, the
 *                rows of a column stand together in shared memory; acol of what moves one matrix: it
 *                stands column by column in memory, .trans
 *   frag         enum ir_frag; num: matrices of ldmatrix, stmatrix
 *   adesc        wgmma: A comes from shared memory
 * Of ldmatrix a is what registers hold and b what memory does; a row of m8n8 or the like per lane.
 *   nega negb    wgmma: the negated matrix is meant
 */
/* clang-format off */
#define IR_MMA_FIELDS(X)                                                                           \
	X(m, "m") X(n, "n") X(k, "k") X(a, "a") X(b, "b") X(c, "c") X(d, "d")                      \
	X(sparse, "sparse") X(quad, "quad") X(scale, "scale") X(stype, "stype")                    \
	X(bitop, "bitop") X(acol, "acol") X(bcol, "bcol") X(frag, "frag") X(num, "num")            \
	X(adesc, "adesc") X(nega, "nega") X(negb, "negb")
/* clang-format on */

struct ir_mma {
#define X(field, text) uint16_t field;
	IR_MMA_FIELDS(X)
#undef X
};

/** How many registers the parts of a matrix instruction have. */
struct ir_mma_regs {
	uint32_t a, b, c, d;
};

/* Textures and surfaces: shapes as instructions name them, sources and modes. */
enum ir_geom {
	IR_GEOM_1D,
	IR_GEOM_2D,
	IR_GEOM_3D,
	IR_GEOM_A1D,
	IR_GEOM_A2D,
	IR_GEOM_CUBE,
	IR_GEOM_ACUBE,
	IR_GEOM_2DMS,
	IR_GEOM_A2DMS,
};
enum ir_tex_lod { IR_TEX_BASE, IR_TEX_LEVEL, IR_TEX_GRAD };
enum ir_edge { IR_EDGE_TRAP, IR_EDGE_CLAMP, IR_EDGE_ZERO };

/* Sources of TEX; absent ones are NONE. Those of SULD, SUST, SURED are the first six. */
#define IR_TEX_S_HANDLE	 0  /* u64: a handle, or the address of a variable that holds one */
#define IR_TEX_S_SAMPLER 1  /* u64, none: the texture's own */
#define IR_TEX_S_LAYER	 2  /* u32: layer or sample */
#define IR_TEX_S_COORD	 3  /* three of type2 (s32 of surfaces) */
#define IR_TEX_S_LEVEL	 6  /* of type2 */
#define IR_TEX_S_DX	 6  /* three f32 */
#define IR_TEX_S_DY	 9  /* three f32 */
#define IR_TEX_S_OFFSET	 12 /* three s32 */
#define IR_TEX_SOURCES	 15
#define IR_TEX_RESULTS	 5 /* four values, and a predicate: all texels are there */
#define IR_SURF_SOURCES	 6

/* ir_inst.offset of TEX: enum ir_tex_lod, and 1 + component of tld4. */
#define IR_TEX_MODE(lod, component) ((int64_t)(lod) | (int64_t)(component) << 4)
/* ir_inst.offset of surfaces: enum ir_edge, .p, enum ir_atom of SURED. */
#define IR_SURF_MODE(edge, formatted, atom)                                                        \
	((int64_t)(edge) | (int64_t)(formatted) << 4 | (int64_t)(atom) << 8)

/*
 * The value of an initialised .samplerref: IR_SAMPLER_TAG << 48, three address modes of 4 bits, then
 * the filter (bit 12) and force_unnormalized_coords (bit 13), with the numbers of VGPU_TEX_*.
 */
#define IR_SAMPLER_TAG 0x5352u

/* What TXQ asks.   X(NAME, text) */
/* clang-format off */
#define IR_QUERIES(X)                                                                              \
	X(WIDTH, "width") X(HEIGHT, "height") X(DEPTH, "depth")                                    \
	X(DATA_TYPE, "channel_data_type") X(ORDER, "channel_order")                                \
	X(NORMALIZED, "normalized_coords") X(FORCE_UNNORMALIZED, "force_unnormalized_coords")      \
	X(FILTER, "filter_mode") X(ADDR_0, "addr_mode_0") X(ADDR_1, "addr_mode_1")                 \
	X(ADDR_2, "addr_mode_2") X(ARRAY_SIZE, "array_size") X(LEVELS, "num_mipmap_levels")        \
	X(SAMPLES, "num_samples") X(MEMORY_LAYOUT, "memory_layout")
/* clang-format on */

enum ir_query {
#define X(NAME, text) IR_QUERY_##NAME,
	IR_QUERIES(X)
#undef X
		IR_QUERY_COUNT
};

/* Special registers (PTX ISA, section 10).   X(NAME, text, type) */
/* clang-format off */
#define IR_SREGS(X)                                                                                \
	X(TID_X, "%tid.x", U32) X(TID_Y, "%tid.y", U32) X(TID_Z, "%tid.z", U32)                    \
	X(NTID_X, "%ntid.x", U32) X(NTID_Y, "%ntid.y", U32) X(NTID_Z, "%ntid.z", U32)              \
	X(CTAID_X, "%ctaid.x", U32) X(CTAID_Y, "%ctaid.y", U32) X(CTAID_Z, "%ctaid.z", U32)        \
	X(NCTAID_X, "%nctaid.x", U32) X(NCTAID_Y, "%nctaid.y", U32) X(NCTAID_Z, "%nctaid.z", U32)  \
	X(LANEID, "%laneid", U32) X(WARPID, "%warpid", U32) X(NWARPID, "%nwarpid", U32)            \
	X(SMID, "%smid", U32) X(NSMID, "%nsmid", U32) X(GRIDID, "%gridid", U64)                    \
	X(IS_EXPLICIT_CLUSTER, "%is_explicit_cluster", PRED)                                       \
	X(CLUSTERID_X, "%clusterid.x", U32) X(CLUSTERID_Y, "%clusterid.y", U32)                    \
	X(CLUSTERID_Z, "%clusterid.z", U32)                                                        \
	X(NCLUSTERID_X, "%nclusterid.x", U32) X(NCLUSTERID_Y, "%nclusterid.y", U32)                \
	X(NCLUSTERID_Z, "%nclusterid.z", U32)                                                      \
	X(CLUSTER_CTAID_X, "%cluster_ctaid.x", U32) X(CLUSTER_CTAID_Y, "%cluster_ctaid.y", U32)    \
	X(CLUSTER_CTAID_Z, "%cluster_ctaid.z", U32)                                                \
	X(CLUSTER_NCTAID_X, "%cluster_nctaid.x", U32)                                              \
	X(CLUSTER_NCTAID_Y, "%cluster_nctaid.y", U32)                                              \
	X(CLUSTER_NCTAID_Z, "%cluster_nctaid.z", U32)                                              \
	X(CLUSTER_CTARANK, "%cluster_ctarank", U32) X(CLUSTER_NCTARANK, "%cluster_nctarank", U32)  \
	X(LANEMASK_EQ, "%lanemask_eq", U32) X(LANEMASK_LE, "%lanemask_le", U32)                    \
	X(LANEMASK_LT, "%lanemask_lt", U32) X(LANEMASK_GE, "%lanemask_ge", U32)                    \
	X(LANEMASK_GT, "%lanemask_gt", U32)                                                        \
	X(CLOCK, "%clock", U32) X(CLOCK_HI, "%clock_hi", U32) X(CLOCK64, "%clock64", U64)          \
	X(GLOBALTIMER, "%globaltimer", U64) X(GLOBALTIMER_LO, "%globaltimer_lo", U32)              \
	X(GLOBALTIMER_HI, "%globaltimer_hi", U32)                                                  \
	X(TOTAL_SMEM_SIZE, "%total_smem_size", U32) X(DYNAMIC_SMEM_SIZE, "%dynamic_smem_size", U32) \
	X(AGGR_SMEM_SIZE, "%aggr_smem_size", U32)                                                  \
	X(RESERVED_SMEM_OFFSET_BEGIN, "%reserved_smem_offset_begin", U32)                          \
	X(RESERVED_SMEM_OFFSET_END, "%reserved_smem_offset_end", U32)                              \
	X(RESERVED_SMEM_OFFSET_CAP, "%reserved_smem_offset_cap", U32)                              \
	X(CURRENT_GRAPH_EXEC, "%current_graph_exec", U64)                                          \
	X(ENVREG, "%envreg", U32) /* number in imm; envreg1/2 = grid workspace address */           \
	X(PM, "%pm", U32)         /* number in imm; reads 0 */
/* clang-format on */

enum ir_sreg {
#define X(NAME, text, type) IR_SREG_##NAME,
	IR_SREGS(X)
#undef X
		IR_SREG_COUNT
};

/* Functions that CUDA device code expects from the driver. */
enum ir_builtin {
	IR_BUILTIN_VPRINTF,    /* (u64 format, u64 args) -> s32 */
	IR_BUILTIN_ASSERTFAIL, /* (u64 message, u64 file, u32 line, u64 function, u64 charsize) */
	IR_BUILTIN_MALLOC,     /* (u64 size) -> u64 */
	IR_BUILTIN_FREE,       /* (u64 ptr) */
	/* Of the device runtime, interp/device.c; the last ones have arguments as written there. */
	IR_BUILTIN_CNP_BUFFER,
	IR_BUILTIN_CNP_BUFFER_V2,
	IR_BUILTIN_CNP_LAUNCH,
	IR_BUILTIN_CNP_LAUNCH_V2,
	IR_BUILTIN_CNP_STREAM_CREATE,
	IR_BUILTIN_CNP_STREAM_DESTROY,
	IR_BUILTIN_CNP_STREAM_WAIT,
	IR_BUILTIN_CNP_EVENT_CREATE,
	IR_BUILTIN_CNP_EVENT_DESTROY,
	IR_BUILTIN_CNP_EVENT_RECORD,
	IR_BUILTIN_CNP_LAST_ERROR,
	IR_BUILTIN_CNP_SET_ERROR,
	IR_BUILTIN_CNP_DEVICE,
	IR_BUILTIN_CNP_ATTRIBUTE,
	IR_BUILTIN_CNP_LIMIT,
	IR_BUILTIN_CNP_CACHE_CONFIG,
	IR_BUILTIN_CNP_SHARED_CONFIG,
	IR_BUILTIN_COUNT
};

enum ir_operand_kind { IR_OPND_NONE, IR_OPND_REG, IR_OPND_IMM };

/* What an immediate address counts from; what is compiled for keeps must not contain the sum. */
enum ir_base { IR_BASE_NONE, IR_BASE_GLOBAL, IR_BASE_MANAGED, IR_BASE_COUNT };

/**
 * An operand. Floats are immediates by bit pattern in the type of the use. The address of a module's
 * variable is an immediate with a base: imm is the sum, imm - ir_unit.base_va[base] the offset into
 * the module's memory of that kind.
 */
struct ir_operand {
	uint8_t kind; /* enum ir_operand_kind; NONE for an unused result ("_") */
	uint8_t base; /* enum ir_base, for IMM */
	uint32_t reg; /* index into ir_func.regs */
	uint64_t imm;
};

/** ir_is_number() - an immediate that is known before the module's memory has its place */
static inline bool ir_is_number(const struct ir_operand *o)
{
	return o->kind == IR_OPND_IMM && o->base == IR_BASE_NONE;
}

/** A piece of a frame: a function's parameter or result, or an argument at a call. */
struct ir_slot {
	uint32_t offset; /* bytes into the frame */
	uint32_t size;	 /* bytes */
};

/** What does not fit the common struct: CALL, SWITCH, matrix instructions. */
struct ir_aux {
	uint32_t count;	   /* SWITCH: targets; CALL*: arguments */
	uint32_t *targets; /* SWITCH: block indices */
	struct ir_slot
		*args; /* CALL*: pieces of the caller's frame, copied to the callee's params */
	uint32_t nrets;
	struct ir_slot *rets; /* CALL*: pieces of the caller's frame that receive the results */
	uint32_t func;	      /* CALL: index into ir_unit.funcs; CALL_BUILTIN: enum ir_builtin */
	struct ir_mma mma;    /* the matrix instructions */
};

/**
 * struct ir_inst - one instruction
 *
 * Operands: opnd[0 .. nd) results, opnd[nd .. nd + ns) sources. Lanes whose guard is false do
 * nothing. Fields that an operation does not use are 0.
 */
struct ir_inst {
	uint16_t op;   /* enum ir_op */
	uint8_t type;  /* enum ir_type: of the operation; for LD/ST/ATOM of the memory */
	uint8_t type2; /* CVT, SET, SLCT: source type; LD: type of the result registers */
	uint8_t nd, ns;
	uint8_t round;	/* enum ir_round */
	uint8_t cmp;	/* enum ir_cmp */
	uint8_t boolop; /* enum ir_bool */
	uint8_t space;	/* enum ir_space */
	uint8_t sub;	/* enum ir_atom / ir_vote / ir_shfl / ir_bar / ir_prmt, see ir_op.def */
	uint8_t sem;	/* enum ir_sem */
	uint8_t scope;	/* enum ir_scope */
	bool ftz, sat, nan, relu, xorsign, guard_not, integer_round, sync;
	int32_t guard;	       /* predicate register, or -1 */
	int64_t offset;	       /* LD, ST, ATOM, RED: added to the address; else see ir_op.def */
	uint32_t line, column; /* in the PTX text */
	struct ir_operand *opnd;
	struct ir_aux *aux; /* or NULL */
};

/** How a block ends. */
enum ir_term {
	IR_TERM_JUMP,	/* to target[0] */
	IR_TERM_BRANCH, /* lanes with pred (xor pred_not) to target[0], others to target[1] */
	IR_TERM_SWITCH, /* lanes to aux->targets[index]; index >= count is undefined: fault 715 */
	IR_TERM_RET,	/* lanes leave the function (of a kernel: exit) */
	IR_TERM_EXIT,	/* lanes end */
};

struct ir_block {
	const char *label; /* from the PTX, or NULL */
	struct ir_inst *insts;
	uint32_t count;
	uint8_t term; /* enum ir_term */
	bool pred_not;
	bool uniform;  /* .uni: all running lanes agree */
	uint32_t pred; /* BRANCH: predicate register; SWITCH: u32 index register */
	uint32_t target[2];
	struct ir_aux *aux; /* SWITCH */
	uint32_t line;
};

struct ir_reg {
	uint8_t type; /* PRED, U16, U32, U64 or U128: the width is what counts */
	const char *name;
};

struct ir_func {
	const char *name;
	uint32_t code; /* number in its module, for IR_CODE_BASE addresses */
	struct ir_reg *regs;
	uint32_t nregs;
	struct ir_block *blocks; /* [0] is the entry */
	uint32_t nblocks;
	uint32_t frame_bytes;	/* of local memory, multiple of 16: params, locals, arguments */
	struct ir_slot *params; /* of a device function, in its own frame */
	uint32_t nparams;
	struct ir_slot *rets;
	uint32_t nrets;
};

struct ir_unit {
	struct base_arena *arena;
	struct ir_func **funcs; /* [0] is the kernel */
	uint32_t nfuncs;
	uint32_t shared_bytes; /* static, rounded up to 16 */
	uint32_t param_bytes;
	uint32_t max_call_depth; /* 0 = recursion or indirect calls */
	bool uses_barrier;
	bool uses_grid_sync; /* reads %envreg1/2 */
	uint64_t base_va
		[IR_BASE_COUNT]; /* where the module's memory lies; 0 in what is read from text */
};

/* ---- ir_print.c, ir_read.c ------------------------------------------------------------------ */

/** ir_print() - the unit as text, the same wherever its variables lie; caller frees. NULL when out of
 * memory. */
char *ir_print(const struct ir_unit *unit);
/** ir_read() - the reverse. @err gets "line:column: message". Returns 0, -EINVAL, -ENOMEM. */
int ir_read(const char *text, struct base_arena *arena, struct ir_unit **ret_unit, char *err,
	    size_t err_bytes);
/** ir_bind() - says where the variables of a unit that was read from text lie; once. */
void ir_bind(struct ir_unit *unit, const uint64_t base_va[IR_BASE_COUNT]);
/* ---- ir_verify.c ---------------------------------------------------------------------------- */

/** ir_verify() - operand counts, register widths, block targets. 0 or -EINVAL with @err. */
int ir_verify(const struct ir_unit *unit, char *err, size_t err_bytes);

/* ---- ir_mma.c ------------------------------------------------------------------------------- */

/** ir_mma_valid() - is there such an instruction, and how many registers have its parts (d: loads too)? */
bool ir_mma_valid(enum ir_op op, const struct ir_mma *x, struct ir_mma_regs *ret_regs);
/** ir_mma_sources() - how many sources it has, the mask of members included. */
uint32_t ir_mma_sources(enum ir_op op, const struct ir_mma *x, const struct ir_mma_regs *regs);

/* ---- ir_info.c ------------------------------------------------------------------------------ */

bool ir_op_is_matrix(enum ir_op op);
const char *ir_mat_text(enum ir_mat t);
uint32_t ir_mat_bits(enum ir_mat t);
const char *ir_type_text(enum ir_type t);
uint32_t ir_type_bits(enum ir_type t);
bool ir_type_signed(enum ir_type t);
bool ir_type_float(enum ir_type t);
/** ir_atom_exists() - whether ATOM and RED know this combination of enum ir_atom and enum ir_type. */
bool ir_atom_exists(uint8_t sub, uint8_t type);
const char *ir_op_text(enum ir_op op);
const char *ir_sreg_text(enum ir_sreg s);

#endif
