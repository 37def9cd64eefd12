/* SPDX-License-Identifier: MIT */
/*
 * hints.c - managed memory: advice, prefetches, discards, attachment to streams, and what of it can be asked.
 *
 * There is one memory that both sides see, so every hint is followed already. What was said is kept, page by
 * page, for cuMemRangeGetAttribute().
 */
#include "libcuda/impl/hints.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "libcuda/core/stream.h"
#include "libcuda/impl/impl.h"
#include "libcuda/impl/place.h"
#include "libcuda/impl/queue.h"

#define PAGE	 4096ull
#define NOWHERE	 CU_DEVICE_INVALID
#define HOST_BIT 63 /* in accessed_by */

/* Pages of which the same was said. What nothing was said of is in none. */
struct hint {
	struct hint *next; /* by address, disjoint */
	uint64_t lo, hi;
	bool read_mostly;
	CUmemLocation preferred, prefetched; /* type INVALID: none */
	uint64_t accessed_by;		     /* by ordinal, and HOST_BIT */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hint *hints; /* guarded by lock */

/* ---- pages; the caller holds the lock ------------------------------------------------------- */

static struct hint *insert(struct hint **at, const struct hint *like, uint64_t lo, uint64_t hi)
{
	struct hint *h = malloc(sizeof(*h));

	if (!h)
		return NULL;
	if (like)
		*h = *like;
	else
		memset(h, 0, sizeof(*h));
	h->lo = lo;
	h->hi = hi;
	h->next = *at;
	*at = h;
	return h;
}

/* No hint then reaches over @va. */
static bool cut(uint64_t va)
{
	for (struct hint *h = hints; h; h = h->next) {
		if (h->lo >= va || h->hi <= va)
			continue;
		if (!insert(&h->next, h, va, h->hi))
			return false;
		h->hi = va;
		return true;
	}
	return true;
}

/* [lo, hi) is then covered by whole hints. */
static bool cover(uint64_t lo, uint64_t hi)
{
	struct hint **at = &hints;
	uint64_t done = lo;

	if (!cut(lo) || !cut(hi))
		return false;
	for (; done < hi; at = &(*at)->next) {
		uint64_t end = *at && (*at)->lo < hi ? (*at)->lo : hi;

		if (*at && (*at)->hi <= lo)
			continue;
		if (done < end && !insert(at, NULL, done, end))
			return false;
		done = (*at)->hi;
	}
	return true;
}

static uint64_t page_down(uint64_t va)
{
	return va & ~(PAGE - 1);
}

static uint64_t page_up(uint64_t va)
{
	return (va + PAGE - 1) & ~(PAGE - 1);
}

void cu_hints_forget(uint64_t va, uint64_t bytes)
{
	uint64_t lo = page_down(va), hi = page_up(va + bytes);

	pthread_mutex_lock(&lock);
	cut(lo);
	cut(hi);
	for (struct hint **at = &hints; *at;) {
		struct hint *h = *at;

		if (h->lo < lo || h->hi > hi) {
			at = &h->next;
			continue;
		}
		*at = h->next;
		free(h);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- checks --------------------------------------------------------------------------------- */

static bool is_managed(CUdeviceptr p, size_t bytes)
{
	struct place at;

	return p && bytes && !place_find(p, bytes, &at) && at.known &&
	       at.range.kind == LINK_MANAGED;
}

static CUresult check_location(const CUmemLocation *l)
{
	switch (l->type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		return cu_device_get(l->id) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
	case CU_MEM_LOCATION_TYPE_HOST:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

/* ---- advice --------------------------------------------------------------------------------- */

static uint64_t bit_of(const CUmemLocation *l)
{
	return 1ull << (l->type == CU_MEM_LOCATION_TYPE_DEVICE ? l->id : HOST_BIT);
}

static void advise(struct hint *h, CUmem_advise advice, const CUmemLocation *l)
{
	switch (advice) {
	case CU_MEM_ADVISE_SET_READ_MOSTLY:
	case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
		h->read_mostly = advice == CU_MEM_ADVISE_SET_READ_MOSTLY;
		break;
	case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
		h->preferred = *l;
		break;
	case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
		h->preferred = (CUmemLocation){ .type = CU_MEM_LOCATION_TYPE_INVALID };
		break;
	case CU_MEM_ADVISE_SET_ACCESSED_BY:
		h->accessed_by |= bit_of(l);
		break;
	default:
		h->accessed_by &= ~bit_of(l);
		break;
	}
}

static bool needs_location(CUmem_advise advice)
{
	return advice == CU_MEM_ADVISE_SET_PREFERRED_LOCATION ||
	       advice == CU_MEM_ADVISE_SET_ACCESSED_BY || advice == CU_MEM_ADVISE_UNSET_ACCESSED_BY;
}

/* @advice 0: a prefetch. */
static CUresult note(uint64_t va, uint64_t bytes, CUmem_advise advice, const CUmemLocation *l)
{
	uint64_t lo = page_down(va), hi = page_up(va + bytes);
	bool covered;

	pthread_mutex_lock(&lock);
	covered = cover(lo, hi);
	for (struct hint *h = hints; covered && h && h->lo < hi; h = h->next) {
		if (h->lo < lo)
			continue;
		if (advice)
			advise(h, advice, l);
		else
			h->prefetched = *l;
	}
	pthread_mutex_unlock(&lock);
	return covered ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult impl_cuMemAdvise_v2(CUdeviceptr devPtr, size_t count, CUmem_advise advice,
			     CUmemLocation location)
{
	CUresult r = CUDA_SUCCESS;

	if (advice < CU_MEM_ADVISE_SET_READ_MOSTLY || advice > CU_MEM_ADVISE_UNSET_ACCESSED_BY)
		return CUDA_ERROR_INVALID_VALUE;
	if (needs_location(advice) || location.type == CU_MEM_LOCATION_TYPE_DEVICE)
		r = check_location(&location);
	if (r != CUDA_SUCCESS)
		return r;
	return is_managed(devPtr, count) ? note(devPtr, count, advice, &location)
					 : CUDA_ERROR_INVALID_VALUE;
}

static CUmemLocation location_of(CUdevice device)
{
	CUmemLocation l = { .type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device };

	if (device == CU_DEVICE_CPU)
		l = (CUmemLocation){ .type = CU_MEM_LOCATION_TYPE_HOST };
	return l;
}

CUresult impl_cuMemAdvise(CUdeviceptr devPtr, size_t count, CUmem_advise advice, CUdevice device)
{
	return impl_cuMemAdvise_v2(devPtr, count, advice, location_of(device));
}

/* ---- prefetches ----------------------------------------------------------------------------- */

CUresult impl_cuMemPrefetchAsync_v2(CUdeviceptr devPtr, size_t count, CUmemLocation location,
				    unsigned int flags, CUstream hStream)
{
	struct cu_stream *s;
	CUresult r;

	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = check_location(&location);
	if (r == CUDA_SUCCESS)
		r = cu_stream_get(hStream, &s);
	if (r != CUDA_SUCCESS)
		return r;
	return is_managed(devPtr, count) ? note(devPtr, count, (CUmem_advise)0, &location)
					 : CUDA_ERROR_INVALID_VALUE;
}

CUresult impl_cuMemPrefetchAsync(CUdeviceptr devPtr, size_t count, CUdevice dstDevice,
				 CUstream hStream)
{
	return impl_cuMemPrefetchAsync_v2(devPtr, count, location_of(dstDevice), 0, hStream);
}

/* A batch: all ranges managed, the stream not the legacy one. */
static CUresult check_batch(const CUdeviceptr *ptrs, const size_t *sizes, size_t count,
			    unsigned long long flags, CUstream stream)
{
	struct cu_stream *s;
	CUresult r;

	if (!ptrs || !sizes || !count || flags)
		return CUDA_ERROR_INVALID_VALUE;
	r = cu_stream_get(stream, &s);
	if (r != CUDA_SUCCESS)
		return r;
	if (queue_of(s)->legacy)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++)
		if (!is_managed(ptrs[i], sizes[i]))
			return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

/* Location i is for the ranges from at[i] to at[i + 1]. */
static CUresult check_locations(const CUmemLocation *l, const size_t *at, size_t n, size_t count)
{
	CUresult r = CUDA_SUCCESS;

	if (!l || !at || !n || n > count || at[0] != 0)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < n && r == CUDA_SUCCESS; i++) {
		if (at[i] >= count || (i && at[i] <= at[i - 1]))
			return CUDA_ERROR_INVALID_VALUE;
		r = check_location(&l[i]);
	}
	return r;
}

CUresult impl_cuMemPrefetchBatchAsync(CUdeviceptr *dptrs, size_t *sizes, size_t count,
				      CUmemLocation *prefetchLocs, size_t *prefetchLocIdxs,
				      size_t numPrefetchLocs, unsigned long long flags,
				      CUstream hStream)
{
	size_t where = 0;
	CUresult r;

	r = check_batch(dptrs, sizes, count, flags, hStream);
	if (r == CUDA_SUCCESS)
		r = check_locations(prefetchLocs, prefetchLocIdxs, numPrefetchLocs, count);
	for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++) {
		while (where + 1 < numPrefetchLocs && prefetchLocIdxs[where + 1] <= i)
			where++;
		r = note(dptrs[i], sizes[i], (CUmem_advise)0, &prefetchLocs[where]);
	}
	return r;
}

/* What is discarded may have any content from then on; the one it has is one of them. */
CUresult impl_cuMemDiscardBatchAsync(CUdeviceptr *dptrs, size_t *sizes, size_t count,
				     unsigned long long flags, CUstream hStream)
{
	return check_batch(dptrs, sizes, count, flags, hStream);
}

CUresult impl_cuMemDiscardAndPrefetchBatchAsync(CUdeviceptr *dptrs, size_t *sizes, size_t count,
						CUmemLocation *prefetchLocs,
						size_t *prefetchLocIdxs, size_t numPrefetchLocs,
						unsigned long long flags, CUstream hStream)
{
	return impl_cuMemPrefetchBatchAsync(dptrs, sizes, count, prefetchLocs, prefetchLocIdxs,
					    numPrefetchLocs, flags, hStream);
}

/* ---- attachment ----------------------------------------------------------------------------- */

CUresult impl_cuStreamAttachMemAsync(CUstream hStream, CUdeviceptr dptr, size_t length,
				     unsigned int flags)
{
	struct link_range r;
	struct cu_stream *s;
	CUresult err;

	if (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST &&
	    flags != CU_MEM_ATTACH_SINGLE)
		return CUDA_ERROR_INVALID_VALUE;
	err = cu_stream_get(hStream, &s);
	if (err != CUDA_SUCCESS)
		return err;
	if (flags == CU_MEM_ATTACH_SINGLE && queue_of(s)->legacy)
		return CUDA_ERROR_INVALID_VALUE;
	/* A whole allocation, named by its start. */
	if (link_map_find(&cu_link()->ranges, dptr, &r) < 0 || r.kind != LINK_MANAGED ||
	    r.va != dptr || (length && length != r.size))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

/* ---- questions ------------------------------------------------------------------------------ */

static int device_of(const CUmemLocation *l)
{
	if (l->type == CU_MEM_LOCATION_TYPE_INVALID)
		return NOWHERE;
	return l->type == CU_MEM_LOCATION_TYPE_DEVICE ? l->id : CU_DEVICE_CPU;
}

static bool same(const CUmemLocation *a, const CUmemLocation *b)
{
	return a->type == b->type && a->id == b->id;
}

/* What holds of @all and of @h. */
static void meet(struct hint *all, const struct hint *h)
{
	all->read_mostly &= h->read_mostly;
	all->accessed_by &= h->accessed_by;
	if (!same(&all->preferred, &h->preferred))
		all->preferred = (CUmemLocation){ .type = CU_MEM_LOCATION_TYPE_INVALID };
	if (!same(&all->prefetched, &h->prefetched))
		all->prefetched = (CUmemLocation){ .type = CU_MEM_LOCATION_TYPE_INVALID };
}

/* What holds of all of the range; a location that is not everywhere the same is none. */
static struct hint common(uint64_t va, uint64_t bytes)
{
	uint64_t lo = page_down(va), hi = page_up(va + bytes), at = lo;
	static const struct hint nothing;
	struct hint all = { 0 };
	bool first = true;

	pthread_mutex_lock(&lock);
	for (const struct hint *h = hints; h && h->lo < hi; h = h->next) {
		if (h->hi <= lo)
			continue;
		if (first)
			all = *h;
		if (h->lo > at)
			meet(&all, &nothing);
		meet(&all, h);
		first = false;
		at = h->hi;
	}
	if (at < hi)
		meet(&all, &nothing);
	pthread_mutex_unlock(&lock);
	return all;
}

static void accessed_by(const struct hint *h, int *out, size_t n)
{
	size_t at = 0;

	for (int i = 0; i < 64 && at < n; i++)
		if (h->accessed_by >> i & 1)
			out[at++] = i == HOST_BIT ? CU_DEVICE_CPU : i;
	while (at < n)
		out[at++] = NOWHERE;
}

static CUresult answer(const struct hint *h, CUmem_range_attribute attr, int *out, size_t bytes)
{
	if (attr == CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY) {
		if (!bytes || bytes % sizeof(int))
			return CUDA_ERROR_INVALID_VALUE;
		accessed_by(h, out, bytes / sizeof(int));
		return CUDA_SUCCESS;
	}
	if (bytes != sizeof(int))
		return CUDA_ERROR_INVALID_VALUE;
	switch (attr) {
	case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
		*out = h->read_mostly;
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
		*out = device_of(&h->preferred);
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
		*out = device_of(&h->prefetched);
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE:
		*out = (int)h->preferred.type;
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID:
		*out = h->preferred.id;
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE:
		*out = (int)h->prefetched.type;
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID:
		*out = h->prefetched.id;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult impl_cuMemRangeGetAttribute(void *data, size_t dataSize, CUmem_range_attribute attribute,
				     CUdeviceptr devPtr, size_t count)
{
	struct hint all;

	if (!data || !is_managed(devPtr, count))
		return CUDA_ERROR_INVALID_VALUE;
	all = common(devPtr, count);
	return answer(&all, attribute, data, dataSize);
}

CUresult impl_cuMemRangeGetAttributes(void **data, size_t *dataSizes,
				      CUmem_range_attribute *attributes, size_t numAttributes,
				      CUdeviceptr devPtr, size_t count)
{
	CUresult r = CUDA_SUCCESS;
	struct hint all;

	if (!data || !dataSizes || !attributes || !numAttributes || !is_managed(devPtr, count))
		return CUDA_ERROR_INVALID_VALUE;
	all = common(devPtr, count);
	for (size_t i = 0; i < numAttributes && r == CUDA_SUCCESS; i++)
		r = data[i] ? answer(&all, attributes[i], data[i], dataSizes[i])
			    : CUDA_ERROR_INVALID_VALUE;
	return r;
}
