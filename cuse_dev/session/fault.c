/* SPDX-License-Identifier: MIT */
/*
 * fault.c - the last faults: what broke, whose it was, and the number that NVIDIA's driver has for
 * such a thing in its Xid messages.
 *
 * A worker runs its client's code, so its texts may hold anything; they are made printable here. The
 * log gets a line for each fault, LOG_LINES of them in LOG_SECONDS.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/base/limits.h"
#include "cuse_dev/base/log.h"
#include "cuse_dev/session/front.h"

#define LOG_LINES   20
#define LOG_SECONDS 10
#define NS_PER_S    1000000000ull

#define LAUNCH_FAILED 719

/* Xid numbers. */
enum { XID_EXCEPTION = 13, XID_MMU = 31, XID_STOPPED = 43 };

static const struct {
	uint32_t error, xid; /* CUresult */
} kinds[] = {
	{ 700, XID_MMU },	/* an address that is not mapped */
	{ 715, XID_EXCEPTION }, /* an instruction that does not exist */
	{ 716, XID_EXCEPTION }, /* a misaligned address */
	{ 717, XID_EXCEPTION }, /* an address of the wrong space */
	{ 718, XID_EXCEPTION }, /* a program counter that leads nowhere */
};

struct fault_log {
	uint64_t last; /* serial of the newest */
	uint64_t log_since_ns;
	uint32_t log_lines;
	struct {
		uint32_t tgid;
		struct vgpu_fault_entry entry;
	} ring[LIMIT_FAULTS]; /* serial n in [(n - 1) % LIMIT_FAULTS] */
};

int fault_create(struct fault_log **ret_log)
{
	*ret_log = calloc(1, sizeof(**ret_log));
	return *ret_log ? 0 : -ENOMEM;
}

void fault_destroy(struct fault_log *log)
{
	free(log);
}

static uint32_t xid_of(uint32_t error)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].error == error)
			return kinds[i].xid;
	}
	return XID_STOPPED;
}

static void copy_clean(char *to, size_t size, const char *from, size_t most)
{
	size_t n = strnlen(from, most < size - 1 ? most : size - 1), i;

	for (i = 0; i < n; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[n] = '\0';
}

static void tell(struct fault_log *log, const struct vgpu_fault_entry *e, uint32_t tgid)
{
	uint64_t now = telemetry_now_ns();

	if (now - log->log_since_ns > LOG_SECONDS * NS_PER_S) {
		log->log_since_ns = now;
		log->log_lines = 0;
	}
	if (log->log_lines++ >= LOG_LINES)
		return;
	log_info("Xid %u on device %u: process %u (%s), kernel %s: %s", e->xid, e->device, tgid,
		 *e->name ? e->name : "?", *e->kernel ? e->kernel : "none", e->what);
}

void fault_add(struct client *c, uint32_t device, const struct vgpu_ctx_status *status)
{
	struct fault_log *log = c->front->faults;
	uint64_t serial = ++log->last;
	struct vgpu_fault_entry *e = &log->ring[(serial - 1) % LIMIT_FAULTS].entry;

	*e = (struct vgpu_fault_entry){
		.serial = serial,
		.time_us = telemetry_now_us(),
		.address = status->address,
		.device = device,
		.xid = xid_of(status->error),
		.error = status->error,
		.uid = c->uid,
		.line = status->line,
	};
	memcpy(e->ctaid, status->ctaid, sizeof(e->ctaid));
	memcpy(e->tid, status->tid, sizeof(e->tid));
	copy_clean(e->name, sizeof(e->name), c->name, sizeof(c->name));
	copy_clean(e->kernel, sizeof(e->kernel), status->kernel, sizeof(status->kernel));
	copy_clean(e->what, sizeof(e->what), status->what, sizeof(status->what));
	log->ring[(serial - 1) % LIMIT_FAULTS].tgid = c->id.tgid;
	tell(log, e, c->id.tgid);
	event_add(c->front,
		  &(struct event){ .kind = EVENT_FAULT,
				   .pid = c->id.tgid,
				   .uid = c->uid,
				   .device = (int32_t)device },
		  "Xid %u, kernel %.60s: %s", e->xid, *e->kernel ? e->kernel : "none", e->what);
}

void fault_worker_died(struct client *c, const char *how)
{
	struct vgpu_ctx_status status = { .error = LAUNCH_FAILED };
	uint32_t i;

	snprintf(status.what, sizeof(status.what), "%s", how);
	for (i = 0; i < c->front->device_count; i++) {
		if (c->use[i].contexts)
			fault_add(c, i, &status);
	}
}

uint64_t fault_last(const struct front *f)
{
	return f->faults->last;
}

const struct vgpu_fault_entry *fault_next(const struct front *f, uint64_t after, uint32_t *ret_tgid)
{
	const struct fault_log *log = f->faults;
	uint64_t oldest = log->last > LIMIT_FAULTS ? log->last - LIMIT_FAULTS : 0;
	uint64_t n = after < oldest ? oldest : after;

	if (n >= log->last)
		return NULL;
	*ret_tgid = log->ring[n % LIMIT_FAULTS].tgid;
	return &log->ring[n % LIMIT_FAULTS].entry;
}

uint32_t fault_last_xid(const struct front *f, uint32_t device)
{
	const struct fault_log *log = f->faults;
	uint64_t n;

	for (n = log->last; n && log->last - n < LIMIT_FAULTS; n--) {
		if (log->ring[(n - 1) % LIMIT_FAULTS].entry.device == device)
			return log->ring[(n - 1) % LIMIT_FAULTS].entry.xid;
	}
	return 0;
}

int fault_list(struct session *s, struct vgpu_fault_list *list)
{
	const struct vgpu_fault_entry *from;
	uint64_t after = list->after;
	struct vgpu_fault_entry *e;
	struct proc_viewer view;
	uint32_t tgid;

	list->last = fault_last(s->front);
	list->count = 0;
	memset(list->entry, 0, sizeof(list->entry));
	proc_view(s->client->id.tgid, &view);
	while (list->count < VGPU_FAULT_ENTRIES && (from = fault_next(s->front, after, &tgid))) {
		e = &list->entry[list->count++];
		*e = *from;
		e->pid = proc_seen(&view, tgid);
		after = e->serial;
	}
	return 0;
}
