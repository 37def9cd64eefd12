/* SPDX-License-Identifier: MIT */
/*
 * run.c - launches: with the best code there is, those that kernels make, and those that are made many
 * times.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuse_dev/backend/soft/simt/children.h"
#include "cuse_dev/backend/soft/soft.h"

enum { R_OUT_OF_MEMORY = 2, R_LAUNCH_FAILED = 719 }; /* CUresult */

/* Looking at the clock costs as much as a small kernel: of many runs one in so many is measured. */
#define MEASURE_ONE_OF 16u

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* With the best code there is; what could be better counts towards being compiled. */
static uint32_t run(struct backend_func *f, const struct backend_launch *l,
		    struct simt_children *kids, struct backend_fault *ret_fault)
{
	struct simt_device *d = f->m->soft->simt;
	struct tier_variant *v = f->tier ? tier_variant(f->tier, l->block) : NULL;
	const struct simt_code *better;
	bool open = v && tier_open(v);
	uint64_t start;
	uint32_t r;

	if (open)
		tier_will_run(v, simt_work(f->code, l));
	better = v ? __atomic_load_n(tier_slot(v), __ATOMIC_ACQUIRE) : NULL;
	better = better ? better : f->code;
	if (!open)
		return simt_launch_better(d, better, NULL, kids, f->ptx->name, l, ret_fault);
	start = now_ns();
	r = simt_launch_better(d, better, tier_slot(v), kids, f->ptx->name, l, ret_fault);
	tier_has_run(v, now_ns() - start);
	return r;
}

/* A grid that is running, or whose children are. */
struct parent {
	struct parent *up;
	struct simt_children kids;
};

static uint32_t launch_one(struct backend_func *f, const struct backend_launch *l,
			   struct simt_children *kids, struct backend_fault *ret_fault)
{
	uint32_t r = soft_compile(f);

	if (!r)
		return run(f, l, kids, ret_fault);
	ret_fault->error = r;
	ret_fault->line = f->err.line;
	snprintf(ret_fault->what, sizeof(ret_fault->what), "kernel '%.80s': %.160s", f->ptx->name,
		 f->err.text);
	return r;
}

static struct parent *parent_create(struct backend_module *m, struct parent *up, uint32_t depth)
{
	struct parent *p = malloc(sizeof(*p));

	if (!p)
		return NULL;
	p->up = up;
	simt_children_init(&p->kids, m->entry_params, (uint32_t)m->ptx->nfuncs, depth);
	return p;
}

static struct parent *parent_destroy(struct parent *p)
{
	struct parent *up = p->up;

	simt_children_fini(&p->kids);
	free(p);
	return up;
}

static uint32_t child_refused(const char *name, const char *why, uint32_t error,
			      struct backend_fault *ret_fault)
{
	ret_fault->error = error;
	snprintf(ret_fault->what, sizeof(ret_fault->what),
		 "kernel '%.80s', launched by a kernel: %s", name, why);
	return error;
}

/* What the device runtime could not check when it was launched. */
static uint32_t launch_child(struct backend_module *m, const struct simt_child *c,
			     const struct backend_launch *host, struct simt_children *kids,
			     struct backend_fault *ret_fault)
{
	struct backend_launch l = *host;
	struct backend_func_info info;
	struct backend_func *f;
	struct backend_log log = { .bytes = 0 };

	/* simt_children_check() has found that there is such a kernel. */
	if (soft_func_by_code(m, c->code, &f) < 0)
		return child_refused("?", "there is none", R_LAUNCH_FAILED, ret_fault);
	if (!soft_func_info(f, &info, &log)) {
		if (soft_product(c->block) > info.max_threads)
			return child_refused(f->ptx->name, "too many threads in a block",
					     R_LAUNCH_FAILED, ret_fault);
		if (c->shared > info.max_dynamic_shared)
			return child_refused(f->ptx->name, "too much shared memory",
					     R_LAUNCH_FAILED, ret_fault);
		memcpy(l.cluster, info.cluster, sizeof(l.cluster));
	}
	memcpy(l.grid, c->grid, sizeof(l.grid));
	memcpy(l.block, c->block, sizeof(l.block));
	l.dynamic_shared = c->shared;
	l.cooperative = false;
	l.params = c->params;
	l.param_bytes = c->param_bytes;
	return launch_one(f, &l, kids, ret_fault);
}

/*
 * All that hangs on @top, deepest first. A parent whose last child begins is gone by then, so that a kernel
 * may launch itself as its tail for ever. @top is consumed.
 */
static uint32_t run_children(struct backend_module *m, const struct backend_launch *l,
			     struct parent *top, struct backend_fault *ret_fault)
{
	uint32_t r = 0;

	while (top && !r) {
		struct simt_child *c = simt_children_take(&top->kids);
		struct parent *p;

		if (!simt_children_left(&top->kids))
			top = parent_destroy(top);
		if (!c)
			continue;
		p = parent_create(m, top, top ? top->kids.depth + 1 : 0);
		if (p)
			r = launch_child(m, c, l, &p->kids, ret_fault);
		else
			r = child_refused("?", "out of memory", R_OUT_OF_MEMORY, ret_fault);
		free(c);
		if (p && simt_children_left(&p->kids) && !r)
			top = p;
		else if (p)
			top = parent_destroy(p);
	}
	while (top)
		top = parent_destroy(top);
	return r;
}

uint32_t soft_launch(struct backend_func *f, const struct backend_launch *l,
		     struct backend_fault *ret_fault)
{
	struct parent *p;
	uint32_t r;

	memset(ret_fault, 0, sizeof(*ret_fault));
	if (!f->m->launches) /* no code of the module can */
		return launch_one(f, l, NULL, ret_fault);
	p = parent_create(f->m, NULL, 0);
	if (!p)
		return child_refused(f->ptx->name, "out of memory", R_OUT_OF_MEMORY, ret_fault);
	r = launch_one(f, l, &p->kids, ret_fault);
	if (!r)
		return run_children(f->m, l, p, ret_fault);
	parent_destroy(p);
	return r;
}

/* ---- made many times ------------------------------------------------------------------------ */

struct backend_ready {
	struct backend_func *f;
	struct tier_variant *v; /* NULL: it stays interpreted */
	struct simt_ready *grid;
	uint64_t work;
	bool settled; /* no better code will come than the grid has */
	uint32_t runs;
};

int soft_seat_get(struct backend_func *f, struct backend_seat **ret_seat)
{
	return simt_seat_get(f->m->soft->simt, (struct simt_seat **)ret_seat);
}

void soft_seat_put(struct backend_seat *s)
{
	simt_seat_put((struct simt_seat *)s);
}

void soft_unprepare(struct backend_ready *p)
{
	if (!p)
		return;
	simt_ready_destroy(p->grid);
	free(p);
}

int soft_prepare(struct backend_func *f, const struct backend_launch *l,
		 struct backend_ready **ret_ready)
{
	struct backend_ready *p;
	int r;

	/* Children want a list of their own each time. */
	if (f->m->launches || soft_compile(f))
		return -ENOTSUP;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->f = f;
	p->v = f->tier ? tier_variant(f->tier, l->block) : NULL;
	p->work = simt_work(f->code, l);
	r = simt_ready_create(f->m->soft->simt, f->code, p->v ? tier_slot(p->v) : NULL,
			      f->ptx->name, l, &p->grid);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret_ready = p;
	return 0;
}

/* The blocks of the grid look for better code themselves until there cannot be any. */
static void improve(struct backend_ready *p)
{
	const struct simt_code *best;

	if (tier_open(p->v)) {
		tier_will_run(p->v, p->work);
		return;
	}
	best = __atomic_load_n(tier_slot(p->v), __ATOMIC_ACQUIRE);
	if (best)
		simt_ready_code(p->grid, best);
	p->settled = true;
}

uint32_t soft_launch_ready(struct backend_ready *p, struct backend_seat *s,
			   struct backend_fault *ret_fault)
{
	const struct simt_seat *seat = (const struct simt_seat *)s;
	uint32_t r, n = p->runs++;
	uint64_t start;

	if (p->v && !p->settled)
		improve(p);
	if (!p->v || p->settled || (n > MEASURE_ONE_OF && n % MEASURE_ONE_OF))
		return simt_ready_run(p->grid, seat, ret_fault);
	start = now_ns();
	r = simt_ready_run(p->grid, seat, ret_fault);
	tier_has_run(p->v, (now_ns() - start) * (n > MEASURE_ONE_OF ? MEASURE_ONE_OF : 1));
	return r;
}
