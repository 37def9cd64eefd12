/* SPDX-License-Identifier: MIT */
/* data.c - initialisers into device memory, addresses included. */
#include "cuse_dev/backend/soft/ptx/ptx.h"

#include <string.h>

uint64_t ptx_var_address(const struct ptx_var *v, const struct ptx_place *place)
{
	return (v->managed ? place->managed_va : place->global_va) + v->offset;
}

static bool reloc_value(const struct ptx_module *m, const struct ptx_place *place,
			const struct ptx_reloc *r, uint64_t *ret_value, struct ptx_error *err)
{
	struct ptx_sym *s = r->var ? NULL : ptx_module_find(m, r->name, r->name_len);

	if (r->var) {
		*ret_value = ptx_var_address(r->var, place);
	} else if (s && s->func) {
		*ret_value = IR_CODE_BASE + 16ull * s->func->index;
	} else if (s && s->var && s->var->defined && s->var->space != PTX_SPACE_SHARED) {
		*ret_value = ptx_var_address(s->var, place);
	} else {
		ptx_fail(err, PTX_ERR_SYNTAX, r->line, r->column,
			 "initialiser names '%.*s', which has no address here",
			 (int)(r->name_len > 80 ? 80 : r->name_len), r->name);
		return false;
	}
	*ret_value += (uint64_t)r->addend;
	*ret_value >>= r->shift;
	return true;
}

uint32_t ptx_module_init_data(const struct ptx_module *m, const struct ptx_place *place,
			      bool managed_new, struct ptx_error *err)
{
	memset(err, 0, sizeof(*err));
	for (size_t i = 0; i < m->nvars; i++) {
		const struct ptx_var *v = m->vars[i];
		unsigned char *to;

		if (!v->data || (v->managed && !managed_new))
			continue;
		to = (unsigned char *)(uintptr_t)ptx_var_address(v, place);
		memcpy(to, v->data, v->data_bytes);
		for (const struct ptx_reloc *r = v->relocs; r; r = r->next) {
			uint64_t value;

			if (!reloc_value(m, place, r, &value, err))
				return err->code;
			memcpy(to + r->offset, &value, r->bytes);
		}
	}
	return 0;
}
