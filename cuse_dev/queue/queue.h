/* SPDX-License-Identifier: MIT */
/*
 * queue.h - order of work: streams and their commands, events, contexts as far as commands see
 * them, kernels by handle.
 *
 * A stream is a thread that takes commands from its ring (vgpu_share.h), copies each to private
 * memory, checks it and runs it. Counters are kept privately and only published on the shared page.
 * Without shared pages the same layout lies in private memory and is fed by queue_submit().
 *
 * Functions are called by the worker's one dispatching thread unless they say otherwise.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "cuse_dev/backend/backend.h"
#include "cuse_dev/mem/mem.h"
#include "ioctl/vgpu_ioctl.h"
#include "ioctl/vgpu_share.h"

struct queue;
struct queue_ctx;
struct queue_stream;
struct queue_kernel;

struct queue_config {
	struct mem *mem;
	int control_fd; /* the CONTROL memfd, not taken over; -1: private memory */
	int meter_fd;	/* of the front's struct meter_page, likewise */
	int notify_fd;	/* eventfd, written when something finished while queue_notify() is on */
};

int queue_create(const struct queue_config *config, struct queue **ret_queue);
/** queue_destroy() - contexts and kernels must be gone. */
void queue_destroy(struct queue *q);
/** queue_alive() - publish worker_alive (1 serving, 2 leaving in order). */
void queue_alive(struct queue *q, uint32_t state);
/** queue_notify() - whether progress is written to notify_fd. Turn on, then look, then sleep. */
void queue_notify(struct queue *q, bool on);
/** queue_reap() - free streams that have drained. */
void queue_reap(struct queue *q);
/** queue_draining() - destroyed streams whose commands are not done yet. */
uint32_t queue_draining(const struct queue *q);
int queue_event(struct queue *q, uint32_t slot, uint64_t *ret_gen, uint64_t *ret_time_ns);
/** queue_take_fault() - the oldest broken context that was not taken yet. False: none. */
bool queue_take_fault(struct queue *q, uint32_t *ret_device, struct vgpu_ctx_status *ret_status);

/* ----------------------------------------------------------------------------------- contexts */

/** What commands must know of the device of a context. */
struct queue_device {
	uint32_t index;
	const struct backend_ops *ops;
	uint32_t max_threads; /* per block */
	uint32_t sm_count, sm_warps, sm_blocks;
};

enum queue_limit { QUEUE_LIMIT_STACK, QUEUE_LIMIT_CONSOLE, QUEUE_LIMIT_HEAP, QUEUE_LIMITS };

int queue_ctx_create(struct queue *q, const struct queue_device *device,
		     struct queue_ctx **ret_ctx);
/** queue_ctx_close() - its streams drain; after some time what waits or runs is cut short. */
void queue_ctx_close(struct queue_ctx *c);
/** queue_ctx_settle() - true once all its streams are gone; else look again at *ret_when_ns. */
bool queue_ctx_settle(struct queue_ctx *c, uint64_t *ret_when_ns);
/** queue_ctx_cut() - closed one: end waits (1), cancel kernels too (2) now. */
void queue_ctx_cut(struct queue_ctx *c, int level);
void queue_ctx_destroy(struct queue_ctx *c);
uint32_t queue_ctx_slot(const struct queue_ctx *c);
struct mem_owner *queue_ctx_owner(struct queue_ctx *c);
uint32_t queue_ctx_error(const struct queue_ctx *c);
/** queue_ctx_status() - fills all but the handle. */
void queue_ctx_status(struct queue_ctx *c, struct vgpu_ctx_status *ret_status);
uint64_t queue_ctx_limit(struct queue_ctx *c, enum queue_limit limit);
int queue_ctx_set_limit(struct queue_ctx *c, enum queue_limit limit, uint64_t value);
void queue_ctx_console(struct queue_ctx *c, struct vgpu_console_read *ret_text);

/* ------------------------------------------------------------------------------------ kernels */

/** queue_kernel_add() - a handle for @f; @owner is handed back by queue_kernel_owner(). */
int queue_kernel_add(struct queue *q, struct queue_ctx *c, struct backend_func *f, void *owner,
		     struct queue_kernel **ret_kernel, uint32_t *ret_id);
/** queue_kernel_remove() - the handle is gone at once; free it when not busy any more. */
void queue_kernel_remove(struct queue_kernel *k);
bool queue_kernel_busy(struct queue_kernel *k);
void queue_kernel_free(struct queue_kernel *k);
struct queue_kernel *queue_kernel_find(struct queue *q, uint32_t id);
void *queue_kernel_owner(const struct queue_kernel *k);
struct backend_func *queue_kernel_func(const struct queue_kernel *k);
/** queue_kernel_info() - compiles if needed; 0 or a CUresult with @log. From any thread. */
uint32_t queue_kernel_info(struct queue_kernel *k, struct backend_func_info *ret_info,
			   struct backend_log *log);
/** queue_kernel_known() - the same without waiting for anyone; false: it would have to. */
bool queue_kernel_known(struct queue_kernel *k, struct backend_func_info *ret_info);
int queue_kernel_set(struct queue_kernel *k, uint32_t attr, int32_t value);
/** queue_kernel_pin() - busy until queue_kernel_unpin(). */
void queue_kernel_pin(struct queue_kernel *k);
void queue_kernel_unpin(struct queue_kernel *k);

/* ------------------------------------------------------------------------------------ streams */

/** queue_stream_sms() - its kernels use @sms multiprocessors of the device; -EINVAL. */
int queue_stream_sms(struct queue *q, uint32_t id, uint32_t sms);
int queue_stream_create(struct queue *q, struct queue_ctx *c, int32_t priority, uint32_t *ret_id,
			uint32_t *ret_slot);
/** queue_stream_close() - no new commands; what is queued still runs. */
int queue_stream_close(struct queue *q, uint32_t id);
int queue_submit(struct queue *q, uint32_t id, const void *data, uint32_t bytes);
int queue_host_done(struct queue *q, uint32_t id, uint64_t token);
/** queue_stream_state() - the out fields of WAIT. -EBADF. */
int queue_stream_state(struct queue *q, uint32_t id, struct vgpu_wait *ret_state);

/* ------------------------------------------------------------------------------------- graphs */

/** queue_graph_create() - keep @commands; -EINVAL, -ENOMEM. */
int queue_graph_create(struct queue *q, struct queue_ctx *c, const void *commands, uint64_t bytes,
		       uint32_t *ret_id);
int queue_graph_destroy(struct queue *q, uint32_t id);

uint64_t queue_now_ns(void);

#endif
