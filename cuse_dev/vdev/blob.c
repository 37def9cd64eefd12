/* SPDX-License-Identifier: MIT */
/*
 * blob.c - images on their way in. A blob's bytes lie in private memory before anyone parses them:
 * read once from the client's memfd, or written by it through the node.
 */
#include "cuse_dev/vdev/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int read_all(int fd, uint8_t *to, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, to + done, size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EINVAL; /* shorter than announced */
		done += (uint64_t)n;
	}
	return 0;
}

int vdev_blob_create(struct vdev *v, struct vgpu_blob_create *req, int fd)
{
	struct vdev_blob *b;
	uint32_t slot;
	int r;

	if (!req->size || req->size > LIMIT_BLOB_BYTES || req->pad)
		return -EINVAL;
	for (slot = 0; slot < LIMIT_BLOBS && v->blob_slot[slot]; slot++)
		;
	if (slot == LIMIT_BLOBS || v->blob_bytes > LIMIT_BLOB_BYTES - req->size)
		return -ENOMEM;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->slot = slot;
	b->size = req->size;
	b->data = mmap(NULL, b->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->data == MAP_FAILED) {
		r = -ENOMEM;
		goto free_blob;
	}
	r = fd >= 0 ? read_all(fd, b->data, b->size) : 0;
	if (r == 0)
		r = idtab_add(&v->blobs, b, &b->id);
	if (r < 0)
		goto unmap;
	v->blob_slot[slot] = b;
	v->blob_bytes += b->size;
	req->blob = b->id;
	req->slot = slot;
	return 0;

unmap:
	munmap(b->data, b->size);
free_blob:
	free(b);
	return r == -ENOSPC ? -ENOMEM : r;
}

void vdev_blob_free(struct vdev *v, struct vdev_blob *b)
{
	if (!b->hidden)
		idtab_remove(&v->blobs, b->id);
	v->blob_slot[b->slot] = NULL;
	v->blob_bytes -= b->size;
	munmap(b->data, b->size);
	free(b);
}

const void *vdev_blob_find(struct vdev *v, uint32_t blob, uint64_t *ret_size)
{
	struct vdev_blob *b = idtab_get(&v->blobs, blob);

	if (!b)
		return NULL;
	*ret_size = b->size;
	return b->data;
}

int vdev_blob_destroy(struct vdev *v, uint32_t blob)
{
	struct vdev_blob *b = idtab_get(&v->blobs, blob);

	if (!b)
		return -EBADF;
	if (!b->pins) {
		vdev_blob_free(v, b);
	} else if (!b->hidden) {
		idtab_remove(&v->blobs, blob);
		b->hidden = true;
	}
	return 0;
}

void vdev_blob_unpin(struct vdev *v, struct vdev_blob *b)
{
	if (!--b->pins && b->hidden)
		vdev_blob_free(v, b);
}

int vdev_blob_write(struct vdev *v, uint64_t offset, const void *buf, uint32_t bytes)
{
	uint64_t slot = (offset - VGPU_BLOB_BASE) >> 32;
	uint64_t at = (offset - VGPU_BLOB_BASE) & UINT32_MAX;
	struct vdev_blob *b;

	if (offset < VGPU_BLOB_BASE || slot >= LIMIT_BLOBS)
		return -EINVAL;
	b = v->blob_slot[slot];
	if (!b || b->hidden)
		return -EBADF;
	if (b->pins)
		return -EBUSY;
	if (at > b->size || bytes > b->size - at)
		return -EOVERFLOW;
	memcpy(b->data + at, buf, bytes);
	return 0;
}
