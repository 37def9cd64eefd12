/* SPDX-License-Identifier: MIT */
/*
 * pointer.c - what is this address? Answered from the map of ranges alone.
 */
#include <errno.h>
#include <string.h>

#include "libcuda/impl/impl.h"
#include "libcuda/impl/place.h"
#include "libcuda/impl/pool.h"
#include "libcuda/impl/vmm.h"

/* In the flags of a range: set by cuPointerSetAttribute, otherwise without effect here. */
#define SYNC_MEMOPS (1u << 31)

/* An address with what is known of it. */
struct subject {
	uint64_t va;
	struct link_range range;
	bool reserved_only; /* inside a reservation, nothing mapped there */
};

/* An answer: its bytes, and how many the program expects. */
struct answer {
	union {
		uint64_t u64;
		uint32_t u32;
		int32_t i32;
		void *ptr;
	};
	size_t bytes;
};

static int subject_find(uint64_t va, struct subject *ret)
{
	struct link *l = cu_link();

	memset(ret, 0, sizeof(*ret));
	ret->va = va;
	if (!va)
		return -ENOENT;
	if (!link_map_find(&l->ranges, va, &ret->range))
		return 0;
	if (link_map_find(&l->reserved, va, &ret->range) < 0)
		return -ENOENT;
	ret->reserved_only = true;
	return 0;
}

static struct answer u64(uint64_t v)
{
	return (struct answer){ .u64 = v, .bytes = 8 };
}

static struct answer u32(uint32_t v)
{
	return (struct answer){ .u32 = v, .bytes = 4 };
}

/* bytes = 0: there is no answer. */
static struct answer none(void)
{
	return (struct answer){ .bytes = 0 };
}

static bool host_kind(enum link_kind k)
{
	return k == LINK_PINNED || k == LINK_REGISTERED;
}

static int ordinal_of(const struct link_dev *dev)
{
	for (int i = 0; i < cu_device_count(); i++)
		if (cu_device_get(i)->link == dev)
			return i;
	return -2;
}

static uint32_t access_of(const struct subject *s)
{
	struct cu_ctx *ctx;

	if (s->range.kind != LINK_MAPPED)
		return CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE;
	if (cu_ctx_current(&ctx) != CUDA_SUCCESS)
		return cu_vmm_access(s->range.flags, s->range.dev->index);
	return cu_vmm_access(s->range.flags, ctx->dev->link->index);
}

/* The program's whole range: for mappings the reservation they lie in. */
static void whole(const struct subject *s, uint64_t *ret_va, uint64_t *ret_size)
{
	struct link_range r = s->range;

	if (r.kind == LINK_MAPPED)
		link_map_find(&cu_link()->reserved, s->va, &r);
	*ret_va = r.va;
	*ret_size = r.size;
}

static struct answer handle_types(const struct link_range *r)
{
	const struct cu_phys *p = r->object;

	return u64(r->kind == LINK_MAPPED && p ? (uint64_t)p->prop.requestedHandleTypes : 0);
}

/* Of memory that is there. */
static struct answer answer_memory(const struct subject *s, CUpointer_attribute attr)
{
	const struct link_range *r = &s->range;

	switch ((int)attr) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		return u64((uint64_t)(uintptr_t)r->ctx);
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
		return u32(host_kind(r->kind) ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE);
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
		return r->worker_visible ? u64(s->va) : none();
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		return host_kind(r->kind) || r->kind == LINK_MANAGED ? u64(s->va) : none();
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
		return u32(r->kind != LINK_MAPPED && (r->flags & SYNC_MEMOPS));
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
	case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
		return u64(r->id);
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
		return u32(r->kind == LINK_MANAGED);
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
		return u32(r->kind == LINK_DEVICE && r->dev->arena_fd >= 0);
	case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
	case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
		return u32(0);
	case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
		return handle_types(r);
	case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
		return u32(access_of(s));
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
		return u64(r->kind == LINK_POOL ? (uint64_t)(uintptr_t)cu_pool_of(r->object) : 0);
	case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
		return u64(r->size);
	case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
		return u64(r->va);
	default:
		return none();
	}
}

static struct answer answer(const struct subject *s, CUpointer_attribute attr)
{
	uint64_t va, size;

	switch ((int)attr) {
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		return (struct answer){ .i32 = ordinal_of(s->range.dev), .bytes = 4 };
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
		whole(s, &va, &size);
		return u64(va);
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
		whole(s, &va, &size);
		return u64(size);
	case CU_POINTER_ATTRIBUTE_MAPPED:
		return u32(!s->reserved_only);
	default:
		return s->reserved_only ? none() : answer_memory(s, attr);
	}
}

/* What cuPointerGetAttributes says of an address that is none of ours. */
static struct answer answer_unknown(CUpointer_attribute attr)
{
	switch ((int)attr) {
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		return (struct answer){ .i32 = -2, .bytes = 4 };
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
	case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
	case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
	case CU_POINTER_ATTRIBUTE_MAPPED:
	case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
		return u32(0);
	default:
		return u64(0);
	}
}

static bool is_attribute(CUpointer_attribute attr)
{
	return (int)attr >= CU_POINTER_ATTRIBUTE_CONTEXT &&
	       (int)attr <= CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE;
}

CUresult impl_cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr ptr)
{
	struct subject s;
	struct answer a;

	if (!data || !is_attribute(attribute))
		return CUDA_ERROR_INVALID_VALUE;
	if ((int)attribute == CU_POINTER_ATTRIBUTE_P2P_TOKENS)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (subject_find(ptr, &s) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	a = answer(&s, attribute);
	if (!a.bytes)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(data, &a, a.bytes);
	return CUDA_SUCCESS;
}

CUresult impl_cuPointerGetAttributes(unsigned int numAttributes, CUpointer_attribute *attributes,
				     void **data, CUdeviceptr ptr)
{
	struct subject s;
	struct answer a;
	bool known;

	if (!numAttributes || !attributes || !data)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < numAttributes; i++) {
		if (!data[i] || !is_attribute(attributes[i]))
			return CUDA_ERROR_INVALID_VALUE;
		if ((int)attributes[i] == CU_POINTER_ATTRIBUTE_P2P_TOKENS)
			return CUDA_ERROR_NOT_SUPPORTED;
	}
	known = !subject_find(ptr, &s);
	for (unsigned i = 0; i < numAttributes; i++) {
		a = known ? answer(&s, attributes[i]) : none();
		if (!a.bytes)
			a = answer_unknown(attributes[i]);
		memcpy(data[i], &a, a.bytes);
	}
	return CUDA_SUCCESS;
}

CUresult impl_cuPointerSetAttribute(const void *value, CUpointer_attribute attribute,
				    CUdeviceptr ptr)
{
	struct subject s;
	uint32_t on, flags;

	if (!value || (int)attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
		return CUDA_ERROR_INVALID_VALUE;
	if (subject_find(ptr, &s) < 0 || s.reserved_only || s.range.kind == LINK_MAPPED)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(&on, value, sizeof(on));
	flags = on ? s.range.flags | SYNC_MEMOPS : s.range.flags & ~SYNC_MEMOPS;
	link_map_set_flags(&cu_link()->ranges, s.range.va, flags);
	return CUDA_SUCCESS;
}
