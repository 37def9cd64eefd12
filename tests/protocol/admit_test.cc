/* SPDX-License-Identifier: MIT */
/* admit_test.cc - one refused input each: number, magic, direction, size, tail, pads, order. */
#include "harness.h"

#include <cerrno>

using Admit = Protocol;

static uint32_t sized(uint32_t nr, uint32_t bytes)
{
	return _IOC(_IOC_READ | _IOC_WRITE, VGPU_IOC_TYPE, nr, bytes);
}

TEST_F(Admit, WrongTypeIsNotty)
{
	struct vgpu_mem_info m = {};

	EXPECT_EQ(call(greeted(), _IOWR('W', VGPU_OP_MEM_INFO, struct vgpu_mem_info), &m), ENOTTY);
}

TEST_F(Admit, UnknownNumberIsNotty)
{
	struct vgpu_mem_info m = {};
	struct session *s = greeted();

	EXPECT_EQ(call(s, sized(0x0f, sizeof(m)), &m), ENOTTY);
	EXPECT_EQ(call(s, sized(0xff, sizeof(m)), &m), ENOTTY);
}

TEST_F(Admit, UnknownNumberIsNottyBeforeHello)
{
	struct vgpu_mem_info m = {};

	EXPECT_EQ(call(open(), sized(0x0f, sizeof(m)), &m), ENOTTY);
}

TEST_F(Admit, WrongDirectionIsInvalid)
{
	struct vgpu_mem_info m = {};
	Answer a;

	raw(greeted(), _IOR('V', VGPU_OP_MEM_INFO, struct vgpu_mem_info), &m, 0, sizeof(m), &a);
	EXPECT_EQ(a.error, EINVAL);
}

TEST_F(Admit, SizesThatContradictTheCommandAreInvalid)
{
	struct vgpu_mem_info m = {};
	struct session *s = greeted();
	Answer a;

	raw(s, VGPU_IOC_MEM_INFO, &m, sizeof(m) - 1, sizeof(m), &a);
	EXPECT_EQ(a.error, EINVAL);
	raw(s, VGPU_IOC_MEM_INFO, &m, sizeof(m), sizeof(m) + 1, &a);
	EXPECT_EQ(a.error, EINVAL);
}

TEST_F(Admit, ShortStructIsZeroExtendedAndAnsweredShort)
{
	unsigned char first[8] = {};
	Answer a;

	raw(greeted(), sized(VGPU_OP_MEM_INFO, 8), first, 8, 8, &a);
	EXPECT_EQ(a.error, 0);
	ASSERT_EQ(a.bytes.size(), 8u);
	uint64_t total;
	memcpy(&total, a.bytes.data(), 8);
	EXPECT_GT(total, 0u);
}

TEST_F(Admit, EmptyStructIsAllZero)
{
	Answer a;

	raw(greeted(), sized(VGPU_OP_MEM_INFO, 0), nullptr, 0, 0, &a);
	EXPECT_EQ(a.error, 0);
	EXPECT_TRUE(a.bytes.empty());
}

TEST_F(Admit, LongStructWithZeroTailIsAnsweredWithZeroTail)
{
	std::vector<unsigned char> in(sizeof(struct vgpu_mem_info) + 16);
	Answer a;

	raw(greeted(), sized(VGPU_OP_MEM_INFO, static_cast<uint32_t>(in.size())), in.data(),
	    in.size(), in.size(), &a);
	EXPECT_EQ(a.error, 0);
	ASSERT_EQ(a.bytes.size(), in.size());
	for (size_t i = sizeof(struct vgpu_mem_info); i < in.size(); i++)
		EXPECT_EQ(a.bytes[i], 0);
}

TEST_F(Admit, LongStructWithNonZeroTailIsTooBig)
{
	std::vector<unsigned char> in(sizeof(struct vgpu_mem_info) + 16);
	Answer a;

	for (size_t at : { sizeof(struct vgpu_mem_info), in.size() - 1 }) {
		std::fill(in.begin(), in.end(), 0);
		in[at] = 1;
		raw(greeted(), sized(VGPU_OP_MEM_INFO, static_cast<uint32_t>(in.size())), in.data(),
		    in.size(), in.size(), &a);
		EXPECT_EQ(a.error, E2BIG) << at;
	}
}

TEST_F(Admit, LargestPayloadIsAccepted)
{
	std::vector<unsigned char> in(VGPU_MAX_PAYLOAD);
	Answer a;

	raw(greeted(), sized(VGPU_OP_MEM_INFO, VGPU_MAX_PAYLOAD), in.data(), in.size(), in.size(),
	    &a);
	EXPECT_EQ(a.error, 0);
	EXPECT_EQ(a.bytes.size(), in.size());
}

TEST_F(Admit, OneMoreThanTheLargestPayloadContradictsItsCommand)
{
	std::vector<unsigned char> in(VGPU_MAX_PAYLOAD + 1);
	Answer a;

	/* 14 bits of size cannot say it: the number wraps, and the sizes no longer agree. */
	raw(greeted(), sized(VGPU_OP_MEM_INFO, VGPU_MAX_PAYLOAD + 1) & 0x3fffffff, in.data(),
	    in.size(), in.size(), &a);
	EXPECT_TRUE(a.error == EINVAL || a.error == ENOTTY);
}

TEST_F(Admit, EveryOperationNeedsHello)
{
	struct session *s = open();

#define X(nr, NAME, name, where, since)                                                            \
	if (VGPU_OP_##NAME != VGPU_OP_HELLO) {                                                     \
		auto arg = std::make_unique<struct vgpu_##name>();                                 \
		memset(arg.get(), 0, sizeof(*arg));                                                \
		EXPECT_EQ(call(s, VGPU_IOC_##NAME, arg.get()), EPROTO) << #NAME;                   \
	}
	VGPU_OPS(X)
#undef X
}

TEST_F(Admit, HelloTwiceIsAProtocolError)
{
	struct vgpu_hello h = {};

	h.magic = VGPU_MAGIC;
	EXPECT_EQ(call(greeted(), VGPU_IOC_HELLO, &h), EPROTO);
}

TEST_F(Admit, TransferNeedsNoMoreThanTheBounceBuffer)
{
	std::vector<unsigned char> data(WIRE_BOUNCE_BYTES + 1);
	Answer a;

	transfer(greeted(), 0, WIRE_BOUNCE_BYTES + 1, data.data(), &a);
	EXPECT_EQ(a.error, EINVAL);
}

TEST_F(Admit, TransferThatOverflowsIsRefused)
{
	struct vgpu_bulk_base base = { ~0ull };
	struct session *s = greeted();
	char byte[2] = {};
	Answer a;

	transfer(s, ~0ull, 2, byte, &a);
	EXPECT_EQ(a.error, EOVERFLOW);
	EXPECT_EQ(call(s, VGPU_IOC_BULK_BASE, &base), 0);
	transfer(s, 1, 1, byte, &a);
	EXPECT_EQ(a.error, EOVERFLOW);
	EXPECT_EQ(starts, 0) << "a refused transfer started a worker";
}

/* ---- pads and flags: each word that must be zero, one at a time ---------------------------- */

struct Word {
	const char *name;
	uint32_t cmd, size, offset, bit;
};

class AdmitWord : public Protocol, public ::testing::WithParamInterface<Word> {};

TEST_P(AdmitWord, NonZeroIsInvalid)
{
	const Word &w = GetParam();
	std::vector<unsigned char> in(w.size);
	Answer a;

	memcpy(in.data() + w.offset, &w.bit, sizeof(w.bit));
	raw(greeted(), w.cmd, in.data(), in.size(), in.size(), &a);
	EXPECT_EQ(a.error, EINVAL) << w.name;
	EXPECT_EQ(starts, 0);
}

#define WORD(NAME, name, field, bit)                                                               \
	{                                                                                          \
#NAME "_" #field, static_cast < uint32_t>(VGPU_IOC_##NAME),                        \
			sizeof(struct vgpu_##name), offsetof(struct vgpu_##name, field), bit       \
	}

static const Word words[] = {
	WORD(CTX_CREATE, ctx_create, pad, 1),
	WORD(CTX_DESTROY, ctx_destroy, pad, 1),
	WORD(CTX_STATUS, ctx_status, pad, 1u << 31),
	WORD(CTX_LIMIT, ctx_limit, pad, 1),
	WORD(CTX_LIMIT, ctx_limit, set, 2),
	WORD(BLOB_CREATE, blob_create, pad, 1),
	WORD(BLOB_DESTROY, blob_destroy, pad, 1),
	WORD(PHYS_CREATE, phys_create, pad, 1),
	WORD(PHYS_CREATE, phys_create, flags, 1u << 2),
	WORD(PHYS_RELEASE, phys_release, pad, 1),
	WORD(VA_MAP, va_map, pad, 1),
	WORD(HOST_REGISTER, host_register, flags, 1u << 2),
	WORD(HOST_REGISTER, host_register, pad, 1),
	WORD(MODULE_LOAD, module_load, pad, 1),
	WORD(MODULE_LOAD, module_load, pad2, 1),
	WORD(MODULE_LOAD, module_load, flags, 1u << 1),
	WORD(MODULE_UNLOAD, module_unload, pad, 1),
	WORD(MODULE_INFO, module_info, pad, 1),
	WORD(FUNC_GET, func_get, pad, 1),
	WORD(FUNC_SET, func_set, pad, 1),
	WORD(FUNC_OCCUPANCY, func_occupancy, pad, 1),
	WORD(STREAM_CREATE, stream_create, pad, 1),
	WORD(STREAM_DESTROY, stream_destroy, pad, 1),
	WORD(EVENT_QUERY, event_query, pad, 1),
	WORD(HOST_DONE, host_done, pad, 1),
};

INSTANTIATE_TEST_SUITE_P(Words, AdmitWord, ::testing::ValuesIn(words),
			 [](const auto &row) { return std::string(row.param.name); });
