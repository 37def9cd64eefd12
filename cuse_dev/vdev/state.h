/* SPDX-License-Identifier: MIT */
/* state.h - what the files of vdev share among themselves. Other rooms see vdev.h only. */
#ifndef VDEV_STATE_H
#define VDEV_STATE_H

#include <stdatomic.h>

#include "cuse_dev/base/avl.h"
#include "cuse_dev/base/idtab.h"
#include "cuse_dev/base/limits.h"
#include "cuse_dev/vdev/profile.h"
#include "cuse_dev/vdev/vdev.h"

struct vdev_device {
	const struct profile *profile;
	struct backend_device backend; /* constants; threads and window filled in */
	void *handle;		       /* of ops->open(), which the first context calls */
};

struct vdev_blob {
	uint32_t id, slot;
	uint8_t *data; /* private memory */
	uint64_t size;
	uint32_t pins; /* jobs that read it: nobody writes then */
	bool hidden;   /* destroyed, freed with the last pin */
};

/* One kernel that has a handle. */
struct vdev_func {
	struct avl_node node; /* in vdev_module.funcs, by func */
	struct vdev_module *module;
	struct backend_func *func;
	struct queue_kernel *kernel;
	uint32_t id;
};

/* Memory of an image's managed variables; lives as long as a module of that image. */
struct vdev_managed {
	uint32_t refs;
	struct mem_owner owner; /* no context's: it may outlive the first */
	uint64_t va, off;	/* va 0: none yet */
};

struct vdev_module {
	struct vdev_module *prev, *next; /* of its context, or among the zombies */
	struct vdev_ctx *ctx;
	uint32_t id;
	uint64_t ticket;
	struct backend_module *image;
	struct backend_image_info info;
	uint64_t global_va, global_off; /* 0: none */
	struct vdev_managed *managed;	/* NULL: none */
	struct avl_tree funcs;
};

struct vdev_ctx {
	struct vdev_ctx *next; /* among the zombies */
	uint32_t id, device, flags;
	uint64_t ticket;
	struct queue_ctx *queue_ctx;
	struct vdev_module *modules;
	uint32_t zombie_modules;
	uint32_t jobs; /* under way: it stays */
	struct avl_tree textures;
	uint64_t l2_fetch, l2_persisting, pending_launches; /* limits that are hints: kept only */
};

struct vdev_job {
	struct vdev *v;
	struct vdev_ctx *ctx;
	void (*run)(struct vdev_job *j);
	atomic_bool done; /* set by the thread that ran it, after all else */
	/* MODULE_LOAD */
	struct vdev_blob *blob;
	struct vdev_module *module;
	void *backend;
	bool lenient;
	uint64_t managed_bytes; /* of the module whose managed variables it gets */
	int status;		/* 0 or -errno */
	uint32_t result;	/* CUresult */
	struct backend_log log;
	/* FUNC_... */
	struct queue_kernel *kernel;
	struct backend_func_info info;
	uint32_t attr;
	int32_t value;
};

struct vdev {
	struct mem *mem;
	struct queue *queue;
	const struct backend_ops *ops;
	uint32_t device_count;
	struct vdev_device device[VGPU_MAX_DEVICES];
	struct idtab ctxs, modules, blobs;
	struct vdev_blob *blob_slot[LIMIT_BLOBS];
	uint64_t blob_bytes;
	uint64_t ticket; /* last one given out */
	struct vdev_ctx *zombie_ctxs;
	struct vdev_module *zombie_modules;
};

/* vdev.c */
int vdev_device_open(struct vdev *v, uint32_t device);

/* context.c */
void vdev_ctx_free(struct vdev *v, struct vdev_ctx *c);

/* texture.c */
void vdev_tex_free_all(struct vdev *v, struct vdev_ctx *c);

/* blob.c */
void vdev_blob_free(struct vdev *v, struct vdev_blob *b);
void vdev_blob_unpin(struct vdev *v, struct vdev_blob *b);

/* job.c */
int vdev_job_create(struct vdev *v, struct vdev_ctx *c, void (*run)(struct vdev_job *),
		    struct vdev_job **ret_job);

/* module.c */
void vdev_module_hide(struct vdev *v, struct vdev_module *m); /* its handles are gone */
bool vdev_module_busy(const struct vdev_module *m);
void vdev_module_free(struct vdev *v, struct vdev_module *m);

#endif
