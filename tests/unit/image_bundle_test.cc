// SPDX-License-Identifier: MIT
// Bundles: what a linker is given (texts, fat binaries, objects, archives), and damaged ones.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <string>
#include <vector>

extern "C" {
#include "cuse_dev/backend/soft/image/fatbin.h"
#include "cuse_dev/backend/soft/image/image.h"
#include "ioctl/vgpu_bundle.h"
}

namespace {

std::string ptx(const std::string &name, int sm = 75)
{
	return ".version 8.4\n.target sm_" + std::to_string(sm) +
	       "\n.address_size 64\n.visible .entry " + name + "() { ret; }\n";
}

template <typename T> std::string raw(const T &v)
{
	return std::string(reinterpret_cast<const char *>(&v), sizeof(v));
}

void pad(std::string &s, size_t to)
{
	s.resize((s.size() + to - 1) / to * to, '\0');
}

std::string fatbin(std::string data, uint16_t kind = FATBIN_PTX, uint32_t sm = 75)
{
	std::string head(16, '\0'), entry(64, '\0');
	uint32_t magic = FATBIN_CONTAINER_MAGIC, header = 64;
	uint16_t one = 1, sixteen = 16;
	uint64_t bytes, padded;

	pad(data, 8);
	padded = data.size();
	memcpy(&entry[0], &kind, 2);
	memcpy(&entry[4], &header, 4);
	memcpy(&entry[8], &padded, 8);
	memcpy(&entry[28], &sm, 4);
	bytes = entry.size() + data.size();
	memcpy(&head[0], &magic, 4);
	memcpy(&head[4], &one, 2);
	memcpy(&head[6], &sixteen, 2);
	memcpy(&head[8], &bytes, 8);
	return head + entry + data;
}

/* An ELF file with one section. */
std::string object(const std::string &name, std::string content, uint16_t machine = EM_X86_64)
{
	std::string names = '\0' + name + '\0';
	Elf64_Ehdr e{};
	Elf64_Shdr s[3]{};

	pad(content, 8);
	pad(names, 8);
	memcpy(e.e_ident, ELFMAG, SELFMAG);
	e.e_ident[EI_CLASS] = ELFCLASS64;
	e.e_machine = machine;
	e.e_shentsize = sizeof(*s);
	e.e_shnum = 3;
	e.e_shstrndx = 2;
	e.e_shoff = sizeof(e) + content.size() + names.size();
	s[1].sh_type = SHT_PROGBITS;
	s[1].sh_name = 1;
	s[1].sh_offset = sizeof(e);
	s[1].sh_size = content.size();
	s[2].sh_type = SHT_STRTAB;
	s[2].sh_offset = sizeof(e) + content.size();
	s[2].sh_size = names.size();
	return raw(e) + content + names + raw(s);
}

std::string archive(const std::vector<std::string> &members)
{
	std::string a = "!<arch>\n";
	char head[64];

	for (const auto &m : members) {
		snprintf(head, sizeof(head), "%-16s%-12s%-6s%-6s%-8s%-10zu`\n", "m.o/", "0", "0",
			 "0", "644", m.size());
		a += head + m;
		if (m.size() & 1)
			a += '\n';
	}
	return a;
}

std::string bundle(const std::vector<std::string> &parts)
{
	std::string table, data;
	size_t head = sizeof(vgpu_bundle) + parts.size() * sizeof(vgpu_bundle_part);

	for (const auto &p : parts) {
		table += raw(vgpu_bundle_part{ head + data.size(), p.size() });
		data += p;
		pad(data, 8);
	}
	return raw(vgpu_bundle{ VGPU_BUNDLE_MAGIC, uint32_t(parts.size()), head + data.size() }) +
	       table + data;
}

uint32_t pick(const std::string &image, std::string *out, std::string *log = nullptr)
{
	static backend_log l;
	image_text t{};

	l.bytes = 0;
	/* An exact copy: reading behind it is seen by the sanitizer. */
	std::vector<char> copy(image.begin(), image.end());
	uint32_t r = image_pick(copy.data(), copy.size(), 90, false, &t, &l);

	if (!r)
		*out = t.text;
	else if (log)
		*log = l.text;
	free(t.text);
	return r;
}

bool has(const std::string &text, const char *what)
{
	return text.find(what) != std::string::npos;
}

TEST(Bundle, TextsAndFatBinaries)
{
	std::string out;

	ASSERT_EQ(pick(bundle({ ptx("a"), fatbin(ptx("b")) }), &out), 0u);
	EXPECT_TRUE(has(out, ".entry a()") && has(out, ".entry b()")) << out;
}

TEST(Bundle, ObjectsOfBothKinds)
{
	std::string out;
	std::string two = fatbin(ptx("b")) + std::string(8, '\0') + fatbin(ptx("c"));

	ASSERT_EQ(pick(bundle({ object(".nv_fatbin", fatbin(ptx("a"))),
				object("__nv_relfatbin", two) }),
		       &out),
		  0u);
	EXPECT_TRUE(has(out, ".entry a()") && has(out, ".entry b()") && has(out, ".entry c()"))
		<< out;
}

TEST(Bundle, ArchivesAndMembersWithoutDeviceCode)
{
	std::string out;

	ASSERT_EQ(pick(bundle({ archive({ "symbols", object(".text", "code"),
					  object("__nv_relfatbin", fatbin(ptx("a"))) }) }),
		       &out),
		  0u);
	EXPECT_TRUE(has(out, ".entry a()")) << out;
}

TEST(Bundle, InABundle)
{
	std::string out, log, deep = bundle({ ptx("a") });

	ASSERT_EQ(pick(bundle({ deep, ptx("b") }), &out), 0u);
	EXPECT_TRUE(has(out, ".entry a()") && has(out, ".entry b()")) << out;
	for (int i = 0; i < 8; i++)
		deep = bundle({ deep });
	EXPECT_EQ(pick(deep, &out, &log), 200u);
}

/* PTX for a newer card is for the device runtime alone. */
TEST(Bundle, TheDeviceRuntime)
{
	std::string out, log;
	std::string newer = ptx("a", 121);

	EXPECT_EQ(pick(bundle({ fatbin(newer, FATBIN_PTX, 121) }), &out, &log), 209u);
	EXPECT_TRUE(has(log, "sm_90") && has(log, "part 1 of 1")) << log;
	newer += ".extern .func (.param .b32 r) __cuda_syscall_cnpv2GetDevice;\n";
	EXPECT_EQ(pick(bundle({ fatbin(newer, FATBIN_PTX, 121) }), &out), 0u);
}

TEST(Bundle, MachineCodeIsRefused)
{
	std::string out, log;

	EXPECT_EQ(pick(bundle({ object(".text", "x", 190) }), &out, &log), 209u);
	EXPECT_TRUE(has(log, "cubin")) << log;
	EXPECT_EQ(pick(bundle({ fatbin("sass", FATBIN_ELF) }), &out, &log), 209u);
	EXPECT_TRUE(has(log, "machine code")) << log;
}

TEST(Bundle, NothingToLink)
{
	std::string out, log;

	EXPECT_EQ(pick(bundle({ object(".text", "x") }), &out, &log), 200u);
	EXPECT_TRUE(has(log, "without device code")) << log;
	EXPECT_EQ(pick(bundle({ archive({ object(".text", "x") }) }), &out, &log), 209u);
	EXPECT_TRUE(has(log, "nothing to link")) << log;
	EXPECT_EQ(pick(bundle({ "text" }), &out, &log), 218u);
}

TEST(Bundle, DamagedArchive)
{
	std::string out, log, a = archive({ object("__nv_relfatbin", fatbin(ptx("a"))) });

	EXPECT_EQ(pick(bundle({ a.substr(0, a.size() - 20) }), &out, &log), 200u);
	EXPECT_TRUE(has(log, "damaged archive")) << log;
}

/* Each byte of the table, and each length of the whole, can be wrong. */
TEST(Bundle, DamagedTables)
{
	std::string good = bundle({ ptx("a"), ptx("b") }), out;
	size_t table = sizeof(vgpu_bundle) + 2 * sizeof(vgpu_bundle_part);

	for (size_t i = 4; i < table; i++) {
		std::string bad = good;

		bad[i] ^= '\x80';
		EXPECT_NE(pick(bad, &out), 0u) << "byte " << i;
	}
	for (size_t n = 4; n < good.size(); n += 7)
		EXPECT_NE(pick(good.substr(0, n), &out), 0u) << n << " bytes";
}

TEST(Bundle, DamagedObject)
{
	std::string good = object("__nv_relfatbin", fatbin(ptx("a"))), out;

	for (size_t i = 0; i < good.size(); i++) {
		std::string bad = good;

		bad[i] ^= '\x81';
		pick(bundle({ bad }), &out); /* no accident */
	}
}

} // namespace
