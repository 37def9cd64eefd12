/* SPDX-License-Identifier: MIT */
/*
 * process.c - the one process-wide state: connection, visible devices, fork, threads.
 *
 * A forked child inherits our memory but neither the worker nor the meaning of any handle: every
 * call there answers CUDA_ERROR_NOT_INITIALIZED, as the genuine driver does.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/ctx.h"
#include "libcuda/core/error.h"
#include "libcuda/core/visible.h"
#include "libcuda/link/link.h"

static struct {
	pthread_mutex_t lock;
	_Atomic bool initialised; /* cuInit succeeded */
	_Atomic bool forked;	  /* we are the child of a process that had opened devices */
	struct link *link;	  /* guarded by lock until devices_found, then constant */
	_Atomic bool devices_found;
	int device_count;
	struct cu_device device[VGPU_MAX_DEVICES];
	_Atomic uint64_t last_id;
} process = { .lock = PTHREAD_MUTEX_INITIALIZER };

void cu_lock(void)
{
	pthread_mutex_lock(&process.lock);
}

void cu_unlock(void)
{
	pthread_mutex_unlock(&process.lock);
}

uint64_t cu_next_id(void)
{
	return atomic_fetch_add(&process.last_id, 1) + 1;
}

struct link *cu_link(void)
{
	return process.devices_found ? process.link : NULL;
}

struct cu_device *cu_device_get(CUdevice ordinal)
{
	if (!process.devices_found || ordinal < 0 || ordinal >= process.device_count)
		return NULL;
	return &process.device[ordinal];
}

int cu_device_count(void)
{
	return process.devices_found ? process.device_count : 0;
}

int cu_device_attr(const struct cu_device *dev, CUdevice_attribute attr, int fallback)
{
	const struct vgpu_device_attrs *a = &dev->link->attrs;
	unsigned i = (unsigned)attr;

	if (i >= VGPU_MAX_ATTRS || !(a->known[i / 64] >> (i % 64) & 1))
		return fallback;
	return a->value[i];
}

/* --------------------------------------------------------------------------------------------- */

static void fork_child(void)
{
	if (process.link)
		link_abandon(process.link);
	if (process.initialised) {
		process.forked = true;
		return;
	}
	/* Only asked for memory so far: the child may begin anew. Of its threads only this one
	 * lives on; the lock may have been held by another. */
	pthread_mutex_init(&process.lock, NULL);
	process.link = NULL;
	process.device_count = 0;
	process.devices_found = false;
}

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void fork_setup(void)
{
	pthread_atfork(NULL, NULL, fork_child);
}

static void at_exit(void)
{
	if (process.initialised && !process.forked)
		cu_ctx_console_all();
}

static CUresult open_error(int r)
{
	switch (r) {
	case -ENODEV:
	case -ENOENT:
		cu_log(CU_LOG_INFO, "no device: is the daemon running?");
		return CUDA_ERROR_NO_DEVICE;
	case -EACCES:
	case -EPERM:
		cu_log(CU_LOG_INFO, "there are devices, but this user may not open them");
		return CUDA_ERROR_NO_DEVICE;
	case -EPROTONOSUPPORT:
		cu_log(CU_LOG_ERROR, "daemon and libcuda.so.1 are of different major versions");
		return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
	default:
		cu_log(CU_LOG_ERROR, "opening the devices: %s", strerror(-r));
		return cu_from_errno(r);
	}
}

/* Order and choose the devices. Called with the lock held. */
static void pick_devices(struct link *l)
{
	unsigned order[VGPU_MAX_DEVICES];
	pthread_mutexattr_t recursive;
	unsigned n = cu_visible_pick(l, getenv("CUDA_VISIBLE_DEVICES"), getenv("CUDA_DEVICE_ORDER"),
				     order);

	/* A value that the runtime stored in a context is destroyed by its own code, under the
	 * lock. */
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	for (unsigned i = 0; i < n; i++) {
		struct cu_device *d = &process.device[i];

		d->link = l->dev[order[i]];
		d->ordinal = (int)i;
		pthread_mutex_init(&d->primary_lock, &recursive);
	}
	pthread_mutexattr_destroy(&recursive);
	process.device_count = (int)n;
}

CUresult cu_process_devices(void)
{
	CUresult r = CUDA_SUCCESS;
	int err;

	if (process.forked)
		return CUDA_ERROR_NOT_INITIALIZED;
	if (process.devices_found)
		return CUDA_SUCCESS;
	cu_lock();
	if (!process.devices_found) {
		err = link_open(&process.link);
		if (err < 0) {
			r = open_error(err);
		} else {
			pick_devices(process.link);
			pthread_once(&fork_once, fork_setup);
			process.devices_found = true;
		}
	}
	cu_unlock();
	return r;
}

CUresult cu_process_init(unsigned flags)
{
	CUresult r;

	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_process_devices();
	if (r != CUDA_SUCCESS)
		return r;
	if (!process.device_count)
		return CUDA_ERROR_NO_DEVICE;
	if (!atomic_exchange(&process.initialised, true))
		atexit(at_exit);
	return CUDA_SUCCESS;
}

CUresult cu_process_state(void)
{
	return process.initialised && !process.forked ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

/* --------------------------------------------------------------------------------------------- */

static __thread struct cu_thread this_thread;
static __thread bool this_thread_known;
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

static void thread_end(void *p)
{
	struct cu_thread *t = p;

	if (!process.forked)
		cu_stream_thread_fini(t);
	free(t->stack);
	memset(t, 0, sizeof(*t));
	this_thread_known = false;
}

static void thread_setup(void)
{
	pthread_key_create(&thread_key, thread_end);
}

struct cu_thread *cu_thread(void)
{
	if (!this_thread_known) {
		pthread_once(&thread_once, thread_setup);
		pthread_setspecific(thread_key, &this_thread);
		this_thread_known = true;
	}
	return &this_thread;
}
