/* SPDX-License-Identifier: MIT */
/* compiler_test.cc - when a worker's compiler is started, and who may open which cache. */
#include "harness.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

extern "C" {
#include "cuse_dev/base/store.h"
}

namespace fs = std::filesystem;

class Compiler : public Protocol {
protected:
	~Compiler() override { fs::remove_all(dir_); }

	/** start() - a worker of @who; what it got. */
	Received start(const struct session_caller &who)
	{
		struct vgpu_ctx_create a = {};
		struct session *s = greeted_as(who);
		struct session_caller saved = me;

		me = who;
		raw(s, VGPU_IOC_CTX_CREATE, &a, sizeof(a), sizeof(a), &answer_);
		me = saved;
		Received init = take_init();
		Received call = take();
		reply(call, -ENOMEM, nullptr, 0);
		spin();
		return init;
	}

	uint32_t mask(const Received &init)
	{
		return reinterpret_cast<const struct wire_init *>(init.payload.data())->fd_mask;
	}

	std::string dir()
	{
		char path[] = "/tmp/vgpu-cache-test-XXXXXX";

		EXPECT_NE(mkdtemp(path), nullptr);
		return dir_ = path;
	}

	std::string dir_;
	Answer answer_;
};

TEST_F(Compiler, ADaemonWithoutOneGivesNothing)
{
	Received init = start(me);

	EXPECT_EQ(mask(init) & (WIRE_FD_COMPILER | WIRE_FD_CACHE), 0u);
}

TEST_F(Compiler, IsStartedByTheFirstWordAndOnce)
{
	char word[8] = "";

	with_compiler("none");
	Received init = start(me);
	ASSERT_EQ(mask(init) & (WIRE_FD_COMPILER | WIRE_FD_CACHE), WIRE_FD_COMPILER);
	EXPECT_EQ(compiler_starts, 0);

	int sock = init.fds.back();
	ASSERT_EQ(::send(sock, "one", 4, 0), 4);
	spin();
	ASSERT_EQ(compiler_starts, 1);
	EXPECT_EQ(compiler_cache, -1);
	ASSERT_EQ(::recv(compiler, word, sizeof(word), MSG_DONTWAIT), 4);
	EXPECT_STREQ(word, "one");

	ASSERT_EQ(::send(sock, "two", 4, 0), 4);
	spin();
	EXPECT_EQ(compiler_starts, 1);
	ASSERT_EQ(::recv(compiler, word, sizeof(word), MSG_DONTWAIT), 4);
	EXPECT_STREQ(word, "two");
	/* and back */
	ASSERT_EQ(::send(compiler, "answer", 7, 0), 7);
	ASSERT_EQ(::recv(sock, word, sizeof(word), MSG_DONTWAIT), 7);
	EXPECT_STREQ(word, "answer");
}

TEST_F(Compiler, AWorkerThatEndsWithoutAWordStartsNothing)
{
	with_compiler("none");
	{
		Received init = start(me);
	}
	spin();
	kill_worker();
	spin();
	EXPECT_EQ(compiler_starts, 0);
}

TEST_F(Compiler, TheWorkerReadsTheCacheAndTheCompilerWritesIt)
{
	struct store *s = nullptr;
	struct store_key key = { { 1, 2 } };
	void *data = nullptr;
	size_t bytes = 0;

	with_compiler(dir());
	Received init = start(me);
	ASSERT_EQ(mask(init) & WIRE_FD_CACHE, WIRE_FD_CACHE);
	int cache = init.fds.back(), sock = init.fds[init.fds.size() - 2];
	EXPECT_EQ(fcntl(cache, F_GETFL) & O_ACCMODE, O_RDONLY);
	ASSERT_EQ(::send(sock, "x", 1, 0), 1);
	spin();
	ASSERT_GE(compiler_cache, 0);
	EXPECT_EQ(fcntl(compiler_cache, F_GETFL) & O_ACCMODE, O_RDWR);

	ASSERT_EQ(store_open(compiler_cache, &s), 0);
	ASSERT_EQ(store_put(s, &key, "object", 7), 0);
	store_close(s);
	ASSERT_EQ(store_open(cache, &s), 0);
	ASSERT_EQ(store_find(s, &key, &data, &bytes), 0);
	EXPECT_STREQ(static_cast<char *>(data), "object");
	EXPECT_NE(store_put(s, &key, "other", 6), 0);
	free(data);
	store_close(s);
}

TEST_F(Compiler, FilesAreTheDaemonsAlone)
{
	struct stat st;

	with_compiler(dir());
	Received init = start(me);
	const std::string user = dir_ + "/" + std::to_string(me.uid);
	ASSERT_EQ(stat(user.c_str(), &st), 0);
	EXPECT_EQ(st.st_mode & 07777, 0700u);
	int files = 0;
	for (const auto &e : fs::directory_iterator(user)) {
		ASSERT_EQ(stat(e.path().c_str(), &st), 0);
		EXPECT_EQ(st.st_mode & 07777, 0600u) << e.path();
		EXPECT_EQ(st.st_size, 4 << 20);
		files++;
	}
	EXPECT_EQ(files, 1);
}

TEST_F(Compiler, UsersShareNothing)
{
	struct session_caller other = me;
	Process process;
	struct stat a, b;

	with_compiler(dir());
	Received mine = start(me);
	other.tid = process.pid();
	other.uid = me.uid + 1;
	Received theirs = start(other);
	ASSERT_EQ(fstat(mine.fds.back(), &a), 0);
	ASSERT_EQ(fstat(theirs.fds.back(), &b), 0);
	EXPECT_NE(a.st_ino, b.st_ino);
}

TEST_F(Compiler, ABrokenFileIsMadeAnewAndOldOnesGo)
{
	struct store *s = nullptr;
	std::string path;

	with_compiler(dir());
	{
		Received init = start(me);
	}
	const std::string user = dir_ + "/" + std::to_string(me.uid);
	for (const auto &e : fs::directory_iterator(user))
		path = e.path();
	ASSERT_EQ(truncate(path.c_str(), 100), 0);
	int old = ::open((user + "/kernels-0123").c_str(), O_CREAT | O_WRONLY, 0600);
	close(old);
	Process process;
	struct session_caller other = me;
	other.tid = process.pid();
	Received init = start(other);
	ASSERT_EQ(mask(init) & WIRE_FD_CACHE, WIRE_FD_CACHE);
	ASSERT_EQ(store_open(init.fds.back(), &s), 0);
	store_close(s);
	EXPECT_FALSE(fs::exists(user + "/kernels-0123"));
}

TEST_F(Compiler, ADirectoryThatCannotBeMadeIsNoCache)
{
	with_compiler("/proc/no/such/place");
	Received init = start(me);
	EXPECT_EQ(mask(init) & (WIRE_FD_COMPILER | WIRE_FD_CACHE), WIRE_FD_COMPILER);
}
