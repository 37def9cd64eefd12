/* SPDX-License-Identifier: MIT */
/*
 * abi.h - what generated code and the runtime share: one list of fields for each struct.
 *
 * Here: the lists, from which come the C struct and, in cg_abi.c, the offsets. An object carries a
 * hash of them, so code that was made for other lists is refused.
 *
 *   X(kind, C type, name)   kind: i32, i64, ptr
 */
#ifndef SOFT_LLVM_ABI_H
#define SOFT_LLVM_ABI_H

#include <stddef.h>
#include <stdint.h>

struct llvm_ctx;

/*
 * The functions that generated code calls, through ctx->table. None returns after a fault: the
 * warp's stack is left where it is.
 */
/* clang-format off */
#define LLVM_TABLE(X)                                                                              \
	/* run operation @id in the interpreter for @lanes; operands lie in the slots */           \
	X(void, bridge, (struct llvm_ctx *c, uint32_t id, uint32_t lanes))                         \
	/* @lanes end, others of the warp go on */                                                 \
	X(void, exit, (struct llvm_ctx *c, uint32_t lanes))                                        \
	/* all lanes that live are at a barrier; returns the value of bar.red, see warp.c */       \
	X(uint32_t, bar, (struct llvm_ctx *c, uint32_t id, uint32_t count, uint32_t lanes,         \
			  uint32_t preds, uint32_t flags))                                         \
	/* some lanes are at one; they go on at block @next when it completes */                   \
	X(void, bar_park, (struct llvm_ctx *c, uint32_t id, uint32_t count, uint32_t lanes,        \
			   uint32_t next, uint32_t flags))                                         \
	/* 1: go on; 0: parked, to come back to block @here when all @members have come */         \
	X(uint32_t, sync, (struct llvm_ctx *c, uint32_t here, uint32_t lanes, uint32_t members))   \
	/* after many back edges; 1: give other lanes of the warp a turn */                        \
	X(uint32_t, look, (struct llvm_ctx *c, uint32_t others))                                   \
	/* the next block to run: its lanes stand in pending; NO_BLOCK: the warp is done */        \
	X(uint32_t, pick, (struct llvm_ctx *c))                                                    \
	/* an index beyond the targets of a switch: fault 715 */                                   \
	X(void, bad_switch, (struct llvm_ctx *c, uint32_t lanes, uint32_t line))

#define LLVM_CTX(X)                                                                                \
	X(ptr, const struct llvm_table *, table)                                                   \
	X(i64, uint64_t, window_base)                                                              \
	X(i64, uint64_t, window_size)                                                              \
	X(i64, uint64_t, global_va)   /* of the module's variables */                              \
	X(i64, uint64_t, managed_va)                                                               \
	X(ptr, uint8_t *, shared)                                                                  \
	X(ptr, const uint8_t *, params)                                                            \
	X(ptr, uint8_t *, local)        /* lane i at local + i * local_stride */                   \
	X(ptr, uint8_t *, locals)       /* of the first warp, where warps run in turns */          \
	X(i64, uint64_t, local_stride)                                                             \
	X(ptr, uint32_t *, pending)     /* per block: lanes that wait there and may run */         \
	X(ptr, uint8_t *, frames)       /* what warps keep over barriers, frame_bytes each */      \
	X(ptr, uint8_t *, slots)        /* operands of bridged operations, LLVM_SLOT bytes each */ \
	X(i32, uint32_t, shared_bytes)                                                             \
	X(i32, uint32_t, local_bytes)                                                              \
	X(i32, uint32_t, ctaid_x)                                                                  \
	X(i32, uint32_t, ctaid_y)                                                                  \
	X(i32, uint32_t, ctaid_z)                                                                  \
	X(i32, uint32_t, nctaid_x)                                                                 \
	X(i32, uint32_t, nctaid_y)                                                                 \
	X(i32, uint32_t, nctaid_z)                                                                 \
	X(i32, uint32_t, ntid_x)                                                                   \
	X(i32, uint32_t, ntid_y)                                                                   \
	X(i32, uint32_t, ntid_z)                                                                   \
	X(i32, uint32_t, threads)       /* of the block */                                         \
	X(i32, uint32_t, warp)          /* that runs; written by generated code */                 \
	X(i32, uint32_t, lanes)         /* of that warp, that exist */                             \
	X(i32, uint32_t, exited)        /* of those, ended; written by the runtime */              \
	X(i32, uint32_t, sync_ok)       /* lanes whose partners have come */                       \
	X(i32, uint32_t, budget)        /* back edges until the next look */                       \
	X(i32, uint32_t, polls)         /* accesses that look like waiting */                      \
	X(i32, uint32_t, line)          /* of the last access that may fault; generated code */    \
	X(i32, uint32_t, running)       /* lanes, when line was written */                         \
	X(i64, uint64_t, address)       /* of lane 0 in that access, or 0 */                       \
	X(i64, uint64_t, step)          /* between its lanes */
/* clang-format on */

struct llvm_table {
#define X(ret, name, params) ret(*name) params;
	LLVM_TABLE(X)
#undef X
};

struct llvm_ctx {
#define X(kind, type, name) type name;
	LLVM_CTX(X)
#undef X
};

#define LLVM_SLOT	  512u
#define LLVM_NO_BLOCK	  UINT32_MAX
#define LLVM_BAR_WAIT	  1u
#define LLVM_BAR_CLUSTER  2u /* wait for a phase of the cluster; id, count and preds are 0 */
#define LLVM_BUDGET	  4096u
#define LLVM_BUDGET_POLLS 64u /* when the loop may be waiting for somebody */
#define LLVM_MAX_BLOCKS	  8192u
#define LLVM_MAX_BRIDGED  16384u
#define LLVM_ENTRY	  "vgpu_warps"
#define LLVM_SECTION_INFO ".vgpu.info"
#define LLVM_SECTION_UNIT ".vgpu.unit" /* bridged operations: an IR unit as text */

#define LLVM_CODE_STOPS 1u /* may wait: warps run one by one on stacks of their own */
#define LLVM_CODE_QUICK 2u /* made soon; there can be better code */
#define LLVM_CODE_TURNS 4u /* warps of a block run in turns, from barrier to barrier */

#define LLVM_MAX_FRAME (1u << 20)

/** struct llvm_info - the first thing in an object's LLVM_SECTION_INFO */
struct llvm_info {
	uint64_t magic; /* LLVM_MAGIC ^ the hash of the lists */
	uint32_t block[3];
	uint32_t nblocks; /* entries of pending */
	uint32_t nbridged;
	uint32_t flags;	      /* LLVM_CODE_* */
	uint32_t frame_bytes; /* of a warp that waits its turn */
	uint32_t pad;
};

#define LLVM_MAGIC 0x32766d6c6c757067ull

/** llvm_abi_magic() - changes whenever one of the lists does. */
static inline uint64_t llvm_abi_magic(void)
{
	static const char text[] =
#define X(kind, type, name) #kind " " #name ";"
		LLVM_CTX(X)
#undef X
#define X(ret, name, params) #ret " " #name #params ";"
			LLVM_TABLE(X)
#undef X
		;
	uint64_t h = 0xcbf29ce484222325ull;

	for (const char *p = text; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	return LLVM_MAGIC ^ h;
}

/** The function in an object: runs warps first .. last - 1 of a block. */
typedef void (*llvm_entry)(struct llvm_ctx *c, uint32_t first, uint32_t last);

#endif
