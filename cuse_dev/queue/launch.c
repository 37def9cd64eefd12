/* SPDX-License-Identifier: MIT */
/*
 * launch.c - kernels by handle, and the launch of one: all that CUDA's rules want to be true of the
 * shape is checked here, the backend relies on it.
 */
#include "cuse_dev/queue/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuse_dev/base/limits.h"

#define ERROR_LAUNCH_FAILED 719 /* CUresult */

#define GRID_X_MAX  0x7fffffffu
#define GRID_YZ_MAX 65535u
#define BLOCK_Z_MAX 64u
#define CLUSTER_MAX 16u /* blocks; 8 are portable */

int queue_kernel_add(struct queue *q, struct queue_ctx *c, struct backend_func *f, void *owner,
		     struct queue_kernel **ret_kernel, uint32_t *ret_id)
{
	struct queue_kernel *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->q = q;
	k->ctx = c;
	k->func = f;
	k->owner = owner;
	pthread_mutex_init(&k->lock, NULL);
	pthread_mutex_lock(&q->lock);
	k->serial = ++q->kernel_serial;
	r = idtab_add(&q->kernels, k, &k->id);
	pthread_mutex_unlock(&q->lock);
	if (r < 0) {
		queue_kernel_free(k);
		return r == -ENOSPC ? -ENOMEM : r;
	}
	*ret_kernel = k;
	*ret_id = k->id;
	return 0;
}

void queue_kernel_remove(struct queue_kernel *k)
{
	pthread_mutex_lock(&k->q->lock);
	idtab_remove(&k->q->kernels, k->id);
	pthread_mutex_unlock(&k->q->lock);
}

bool queue_kernel_busy(struct queue_kernel *k)
{
	return atomic_load(&k->running) > 0;
}

void queue_kernel_pin(struct queue_kernel *k)
{
	atomic_fetch_add(&k->running, 1);
}

void queue_kernel_unpin(struct queue_kernel *k)
{
	atomic_fetch_sub(&k->running, 1);
}

void queue_kernel_free(struct queue_kernel *k)
{
	if (!k)
		return;
	pthread_mutex_destroy(&k->lock);
	free(k);
}

struct queue_kernel *queue_kernel_find(struct queue *q, uint32_t id)
{
	struct queue_kernel *k;

	pthread_mutex_lock(&q->lock);
	k = idtab_get(&q->kernels, id);
	pthread_mutex_unlock(&q->lock);
	return k;
}

void *queue_kernel_owner(const struct queue_kernel *k)
{
	return k->owner;
}

struct backend_func *queue_kernel_func(const struct queue_kernel *k)
{
	return k->func;
}

uint32_t queue_kernel_info(struct queue_kernel *k, struct backend_func_info *ret_info,
			   struct backend_log *log)
{
	uint32_t result = 0;

	pthread_mutex_lock(&k->lock);
	if (!k->known) {
		result = k->ctx->device.ops->func_info(k->func, &k->info, log);
		k->known = result == 0;
	}
	if (k->known)
		*ret_info = k->info;
	pthread_mutex_unlock(&k->lock);
	return result;
}

bool queue_kernel_known(struct queue_kernel *k, struct backend_func_info *ret_info)
{
	bool known;

	if (pthread_mutex_trylock(&k->lock))
		return false; /* somebody compiles it */
	known = k->known;
	if (known)
		*ret_info = k->info;
	pthread_mutex_unlock(&k->lock);
	return known;
}

int queue_kernel_set(struct queue_kernel *k, uint32_t attr, int32_t value)
{
	int r;

	pthread_mutex_lock(&k->lock);
	r = k->ctx->device.ops->func_set(k->func, attr, value);
	k->known = false;
	pthread_mutex_unlock(&k->lock);
	return r;
}

static bool shape_valid(const struct queue_device *d, const struct backend_func_info *info,
			const struct vgpu_cmd_launch *c)
{
	uint64_t threads = (uint64_t)c->block[0] * c->block[1];
	uint64_t cluster = (uint64_t)c->cluster[0] * c->cluster[1];
	int i;

	for (i = 0; i < 3; i++) {
		if (!c->grid[i] || !c->block[i] || !c->cluster[i] || c->grid[i] % c->cluster[i] ||
		    c->cluster[i] > CLUSTER_MAX)
			return false;
		if (info->reqntid[0] && info->reqntid[i] && c->block[i] != info->reqntid[i])
			return false;
	}
	return c->grid[0] <= GRID_X_MAX && c->grid[1] <= GRID_YZ_MAX && c->grid[2] <= GRID_YZ_MAX &&
	       c->block[0] <= d->max_threads && c->block[1] <= d->max_threads &&
	       c->block[2] <= BLOCK_Z_MAX && threads * c->block[2] <= d->max_threads &&
	       threads * c->block[2] <= info->max_threads && cluster * c->cluster[2] <= CLUSTER_MAX;
}

/* All blocks of a cooperative grid live at once: no more than the device could hold. */
static bool cooperative_fits(const struct queue_device *d, const struct vgpu_cmd_launch *c)
{
	uint64_t warps = ((uint64_t)c->block[0] * c->block[1] * c->block[2] + 31) / 32;
	uint64_t per_sm = d->sm_warps / warps, yz = (uint64_t)c->grid[1] * c->grid[2];

	if (per_sm > d->sm_blocks)
		per_sm = d->sm_blocks;
	return yz <= UINT32_MAX && yz * c->grid[0] <= per_sm * d->sm_count;
}

const char *queue_refusal(const struct queue_ctx *ctx, const struct backend_func_info *info,
			  const struct vgpu_cmd_launch *c)
{
	if (c->flags & ~VGPU_LAUNCH_COOPERATIVE || c->pad)
		return "launch with unknown flags";
	if (!shape_valid(&ctx->device, info, c))
		return "launch with an invalid grid, block or cluster";
	if (c->shared_bytes > info->max_dynamic_shared)
		return "launch with more dynamic shared memory than the kernel may have";
	if (c->param_bytes != info->param_bytes || c->param_bytes > LIMIT_KERNEL_PARAM_BYTES)
		return "launch with parameters of the wrong size";
	if ((c->flags & VGPU_LAUNCH_COOPERATIVE) && !cooperative_fits(&ctx->device, c))
		return "cooperative launch of more blocks than the device holds";
	return NULL;
}

void queue_launch_begin(const struct vgpu_cmd_launch *c, struct backend_launch *l)
{
	for (int i = 0; i < 3; i++) {
		l->grid[i] = c->grid[i];
		l->block[i] = c->block[i];
		l->cluster[i] = c->cluster[i];
	}
	l->dynamic_shared = c->shared_bytes;
	l->cooperative = c->flags & VGPU_LAUNCH_COOPERATIVE;
	l->params = c + 1;
	l->param_bytes = c->param_bytes;
}

void queue_launch_common(struct queue_stream *s, struct backend_launch *l)
{
	l->cancel = (const volatile uint32_t *)&s->cancel;
	l->sms = atomic_load_explicit(&s->sms, memory_order_relaxed);
	l->priority = s->priority;
}

static void execute(struct queue_stream *s, struct queue_kernel *k, const struct vgpu_cmd_launch *c)
{
	const struct backend_ops *ops = s->ctx->device.ops;
	struct backend_launch l = { 0 };
	struct backend_fault fault = { 0 };

	queue_launch_begin(c, &l);
	queue_launch_common(s, &l);
	queue_ctx_enter(s->ctx, &l);
	queue_meter_begin(s->ctx, METER_KERNEL);
	fault.error = ops->launch(k->func, &l, &fault);
	queue_meter_end(s->ctx, METER_KERNEL);
	queue_ctx_leave(s->ctx);
	if (fault.error)
		queue_ctx_fault(s->ctx, &fault, ops->func_name(k->func));
}

int queue_launch(struct queue_stream *s, const struct vgpu_cmd_launch *c)
{
	struct backend_func_info info;
	struct backend_fault fault = { .error = ERROR_LAUNCH_FAILED };
	struct backend_log log = { 0 };
	struct queue_kernel *k;
	const char *why;
	uint32_t result;

	pthread_mutex_lock(&s->q->lock);
	k = idtab_get(&s->q->kernels, c->func);
	if (k && k->ctx == s->ctx)
		atomic_fetch_add(&k->running, 1);
	else
		k = NULL;
	pthread_mutex_unlock(&s->q->lock);
	if (!k)
		return -EBADF;

	result = queue_kernel_info(k, &info, &log);
	why = result ? NULL : queue_refusal(s->ctx, &info, c);
	if (result)
		snprintf(fault.what, sizeof(fault.what), "kernel does not compile (%u): %.200s",
			 result, log.text);
	else if (why)
		snprintf(fault.what, sizeof(fault.what), "%s", why);
	if (result || why)
		queue_ctx_fault(s->ctx, &fault, s->ctx->device.ops->func_name(k->func));
	else
		execute(s, k, c);
	atomic_fetch_sub(&k->running, 1);
	queue_progress(s->q);
	return 0;
}
