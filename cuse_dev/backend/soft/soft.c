/* SPDX-License-Identifier: MIT */
/*
 * soft.c - backend.h on the CPU: image → ptx → ir → interp → simt.
 *
 * Here: modules and kernels as handles, when a kernel is compiled, its attributes. A kernel is
 * compiled once, by whoever needs it first, under the module's lock; a failure is remembered.
 * Not here: launches (run.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuse_dev/backend/soft/image/image.h"
#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/backend/soft/simt/texture.h"
#include "cuse_dev/backend/soft/soft.h"

/* CUresult and CUfunction_attribute values that go over the wire */
enum { R_OUT_OF_MEMORY = 2, R_INVALID_PTX = 218, R_PTX_VERSION = 222 };
enum {
	ATTR_MAX_DYNAMIC_SHARED = 8,
	ATTR_CARVEOUT = 9,
	ATTR_CLUSTER_WIDTH = 11,
	ATTR_CLUSTER_HEIGHT = 12,
	ATTR_CLUSTER_DEPTH = 13,
	ATTR_NON_PORTABLE_CLUSTER = 14,
	ATTR_CLUSTER_POLICY = 15,
	ATTR_CACHE_CONFIG = 0x10000,
};

#define PTX_ISA_MOST  95 /* newest .version that is read; later ones get error 222 */
#define REGS_PER_SM   65536
#define DEVICE_LAUNCH "__cuda_syscall_cnpv2LaunchDevice" /* and V2 */

static int soft_open(const struct backend_device *dev, void **ret_backend)
{
	struct soft *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->dev = *dev;
	r = simt_device_create(dev, &s->simt);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret_backend = s;
	return 0;
}

static void soft_close(void *backend)
{
	struct soft *s = backend;

	if (!s)
		return;
	simt_device_destroy(s->simt);
	free(s);
}

/* ---- modules --------------------------------------------------------------------------------- */

static void log_error(struct backend_log *log, const struct ptx_error *e)
{
	if (e->line)
		image_log(log, "%u:%u: %s", e->line, e->column, e->text);
	else
		image_log(log, "%s", e->text[0] ? e->text : "out of memory");
}

static int collect_functions(struct backend_module *m)
{
	const struct ptx_module *p = m->ptx;

	m->funcs = calloc(p->nfuncs + 1, sizeof(*m->funcs));
	m->entry_params = malloc((p->nfuncs + 1) * sizeof(*m->entry_params));
	if (!m->funcs || !m->entry_params)
		return -ENOMEM;
	for (size_t i = 0; i < p->nfuncs; i++) {
		struct backend_func *f = &m->funcs[m->nfuncs];
		const struct ptx_proto *pr = &p->funcs[i]->proto;

		m->entry_params[i] = UINT32_MAX;
		if (!strncmp(p->funcs[i]->name, DEVICE_LAUNCH, sizeof(DEVICE_LAUNCH) - 1))
			m->launches = true;
		if (!p->funcs[i]->is_entry || !p->funcs[i]->defined)
			continue;
		m->entry_params[i] = pr->param_bytes;
		f->m = m;
		f->ptx = p->funcs[i];
		f->param_offset = calloc(2 * (size_t)pr->nparams + 1, sizeof(*f->param_offset));
		if (!f->param_offset)
			return -ENOMEM;
		f->param_size = f->param_offset + pr->nparams;
		for (uint32_t k = 0; k < pr->nparams; k++) {
			f->param_offset[k] = pr->params[k].offset;
			f->param_size[k] = pr->params[k].size;
		}
		m->nfuncs++;
	}
	return 0;
}

static int collect_globals(struct backend_module *m)
{
	const struct ptx_module *p = m->ptx;

	m->globals = calloc(p->nvars + 1, sizeof(*m->globals));
	if (!m->globals)
		return -ENOMEM;
	for (size_t i = 0; i < p->nvars; i++) {
		struct ptx_var *v = p->vars[i];

		if (v->defined && !v->in_body &&
		    (v->space == PTX_SPACE_GLOBAL || v->space == PTX_SPACE_CONST))
			m->globals[m->nglobals++] = v;
	}
	return 0;
}

static void soft_module_unload(struct backend_module *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; m->funcs && i < m->nfuncs; i++) {
		tier_func_destroy(m->funcs[i].tier);
		simt_code_destroy(m->funcs[i].code);
		free(m->funcs[i].param_offset);
	}
	free(m->funcs);
	free(m->entry_params);
	free(m->globals);
	ptx_module_unload(m->ptx);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static uint32_t soft_module_load(void *backend, const void *image, size_t bytes, bool lenient,
				 struct backend_module **ret_module,
				 struct backend_image_info *ret_info, struct backend_log *log)
{
	struct soft *s = backend;
	struct backend_module *m;
	struct image_text text;
	struct ptx_error err;
	uint32_t r;

	m = calloc(1, sizeof(*m));
	if (!m)
		return R_OUT_OF_MEMORY;
	m->soft = s;
	pthread_mutex_init(&m->lock, NULL);
	r = image_pick(image, bytes, s->dev.cc, lenient, &text, log);
	if (!r)
		r = image_complete(&text);
	if (r)
		goto unload;
	r = ptx_module_load(text.text, text.bytes, &m->ptx, &err);
	if (r) {
		log_error(log, &err);
		goto unload;
	}
	if (m->ptx->version > PTX_ISA_MOST) {
		image_log(log, ".version %u.%u is newer than this driver", m->ptx->version / 10,
			  m->ptx->version % 10);
		r = R_PTX_VERSION;
		goto unload;
	}
	if (collect_functions(m) < 0 || collect_globals(m) < 0) {
		r = R_OUT_OF_MEMORY;
		goto unload;
	}
	ret_info->ptx_target = m->ptx->target;
	ret_info->functions = m->nfuncs;
	ret_info->globals = m->nglobals;
	ret_info->global_bytes = m->ptx->global_bytes;
	ret_info->managed_bytes = m->ptx->managed_bytes;
	*ret_module = m;
	return 0;

unload:
	soft_module_unload(m);
	return r;
}

static int soft_module_bind(struct backend_module *m, uint64_t global_va, uint64_t managed_va,
			    bool managed_new)
{
	struct ptx_error err;
	uint32_t r;

	if (m->bound)
		return -EALREADY;
	m->place.global_va = global_va;
	m->place.managed_va = managed_va;
	r = ptx_module_init_data(m->ptx, &m->place, managed_new, &err);
	if (r)
		return r == R_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
	m->bound = true;
	return 0;
}

static void describe_global(const struct ptx_var *v, struct backend_global *ret_global)
{
	ret_global->name = v->name;
	ret_global->offset = v->offset;
	ret_global->size = v->size;
	ret_global->managed = v->managed;
	ret_global->constant = v->space == PTX_SPACE_CONST;
	ret_global->opaque = v->opaque;
}

static int soft_module_global(struct backend_module *m, uint32_t index,
			      struct backend_global *ret_global)
{
	if (index >= m->nglobals)
		return -ENOENT;
	describe_global(m->globals[index], ret_global);
	return 0;
}

static int soft_module_find_global(struct backend_module *m, const char *name,
				   struct backend_global *ret_global)
{
	struct ptx_sym *s = ptx_module_find(m->ptx, name, strlen(name));

	if (!s || !s->var || !s->var->defined || s->var->space == PTX_SPACE_SHARED)
		return -ENOENT;
	describe_global(s->var, ret_global);
	return 0;
}

/* ---- kernels --------------------------------------------------------------------------------- */

/* Kernels stand in m->funcs in the order of their numbers. */
int soft_func_by_code(struct backend_module *m, uint32_t code, struct backend_func **ret_func)
{
	for (uint32_t lo = 0, hi = m->nfuncs; lo < hi;) {
		uint32_t mid = (lo + hi) / 2;

		if (m->funcs[mid].ptx->index == code) {
			*ret_func = &m->funcs[mid];
			return 0;
		}
		if (m->funcs[mid].ptx->index < code)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -ENOENT;
}

static int soft_func_by_name(struct backend_module *m, const char *name,
			     struct backend_func **ret_func)
{
	struct ptx_func *p = ptx_module_kernel(m->ptx, name);

	return p ? soft_func_by_code(m, p->index, ret_func) : -ENOENT;
}

static int soft_func_by_index(struct backend_module *m, uint32_t index,
			      struct backend_func **ret_func)
{
	if (index >= m->nfuncs)
		return -ENOENT;
	*ret_func = &m->funcs[index];
	return 0;
}

static const char *soft_func_name(struct backend_func *f)
{
	return f->ptx->name;
}

uint32_t soft_product(const uint32_t v[3])
{
	uint64_t p = (uint64_t)v[0] * v[1];

	if (p > UINT32_MAX)
		return UINT32_MAX;
	p *= v[2];
	return p > UINT32_MAX ? UINT32_MAX : (uint32_t)p;
}

/*
 * As many registers as the kernel needs, but no more than a compiler would have used so that the
 * promised number of threads fits on an SM; otherwise occupancy computed from it would be 0.
 */
static uint32_t registers(const struct backend_func *f, uint32_t max_threads)
{
	uint32_t blocks = f->ptx->minnctapersm ? f->ptx->minnctapersm : 1;
	uint32_t n = simt_code_registers(f->code), most = 255;
	uint64_t threads = (uint64_t)max_threads * blocks;

	if (f->ptx->maxnreg && f->ptx->maxnreg < most)
		most = f->ptx->maxnreg;
	if (threads && REGS_PER_SM / threads < most)
		most = (uint32_t)(REGS_PER_SM / threads) & ~7u;
	if (most < 16)
		most = 16;
	return n < most ? n : most;
}

static void fill_info(struct backend_func *f)
{
	const struct backend_device *dev = &f->m->soft->dev;
	const struct ptx_func *p = f->ptx;
	struct backend_func_info *in = &f->info;
	uint32_t threads =
		soft_product(p->reqntid) ? soft_product(p->reqntid) : soft_product(p->maxntid);

	in->max_threads = threads && threads < dev->max_threads_per_block
				  ? threads
				  : dev->max_threads_per_block;
	in->shared_bytes = f->unit.shared_static;
	in->const_bytes = f->unit.const_bytes;
	in->local_bytes = simt_code_local_bytes(f->code);
	in->num_regs = registers(f, in->max_threads);
	in->ptx_version = f->m->ptx->target;
	in->max_dynamic_shared = dev->max_shared_per_block > in->shared_bytes
					 ? dev->max_shared_per_block - in->shared_bytes
					 : 0;
	in->preferred_carveout = -1;
	memcpy(in->reqntid, p->reqntid, sizeof(in->reqntid));
	memcpy(in->cluster, p->cluster, sizeof(in->cluster));
	in->cluster_must_be_set = p->explicit_cluster;
	in->param_count = p->proto.nparams;
	in->param_bytes = p->proto.param_bytes;
	in->param_offset = f->param_offset;
	in->param_size = f->param_size;
}

/* Addresses of variables are part of the code. */
static bool placed(const struct backend_module *m)
{
	return m->bound || (!m->ptx->global_bytes && !m->ptx->managed_bytes);
}

static uint32_t compile_locked(struct backend_func *f)
{
	struct backend_module *m = f->m;
	struct ir_unit *unit = NULL;
	uint32_t r;
	int e;

	if (!placed(m)) {
		memset(&f->err, 0, sizeof(f->err));
		ptx_fail(&f->err, R_INVALID_PTX, f->ptx->line, 0, "the module has no memory yet");
		return R_INVALID_PTX;
	}
	r = ptx_unit_create(m->ptx, f->ptx, &m->place, &unit, &f->unit, &f->err);
	if (r)
		goto destroy;
	e = ir_verify(unit, f->err.text, sizeof(f->err.text));
	if (e == 0)
		e = interp_prepare(unit, &f->code, f->err.text, sizeof(f->err.text));
	if (e < 0) {
		r = f->err.code = e == -ENOMEM ? R_OUT_OF_MEMORY : R_INVALID_PTX;
		f->err.line = 0;
		goto destroy;
	}
	fill_info(f);
	if (m->soft->dev.compiler)
		f->tier = tier_func_create(m->soft->dev.compiler, unit, f->code);

destroy:
	ptx_unit_destroy(unit);
	return r;
}

uint32_t soft_compile(struct backend_func *f)
{
	uint32_t r;

	pthread_mutex_lock(&f->m->lock);
	if (!f->compiled) {
		f->result = compile_locked(f);
		/* memory may come; everything else stays as it is */
		f->compiled = f->result != R_OUT_OF_MEMORY && placed(f->m);
	}
	r = f->result;
	pthread_mutex_unlock(&f->m->lock);
	return r;
}

uint32_t soft_func_info(struct backend_func *f, struct backend_func_info *ret_info,
			struct backend_log *log)
{
	uint32_t r = soft_compile(f);

	if (r) {
		image_log(log, "kernel '%.200s':", f->ptx->name);
		log_error(log, &f->err);
		return r;
	}
	pthread_mutex_lock(&f->m->lock);
	*ret_info = f->info;
	pthread_mutex_unlock(&f->m->lock);
	return 0;
}

static int set_locked(struct backend_func *f, uint32_t attr, int32_t value)
{
	const struct backend_device *dev = &f->m->soft->dev;
	struct backend_func_info *in = &f->info;

	switch (attr) {
	case ATTR_MAX_DYNAMIC_SHARED:
		if (value < 0 ||
		    (uint64_t)value + in->shared_bytes > dev->max_shared_per_block_optin)
			return -EINVAL;
		in->max_dynamic_shared = (uint32_t)value;
		return 0;
	case ATTR_CARVEOUT:
		if (value < -1 || value > 100)
			return -EINVAL;
		in->preferred_carveout = value;
		return 0;
	case ATTR_CLUSTER_WIDTH:
	case ATTR_CLUSTER_HEIGHT:
	case ATTR_CLUSTER_DEPTH:
		/* what the code itself requires cannot be changed */
		if (value < 0 || soft_product(f->ptx->cluster))
			return -EINVAL;
		in->cluster[attr - ATTR_CLUSTER_WIDTH] = (uint32_t)value;
		return 0;
	case ATTR_NON_PORTABLE_CLUSTER:
		if (value < 0 || value > 1)
			return -EINVAL;
		in->nonportable_cluster = (uint32_t)value;
		return 0;
	case ATTR_CLUSTER_POLICY:
		if (value < 0 || value > 2)
			return -EINVAL;
		in->cluster_policy = (uint32_t)value;
		return 0;
	case ATTR_CACHE_CONFIG:
		return value < 0 || value > 3 ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int soft_func_set(struct backend_func *f, uint32_t attr, int32_t value)
{
	int r;

	if (soft_compile(f))
		return -EINVAL;
	pthread_mutex_lock(&f->m->lock);
	r = set_locked(f, attr, value);
	pthread_mutex_unlock(&f->m->lock);
	return r;
}

/* ---- textures -------------------------------------------------------------------------------- */

static int soft_texture_create(void *backend, const struct vgpu_tex_desc *desc,
			       uint64_t *ret_handle)
{
	struct soft *s = backend;

	return simt_textures_add(simt_device_textures(s->simt), desc, ret_handle);
}

static int soft_host_ranges(void *backend, const uint64_t (*ranges)[2], size_t count)
{
	struct soft *s = backend;

	return simt_host_ranges(s->simt, ranges, count);
}

static int soft_texture_destroy(void *backend, uint64_t handle)
{
	struct soft *s = backend;

	return simt_textures_remove(simt_device_textures(s->simt), handle);
}

static int soft_compiler_create(int sock, int cache, void **ret_compiler)
{
	struct tier *t;
	int r = tier_create(sock, cache, &t);

	if (r == 0)
		*ret_compiler = t;
	return r;
}

static void soft_compiler_destroy(void *compiler)
{
	tier_destroy(compiler);
}

const struct backend_ops backend_soft = {
	.name = "soft",
	.compiler_create = soft_compiler_create,
	.compiler_destroy = soft_compiler_destroy,
	.open = soft_open,
	.close = soft_close,
	.module_load = soft_module_load,
	.module_bind = soft_module_bind,
	.module_unload = soft_module_unload,
	.module_global = soft_module_global,
	.module_find_global = soft_module_find_global,
	.func_by_name = soft_func_by_name,
	.func_by_index = soft_func_by_index,
	.func_name = soft_func_name,
	.func_info = soft_func_info,
	.func_set = soft_func_set,
	.host_ranges = soft_host_ranges,
	.texture_create = soft_texture_create,
	.texture_destroy = soft_texture_destroy,
	.launch = soft_launch,
	.prepare = soft_prepare,
	.unprepare = soft_unprepare,
	.seat_get = soft_seat_get,
	.seat_put = soft_seat_put,
	.launch_ready = soft_launch_ready,
};
