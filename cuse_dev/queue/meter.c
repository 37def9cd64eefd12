/* SPDX-License-Identifier: MIT */
/*
 * meter.c - what keeps the devices busy, and contexts that broke: the front's view of this process.
 *
 * The counters lie on a page that only front and worker have, so that no client can write them.
 * Several streams of one device count once: from the first that begins to the last that ends.
 */
#include "cuse_dev/queue/state.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int queue_meter_init(struct queue_meter *m, int fd)
{
	int flags = fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	void *p = mmap(NULL, sizeof(*m->page), PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	m->page = p;
	pthread_mutex_init(&m->lock, NULL);
	return 0;
}

void queue_meter_fini(struct queue_meter *m)
{
	munmap(m->page, sizeof(*m->page));
	pthread_mutex_destroy(&m->lock);
}

void queue_meter_begin(struct queue_ctx *c, enum meter_kind kind)
{
	struct queue_meter *m = &c->q->meter;
	uint32_t device = c->device.index;
	uint64_t now = queue_now_ns();

	pthread_mutex_lock(&m->lock);
	if (!m->active[device][kind]++)
		meter_begin(&m->page->track[device][kind], now);
	else
		m->page->track[device][kind].count++;
	pthread_mutex_unlock(&m->lock);
}

void queue_meter_end(struct queue_ctx *c, enum meter_kind kind)
{
	struct queue_meter *m = &c->q->meter;
	uint32_t device = c->device.index;
	uint64_t now = queue_now_ns();

	pthread_mutex_lock(&m->lock);
	if (!--m->active[device][kind])
		meter_end(&m->page->track[device][kind], now);
	pthread_mutex_unlock(&m->lock);
}

void queue_meter_moved(struct queue_ctx *c, uint64_t dst, uint64_t src, uint64_t bytes)
{
	struct queue_meter *m = &c->q->meter;
	struct meter_track *t = m->page->track[c->device.index];
	bool from = !src || mem_on_device(c->q->mem, src), to = mem_on_device(c->q->mem, dst);
	uint64_t now = queue_now_ns();

	pthread_mutex_lock(&m->lock);
	meter_bytes(&t[METER_COPY], now, bytes);
	if (to && !from)
		meter_bytes(&t[METER_IN], now, bytes);
	if (from && !to)
		meter_bytes(&t[METER_OUT], now, bytes);
	pthread_mutex_unlock(&m->lock);
}

void queue_meter_fault(struct queue_ctx *c, const struct vgpu_ctx_status *status)
{
	struct queue_meter *m = &c->q->meter;
	uint64_t one = 1;

	pthread_mutex_lock(&m->lock);
	if (m->faults < QUEUE_FAULTS)
		m->fault[m->faults++] =
			(struct queue_fault){ .device = c->device.index, .status = *status };
	pthread_mutex_unlock(&m->lock);
	/* A full counter already wakes the reader. */
	if (write(c->q->notify_fd, &one, sizeof(one)) < 0)
		return;
}

bool queue_take_fault(struct queue *q, uint32_t *ret_device, struct vgpu_ctx_status *ret_status)
{
	struct queue_meter *m = &q->meter;
	uint32_t i;

	pthread_mutex_lock(&m->lock);
	if (!m->faults) {
		pthread_mutex_unlock(&m->lock);
		return false;
	}
	*ret_device = m->fault[0].device;
	*ret_status = m->fault[0].status;
	m->faults--;
	for (i = 0; i < m->faults; i++)
		m->fault[i] = m->fault[i + 1];
	pthread_mutex_unlock(&m->lock);
	return true;
}
