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

#include "ioctl/vgpu_bundle.h"
#include "libcuda/core/error.h"
#include "libcuda/impl/image.h"
#include "libcuda/link/link.h"

#define WRAPPER_MAGIC	0x466243b1u
#define CONTAINER_MAGIC 0xba55ed50u
#define BY_FD_BYTES	(256u << 10) /* from here a descriptor is cheaper than pwrite */

/*
 * What nvcc puts around a fat binary. Version 2 is that of relocatable device code: the container
 * has what nvlink made, machine code, and more is a list, with NULL at its end, of the containers
 * that it was made from.
 */
struct wrapper {
	uint32_t magic;
	uint32_t version;
	const void *container;
	const void *const *more;
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

/* Size of the container at @p, 0 if there is none. */
static size_t container_bytes(const void *p)
{
	struct container c;

	memcpy(&c, p, sizeof(c));
	if (c.magic != CONTAINER_MAGIC || c.header_bytes < sizeof(c) || c.bytes > (1ull << 40))
		return 0;
	return c.header_bytes + (size_t)c.bytes;
}

CUresult image_bundle(const struct image_part *parts, unsigned count, void **ret_bundle,
		      size_t *ret_bytes)
{
	size_t table = sizeof(struct vgpu_bundle) + count * sizeof(struct vgpu_bundle_part);
	struct vgpu_bundle head = { .magic = VGPU_BUNDLE_MAGIC, .parts = count };
	size_t at = table;
	uint8_t *b;

	if (!count || count > VGPU_BUNDLE_PARTS)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < count; i++)
		at += (parts[i].bytes + 7) & ~(size_t)7;
	b = calloc(1, at);
	if (!b)
		return CUDA_ERROR_OUT_OF_MEMORY;
	head.bytes = at;
	memcpy(b, &head, sizeof(head));
	at = table;
	for (unsigned i = 0; i < count; i++) {
		struct vgpu_bundle_part part = { .offset = at, .bytes = parts[i].bytes };

		memcpy(b + sizeof(head) + i * sizeof(part), &part, sizeof(part));
		memcpy(b + at, parts[i].data, parts[i].bytes);
		at += (parts[i].bytes + 7) & ~(size_t)7;
	}
	*ret_bundle = b;
	*ret_bytes = at;
	return CUDA_SUCCESS;
}

/* The containers of a wrapper of version 2. */
static CUresult find_unlinked(const void *const *list, struct image *image)
{
	struct image_part *parts;
	unsigned count = 0;
	CUresult r = CUDA_SUCCESS;

	while (list[count])
		count++;
	parts = calloc(count, sizeof(*parts));
	if (!parts)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (unsigned i = 0; i < count && r == CUDA_SUCCESS; i++) {
		parts[i] = (struct image_part){ list[i], container_bytes(list[i]) };
		if (!parts[i].bytes)
			r = CUDA_ERROR_INVALID_IMAGE;
	}
	if (r == CUDA_SUCCESS)
		r = image_bundle(parts, count, &image->made, &image->size);
	image->data = image->made;
	free(parts);
	return r;
}

CUresult image_find(const void *pointer, struct image *ret_image)
{
	struct vgpu_bundle bundle;
	struct wrapper w;
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
		if (w.version == 2 && w.more && w.more[0])
			return find_unlinked(w.more, ret_image);
		memcpy(&magic, ret_image->data, sizeof(magic));
	}
	if (magic == CONTAINER_MAGIC) {
		ret_image->size = container_bytes(ret_image->data);
		if (!ret_image->size)
			return CUDA_ERROR_INVALID_IMAGE;
	} else if (magic == VGPU_BUNDLE_MAGIC) {
		memcpy(&bundle, ret_image->data, sizeof(bundle));
		ret_image->size = (size_t)bundle.bytes;
		if (ret_image->size <= sizeof(bundle))
			return CUDA_ERROR_INVALID_IMAGE;
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

CUresult image_read(const char *path, void **ret_data, size_t *ret_size)
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
	if (ret_size)
		*ret_size = got;
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
