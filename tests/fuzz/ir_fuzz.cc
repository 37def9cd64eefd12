// SPDX-License-Identifier: MIT
// Any text as IR: what is read is printed as something that reads as the same; what verify accepts can
// be decoded.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

extern "C" {
#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/base/arena.h"
}

static std::string print(const struct ir_unit *u)
{
	char *text = ir_print(u);

	if (!text)
		abort();
	std::string s = text;
	free(text);
	return s;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct base_arena *arena = arena_create(0);
	std::string text(reinterpret_cast<const char *>(data), bytes);
	struct ir_unit *u, *again;
	struct simt_code *code;
	char err[256] = "";

	if (ir_read(text.c_str(), arena, &u, err, sizeof(err)) < 0) {
		if (!err[0])
			abort();
		goto out;
	}
	text = print(u);
	if (ir_read(text.c_str(), arena, &again, err, sizeof(err)) < 0 || print(again) != text) {
		fprintf(stderr, "%s\n%s", err, text.c_str());
		abort();
	}
	if (ir_verify(u, err, sizeof(err)) == 0 && interp_prepare(u, &code, err, sizeof(err)) == 0)
		simt_code_destroy(code);
out:
	arena_destroy(arena);
	return 0;
}
