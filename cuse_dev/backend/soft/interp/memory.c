/* SPDX-License-Identifier: MIT */
/*
 * memory.c - addresses of lanes to places in this process, checked.
 *
 * The way for everything that the vector handlers do not do themselves: partial warps, local and
 * generic addresses, and whatever is about to fault. Inside the window, pages that are not mapped
 * are found by SIGSEGV (warp.c).
 */
#include <string.h>

#include "cuse_dev/backend/soft/interp/code.h"

uint64_t interp_lane_address(const struct interp_warp *w, const struct interp_inst *in,
			     uint32_t lane)
{
	if (in->flags & INTERP_ADDR0)
		return in->imm;
	if (in->flags & INTERP_ADDR64)
		return ((const uint64_t *)(w->regs + in->a))[lane] + in->imm;
	return (uint32_t)(((const uint32_t *)(w->regs + in->a))[lane] + (uint32_t)in->imm);
}

/* Registered memory: the last range that starts at or below @va. */
static uint8_t *host_ptr(const struct simt_grid *g, uint64_t va, uint64_t bytes)
{
	size_t low = 0, high = g->nranges, mid;
	uint64_t off;

	while (low < high) {
		mid = (low + high) / 2;
		if (g->ranges[mid][0] <= va)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return NULL;
	off = va - g->ranges[low - 1][0];
	return off < g->ranges[low - 1][1] && bytes <= g->ranges[low - 1][1] - off ? (uint8_t *)va
										   : NULL;
}

static uint8_t *window_ptr(const struct interp_warp *w, uint64_t va, uint64_t bytes)
{
	const struct simt_grid *g = w->base.grid;
	uint64_t off = va - g->window_base;

	if (off < g->window_size && bytes <= g->window_size - off)
		return (uint8_t *)va;
	off = va - (uint64_t)(uintptr_t)&g->workspace;
	if (off < sizeof(g->workspace) && bytes <= sizeof(g->workspace) - off)
		return (uint8_t *)va;
	return host_ptr(g, va, bytes);
}

/* Of this block, or with a tag of another one of the cluster. */
static uint8_t *shared_ptr(const struct interp_warp *w, uint64_t va, uint64_t bytes)
{
	const struct simt_block *b = w->base.block;
	uint64_t tag = va >> IR_CLUSTER_SHIFT, size = w->base.grid->shared_bytes;

	if (tag)
		b = simt_cluster_peer(b, tag - 1);
	va &= (1ull << IR_CLUSTER_SHIFT) - 1;
	return b && va <= size && bytes <= size - va ? b->shared + va : NULL;
}

uint8_t *interp_space_ptr(struct interp_warp *w, uint8_t space, uint32_t lane, uint64_t va,
			  uint64_t bytes)
{
	const struct simt_grid *g = w->base.grid;
	uint64_t size;
	uint8_t *base;

	switch (space) {
	case IR_SPACE_SHARED:
		return shared_ptr(w, va, bytes);
	case IR_SPACE_FRAME:
		va += w->frame->base;
		/* fall through */
	case IR_SPACE_LOCAL:
		base = w->base.local + lane * w->base.local_stride;
		size = g->local_bytes;
		break;
	case IR_SPACE_PARAM:
		base = (uint8_t *)g->params;
		size = g->launch->param_bytes;
		break;
	case IR_SPACE_GENERIC:
		return interp_generic_ptr(w, lane, va, bytes);
	default:
		return window_ptr(w, va, bytes);
	}
	return va <= size && bytes <= size - va ? base + va : NULL;
}

uint8_t *interp_generic_ptr(struct interp_warp *w, uint32_t lane, uint64_t va, uint64_t bytes)
{
	uint64_t off = va - IR_SHARED_APERTURE;
	uint8_t *p = window_ptr(w, va, bytes);

	if (p)
		return p;
	if (off < IR_APERTURE_BYTES)
		return interp_space_ptr(w, IR_SPACE_SHARED, lane, off, bytes);
	off = va - IR_LOCAL_APERTURE;
	if (off < IR_APERTURE_BYTES)
		return interp_space_ptr(w, IR_SPACE_LOCAL, lane, off, bytes);
	off = va - IR_PARAM_APERTURE;
	if (off < IR_APERTURE_BYTES)
		return interp_space_ptr(w, IR_SPACE_PARAM, lane, off, bytes);
	return NULL;
}

uint8_t *interp_lane_ptr(struct interp_warp *w, const struct interp_inst *in, uint32_t lane)
{
	static const char *const names[] = { "generic", "global", "const", "shared",
					     "local",	"param",  "frame" };
	uint64_t bytes = (uint64_t)in->n * in->bytes, va = interp_lane_address(w, in, lane);
	uint8_t *p;

	if (va & (bytes - 1)) {
		interp_fault(w, in, 716, (int)lane, va, "misaligned access to %s 0x%llx, %u bytes",
			     names[in->space], (unsigned long long)va, (unsigned int)bytes);
		return NULL;
	}
	p = interp_space_ptr(w, in->space, lane, va, bytes);
	if (!p)
		interp_fault(w, in, 700, (int)lane, va,
			     "access outside of memory: %s 0x%llx, %u bytes", names[in->space],
			     (unsigned long long)va, (unsigned int)bytes);
	return p;
}

bool interp_lane_ptrs(struct interp_warp *w, const struct interp_inst *in, uint8_t **ret_ptr)
{
	w->cur = in;
	for (uint32_t i = 0; i < LANES_N; i++)
		ret_ptr[i] = w->dummy;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);

		ret_ptr[lane] = interp_lane_ptr(w, in, lane);
		if (!ret_ptr[lane])
			return false;
	}
	return true;
}

/* Between @p, memory of device code, and @buf; false: a fault. */
static bool copy_trapped(uint8_t *p, void *buf, size_t bytes, bool write)
{
	struct simt_trap trap, *volatile outer;

	if (!p)
		return false;
	outer = simt_trap_set(NULL);
	if (sigsetjmp(trap.jmp, 0)) {
		simt_trap_set(outer);
		return false;
	}
	simt_trap_set(&trap);
	if (write)
		memcpy(p, buf, bytes);
	else
		memcpy(buf, p, bytes);
	simt_trap_set(outer);
	return true;
}

bool interp_read(struct interp_warp *w, uint32_t lane, uint64_t va, void *buf, size_t bytes)
{
	return copy_trapped(interp_generic_ptr(w, lane, va, bytes), buf, bytes, false);
}

bool interp_write(struct interp_warp *w, uint32_t lane, uint64_t va, const void *buf, size_t bytes)
{
	return copy_trapped(interp_generic_ptr(w, lane, va, bytes), (void *)(uintptr_t)buf, bytes,
			    true);
}

/* 128-bit elements: registers hold them as two words per lane. */
const struct interp_inst *interp_op_mem128(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	bool load = x->ir.op == IR_OP_LD;
	uint8_t *p[LANES_N];

	if (!interp_lane_ptrs(w, in, p))
		return NULL;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);

		for (uint32_t e = 0; e < in->n; e++) {
			const struct interp_opnd *o = &x->opnd[load ? e : e + 1];
			uint64_t v[2] = { o->imm, 0 };

			if (load) {
				memcpy(v, p[lane] + 16 * e, 16);
				if (o->off != NO_REG)
					interp_put(w, o->off, 128, lane, v[0], v[1]);
				continue;
			}
			if (o->off != NO_REG)
				memcpy(v, w->regs + o->off + 16 * lane, 16);
			memcpy(p[lane] + 16 * e, v, 16);
		}
	}
	return in + 1;
}

/* ---- vectors that other threads watch -------------------------------------------------------- */

typedef uint64_t block16 __attribute__((vector_size(16), may_alias));

/* One move for up to 16 aligned bytes, so that nobody sees half of it; 32 bytes are two moves. */
static void move_whole(void *to, const void *from, uint32_t bytes)
{
	switch (bytes) {
	case 2:
		__atomic_store_n((uint16_t *)to,
				 __atomic_load_n((const uint16_t *)from, __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
		return;
	case 4:
		__atomic_store_n((uint32_t *)to,
				 __atomic_load_n((const uint32_t *)from, __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
		return;
	case 8:
		__atomic_store_n((uint64_t *)to,
				 __atomic_load_n((const uint64_t *)from, __ATOMIC_RELAXED),
				 __ATOMIC_RELAXED);
		return;
	default:
		for (uint32_t i = 0; i < bytes / 16; i++)
			((volatile block16 *)to)[i] = ((const volatile block16 *)from)[i];
	}
}

static uint64_t element_get(const uint8_t *b, uint32_t bytes, bool sign)
{
	uint64_t v = 0;

	memcpy(&v, b, bytes);
	if (sign && bytes < 8)
		v = (uint64_t)((int64_t)(v << (64 - 8 * bytes)) >> (64 - 8 * bytes));
	return v;
}

/*
 * ld and st of 2, 4 or 8 elements with an order: volatile, relaxed, acquire, release. As on hardware
 * the elements of a lane move together: look-back scans publish {state, value} that way.
 */
const struct interp_inst *interp_op_mem_whole(struct interp_warp *w, const struct interp_inst *in)
{
	const struct interp_ext *x = in->ext;
	bool load = x->ir.op == IR_OP_LD, sign = load && ir_type_signed(x->ir.type2);
	uint32_t bytes = (uint32_t)in->n * in->bytes;
	uint8_t *p[LANES_N];

	if (!interp_lane_ptrs(w, in, p))
		return NULL;
	for (uint32_t m = w->mask; m; m &= m - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(m);
		_Alignas(32) uint8_t b[32];

		if (load)
			move_whole(b, p[lane], bytes);
		for (uint32_t e = 0; e < in->n; e++) {
			const struct interp_opnd *o = &x->opnd[load ? e : e + 1];
			uint64_t v;

			if (!load) {
				v = interp_value(w, o, lane);
				memcpy(b + e * in->bytes, &v, in->bytes);
			} else if (o->off != NO_REG) {
				v = element_get(b + e * in->bytes, in->bytes, sign);
				interp_put(w, o->off, o->bits, lane, v, 0);
			}
		}
		if (!load)
			move_whole(p[lane], b, bytes);
	}
	return in + 1;
}
