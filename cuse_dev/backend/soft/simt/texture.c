/* SPDX-License-Identifier: MIT */
/* texture.c - the table of texture.h. */
#include "cuse_dev/backend/soft/simt/texture.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cuse_dev/base/limits.h"

#define SLOT_BITS   20
#define DEVICE_BITS 56
#define NO_SLOT	    UINT32_MAX

_Static_assert(LIMIT_TEXTURES < 1u << SLOT_BITS, "slots have numbers");

struct slot {
	uint32_t generation; /* atomic; odd: in use */
	uint32_t next;	     /* free slots: the next one */
	struct vgpu_tex_desc desc;
};

struct simt_textures {
	uint64_t device;
	pthread_mutex_t lock; /* for changes; guards what follows */
	uint32_t used, first_free, last_free;
	struct slot *slot; /* [LIMIT_TEXTURES] */
};

int simt_textures_create(uint32_t device, struct simt_textures **ret_table)
{
	struct simt_textures *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->slot = mmap(NULL, LIMIT_TEXTURES * sizeof(*t->slot), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->slot == MAP_FAILED) {
		free(t);
		return -ENOMEM;
	}
	t->device = device;
	t->first_free = t->last_free = NO_SLOT;
	pthread_mutex_init(&t->lock, NULL);
	*ret_table = t;
	return 0;
}

void simt_textures_destroy(struct simt_textures *t)
{
	if (!t)
		return;
	munmap(t->slot, LIMIT_TEXTURES * sizeof(*t->slot));
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int simt_textures_add(struct simt_textures *t, const struct vgpu_tex_desc *desc,
		      uint64_t *ret_handle)
{
	uint32_t i = NO_SLOT, generation;

	pthread_mutex_lock(&t->lock);
	if (t->used < LIMIT_TEXTURES) {
		/* Old slots are used again late, so that stale handles are found out. */
		i = t->used++;
	} else if (t->first_free != NO_SLOT) {
		i = t->first_free;
		t->first_free = t->slot[i].next;
		if (t->first_free == NO_SLOT)
			t->last_free = NO_SLOT;
	}
	if (i != NO_SLOT) {
		t->slot[i].desc = *desc;
		generation = t->slot[i].generation + 1;
		__atomic_store_n(&t->slot[i].generation, generation, __ATOMIC_RELEASE);
		*ret_handle =
			t->device << DEVICE_BITS | (uint64_t)generation << SLOT_BITS | (i + 1);
	}
	pthread_mutex_unlock(&t->lock);
	return i == NO_SLOT ? -ENOSPC : 0;
}

static struct slot *slot_of(const struct simt_textures *t, uint64_t handle)
{
	uint64_t i = (handle & ((1u << SLOT_BITS) - 1)) - 1;
	uint64_t generation = (handle ^ t->device << DEVICE_BITS) >> SLOT_BITS;

	if (i >= LIMIT_TEXTURES || !(generation & 1) ||
	    __atomic_load_n(&t->slot[i].generation, __ATOMIC_ACQUIRE) != generation)
		return NULL;
	return &t->slot[i];
}

int simt_textures_remove(struct simt_textures *t, uint64_t handle)
{
	struct slot *s;

	pthread_mutex_lock(&t->lock);
	s = slot_of(t, handle);
	if (s) {
		__atomic_store_n(&s->generation, s->generation + 1, __ATOMIC_RELEASE);
		s->next = NO_SLOT;
		if (t->last_free != NO_SLOT)
			t->slot[t->last_free].next = (uint32_t)(s - t->slot);
		else
			t->first_free = (uint32_t)(s - t->slot);
		t->last_free = (uint32_t)(s - t->slot);
	}
	pthread_mutex_unlock(&t->lock);
	return s ? 0 : -ENOENT;
}

const struct vgpu_tex_desc *simt_textures_find(const struct simt_textures *t, uint64_t handle)
{
	const struct slot *s = slot_of(t, handle);

	return s ? &s->desc : NULL;
}
