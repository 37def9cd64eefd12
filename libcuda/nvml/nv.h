/* SPDX-License-Identifier: MIT */
/*
 * nv.h - what the files of nvml/ share: devices, the wire under them, and what a question is.
 *
 * libnvidia-ml.so.1 is a library of its own beside libcuda.so.1: it opens the same nodes and asks
 * operations of the front alone, so it never starts a worker and never shares pages. nvml.h, which
 * declares the entry points, comes from NVIDIA's package at build time; nvml.def lists them.
 *
 * An entry point in nvml.def checks that the library is initialised and its first argument is a
 * device; its body is answer_<symbol>(), of the same type, and runs under the process's lock.
 */
#ifndef NVML_NV_H
#define NVML_NV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every version of a function is declared under its own name. */
#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include <nvml.h>

#include "ioctl/vgpu_ioctl.h"

/** struct nvmlDevice_st - one open node; constant between nvmlInit and the last nvmlShutdown. */
struct nvmlDevice_st {
	int fd;
	uint32_t node;	 /* N of /dev/nvidia-vgpuN */
	uint32_t daemon; /* the daemon's number for it (HELLO.device), as in fault lists */
	uint32_t driver_version;
	char driver_string[32];
	char uuid[41];
	struct vgpu_device_info info;
	struct vgpu_board_info board;
};

/* The answers: as the entry points, but for their names. */
#define NV_INIT(sym, params, args) __typeof__(sym) answer_##sym;
#define NV_FN(sym, params, args)   __typeof__(sym) answer_##sym;
#define NV_DEV(sym, params, args)  __typeof__(sym) answer_##sym;
#define NV_WAIT(sym, params, args) __typeof__(sym) answer_##sym;
#define NV_NO(sym)
#include "libcuda/nvml/nvml.def"

/* ---- the process: process.c ----------------------------------------------------------------- */

/** nv_enter() - take the lock; not NVML_SUCCESS: why not (and no lock is held). */
nvmlReturn_t nv_enter(void);
/** nv_enter_device() - the same for a call on @device. */
nvmlReturn_t nv_enter_device(nvmlDevice_t device);
void nv_leave(void);

/** nv_count(), nv_device() - the devices, in the order of their PCI addresses. */
unsigned nv_count(void);
nvmlDevice_t nv_device(unsigned index);
unsigned nv_index(nvmlDevice_t device);
/** nv_is_device() - is this pointer one of them? */
bool nv_is_device(nvmlDevice_t device);

/* ---- the wire: node.c ----------------------------------------------------------------------- */

/** nv_open_all() - open and greet all nodes: how many into @devices, or an error of NVML. */
nvmlReturn_t nv_open_all(struct nvmlDevice_st devices[VGPU_MAX_DEVICES], unsigned *ret_count);
void nv_close(nvmlDevice_t device);
/** nv_call() - one operation; a daemon that was restarted is greeted again. 0 or -errno. */
int nv_call(nvmlDevice_t device, unsigned int op, void *arg, size_t size);
/** nv_error() - what NVML calls -errno. */
nvmlReturn_t nv_error(int r);

/* ---- help for answers ----------------------------------------------------------------------- */

/** nv_state() - the device's state now. */
nvmlReturn_t nv_state(nvmlDevice_t device, struct vgpu_device_state *ret_state);
/** nv_text() - @text into the caller's buffer of @length bytes, or INSUFFICIENT_SIZE. */
nvmlReturn_t nv_text(char *buf, unsigned int length, const char *text);
/** nv_percent() - of hundredths of a percent, rounded. */
static inline unsigned int nv_percent(uint32_t hundredths)
{
	return (hundredths + 50) / 100;
}

/** What nvidia-smi lists: nvmlProcessDetail_v1_t and a name. */
struct nv_named_process {
	nvmlProcessDetail_v1_t process;
	char name[4096];
};

/** nv_named_processes() - those that compute, up to *@count; then *@count is how many there are. */
nvmlReturn_t nv_named_processes(nvmlDevice_t device, unsigned int *count,
				struct nv_named_process *out);

/**
 * nv_busiest() - the process whose kernels, and the one whose copies took most of the last second;
 * NVML_ERROR_NOT_FOUND when nobody has a context.
 */
nvmlReturn_t nv_busiest(nvmlDevice_t device, nvmlProcessUtilizationInfo_v1_t *ret_kernels,
			nvmlProcessUtilizationInfo_v1_t *ret_copies);

/** nv_arch() - NVML_DEVICE_ARCH_*. */
unsigned int nv_arch(nvmlDevice_t device);

#define NV_NEED(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return NVML_ERROR_INVALID_ARGUMENT;                                        \
	} while (0)

/** nv_versioned() - a struct whose first word must be version @v of @type: else a mismatch. */
#define NV_NEED_VERSION(ptr, type, v)                                                              \
	do {                                                                                       \
		if (!(ptr))                                                                        \
			return NVML_ERROR_INVALID_ARGUMENT;                                        \
		if ((ptr)->version != (unsigned int)(sizeof(type) | (unsigned int)(v) << 24))      \
			return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;                               \
	} while (0)

/** An answer that is one value of the card, or of its state. */
#define NV_GET(sym, type, value)                                                                   \
	nvmlReturn_t answer_##sym(nvmlDevice_t device, type *ret)                                  \
	{                                                                                          \
		NV_NEED(ret);                                                                      \
		*ret = (value);                                                                    \
		return NVML_SUCCESS;                                                               \
	}
#define NV_GET_IF(sym, type, condition, value)                                                     \
	nvmlReturn_t answer_##sym(nvmlDevice_t device, type *ret)                                  \
	{                                                                                          \
		NV_NEED(ret);                                                                      \
		if (!(condition))                                                                  \
			return NVML_ERROR_NOT_SUPPORTED;                                           \
		*ret = (value);                                                                    \
		return NVML_SUCCESS;                                                               \
	}
#define NV_GET_STATE(sym, type, value)                                                             \
	nvmlReturn_t answer_##sym(nvmlDevice_t device, type *ret)                                  \
	{                                                                                          \
		struct vgpu_device_state state;                                                    \
		nvmlReturn_t r;                                                                    \
                                                                                                   \
		NV_NEED(ret);                                                                      \
		r = nv_state(device, &state);                                                      \
		if (r == NVML_SUCCESS)                                                             \
			*ret = (value);                                                            \
		return r;                                                                          \
	}

#endif
