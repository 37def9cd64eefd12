/* SPDX-License-Identifier: MIT */
/*
 * Device profiles: every attribute is answered, and the numbers in the table are those of cuda.h.
 */
#include <cuda.h>
#include <gtest/gtest.h>
#include <set>
#include <string>

extern "C" {
#include "cuse_dev/vdev/profile.h"
}

namespace {

constexpr uint64_t kGiB = 1ull << 30;

const struct profile *Find(const char *name)
{
	const struct profile *p = nullptr;

	EXPECT_EQ(0, profile_find(name, &p)) << name;
	return p;
}

/* The names in the table belong to the numbers in the table. */
#define ATTR(nr, NAME, value) static_assert(CU_DEVICE_ATTRIBUTE_##NAME == nr, #NAME);
#define ATTR_BY_CARD(nr, NAME, a, b, c, d, e)                                                      \
	static_assert(CU_DEVICE_ATTRIBUTE_##NAME == nr, #NAME);
#define ATTR_EXPR(nr, NAME, e)	 static_assert(CU_DEVICE_ATTRIBUTE_##NAME == nr, #NAME);
#define ATTR_NOT_BUILT(nr, NAME) static_assert(CU_DEVICE_ATTRIBUTE_##NAME == nr, #NAME);
#include "cuse_dev/vdev/profile.def"

TEST(ProfileAttrs, EveryValueOfTheEnumIsAnswered)
{
	for (uint32_t i = 0; profile_at(i); i++) {
		struct vgpu_device_attrs a;

		profile_attrs(profile_at(i), nullptr, &a);
		for (uint32_t nr = 0; nr < VGPU_MAX_ATTRS; nr++) {
			bool known = a.known[nr / 64] >> (nr % 64) & 1;

			EXPECT_EQ(known, nr >= 1 && nr < CU_DEVICE_ATTRIBUTE_MAX)
				<< profile_at(i)->name << " attribute " << nr;
		}
		EXPECT_EQ(1, a.value[CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING]);
		EXPECT_EQ(1, a.value[CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED]);
		EXPECT_EQ(1,
			  a.value[CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED]);
		EXPECT_EQ(1, a.value[CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH]);
		EXPECT_EQ(0, a.value[CU_DEVICE_ATTRIBUTE_INTEGRATED]);
		EXPECT_EQ(0, a.value[CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED]);
		EXPECT_EQ(0, a.value[CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED]);
		EXPECT_EQ(32, a.value[CU_DEVICE_ATTRIBUTE_WARP_SIZE]);
	}
}

TEST(ProfileAttrs, SpotValues)
{
	struct vgpu_device_attrs a;

	profile_attrs(Find(PROFILE_DEFAULT), nullptr, &a);
	EXPECT_EQ(9, a.value[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR]);
	EXPECT_EQ(0, a.value[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR]);
	EXPECT_EQ(132, a.value[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT]);
	EXPECT_EQ(232448, a.value[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN]);
	EXPECT_EQ(0x233010de, a.value[CU_DEVICE_ATTRIBUTE_GPU_PCI_DEVICE_ID]);
	profile_attrs(Find("a100-80gb"), nullptr, &a);
	EXPECT_EQ(108, a.value[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT]);
	EXPECT_EQ(8, a.value[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR]);
	profile_attrs(Find("L4"), nullptr, &a);
	EXPECT_EQ(1536, a.value[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR]);
	profile_attrs(Find("T4"), nullptr, &a);
	EXPECT_EQ(0, a.value[CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK]);
	EXPECT_EQ(5, a.value[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR]);
	EXPECT_EQ(1, a.value[CU_DEVICE_ATTRIBUTE_ECC_ENABLED]);
	profile_attrs(Find("rtx-5090"), nullptr, &a);
	EXPECT_EQ(12, a.value[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR]);
	EXPECT_EQ(0, a.value[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR]);
	EXPECT_EQ(170, a.value[CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT]);
	EXPECT_EQ(101376, a.value[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN]);
	EXPECT_EQ(1, a.value[CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH]);
	EXPECT_EQ(0, a.value[CU_DEVICE_ATTRIBUTE_ECC_ENABLED]);
}

TEST(ProfileAttrs, PciAddressFollowsTheIndex)
{
	struct profile_override o = {};
	struct vgpu_device_attrs a;

	o.index = 3;
	profile_attrs(Find("L4"), &o, &a);
	EXPECT_EQ(4, a.value[CU_DEVICE_ATTRIBUTE_PCI_BUS_ID]);
	EXPECT_EQ(0, a.value[CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID]);
}

TEST(ProfileInfo, MemoryAndItsOverride)
{
	const struct profile *p = Find(PROFILE_DEFAULT);
	struct profile_override o = {};

	EXPECT_EQ(80 * kGiB, profile_mem_total(p, nullptr));
	EXPECT_EQ(2 * kGiB, profile_mem_reserved(p, nullptr));
	o.mem_total = 8 * kGiB;
	EXPECT_EQ(8 * kGiB, profile_mem_total(p, &o));
	EXPECT_LT(profile_mem_reserved(p, &o), kGiB);
	EXPECT_GT(profile_mem_reserved(p, &o), 0u);
	EXPECT_EQ(0u, profile_mem_reserved(p, &o) % (2u << 20));
	o.mem_reserved = kGiB;
	EXPECT_EQ(kGiB, profile_mem_reserved(p, &o));
}

TEST(ProfileInfo, UuidIsStableAndDiffersByIndex)
{
	std::set<std::string> seen;

	for (uint32_t i = 0; i < VGPU_MAX_DEVICES; i++) {
		struct profile_override o = {};
		struct vgpu_device_info a, b;

		o.index = i;
		ASSERT_EQ(0, profile_info(Find("T4"), &o, &a));
		ASSERT_EQ(0, profile_info(Find("L4"), &o, &b));
		EXPECT_EQ(0, memcmp(a.uuid, b.uuid, 16)) << "the profile does not matter";
		seen.insert(std::string(reinterpret_cast<char *>(a.uuid), 16));
		EXPECT_STREQ("Tesla T4", a.name);
		EXPECT_STREQ("T4", a.profile);
		EXPECT_EQ(1 + i, a.pci_bus);
		EXPECT_EQ(130u, a.library_cc);
		EXPECT_NE(nullptr, strstr(a.library_sonames, "libcublasLt"));
	}
	EXPECT_EQ(static_cast<size_t>(VGPU_MAX_DEVICES), seen.size());
}

TEST(ProfileInfo, UnknownNameIsRefused)
{
	const struct profile *p = nullptr;

	EXPECT_EQ(-ENOENT, profile_find("H100", &p));
	EXPECT_EQ(-ENOENT, profile_find("", &p));
	EXPECT_EQ(nullptr, p);
}

TEST(ProfileBackend, Constants)
{
	struct backend_device d;

	profile_backend(Find(PROFILE_DEFAULT), &d);
	EXPECT_EQ(90u, d.cc);
	EXPECT_EQ(132u, d.sm_count);
	EXPECT_EQ(32u, d.warp_size);
	EXPECT_EQ(1024u, d.max_threads_per_block);
	EXPECT_EQ(49152u, d.max_shared_per_block);
	EXPECT_EQ(232448u, d.max_shared_per_block_optin);
	EXPECT_EQ(1024u, d.reserved_shared_per_block);
	EXPECT_EQ(1980000u, d.clock_khz);
}

uint32_t Occupancy(const char *name, uint32_t threads, uint32_t regs, uint64_t shared)
{
	struct profile_block b = { threads, regs, shared };

	return profile_occupancy(Find(name), &b);
}

/* Results of NVIDIA's occupancy calculator. */
TEST(ProfileOccupancy, Limits)
{
	EXPECT_EQ(8u, Occupancy("H100-80GB", 256, 32, 0));     /* warps */
	EXPECT_EQ(32u, Occupancy("H100-80GB", 32, 16, 0));     /* blocks */
	EXPECT_EQ(2u, Occupancy("H100-80GB", 256, 128, 0));    /* registers */
	EXPECT_EQ(4u, Occupancy("H100-80GB", 256, 16, 49152)); /* shared: 4 * 50176 <= 233472 */
	EXPECT_EQ(1u, Occupancy("H100-80GB", 256, 16, 232448));
	EXPECT_EQ(0u, Occupancy("H100-80GB", 256, 16, 232449));
	EXPECT_EQ(0u, Occupancy("H100-80GB", 1024, 255, 0)); /* too many registers */
	EXPECT_EQ(1u, Occupancy("L4", 1024, 32, 0));
	EXPECT_EQ(1u, Occupancy("T4", 1024, 64, 0));
	EXPECT_EQ(24u, Occupancy("RTX-5090", 32, 16, 0));
	EXPECT_EQ(6u, Occupancy("RTX-5090", 256, 32, 0));
	EXPECT_EQ(0u, Occupancy("RTX-5090", 256, 16, 101377));
	EXPECT_EQ(1u, Occupancy("T4", 64, 32, 65536));
	EXPECT_EQ(0u, Occupancy("T4", 0, 32, 0));
	EXPECT_EQ(0u, Occupancy("T4", 1025, 32, 0));
}

} // namespace
