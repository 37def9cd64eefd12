/* SPDX-License-Identifier: MIT */
// ptx_text.h - PTX from a test's string to modules, units and IR text.
#ifndef TESTS_UNIT_PTX_TEXT_H
#define TESTS_UNIT_PTX_TEXT_H

#include <cstdlib>
#include <cstring>
#include <string>

extern "C" {
#include "cuse_dev/backend/soft/ptx/ptx.h"
}

static const char ptx_head[] = ".version 8.4\n.target sm_90\n.address_size 64\n";

struct PtxModule {
	struct ptx_module *m = nullptr;
	struct ptx_error err = {};
	uint32_t code;

	explicit PtxModule(const std::string &text)
	{
		char *copy = static_cast<char *>(calloc(1, text.size() + 64));

		memcpy(copy, text.data(), text.size());
		code = ptx_module_load(copy, text.size(), &m, &err);
	}
	~PtxModule() { ptx_module_unload(code ? nullptr : m); }
	PtxModule(const PtxModule &) = delete;
	PtxModule &operator=(const PtxModule &) = delete;
};

struct PtxUnit {
	PtxModule mod;
	struct ir_unit *u = nullptr;
	struct ptx_unit_info info = {};
	struct ptx_error err = {};
	uint32_t code = 0xffffffff;

	explicit PtxUnit(const std::string &text, const char *kernel = "k") : mod(text)
	{
		struct ptx_place place = { 0x700000000000ull, 0x780000000000ull };
		struct ptx_func *f = mod.code ? nullptr : ptx_module_kernel(mod.m, kernel);

		if (f)
			code = ptx_unit_create(mod.m, f, &place, &u, &info, &err);
		else
			err = mod.err;
	}
	~PtxUnit() { ptx_unit_destroy(u); }
	PtxUnit(const PtxUnit &) = delete;
	PtxUnit &operator=(const PtxUnit &) = delete;

	std::string ir() const
	{
		char *t = u ? ir_print(u) : nullptr;
		std::string s = t ? t : "";

		free(t);
		return s;
	}
	std::string verify() const
	{
		char text[256] = "";

		return u && ir_verify(u, text, sizeof(text)) == 0 ? ""
								  : std::string("bad: ") + text;
	}
	std::string where() const
	{
		return std::to_string(err.line) + ":" + std::to_string(err.column) + ": " +
		       err.text;
	}
};

/* A kernel "k" around a body; the body begins on line 7. */
static inline std::string ptx_kernel(const std::string &body, const std::string &before = "")
{
	return ptx_head + before + ".visible .entry k(.param .u64 p0, .param .u32 p1)\n{\n" +
	       ".reg .pred %p<9>; .reg .b16 %h<9>; .reg .b32 %r<20>; .reg .b64 %d<20>; .reg .b128 "
	       "%q<3>;\n" +
	       body + "\n}\n";
}

#endif
