/* SPDX-License-Identifier: MIT */
/* session_config_test.cc - the configuration file and --device: what is read, what is refused and
 * how. */
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <unistd.h>

extern "C" {
#include "cuse_dev/session/config.h"
}

class Config : public ::testing::Test {
protected:
	void SetUp() override
	{
		log_init("test", LOG_L_INFO);
		config_init(&c);
	}
	/* read() - the result; what was logged is in log. */
	int read(const std::string &text)
	{
		char path[] = "/tmp/vgpu-config-XXXXXX";
		int fd = mkstemp(path), r;

		EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
		close(fd);
		testing::internal::CaptureStderr();
		r = config_read(&c, path, false);
		if (!r)
			r = config_complete(&c);
		log = testing::internal::GetCapturedStderr();
		unlink(path);
		return r;
	}
	int device(const char *text)
	{
		testing::internal::CaptureStderr();
		int r = config_add_device(&c, text);

		if (!r)
			r = config_complete(&c);
		log = testing::internal::GetCapturedStderr();
		return r;
	}
	bool said(const char *text) { return log.find(text) != std::string::npos; }

	struct config c;
	std::string log;
};

TEST_F(Config, NothingGivesTheDefaults)
{
	ASSERT_EQ(read(""), 0) << log;
	EXPECT_EQ(c.door, CONFIG_DOOR_AUTO);
	EXPECT_EQ(c.overcommit, CONFIG_LAZY);
	EXPECT_STREQ(c.node_dir, "/dev");
	EXPECT_STREQ(c.run_dir, "/run/vgpu");
	EXPECT_STREQ(c.compiler, "");
	EXPECT_STREQ(c.cache_dir, "/var/cache/vgpu-cuse");
	EXPECT_EQ(c.cache_size, 256ull << 20);
	ASSERT_EQ(c.device_count, 1u);
	EXPECT_STREQ(c.device[0].profile, "H100-80GB");
	EXPECT_EQ(c.device[0].mode, 0666u);
	EXPECT_EQ(c.device[0].memory, 0u);
}

TEST_F(Config, TheInstalledFileIsTheDefaults)
{
	std::string path = __FILE__;
	int r;

	path.resize(path.rfind("/tests/"));
	testing::internal::CaptureStderr();
	r = config_read(&c, (path + "/cuse_dev/vgpu.conf").c_str(), false);
	log = testing::internal::GetCapturedStderr();
	EXPECT_EQ(r, 0) << log;
	EXPECT_EQ(c.device_count, 1u);
}

TEST_F(Config, EveryKey)
{
	ASSERT_EQ(
		read("[daemon]\ndoor = fuse\nlog_level = debug\novercommit = strict\nthreads = 3\n"
		     "worker = /x/w\nuser = nobody\nnode_dir = /n\nrun_dir = /r\ncompiler = none\n"
		     "compiler_memory = 1G\ncompiler_threads = 5\ncache_dir = /c\ncache_size = 2M\n"
		     "[device 0]\nprofile = T4\nmemory = 4G\nmode = 0660\ngroup = 44\n"
		     "allow_uid = 1, 2 root\nallow_gid = 7\nquota_memory_per_uid = 512M\n"
		     "quota_clients_per_uid = 9\nlibrary_cc = 12.1\nlibrary_sonames = liba,libb\n"
		     "[device 1]\nprofile = L4\n"),
		0)
		<< log;
	EXPECT_EQ(c.door, CONFIG_DOOR_FUSE);
	EXPECT_EQ(c.log_level, LOG_L_DEBUG);
	EXPECT_EQ(c.overcommit, CONFIG_STRICT);
	EXPECT_EQ(c.threads, 3u);
	EXPECT_STREQ(c.worker, "/x/w");
	EXPECT_STREQ(c.user, "nobody");
	EXPECT_STREQ(c.node_dir, "/n");
	EXPECT_STREQ(c.run_dir, "/r");
	EXPECT_STREQ(c.compiler, "none");
	EXPECT_EQ(c.compiler_memory, 1ull << 30);
	EXPECT_EQ(c.compiler_threads, 5u);
	EXPECT_STREQ(c.cache_dir, "/c");
	EXPECT_EQ(c.cache_size, 2ull << 20);
	ASSERT_EQ(c.device_count, 2u);
	EXPECT_EQ(c.device[0].memory, 4ull << 30);
	EXPECT_EQ(c.device[0].mode, 0660u);
	EXPECT_EQ(c.device[0].group, 44u);
	ASSERT_EQ(c.device[0].allow_uids, 3u);
	EXPECT_EQ(c.device[0].allow_uid[1], 2u);
	EXPECT_EQ(c.device[0].allow_uid[2], 0u);
	EXPECT_EQ(c.device[0].allow_gids, 1u);
	EXPECT_EQ(c.device[0].quota_memory, 512ull << 20);
	EXPECT_EQ(c.device[0].quota_clients, 9u);
	EXPECT_EQ(c.device[0].library_cc, 121u);
	EXPECT_STREQ(c.device[0].library_sonames, "liba,libb");
	EXPECT_STREQ(c.device[1].profile, "L4");
}

struct Bad {
	const char *text, *says;
};

class ConfigBad : public Config, public ::testing::WithParamInterface<Bad> {};

TEST_P(ConfigBad, IsRefusedByName)
{
	EXPECT_EQ(read(GetParam().text), -EINVAL);
	EXPECT_TRUE(said(GetParam().says)) << log;
}

static const Bad bad[] = {
	{ "[daemon]\ndoor = back\n", "\"back\"" },
	{ "[daemon]\nwindow = 1\n", "\"window\"" },
	{ "[daemon]\nlog_level = loud\n", "\"loud\"" },
	{ "[daemon]\novercommit = maybe\n", "\"maybe\"" },
	{ "[daemon]\nthreads = -1\n", "\"-1\"" },
	{ "[daemon]\nworker = here\n", "\"here\"" },
	{ "[daemon]\ncompiler = cc\n", "\"cc\"" },
	{ "[daemon]\ncompiler_threads = 0\n", "1 to 64" },
	{ "[daemon]\ncompiler_threads = 65\n", "1 to 64" },
	{ "[daemon]\ncompiler_memory = 100M\n", "at least 512M" },
	{ "[daemon]\ncache_dir = here\n", "\"here\"" },
	{ "[daemon]\ncache_size = 1023K\n", "1M to 64G" },
	{ "[daemon]\ncache_size = 65G\n", "1M to 64G" },
	{ "[demon]\ndoor = fuse\n", "[demon]" },
	{ "[device]\nprofile = T4\n", "[device]" },
	{ "[device 16]\nprofile = T4\n", "[device 16]" },
	{ "[device 1]\nprofile = T4\n", "[device 1] before [device 0]" },
	{ "[device 0]\nprofile = T5\n", "\"T5\"" },
	{ "[device 0]\nmemory = 12Q\n", "\"12Q\"" },
	{ "[device 0]\nmemory = 63M\n", "64M to 256G" },
	{ "[device 0]\nmemory = 257G\n", "64M to 256G" },
	{ "[device 0]\nmemory = 99999999999T\n", "\"99999999999T\"" },
	{ "[device 0]\nmode = 0888\n", "\"0888\"" },
	{ "[device 0]\nmode = 1777\n", "\"1777\"" },
	{ "[device 0]\ngroup = no-such-group\n", "no-such-group" },
	{ "[device 0]\nallow_uid = root no-such-user\n", "no-such-user" },
	{ "[device 0]\nlibrary_cc = 13\n", "\"13\"" },
	{ "what is this\n", ":1: neither" },
};

INSTANTIATE_TEST_SUITE_P(Values, ConfigBad, ::testing::ValuesIn(bad));

TEST_F(Config, MistakesAreSaidWithTheirLine)
{
	EXPECT_EQ(read("# one\n\n[daemon]\ndoor = back\n[device 0]\nprofile = T4\nmode = 9\n"),
		  -EINVAL);
	EXPECT_TRUE(said(":4: [daemon]: door = \"back\"")) << log;
	EXPECT_TRUE(said(":7: [device 0]: mode = \"9\"")) << log;
}

TEST_F(Config, ALineIsTakenWholeOrRefused)
{
	std::string sonames = "[device 0]\nmode = 0660\nlibrary_sonames = lib", fits = sonames;

	fits.append(199 - strlen("library_sonames = lib"), 'x');
	EXPECT_EQ(read((fits + "\n").c_str()), 0) << log;
	EXPECT_EQ(strlen(c.device[0].library_sonames), 199 - strlen("library_sonames = "));
	config_init(&c);
	/* The rest of it, taken for a line, would set a key. */
	sonames.append(199 - strlen("library_sonames = lib"), 'x');
	EXPECT_EQ(read((sonames + "mode = 0600\n").c_str()), -EINVAL);
	EXPECT_TRUE(said(":3: longer than 199 bytes")) << log;
	EXPECT_EQ(c.device[0].mode, 0660u);
}

TEST_F(Config, ListsMayGoOn)
{
	ASSERT_EQ(read("[device 0]\nallow_uid = 1, 2\n  3\nlibrary_sonames = liba,\n  libb\n"), 0)
		<< log;
	ASSERT_EQ(c.device[0].allow_uids, 3u);
	EXPECT_EQ(c.device[0].allow_uid[2], 3u);
	EXPECT_STREQ(c.device[0].library_sonames, "liba,libb");
}

TEST_F(Config, ADirectoryIsNoFile)
{
	testing::internal::CaptureStderr();
	EXPECT_EQ(config_read(&c, "/tmp", true), -EINVAL);
	EXPECT_NE(testing::internal::GetCapturedStderr().find("/tmp: Is a directory"),
		  std::string::npos);
}

TEST_F(Config, AllMistakesAreSaidAtOnce)
{
	EXPECT_EQ(read("[daemon]\ndoor = back\nthreads = x\n"), -EINVAL);
	EXPECT_TRUE(said("\"back\"")) << log;
	EXPECT_TRUE(said("\"x\"")) << log;
}

TEST_F(Config, MissingFile)
{
	testing::internal::CaptureStderr();
	EXPECT_EQ(config_read(&c, "/nowhere/vgpu.conf", true), 0);
	EXPECT_EQ(config_read(&c, "/nowhere/vgpu.conf", false), -EINVAL);
	EXPECT_NE(testing::internal::GetCapturedStderr().find("/nowhere/vgpu.conf"),
		  std::string::npos);
}

TEST_F(Config, DeviceOnTheCommandLine)
{
	ASSERT_EQ(device("a100-80gb,memory=1G,mode=600"), 0) << log;
	EXPECT_EQ(c.device[0].memory, 1ull << 30);
	EXPECT_EQ(c.device[0].mode, 0600u);
	EXPECT_EQ(device("T4,color=red"), -EINVAL);
	EXPECT_TRUE(said("\"color\"")) << log;
	EXPECT_EQ(device("T4,memory"), -EINVAL);
	EXPECT_TRUE(said("\"memory\"")) << log;
	EXPECT_EQ(c.device_count, 1u);
}

TEST_F(Config, AsManyDevicesAsThereMayBe)
{
	for (int i = 0; i < VGPU_MAX_DEVICES; i++)
		ASSERT_EQ(device("T4"), 0);
	EXPECT_EQ(device("T4"), -EINVAL);
}

TEST_F(Config, ListsOfUsersHaveALimit)
{
	std::string ids;

	for (int i = 0; i < CONFIG_MAX_IDS; i++)
		ids += std::to_string(i) + " ";
	EXPECT_EQ(read("[device 0]\nallow_gid = " + ids + "\n"), 0) << log;
	config_init(&c);
	EXPECT_EQ(read("[device 0]\nallow_gid = " + ids + "99\n"), -EINVAL);
}

TEST(ConfigSize, Suffixes)
{
	uint64_t n = 7;

	EXPECT_EQ(config_size("4096", &n), 0);
	EXPECT_EQ(n, 4096u);
	EXPECT_EQ(config_size("3K", &n), 0);
	EXPECT_EQ(n, 3072u);
	EXPECT_EQ(config_size("2GiB", &n), 0);
	EXPECT_EQ(n, 2ull << 30);
	EXPECT_EQ(config_size("16777215T", &n), 0);
	EXPECT_EQ(config_size("16777216T", &n), -EINVAL);
	for (const char *text :
	     { "", "G", "-1", "1X", "1GG", " 1", "1.5G", "99999999999999999999" })
		EXPECT_EQ(config_size(text, &n), -EINVAL) << text;
}
