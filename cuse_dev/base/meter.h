/* SPDX-License-Identifier: MIT */
/*
 * meter.h - how long something was busy: in all, and over the last seconds.
 *
 * A track is a total, the beginning of what goes on just now, and a ring of slots of time:
 *
 *	        slot n-2     slot n-1     slot n
 *	───────┬────────────┬────────────┬───────▶ time >> METER_SHIFT
 *	       │ busy, bytes│ busy, bytes│ ...
 *
 * One side writes (under a lock of its own), another reads, in another process: the page of a worker,
 * which only it and the front have. The reader believes nothing that cannot be; times are
 * nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef BASE_METER_H
#define BASE_METER_H

#include <stdint.h>

#define METER_DEVICES 16
#define METER_SHIFT   27 /* a slot is 134 ms */
#define METER_SLOT_NS (1ull << METER_SHIFT)
#define METER_SLOTS   128 /* 17 s */

enum meter_kind {
	METER_KERNEL, /* kernels execute */
	METER_COPY,   /* copies and fills execute, whatever they move */
	METER_IN,     /* bytes only: from host memory to the device */
	METER_OUT,    /* bytes only: from the device to host memory */
	METER_KINDS
};

struct meter_slot {
	uint64_t number; /* time >> METER_SHIFT that it counts for */
	uint64_t busy_ns, bytes;
};

struct meter_track {
	uint64_t busy_ns;  /* of what has ended */
	uint64_t since_ns; /* when what goes on began, 0: idle */
	uint64_t count;	   /* how often it began */
	uint64_t bytes;
	struct meter_slot slot[METER_SLOTS];
};

struct meter_page {
	struct meter_track track[METER_DEVICES][METER_KINDS];
};

/** meter_begin(), meter_end() - the writer's. They do not nest. */
void meter_begin(struct meter_track *t, uint64_t now);
void meter_end(struct meter_track *t, uint64_t now);
void meter_bytes(struct meter_track *t, uint64_t now, uint64_t bytes);

/** meter_busy(), meter_moved() - in the slots from @first to that of @now, which may go on. */
uint64_t meter_busy(const struct meter_track *t, uint64_t first, uint64_t now);
uint64_t meter_moved(const struct meter_track *t, uint64_t first, uint64_t now);
/** meter_total() - busy in all, at most what fits between @born and @now. */
uint64_t meter_total(const struct meter_track *t, uint64_t born, uint64_t now);
/** meter_fold() - add what @from has seen to @to; the writer of @from is gone. */
void meter_fold(struct meter_track *to, const struct meter_track *from, uint64_t born,
		uint64_t now);

#endif
