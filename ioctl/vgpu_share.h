/* SPDX-License-Identifier: MIT */
/*
 * vgpu_share.h - what lies on the pages that a client and its worker share.
 *
 * Here: the layout of the control memfd (VGPU_SHARE_CONTROL), and the commands in the rings. Not
 * here: how the pages get to the worker (VGPU_OP_SHARE).
 *
 * Each field says who writes it. The other side only reads, and neither trusts what it reads: the
 * worker copies a command once and checks the copy; it keeps its own counters and only
 * *publishes* them here, so a client that scribbles harms itself alone.
 *
 *   offset 0                      struct vgpu_share_control
 *   VGPU_SHARE_RING_OFF(slot)     ring of stream slot: VGPU_RING_BYTES bytes of commands
 *
 * A ring
 * ------
 *   head <= tail <= head + VGPU_RING_BYTES            (byte counts, never wrapped)
 *   byte i of the stream lies at ring[i % VGPU_RING_BYTES]
 *
 * A command is a struct vgpu_cmd followed by its body, padded to 8 bytes; it may wrap around the end
 * of the ring. The client writes the command, then tail (release). If it then finds asleep != 0
 * (seq_cst fence between) it stores 0 there and wakes the futex word asleep; without that store a
 * wake-up between the worker's last look at tail and its sleep would be lost. The worker takes seq
 * of the command (1, 2, 3 ... per stream), runs it, then publishes done_seq (release) and wakes the
 * futex word done_word if waiters != 0.
 *
 * When its context has a sticky error the worker still consumes commands and completes them without
 * running them, so waits end.
 *
 * STREAM_CREATE sets all counters of the slot to 0, those of the client too, before it answers.
 *
 * Without shared pages the same bytes travel in VGPU_OP_SUBMIT and the worker keeps ring and
 * counters in its own memory.
 *
 * Order between streams (the legacy default stream, cuStreamWaitEvent) is expressed by the client
 * with VGPU_CMD_STREAM_WAIT and VGPU_CMD_EVENT_WAIT.
 */
#ifndef VGPU_SHARE_H
#define VGPU_SHARE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VGPU_SHARE_STREAMS  512	    /* stream slots per client process */
#define VGPU_SHARE_EVENTS   65536   /* event slots per client process */
#define VGPU_SHARE_CONTEXTS 128	    /* context slots per client process */
#define VGPU_RING_BYTES	    131072u /* power of two; holds the largest launch */
#define VGPU_CMD_MAX_BYTES  40960u  /* one command with header and padding */

#define VGPU_SHARE_HEADER_BYTES	  0x200000ull /* struct vgpu_share_control fits */
#define VGPU_SHARE_RING_OFF(slot) (VGPU_SHARE_HEADER_BYTES + (uint64_t)(slot)*VGPU_RING_BYTES)
#define VGPU_SHARE_CONTROL_BYTES  VGPU_SHARE_RING_OFF(VGPU_SHARE_STREAMS)

/** One stream's counters; two cache lines so that both sides do not write the same one. */
struct vgpu_share_stream {
	uint64_t tail;	    /**< client: bytes written to the ring */
	uint64_t host_ack;  /**< client: last host token whose call returned */
	uint32_t host_word; /**< client: futex word, changes with host_ack */
	uint32_t waiters;   /**< client: number of threads that sleep on done_word */
	uint64_t client_pad[5];
	uint64_t head;	     /**< worker: bytes taken from the ring */
	uint64_t done_seq;   /**< worker: commands completed */
	uint64_t host_token; /**< worker: last VGPU_CMD_HOST_CALL reached */
	uint32_t done_word;  /**< worker: futex word, changes with done_seq and host_token */
	uint32_t asleep; /**< worker: 1 while it sleeps on this word; a client that wakes it: 0 */
	uint64_t worker_pad[4];
};

/** One event slot; slots are given out by the client. */
struct vgpu_share_event {
	uint64_t gen;	  /**< worker: generation of the last completed EVENT_RECORD */
	uint64_t time_ns; /**< worker: CLOCK_MONOTONIC of that; written before gen */
};

struct vgpu_share_ctx {
	uint32_t error;	  /**< worker: sticky CUresult */
	uint32_t console; /**< worker: bytes waiting for CONSOLE_READ, saturating */
};

struct vgpu_share_control {
	/**
	 * worker: 1 once it serves the rings, 2 when it leaves in order. The front writes 3 after the
	 * worker has died: then every ctx[].error is 719 (where it was 0), every done_word has
	 * changed and its sleepers are awake; seq counters stand still for ever.
	 */
	uint32_t worker_alive;
	uint32_t pad;
	uint64_t reserved[7];
	struct vgpu_share_ctx ctx[VGPU_SHARE_CONTEXTS];
	struct vgpu_share_stream stream[VGPU_SHARE_STREAMS];
	struct vgpu_share_event event[VGPU_SHARE_EVENTS];
};

/* --------------------------------------------------------------------------------------------- */

/*
 * The commands.   X(nr, NAME, name)   -- append only
 * A command that the worker refuses (bad address, unknown handle) puts the sticky error 700 or 719
 * on the context, as a GPU does with a bad method; libcuda checks what it can before.
 */
/* clang-format off */
#define VGPU_CMDS(X)                                                                               \
	X(1, NOP,          nop)          /* takes a seq, does nothing               */             \
	X(2, LAUNCH,       launch)       /* run a kernel                            */             \
	X(3, COPY,         copy)         /* linear copy, both sides device-visible  */             \
	X(4, COPY_RECT,    copy_rect)    /* pitched 2D/3D copy                      */             \
	X(5, FILL,         fill)         /* memset of 1, 2 or 4 byte elements       */             \
	X(6, EVENT_RECORD, event_record) /* stamp an event slot                     */             \
	X(7, EVENT_WAIT,   event_wait)   /* until slot has reached a generation     */             \
	X(8, STREAM_WAIT,  stream_wait)  /* until another stream has done a seq     */             \
	X(9, HOST_CALL,    host_call)    /* until the client acknowledges a token   */             \
	X(10, VALUE_WRITE, value_write)  /* cuStreamWriteValue32/64                 */             \
	X(11, VALUE_WAIT,  value_wait)   /* cuStreamWaitValue32/64                  */             \
	X(12, GRAPH_RUN,   graph_run)    /* the commands of GRAPH_CREATE            */             \
	X(13, BRANCH,      branch)       /* in a graph: go on somewhere else        */             \
	X(14, TASK,        task)         /* in a graph: what may run side by side   */
/* clang-format on */

enum vgpu_cmd_op {
#define X(nr, NAME, name) VGPU_CMD_##NAME = nr,
	VGPU_CMDS(X)
#undef X
};

/** Head of every command. */
struct vgpu_cmd {
	uint32_t op;	/**< VGPU_CMD_* */
	uint32_t bytes; /**< header and body, multiple of 8, up to VGPU_CMD_MAX_BYTES */
};

struct vgpu_cmd_nop {
	struct vgpu_cmd head;
};

#define VGPU_LAUNCH_COOPERATIVE (1u << 0)

/** Kernel parameters follow the struct: param_bytes bytes, laid out as FUNC_PARAMS says. */
struct vgpu_cmd_launch {
	struct vgpu_cmd head;
	uint32_t func;	       /**< handle */
	uint32_t flags;	       /**< VGPU_LAUNCH_* */
	uint32_t grid[3];      /**< blocks */
	uint32_t block[3];     /**< threads */
	uint32_t cluster[3];   /**< blocks, 1,1,1 for none */
	uint32_t shared_bytes; /**< dynamic */
	uint32_t param_bytes;
	uint32_t pad;
};

struct vgpu_cmd_copy {
	struct vgpu_cmd head;
	uint64_t dst; /**< device-visible address */
	uint64_t src; /**< device-visible address */
	uint64_t bytes;
};

/** Address of row (z, y) on a side: base + (z * height + y) * pitch. */
struct vgpu_cmd_copy_rect {
	struct vgpu_cmd head;
	uint64_t dst;
	uint64_t dst_pitch;
	uint64_t dst_height;
	uint64_t src;
	uint64_t src_pitch;
	uint64_t src_height;
	uint64_t width;	 /**< bytes per row */
	uint64_t height; /**< rows per slice */
	uint64_t depth;	 /**< slices */
};

struct vgpu_cmd_fill {
	struct vgpu_cmd head;
	uint64_t dst;
	uint64_t pitch;	 /**< bytes between rows */
	uint64_t width;	 /**< elements per row */
	uint64_t height; /**< rows */
	uint32_t value;
	uint32_t element; /**< bytes: 1, 2 or 4 */
};

struct vgpu_cmd_event_record {
	struct vgpu_cmd head;
	uint32_t slot;
	uint32_t pad;
	uint64_t gen; /**< greater than every earlier one of this slot */
};

struct vgpu_cmd_event_wait {
	struct vgpu_cmd head;
	uint32_t slot;
	uint32_t pad;
	uint64_t gen;
};

struct vgpu_cmd_stream_wait {
	struct vgpu_cmd head;
	uint32_t stream; /**< handle; a destroyed one counts as done */
	uint32_t pad;
	uint64_t seq;
};

struct vgpu_cmd_host_call {
	struct vgpu_cmd head;
	uint64_t token; /**< rising per stream */
};

struct vgpu_cmd_value_write {
	struct vgpu_cmd head;
	uint64_t va;
	uint64_t value;
	uint32_t bytes; /**< 4 or 8 */
	uint32_t pad;
};

struct vgpu_cmd_value_wait {
	struct vgpu_cmd head;
	uint64_t va;
	uint64_t value;
	uint32_t bytes; /**< 4 or 8 */
	uint32_t flags; /**< CUstreamWaitValue_flags: GEQ 0, EQ 1, AND 2, NOR 3 */
};

struct vgpu_cmd_graph_run {
	struct vgpu_cmd head;
	uint32_t graph; /**< handle, of the stream's context */
	uint32_t pad;
};

#define VGPU_BRANCH_ALWAYS    0
#define VGPU_BRANCH_EQUAL     1 /* if the 32-bit word at va is value */
#define VGPU_BRANCH_NOT_EQUAL 2

/** Only between the commands of a graph. */
struct vgpu_cmd_branch {
	struct vgpu_cmd head;
	uint64_t va; /**< device-visible, multiple of 4; 0 with VGPU_BRANCH_ALWAYS */
	uint32_t value;
	uint32_t when;	 /**< VGPU_BRANCH_* */
	uint64_t target; /**< byte of the graph where a command of its task begins, or its end */
};

/**
 * Only between the commands of a graph. Commands in front of the first TASK are task 0; each TASK begins
 * the next one, up to the TASK behind it. A task runs when those are done whose numbers follow the struct
 * (deps times uint32_t, padded to 8 bytes; all less than its own), in any order or at the same time as
 * others.
 */
struct vgpu_cmd_task {
	struct vgpu_cmd head;
	uint32_t deps;
	uint32_t pad;
};

#ifdef __cplusplus
}
#endif
#endif /* VGPU_SHARE_H */
