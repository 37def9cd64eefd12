/* SPDX-License-Identifier: MIT */
/*
 * children.h - grids that a grid launches (dynamic parallelism).
 *
 * A grid cannot wait for its children, so they run after it, one after the other in the order of their
 * launches: that keeps the order of every stream and of every event, whichever they are. Those of the tail
 * launch stream run when all others have ended. A grid has ended when its children have.
 *
 * Here: the lists, and what a launch may be. Not here: device code's calls (interp/device.c), who runs the
 * children (soft.c).
 */
#ifndef SOFT_SIMT_CHILDREN_H
#define SOFT_SIMT_CHILDREN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/** Errors as the device runtime's PTX knows them; it makes cudaError_t of them. */
enum simt_cnp {
	SIMT_CNP_SUCCESS = 0,
	SIMT_CNP_INVALID_VALUE = 1,
	SIMT_CNP_INVALID_DEVICE = 3,
	SIMT_CNP_OUT_OF_MEMORY = 4,
	SIMT_CNP_MAX_DEPTH = 5,
	SIMT_CNP_INVALID_CONFIGURATION = 7,
	SIMT_CNP_PENDING_COUNT = 12,
};

struct simt_child {
	struct simt_child *next;
	uint32_t code; /* number of its function in the module */
	uint32_t grid[3], block[3];
	uint32_t shared; /* dynamic */
	uint32_t param_bytes;
	uint8_t params[] __attribute__((aligned(16)));
};

struct simt_child_list {
	struct simt_child *first, **end;
};

/** struct simt_children - of one grid. Zero but for what is constant. */
struct simt_children {
	const uint32_t *param_bytes; /* by code number; UINT32_MAX: no kernel. Constant */
	uint32_t functions;	     /* of them. Constant */
	uint32_t depth;		     /* of the grid; 0 is the host's. Constant */
	pthread_mutex_t lock;	     /* guards all below while the grid runs */
	struct simt_child_list plain, tail;
	uint32_t count;
	uint64_t handles;    /* of streams and events, given out */
	uint32_t last_error; /* a cudaError_t; atomic */
};

void simt_children_init(struct simt_children *c, const uint32_t *param_bytes, uint32_t functions,
			uint32_t depth);
/** simt_children_fini() - with those that have not run. */
void simt_children_fini(struct simt_children *c);

/** simt_children_check() - could this be launched? An enum simt_cnp. */
uint32_t simt_children_check(const struct simt_children *c, uint32_t code, const uint32_t grid[3],
			     const uint32_t block[3]);
/** simt_children_add() - @child is the list's from here on, unless it is refused: an enum simt_cnp. */
uint32_t simt_children_add(struct simt_children *c, struct simt_child *child, bool tail);
/** simt_children_take() - the next one to run, NULL: none is left; free() it. */
struct simt_child *simt_children_take(struct simt_children *c);
bool simt_children_left(const struct simt_children *c);

#endif
