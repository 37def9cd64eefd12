/* SPDX-License-Identifier: MIT */
/* image.c - which PTX of an image runs. */
#include "cuse_dev/backend/soft/image/image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/backend/soft/image/bundle.h"
#include "cuse_dev/backend/soft/image/fatbin.h"
#include "cuse_dev/base/limits.h"
#include "ioctl/vgpu_bundle.h"

#define IMAGE_CANDIDATES 64
#define IMAGE_HEAD	 8192 /* .target stands before anything long */

enum { OUT_OF_MEMORY = 2, INVALID_IMAGE = 200, NO_BINARY_FOR_GPU = 209 };

void image_log(struct backend_log *log, const char *fmt, ...)
{
	size_t at = log->bytes ? log->bytes - 1 : 0;
	va_list ap;
	int n;

	if (at + 2 >= sizeof(log->text))
		return;
	va_start(ap, fmt);
	n = vsnprintf(log->text + at, sizeof(log->text) - at - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	at += (size_t)n < sizeof(log->text) - at - 1 ? (size_t)n : sizeof(log->text) - at - 2;
	log->text[at++] = '\n';
	log->text[at] = 0;
	log->bytes = (uint32_t)at + 1;
}

uint32_t image_target(const char *text, size_t bytes, char *ret_suffix)
{
	size_t head = bytes < IMAGE_HEAD ? bytes : IMAGE_HEAD;
	const char *p = text, *end = text + head;
	uint32_t v = 0;

	*ret_suffix = 0;
	while (p < end && (p = memmem(p, (size_t)(end - p), ".target", 7))) {
		p += 7;
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		if (end - p < 5 || memcmp(p, "sm_", 3))
			continue;
		for (p += 3; p < end && *p >= '0' && *p <= '9' && v < 1000; p++)
			v = v * 10 + (uint32_t)(*p - '0');
		if (p < end && (*p == 'a' || *p == 'f'))
			*ret_suffix = *p;
		return v;
	}
	return 0;
}

bool image_runs(uint32_t target, char suffix, uint32_t cc)
{
	if (suffix == 'a') /* features of one architecture only */
		return target == cc;
	if (suffix == 'f') /* of a family */
		return target <= cc && target / 10 == cc / 10;
	return target <= cc;
}

static uint32_t copy_text(const void *image, size_t bytes, struct image_text *ret_text,
			  struct backend_log *log)
{
	size_t n = strnlen(image, bytes);
	char *text;

	if (n > LIMIT_PTX_BYTES) {
		image_log(log, "PTX text too large");
		return INVALID_IMAGE;
	}
	text = malloc(n + 64);
	if (!text)
		return OUT_OF_MEMORY;
	memcpy(text, image, n);
	memset(text + n, 0, 64);
	ret_text->text = text;
	ret_text->bytes = n;
	return 0;
}

/* PTX begins with blanks, comments and a directive. */
static bool looks_like_ptx(const unsigned char *p, size_t bytes)
{
	while (bytes && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) {
		p++;
		bytes--;
	}
	return bytes && (*p == '.' || *p == '/' || *p == '#');
}

/* The order in which candidates are tried: at or below cc from high to low, then those above. */
static bool better(uint32_t a, uint32_t b, uint32_t cc)
{
	if ((a <= cc) != (b <= cc))
		return a <= cc;
	return a <= cc ? a > b : a < b;
}

static uint32_t unpack_best(struct fatbin_entry *c, size_t n, uint32_t cc, bool lenient,
			    struct image_text *ret_text, struct backend_log *log)
{
	for (size_t left = n; left; left--) {
		size_t best = 0;
		char suffix;
		uint32_t target;
		int r;

		for (size_t i = 1; i < left; i++)
			if (better(c[i].sm, c[best].sm, cc))
				best = i;
		if (c[best].sm > cc && !lenient)
			break;
		r = fatbin_unpack(&c[best], &ret_text->text, &ret_text->bytes);
		if (r == -ENOMEM)
			return OUT_OF_MEMORY;
		if (r < 0) {
			image_log(log, "a PTX payload for sm_%u cannot be unpacked", c[best].sm);
			return INVALID_IMAGE;
		}
		ret_text->bytes = strnlen(ret_text->text, ret_text->bytes);
		target = image_target(ret_text->text, ret_text->bytes, &suffix);
		if (lenient || image_runs(target ? target : c[best].sm, suffix, cc))
			return 0;
		image_log(log, "PTX for sm_%u%c does not run on sm_%u", target,
			  suffix ? suffix : ' ', cc);
		free(ret_text->text);
		ret_text->text = NULL;
		c[best] = c[left - 1];
	}
	return NO_BINARY_FOR_GPU;
}

static uint32_t pick_container(const void *image, size_t bytes, uint32_t cc, bool lenient,
			       struct image_text *ret_text, struct backend_log *log)
{
	struct fatbin_entry c[IMAGE_CANDIDATES], e;
	struct fatbin_walk w;
	uint32_t cubins = 0, cubin_sm = 0, r;
	size_t n = 0;

	fatbin_walk_start(&w, image, bytes);
	while (fatbin_walk_next(&w, &e)) {
		if (e.kind == FATBIN_PTX && n < IMAGE_CANDIDATES)
			c[n++] = e;
		if (e.kind == FATBIN_ELF) {
			cubins++;
			cubin_sm = e.sm;
		}
	}
	if (w.broken) {
		image_log(log, "damaged fat binary");
		return INVALID_IMAGE;
	}
	r = unpack_best(c, n, cc, lenient, ret_text, log);
	if (r != NO_BINARY_FOR_GPU)
		return r;
	if (!n && cubins)
		image_log(log,
			  "fat binary without PTX: %u cubin(s), the last for sm_%u; machine code "
			  "cannot run here",
			  cubins, cubin_sm);
	else
		image_log(log, "fat binary holds no PTX that runs on sm_%u", cc);
	return r;
}

uint32_t image_pick(const void *image, size_t bytes, uint32_t cc, bool lenient,
		    struct image_text *ret_text, struct backend_log *log)
{
	static const unsigned char elf[4] = { 0x7f, 'E', 'L', 'F' };
	uint32_t magic = 0, target, r;
	char suffix;

	memset(ret_text, 0, sizeof(*ret_text));
	if (bytes >= 4)
		memcpy(&magic, image, 4);
	if (magic == VGPU_BUNDLE_MAGIC)
		return bundle_link(image, bytes, cc, lenient, ret_text, log);
	if (magic == FATBIN_CONTAINER_MAGIC)
		return pick_container(image, bytes, cc, lenient, ret_text, log);
	if (bytes >= 4 && !memcmp(image, elf, 4)) {
		image_log(log, "the image is a cubin; machine code cannot run here, PTX is needed");
		return NO_BINARY_FOR_GPU;
	}
	if (!looks_like_ptx(image, bytes)) {
		image_log(log, "the image is neither a fat binary nor PTX text");
		return INVALID_IMAGE;
	}
	r = copy_text(image, bytes, ret_text, log);
	if (r)
		return r;
	target = image_target(ret_text->text, ret_text->bytes, &suffix);
	if (lenient || image_runs(target, suffix, cc))
		return 0;
	image_log(log, "PTX for sm_%u%c does not run on sm_%u", target, suffix ? suffix : ' ', cc);
	free(ret_text->text);
	ret_text->text = NULL;
	return NO_BINARY_FOR_GPU;
}
