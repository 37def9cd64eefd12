// SPDX-License-Identifier: MIT
// Any text as IR that is to be compiled: what verify and the interpreter accept becomes an object or is
// refused with a text, and the loader takes what the compiler made.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

extern "C" {
#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/backend/soft/llvm/llvm.h"
#include "cuse_dev/base/arena.h"
}

static void compile(const struct ir_unit *u, const struct simt_code *like, bool special)
{
	struct llvm_options opt = {};
	struct simt_code *code;
	void *object = nullptr;
	size_t bytes = 0;
	char err[256] = "";
	int r;

	if (special) {
		opt.block[0] = 96;
		opt.block[1] = opt.block[2] = 1;
	}
	opt.cpu = "x86-64-v3"; /* the same on every machine */
	r = llvm_compile(u, &opt, &object, &bytes, err, sizeof(err));
	if (r < 0) {
		if (!err[0] || (r != -ENOTSUP && r != -EINVAL && r != -ENOMEM))
			abort();
		return;
	}
	if (llvm_load(object, bytes, like, u->base_va, &code, err, sizeof(err)) < 0) {
		fprintf(stderr, "load: %s\n", err);
		abort();
	}
	simt_code_destroy(code);
	free(object);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct base_arena *arena = arena_create(0);
	std::string text(reinterpret_cast<const char *>(data), bytes);
	struct simt_code *like;
	struct ir_unit *u;
	char err[256] = "";

	if (ir_read(text.c_str(), arena, &u, err, sizeof(err)) == 0 &&
	    ir_verify(u, err, sizeof(err)) == 0 &&
	    interp_prepare(u, &like, err, sizeof(err)) == 0) {
		compile(u, like, bytes & 1);
		simt_code_destroy(like);
	}
	arena_destroy(arena);
	return 0;
}
