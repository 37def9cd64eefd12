/* SPDX-License-Identifier: MIT */
/*
 * bundle.c - links the parts of a bundle (ioctl/vgpu_bundle.h): of each, the PTX that suits the
 * device; of all of them one text (merge.c).
 *
 * Members of archives that hold no device code are passed over. All others come in, needed or not:
 * bodies are compiled when a kernel is first launched, so what nobody calls costs its text only.
 */
#include "cuse_dev/backend/soft/image/bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/backend/soft/image/fatbin.h"
#include "cuse_dev/backend/soft/image/merge.h"
#include "cuse_dev/backend/soft/image/object.h"
#include "cuse_dev/base/limits.h"
#include "ioctl/vgpu_bundle.h"

enum { OUT_OF_MEMORY = 2, INVALID_IMAGE = 200, NO_BINARY_FOR_GPU = 209, INVALID_PTX = 218 };

/* The texts collected so far. */
struct linker {
	uint32_t cc;
	bool lenient;
	struct backend_log *log;
	char **text;
	unsigned count, cap, depth;
	size_t bytes; /* of all texts */
};

#define DEPTH 4 /* bundles in bundles: what one linker gave out, another takes */

static uint32_t add_bundle(struct linker *k, const unsigned char *p, size_t bytes);

/* Takes the text, also on failure. */
static uint32_t add_text(struct linker *k, struct image_text *t)
{
	char **more;

	if (t->bytes > LIMIT_PTX_BYTES - k->bytes || k->count >= VGPU_BUNDLE_PARTS) {
		image_log(k->log, "the parts to be linked are too large together");
		free(t->text);
		return INVALID_IMAGE;
	}
	if (k->count == k->cap) {
		more = realloc(k->text, (k->cap * 2 + 16) * sizeof(*more));
		if (!more) {
			free(t->text);
			return OUT_OF_MEMORY;
		}
		k->text = more;
		k->cap = k->cap * 2 + 16;
	}
	k->bytes += t->bytes;
	k->text[k->count++] = t->text;
	return 0;
}

/*
 * The device runtime (libcudadevrt) has PTX for the newest card alone, and machine code for all
 * others. It is part of the driver as much as of the program, and calls it by these names.
 */
static bool is_device_runtime(const struct image_text *t)
{
	return memmem(t->text, t->bytes, "__cuda_syscall_cnpv2", 20);
}

static uint32_t add_image(struct linker *k, const void *data, size_t bytes)
{
	struct image_text t;
	uint32_t r = image_pick(data, bytes, k->cc, k->lenient, &t, k->log);

	if (r == NO_BINARY_FOR_GPU && !k->lenient) {
		struct backend_log quiet = { .bytes = 0 };

		if (image_pick(data, bytes, k->cc, true, &t, &quiet))
			return r;
		if (!is_device_runtime(&t)) {
			free(t.text);
			return r;
		}
		k->log->bytes = 0;
		r = 0;
	}
	return r ? r : add_text(k, &t);
}

/* Containers one behind the other are so many modules. */
static uint32_t add_containers(struct linker *k, const unsigned char *p, size_t bytes)
{
	size_t size;
	uint32_t r = 0;

	while (!r && bytes) {
		size = fatbin_container_bytes(p, bytes);
		if (!size) {
			image_log(k->log, "damaged fat binary");
			return INVALID_IMAGE;
		}
		r = add_image(k, p, size);
		p += size;
		bytes -= size;
		while (bytes && !*p) { /* padding */
			p++;
			bytes--;
		}
	}
	return r;
}

static uint32_t add_object(struct linker *k, const void *data, size_t bytes, unsigned *ret_sections)
{
	struct object_range s;
	uint32_t r = 0;
	unsigned n = 0;

	while (!r && object_section(data, bytes, n, &s)) {
		r = add_containers(k, s.data, s.bytes);
		n++;
	}
	*ret_sections = n;
	return r;
}

static uint32_t add_archive(struct linker *k, const void *data, size_t bytes)
{
	struct object_range m;
	unsigned sections;
	uint32_t r = 0;
	size_t at = 0;

	while (!r && archive_next(data, bytes, &at, &m))
		if (object_kind(m.data, m.bytes) == OBJECT_HOST)
			r = add_object(k, m.data, m.bytes, &sections);
	if (!r && at != bytes && at + 1 < bytes) {
		image_log(k->log, "damaged archive");
		r = INVALID_IMAGE;
	}
	return r;
}

static uint32_t add_part(struct linker *k, const unsigned char *data, size_t bytes)
{
	uint32_t magic = 0, r;
	unsigned sections;

	if (bytes >= sizeof(magic))
		memcpy(&magic, data, sizeof(magic));
	if (magic == VGPU_BUNDLE_MAGIC)
		return add_bundle(k, data, bytes);
	if (magic == FATBIN_CONTAINER_MAGIC)
		return add_containers(k, data, bytes);
	switch (object_kind(data, bytes)) {
	case OBJECT_ARCHIVE:
		return add_archive(k, data, bytes);
	case OBJECT_HOST:
		r = add_object(k, data, bytes, &sections);
		if (!r && !sections) {
			image_log(k->log, "an object without device code");
			r = INVALID_IMAGE;
		}
		return r;
	case OBJECT_CUBIN:
		return add_image(k, data, bytes);
	default:
		r = add_image(k, data, bytes);
		return r == INVALID_IMAGE ? INVALID_PTX : r;
	}
}

/* All that the table says lies inside. */
static bool sound(const unsigned char *image, size_t bytes, const struct vgpu_bundle *b)
{
	struct vgpu_bundle_part part;
	uint64_t at = sizeof(*b) + (uint64_t)b->parts * sizeof(part);

	if (b->bytes != bytes || !b->parts || b->parts > VGPU_BUNDLE_PARTS || at > bytes)
		return false;
	for (uint32_t i = 0; i < b->parts; i++) {
		memcpy(&part, image + sizeof(*b) + i * sizeof(part), sizeof(part));
		if (!part.bytes || part.offset < at || part.offset > bytes ||
		    part.bytes > bytes - part.offset)
			return false;
		at = part.offset + part.bytes;
	}
	return true;
}

static uint32_t add_bundle(struct linker *k, const unsigned char *p, size_t bytes)
{
	struct vgpu_bundle_part part;
	struct vgpu_bundle b;
	uint32_t r = 0;

	if (bytes >= sizeof(b))
		memcpy(&b, p, sizeof(b));
	if (bytes < sizeof(b) || !sound(p, bytes, &b) || k->depth == DEPTH) {
		image_log(k->log, "damaged bundle");
		return INVALID_IMAGE;
	}
	k->depth++;
	for (uint32_t i = 0; i < b.parts && !r; i++) {
		memcpy(&part, p + sizeof(b) + i * sizeof(part), sizeof(part));
		r = add_part(k, p + part.offset, (size_t)part.bytes);
		if (r)
			image_log(k->log, "in part %u of %u", i + 1, b.parts);
	}
	k->depth--;
	return r;
}

static uint32_t merge(struct linker *k, struct image_text *ret_text)
{
	int r = image_merge((const char *const *)k->text, k->count, &ret_text->text);

	if (r == -ENOMEM)
		return OUT_OF_MEMORY;
	if (r < 0) {
		image_log(k->log, r == -ENOTSUP ? "a part has 32-bit addresses"
				  : r == -E2BIG ? "the parts are too large together"
						: "a part is no PTX text");
		return INVALID_PTX;
	}
	ret_text->bytes = strlen(ret_text->text);
	return 0;
}

uint32_t bundle_link(const void *image, size_t bytes, uint32_t cc, bool lenient,
		     struct image_text *ret_text, struct backend_log *log)
{
	struct linker k = { .cc = cc, .lenient = lenient, .log = log };
	uint32_t r = add_bundle(&k, image, bytes);

	if (!r && !k.count) {
		image_log(log, "nothing to link: no part has device code");
		r = NO_BINARY_FOR_GPU;
	}
	if (!r)
		r = merge(&k, ret_text);
	for (unsigned i = 0; i < k.count; i++)
		free(k.text[i]);
	free(k.text);
	return r;
}
