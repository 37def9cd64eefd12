/* SPDX-License-Identifier: MIT */
/*
 * slot.c - event slots: which are in use, which generation comes next, what has been recorded.
 *
 * A slot's generations rise for the life of the process, over all events that use it one after the
 * other. A slot whose last record is still on its way is not given out again: that record would
 * otherwise be taken for one of the next owner, or hide one.
 */
#include "libcuda/link/internal.h"

#define BITS 64

static bool settled(struct link *l, uint32_t slot)
{
	uint64_t gen, time_ns;

	if (__atomic_load_n(&l->dead, __ATOMIC_ACQUIRE))
		return true;
	if (!__atomic_load_n(&l->event_gen[slot], __ATOMIC_ACQUIRE))
		return true;
	if (link_event_state(l->dev[0], slot, &gen, &time_ns) < 0)
		return true;
	return gen >= __atomic_load_n(&l->event_gen[slot], __ATOMIC_ACQUIRE);
}

/* Guarded by event_lock. */
static int sweep(struct link *l)
{
	int found = 0;

	for (uint32_t slot = 0; slot < VGPU_SHARE_EVENTS; slot++) {
		uint64_t bit = 1ull << (slot % BITS);

		if (!l->event_late[slot / BITS]) {
			slot |= BITS - 1;
			continue;
		}
		if (!(l->event_late[slot / BITS] & bit) || !settled(l, slot))
			continue;
		l->event_late[slot / BITS] &= ~bit;
		l->event_used[slot / BITS] &= ~bit;
		found++;
	}
	return found;
}

static int take(struct link *l, uint32_t *ret_slot)
{
	for (uint32_t i = 0; i < VGPU_SHARE_EVENTS / BITS; i++) {
		uint32_t word = (l->event_hint + i) % (VGPU_SHARE_EVENTS / BITS);
		uint64_t free_bits = ~l->event_used[word];

		if (!free_bits)
			continue;
		*ret_slot = word * BITS + (uint32_t)__builtin_ctzll(free_bits);
		l->event_used[word] |= free_bits & -free_bits;
		l->event_hint = word;
		return 0;
	}
	return -ENOSPC;
}

int link_event_alloc(struct link *l, uint32_t *ret_slot)
{
	int r;

	pthread_mutex_lock(&l->event_lock);
	r = take(l, ret_slot);
	if (r < 0 && sweep(l))
		r = take(l, ret_slot);
	pthread_mutex_unlock(&l->event_lock);
	return r;
}

void link_event_free(struct link *l, uint32_t slot)
{
	uint64_t bit = 1ull << (slot % BITS);
	bool now;

	if (slot >= VGPU_SHARE_EVENTS)
		return;
	/* Without shared pages asking costs a round trip; sweep() asks when it must. */
	now = l->control ? settled(l, slot) : !l->event_gen[slot];
	pthread_mutex_lock(&l->event_lock);
	if (now)
		l->event_used[slot / BITS] &= ~bit;
	else
		l->event_late[slot / BITS] |= bit;
	pthread_mutex_unlock(&l->event_lock);
}

uint64_t link_event_next(struct link *l, uint32_t slot)
{
	return __atomic_add_fetch(&l->event_gen[slot], 1, __ATOMIC_ACQ_REL);
}

int link_event_state(struct link_dev *dev, uint32_t slot, uint64_t *ret_gen, uint64_t *ret_time_ns)
{
	struct vgpu_event_query query = { .slot = slot };
	struct vgpu_share_event *e;
	uint64_t gen, time_ns;
	int r;

	if (slot >= VGPU_SHARE_EVENTS)
		return -EINVAL;
	if (!dev->link->control) {
		r = link_call(dev, VGPU_OP_EVENT_QUERY, &query, sizeof(query));
		if (r < 0)
			return r;
		*ret_gen = query.gen;
		*ret_time_ns = query.time_ns;
		return 0;
	}
	e = &dev->link->control->event[slot];
	do {
		gen = __atomic_load_n(&e->gen, __ATOMIC_ACQUIRE);
		time_ns = __atomic_load_n(&e->time_ns, __ATOMIC_ACQUIRE);
	} while (gen != __atomic_load_n(&e->gen, __ATOMIC_ACQUIRE));
	*ret_gen = gen;
	*ret_time_ns = time_ns;
	return 0;
}
