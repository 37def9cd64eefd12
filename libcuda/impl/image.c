/* SPDX-License-Identifier: MIT */
/*
 * image.c - what lies at a pointer that a program calls an image: how long it is, and its way to
 * the worker. Nothing is understood here beyond the sizes; that is the worker's, which is jailed.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcuda/core/error.h"
#include "libcuda/impl/image.h"
#include "libcuda/link/link.h"

#define WRAPPER_MAGIC	0x466243b1u
#define CONTAINER_MAGIC 0xba55ed50u
#define BY_FD_BYTES	(256u << 10) /* from here a descriptor is cheaper than pwrite */

/* What nvcc puts around a fat binary. Version 2 has a list of unlinked ones behind it. */
struct wrapper {
	uint32_t magic;
	uint32_t version;
	const void *container;
	const void *more;
};

struct container {
	uint32_t magic;
	uint16_t version;
	uint16_t header_bytes;
	uint64_t bytes; /* behind the header */
};

static size_t elf_bytes(const void *data)
{
	const Elf64_Ehdr *e = data;
	size_t sections = e->e_shoff + (size_t)e->e_shnum * e->e_shentsize;
	size_t segments = e->e_phoff + (size_t)e->e_phnum * e->e_phentsize;

	return sections > segments ? sections : segments;
}

CUresult image_find(const void *pointer, struct image *ret_image)
{
	struct wrapper w;
	struct container c;
	uint32_t magic;

	if (!pointer)
		return CUDA_ERROR_INVALID_VALUE;
	*ret_image = (struct image){ .data = pointer };
	/* No magic has a zero byte: this is a text shorter than a word. */
	if (memchr(pointer, 0, sizeof(magic))) {
		ret_image->text = true;
		ret_image->size = strlen(pointer) + 1;
		return ret_image->size > 1 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
	}
	memcpy(&magic, ret_image->data, sizeof(magic));
	if (magic == WRAPPER_MAGIC) {
		memcpy(&w, pointer, sizeof(w));
		if ((w.version != 1 && w.version != 2) || !w.container)
			return CUDA_ERROR_INVALID_IMAGE;
		ret_image->data = w.container;
		ret_image->wrapped = true;
		memcpy(&magic, ret_image->data, sizeof(magic));
	}
	if (magic == CONTAINER_MAGIC) {
		memcpy(&c, ret_image->data, sizeof(c));
		if (c.header_bytes < sizeof(c) || c.bytes > (1ull << 40))
			return CUDA_ERROR_INVALID_IMAGE;
		ret_image->size = c.header_bytes + (size_t)c.bytes;
	} else if (!memcmp(ret_image->data, ELFMAG, SELFMAG)) {
		ret_image->size = elf_bytes(ret_image->data);
		if (ret_image->size <= sizeof(Elf64_Ehdr))
			return CUDA_ERROR_INVALID_IMAGE;
	} else {
		ret_image->text = true;
		ret_image->size = strlen(ret_image->data) + 1;
	}
	return CUDA_SUCCESS;
}

CUresult image_read(const char *path, void **ret_data)
{
	struct stat st;
	size_t got = 0;
	char *data;
	int fd;

	if (!path)
		return CUDA_ERROR_INVALID_VALUE;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		return CUDA_ERROR_FILE_NOT_FOUND;
	}
	data = malloc((size_t)st.st_size + 16);
	while (data && got < (size_t)st.st_size) {
		ssize_t n = read(fd, data + got, (size_t)st.st_size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	close(fd);
	if (!data)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memset(data + got, 0, 16);
	*ret_data = data;
	return CUDA_SUCCESS;
}

/* The content as a memfd: the worker copies it without a round trip per MiB. */
static int memfd_of(const struct image *image)
{
	const char *p = image->data;
	size_t done = 0;
	int fd, r;

	r = link_pages_memfd("vgpu-image", image->size, &fd);
	if (r < 0)
		return r;
	while (done < image->size) {
		ssize_t n = pwrite(fd, p + done, image->size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = n ? -errno : -EIO;
			close(fd);
			return r;
		}
		done += (size_t)n;
	}
	return fd;
}

int image_send(struct link_dev *dev, const struct image *image, uint32_t *ret_blob)
{
	struct vgpu_blob_create req = { .size = image->size, .fd = -1 };
	struct vgpu_blob_destroy undo = { 0 };
	int fd, r;

	if (image->size >= BY_FD_BYTES && link_shared(dev->link)) {
		fd = memfd_of(image);
		if (fd >= 0) {
			req.fd = fd;
			r = link_call(dev, VGPU_OP_BLOB_CREATE, &req, sizeof(req));
			close(fd);
			if (!r) {
				*ret_blob = req.blob;
				return 0;
			}
			if (r == -ENOMEM || r == -ENODEV)
				return r;
		}
		req = (struct vgpu_blob_create){ .size = image->size, .fd = -1 };
	}
	r = link_call(dev, VGPU_OP_BLOB_CREATE, &req, sizeof(req));
	if (r < 0)
		return r;
	r = link_write(dev, VGPU_BLOB_OFFSET(req.slot), image->data, image->size);
	if (r < 0) {
		undo.blob = req.blob;
		link_call(dev, VGPU_OP_BLOB_DESTROY, &undo, sizeof(undo));
		return r;
	}
	*ret_blob = req.blob;
	return 0;
}
