// SPDX-License-Identifier: MIT
// Any text as a PTX module: no access outside, and what the front end lowers without complaint passes verify
// and can be decoded or is refused with a text.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/backend/soft/ptx/ptx.h"
}

static void compile(struct ptx_module *m, struct ptx_func *f)
{
	struct ptx_place place = { 0x700000000000ull, 0x780000000000ull };
	struct ptx_unit_info info = {};
	struct simt_code *code = nullptr;
	struct ir_unit *u = nullptr;
	struct ptx_error err = {};
	char text[256] = "";
	uint32_t r = ptx_unit_create(m, f, &place, &u, &info, &err);

	if (r && !err.text[0])
		abort();
	if (u && !r) {
		if (ir_verify(u, text, sizeof(text)) < 0) {
			fprintf(stderr, "verify: %s\n", text);
			abort();
		}
		if (interp_prepare(u, &code, text, sizeof(text)) == 0)
			simt_code_destroy(code);
		else if (!text[0])
			abort();
	}
	ptx_unit_destroy(u);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct ptx_module *m;
	struct ptx_error err = {};
	char *text = static_cast<char *>(malloc(bytes + 1));

	memcpy(text, data, bytes);
	text[bytes] = 0;
	if (ptx_module_load(text, bytes, &m, &err)) {
		if (!err.text[0])
			abort();
		return 0;
	}
	for (size_t i = 0; i < m->nfuncs && i < 8; i++)
		if (m->funcs[i]->is_entry && m->funcs[i]->defined)
			compile(m, m->funcs[i]);
	ptx_module_unload(m);
	return 0;
}
