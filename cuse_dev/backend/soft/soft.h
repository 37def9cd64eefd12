/* SPDX-License-Identifier: MIT */
/*
 * soft.h - what soft.c (modules and kernels) and run.c (launches) share. Others see backend.h.
 */
#ifndef SOFT_SOFT_H
#define SOFT_SOFT_H

#include <pthread.h>

#include "cuse_dev/backend/backend.h"
#include "cuse_dev/backend/soft/ptx/ptx.h"
#include "cuse_dev/backend/soft/simt/launch.h"
#include "cuse_dev/backend/soft/tier/tier.h"

struct soft {
	struct backend_device dev;
	struct simt_device *simt;
};

struct backend_func {
	struct backend_module *m;
	struct ptx_func *ptx;
	bool compiled;	 /* guarded by m->lock, as are the next ones */
	uint32_t result; /* of compiling */
	struct ptx_error err;
	struct simt_code *code;
	struct tier_func *tier; /* NULL: it stays interpreted */
	struct ptx_unit_info unit;
	struct backend_func_info info;
	uint32_t *param_offset, *param_size;
};

struct backend_module {
	struct soft *soft;
	struct ptx_module *ptx;
	struct ptx_place place;
	bool bound;
	pthread_mutex_t lock;
	struct backend_func *funcs;
	uint32_t nfuncs;
	struct ptx_var **globals;
	uint32_t nglobals;
	bool launches;		/* it names what kernels launch kernels with */
	uint32_t *entry_params; /* by code number, for simt_children */
};

/** soft_compile() - once; 0 or a CUresult, the same each time, and f->err says more. */
uint32_t soft_compile(struct backend_func *f);
uint32_t soft_func_info(struct backend_func *f, struct backend_func_info *ret_info,
			struct backend_log *log);
/** soft_product() - of a shape, saturating. */
uint32_t soft_product(const uint32_t v[3]);
/** soft_func_by_code() - the kernel with that number in its module; -ENOENT. */
int soft_func_by_code(struct backend_module *m, uint32_t code, struct backend_func **ret_func);

/* run.c */
uint32_t soft_launch(struct backend_func *f, const struct backend_launch *l,
		     struct backend_fault *ret_fault);
int soft_prepare(struct backend_func *f, const struct backend_launch *l,
		 struct backend_ready **ret_ready);
void soft_unprepare(struct backend_ready *p);
int soft_seat_get(struct backend_func *f, struct backend_seat **ret_seat);
void soft_seat_put(struct backend_seat *s);
uint32_t soft_launch_ready(struct backend_ready *p, struct backend_seat *s,
			   struct backend_fault *ret_fault);

#endif
