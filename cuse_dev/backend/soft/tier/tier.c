/* SPDX-License-Identifier: MIT */
/*
 * tier.c - states of a variant, and the thread that moves them on.
 *
 *	COLD ─hot─▶ QUEUED ─thread─▶ cache? ─┬─ hit ─────────────────▶ READY
 *	  │                                  └─ ASKED ─ DONE message ─┼─▶ READY
 *	  └─first launch─▶ cache? ─ hit ─▶ READY                      └─▶ FAILED (stays as it is)
 *
 * A variant goes that way twice: for quick code, and, when that has run for a while, for good code; READY
 * is good code only, with quick code it is COLD again. Good code takes the compiler long, so one of its threads is kept
 * for others.
 *
 * The first launch of a shape looks into the cache itself: that costs less than the interpreted blocks
 * that would run meanwhile. The thread looks again, because another process may have compiled it since.
 * A variant that belongs to a kernel being destroyed leaves all lists under the lock; an answer
 * whose id nobody waits for is dropped.
 */
#include "cuse_dev/backend/soft/tier/tier.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cuse_dev/backend/soft/llvm/llvm.h"
#include "cuse_dev/backend/soft/tier/job.h"

#define VARIANTS_MAX 6u	 /* shapes of a kernel; more share the code for any shape */
#define ASKED_MAX    16u /* jobs that the compiler has not answered */

/* What a variant has run for, in code of less than this level, when it is compiled. */
static const uint64_t hot_ns[] = { [LLVM_QUICK] = 400000, [LLVM_GOOD] = 2000000 };
/* Warp instructions of one launch that are worth it beforehand. */
static const uint64_t hot_work[] = { [LLVM_QUICK] = 200000, [LLVM_GOOD] = 4000000 };

enum state { COLD, QUEUED, ASKED, READY, FAILED };

struct tier_variant {
	struct tier_variant *next; /* of the kernel */
	struct tier_func *func;
	uint32_t block[3];
	const struct simt_code *code; /* atomic; one of made */
	struct simt_code *made[2];    /* by level; launches may run either */
	uint64_t heat_ns;	      /* atomic; since the level */
	uint32_t state;		      /* written under the lock, read without for a hint */
	uint32_t level;		      /* that is wanted next; as state */
	bool large;		      /* atomic: a launch was worth good code beforehand */
	bool looked;		      /* atomic: the cache was asked by a launch */
	bool begun;		      /* ASKED, and the compiler works on it */
	uint32_t id;		      /* of its job */
	struct tier_variant *queue;   /* next in tier->queued or tier->asked */
};

struct tier_func {
	struct tier *tier;
	const struct simt_code *interp;
	char *text; /* the unit */
	uint64_t bytes;
	uint64_t base_va[IR_BASE_COUNT];
	struct tier_variant *variants; /* grows only; heads are published whole */
	uint32_t count;
};

struct tier {
	int sock; /* -1: the compiler is gone for good */
	int wake;
	int cache_fd;
	pthread_mutex_t cache_lock;
	struct store *cache; /* under cache_lock */
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below, and states */
	pthread_cond_t moved; /* working has changed */
	struct tier_variant *queued, **queued_last;
	struct tier_variant *asked;
	uint32_t nasked, ngood,
		good_max;	      /* jobs, those of them for good code, and how many may be */
	struct tier_variant *working; /* the thread looks at it without the lock */
	uint32_t last_id;
	bool stop;
};

static void poke(struct tier *t)
{
	uint64_t one = 1;

	if (write(t->wake, &one, sizeof(one)) < 0)
		return; /* it is awake */
}

/* ---- the thread ----------------------------------------------------------------------------- */

static bool cold(const struct tier_variant *v)
{
	return __atomic_load_n(&v->state, __ATOMIC_RELAXED) == COLD;
}

/* Under the lock, as whatever moves a variant. */
static void enter(struct tier_variant *v, enum state state)
{
	__atomic_store_n(&v->state, state, __ATOMIC_RELAXED);
}

static void enqueue(struct tier *t, struct tier_variant *v)
{
	enter(v, QUEUED);
	v->queue = NULL;
	*t->queued_last = v;
	t->queued_last = &v->queue;
}

/* Under the lock: @code, or none, for a variant that is in no list. */
static void settle(struct tier *t, struct tier_variant *v, struct simt_code *code)
{
	if (!code) {
		enter(v, FAILED);
		return;
	}
	v->made[llvm_code_level(code)] = code;
	__atomic_store_n(&v->code, code, __ATOMIC_RELEASE);
	if (llvm_code_level(code) == LLVM_GOOD) {
		enter(v, READY);
		return;
	}
	__atomic_store_n(&v->heat_ns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&v->level, LLVM_GOOD, __ATOMIC_RELAXED);
	enter(v, COLD);
	if (__atomic_load_n(&v->large, __ATOMIC_RELAXED))
		enqueue(t, v);
}

/* NULL too if it is of less than @level. */
static struct simt_code *load(const struct tier_variant *v, uint32_t level, const void *object,
			      size_t bytes)
{
	struct simt_code *code = NULL;
	char err[128];

	if (llvm_load(object, bytes, v->func->interp, v->func->base_va, &code, err, sizeof(err)) <
	    0)
		return NULL;
	if (llvm_code_level(code) >= level)
		return code;
	simt_code_destroy(code);
	return NULL;
}

static struct simt_code *find_in_cache(struct tier *t, const struct tier_variant *v, uint32_t level)
{
	struct simt_code *code;
	struct store_key key;
	void *object;
	size_t bytes;
	int r;

	if (!t->cache || job_key(v->func->text, v->func->bytes, v->block, &key) < 0)
		return NULL;
	pthread_mutex_lock(&t->cache_lock);
	r = store_find(t->cache, &key, &object, &bytes);
	pthread_mutex_unlock(&t->cache_lock);
	if (r < 0)
		return NULL;
	code = load(v, level, object, bytes);
	free(object);
	return code;
}

/* -EAGAIN: the compiler has enough for now. */
static int ask(struct tier *t, const struct tier_variant *v, uint32_t id)
{
	struct job_msg m = {
		.kind = JOB_COMPILE, .id = id, .level = v->level, .bytes = v->func->bytes
	};
	int fd, r;

	if (t->sock < 0)
		return -EPIPE;
	memcpy(m.block, v->block, sizeof(m.block));
	fd = job_pack(v->func->text, v->func->bytes);
	if (fd < 0)
		return fd;
	r = job_send(t->sock, &m, fd, 1);
	close(fd);
	return r;
}

/* Under the lock: the first in the queue for which there is room to ask. */
static struct tier_variant *take(struct tier *t)
{
	struct tier_variant **p, *v;

	for (p = &t->queued; (v = *p) && t->nasked < ASKED_MAX; p = &v->queue) {
		if (v->level == LLVM_GOOD && t->ngood >= t->good_max)
			continue;
		*p = v->queue;
		if (!*p)
			t->queued_last = p;
		return v;
	}
	return NULL;
}

/* The compiler works on it no more. */
static void unask(struct tier *t, const struct tier_variant *v)
{
	t->nasked--;
	t->ngood -= v->level == LLVM_GOOD;
}

/* Take one from the queue; false: there is none, or no room to ask. */
static bool serve_queue(struct tier *t)
{
	struct simt_code *code;
	struct tier_variant *v;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	v = take(t);
	if (!v) {
		pthread_mutex_unlock(&t->lock);
		return false;
	}
	t->working = v;
	v->id = ++t->last_id;
	pthread_mutex_unlock(&t->lock);

	code = find_in_cache(t, v, v->level);
	if (!code)
		r = ask(t, v, v->id);

	pthread_mutex_lock(&t->lock);
	if (code || (r < 0 && r != -EAGAIN)) {
		settle(t, v, code);
	} else if (r == -EAGAIN) {
		v->queue = t->queued;
		if (!t->queued)
			t->queued_last = &v->queue;
		t->queued = v;
	} else {
		enter(v, ASKED);
		v->begun = false;
		v->queue = t->asked;
		t->asked = v;
		t->nasked++;
		t->ngood += v->level == LLVM_GOOD;
	}
	t->working = NULL;
	pthread_cond_broadcast(&t->moved);
	pthread_mutex_unlock(&t->lock);
	return r != -EAGAIN;
}

/* Under the lock: take @id out of the asked ones, NULL if nobody waits for it. */
static struct tier_variant *answered(struct tier *t, uint32_t id)
{
	struct tier_variant **p, *v;

	for (p = &t->asked; (v = *p); p = &v->queue) {
		if (v->id != id)
			continue;
		*p = v->queue;
		unask(t, v);
		return v;
	}
	return NULL;
}

static void take_answer(struct tier *t, const struct job_msg *m, int fd)
{
	struct simt_code *code = NULL;
	struct tier_variant *v;
	void *object;

	pthread_mutex_lock(&t->lock);
	v = answered(t, m->id);
	t->working = v;
	pthread_mutex_unlock(&t->lock);
	if (!v)
		return;
	if (m->status == 0 && job_unpack(fd, m->bytes, JOB_MAX_OBJECT, &object) == 0) {
		code = load(v, v->level, object, m->bytes);
		free(object);
	}
	pthread_mutex_lock(&t->lock);
	settle(t, v, code);
	t->working = NULL;
	pthread_cond_broadcast(&t->moved);
	pthread_mutex_unlock(&t->lock);
}

/* What a compiler that died had begun stays interpreted: it may be what killed it. */
static void forget_begun(struct tier *t)
{
	struct tier_variant **p, *v;

	pthread_mutex_lock(&t->lock);
	for (p = &t->asked; (v = *p);) {
		if (!v->begun) {
			p = &v->queue;
			continue;
		}
		*p = v->queue;
		unask(t, v);
		enter(v, FAILED);
	}
	pthread_mutex_unlock(&t->lock);
}

static void mark_begun(struct tier *t, uint32_t id)
{
	struct tier_variant *v;

	pthread_mutex_lock(&t->lock);
	for (v = t->asked; v; v = v->queue)
		v->begun |= v->id == id;
	pthread_mutex_unlock(&t->lock);
}

/* No more compiler: whoever waits stays interpreted. */
static void give_up(struct tier *t)
{
	struct tier_variant *v;

	close(t->sock);
	t->sock = -1;
	pthread_mutex_lock(&t->lock);
	while ((v = t->asked)) {
		t->asked = v->queue;
		unask(t, v);
		enter(v, FAILED);
	}
	pthread_mutex_unlock(&t->lock);
}

static void take_message(struct tier *t)
{
	struct job_msg m;
	int fd = -1;

	if (job_receive(t->sock, &m, &fd) < 0) {
		give_up(t);
		return;
	}
	if (m.kind == JOB_HELLO) {
		forget_begun(t);
		t->good_max = m.threads > 2 ? m.threads - 1 : 1;
	} else if (m.kind == JOB_BEGUN)
		mark_begun(t, m.id);
	else if (m.kind == JOB_DONE)
		take_answer(t, &m, fd);
	if (fd >= 0)
		close(fd);
}

static void *run(void *arg)
{
	struct tier *t = arg;
	struct pollfd p[2] = { { .fd = t->wake, .events = POLLIN }, { .events = POLLIN } };
	uint64_t count;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		while (serve_queue(t))
			;
		p[1].fd = t->sock; /* negative: ignored */
		p[0].revents = p[1].revents = 0;
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents && read(t->wake, &count, sizeof(count)) < 0)
			continue;
		if (p[1].revents)
			take_message(t);
	}
	return NULL;
}

int tier_create(int sock, int cache, struct tier **ret_tier)
{
	struct tier *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	if (!t)
		return r;
	t->sock = sock;
	t->cache_fd = cache;
	t->queued_last = &t->queued;
	t->good_max = 1;
	pthread_mutex_init(&t->cache_lock, NULL);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->moved, NULL);
	t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->wake < 0) {
		r = -errno;
		goto free_tier;
	}
	if (cache >= 0 && store_open(cache, &t->cache) < 0)
		t->cache = NULL; /* somebody is making it anew: no cache this time */
	r = -pthread_create(&t->thread, NULL, run, t);
	if (r < 0)
		goto close_wake;
	*ret_tier = t;
	return 0;

close_wake:
	store_close(t->cache);
	close(t->wake);
free_tier:
	pthread_cond_destroy(&t->moved);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->cache_lock);
	free(t);
	return r;
}

void tier_destroy(struct tier *t)
{
	if (!t)
		return;
	__atomic_store_n(&t->stop, true, __ATOMIC_RELEASE);
	poke(t);
	pthread_join(t->thread, NULL);
	store_close(t->cache);
	if (t->sock >= 0)
		close(t->sock);
	if (t->cache_fd >= 0)
		close(t->cache_fd);
	close(t->wake);
	pthread_cond_destroy(&t->moved);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->cache_lock);
	free(t);
}

bool tier_idle(struct tier *t)
{
	bool idle;

	pthread_mutex_lock(&t->lock);
	idle = !t->queued && !t->asked && !t->working;
	pthread_mutex_unlock(&t->lock);
	return idle;
}

/* ---- kernels -------------------------------------------------------------------------------- */

struct tier_func *tier_func_create(struct tier *t, const struct ir_unit *unit,
				   const struct simt_code *interp)
{
	struct tier_func *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->tier = t;
	f->interp = interp;
	memcpy(f->base_va, unit->base_va, sizeof(f->base_va));
	f->text = ir_print(unit);
	if (!f->text || strlen(f->text) > JOB_MAX_TEXT) {
		free(f->text);
		free(f);
		return NULL;
	}
	f->bytes = strlen(f->text);
	return f;
}

/* Under the lock. */
static void remove_from_lists(struct tier *t, struct tier_variant *v)
{
	struct tier_variant **p;

	if (v->state == QUEUED) {
		for (p = &t->queued; *p; p = &(*p)->queue) {
			if (*p != v)
				continue;
			*p = v->queue;
			if (!*p)
				t->queued_last = p;
			break;
		}
	} else if (v->state == ASKED) {
		answered(t, v->id);
	}
}

void tier_func_destroy(struct tier_func *f)
{
	struct tier_variant *v;
	struct tier *t;

	if (!f)
		return;
	t = f->tier;
	pthread_mutex_lock(&t->lock);
	for (v = f->variants; v; v = v->next) {
		while (t->working == v)
			pthread_cond_wait(&t->moved, &t->lock);
		remove_from_lists(t, v);
	}
	pthread_mutex_unlock(&t->lock);
	poke(t); /* there may be room to ask for others */
	while ((v = f->variants)) {
		f->variants = v->next;
		for (uint32_t i = 0; i < 2; i++)
			simt_code_destroy(v->made[i]);
		free(v);
	}
	free(f->text);
	free(f);
}

static struct tier_variant *find(struct tier_func *f, const uint32_t block[3])
{
	struct tier_variant *v = __atomic_load_n(&f->variants, __ATOMIC_ACQUIRE);

	while (v && memcmp(v->block, block, sizeof(v->block)))
		v = v->next;
	return v;
}

struct tier_variant *tier_variant(struct tier_func *f, const uint32_t block[3])
{
	static const uint32_t any[3];
	struct tier_variant *v = find(f, block);

	if (v)
		return v;
	pthread_mutex_lock(&f->tier->lock);
	if (f->count >= VARIANTS_MAX)
		block = any;
	v = find(f, block);
	if (!v)
		v = calloc(1, sizeof(*v));
	if (v && !v->func) {
		v->func = f;
		memcpy(v->block, block, sizeof(v->block));
		v->next = f->variants;
		f->count++;
		__atomic_store_n(&f->variants, v, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&f->tier->lock);
	return v;
}

const struct simt_code *const *tier_slot(const struct tier_variant *v)
{
	return &v->code;
}

static void want(struct tier_variant *v)
{
	struct tier *t = v->func->tier;

	pthread_mutex_lock(&t->lock);
	if (v->state == COLD)
		enqueue(t, v);
	pthread_mutex_unlock(&t->lock);
	poke(t);
}

static void look(struct tier_variant *v)
{
	struct tier *t = v->func->tier;
	struct simt_code *code = find_in_cache(t, v, LLVM_QUICK);
	bool taken = false;

	if (!code)
		return;
	pthread_mutex_lock(&t->lock);
	if (v->state == COLD && v->level == LLVM_QUICK) {
		settle(t, v, code);
		taken = true;
	}
	pthread_mutex_unlock(&t->lock);
	poke(t);
	if (!taken)
		simt_code_destroy(code);
}

bool tier_open(const struct tier_variant *v)
{
	return __atomic_load_n(&v->state, __ATOMIC_RELAXED) < READY;
}

void tier_will_run(struct tier_variant *v, uint64_t work)
{
	if (work >= hot_work[LLVM_GOOD])
		__atomic_store_n(&v->large, true, __ATOMIC_RELAXED);
	if (!__atomic_exchange_n(&v->looked, true, __ATOMIC_RELAXED))
		look(v);
	if (cold(v) && work >= hot_work[__atomic_load_n(&v->level, __ATOMIC_RELAXED)])
		want(v);
}

void tier_has_run(struct tier_variant *v, uint64_t ns)
{
	uint32_t level = __atomic_load_n(&v->level, __ATOMIC_RELAXED);

	if (cold(v) && __atomic_add_fetch(&v->heat_ns, ns, __ATOMIC_RELAXED) >= hot_ns[level])
		want(v);
}
