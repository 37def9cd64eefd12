/* SPDX-License-Identifier: MIT */
/* Who asks for the compute capability: programs see the card's, NVIDIA's libraries 13.0. */
#include "api/api_test.h"

#include <dlfcn.h>
#include <libgen.h>
#include <string>
#include <unistd.h>

namespace {

int cc_seen_by(const char *library, CUdevice dev)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return -1;
	self[n] = 0;

	std::string path = std::string(dirname(self)) + "/" + library;
	void *handle = dlopen(path.c_str(), RTLD_NOW);

	if (!handle) {
		ADD_FAILURE() << dlerror();
		return -1;
	}
	auto ask = reinterpret_cast<int (*)(CUdevice)>(dlsym(handle, "caller_library_cc"));
	int cc = ask ? ask(dev) : -1;

	dlclose(handle);
	return cc;
}

TEST(Caller, LibrariesSeeAnotherCapability)
{
	CUdevice dev;
	int major;

	CU_OK(cuInit(0));
	CU_OK(cuDeviceGet(&dev, 0));
	EXPECT_EQ(cc_seen_by("libcublas_caller.so", dev), 130);
	EXPECT_EQ(cc_seen_by("libplain_caller.so", dev), 90);
	CU_OK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, dev));
	EXPECT_EQ(major, 9);
}

} // namespace
