/* SPDX-License-Identifier: MIT */
/*
 * profile.c - the cards of profile.def, as the query operations and the backend want them.
 */
#include "cuse_dev/vdev/profile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define GIB (1ull << 30)

/*
 * NVIDIA's libraries carry machine code for every card they know and PTX for what comes after them.
 * Only the latter can run here, so they are told of a card beyond all of them; programs see the
 * profile's own compute capability. CuPy's modules of precompiled kernels are made the same way; told of
 * another card, they give wrong sums without an error.
 */
#define LIBRARY_CC 130
#define LIBRARY_SONAMES                                                                            \
	"libcublas,libcublasLt,libcufft,libcurand,libcusolver,libcusparse,libcudnn,libnccl,"       \
	"cub.cpython,thrust.cpython,_generator_api.cpython"

static const struct profile profiles[] = {
#define PROFILE(col, prof, prod, major, minor, mem, reserved, pci, subsystem, unit)                \
	{ .name = prof,                                                                            \
	  .product = prod,                                                                         \
	  .cc_major = major,                                                                       \
	  .cc_minor = minor,                                                                       \
	  .mem_total = mem,                                                                        \
	  .mem_reserved = reserved,                                                                \
	  .pci_ids = pci,                                                                          \
	  .pci_subsystem = subsystem,                                                              \
	  .library_cc = LIBRARY_CC,                                                                \
	  .library_sonames = LIBRARY_SONAMES,                                                      \
	  .shared_unit = unit,                                                                     \
	  .column = col },
#include "cuse_dev/vdev/profile.def"
};

#define PROFILE_COUNT (sizeof(profiles) / sizeof(profiles[0]))

/* Attribute numbers by name, so that this file can refer to the table's facts. */
enum profile_attr {
#define ATTR(nr, NAME, value)				    PROFILE_ATTR_##NAME = nr,
#define ATTR_BY_CARD(nr, NAME, h100, a100, l4, t4, rtx5090) PROFILE_ATTR_##NAME = nr,
#define ATTR_EXPR(nr, NAME, expression)			    PROFILE_ATTR_##NAME = nr,
#define ATTR_NOT_BUILT(nr, NAME)			    PROFILE_ATTR_##NAME = nr,
#include "cuse_dev/vdev/profile.def"
};

int profile_find(const char *name, const struct profile **ret_profile)
{
	for (size_t i = 0; i < PROFILE_COUNT; i++) {
		if (strcasecmp(profiles[i].name, name) == 0) {
			*ret_profile = &profiles[i];
			return 0;
		}
	}
	return -ENOENT;
}

const struct profile *profile_at(uint32_t i)
{
	return i < PROFILE_COUNT ? &profiles[i] : NULL;
}

uint64_t profile_mem_total(const struct profile *p, const struct profile_override *o)
{
	return o && o->mem_total ? o->mem_total : p->mem_total;
}

/* An overridden size keeps the profile's share of reserved memory, in whole allocation units. */
uint64_t profile_mem_reserved(const struct profile *p, const struct profile_override *o)
{
	const uint64_t unit = 2ull << 20;

	if (!o || !o->mem_total)
		return p->mem_reserved;
	if (o->mem_reserved)
		return o->mem_reserved < o->mem_total ? o->mem_reserved : o->mem_total;
	return o->mem_total / (p->mem_total / p->mem_reserved) / unit * unit;
}

static void attr_set(struct vgpu_device_attrs *a, uint32_t nr, int32_t value)
{
	_Static_assert(PROFILE_ATTR_ONLY_PARTIAL_HOST_NATIVE_ATOMIC_SUPPORTED < VGPU_MAX_ATTRS,
		       "room for every attribute");
	a->known[nr / 64] |= 1ull << (nr % 64);
	a->value[nr] = value;
}

void profile_attrs(const struct profile *p, const struct profile_override *o,
		   struct vgpu_device_attrs *ret_attrs)
{
	static const struct profile_override none;

	if (!o)
		o = &none;
	memset(ret_attrs, 0, sizeof(*ret_attrs));

#define ATTR(nr, NAME, v) attr_set(ret_attrs, nr, v);
#define ATTR_BY_CARD(nr, NAME, h100, a100, l4, t4, rtx5090)                                        \
	attr_set(ret_attrs, nr, ((const int32_t[]){ h100, a100, l4, t4, rtx5090 })[p->column]);
#define ATTR_EXPR(nr, NAME, expression) attr_set(ret_attrs, nr, (int32_t)(expression));
#define ATTR_NOT_BUILT(nr, NAME)	attr_set(ret_attrs, nr, 0);
#include "cuse_dev/vdev/profile.def"
}

int profile_info(const struct profile *p, const struct profile_override *o,
		 struct vgpu_device_info *ret_info)
{
	uint32_t index = o ? o->index : 0;
	uint8_t uuid[16];
	int r;

	r = profile_uuid(index, uuid);
	if (r < 0)
		return r;

	memset(ret_info, 0, sizeof(*ret_info));
	snprintf(ret_info->name, sizeof(ret_info->name), "%s", p->product);
	snprintf(ret_info->profile, sizeof(ret_info->profile), "%s", p->name);
	memcpy(ret_info->uuid, uuid, sizeof(uuid));
	ret_info->pci_domain = PROFILE_PCI_DOMAIN;
	ret_info->pci_bus = PROFILE_PCI_BUS(index);
	ret_info->pci_device = PROFILE_PCI_DEVICE;
	ret_info->cc_major = p->cc_major;
	ret_info->cc_minor = p->cc_minor;
	ret_info->library_cc = p->library_cc;
	ret_info->mem_total = profile_mem_total(p, o);
	snprintf(ret_info->library_sonames, sizeof(ret_info->library_sonames), "%s",
		 p->library_sonames);
	return 0;
}

void profile_board(const struct profile *p, struct vgpu_board_info *ret_board)
{
	struct vgpu_board_info *b = ret_board;
	struct vgpu_device_attrs a;

	profile_attrs(p, NULL, &a);
	memset(b, 0, sizeof(*b));
	b->pci_ids = p->pci_ids;
	b->pci_subsystem = p->pci_subsystem;
#define BOARD(field, h100, a100, l4, t4, rtx5090)                                                  \
	b->field = (__typeof__(b->field))((const uint64_t[]){ h100, a100, l4, t4,                  \
							      rtx5090 })[p->column];
#define BOARD_TEXT(field, h100, a100, l4, t4, rtx5090)                                             \
	snprintf(b->field, sizeof(b->field), "%s",                                                 \
		 ((const char *const[]){ h100, a100, l4, t4, rtx5090 })[p->column]);
#define BOARD_ATTR(field, NAME, unit) b->field = (uint32_t)a.value[PROFILE_ATTR_##NAME] / (unit);
#include "cuse_dev/vdev/board.def"
}

void profile_backend(const struct profile *p, struct backend_device *ret_device)
{
	struct vgpu_device_attrs a;

	profile_attrs(p, NULL, &a);
	memset(ret_device, 0, sizeof(*ret_device));
	ret_device->cc = p->cc_major * 10 + p->cc_minor;
	ret_device->sm_count = (uint32_t)a.value[PROFILE_ATTR_MULTIPROCESSOR_COUNT];
	ret_device->warp_size = (uint32_t)a.value[PROFILE_ATTR_WARP_SIZE];
	ret_device->max_threads_per_block = (uint32_t)a.value[PROFILE_ATTR_MAX_THREADS_PER_BLOCK];
	ret_device->max_shared_per_block =
		(uint32_t)a.value[PROFILE_ATTR_MAX_SHARED_MEMORY_PER_BLOCK];
	ret_device->max_shared_per_block_optin =
		(uint32_t)a.value[PROFILE_ATTR_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN];
	ret_device->reserved_shared_per_block =
		(uint32_t)a.value[PROFILE_ATTR_RESERVED_SHARED_MEMORY_PER_BLOCK];
	ret_device->clock_khz = (uint32_t)a.value[PROFILE_ATTR_CLOCK_RATE];
}

void profile_sm_limits(const struct profile *p, struct profile_sm *ret_sm)
{
	struct vgpu_device_attrs a;

	profile_attrs(p, NULL, &a);
	*ret_sm = (struct profile_sm){
		.max_warps = (uint32_t)(a.value[PROFILE_ATTR_MAX_THREADS_PER_MULTIPROCESSOR] /
					a.value[PROFILE_ATTR_WARP_SIZE]),
		.max_blocks = (uint32_t)a.value[PROFILE_ATTR_MAX_BLOCKS_PER_MULTIPROCESSOR],
		.regs = (uint32_t)a.value[PROFILE_ATTR_MAX_REGISTERS_PER_MULTIPROCESSOR],
		.reg_unit = 256, /* these two are the same from cc 7.0 to 12.0 */
		.warp_unit = 4,
		.shared_bytes =
			(uint32_t)a.value[PROFILE_ATTR_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR],
		.shared_unit = p->shared_unit,
		.shared_reserved = (uint32_t)a.value[PROFILE_ATTR_RESERVED_SHARED_MEMORY_PER_BLOCK],
		.shared_max = (uint32_t)a.value[PROFILE_ATTR_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN],
		.regs_per_block = (uint32_t)a.value[PROFILE_ATTR_MAX_REGISTERS_PER_BLOCK],
		.threads_per_block = (uint32_t)a.value[PROFILE_ATTR_MAX_THREADS_PER_BLOCK],
	};
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

uint32_t profile_occupancy(const struct profile *p, const struct profile_block *b)
{
	struct profile_sm sm;
	uint64_t warps, regs_per_warp, shared, blocks;

	profile_sm_limits(p, &sm);
	if (!b->threads || b->threads > sm.threads_per_block || b->shared_bytes > sm.shared_max ||
	    b->regs_per_thread > 255)
		return 0;

	warps = round_up(b->threads, 32) / 32;
	blocks = sm.max_warps / warps;
	if (blocks > sm.max_blocks)
		blocks = sm.max_blocks;

	if (b->regs_per_thread) {
		regs_per_warp = round_up(b->regs_per_thread * 32u, sm.reg_unit);
		if (regs_per_warp * round_up(warps, sm.warp_unit) > sm.regs_per_block)
			return 0;
		/* Registers lie in warp_unit partitions; each holds whole warps only. */
		uint64_t fit = sm.regs / regs_per_warp / sm.warp_unit * sm.warp_unit / warps;

		if (fit < blocks)
			blocks = fit;
	}

	shared = round_up(b->shared_bytes + sm.shared_reserved, sm.shared_unit);
	if (shared && sm.shared_bytes / shared < blocks)
		blocks = sm.shared_bytes / shared;
	return (uint32_t)blocks;
}
