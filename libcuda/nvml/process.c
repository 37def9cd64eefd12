/* SPDX-License-Identifier: MIT */
/*
 * process.c - nvmlInit to nvmlShutdown: the one place of nvml/ with global state.
 *
 * One lock around each call: a question is one short operation, and nobody asks from many threads.
 * The child of a fork has its parent's open files, which are the parent's in the daemon's eyes; it
 * opens its own at its first question.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "libcuda/nvml/nv.h"

static struct {
	pthread_mutex_t lock;
	unsigned users; /* nvmlInit without nvmlShutdown */
	unsigned count;
	struct nvmlDevice_st device[VGPU_MAX_DEVICES];
	bool attached; /* devices were looked for */
	bool forked;
	bool handlers; /* of fork, are set */
} process = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void before_fork(void)
{
	pthread_mutex_lock(&process.lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&process.lock);
}

static void in_child(void)
{
	process.forked = true;
	pthread_mutex_unlock(&process.lock);
}

static void close_all(void)
{
	for (unsigned i = 0; i < process.count; i++)
		nv_close(&process.device[i]);
}

/* The library may be unloaded by a program that forgot nvmlShutdown. */
__attribute__((destructor)) static void unload(void)
{
	close_all();
}

nvmlReturn_t nv_enter(void)
{
	pthread_mutex_lock(&process.lock);
	if (!process.users) {
		pthread_mutex_unlock(&process.lock);
		return NVML_ERROR_UNINITIALIZED;
	}
	if (process.forked) {
		process.forked = false;
		close_all(); /* nv_call() opens them again */
	}
	return NVML_SUCCESS;
}

nvmlReturn_t nv_enter_device(nvmlDevice_t device)
{
	nvmlReturn_t r = nv_enter();

	if (r != NVML_SUCCESS)
		return r;
	if (nv_is_device(device))
		return NVML_SUCCESS;
	nv_leave();
	return NVML_ERROR_INVALID_ARGUMENT;
}

void nv_leave(void)
{
	pthread_mutex_unlock(&process.lock);
}

unsigned nv_count(void)
{
	return process.count;
}

nvmlDevice_t nv_device(unsigned index)
{
	return index < process.count ? &process.device[index] : NULL;
}

unsigned nv_index(nvmlDevice_t device)
{
	return (unsigned)(device - process.device);
}

bool nv_is_device(nvmlDevice_t device)
{
	uintptr_t off = (uintptr_t)device - (uintptr_t)process.device;

	return device && off % sizeof(*device) == 0 && off / sizeof(*device) < process.count;
}

static nvmlReturn_t attach(unsigned int flags)
{
	nvmlReturn_t r = nv_open_all(process.device, &process.count);

	if (r == NVML_ERROR_DRIVER_NOT_LOADED && flags & NVML_INIT_FLAG_NO_GPUS)
		return NVML_SUCCESS;
	process.attached = r == NVML_SUCCESS;
	return r;
}

nvmlReturn_t answer_nvmlInitWithFlags(unsigned int flags)
{
	nvmlReturn_t r = NVML_SUCCESS;

	if (flags & ~(unsigned int)(NVML_INIT_FLAG_NO_GPUS | NVML_INIT_FLAG_NO_ATTACH))
		return NVML_ERROR_INVALID_ARGUMENT;
	pthread_mutex_lock(&process.lock);
	if (!process.handlers)
		process.handlers = !pthread_atfork(before_fork, after_fork, in_child);
	if (!process.users || !process.attached)
		r = attach(flags);
	if (r == NVML_SUCCESS)
		process.users++;
	pthread_mutex_unlock(&process.lock);
	return r;
}

nvmlReturn_t answer_nvmlInit_v2(void)
{
	return answer_nvmlInitWithFlags(0);
}

nvmlReturn_t answer_nvmlInit(void)
{
	return answer_nvmlInitWithFlags(0);
}

nvmlReturn_t answer_nvmlShutdown(void)
{
	nvmlReturn_t r = NVML_SUCCESS;

	pthread_mutex_lock(&process.lock);
	if (!process.users) {
		r = NVML_ERROR_UNINITIALIZED;
	} else if (!--process.users) {
		close_all();
		process.count = 0;
		process.attached = false;
		process.forked = false;
	}
	pthread_mutex_unlock(&process.lock);
	return r;
}

nvmlReturn_t nv_text(char *buf, unsigned int length, const char *text)
{
	size_t n = strlen(text) + 1;

	NV_NEED(buf);
	if (n > length)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	memcpy(buf, text, n);
	return NVML_SUCCESS;
}

nvmlReturn_t nv_state(nvmlDevice_t device, struct vgpu_device_state *ret_state)
{
	return nv_error(nv_call(device, VGPU_OP_DEVICE_STATE, ret_state, sizeof(*ret_state)));
}
