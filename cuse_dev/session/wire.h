/* SPDX-License-Identifier: MIT */
/*
 * wire.h - what front and worker say to each other on their SOCK_SEQPACKET pair.
 *
 * One message is one struct wire_msg followed by payload_bytes of payload. A request of the front
 * carries a client's ioctl (its struct, zero-extended to the worker's size, already checked for
 * size and tail) or a bulk transfer or a control message; the worker answers each with the same
 * tag, in any order. Descriptors travel as SCM_RIGHTS with the message they belong to.
 *
 * Both programs come from one build: the layout has no version. The front nevertheless treats what
 * a worker says as hostile: a worker runs the client's code.
 */
#ifndef SESSION_WIRE_H
#define SESSION_WIRE_H

#include <stdint.h>

#include "ioctl/vgpu_ioctl.h"

#define WIRE_MAX_PAYLOAD 16384
#define WIRE_MAX_FDS	 23
#define WIRE_WORKER_FD	 3 /* the worker's end of the socket after exec */

/* Bounce buffer for pread/pwrite, one memfd per worker, made by the front, sent with WIRE_INIT. */
#define WIRE_BOUNCE_SLOTS 4
#define WIRE_BOUNCE_BYTES (1u << 20) /* per slot; the largest FUSE request */

enum wire_kind {
	WIRE_INIT = 1, /* front→worker: struct wire_init + fds; comes first, answered if ready */
	WIRE_CALL,     /* front→worker: op = VGPU_OP_*, payload = its struct; fds as below */
	WIRE_READ, /* front→worker: payload = struct wire_bulk; bytes end up in the bounce slot */
	WIRE_WRITE, /* front→worker: payload = struct wire_bulk; bytes are in the bounce slot */
	WIRE_CANCEL, /* front→worker: tag of a request whose client got a signal; no reply itself */
	WIRE_REPLY, /* worker→front: status, payload = the struct to hand back */
	WIRE_FAULT, /* worker→front, unasked: a context of device broke; struct vgpu_ctx_status */
};

/**
 * struct wire_msg - head of each message
 *
 * For VGPU_OP_BLOB_CREATE, PHYS_CREATE, PHYS_IMPORT and HOST_REGISTER with fd >= 0 in their struct
 * the front attaches the descriptor it opened and checked; the worker ignores the number inside.
 */
struct wire_msg {
	uint32_t kind;	 /* enum wire_kind */
	uint32_t op;	 /* VGPU_OP_* for WIRE_CALL */
	uint64_t tag;	 /* chosen by the front, unique among pending requests of this worker */
	uint32_t device; /* index of the node it came through */
	int32_t status;	 /* reply: 0 or negative errno; WIRE_READ/WRITE: bytes moved or -errno */
	uint32_t payload_bytes;
	uint32_t fds;	/* descriptors attached */
	int64_t charge; /* reply: bytes of device memory now more (+) or less (-) backed on
			   * device; the front adds it to the client's account. Before it relays
			   * MEM_ALLOC (kind DEVICE), PHYS_CREATE and MODULE_LOAD the front makes
			   * sure that the wanted size, rounded up to 2 MiB, is free. */
};

struct wire_bulk {
	uint64_t offset; /* device address or VGPU_BLOB_OFFSET + byte */
	uint32_t bytes;	 /* up to WIRE_BOUNCE_BYTES */
	uint32_t slot;	 /* bounce slot */
};

/* Which descriptors come with WIRE_INIT, in this order, each only if its bit is set. */
#define WIRE_FD_BOUNCE	  (1u << 0)
#define WIRE_FD_CONTROL	  (1u << 1)
#define WIRE_FD_HOST	  (1u << 2)
#define WIRE_FD_DEVICE(i) (1u << (3 + (i))) /* arena of device i, up to VGPU_MAX_DEVICES */
#define WIRE_FD_METER	  WIRE_FD_DEVICE(VGPU_MAX_DEVICES) /* struct meter_page, ours and its */
#define WIRE_FD_COMPILER  (1u << 20) /* socket to the compiler, SOCK_SEQPACKET */
#define WIRE_FD_CACHE	  (1u << 21) /* base/store.h, read-only: what was compiled before */

/** struct wire_device - what a worker must know of each device */
struct wire_device {
	char profile[32];      /* row of vdev/profile.def */
	uint64_t mem_total;    /* bytes */
	uint64_t mem_reserved; /* bytes */
};

/** struct wire_init - payload of WIRE_INIT */
struct wire_init {
	uint64_t window_base;
	uint64_t window_size;
	uint64_t control_bytes; /* sizes of the memfds, 0 where there is none */
	uint64_t host_bytes;
	uint64_t device_bytes[VGPU_MAX_DEVICES];
	uint32_t fd_mask; /* WIRE_FD_* */
	uint32_t device_count;
	uint32_t threads; /* compute threads, 0 = one per CPU allowed */
	uint32_t pad;
	struct wire_device device[VGPU_MAX_DEVICES];
};

#endif
