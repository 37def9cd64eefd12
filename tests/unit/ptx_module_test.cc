// SPDX-License-Identifier: MIT
// The index of a module: variables, initialisers with addresses, functions, directives, errors.
#include <gtest/gtest.h>

#include <sys/mman.h>

#include "unit/ptx_text.h"

namespace {

const struct ptx_var *var(const PtxModule &m, const char *name)
{
	struct ptx_sym *s = m.code ? nullptr : ptx_module_find(m.m, name, strlen(name));

	return s ? s->var : nullptr;
}

std::string at(const struct ptx_error &e)
{
	return std::to_string(e.line) + ":" + std::to_string(e.column);
}

} // namespace

TEST(PtxModule, VariablesAreLaidOutAligned)
{
	PtxModule m(std::string(ptx_head) +
		    ".global .align 1 .b8 a[3];\n.visible .const .f64 b = 1.5;\n"
		    ".global .attribute(.managed) .align 8 .b8 c[24];\n.global .align 128 .u32 d, "
		    "e[2][3];\n"
		    ".extern .shared .align 16 .b8 dyn[];\n.shared .u32 s[4];\n");

	ASSERT_EQ(0u, m.code) << m.err.text;
	EXPECT_EQ(0u, var(m, "a")->offset);
	EXPECT_EQ(3u, var(m, "a")->size);
	EXPECT_EQ(8u, var(m, "b")->offset);
	EXPECT_TRUE(var(m, "c")->managed);
	EXPECT_EQ(0u, var(m, "c")->offset);
	EXPECT_EQ(128u, var(m, "d")->offset);
	EXPECT_EQ(256u, var(m, "e")->offset);
	EXPECT_EQ(24u, var(m, "e")->size);
	EXPECT_EQ(512u, m.m->global_bytes);
	EXPECT_EQ(512u, m.m->managed_bytes);
	EXPECT_TRUE(var(m, "dyn")->unsized);
	EXPECT_EQ(16u, var(m, "s")->size);
}

TEST(PtxModule, InitialisersReachMemory)
{
	PtxModule m(
		std::string(ptx_head) +
		".func f() { ret; }\n.global .u32 x[4] = {1, -1, 0x10};\n"
		".global .f32 fl[2] = {1.0, 0f40000000};\n.global .u32 g2[2][2] = {{1},{2,3}};\n"
		".global .u64 p[3] = {generic(x)+4, f, x-8};\n"
		".global .align 8 .b8 m[8] = {0xff(x), 0xFF00(x), 7};\n.const .v2 .f32 v = {1.0, "
		"2.0};\n");
	void *mem = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ptx_place place = { (uint64_t)(uintptr_t)mem, 0 };
	struct ptx_error err;

	ASSERT_EQ(0u, m.code) << m.err.text;
	ASSERT_EQ(0u, ptx_module_init_data(m.m, &place, true, &err)) << err.text;
	auto mem_at = [&](const char *n) { return (char *)mem + var(m, n)->offset; };
	auto x = (const int32_t *)mem_at("x");

	EXPECT_EQ(1, x[0]);
	EXPECT_EQ(-1, x[1]);
	EXPECT_EQ(16, x[2]);
	EXPECT_EQ(0, x[3]);
	EXPECT_EQ(1.0f, ((const float *)mem_at("fl"))[0]);
	EXPECT_EQ(2.0f, ((const float *)mem_at("fl"))[1]);
	auto g2 = (const uint32_t *)mem_at("g2");

	EXPECT_EQ(1u, g2[0]);
	EXPECT_EQ(0u, g2[1]);
	EXPECT_EQ(2u, g2[2]);
	EXPECT_EQ(3u, g2[3]);
	auto p = (const uint64_t *)mem_at("p");

	EXPECT_EQ((uint64_t)(uintptr_t)x + 4, p[0]);
	EXPECT_EQ(IR_CODE_BASE, p[1] & ~0xfffull);
	EXPECT_EQ((uint64_t)(uintptr_t)x - 8, p[2]);
	auto b = (const uint8_t *)mem_at("m");

	EXPECT_EQ((uint8_t)(uintptr_t)x, b[0]);
	EXPECT_EQ((uint8_t)((uintptr_t)x >> 8), b[1]);
	EXPECT_EQ(7, b[2]);
	EXPECT_EQ(2.0f, ((const float *)mem_at("v"))[1]);
	munmap(mem, 4096);
}

TEST(PtxModule, FunctionsAndTheirDirectives)
{
	PtxModule m(std::string(ptx_head) +
		    ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n"
		    ".weak .func (.reg .u32 r) g (.reg .u32 a) { mov.u32 r, a; ret; }\n"
		    ".visible .entry k1(.param .u8 a, .param .u64 .ptr .global .align 16 b,\n"
		    "  .param .align 16 .b8 c[20], .param .u16 d)\n"
		    ".maxntid 128, 2\n.minnctapersm 3\n.maxnreg 40\n.reqnctapercluster 2, 1, 1\n"
		    ".explicitcluster\n{ ret; }\n.entry k2 { ret; }\n");
	struct ptx_func *k1;

	ASSERT_EQ(0u, m.code) << at(m.err) << m.err.text;
	k1 = ptx_module_kernel(m.m, "k1");
	ASSERT_NE(nullptr, k1);
	EXPECT_EQ(4u, k1->proto.nparams);
	EXPECT_EQ(8u, k1->proto.params[1].offset);
	EXPECT_EQ(16u, k1->proto.params[2].offset);
	EXPECT_EQ(36u, k1->proto.params[3].offset);
	EXPECT_EQ(38u, k1->proto.param_bytes);
	EXPECT_EQ(128u, k1->maxntid[0]);
	EXPECT_EQ(2u, k1->maxntid[1]);
	EXPECT_EQ(1u, k1->maxntid[2]);
	EXPECT_EQ(40u, k1->maxnreg);
	EXPECT_EQ(2u, k1->cluster[0]);
	EXPECT_TRUE(k1->explicit_cluster);
	EXPECT_NE(nullptr, ptx_module_kernel(m.m, "k2"));
	EXPECT_EQ(nullptr, ptx_module_kernel(m.m, "g")) << "not a kernel";
}

TEST(PtxModule, DebugSectionsAndFilesAreSkipped)
{
	PtxModule m(std::string(ptx_head) +
		    ".file 1 \"a{.cu\", 1, 2\n.section .debug_str {\n$L__info: .b8 95,0 // }\n}\n"
		    ".pragma \"x\";\n.visible .entry k() { .loc 1 2 3, function_name $L__info, "
		    "inlined_at 1 4 5\n"
		    "ret; }\n");

	EXPECT_EQ(0u, m.code) << at(m.err) << m.err.text;
}

TEST(PtxModule, ErrorsHaveAPlace)
{
	const struct {
		const char *text;
		const char *where;
	} rows[] = {
		{ ".global .u32 x[2] = {1,2,3};", "4:26" },
		{ ".globl .u32 x;", "4:1" },
		{ ".global x;", "4:9" },
		{ ".global .u32 x = {y};", "0:0" }, /* only when memory is given */
		{ ".visible .entry k() { ", "4:21" },
		{ ".global .u32 a; .global .u32 a;", "4:31" },
		{ "foo", "4:1" },
		{ ".global .u32 a[0x7fffffffffffffff];", "4:35" },
	};

	for (const auto &r : rows) {
		PtxModule m(std::string(ptx_head) + r.text);

		EXPECT_EQ(strcmp(r.where, "0:0") ? 218u : 0u, m.code) << r.text;
		EXPECT_EQ(r.where, at(m.err)) << r.text << ": " << m.err.text;
	}
}

TEST(PtxModule, BodiesAreNotReadWhenLoading)
{
	PtxUnit u(std::string(ptx_head) +
		  ".entry bad() {\n  no_such_thing %r1;\n}\n.entry k() { ret; }\n");

	EXPECT_EQ(0u, u.code) << u.where();
	PtxUnit b(std::string(ptx_head) + ".entry bad() {\n  no_such_thing %r1;\n}\n", "bad");

	EXPECT_EQ(218u, b.code);
	EXPECT_EQ("5:3: unknown instruction 'no_such_thing'", b.where());
}
