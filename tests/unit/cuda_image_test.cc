/* SPDX-License-Identifier: MIT */
/* What an image pointer leads to: text, container, wrapper, ELF; and what is none of them. */
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <cuda.h>

extern "C" {
#include "ioctl/vgpu_bundle.h"
#include "libcuda/impl/image.h"
#include "libcuda/impl/jit.h"
}

struct Container {
	uint32_t magic = 0xba55ed50;
	uint16_t version = 1, header = 16;
	uint64_t bytes = 64;
	uint8_t payload[64] = {};
};

struct Wrapper {
	uint32_t magic = 0x466243b1, version = 1;
	const void *data = nullptr, *more = nullptr;
};

TEST(Image, TextEndsWithItsNul)
{
	image i;
	const char *ptx = ".version 8.0\n.target sm_75\n";

	ASSERT_EQ(image_find(ptx, &i), CUDA_SUCCESS);
	EXPECT_EQ(i.data, ptx);
	EXPECT_EQ(i.size, strlen(ptx) + 1);
	EXPECT_TRUE(i.text);
}

TEST(Image, ShortTextIsReadNoFurther)
{
	image i;
	std::vector<char> one = { '/', 0 };

	ASSERT_EQ(image_find(one.data(), &i), CUDA_SUCCESS);
	EXPECT_EQ(i.size, 2u);
	one = { 0 };
	EXPECT_EQ(image_find(one.data(), &i), CUDA_ERROR_INVALID_IMAGE);
	EXPECT_EQ(image_find(nullptr, &i), CUDA_ERROR_INVALID_VALUE);
}

TEST(Image, ContainerHasItsOwnSize)
{
	Container c;
	image i;

	ASSERT_EQ(image_find(&c, &i), CUDA_SUCCESS);
	EXPECT_EQ(i.data, &c);
	EXPECT_EQ(i.size, 80u);
	EXPECT_FALSE(i.text);
	c.header = 8;
	EXPECT_EQ(image_find(&c, &i), CUDA_ERROR_INVALID_IMAGE);
	c.header = 16;
	c.bytes = ~0ull;
	EXPECT_EQ(image_find(&c, &i), CUDA_ERROR_INVALID_IMAGE);
}

TEST(Image, WrapperIsTakenOff)
{
	Container c;
	Wrapper w;
	image i;

	w.data = &c;
	for (uint32_t version : { 1u, 2u }) {
		w.version = version;
		ASSERT_EQ(image_find(&w, &i), CUDA_SUCCESS);
		EXPECT_EQ(i.data, &c);
		EXPECT_EQ(i.size, 80u);
	}
	w.version = 3;
	EXPECT_EQ(image_find(&w, &i), CUDA_ERROR_INVALID_IMAGE);
	w.version = 1;
	w.data = nullptr;
	EXPECT_EQ(image_find(&w, &i), CUDA_ERROR_INVALID_IMAGE);
}

/* Relocatable device code: the list counts, not what was linked ahead; its parts become one image. */
TEST(Image, UnlinkedContainersAreBundled)
{
	Container linked, a, b, bad;
	const void *list[] = { &a, &b, nullptr };
	Wrapper w;
	image i;

	a.payload[0] = 1;
	b.payload[0] = 2;
	w.version = 2;
	w.data = &linked;
	w.more = list;
	ASSERT_EQ(image_find(&w, &i), CUDA_SUCCESS);
	ASSERT_EQ(i.data, i.made);

	auto head = static_cast<const vgpu_bundle *>(i.data);
	auto part = reinterpret_cast<const vgpu_bundle_part *>(head + 1);
	auto bytes = static_cast<const char *>(i.data);

	EXPECT_EQ(head->magic, VGPU_BUNDLE_MAGIC);
	EXPECT_EQ(head->bytes, i.size);
	ASSERT_EQ(head->parts, 2u);
	EXPECT_EQ(part[0].bytes, 80u);
	EXPECT_EQ(memcmp(bytes + part[0].offset, &a, 80), 0);
	EXPECT_EQ(memcmp(bytes + part[1].offset, &b, 80), 0);

	image again;

	ASSERT_EQ(image_find(i.data, &again), CUDA_SUCCESS);
	EXPECT_EQ(again.size, i.size);
	EXPECT_EQ(again.made, nullptr);
	free(i.made);
	bad.magic = 1;
	list[1] = &bad;
	EXPECT_EQ(image_find(&w, &i), CUDA_ERROR_INVALID_IMAGE);
}

TEST(Image, ElfEndsWithItsLastTable)
{
	Elf64_Ehdr e = {};
	image i;

	memcpy(e.e_ident, ELFMAG, SELFMAG);
	e.e_shoff = 1000;
	e.e_shnum = 3;
	e.e_shentsize = 64;
	ASSERT_EQ(image_find(&e, &i), CUDA_SUCCESS);
	EXPECT_EQ(i.size, 1192u);
}

TEST(Image, FileGetsANul)
{
	char path[] = "/tmp/cuda_image_testXXXXXX";
	int fd = mkstemp(path);
	void *data = nullptr;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(write(fd, "abc", 3), 3);
	close(fd);
	EXPECT_EQ(image_read(path, &data, nullptr), CUDA_SUCCESS);
	EXPECT_STREQ(static_cast<char *>(data), "abc");
	free(data);
	unlink(path);
	EXPECT_EQ(image_read(path, &data, nullptr), CUDA_ERROR_FILE_NOT_FOUND);
	EXPECT_EQ(image_read("/tmp", &data, nullptr), CUDA_ERROR_FILE_NOT_FOUND);
	EXPECT_EQ(image_read(nullptr, &data, nullptr), CUDA_ERROR_INVALID_VALUE);
}

TEST(Jit, LogsAndSizesComeBack)
{
	char info[8] = "x", error[64] = "x";
	CUjit_option opt[] = { CU_JIT_INFO_LOG_BUFFER,	CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
			       CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
			       CU_JIT_WALL_TIME,	CU_JIT_MAX_REGISTERS };
	void *val[] = { info,	 reinterpret_cast<void *>(sizeof(info)),
			error,	 reinterpret_cast<void *>(sizeof(error)),
			nullptr, reinterpret_cast<void *>(32) };
	jit_options jit;
	float ms;

	ASSERT_EQ(jit_parse(6, opt, val, &jit), CUDA_SUCCESS);
	jit_finish(&jit, CUDA_ERROR_INVALID_PTX, "3:1: no such thing");
	EXPECT_STREQ(error, "3:1: no such thing");
	EXPECT_EQ(val[3], reinterpret_cast<void *>(strlen(error)));
	EXPECT_STREQ(info, "");
	EXPECT_EQ(val[1], nullptr);
	memcpy(&ms, &val[4], sizeof(ms));
	EXPECT_GE(ms, 0.f);
	EXPECT_LT(ms, 60000.f);
	EXPECT_EQ(val[5], reinterpret_cast<void *>(32));
}

TEST(Jit, ALongLogIsCut)
{
	char info[8];
	CUjit_option opt[] = { CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES };
	void *val[] = { info, reinterpret_cast<void *>(sizeof(info)) };
	jit_options jit;

	ASSERT_EQ(jit_parse(2, opt, val, &jit), CUDA_SUCCESS);
	jit_finish(&jit, CUDA_SUCCESS, "0123456789");
	EXPECT_STREQ(info, "0123456");
	EXPECT_EQ(val[1], reinterpret_cast<void *>(7));
}

TEST(Jit, WhatIsRefused)
{
	CUjit_option bad[] = { CU_JIT_NUM_OPTIONS }, names[] = { CU_JIT_GLOBAL_SYMBOL_NAMES };
	void *val[] = { nullptr };
	jit_options jit;

	EXPECT_EQ(jit_parse(1, bad, val, &jit), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(jit_parse(1, names, val, &jit), CUDA_ERROR_NOT_SUPPORTED);
	EXPECT_EQ(jit_parse(1, nullptr, nullptr, &jit), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(jit_parse(0, nullptr, nullptr, &jit), CUDA_SUCCESS);
}
