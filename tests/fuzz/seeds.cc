// SPDX-License-Identifier: MIT
// fuzz_seeds - the first inputs of the fuzzers, made by what we have: fuzz_seeds CORPUS PTX_DIR
//
// PTX is taken from the tests' files, IR from the front end, fat binaries and rings are put together here.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <lz4.h>
#include <zstd.h>

extern "C" {
#include "cuse_dev/backend/soft/image/fatbin.h"
#include "cuse_dev/backend/soft/ptx/ptx.h"
#include "ioctl/vgpu_ioctl.h"
#include "ioctl/vgpu_share.h"
}

namespace fs = std::filesystem;

namespace {

fs::path corpus;

void seed(const char *fuzzer, const std::string &name, const std::string &bytes)
{
	fs::create_directories(corpus / fuzzer);
	std::ofstream(corpus / fuzzer / name, std::ios::binary) << bytes;
}

template <typename T> std::string raw(const T &v)
{
	return std::string(reinterpret_cast<const char *>(&v), sizeof(v));
}

template <typename T> void put(std::string &s, size_t at, T v)
{
	memcpy(&s[at], &v, sizeof(v));
}

/* One entry with PTX for sm_90; packed: 0 plain, 1 LZ4, 2 zstd. */
std::string container(const std::string &text, int packed)
{
	std::string data = text, head(64, '\0'), outer(16, '\0');

	if (packed == 1) {
		data.resize(static_cast<size_t>(LZ4_compressBound(static_cast<int>(text.size()))));
		data.resize(static_cast<size_t>(
			LZ4_compress_default(text.data(), &data[0], static_cast<int>(text.size()),
					     static_cast<int>(data.size()))));
	} else if (packed == 2) {
		data.resize(ZSTD_compressBound(text.size()));
		data.resize(ZSTD_compress(&data[0], data.size(), text.data(), text.size(), 3));
	}
	put<uint32_t>(head, 16, packed ? static_cast<uint32_t>(data.size()) : 0);
	data.resize((data.size() + 7) & ~size_t(7));
	put<uint16_t>(head, 0, FATBIN_PTX);
	put<uint16_t>(head, 2, 0x101);
	put<uint32_t>(head, 4, 64);
	put<uint64_t>(head, 8, data.size());
	put<uint32_t>(head, 28, 90);
	put<uint64_t>(head, 40, packed == 1 ? 0x2000 : packed == 2 ? 0x8000 : 0);
	put<uint64_t>(head, 56, packed ? text.size() : 0);
	put<uint32_t>(outer, 0, FATBIN_CONTAINER_MAGIC);
	put<uint16_t>(outer, 4, 1);
	put<uint16_t>(outer, 6, 16);
	put<uint64_t>(outer, 8, head.size() + data.size());
	return outer + head + data;
}

void from_ptx(const std::string &name, const std::string &text)
{
	struct ptx_place place = { 0x700000000000ull, 0x780000000000ull };
	char *copy = static_cast<char *>(calloc(1, text.size() + 1));
	struct ptx_error err;
	struct ptx_module *m;

	seed("ptx", name, text);
	memcpy(copy, text.data(), text.size());
	if (ptx_module_load(copy, text.size(), &m, &err))
		return;
	for (size_t i = 0; i < m->nfuncs; i++) {
		struct ptx_unit_info info;
		struct ir_unit *u = nullptr;

		if (!m->funcs[i]->is_entry || !m->funcs[i]->defined)
			continue;
		ptx_unit_create(m, m->funcs[i], &place, &u, &info, &err);
		char *ir = u ? ir_print(u) : nullptr;
		if (ir) {
			seed("ir", name + "." + m->funcs[i]->name, ir);
			seed("compile", name + "." + m->funcs[i]->name, ir);
		}
		free(ir);
		ptx_unit_destroy(u);
	}
	ptx_module_unload(m);
}

/* What ring_fuzz.cc puts in their place. */
const uint32_t context = 0xf2000000, stream = 0xf2000001, kernel = 0xf2000002;
const uint64_t memory = 0xf1ull << 56;

void rings()
{
	struct vgpu_cmd_fill fill = { { VGPU_CMD_FILL, sizeof(fill) }, memory, 64, 16, 2, 7, 4 };
	struct vgpu_cmd_copy copy = { { VGPU_CMD_COPY, sizeof(copy) }, memory + 4096, memory, 128 };
	struct vgpu_cmd_copy_rect rect = {
		{ VGPU_CMD_COPY_RECT, sizeof(rect) }, memory, 64, 4, memory + 8192, 32, 4, 16, 4, 2
	};
	struct vgpu_cmd_event_record record = {
		{ VGPU_CMD_EVENT_RECORD, sizeof(record) }, 3, 0, 1
	};
	struct vgpu_cmd_event_wait event = { { VGPU_CMD_EVENT_WAIT, sizeof(event) }, 3, 0, 1 };
	struct vgpu_cmd_stream_wait other = {
		{ VGPU_CMD_STREAM_WAIT, sizeof(other) }, stream, 0, 1
	};
	struct vgpu_cmd_host_call host = { { VGPU_CMD_HOST_CALL, sizeof(host) }, 1 };
	struct vgpu_cmd_value_write write = {
		{ VGPU_CMD_VALUE_WRITE, sizeof(write) }, memory, 5, 4, 0
	};
	struct vgpu_cmd_value_wait wait = {
		{ VGPU_CMD_VALUE_WAIT, sizeof(wait) }, memory, 5, 4, 0
	};
	struct vgpu_cmd_launch launch = {};
	std::string all;

	launch.head = { VGPU_CMD_LAUNCH, sizeof(launch) };
	launch.func = kernel;
	for (int i = 0; i < 3; i++)
		launch.grid[i] = launch.block[i] = launch.cluster[i] = 1;
	all = raw(launch) + raw(fill) + raw(copy) + raw(rect) + raw(record) + raw(event) +
	      raw(other) + raw(write) + raw(wait) + raw(host);
	seed("ring", "ring", std::string(1, 0) + all);
	seed("ring", "submit", std::string(1, 2) + all);

	/* a graph: task 0, two that wait for it, one for both; the last jumps over its first command */
	struct vgpu_cmd_task begin = { { VGPU_CMD_TASK, sizeof(begin) + 8 }, 1, 0 };
	struct vgpu_cmd_task join = { { VGPU_CMD_TASK, sizeof(join) + 8 }, 2, 0 };
	struct vgpu_cmd_branch branch = { { VGPU_CMD_BRANCH, sizeof(branch) }, memory, 5, 1, 0 };
	uint32_t one[2] = { 0, 0 }, two[2] = { 1, 2 };

	all = raw(launch) + raw(begin) + raw(one) + raw(write) + raw(fill) + raw(begin) + raw(one) +
	      raw(copy) + raw(wait) + raw(join) + raw(two);
	branch.target = all.size() + sizeof(branch) + sizeof(rect);
	all += raw(branch) + raw(rect) + raw(launch);
	seed("ring", "graph", std::string(1, 3) + all);
}

template <typename T> std::string operation(uint8_t nr, const T &a, uint16_t bytes = sizeof(T))
{
	return raw(nr) + '\1' + raw(bytes) + raw(a).substr(0, bytes);
}

void operations()
{
	struct vgpu_mem_alloc alloc = {};
	struct vgpu_mem_free give = {};
	struct vgpu_va_reserve reserve = {};
	struct vgpu_phys_create phys = {};
	struct vgpu_va_map map = {};
	struct vgpu_func_info info = {};
	struct vgpu_host_register host = {};

	alloc.ctx = context;
	alloc.size = 1 << 21;
	give.va = memory;
	reserve.size = 4 << 20;
	phys.size = 2 << 20;
	map.va = memory;
	map.size = 2 << 20;
	info.func = kernel;
	host.size = 2 << 20;
	seed("ring", "ops",
	     std::string(1, 1) + operation(VGPU_OP_MEM_ALLOC, alloc) +
		     operation(VGPU_OP_MEM_FREE, give) + operation(VGPU_OP_VA_RESERVE, reserve) +
		     operation(VGPU_OP_PHYS_CREATE, phys) + operation(VGPU_OP_VA_MAP, map) +
		     operation(VGPU_OP_FUNC_INFO, info, 8) +
		     operation(VGPU_OP_HOST_REGISTER, host));
}

void steps()
{
	std::string all;

	/* a call of each number on a greeted file, then the worker's answers */
	for (int nr = 0; nr < 0x48; nr++)
		all += std::string("\x40", 1) + static_cast<char>(nr) + std::string(1, 0);
	seed("admit", "calls", all.substr(0, 90));
	seed("admit", "more", all.substr(90));
	for (int i = 0; i < 12; i++)
		all.insert(static_cast<size_t>(i) * 9, std::string("\5\0\0\0", 4));
	seed("admit", "answers", all);
}

void requests()
{
	seed("control", "ask",
	     "{\"op\":\"hello\"}\n{\"op\":\"status\"}\n{\"op\":\"clients\",\"below\":9}\n"
	     "{\"op\":\"profiles\"}\n{\"op\":\"events\",\"since\":1}\n"
	     "{\"op\":\"faults\",\"since\":0}\n{\"op\":\"follow\",\"since\":0}\n");
	seed("control", "change",
	     "{\"op\":\"add\",\"device\":\"L4,memory=4G,mode=0660,group=0,allow_uid=1\"}\n"
	     "{\"op\":\"quota\",\"device\":0,\"memory\":\"8G\",\"clients\":\"4\"}\n"
	     "{\"op\":\"evict\",\"client\":1}\n"
	     "{\"op\":\"remove\",\"device\":1,\"force\":true}\n");
}

} // namespace

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s CORPUS PTX_DIR\n", argv[0]);
		return 2;
	}
	corpus = argv[1];
	for (const auto &e : fs::recursive_directory_iterator(argv[2])) {
		if (e.path().extension() != ".ptx")
			continue;
		std::stringstream text;
		text << std::ifstream(e.path()).rdbuf();
		from_ptx(e.path().stem().string(), text.str().substr(0, 16384));
	}
	std::string small =
		".version 8.4\n.target sm_90\n.address_size 64\n"
		".global .u32 g = 3;\n"
		".visible .entry k(.param .u64 p)\n{\n.reg .b64 %d<3>;\n.reg .b32 %r<3>;\n"
		"ld.param.u64 %d1, [p];\nmov.u32 %r1, %tid.x;\nst.global.u32 [%d1], %r1;\n"
		"ret;\n}\n";
	from_ptx("small", small);
	seed("image", "text", '\0' + small);
	for (int packed = 0; packed < 3; packed++)
		seed("image", "fatbin" + std::to_string(packed), '\0' + container(small, packed));
	for (char kind = 0; kind < 4; kind++)
		seed("object", "kind" + std::to_string(kind), std::string(1, kind));
	rings();
	operations();
	steps();
	requests();
	return 0;
}
