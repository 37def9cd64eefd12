/* SPDX-License-Identifier: MIT */
/*
 * hashcat_test.cc - Debian's hashcat: NVRTC makes PTX of its sources, cuLink takes it, each mode tests itself on a known
 * hash before it starts, and then finds "abc". A failed self-test ends it, so does a wrong answer.
 */
#include <string.h>

#include "system/root_test.h"

namespace {

const char hashcat[] = "/usr/bin/hashcat";

class Hashcat : public RootTest {
protected:
	void SetUp() override
	{
		RootTest::SetUp();
		if (!IsSkipped())
			enter_root(std::string(SYSTEM_PROGRAMS) + "/hashcat/root", hashcat,
				   "tests/system/fetch_hashcat.sh");
	}

	void crack(const char *mode, const char *hash)
	{
		auto r = in_root({ hashcat, "-m", mode, "-a", "3", "-w", "1", "--potfile-disable",
				   "-o", "/tmp/found", hash, "?l?l?l" },
				 280);
		auto found = prog({ "/bin/cat", root + "/tmp/found" }).run();

		EXPECT_EQ(r->res.code, 0) << r->text();
		EXPECT_NE(strstr(r->res.out, "Finished self-test"), nullptr) << r->text();
		EXPECT_NE(strstr(r->res.out, "Status...........: Cracked"), nullptr) << r->text();
		EXPECT_EQ(std::string(found->res.out), std::string(hash) + ":abc\n") << r->text();
	}
};

} // namespace

TEST_F(Hashcat, ListsTheDevice)
{
	auto r = in_root({ hashcat, "-I" }, 60);

	EXPECT_EQ(r->res.code, 0) << r->text();
	EXPECT_NE(strstr(r->res.out, "Name...........: NVIDIA H100 80GB HBM3"), nullptr)
		<< r->text();
	EXPECT_NE(strstr(r->res.out, "Memory.Total...: 81920 MB"), nullptr) << r->text();
}

TEST_F(Hashcat, Md5)
{
	crack("0", "900150983cd24fb0d6963f7d28e17f72");
}

TEST_F(Hashcat, Sha256)
{
	crack("1400", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
