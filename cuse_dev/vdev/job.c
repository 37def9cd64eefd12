/* SPDX-License-Identifier: MIT */
/*
 * job.c - what takes long: reading an image, compiling a kernel. The dispatching thread begins and
 * ends a job; between the two any thread runs it, and other requests are answered.
 *
 *	begin ─▶ run ─▶ end
 *	 │               └─ handles, results
 *	 └─ checks; keeps the context, the blob, the kernel from going away
 *
 * A job looks at nothing that the dispatching thread may change meanwhile: the backend and mem lock
 * what is theirs, a blob in use cannot be written, and what is destroyed waits until the job ends.
 */
#include "cuse_dev/vdev/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool vdev_job_done(const struct vdev_job *j)
{
	return atomic_load_explicit(&j->done, memory_order_acquire);
}

void vdev_job_run(struct vdev_job *j)
{
	j->run(j);
	atomic_store_explicit(&j->done, true, memory_order_release);
}

int vdev_job_create(struct vdev *v, struct vdev_ctx *c, void (*run)(struct vdev_job *),
		    struct vdev_job **ret_job)
{
	struct vdev_job *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->v = v;
	j->ctx = c;
	j->run = run;
	c->jobs++;
	*ret_job = j;
	return 0;
}

void vdev_job_end(struct vdev_job *j)
{
	if (!j)
		return;
	j->ctx->jobs--;
	if (j->kernel)
		queue_kernel_unpin(j->kernel);
	if (j->blob)
		vdev_blob_unpin(j->v, j->blob);
	if (j->module)
		vdev_module_free(j->v, j->module);
	free(j);
}
