/* SPDX-License-Identifier: MIT */
/* image.h - what lies at a pointer that a program calls an image: how long it is, and its way to
 * the worker. */
#ifndef IMPL_IMAGE_H
#define IMPL_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda.h>

struct link_dev;

struct image {
	const void *data;
	size_t size;
	bool text;    /* PTX, with its NUL */
	bool wrapped; /* was inside nvcc's wrapper */
	void *made;   /* data, if it was put together here: free() it; else NULL */
};

/** struct image_part - what image_bundle() joins. */
struct image_part {
	const void *data;
	size_t bytes;
};

/**
 * image_find() - unwraps a fat binary's wrapper and finds the size. Relocatable device code comes as
 * a list of fat binaries: they become one image, a bundle, that the caller owns (made).
 */
CUresult image_find(const void *pointer, struct image *ret_image);
/** image_bundle() - the parts as one image (ioctl/vgpu_bundle.h); free() it. */
CUresult image_bundle(const struct image_part *parts, unsigned count, void **ret_bundle,
		      size_t *ret_bytes);
/** image_read() - a whole file, with a NUL behind it; free() it. @ret_size may be NULL. */
CUresult image_read(const char *path, void **ret_data, size_t *ret_size);
/** image_send() - as a blob of the worker. */
int image_send(struct link_dev *dev, const struct image *image, uint32_t *ret_blob);

#endif
