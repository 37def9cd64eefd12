/* SPDX-License-Identifier: MIT */
/*
 * debug.c - what programs ask of a driver when something is wrong: the error log, core dumps, notifications.
 *
 * No core dumps are written: their settings can be read and, but for those that switch them on, set. Nobody's
 * budget of memory is ever exceeded here, so those who asked to hear of it never do.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcuda/core/ctx.h"
#include "libcuda/core/error.h"
#include "libcuda/core/logs.h"
#include "libcuda/impl/impl.h"

/* ---- the error log -------------------------------------------------------------------------- */

CUresult impl_cuLogsRegisterCallback(CUlogsCallback callbackFunc, void *userData,
				     CUlogsCallbackHandle *callback_out)
{
	CUlogsCallbackHandle h;

	if (!callbackFunc)
		return CUDA_ERROR_INVALID_VALUE;
	h = cu_logs_listen(callbackFunc, userData);
	if (!h)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (callback_out)
		*callback_out = h;
	return CUDA_SUCCESS;
}

CUresult impl_cuLogsUnregisterCallback(CUlogsCallbackHandle callback)
{
	return cu_logs_deafen(callback) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult impl_cuLogsCurrent(CUlogIterator *iterator_out, unsigned int flags)
{
	if (!iterator_out || flags)
		return CUDA_ERROR_INVALID_VALUE;
	*iterator_out = cu_logs_end();
	return CUDA_SUCCESS;
}

CUresult impl_cuLogsDumpToFile(CUlogIterator *iterator, const char *pathToFile, unsigned int flags)
{
	CUlogIterator end;
	ssize_t written;
	size_t bytes;
	char *text;
	int fd;

	if (!pathToFile || flags)
		return CUDA_ERROR_INVALID_VALUE;
	fd = open(pathToFile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (fd < 0)
		return CUDA_ERROR_INVALID_VALUE;
	text = cu_logs_text(iterator ? *iterator : 0, SIZE_MAX, &end);
	bytes = text ? strlen(text) : 0;
	written = text ? write(fd, text, bytes) : -1;
	free(text);
	if (close(fd) < 0 || written != (ssize_t)bytes)
		return CUDA_ERROR_OPERATING_SYSTEM;
	if (iterator)
		*iterator = end;
	return CUDA_SUCCESS;
}

CUresult impl_cuLogsDumpToMemory(CUlogIterator *iterator, char *buffer, size_t *size,
				 unsigned int flags)
{
	CUlogIterator end;
	char *text;

	if (!buffer || !size || flags)
		return CUDA_ERROR_INVALID_VALUE;
	text = *size ? cu_logs_text(iterator ? *iterator : 0, *size - 1, &end) : NULL;
	if (!text) {
		*size = 0;
		return CUDA_ERROR_INVALID_VALUE;
	}
	*size = strlen(text);
	memcpy(buffer, text, *size + 1);
	free(text);
	if (iterator)
		*iterator = end;
	return CUDA_SUCCESS;
}

/* ---- core dumps ----------------------------------------------------------------------------- */

#define NAME_BYTES 1024

/* What a context has where it was not set is the program's. */
struct coredump {
	char file[NAME_BYTES], pipe[NAME_BYTES];
	bool host, light;
	int flags;
};

static pthread_mutex_t coredump_lock = PTHREAD_MUTEX_INITIALIZER;
static struct coredump coredump; /* guarded by coredump_lock */
static bool coredump_ready;	 /* guarded by coredump_lock */

/* The caller holds the lock. */
static struct coredump *settings(void)
{
	char host[256] = "";

	if (!coredump_ready) {
		gethostname(host, sizeof(host) - 1);
		snprintf(coredump.file, NAME_BYTES, "core.cuda.%s.%d", host, (int)getpid());
		snprintf(coredump.pipe, NAME_BYTES, "corepipe.cuda.%s.%d", host, (int)getpid());
		coredump.host = true;
		coredump_ready = true;
	}
	return &coredump;
}

static CUresult hand_out(void *value, size_t *size, const void *from, size_t bytes)
{
	if (!value) {
		*size = bytes;
		return CUDA_SUCCESS;
	}
	if (*size < bytes)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(value, from, bytes);
	*size = bytes;
	return CUDA_SUCCESS;
}

static CUresult get(CUcoredumpSettings attrib, void *value, size_t *size)
{
	static const bool off;
	struct coredump *c = settings();

	switch (attrib) {
	case CU_COREDUMP_ENABLE_ON_EXCEPTION:
	case CU_COREDUMP_ENABLE_USER_TRIGGER:
		return hand_out(value, size, &off, sizeof(off));
	case CU_COREDUMP_TRIGGER_HOST:
		return hand_out(value, size, &c->host, sizeof(c->host));
	case CU_COREDUMP_LIGHTWEIGHT:
		return hand_out(value, size, &c->light, sizeof(c->light));
	case CU_COREDUMP_FILE:
		return hand_out(value, size, c->file, value ? strlen(c->file) + 1 : NAME_BYTES);
	case CU_COREDUMP_PIPE:
		return hand_out(value, size, c->pipe, value ? strlen(c->pipe) + 1 : NAME_BYTES);
	case CU_COREDUMP_GENERATION_FLAGS:
		return hand_out(value, size, &c->flags, sizeof(c->flags));
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult set_name(char *name, const void *value, size_t bytes)
{
	size_t n = strnlen(value, bytes);

	if (n >= NAME_BYTES)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(name, value, n);
	name[n] = 0;
	return CUDA_SUCCESS;
}

static CUresult set(CUcoredumpSettings attrib, const void *value, size_t bytes)
{
	struct coredump *c = settings();
	int flags;

	switch (attrib) {
	case CU_COREDUMP_ENABLE_ON_EXCEPTION:
	case CU_COREDUMP_ENABLE_USER_TRIGGER:
		if (bytes != sizeof(bool))
			return CUDA_ERROR_INVALID_VALUE;
		return *(const bool *)value ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
	case CU_COREDUMP_TRIGGER_HOST:
	case CU_COREDUMP_LIGHTWEIGHT:
		if (bytes != sizeof(bool))
			return CUDA_ERROR_INVALID_VALUE;
		*(attrib == CU_COREDUMP_LIGHTWEIGHT ? &c->light : &c->host) = *(const bool *)value;
		return CUDA_SUCCESS;
	case CU_COREDUMP_FILE:
		return set_name(c->file, value, bytes);
	case CU_COREDUMP_PIPE:
		return set_name(c->pipe, value, bytes);
	case CU_COREDUMP_GENERATION_FLAGS:
		if (bytes != sizeof(flags))
			return CUDA_ERROR_INVALID_VALUE;
		memcpy(&flags, value, sizeof(flags));
		if (flags & ~(CU_COREDUMP_LIGHTWEIGHT_FLAGS | CU_COREDUMP_SKIP_ABORT))
			return CUDA_ERROR_INVALID_VALUE;
		c->flags = flags;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult impl_cuCoredumpGetAttributeGlobal(CUcoredumpSettings attrib, void *value, size_t *size)
{
	CUresult r;

	if (!size)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&coredump_lock);
	r = get(attrib, value, size);
	pthread_mutex_unlock(&coredump_lock);
	return r;
}

CUresult impl_cuCoredumpSetAttributeGlobal(CUcoredumpSettings attrib, void *value, size_t *size)
{
	CUresult r;

	if (!value || !size)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&coredump_lock);
	r = set(attrib, value, *size);
	pthread_mutex_unlock(&coredump_lock);
	return r;
}

/* With nothing dumped a context of its own settings would be no different. */
CUresult impl_cuCoredumpGetAttribute(CUcoredumpSettings attrib, void *value, size_t *size)
{
	struct cu_ctx *ctx;
	CUresult r = cu_ctx_current(&ctx);

	return r == CUDA_SUCCESS ? impl_cuCoredumpGetAttributeGlobal(attrib, value, size) : r;
}

CUresult impl_cuCoredumpSetAttribute(CUcoredumpSettings attrib, void *value, size_t *size)
{
	struct cu_ctx *ctx;
	CUresult r = cu_ctx_current(&ctx);

	return r == CUDA_SUCCESS ? impl_cuCoredumpSetAttributeGlobal(attrib, value, size) : r;
}

/* ---- notifications -------------------------------------------------------------------------- */

struct CUasyncCallbackEntry_st {
	struct CUasyncCallbackEntry_st *next;
	struct cu_device *dev;
};

static pthread_mutex_t notify_lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUasyncCallbackEntry_st *notified; /* guarded by notify_lock */

CUresult impl_cuDeviceRegisterAsyncNotification(CUdevice device, CUasyncCallback callbackFunc,
						void *userData, CUasyncCallbackHandle *callback)
{
	struct cu_device *dev = cu_device_get(device);
	struct CUasyncCallbackEntry_st *e;

	if (!dev)
		return CUDA_ERROR_INVALID_DEVICE;
	if (!callbackFunc || !callback)
		return CUDA_ERROR_INVALID_VALUE;
	e = malloc(sizeof(*e));
	if (!e)
		return CUDA_ERROR_OUT_OF_MEMORY;
	e->dev = dev;
	pthread_mutex_lock(&notify_lock);
	e->next = notified;
	notified = e;
	pthread_mutex_unlock(&notify_lock);
	*callback = e;
	return CUDA_SUCCESS;
}

CUresult impl_cuDeviceUnregisterAsyncNotification(CUdevice device, CUasyncCallbackHandle callback)
{
	struct cu_device *dev = cu_device_get(device);
	struct CUasyncCallbackEntry_st **at, *e = NULL;

	if (!dev)
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&notify_lock);
	for (at = &notified; *at && *at != callback; at = &(*at)->next)
		;
	if (*at && (*at)->dev == dev) {
		e = *at;
		*at = e->next;
	}
	pthread_mutex_unlock(&notify_lock);
	free(e);
	return e ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
