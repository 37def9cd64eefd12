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
};

/** image_find() - unwraps a fat binary's wrapper and finds the size. */
CUresult image_find(const void *pointer, struct image *ret_image);
/** image_read() - a whole file, with a NUL behind it; free() it. */
CUresult image_read(const char *path, void **ret_data);
/** image_send() - as a blob of the worker. */
int image_send(struct link_dev *dev, const struct image *image, uint32_t *ret_blob);

#endif
