/* SPDX-License-Identifier: MIT */
/* place.c - addresses to bytes; place.h says which kinds there are. */
#include <errno.h>
#include <string.h>

#include "libcuda/impl/place.h"

#define WRITE_BITS 0xaaaaaaaau /* of cuMemSetAccess, for any device */

static bool accessible(const struct link_range *r)
{
	/* Two bits per device; any will do: one worker serves all. */
	return r->kind != LINK_MAPPED || r->flags;
}

static bool read_only(const struct link_range *r)
{
	return r->kind == LINK_MAPPED && !(r->flags & WRITE_BITS);
}

/* A range handed out may be followed by others that a program sees as one (VMM). */
static bool covered(struct link *l, const struct link_range *first, uint64_t end,
		    bool *ret_read_only)
{
	struct link_range r = *first;

	*ret_read_only = read_only(&r);
	while (r.va + r.size < end) {
		if (r.kind != LINK_MAPPED || link_map_find(&l->ranges, r.va + r.size, &r) < 0 ||
		    !accessible(&r))
			return false;
		*ret_read_only |= read_only(&r);
	}
	return true;
}

int place_find(uint64_t va, uint64_t bytes, struct place *ret_place)
{
	struct link *l = cu_link();
	struct place p = { .dev = NULL };
	uint64_t end = va + bytes;

	if (!l || end < va)
		return -EINVAL;
	if (!bytes)
		end++;
	p.known = !link_map_find(&l->ranges, va, &p.range);
	if (p.known && !covered(l, &p.range, end, &p.read_only)) {
		if (link_in_window(l, va))
			return -EINVAL;
		p.known = false; /* only its beginning is registered */
	}
	if (!p.known && link_in_window(l, va)) {
		/* Nothing we gave out. The worker may know it, and will say so. */
		p.device = true;
		p.dev = l->dev[0];
		p.bytes = bytes;
		*ret_place = p;
		return 0;
	}
	if (!p.known) {
		p.host = (void *)(uintptr_t)va;
		p.bytes = bytes;
		*ret_place = p;
		return 0;
	}
	if (!accessible(&p.range))
		return -EINVAL;
	p.device = true;
	p.worker_visible = p.range.worker_visible;
	p.dev = p.range.dev;
	if (p.range.host)
		p.host = (char *)p.range.host + (va - p.range.va);
	p.bytes = p.range.va + p.range.size - va;
	if (p.bytes > bytes)
		p.bytes = bytes;
	*ret_place = p;
	return 0;
}

bool place_moves_fast(const struct place *dst, const struct place *src)
{
	return dst->host && src->host;
}

/* ---- moving bytes --------------------------------------------------------------------------- */

static int through(struct link_dev *dst_dev, uint64_t dst, struct link_dev *src_dev, uint64_t src,
		   uint64_t bytes)
{
	char buf[65536];
	int r = 0;

	while (bytes && !r) {
		uint64_t n = bytes < sizeof(buf) ? bytes : sizeof(buf);

		r = link_read(src_dev, src, buf, n);
		if (!r)
			r = link_write(dst_dev, dst, buf, n);
		dst += n;
		src += n;
		bytes -= n;
	}
	return r;
}

int place_copy(uint64_t dst, uint64_t src, uint64_t bytes)
{
	struct place d, s;
	uint64_t n;
	int r;

	for (; bytes; dst += n, src += n, bytes -= n) {
		r = place_find(dst, bytes, &d);
		if (!r)
			r = place_find(src, bytes, &s);
		if (r < 0)
			return r;
		n = d.bytes < s.bytes ? d.bytes : s.bytes;
		if (d.host && s.host)
			memmove(d.host, s.host, n);
		else if (s.host)
			r = link_write(d.dev, dst, s.host, n);
		else if (d.host)
			r = link_read(s.dev, src, d.host, n);
		else
			r = through(d.dev, dst, s.dev, src, n);
		if (r < 0)
			return r;
	}
	return 0;
}
