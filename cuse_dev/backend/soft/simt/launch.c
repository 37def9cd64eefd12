/* SPDX-License-Identifier: MIT */
/*
 * launch.c - a launch on the calling thread and a pool of helpers.
 *
 * The caller always works itself. Helpers are woken when there is enough to share; waking one
 * costs more than an empty kernel, so small grids stay on the caller.
 *
 * Grids that are shared have priorities: threads start blocks of the most urgent one first. The caller of
 * another one waits until all of its blocks have started.
 */
#include "cuse_dev/backend/soft/simt/launch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cuse_dev/base/limits.h"
#include "cuse_dev/backend/soft/simt/exec.h"
#include "cuse_dev/backend/soft/simt/texture.h"
#include "cuse_dev/backend/soft/simt/warp.h"

#define ALONE_WORK 20000u /* warps times instructions of straight code that one thread does alone */
#define LOOP_WORK  16u	  /* a loop counts as this many turns */

#define CANCEL_LOOK_NS                                                                             \
	20000000 /* how often a launch that waits for another looks whether it should end */

/** A launch that helpers may join; on the stack of its launcher. */
struct job {
	struct simt_grid *grid;
	uint32_t resident;
	uint32_t wanted;  /* helpers that may still join */
	uint32_t helping; /* helpers inside */
	struct job *next;
};

struct simt_device {
	struct backend_device dev;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;  /* for helpers */
	pthread_cond_t idle;  /* for launchers: a helper has left a job, or urgent has changed */
	struct job *jobs;     /* the most urgent ones first */
	int32_t urgent; /* atomic: priority of the first job with blocks to start; INT32_MAX: none */
	struct simt_exec *free_execs;
	pthread_t *threads;
	uint32_t nthreads; /* helpers that run */
	bool stop;
	struct ranges *ranges;
	uint64_t launches;		/* atomic */
	struct simt_textures *textures; /* locks itself */
};

struct simt_seat {
	struct simt_device *d;
	struct simt_exec *x;
	struct ranges *ranges; /* those of the moment when it was taken */
};

struct simt_ready {
	struct simt_device *d;
	struct backend_launch launch;
	struct simt_grid grid;
	uint32_t helpers, resident;
};

/** The list of host ranges; shared by the launches that started with it. */
struct ranges {
	uint32_t users; /* guarded by the device's lock */
	size_t count;
	uint64_t range[][2];
};

static void ranges_put(struct ranges *r)
{
	if (r && --r->users == 0)
		free(r);
}

/* ---- helpers -------------------------------------------------------------------------------- */

/* Under the lock: an executor, new if there is no free one. NULL: out of memory. */
static struct simt_exec *exec_get(struct simt_device *d)
{
	struct simt_exec *x = d->free_execs;

	if (x) {
		d->free_execs = x->next;
		return x;
	}
	return simt_exec_create();
}

static void exec_put(struct simt_device *d, struct simt_exec *x)
{
	x->next = d->free_execs;
	d->free_execs = x;
}

static bool has_blocks(const struct job *j)
{
	return !__atomic_load_n(&j->grid->stop, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&j->grid->next_cluster, __ATOMIC_RELAXED) < j->grid->clusters;
}

/* The most urgent one; none that would have to give way. */
static struct job *job_to_help(struct simt_device *d)
{
	for (struct job *j = d->jobs; j && j->grid->launch->priority <= d->urgent; j = j->next)
		if (j->wanted && has_blocks(j))
			return j;
	return NULL;
}

/* Under the lock, when a job has come, gone, or started its last block. */
static void find_urgent(struct simt_device *d)
{
	int32_t urgent = INT32_MAX, before = d->urgent;

	for (struct job *j = d->jobs; j && urgent == INT32_MAX; j = j->next)
		if (has_blocks(j))
			urgent = j->grid->launch->priority;
	__atomic_store_n(&d->urgent, urgent, __ATOMIC_RELAXED);
	if (urgent > before) {
		pthread_cond_broadcast(&d->idle);
		pthread_cond_broadcast(&d->work);
	}
}

/* What has been cancelled need not wait for its end. */
bool simt_gives_way(const struct simt_grid *g)
{
	const volatile uint32_t *cancel = g->launch->cancel;

	return __atomic_load_n(&g->shared_by->urgent, __ATOMIC_RELAXED) < g->launch->priority &&
	       !(cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED));
}

void simt_all_started(const struct simt_grid *g)
{
	pthread_mutex_lock(&g->shared_by->lock);
	find_urgent(g->shared_by);
	pthread_mutex_unlock(&g->shared_by->lock);
}

/* Under the lock, which is left meanwhile. */
static void help(struct simt_device *d, struct simt_exec *x, struct job *j)
{
	bool more;

	j->wanted--;
	j->helping++;
	pthread_mutex_unlock(&d->lock);
	more = simt_exec_run(x, j->grid, j->resident);
	pthread_mutex_lock(&d->lock);
	j->wanted += more; /* who gives way may come back */
	if (--j->helping == 0)
		pthread_cond_broadcast(&d->idle);
}

static void *helper(void *arg)
{
	struct simt_device *d = arg;
	struct simt_exec *x = simt_exec_create();

	pthread_mutex_lock(&d->lock);
	while (x && !d->stop) {
		struct job *j = job_to_help(d);

		if (j)
			help(d, x, j);
		else
			pthread_cond_wait(&d->work, &d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	simt_exec_destroy(x);
	return NULL;
}

/* Under the lock. Fewer helpers than wanted are no error. */
static void start_helpers(struct simt_device *d, uint32_t want)
{
	if (want > d->dev.threads - 1)
		want = d->dev.threads - 1;
	while (d->nthreads < want) {
		if (pthread_create(&d->threads[d->nthreads], NULL, helper, d) != 0)
			return;
		d->nthreads++;
	}
}

int simt_device_create(const struct backend_device *dev, struct simt_device **ret_device)
{
	pthread_condattr_t attr;
	struct simt_device *d;
	int r;

	r = simt_trap_install();
	if (r < 0)
		return r;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->dev = *dev;
	if (!d->dev.threads)
		d->dev.threads = 1;
	d->urgent = INT32_MAX;
	d->threads = calloc(d->dev.threads, sizeof(*d->threads));
	if (!d->threads || simt_textures_create(dev->index, &d->textures) < 0) {
		free(d->threads);
		free(d);
		return -ENOMEM;
	}
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->work, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->idle, &attr);
	pthread_condattr_destroy(&attr);
	*ret_device = d;
	return 0;
}

void simt_device_destroy(struct simt_device *d)
{
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_cond_broadcast(&d->work);
	pthread_mutex_unlock(&d->lock);
	for (uint32_t i = 0; i < d->nthreads; i++)
		pthread_join(d->threads[i], NULL);
	while (d->free_execs) {
		struct simt_exec *x = d->free_execs;

		d->free_execs = x->next;
		simt_exec_destroy(x);
	}
	ranges_put(d->ranges);
	simt_textures_destroy(d->textures);
	pthread_cond_destroy(&d->idle);
	pthread_cond_destroy(&d->work);
	pthread_mutex_destroy(&d->lock);
	free(d->threads);
	free(d);
}

int simt_host_ranges(struct simt_device *d, const uint64_t (*ranges)[2], size_t count)
{
	struct ranges *r = NULL;

	if (count) {
		r = malloc(sizeof(*r) + count * sizeof(r->range[0]));
		if (!r)
			return -ENOMEM;
		r->users = 1;
		r->count = count;
		memcpy(r->range, ranges, count * sizeof(r->range[0]));
	}
	pthread_mutex_lock(&d->lock);
	ranges_put(d->ranges);
	d->ranges = r;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

struct simt_textures *simt_device_textures(struct simt_device *d)
{
	return d->textures;
}

/* ---- a launch ------------------------------------------------------------------------------- */

static uint32_t local_bytes(const struct simt_code *code, const struct backend_launch *l)
{
	uint32_t bytes = code->local_bytes, stack = l->stack_bytes;

	if (!code->uses_local)
		return 0;
	if (stack > LIMIT_STACK_BYTES_MAX)
		stack = LIMIT_STACK_BYTES_MAX;
	if (bytes < stack)
		bytes = stack;
	return (bytes + 15) & ~15u;
}

uint64_t simt_work(const struct simt_code *code, const struct backend_launch *l)
{
	const uint32_t *b = l->block, *g = l->grid;
	uint64_t warps = ((uint64_t)b[0] * b[1] * b[2] + SIMT_LANES - 1) / SIMT_LANES;

	return (uint64_t)g[0] * g[1] * g[2] * warps * code->insts *
	       (code->has_loops ? LOOP_WORK : 1);
}

/* The launch's share of the device, in CPU threads; the caller's is one of them. */
static uint32_t threads_for(const struct simt_device *d, const struct backend_launch *l)
{
	uint64_t n = d->dev.threads;

	if (l->sms && l->sms < d->dev.sm_count)
		n = n * l->sms / d->dev.sm_count;
	return n ? (uint32_t)n : 1;
}

/* How many helpers are worth being woken. */
static uint32_t helpers_for(const struct simt_device *d, const struct simt_grid *g)
{
	uint64_t work = simt_work(g->code, g->launch);
	uint64_t most = threads_for(d, g->launch) - 1;

	if (g->clusters < 2 || work < ALONE_WORK)
		return 0;
	return (uint32_t)(g->clusters - 1 < most ? g->clusters - 1 : most);
}

static uint32_t residency(const struct simt_device *d, const struct backend_launch *l)
{
	uint32_t n = d->dev.sm_count * 32 / d->dev.threads;

	if (l->cooperative)
		return UINT32_MAX;
	return n ? n : 1;
}

/*
 * Under the lock: until no job is more urgent than @j. The caller does not help: a block of the other grid may wait
 * for one of its own.
 */
static void give_way(struct simt_device *d, const struct job *j)
{
	while (simt_gives_way(j->grid)) {
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_nsec += CANCEL_LOOK_NS;
		if (t.tv_nsec >= 1000000000) {
			t.tv_nsec -= 1000000000;
			t.tv_sec++;
		}
		/* Who cancels tells nobody. */
		pthread_cond_timedwait(&d->idle, &d->lock, &t);
	}
}

static void run_shared(struct simt_device *d, struct simt_exec *x, struct job *j, uint32_t helpers)
{
	struct job **p;

	pthread_mutex_lock(&d->lock);
	start_helpers(d, helpers);
	j->wanted = helpers;
	for (p = &d->jobs; *p && (*p)->grid->launch->priority <= j->grid->launch->priority;
	     p = &(*p)->next)
		;
	j->next = *p;
	*p = j;
	find_urgent(d);
	if (helpers == 1)
		pthread_cond_signal(&d->work);
	else
		pthread_cond_broadcast(&d->work);
	pthread_mutex_unlock(&d->lock);

	while (simt_exec_run(x, j->grid, j->resident)) {
		pthread_mutex_lock(&d->lock);
		give_way(d, j);
		pthread_mutex_unlock(&d->lock);
	}

	pthread_mutex_lock(&d->lock);
	for (p = &d->jobs; *p != j; p = &(*p)->next)
		;
	*p = j->next;
	find_urgent(d);
	while (j->helping)
		pthread_cond_wait(&d->idle, &d->lock);
	pthread_mutex_unlock(&d->lock);
}

/* The shape of the clusters into the grid; false: it does not divide the grid. */
static bool set_clusters(struct simt_grid *g)
{
	uint64_t blocks = 1;

	for (int i = 0; i < 3; i++) {
		uint32_t n = g->launch->cluster[i] ? g->launch->cluster[i] : 1;

		if (n > SIMT_CLUSTER_MAX || g->launch->grid[i] % n)
			return false;
		g->cluster[i] = n;
		blocks *= n;
	}
	if (blocks > SIMT_CLUSTER_MAX)
		return false;
	g->cluster_blocks = (uint32_t)blocks;
	g->clusters = g->blocks / blocks;
	return true;
}

/* Whether the launch fits the code. The caller has checked it; what follows relies on it. */
static bool set_grid(struct simt_device *d, struct simt_grid *g, const struct simt_code *code,
		     const char *name, const struct backend_launch *l)
{
	uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];

	*g = (struct simt_grid){
		.code = code,
		.launch = l,
		.dev = &d->dev,
		.textures = d->textures,
		.name = name,
		.window_base = d->dev.window_base,
		.window_size = d->dev.window_size,
		.params = l->params,
		.shared_bytes = code->shared_bytes + l->dynamic_shared,
		.local_bytes = local_bytes(code, l),
		.blocks = (uint64_t)l->grid[0] * l->grid[1] * l->grid[2],
		.workspace = { .size = sizeof(g->workspace) },
	};
	return threads && threads <= SIMT_LANES * SIMT_MAX_WARPS &&
	       l->param_bytes >= code->param_bytes && set_clusters(g);
}

static bool seat_take(struct simt_device *d, struct simt_seat *s)
{
	pthread_mutex_lock(&d->lock);
	s->d = d;
	s->x = exec_get(d);
	s->ranges = s->x ? d->ranges : NULL;
	if (s->ranges)
		s->ranges->users++;
	pthread_mutex_unlock(&d->lock);
	return s->x;
}

static void seat_leave(struct simt_seat *s)
{
	pthread_mutex_lock(&s->d->lock);
	exec_put(s->d, s->x);
	ranges_put(s->ranges);
	pthread_mutex_unlock(&s->d->lock);
}

static void run_grid(const struct simt_seat *s, struct simt_grid *g, uint32_t helpers,
		     uint32_t resident)
{
	struct job j = { .grid = g, .resident = resident };

	g->ranges = s->ranges ? (const uint64_t(*)[2])s->ranges->range : NULL;
	g->nranges = s->ranges ? s->ranges->count : 0;
	g->id = __atomic_add_fetch(&s->d->launches, 1, __ATOMIC_RELAXED);
	g->shared_by = helpers ? s->d : NULL;
	if (helpers)
		run_shared(s->d, s->x, &j, helpers);
	else
		simt_exec_run(s->x, g, resident);
}

uint32_t simt_launch_better(struct simt_device *d, const struct simt_code *code,
			    const struct simt_code *const *better, struct simt_children *children,
			    const char *name, const struct backend_launch *l,
			    struct backend_fault *ret_fault)
{
	struct simt_grid g;
	struct simt_seat seat;

	if (!set_grid(d, &g, code, name, l)) {
		snprintf(g.fault.what, sizeof(g.fault.what),
			 "%.80s: block, cluster or parameters do not fit", name ? name : "kernel");
		g.fault.error = 1; /* CUDA_ERROR_INVALID_VALUE */
	} else if (!seat_take(d, &seat)) {
		g.fault.error = 2; /* CUDA_ERROR_OUT_OF_MEMORY */
	} else {
		g.better = better;
		g.children = children;
		run_grid(&seat, &g, helpers_for(d, &g), residency(d, l));
		seat_leave(&seat);
	}
	if (ret_fault)
		*ret_fault = g.fault;
	return g.fault.error;
}

uint32_t simt_launch(struct simt_device *d, const struct simt_code *code, const char *name,
		     const struct backend_launch *l, struct backend_fault *ret_fault)
{
	return simt_launch_better(d, code, NULL, NULL, name, l, ret_fault);
}

/* ---- a launch that is made many times ------------------------------------------------------- */

int simt_seat_get(struct simt_device *d, struct simt_seat **ret_seat)
{
	struct simt_seat *s = malloc(sizeof(*s));

	if (!s || !seat_take(d, s)) {
		free(s);
		return -ENOMEM;
	}
	*ret_seat = s;
	return 0;
}

void simt_seat_put(struct simt_seat *s)
{
	if (!s)
		return;
	seat_leave(s);
	free(s);
}

static int ready_set(struct simt_ready *r, const struct simt_code *code, const char *name)
{
	if (!set_grid(r->d, &r->grid, code, name, &r->launch))
		return -EINVAL;
	r->helpers = helpers_for(r->d, &r->grid);
	r->resident = residency(r->d, &r->launch);
	return 0;
}

int simt_ready_create(struct simt_device *d, const struct simt_code *code,
		      const struct simt_code *const *better, const char *name,
		      const struct backend_launch *l, struct simt_ready **ret_ready)
{
	struct simt_ready *r = malloc(sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->d = d;
	r->launch = *l;
	e = ready_set(r, code, name);
	if (e < 0) {
		free(r);
		return e;
	}
	r->grid.better = better;
	*ret_ready = r;
	return 0;
}

void simt_ready_code(struct simt_ready *r, const struct simt_code *code)
{
	const char *name = r->grid.name;

	ready_set(r, code, name); /* as the code before it fits, so does this one */
}

void simt_ready_destroy(struct simt_ready *r)
{
	free(r);
}

uint32_t simt_ready_run(struct simt_ready *r, const struct simt_seat *s,
			struct backend_fault *ret_fault)
{
	struct simt_grid *g = &r->grid;

	g->next_cluster = 0;
	g->workspace.barrier = 0;
	run_grid(s, g, r->helpers, r->resident);
	if (!g->fault_taken)
		return 0;
	*ret_fault = g->fault;
	memset(&g->fault, 0, sizeof(g->fault));
	g->fault_taken = 0;
	g->stop = 0;
	return ret_fault->error;
}

void simt_code_destroy(struct simt_code *code)
{
	if (code)
		code->tier->code_destroy(code);
}

uint32_t simt_code_registers(const struct simt_code *code)
{
	return code->registers;
}

uint32_t simt_code_local_bytes(const struct simt_code *code)
{
	return code->local_bytes;
}
