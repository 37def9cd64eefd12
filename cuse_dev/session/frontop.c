/* SPDX-License-Identifier: MIT */
/*
 * frontop.c - the operations that the front answers itself. They start nothing and never wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cuse_dev/base/log.h"
#include "cuse_dev/session/front.h"
#include "ioctl/vgpu_share.h"

#define DRIVER_VERSION 13000
#define DRIVER_STRING  "580.95.05"

#define FEATURES_ALWAYS (VGPU_FEATURE_VMM | VGPU_FEATURE_TELEMETRY | VGPU_FEATURE_TASKS)
#define FEATURES_VISIBLE                                                                           \
	(VGPU_FEATURE_SHARED_PAGES | VGPU_FEATURE_EXPORT) /* they pass descriptors */

#define UNIT	       (2ull << 20)
#define WINDOW_MIN     (1ull << 32)
#define WINDOW_MAX     (1ull << 44)
#define USER_TOP       (1ull << 47) /* addresses of a process end here */
#define HOST_ARENA_MAX (1ull << 43) /* half the largest window */

static int check_window(const struct vgpu_hello *h)
{
	if (!h->window_base && !h->window_size)
		return 0;
	if (h->window_size < WINDOW_MIN || h->window_size > WINDOW_MAX ||
	    h->window_size & (h->window_size - 1) || h->window_base & (UNIT - 1) ||
	    h->window_base > USER_TOP - h->window_size)
		return -EINVAL;
	return 0;
}

const char *frontop_driver(void)
{
	return DRIVER_STRING;
}

static int op_hello(struct session *s, struct vgpu_hello *h, int fd)
{
	struct front *f = s->front;
	struct client *c = s->client;
	uint64_t ours = FEATURES_ALWAYS | (session_visible(s) ? FEATURES_VISIBLE : 0);
	int r;

	if (h->magic != VGPU_MAGIC)
		return -EINVAL;
	if (h->version_major != VGPU_VERSION_MAJOR)
		return -EPROTONOSUPPORT;
	r = check_window(h);
	if (r >= 0)
		r = account_greet(c, s->device);
	if (r < 0)
		return r;
	if (h->window_base && !c->window_size) {
		c->window_base = h->window_base;
		c->window_size = h->window_size;
	}
	h->version_major = VGPU_VERSION_MAJOR;
	h->version_minor = VGPU_VERSION_MINOR;
	h->features &= ours;
	h->window_base = c->window_base;
	h->window_size = c->window_size;
	h->session = s->number;
	h->device = s->device;
	h->device_count = f->device_count;
	h->pid = c->id.tgid;
	h->driver_version = DRIVER_VERSION;
	memset(h->driver_string, 0, sizeof(h->driver_string));
	memcpy(h->driver_string, DRIVER_STRING, sizeof(DRIVER_STRING));
	s->greeted = true;
	log_debug("session %llu: process %u, uid %u, device %u", (unsigned long long)s->number,
		  c->id.tgid, (unsigned)c->uid, s->device);
	return 0;
}

static int op_device_info(struct session *s, struct vgpu_device_info *a, int fd)
{
	*a = s->front->device[s->device].info;
	return 0;
}

static int op_device_attrs(struct session *s, struct vgpu_device_attrs *a, int fd)
{
	*a = s->front->device[s->device].attrs;
	return 0;
}

static int op_mem_info(struct session *s, struct vgpu_mem_info *a, int fd)
{
	const struct front_device *d = &s->front->device[s->device];

	*a = (struct vgpu_mem_info){ .total = d->total,
				     .free = account_free(s->client, s->device),
				     .reserved = d->reserved,
				     .mine = s->client->charged[s->device] };
	return 0;
}

static int op_bulk_base(struct session *s, struct vgpu_bulk_base *a, int fd)
{
	s->bulk_base = a->base;
	return 0;
}

static int op_board_info(struct session *s, struct vgpu_board_info *a, int fd)
{
	*a = s->front->device[s->device].board;
	return 0;
}

static int op_device_state(struct session *s, struct vgpu_device_state *a, int fd)
{
	telemetry_state(s->front, s->device, a);
	return 0;
}

static int op_client_list(struct session *s, struct vgpu_client_list *a, int fd)
{
	return telemetry_clients(s, a);
}

static int op_fault_list(struct session *s, struct vgpu_fault_list *a, int fd)
{
	return fault_list(s, a);
}

static int op_sample_list(struct session *s, struct vgpu_sample_list *a, int fd)
{
	return telemetry_samples(s, a);
}

static int share_size(const struct session *s, const struct vgpu_share *a)
{
	const struct front_device *d = &s->front->device[s->device];
	uint64_t most = (d->total + UNIT - 1) & ~(UNIT - 1);

	if (!a->size || a->size & (UNIT - 1))
		return -EINVAL;
	switch (a->kind) {
	case VGPU_SHARE_CONTROL:
		return a->size == VGPU_SHARE_CONTROL_BYTES ? SHARE_CONTROL : -EINVAL;
	case VGPU_SHARE_HOST:
		return a->size <= HOST_ARENA_MAX ? SHARE_HOST : -EINVAL;
	case VGPU_SHARE_DEVICE:
		if (a->size > most || a->size < d->total - d->reserved)
			return -EINVAL;
		return SHARE_DEVICE0 + (int)s->device;
	default:
		return -EINVAL;
	}
}

/* @fd was opened and its type, seals and size were compared by the door. */
static int op_share(struct session *s, struct vgpu_share *a, int fd)
{
	struct client *c = s->client;
	int i = share_size(s, a);

	if (i < 0)
		return i;
	if (c->worker_died)
		return -ENODEV;
	if (c->share[i].fd >= 0)
		return -EEXIST;
	if (c->worker)
		return -EBUSY;
	c->share[i].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (c->share[i].fd < 0)
		return -errno;
	c->share[i].bytes = a->size;
	return 0;
}

int frontop_call(struct session *s, const struct session_request *call)
{
	int r;

	switch (call->nr) {
#define CASE(NAME, name)                                                                           \
	case VGPU_OP_##NAME:                                                                       \
		r = op_##name(s, call->arg, call->fd);                                             \
		break
		CASE(HELLO, hello);
		CASE(DEVICE_INFO, device_info);
		CASE(DEVICE_ATTRS, device_attrs);
		CASE(MEM_INFO, mem_info);
		CASE(SHARE, share);
		CASE(BULK_BASE, bulk_base);
		CASE(BOARD_INFO, board_info);
		CASE(DEVICE_STATE, device_state);
		CASE(CLIENT_LIST, client_list);
		CASE(FAULT_LIST, fault_list);
		CASE(SAMPLE_LIST, sample_list);
#undef CASE
	default:
		r = -ENOTTY;
		break;
	}
	if (call->fd >= 0)
		close(call->fd);
	return r;
}
