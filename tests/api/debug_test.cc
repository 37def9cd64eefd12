/* SPDX-License-Identifier: MIT */
/* What programs ask when something is wrong: the error log, core dump settings, notifications. */
#include "api/api_test.h"

#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

namespace {

using Debug = Api;

void fail()
{
	CU_IS(cuMemAlloc(nullptr, 1), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Debug, LogFromAnIteratorOn)
{
	CUlogIterator at, end;
	char text[2000];
	size_t n = sizeof(text);

	CU_OK(cuLogsCurrent(&at, 0));
	CU_OK(cuLogsDumpToMemory(&at, text, &n, 0));
	EXPECT_EQ(n, 0u);
	fail();
	n = sizeof(text);
	end = at;
	CU_OK(cuLogsDumpToMemory(&end, text, &n, 0));
	EXPECT_EQ(n, strlen(text));
	EXPECT_NE(strstr(text, "Returning 1 (CUDA_ERROR_INVALID_VALUE) from cuMemAlloc"), nullptr)
		<< text;
	EXPECT_EQ(text[n - 1], '\n');
	EXPECT_EQ(end, at + 1);
	n = sizeof(text);
	CU_OK(cuLogsDumpToMemory(&end, text, &n, 0));
	EXPECT_EQ(n, 0u);
	/* What is no error leaves nothing. */
	CU_IS(cuCtxSynchronize(), CUDA_SUCCESS);
	CU_OK(cuLogsCurrent(&at, 0));
	EXPECT_EQ(at, end);
}

TEST_F(Debug, LogThatDoesNotFit)
{
	CUlogIterator at;
	char text[200];
	size_t n = 10;

	CU_OK(cuLogsCurrent(&at, 0));
	for (int i = 0; i < 5; i++)
		fail();
	CU_IS(cuLogsDumpToMemory(&at, text, &n, 0), CUDA_ERROR_INVALID_VALUE);
	EXPECT_EQ(n, 0u);
	n = sizeof(text);
	CU_OK(cuLogsDumpToMemory(&at, text, &n, 0));
	EXPECT_LT(n, sizeof(text));
	EXPECT_NE(strstr(text, "older messages"), nullptr) << text;
	EXPECT_NE(strstr(text, "cuLogsDumpToMemory"), nullptr) << text; /* the newest one */
}

TEST_F(Debug, LogIsBounded)
{
	std::vector<char> text(100000);
	CUlogIterator at;
	size_t n = text.size();

	CU_OK(cuLogsCurrent(&at, 0));
	for (int i = 0; i < 300; i++)
		fail();
	CU_OK(cuLogsDumpToMemory(&at, text.data(), &n, 0));
	EXPECT_LE(n, 25600u);
	EXPECT_NE(strstr(text.data(), "older messages"), nullptr);
}

TEST_F(Debug, LogIntoAFile)
{
	char path[] = "/tmp/vgpu-log-XXXXXX";
	int fd = mkstemp(path);
	CUlogIterator at;

	ASSERT_GE(fd, 0);
	close(fd);
	CU_OK(cuLogsCurrent(&at, 0));
	fail();
	CU_OK(cuLogsDumpToFile(&at, path, 0));
	std::ifstream in(path);
	std::stringstream all;
	all << in.rdbuf();
	EXPECT_NE(all.str().find("from cuMemAlloc"), std::string::npos) << all.str();
	unlink(path);
	CU_IS(cuLogsDumpToFile(&at, "/nonexistent/x", 0), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLogsDumpToFile(&at, path, 1), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuLogsDumpToFile(&at, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
}

struct Heard {
	int errors = 0;
	std::string last;
};

void listen(void *data, CUlogLevel level, char *message, size_t length)
{
	auto h = static_cast<Heard *>(data);

	h->errors += level == CU_LOG_LEVEL_ERROR;
	h->last.assign(message, length);
}

TEST_F(Debug, Callbacks)
{
	CUlogsCallbackHandle a, b;
	Heard one, two;

	CU_OK(cuLogsRegisterCallback(listen, &one, &a));
	CU_OK(cuLogsRegisterCallback(listen, &two, &b));
	fail();
	EXPECT_EQ(one.errors, 1);
	EXPECT_EQ(two.errors, 1);
	EXPECT_NE(one.last.find("cuMemAlloc"), std::string::npos);
	CU_OK(cuLogsUnregisterCallback(a));
	fail();
	EXPECT_EQ(one.errors, 1);
	EXPECT_EQ(two.errors, 2);
	CU_IS(cuLogsUnregisterCallback(a), CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuLogsUnregisterCallback(b));
	CU_IS(cuLogsRegisterCallback(nullptr, nullptr, &a), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Debug, CoreDumpSettings)
{
	char name[1024];
	bool on = true, off = false;
	size_t n = 0;
	int flags = 0;

	CU_OK(cuCoredumpGetAttribute(CU_COREDUMP_ENABLE_ON_EXCEPTION, nullptr, &n));
	EXPECT_EQ(n, sizeof(bool));
	CU_OK(cuCoredumpGetAttribute(CU_COREDUMP_ENABLE_ON_EXCEPTION, &on, &n));
	EXPECT_FALSE(on);
	n = sizeof(name);
	CU_OK(cuCoredumpGetAttributeGlobal(CU_COREDUMP_FILE, name, &n));
	EXPECT_EQ(strncmp(name, "core.cuda.", 10), 0) << name;
	strcpy(name, "here");
	n = 5;
	CU_OK(cuCoredumpSetAttributeGlobal(CU_COREDUMP_FILE, name, &n));
	n = sizeof(name);
	CU_OK(cuCoredumpGetAttribute(CU_COREDUMP_FILE, name, &n));
	EXPECT_STREQ(name, "here");
	n = sizeof(flags);
	flags = CU_COREDUMP_SKIP_ABORT;
	CU_OK(cuCoredumpSetAttribute(CU_COREDUMP_GENERATION_FLAGS, &flags, &n));
	flags = 1 << 30;
	CU_IS(cuCoredumpSetAttribute(CU_COREDUMP_GENERATION_FLAGS, &flags, &n),
	      CUDA_ERROR_INVALID_VALUE);
	CU_OK(cuCoredumpGetAttribute(CU_COREDUMP_GENERATION_FLAGS, &flags, &n));
	EXPECT_EQ(flags, CU_COREDUMP_SKIP_ABORT);
	/* None would be written. */
	on = true;
	n = sizeof(on);
	CU_IS(cuCoredumpSetAttributeGlobal(CU_COREDUMP_ENABLE_ON_EXCEPTION, &on, &n),
	      CUDA_ERROR_NOT_SUPPORTED);
	CU_OK(cuCoredumpSetAttributeGlobal(CU_COREDUMP_ENABLE_ON_EXCEPTION, &off, &n));
	n = 0;
	CU_IS(cuCoredumpGetAttributeGlobal(CU_COREDUMP_TRIGGER_HOST, &on, &n),
	      CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuCoredumpGetAttributeGlobal(static_cast<CUcoredumpSettings>(99), nullptr, &n),
	      CUDA_ERROR_INVALID_VALUE);
}

TEST_F(Debug, Notifications)
{
	CUasyncCallbackHandle h;
	auto fn = [](CUasyncNotificationInfo *, void *, CUasyncCallbackHandle) {};

	CU_OK(cuDeviceRegisterAsyncNotification(dev, fn, nullptr, &h));
	CU_IS(cuDeviceUnregisterAsyncNotification(99, h), CUDA_ERROR_INVALID_DEVICE);
	CU_OK(cuDeviceUnregisterAsyncNotification(dev, h));
	CU_IS(cuDeviceUnregisterAsyncNotification(dev, h), CUDA_ERROR_INVALID_VALUE);
	CU_IS(cuDeviceRegisterAsyncNotification(dev, nullptr, nullptr, &h),
	      CUDA_ERROR_INVALID_VALUE);
}

} // namespace
