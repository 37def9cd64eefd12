/* SPDX-License-Identifier: MIT */
/*
 * profile.h - which card a virtual device claims to be, and all that follows from it.
 *
 * Here: the rows of profile.def as a struct, and the ways to hand them on: the answers of the query
 * operations, the constants for the backend, the occupancy of a multiprocessor. Not here: what is
 * allocated, or by whom.
 */
#ifndef VDEV_PROFILE_H
#define VDEV_PROFILE_H

#include <stdint.h>

#include "cuse_dev/backend/backend.h"
#include "ioctl/vgpu_ioctl.h"

#define PROFILE_DEFAULT "H100-80GB"

/** What one multiprocessor can hold; the constants of NVIDIA's occupancy calculation. */
struct profile_sm {
	uint32_t max_warps;  /* resident */
	uint32_t max_blocks; /* resident */
	uint32_t regs;	     /* 32-bit registers */
	uint32_t reg_unit;   /* registers are given to a warp in multiples of this */
	uint32_t warp_unit;  /* warps of a block are counted in multiples of this */
	uint32_t shared_bytes;
	uint32_t shared_unit;	  /* shared memory of a block is a multiple of this */
	uint32_t shared_reserved; /* bytes per block that the system takes */
	uint32_t shared_max;	  /* bytes a block may ask for (opt-in) */
	uint32_t regs_per_block;
	uint32_t threads_per_block;
};

struct profile {
	const char *name;    /* "H100-80GB" */
	const char *product; /* "NVIDIA H100 80GB HBM3" */
	uint32_t cc_major, cc_minor;
	uint64_t mem_total;	     /* bytes, what cuDeviceTotalMem says */
	uint64_t mem_reserved;	     /* bytes that no client ever gets */
	uint32_t pci_ids;	     /* device << 16 | vendor */
	uint32_t pci_subsystem;	     /* device << 16 | vendor */
	uint32_t library_cc;	     /* major * 10 + minor that NVIDIA's own libraries see */
	const char *library_sonames; /* comma-separated soname prefixes that see library_cc */
	uint32_t shared_unit;	     /* granularity of shared memory per block, bytes */
	uint32_t column;	     /* of the attribute table in profile.def */
};

/** What the configuration may change; zero means as the profile says. */
struct profile_override {
	uint64_t mem_total;    /* bytes */
	uint64_t mem_reserved; /* bytes; used only together with mem_total */
	uint32_t index;	       /* of the device on this host; decides PCI bus and UUID */
};

/** profile_find() - by name, without regard to case. -ENOENT. */
int profile_find(const char *name, const struct profile **ret_profile);
/** profile_at() - walk all: NULL past the end. */
const struct profile *profile_at(uint32_t i);

/** profile_mem_total(), profile_mem_reserved() - after the override (@o may be NULL). */
uint64_t profile_mem_total(const struct profile *p, const struct profile_override *o);
uint64_t profile_mem_reserved(const struct profile *p, const struct profile_override *o);

/**
 * profile_attrs() - every CUdevice_attribute of CUDA 13.0. @o may be NULL.
 */
void profile_attrs(const struct profile *p, const struct profile_override *o,
		   struct vgpu_device_attrs *ret_attrs);

/** profile_info() - DEVICE_INFO, complete, with UUID and PCI address. 0 or -errno of the UUID. */
int profile_info(const struct profile *p, const struct profile_override *o,
		 struct vgpu_device_info *ret_info);

/** profile_board() - BOARD_INFO: board.def's column of this card. */
void profile_board(const struct profile *p, struct vgpu_board_info *ret_board);

/** profile_backend() - the constants for backend_ops.open; window and threads are left 0. */
void profile_backend(const struct profile *p, struct backend_device *ret_device);

/** profile_sm_limits() - what a multiprocessor of this card holds. */
void profile_sm_limits(const struct profile *p, struct profile_sm *ret_sm);

/**
 * profile_uuid() - the UUID of device @index of this host.
 *
 * Derived from the machine id, so that it stays the same over restarts and reboots and differs
 * between hosts. See uuid.c.
 */
int profile_uuid(uint32_t index, uint8_t ret_uuid[16]);

/* PCI address of device @index: domain 0, bus 1 + index, device 0. */
#define PROFILE_PCI_DOMAIN     0u
#define PROFILE_PCI_BUS(index) (1u + (index))
#define PROFILE_PCI_DEVICE     0u

/** struct profile_block - what a block wants of a multiprocessor */
struct profile_block {
	uint32_t threads;
	uint32_t regs_per_thread;
	uint64_t shared_bytes; /* static + dynamic */
};

/** profile_occupancy() - resident blocks per multiprocessor; 0 when it does not fit at all. */
uint32_t profile_occupancy(const struct profile *p, const struct profile_block *b);

#endif
