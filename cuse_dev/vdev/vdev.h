/* SPDX-License-Identifier: MIT */
/*
 * vdev.h - the objects that a client of the virtual devices holds by handle: contexts, modules,
 * functions, globals, blobs.
 *
 * Used by the worker's one dispatching thread; nothing here locks. Functions take the operation's
 * struct where they fill most of it. What is destroyed while work still uses it becomes a zombie
 * with a ticket: its handle is gone at once, its memory when vdev_reap() finds it settled.
 *
 * What takes long is a job: the first call for it makes one and answers VDEV_LATER; when it has been
 * run (in any thread) the same call with the job gives the result. vdev_job_end() follows always.
 */
#ifndef VDEV_VDEV_H
#define VDEV_VDEV_H

#include <stdbool.h>
#include <stdint.h>

#include "cuse_dev/backend/backend.h"
#include "cuse_dev/mem/mem.h"
#include "cuse_dev/queue/queue.h"
#include "ioctl/vgpu_ioctl.h"

struct vdev;
struct vdev_ctx;
struct vdev_job;

#define VDEV_LATER 1

struct vdev_config {
	struct mem *mem;
	struct queue *queue;
	const struct backend_ops *ops;
	uint64_t window_base, window_size;
	uint32_t threads; /* compute threads, 0: one per CPU allowed */
	void *compiler;	  /* of ops->compiler_create(), the caller's; NULL: none */
	uint32_t device_count;
	const char *profile[VGPU_MAX_DEVICES];
};

int vdev_create(const struct vdev_config *config, struct vdev **ret_vdev);
/** vdev_destroy() - cancels what still runs and waits for it. */
void vdev_destroy(struct vdev *v);
/** vdev_reap() - free zombies that have settled; *ret_when_ns: look again then, if smaller. */
void vdev_reap(struct vdev *v, uint64_t *ret_when_ns);
/** vdev_settled() - whether the zombie of @ticket is gone. */
bool vdev_settled(const struct vdev *v, uint64_t ticket);
/** vdev_zombies() - whether there are any. */
bool vdev_zombies(const struct vdev *v);
/** vdev_host_ranges() - let kernels touch the host memory that is registered now; -ENOMEM. */
int vdev_host_ranges(struct vdev *v);

/* job.c */
void vdev_job_run(struct vdev_job *j);
bool vdev_job_done(const struct vdev_job *j);
void vdev_job_end(struct vdev_job *j);

/* context.c */
int vdev_ctx_create(struct vdev *v, uint32_t device, struct vgpu_ctx_create *req);
int vdev_ctx_destroy(struct vdev *v, uint32_t ctx, uint64_t *ret_ticket);
int vdev_ctx_limit(struct vdev *v, struct vgpu_ctx_limit *req);
/** vdev_ctx_find() - the context of a handle as queue knows it, and its device. -EBADF. */
int vdev_ctx_find(struct vdev *v, uint32_t ctx, struct queue_ctx **ret_ctx, uint32_t *ret_device);

/* blob.c */
int vdev_blob_create(struct vdev *v, struct vgpu_blob_create *req, int fd);
int vdev_blob_destroy(struct vdev *v, uint32_t blob);
/** vdev_blob_find() - its bytes; NULL: no such blob. */
const void *vdev_blob_find(struct vdev *v, uint32_t blob, uint64_t *ret_size);
/** vdev_blob_write() - @offset as in VGPU_BLOB_OFFSET. */
int vdev_blob_write(struct vdev *v, uint64_t offset, const void *buf, uint32_t bytes);

/* module.c */
int vdev_module_load(struct vdev *v, struct vgpu_module_load *req, struct vdev_job **job);
int vdev_module_unload(struct vdev *v, uint32_t module, uint64_t *ret_ticket);
int vdev_module_info(struct vdev *v, struct vgpu_module_info *req);
int vdev_global_get(struct vdev *v, struct vgpu_global_get *req);

/* texture.c */
int vdev_tex_create(struct vdev *v, struct vgpu_tex_create *req);
int vdev_tex_destroy(struct vdev *v, uint32_t ctx, uint64_t handle);

/* function.c */
int vdev_func_get(struct vdev *v, struct vgpu_func_get *req);
int vdev_func_info(struct vdev *v, struct vgpu_func_info *req, struct vdev_job **job);
int vdev_func_params(struct vdev *v, struct vgpu_func_params *req, struct vdev_job **job);
int vdev_func_name(struct vdev *v, struct vgpu_func_name *req);
int vdev_func_set(struct vdev *v, const struct vgpu_func_set *req, struct vdev_job **job);
int vdev_func_occupancy(struct vdev *v, struct vgpu_func_occupancy *req, struct vdev_job **job);

#endif
