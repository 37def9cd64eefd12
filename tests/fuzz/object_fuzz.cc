// SPDX-License-Identifier: MIT
// An object for the loader of compiled kernels, as a compiler gone wrong or a torn cache would give it: raw
// bytes, or one of our own in which the input changes headers, sections, symbols, relocations or
// any byte. It is loaded or refused with a text; what it contains is never run.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <elf.h>

extern "C" {
#define _Alignas(n) alignas(n)
#include "cuse_dev/backend/soft/interp/interp.h"
#include "cuse_dev/backend/soft/llvm/llvm.h"
#include "cuse_dev/backend/soft/llvm/run.h"
#include "cuse_dev/backend/soft/ptx/ptx.h"
}

/* The last one needs operations that are left to the interpreter: their IR is in the object. */
static const char *const bodies[] = {
	R"(ld.param.u64 %d1, [p]; mov.u32 %r1, %tid.x; st.global.u32 [%d1], %r1;)",
	R"(mov.u32 %r1, %tid.x; and.b32 %r2, %r1, 3;
	T: .branchtargets A, B, C, D;
	brx.idx %r2, T;
	A: mov.u32 %r1, 77;
	B: add.u32 %r1, %r1, 3;
	C: mul.lo.u32 %r1, %r1, 5;
	D: ld.param.u64 %d1, [p]; st.global.u32 [%d1], %r1;)",
	R"(ld.param.u64 %d1, [p]; ld.global.u32 %r1, [%d1]; fma.rz.f32 %f1, %f0, %f0, %f0;
	cvt.rp.f16.f32 %h1, %f1; st.global.b16 [%d1], %h1;)",
};

static struct simt_code *like;
static uint64_t base_va[IR_BASE_COUNT];
static std::vector<std::string> objects;

static void make(const char *body)
{
	std::string ptx = std::string(".version 8.4\n.target sm_90\n.address_size 64\n"
				      ".visible .entry k(.param .u64 p)\n{\n.reg .b64 %d<3>;\n"
				      ".reg .b32 %r<3>;\n.reg .f32 %f<3>;\n.reg .b16 %h<3>;\n") +
			  body + "\nret;\n}\n";
	struct ptx_place place = { 0x700000000000ull, 0x780000000000ull };
	struct llvm_options opt = {};
	struct ptx_unit_info info = {};
	struct simt_code *code = nullptr;
	struct ir_unit *u = nullptr;
	struct ptx_module *m = nullptr;
	struct ptx_error err = {};
	void *object = nullptr;
	size_t bytes = 0;
	char text[256] = "";

	opt.cpu = "x86-64-v3";
	if (ptx_module_load(strdup(ptx.c_str()), ptx.size(), &m, &err) ||
	    ptx_unit_create(m, ptx_module_kernel(m, "k"), &place, &u, &info, &err) ||
	    interp_prepare(u, &code, text, sizeof(text)) < 0 ||
	    llvm_compile(u, &opt, &object, &bytes, text, sizeof(text)) < 0) {
		fprintf(stderr, "%u:%u: %s%s\n", err.line, err.column, err.text, text);
		abort();
	}
	objects.emplace_back(static_cast<char *>(object), bytes);
	free(object);
	memcpy(base_va, u->base_va, sizeof(base_va));
	if (like)
		simt_code_destroy(code);
	else
		like = code;
	ptx_unit_destroy(u);
	ptx_module_unload(m);
}

static int load(const std::string &object)
{
	struct simt_code *code;
	char err[256] = "";
	/* Exactly as long as it is: what is read beyond it shows itself. */
	std::vector<char> bytes(object.begin(), object.end());
	int r = llvm_load(bytes.data(), bytes.size(), like, base_va, &code, err, sizeof(err));

	if (r == 0)
		simt_code_destroy(code);
	else if (!err[0] && r != -ENOMEM)
		abort();
	return r;
}

extern "C" int LLVMFuzzerInitialize(int *, char ***)
{
	for (const char *b : bodies)
		make(b);
	for (const auto &o : objects)
		if (load(o) < 0)
			abort();
	if (objects.back().find(LLVM_SECTION_UNIT) == std::string::npos)
		abort();
	return 0;
}

struct change {
	uint8_t what, how;
	uint32_t where;
	uint16_t value;
} __attribute__((packed));

static uint64_t number(const struct change &c, uint64_t was)
{
	static const uint64_t odd[] = { 0,
					1,
					7,
					8,
					0xffff,
					0x7fffffff,
					1u << 31,
					0xffffffff,
					1ull << 32,
					INT64_MAX,
					1ull << 63,
					UINT64_MAX,
					UINT64_MAX - 7,
					UINT64_MAX - 63 };

	switch (c.how % 4) {
	case 0:
		return c.value;
	case 1:
		return was + (uint64_t)(int64_t)(int16_t)c.value;
	case 2:
		return odd[c.value % (sizeof(odd) / sizeof(odd[0]))];
	default:
		return was ^ 1ull << c.value % 64;
	}
}

/* @bytes (at most 8) at @at; what lies outside is left alone. */
static void put(std::string &o, uint64_t at, size_t bytes, const struct change &c)
{
	uint64_t v = 0;

	if (at > o.size() || bytes > o.size() - at)
		return;
	memcpy(&v, &o[at], bytes);
	v = number(c, v);
	memcpy(&o[at], &v, bytes);
}

/* Fields of one entry of a table: their sizes in order. */
static void field(std::string &o, uint64_t at, const std::vector<size_t> &sizes,
		  const struct change &c)
{
	size_t n = (c.where >> 16) % sizes.size();

	for (size_t i = 0; i < n; i++)
		at += sizes[i];
	put(o, at, sizes[n], c);
}

static void apply(std::string &o, const struct change &c, const Elf64_Ehdr &head,
		  const std::vector<Elf64_Shdr> &sections)
{
	uint64_t k = c.where & 0xffff;

	switch (c.what % 6) {
	case 0:
		put(o, c.where % o.size(), 1, c);
		return;
	case 1:
		field(o, 16, { 2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2 }, c);
		return;
	case 2:
		field(o, head.e_shoff + k % sections.size() * sizeof(Elf64_Shdr),
		      { 4, 4, 8, 8, 8, 8, 4, 4, 8, 8 }, c);
		return;
	case 3:
	case 4:
		for (const auto &s : sections) {
			uint64_t n = s.sh_entsize ? s.sh_size / s.sh_entsize : 0;

			if (s.sh_type != (c.what % 6 == 3 ? SHT_SYMTAB : SHT_RELA) || !n)
				continue;
			if (c.what % 6 == 3)
				field(o, s.sh_offset + k % n * 24, { 4, 1, 1, 2, 8, 8 }, c);
			else
				field(o, s.sh_offset + k % n * 24, { 8, 4, 4, 8 }, c);
			if (c.how & 64)
				return;
		}
		return;
	default: /* inside a section */
		k = k % sections.size();
		if (sections[k].sh_type != SHT_NOBITS && sections[k].sh_size)
			put(o, sections[k].sh_offset + (c.where >> 16) % sections[k].sh_size,
			    1u << c.how / 4 % 4, c);
	}
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct change c;

	if (!bytes)
		return 0;
	if (data[0] % 4 >= objects.size()) {
		load(std::string(reinterpret_cast<const char *>(data + 1), bytes - 1));
		return 0;
	}
	std::string o = objects[data[0] % 4];
	Elf64_Ehdr head;

	memcpy(&head, o.data(), sizeof(head));
	std::vector<Elf64_Shdr> sections(head.e_shnum);
	memcpy(sections.data(), &o[head.e_shoff], head.e_shnum * sizeof(Elf64_Shdr));
	for (size_t at = 1; at + sizeof(c) <= bytes; at += sizeof(c)) {
		memcpy(&c, data + at, sizeof(c));
		apply(o, c, head, sections);
	}
	if (data[0] & 128)
		o.resize(bytes * 8 % o.size());
	load(o);
	return 0;
}
