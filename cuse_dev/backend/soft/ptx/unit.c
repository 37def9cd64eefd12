/* SPDX-License-Identifier: MIT */
/*
 * unit.c - a kernel with everything it can reach, as one IR unit.
 *
 * Indirect calls may reach every function of the module whose parameters have the sizes that the
 * call's prototype says; those that cannot be lowered are left as a trap, so that they do not spoil
 * a kernel which never calls them.
 */
#include "cuse_dev/backend/soft/ptx/lower.h"

#include <string.h>

#include "cuse_dev/base/arena.h"
#include "cuse_dev/base/limits.h"

static bool no_memory(struct ptx_lo_unit *un)
{
	ptx_fail(un->err, PTX_ERR_MEMORY, 0, 0, "out of memory");
	return false;
}

bool ptx_lo_reach(struct ptx_lo_unit *un, struct ptx_func *fn, uint32_t *ret_index)
{
	uint32_t slot = un->func_slot[fn->index];

	if (slot) {
		*ret_index = slot - 1;
	} else {
		if (un->nfuncs == LIMIT_PTX_UNIT_FUNCS) {
			ptx_fail(un->err, PTX_ERR_SYNTAX, fn->line, 0,
				 "too many functions in one kernel");
			return false;
		}
		un->funcs = arena_grow(un->scratch, un->funcs, &un->funcs_cap, un->nfuncs + 1,
				       sizeof(*un->funcs));
		if (!un->funcs)
			return no_memory(un);
		un->funcs[un->nfuncs++] = fn;
		un->func_slot[fn->index] = (uint32_t)un->nfuncs;
		*ret_index = (uint32_t)un->nfuncs - 1;
	}
	un->edges = arena_grow(un->scratch, un->edges, &un->edges_cap, un->nedges + 1,
			       sizeof(*un->edges));
	if (!un->edges)
		return no_memory(un);
	un->edges[un->nedges][0] = un->u->nfuncs; /* the one being lowered now */
	un->edges[un->nedges++][1] = *ret_index;
	return true;
}

/* A function that only refuses. */
static struct ir_func *trap_function(struct ptx_lo_unit *un, const struct ptx_func *fn)
{
	struct ir_func *f = arena_alloc(un->arena, sizeof(*f));
	struct ir_block *b = arena_alloc(un->arena, sizeof(*b));
	struct ir_inst *i = arena_alloc(un->arena, sizeof(*i));
	const struct ptx_proto *pr = &fn->proto;
	uint32_t at = 0;

	if (!f || !b || !i)
		return NULL;
	f->name = arena_strndup(un->arena, fn->name, strlen(fn->name));
	f->code = fn->index;
	f->params = arena_alloc(un->arena, pr->nparams * sizeof(*f->params));
	f->rets = arena_alloc(un->arena, pr->nrets * sizeof(*f->rets));
	if (!f->name || !f->params || !f->rets)
		return NULL;
	for (uint32_t k = 0; k < pr->nparams + pr->nrets; k++) {
		bool ret = k >= pr->nparams;
		const struct ptx_param *p = ret ? &pr->rets[k - pr->nparams] : &pr->params[k];
		struct ir_slot *s = ret ? &f->rets[k - pr->nparams] : &f->params[k];

		s->offset = at;
		s->size = p->size;
		at = (at + p->size + 15) & ~15u;
	}
	f->nparams = pr->nparams;
	f->nrets = pr->nrets;
	f->frame_bytes = at;
	i->op = IR_OP_UNSUPPORTED;
	i->guard = -1;
	i->line = fn->line;
	b->insts = i;
	b->count = 1;
	b->term = IR_TERM_RET;
	f->blocks = b;
	f->nblocks = 1;
	return f;
}

/* Lowers what has been queued and not been lowered yet. */
static bool drain(struct ptx_lo_unit *un)
{
	struct ir_unit *u = un->u;
	size_t cap = u->nfuncs;

	while (u->nfuncs < un->nfuncs) {
		struct ptx_func *fn = un->funcs[u->nfuncs];
		struct ir_func *f = NULL;

		u->funcs = arena_grow(un->arena, u->funcs, &cap, u->nfuncs + 1, sizeof(*u->funcs));
		if (!u->funcs)
			return no_memory(un);
		if (!ptx_lo_function(un, fn, &f)) {
			if (!un->guessing || un->err->code == PTX_ERR_MEMORY)
				return false;
			memset(un->err, 0, sizeof(*un->err));
			f = trap_function(un, fn);
			if (!f)
				return no_memory(un);
		}
		u->funcs[u->nfuncs++] = f;
	}
	return true;
}

static bool same_sizes(const struct ptx_param *a, uint32_t na, const struct ptx_param *b,
		       uint32_t nb)
{
	if (na != nb)
		return false;
	for (uint32_t i = 0; i < na; i++)
		if (a[i].size != b[i].size)
			return false;
	return true;
}

/* Queues what an indirect call could mean. */
static bool candidates(struct ptx_lo_unit *un)
{
	uint32_t ignored;

	for (size_t i = 0; i < un->m->nfuncs; i++) {
		struct ptx_func *fn = un->m->funcs[i];

		if (fn->is_entry || !fn->defined || un->func_slot[fn->index])
			continue;
		for (struct ptx_lo_indirect *x = un->indirect; x; x = x->next)
			if (same_sizes(x->proto->params, x->proto->nparams, fn->proto.params,
				       fn->proto.nparams) &&
			    same_sizes(x->proto->rets, x->proto->nrets, fn->proto.rets,
				       fn->proto.nrets)) {
				if (!ptx_lo_reach(un, fn, &ignored))
					return false;
				break;
			}
	}
	return true;
}

/*
 * The longest chain of calls, 0 when there is a cycle: functions lose callees whose depth is known
 * until none changes; what is left over lies on a cycle or above one.
 */
static bool call_depth(struct ptx_lo_unit *un, uint32_t *ret_depth)
{
	size_t n = un->nfuncs, done = 0, head = 0;
	uint32_t *open = arena_alloc(un->scratch, n * sizeof(*open));
	uint32_t *depth = arena_alloc(un->scratch, n * sizeof(*depth));
	uint32_t *queue = arena_alloc(un->scratch, n * sizeof(*queue));
	uint32_t *first = arena_alloc(un->scratch, (n + 2) * sizeof(*first));
	uint32_t *callers = arena_alloc(un->scratch, (un->nedges + 1) * sizeof(*callers));

	if (!open || !depth || !queue || !first || !callers)
		return no_memory(un);
	for (size_t e = 0; e < un->nedges; e++) {
		open[un->edges[e][0]]++;
		first[un->edges[e][1] + 2]++;
	}
	for (size_t i = 0; i < n; i++)
		first[i + 1] += first[i];
	for (size_t e = 0; e < un->nedges; e++)
		callers[first[un->edges[e][1] + 1]++] = un->edges[e][0];
	for (size_t i = 0; i < n; i++) {
		depth[i] = 1;
		if (!open[i])
			queue[done++] = (uint32_t)i;
	}
	while (head < done) {
		uint32_t f = queue[head++];

		for (uint32_t k = first[f]; k < first[f + 1]; k++) {
			uint32_t c = callers[k];

			if (depth[c] < depth[f] + 1)
				depth[c] = depth[f] + 1;
			if (!--open[c])
				queue[done++] = c;
		}
	}
	*ret_depth = done == n && !un->indirect ? depth[0] : 0;
	return true;
}

static void finish(struct ptx_lo_unit *un)
{
	struct ir_unit *u = un->u;
	uint32_t align = un->dynamic_align > 16 ? un->dynamic_align : 16;

	un->info.shared_static = un->shared_bytes - un->reserved_bytes;
	u->shared_bytes = (un->shared_bytes + align - 1) & ~(align - 1);
	for (struct ptx_lo_fixup *x = un->fixups; x; x = x->next)
		*x->imm += u->shared_bytes;
	/* frames follow each other: all of them keep the largest alignment */
	align = un->frame_align > 16 ? un->frame_align : 16;
	for (uint32_t i = 0; i < u->nfuncs; i++)
		u->funcs[i]->frame_bytes = (u->funcs[i]->frame_bytes + align - 1) & ~(align - 1);
}

static bool make(struct ptx_lo_unit *un, struct ptx_func *kernel)
{
	struct ptx_module *m = un->m;
	uint32_t ignored;

	un->func_slot = arena_alloc(un->scratch, (m->nfuncs + 1) * sizeof(*un->func_slot));
	un->shared_at = arena_alloc(un->scratch, (m->nvars + 1) * sizeof(*un->shared_at));
	un->const_seen = arena_alloc(un->scratch, m->nvars + 1);
	if (!un->func_slot || !un->shared_at || !un->const_seen)
		return no_memory(un);
	if (!ptx_lo_reach(un, kernel, &ignored))
		return false;
	un->nedges = 0; /* nobody calls the kernel */
	if (!drain(un))
		return false;
	un->guessing = true;
	for (size_t before = 0; un->indirect && before != un->nfuncs;) {
		before = un->nfuncs;
		if (!candidates(un) || !drain(un))
			return false;
	}
	if (!call_depth(un, &un->u->max_call_depth))
		return false;
	un->u->param_bytes = kernel->proto.param_bytes;
	finish(un);
	return true;
}

uint32_t ptx_unit_create(struct ptx_module *m, struct ptx_func *f, const struct ptx_place *place,
			 struct ir_unit **ret_unit, struct ptx_unit_info *ret_info,
			 struct ptx_error *err)
{
	struct ptx_lo_unit un = { .m = m, .place = place, .err = err };
	bool ok;

	memset(err, 0, sizeof(*err));
	un.arena = arena_create(LIMIT_PTX_UNIT_ARENA);
	un.scratch = arena_create(LIMIT_PTX_UNIT_ARENA);
	un.u = un.arena ? arena_alloc(un.arena, sizeof(*un.u)) : NULL;
	if (!un.u || !un.scratch) {
		no_memory(&un);
		goto destroy;
	}
	un.u->arena = un.arena;
	un.u->base_va[IR_BASE_GLOBAL] = place->global_va;
	un.u->base_va[IR_BASE_MANAGED] = place->managed_va;
	ok = make(&un, f);
	if (!ok && !err->code)
		no_memory(&un);
	if (!ok)
		goto destroy;
	arena_destroy(un.scratch);
	*ret_info = un.info;
	*ret_unit = un.u;
	if (un.refusal.code)
		*err = un.refusal;
	return err->code;

destroy:
	arena_destroy(un.scratch);
	arena_destroy(un.arena);
	return err->code;
}

void ptx_unit_destroy(struct ir_unit *u)
{
	if (u)
		arena_destroy(u->arena);
}
