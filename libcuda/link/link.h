/* SPDX-License-Identifier: MIT */
/*
 * link.h - the wire under libcuda: nodes, shared pages, rings, waits, and the map of addresses.
 *
 * Here: everything that knows how bytes get to the daemon. Not here: what an operation means to a
 * CUDA program, CUresult, contexts; a result is 0 or a negative errno.
 *
 * One struct link serves a process; core/process.c owns it. Discovery (link_open) starts nothing in
 * the daemon and shares nothing. The first operation marked WORKER makes the shared pages (or finds
 * that there can be none) and so starts the worker.
 *
 * Locks, outermost first: link->start_lock, link_stream->lock, link_table->lock.
 */
#ifndef LIBCUDA_LINK_H
#define LIBCUDA_LINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioctl/vgpu_ioctl.h"
#include "ioctl/vgpu_share.h"

#define LINK_FOREVER (~0ull)

struct link;

/** struct link_dev - one open node. Constant after link_open(), but for arena. */
struct link_dev {
	struct link *link;
	int fd;
	uint32_t index;	   /* the daemon's number for it (HELLO.device) */
	uint32_t node;	   /* N of /dev/nvidia-vgpuN */
	uint64_t features; /* VGPU_FEATURE_* common to both sides */
	uint32_t driver_version;
	char driver_string[32];
	struct vgpu_device_info info;
	struct vgpu_device_attrs attrs;
	uint8_t *arena; /* client's view of the device's memory; NULL without shared pages */
	uint64_t arena_bytes;
	int arena_fd;		   /* its file, -1 */
	pthread_mutex_t bulk_lock; /* link_read/link_write: the place belongs to the open file */
};

/* What a struct link_range is. */
enum link_kind {
	LINK_DEVICE = 1, /* cuMemAlloc, module globals */
	LINK_PINNED,	 /* cuMemAllocHost: same address on both sides (or none at the worker's) */
	LINK_MANAGED,	 /* cuMemAllocManaged */
	LINK_REGISTERED, /* cuMemHostRegister */
	LINK_MAPPED,	 /* VMM mapping: memory bound inside a reservation */
	LINK_RESERVED,	 /* VMM reservation; only in link->reserved */
	LINK_GLOBAL,	 /* a module's variable inside its image's memory */
	LINK_POOL,	 /* cuMemAllocAsync: a piece of a memory pool */
	LINK_GRAPH,	 /* an allocation node's: there from its graph's first launch on */
	LINK_IPC,	 /* of another process, opened by cuIpcOpenMemHandle or from its pool */
	LINK_ARRAY,	 /* texels of a CUDA array: no address of the program's */
};

/** struct link_range - a run of addresses that this process owns; handed out by value. */
struct link_range {
	uint64_t va;
	uint64_t size;
	enum link_kind kind;
	uint32_t flags; /* of the call that made it, or protection of a mapping */
	struct link_dev *dev;
	void *host; /* where the client touches byte va; NULL: only pread/pwrite */
	void *ctx;  /* owner, opaque here */
	uint64_t arena_off;
	uint64_t id;	     /* unique in the process, rising */
	void *object;	     /* what is bound there (VMM), opaque here */
	bool worker_visible; /* the worker has this memory at va */
	bool replaced;	     /* in registered: shared pages lie in the place of these */
};

/** struct link_table - ordered, disjoint ranges. */
struct link_table {
	pthread_rwlock_t lock;
	struct link_node *root; /* guarded by lock */
	uint64_t next_id;	/* guarded by lock */
	uint64_t count;		/* guarded by lock */
};

/** struct link - all that a process shares with its daemon. */
struct link {
	uint32_t dev_count;
	struct link_dev *dev[VGPU_MAX_DEVICES];
	uint64_t window_base;
	uint64_t window_size;
	bool window_reserved; /* the addresses are ours in this process, too */

	pthread_mutex_t start_lock;
	uint32_t started; /* atomic; set once the pages are made or refused */
	uint32_t dead;	  /* atomic; the worker or the daemon has gone: -ENODEV for ever */
	struct vgpu_share_control *control; /* NULL: commands travel by SUBMIT */
	int host_fd;			    /* HOST arena, -1: the worker has none of our memory */

	pthread_mutex_t event_lock;
	uint64_t event_used[VGPU_SHARE_EVENTS / 64]; /* guarded by event_lock */
	uint64_t event_late[VGPU_SHARE_EVENTS /
			    64];	       /* guarded by event_lock; freed, record pending */
	uint64_t event_gen[VGPU_SHARE_EVENTS]; /* last generation given out, atomic */
	uint32_t event_hint;		       /* guarded by event_lock */

	struct link_table ranges;   /* memory: what can be read, written, or asked about */
	struct link_table reserved; /* VMM reservations */
	struct link_table textures; /* texture and surface objects: a handle as an address */

	pthread_mutex_t register_lock;
	/*
	 * Runs of pages that are registered, for one or more of LINK_REGISTERED: two of these may
	 * share a page. flags counts them; guarded by register_lock.
	 */
	struct link_table registered;
};

/**
 * link_open() - find the nodes and greet them.
 *
 * Nodes: <VGPU_NODE_DIR>/nvidia-vgpu0 .. 15 in numeric order; the environment's VGPU_NODE_DIR
 * overrides the built-in directory (ignored in set-id programs). -ENODEV: none there; -EACCES:
 * there, but not for us; -EPROTONOSUPPORT: daemon of another major version.
 */
int link_open(struct link **ret_link);
/** link_close() - closes nodes and unmaps pages. Nobody may use them any more. NULL is accepted. */
void link_close(struct link *l);
/** link_abandon() - in the child of a fork: drop descriptors, touch nothing that is shared. */
void link_abandon(struct link *l);

/**
 * link_call() - one operation; @op is VGPU_OP_x (VGPU_IOC_x does as well), @arg its struct.
 *
 * @size: bytes of @arg that travel, at most the struct's size; the rest counts as zero and is not
 * written back. Never -EINTR: signals wait until it is over (an operation is not repeatable).
 */
int link_call(struct link_dev *dev, unsigned int op, void *arg, size_t size);

/** link_read(), link_write() - bytes at @offset (device address, VGPU_BLOB_OFFSET) by the node. */
int link_read(struct link_dev *dev, uint64_t offset, void *buf, size_t bytes);
int link_write(struct link_dev *dev, uint64_t offset, const void *buf, size_t bytes);

/** link_start() - make the shared pages now; link_call() does it by itself when needed. */
int link_start(struct link *l);
/** link_shared() - true when streams have shared rings. After link_start(). */
bool link_shared(const struct link *l);
/** link_ctx_error() - sticky CUresult of the context in @slot (0 without shared pages). */
uint32_t link_ctx_error(const struct link *l, uint32_t slot);
/** link_ctx_console() - bytes that wait for CONSOLE_READ; without shared pages always 1 (ask). */
uint32_t link_ctx_console(const struct link *l, uint32_t slot);

/* ---- streams: ring.c ------------------------------------------------------------------------ */

/** struct link_stream - a queue of commands; seq counts them: 1, 2, 3 ... */
struct link_stream {
	struct link_dev *dev;
	uint32_t handle; /* for STREAM_WAIT */
	uint32_t slot;
	uint32_t ctx_slot;
	struct vgpu_share_stream *share; /* NULL: SUBMIT and WAIT */
	uint8_t *ring;
	pthread_mutex_t lock;
	uint64_t tail;	     /* guarded by lock */
	uint64_t seq;	     /* last submitted; written under lock, read atomically */
	uint64_t done;	     /* last known done_seq without shared pages; atomic */
	uint64_t done_token; /* the same of host tokens */
	uint64_t token;	     /* last host token; guarded by lock */
	uint32_t error;	     /* sticky error seen by WAIT without shared pages; atomic */
};

int link_stream_create(struct link_dev *dev, uint32_t ctx, uint32_t ctx_slot, uint32_t flags,
		       int32_t priority, struct link_stream **ret_stream);
/** link_stream_destroy() - what is queued still runs. @in_daemon: also destroy it there. */
void link_stream_destroy(struct link_stream *s, bool in_daemon);

/** link_submit() - append @cmd, cmd->bytes long (made a multiple of 8 on the way). */
int link_submit(struct link_stream *s, const struct vgpu_cmd *cmd, uint64_t *ret_seq);
/** link_submit_body() - the same with @body_bytes more behind the struct (kernel parameters). */
int link_submit_body(struct link_stream *s, const struct vgpu_cmd *cmd, const void *body,
		     size_t body_bytes, uint64_t *ret_seq);

/** link_submitted() - seq of the last command, 0 for none yet. */
uint64_t link_submitted(const struct link_stream *s);
/** link_done() - 1 when @seq is complete, 0 when not, -ENODEV. */
int link_done(struct link_stream *s, uint64_t seq);
/** link_wait() - until @seq is complete. -ETIMEDOUT, -ENODEV. Restarts after signals. */
int link_wait(struct link_stream *s, uint64_t seq, uint64_t timeout_ns);
/**
 * link_wait_token() - until the stream stands at host token @token, or has done @seq without
 * stopping there (the context has an error). link_at_token() tells which.
 */
int link_wait_token(struct link_stream *s, uint64_t token, uint64_t seq, uint64_t timeout_ns);
bool link_at_token(struct link_stream *s, uint64_t token);
/** link_host_call() - append a HOST_CALL; its token comes back. */
int link_host_call(struct link_stream *s, uint64_t *ret_token, uint64_t *ret_seq);
/** link_host_done() - the call of @token has returned; the stream goes on. */
int link_host_done(struct link_stream *s, uint64_t token);
/** link_stream_error() - sticky CUresult of the stream's context. */
uint32_t link_stream_error(struct link_stream *s);

/* ---- event slots: slot.c ------------------------------------------------------------------- */

int link_event_alloc(struct link *l, uint32_t *ret_slot);
void link_event_free(struct link *l, uint32_t slot);
/** link_event_next() - a new generation for a record. */
uint64_t link_event_next(struct link *l, uint32_t slot);
/** link_event_state() - last completed generation, and its time. */
int link_event_state(struct link_dev *dev, uint32_t slot, uint64_t *ret_gen, uint64_t *ret_time_ns);

/* ---- addresses: range.c, pages.c ------------------------------------------------------------ */

int link_map_init(struct link_table *m);
void link_map_fini(struct link_table *m);
/** link_map_add() - @r.id is chosen here. -EEXIST: overlaps one that is there; -ENOMEM. */
int link_map_add(struct link_table *m, const struct link_range *r);
/** link_map_find() - the range that holds @va: 0 or -ENOENT. */
int link_map_find(struct link_table *m, uint64_t va, struct link_range *ret_range);
/** link_map_next() - the first range with an address >= @va in it or after it: 0 or -ENOENT. */
int link_map_next(struct link_table *m, uint64_t va, struct link_range *ret_range);
/** link_map_remove() - the range that starts at @va: 0 or -ENOENT. */
int link_map_remove(struct link_table *m, uint64_t va, struct link_range *ret_range);
/** link_map_set_flags() - of the range that starts at @va. */
int link_map_set_flags(struct link_table *m, uint64_t va, uint32_t flags);
/** link_map_set_host() - where the client touches the range that starts at @va. */
int link_map_set_host(struct link_table *m, uint64_t va, void *host);
/** link_map_set_owner() - to whom the range that starts at @va belongs from now on. */
int link_map_set_owner(struct link_table *m, uint64_t va, struct link_dev *dev, void *ctx);

/** link_in_window() - is this an address that could be the device's? */
bool link_in_window(const struct link *l, uint64_t va);

/** link_pages_map_host() - the HOST arena's bytes at their address in this process. */
int link_pages_map_host(struct link *l, uint64_t va, uint64_t size, uint64_t arena_off);
/** link_pages_unmap() - back to an address nobody can touch. */
void link_pages_unmap(struct link *l, uint64_t va, uint64_t size);
/** link_pages_memfd() - a sealed memfd of exactly @size, at a high number. */
int link_pages_memfd(const char *name, uint64_t size, int *ret_fd);
/**
 * link_pages_share() - replace the pages [@va, +@size) of this process by a shared mapping of a new
 * sealed memfd with the same content. Only private pages that can be read, and that are all writable
 * or all not: -ENOTSUP otherwise. The descriptor comes back for HOST_REGISTER.
 */
int link_pages_share(uint64_t va, uint64_t size, int *ret_fd, bool *ret_read_only);
/** link_pages_private() - the reverse: private pages with the same content. */
int link_pages_private(uint64_t va, uint64_t size);
/**
 * link_pages_find() - a descriptor of the file behind the shared mapping [@va, +@size), and where in
 * it @va lies. -ENOTSUP: not such a mapping, or none to be had; -EINVAL: not even memory.
 */
int link_pages_find(uint64_t va, uint64_t size, int *ret_fd, uint64_t *ret_offset,
		    bool *ret_read_only);

#endif
