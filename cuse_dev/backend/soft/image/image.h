/* SPDX-License-Identifier: MIT */
/*
 * image.h - find the PTX text in whatever a program hands to cuModuleLoadData.
 *
 * Fat binary containers (plain, LZ4 and zstd payloads), PTX text, bundles of such to be linked, and
 * cubins, which are recognised only to say that they cannot run. Every size inside is foreign and checked.
 */
#ifndef SOFT_IMAGE_H
#define SOFT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cuse_dev/backend/backend.h"

/** struct image_text - the PTX that was picked */
struct image_text {
	char *text; /* from malloc, a NUL after bytes */
	size_t bytes;
};

/**
 * image_pick() - the PTX for compute capability @cc (major * 10 + minor)
 *
 * The one for @cc itself, else the highest below; @lenient: else the lowest above. Returns 0, or a
 * CUresult (2, 200, 209) with a line in @log.
 */
uint32_t image_pick(const void *image, size_t bytes, uint32_t cc, bool lenient,
		    struct image_text *ret_text, struct backend_log *log);

/**
 * image_complete() - adds what device code expects of the driver and is PTX itself (devlib.c), where the
 * text names it. 0, or a CUresult (2); then the text is freed.
 */
uint32_t image_complete(struct image_text *text);

/** image_target() - ".target sm_NN" of a PTX text, 0 if it has none; suffix 'a', 'f' or 0. */
uint32_t image_target(const char *text, size_t bytes, char *ret_suffix);

/** image_runs() - whether PTX for @target (with @suffix) may run on @cc. */
bool image_runs(uint32_t target, char suffix, uint32_t cc);

/** image_log() - add a line to a log. */
void image_log(struct backend_log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
