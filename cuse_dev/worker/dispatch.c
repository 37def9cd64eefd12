/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c - VGPU_OPS expanded into the table of handlers. What does not depend on the operation
 * is checked here, once.
 */
#include <errno.h>
#include <string.h>

#include "cuse_dev/base/limits.h"
#include "cuse_dev/worker/worker.h"

#define CALL_FRONT(name)
#define CALL_WORKER(name)                                                                          \
	static int call_##name(struct worker_call *c, void *a)                                     \
	{                                                                                          \
		return op_##name(c, a);                                                            \
	}
#define X(nr, NAME, name, where, since) CALL_##where(name)
VGPU_OPS(X)
#undef X

#define ROW_FRONT(nr, name)
#define ROW_WORKER(nr, name) [nr] = { call_##name, sizeof(struct vgpu_##name) },

static const struct {
	int (*call)(struct worker_call *c, void *a);
	uint32_t size;
} table[] = {
#define X(nr, NAME, name, where, since) ROW_##where(nr, name)
	VGPU_OPS(X)
#undef X
};

int worker_dispatch(struct worker_call *c)
{
	/* The front answers its own operations and checks sizes: all else is a disagreement. */
	if (c->msg.op >= sizeof(table) / sizeof(table[0]) || !table[c->msg.op].call ||
	    table[c->msg.op].size != c->msg.payload_bytes || c->msg.device >= c->w->device_count)
		return -EIO;
	return table[c->msg.op].call(c, c->payload);
}

static int move(struct worker_call *c, const struct wire_bulk *b, void *slot)
{
	struct worker *w = c->w;
	bool blob = b->offset >= VGPU_BLOB_BASE &&
		    b->offset - VGPU_BLOB_BASE < (uint64_t)LIMIT_BLOBS << 32;

	if (c->msg.kind == WIRE_READ)
		return blob ? -EINVAL : mem_read(w->mem, b->offset, slot, b->bytes);
	return blob ? vdev_blob_write(w->vdev, b->offset, slot, b->bytes)
		    : mem_write(w->mem, b->offset, slot, b->bytes);
}

int worker_bulk(struct worker_call *c)
{
	struct wire_bulk b;
	int r;

	if (c->msg.payload_bytes != sizeof(b))
		return -EIO;
	memcpy(&b, c->payload, sizeof(b));
	if (b.bytes > WIRE_BOUNCE_BYTES || b.slot >= WIRE_BOUNCE_SLOTS)
		return -EIO;
	r = move(c, &b, c->w->bounce + (size_t)b.slot * WIRE_BOUNCE_BYTES);
	return r < 0 ? r : (int)b.bytes;
}
