/* SPDX-License-Identifier: MIT */
/* NVML beside the driver: the same device, the truth about who uses it, and every function exported. */
#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include <nvml.h>

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "api/api_test.h"
#include "api/kernels.h"

#define NV_OK(call)	  ASSERT_EQ(call, NVML_SUCCESS)
#define NV_IS(call, code) EXPECT_EQ(call, code)

namespace {

class Nvml : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		NV_OK(nvmlInit_v2());
		NV_OK(nvmlDeviceGetHandleByIndex_v2(0, &gpu));
	}

	void TearDown() override
	{
		NV_IS(nvmlShutdown(), NVML_SUCCESS);
		Api::TearDown();
	}

	nvmlMemory_v2_t memory()
	{
		nvmlMemory_v2_t m = {};

		m.version = nvmlMemory_v2;
		NV_IS(nvmlDeviceGetMemoryInfo_v2(gpu, &m), NVML_SUCCESS);
		return m;
	}

	/* This process in the list, -1: not there. */
	long long mine()
	{
		nvmlProcessInfo_t infos[64];
		unsigned n = 64;

		NV_IS(nvmlDeviceGetComputeRunningProcesses_v3(gpu, &n, infos), NVML_SUCCESS);
		for (unsigned i = 0; i < n; i++) {
			if (infos[i].pid == static_cast<unsigned>(getpid()))
				return static_cast<long long>(infos[i].usedGpuMemory);
		}
		return -1;
	}

	nvmlDevice_t gpu;
};

typedef nvmlReturn_t (*any_fn)(void *, unsigned long, unsigned long, unsigned long, unsigned long,
			       unsigned long);

nvmlReturn_t ask(const char *name, void *first)
{
	any_fn fn = reinterpret_cast<any_fn>(dlsym(RTLD_DEFAULT, name));

	EXPECT_NE(fn, nullptr) << name;
	return fn ? fn(first, 0, 0, 0, 0, 0) : NVML_SUCCESS;
}

/* Called with null for all that it could write to. */
void refuses(const char *name, void *first)
{
	nvmlReturn_t r;

	if (!strncmp(name, "nvmlDeviceSet", 13) || !strcmp(name, "nvmlDeviceClearCpuAffinity"))
		return; /* they write nothing */
	r = ask(name, first);
	EXPECT_TRUE(r == NVML_ERROR_INVALID_ARGUMENT || r == NVML_ERROR_NOT_SUPPORTED)
		<< name << ": " << r;
}

TEST(NvmlProcess, NothingIsAnsweredBeforeInit)
{
	NV_IS(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
#define NV_INIT(sym, params, args)
#define NV_FN(sym, params, args)   EXPECT_EQ(ask(#sym, nullptr), NVML_ERROR_UNINITIALIZED) << #sym;
#define NV_DEV(sym, params, args)  EXPECT_EQ(ask(#sym, nullptr), NVML_ERROR_UNINITIALIZED) << #sym;
#define NV_WAIT(sym, params, args) EXPECT_EQ(ask(#sym, nullptr), NVML_ERROR_UNINITIALIZED) << #sym;
#define NV_NO(sym)		   EXPECT_EQ(ask(#sym, nullptr), NVML_ERROR_UNINITIALIZED) << #sym;
#include "libcuda/nvml/nvml.def"
}

TEST(NvmlProcess, InitIsCounted)
{
	unsigned n = 0;

	NV_OK(nvmlInitWithFlags(0));
	NV_OK(nvmlInit());
	NV_OK(nvmlShutdown());
	NV_OK(nvmlDeviceGetCount_v2(&n));
	EXPECT_EQ(n, 1u);
	NV_OK(nvmlShutdown());
	NV_IS(nvmlDeviceGetCount_v2(&n), NVML_ERROR_UNINITIALIZED);
	NV_IS(nvmlShutdown(), NVML_ERROR_UNINITIALIZED);
	NV_IS(nvmlInitWithFlags(1u << 31), NVML_ERROR_INVALID_ARGUMENT);
}

TEST(NvmlProcess, WithoutANodeThereIsNoDriver)
{
	std::string dir = getenv("VGPU_NODE_DIR");
	char text[80];

	setenv("VGPU_NODE_DIR", "/nonexistent", 1);
	NV_IS(nvmlInit_v2(), NVML_ERROR_DRIVER_NOT_LOADED);
	NV_IS(nvmlInitWithFlags(NVML_INIT_FLAG_NO_GPUS), NVML_SUCCESS);
	NV_IS(nvmlSystemGetDriverVersion(text, sizeof(text)), NVML_ERROR_DRIVER_NOT_LOADED);
	NV_IS(nvmlShutdown(), NVML_SUCCESS);
	setenv("VGPU_NODE_DIR", dir.c_str(), 1);
}

TEST_F(Nvml, WhatIsNotADeviceIsRefusedEverywhere)
{
	char stranger[64] = {};

#define NV_INIT(sym, params, args)
#define NV_FN(sym, params, args)
#define NV_DEV(sym, params, args)                                                                  \
	EXPECT_EQ(ask(#sym, nullptr), NVML_ERROR_INVALID_ARGUMENT) << #sym;                        \
	EXPECT_EQ(ask(#sym, stranger), NVML_ERROR_INVALID_ARGUMENT) << #sym;                       \
	EXPECT_EQ(ask(#sym, reinterpret_cast<char *>(gpu) + 8), NVML_ERROR_INVALID_ARGUMENT)       \
		<< #sym;
#define NV_WAIT(sym, params, args)
#define NV_NO(sym) EXPECT_EQ(ask(#sym, nullptr), NVML_ERROR_NOT_SUPPORTED) << #sym;
#include "libcuda/nvml/nvml.def"
}

/* Null for whatever is wanted back: an error, never a crash. */
TEST_F(Nvml, NullArgumentsAreRefusedEverywhere)
{
#define NV_INIT(sym, params, args)
#define NV_FN(sym, params, args)  refuses(#sym, nullptr);
#define NV_DEV(sym, params, args) refuses(#sym, gpu);
#define NV_WAIT(sym, params, args)                                                                 \
	EXPECT_EQ(ask(#sym, nullptr), NVML_ERROR_INVALID_ARGUMENT) << #sym;
#define NV_NO(sym)
#include "libcuda/nvml/nvml.def"
}

TEST_F(Nvml, IsTheDeviceThatCudaSees)
{
	char name[96], cuda_name[96], uuid[96], text[96], bus[32];
	nvmlDevice_t same = nullptr;
	nvmlPciInfo_t pci;
	unsigned cores, index = 7, minor = 7;
	int a, b, c, version;
	CUuuid id;

	NV_OK(nvmlDeviceGetName(gpu, name, sizeof(name)));
	CU_OK(cuDeviceGetName(cuda_name, sizeof(cuda_name), dev));
	EXPECT_STREQ(name, cuda_name);
	NV_OK(nvmlDeviceGetUUID(gpu, uuid, sizeof(uuid)));
	CU_OK(cuDeviceGetUuid(&id, dev));
	ASSERT_EQ(strlen(uuid), 40u);
	std::string hex;
	for (char ch : std::string(uuid + 4))
		hex += ch == '-' ? "" : std::string(1, ch);
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(std::stoi(hex.substr(2 * i, 2), nullptr, 16),
			  static_cast<unsigned char>(id.bytes[i]));
	NV_OK(nvmlDeviceGetHandleByUUID(uuid, &same));
	EXPECT_EQ(same, gpu);

	NV_OK(nvmlDeviceGetPciInfo_v3(gpu, &pci));
	CU_OK(cuDeviceGetPCIBusId(bus, sizeof(bus), dev));
	EXPECT_EQ(std::string(pci.busIdLegacy), bus);
	EXPECT_EQ(pci.pciDeviceId & 0xffff, 0x10deu);
	same = nullptr;
	NV_OK(nvmlDeviceGetHandleByPciBusId_v2(bus, &same));
	EXPECT_EQ(same, gpu);
	same = nullptr;
	NV_OK(nvmlDeviceGetHandleByPciBusId_v2(pci.busId, &same));
	EXPECT_EQ(same, gpu);
	NV_IS(nvmlDeviceGetHandleByPciBusId_v2("0000:77:00.0", &same), NVML_ERROR_NOT_FOUND);
	NV_IS(nvmlDeviceGetHandleByPciBusId_v2("elsewhere", &same), NVML_ERROR_INVALID_ARGUMENT);
	NV_IS(nvmlDeviceGetHandleByPciBusId_v2("0000:01:00.0 ", &same),
	      NVML_ERROR_INVALID_ARGUMENT);
	NV_IS(nvmlDeviceGetHandleByUUID("GPU-0", &same), NVML_ERROR_NOT_FOUND);
	NV_IS(nvmlDeviceGetHandleByIndex_v2(1, &same), NVML_ERROR_INVALID_ARGUMENT);

	NV_OK(nvmlDeviceGetCudaComputeCapability(gpu, &a, &b));
	CU_OK(cuDeviceGetAttribute(&c, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, dev));
	EXPECT_EQ(a, c);
	CU_OK(cuDeviceGetAttribute(&c, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, dev));
	EXPECT_EQ(b, c);
	NV_OK(nvmlSystemGetCudaDriverVersion_v2(&version));
	CU_OK(cuDriverGetVersion(&c));
	EXPECT_EQ(version, c);
	NV_OK(nvmlSystemGetDriverVersion(text, sizeof(text)));
	std::string driver = text;
	EXPECT_GE(std::stoi(driver), 570); /* Ollama drops devices of older drivers */
	NV_OK(nvmlSystemGetNVMLVersion(text, sizeof(text)));
	EXPECT_EQ(text, "13." + driver);
	NV_OK(nvmlDeviceGetNumGpuCores(gpu, &cores));
	EXPECT_EQ(cores, 16896u);
	NV_OK(nvmlDeviceGetIndex(gpu, &index));
	NV_OK(nvmlDeviceGetMinorNumber(gpu, &minor));
	EXPECT_EQ(index, 0u);
	EXPECT_EQ(minor, 0u);
}

TEST_F(Nvml, ABufferTooSmallIsSaid)
{
	char text[41] = "untouched";

	NV_IS(nvmlDeviceGetUUID(gpu, text, 40), NVML_ERROR_INSUFFICIENT_SIZE);
	EXPECT_STREQ(text, "untouched");
	NV_IS(nvmlDeviceGetUUID(gpu, text, 41), NVML_SUCCESS);
	NV_IS(nvmlDeviceGetName(gpu, text, 5), NVML_ERROR_INSUFFICIENT_SIZE);
	NV_IS(nvmlSystemGetDriverVersion(text, 3), NVML_ERROR_INSUFFICIENT_SIZE);
}

TEST_F(Nvml, VersionsOfStructsAreChecked)
{
	nvmlMemory_v2_t m = {};
	nvmlTemperature_t t = {};

	NV_IS(nvmlDeviceGetMemoryInfo_v2(gpu, &m), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
	m.version = nvmlMemory_v2 + 1;
	NV_IS(nvmlDeviceGetMemoryInfo_v2(gpu, &m), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
	m.version = nvmlMemory_v2 + (1 << 24);
	NV_IS(nvmlDeviceGetMemoryInfo_v2(gpu, &m), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
	m.version = nvmlMemory_v2;
	NV_IS(nvmlDeviceGetMemoryInfo_v2(gpu, &m), NVML_SUCCESS);
	NV_IS(nvmlDeviceGetTemperatureV(gpu, &t), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
	t.version = nvmlTemperature_v1;
	NV_IS(nvmlDeviceGetTemperatureV(gpu, &t), NVML_SUCCESS);
	EXPECT_GT(t.temperature, 0);
}

TEST_F(Nvml, MemoryIsThatOfTheDriver)
{
	const size_t bytes = 1ull << 30;
	nvmlMemory_v2_t before = memory(), with;
	long long mine_before = mine();
	nvmlMemory_t old;
	size_t free, total;

	CU_OK(cuMemGetInfo(&free, &total));
	EXPECT_EQ(before.total, total);
	EXPECT_EQ(before.free, free);
	EXPECT_EQ(before.total, before.free + before.used + before.reserved);
	EXPECT_GE(mine_before, 0); /* it has a context */

	CUdeviceptr p = alloc(bytes);
	with = memory();
	EXPECT_EQ(with.used - before.used, bytes);
	EXPECT_EQ(before.free - with.free, bytes);
	EXPECT_EQ(mine() - mine_before, static_cast<long long>(bytes));
	NV_OK(nvmlDeviceGetMemoryInfo(gpu, &old));
	EXPECT_EQ(old.total, with.total);
	EXPECT_EQ(old.used, with.used + with.reserved);
	EXPECT_EQ(old.free, with.free);

	CU_OK(cuMemFree(p));
	EXPECT_EQ(memory().used, before.used);
	EXPECT_EQ(mine(), mine_before);
}

TEST_F(Nvml, ProcessListsSayHowManyThereAre)
{
	nvmlProcessInfo_t info = {};
	nvmlProcessInfo_v1_t old = {};
	unsigned n = 0;

	NV_IS(nvmlDeviceGetComputeRunningProcesses_v3(gpu, &n, nullptr),
	      NVML_ERROR_INSUFFICIENT_SIZE);
	EXPECT_EQ(n, 1u);
	NV_OK(nvmlDeviceGetComputeRunningProcesses_v3(gpu, &n, &info));
	EXPECT_EQ(info.pid, static_cast<unsigned>(getpid()));
	EXPECT_EQ(info.gpuInstanceId, 0xffffffffu);
	n = 0;
	NV_IS(nvmlDeviceGetComputeRunningProcesses(gpu, &n, nullptr), NVML_ERROR_INSUFFICIENT_SIZE);
	NV_OK(nvmlDeviceGetComputeRunningProcesses(gpu, &n, &old));
	EXPECT_EQ(old.pid, info.pid);
	EXPECT_EQ(old.usedGpuMemory, info.usedGpuMemory);
	n = 5;
	NV_OK(nvmlDeviceGetGraphicsRunningProcesses_v3(gpu, &n, &info));
	EXPECT_EQ(n, 0u);

	char name[256];
	NV_OK(nvmlSystemGetProcessName(static_cast<unsigned>(getpid()), name, sizeof(name)));
	EXPECT_NE(std::string(name).find("api_nvml_test"), std::string::npos);
	NV_IS(nvmlSystemGetProcessName(0x7ffffff0, name, sizeof(name)), NVML_ERROR_NOT_FOUND);
}

TEST_F(Nvml, ABusyDeviceIsBusy)
{
	unsigned idle_power, power, clock, count = 64, n;
	unsigned long long idle_energy, energy;
	nvmlProcessUtilizationSample_t busy[64];
	nvmlValueType_t type;
	nvmlSample_t samples[256] = {};
	nvmlUtilization_t util;
	CUmodule mod;
	CUfunction spin;
	CUstream work, side;
	CUdeviceptr flag = alloc(4);
	void *args[] = { &flag };

	NV_OK(nvmlDeviceGetPowerUsage(gpu, &idle_power));
	NV_OK(nvmlDeviceGetTotalEnergyConsumption(gpu, &idle_energy));
	CU_OK(cuModuleLoadData(&mod, kernels_ptx));
	CU_OK(cuModuleGetFunction(&spin, mod, "spin"));
	CU_OK(cuMemsetD32(flag, 0, 1));
	CU_OK(cuStreamCreate(&work, CU_STREAM_NON_BLOCKING));
	CU_OK(cuStreamCreate(&side, CU_STREAM_NON_BLOCKING));
	CU_OK(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, work, args, nullptr));
	/* Utilisation is that of a second: until all of one is behind. */
	util.gpu = 0;
	for (int i = 0; i < 100 && util.gpu < 95; i++) {
		std::this_thread::sleep_for(std::chrono::milliseconds(50));
		NV_IS(nvmlDeviceGetUtilizationRates(gpu, &util), NVML_SUCCESS);
	}
	EXPECT_GE(util.gpu, 95u);
	EXPECT_LE(util.gpu, 100u);
	NV_IS(nvmlDeviceGetPowerUsage(gpu, &power), NVML_SUCCESS);
	NV_IS(nvmlDeviceGetTotalEnergyConsumption(gpu, &energy), NVML_SUCCESS);
	NV_IS(nvmlDeviceGetClockInfo(gpu, NVML_CLOCK_SM, &clock), NVML_SUCCESS);
	NV_IS(nvmlDeviceGetMaxClockInfo(gpu, NVML_CLOCK_SM, &n), NVML_SUCCESS);
	EXPECT_GT(power, idle_power + 100000);
	EXPECT_GT(energy, idle_energy);
	EXPECT_EQ(clock, n);
	NV_IS(nvmlDeviceGetProcessUtilization(gpu, busy, &count, 0), NVML_SUCCESS);
	EXPECT_EQ(count, 1u);
	EXPECT_EQ(busy[0].pid, static_cast<unsigned>(getpid()));
	EXPECT_GE(busy[0].smUtil, 90u);
	n = 0;
	NV_IS(nvmlDeviceGetSamples(gpu, NVML_GPU_UTILIZATION_SAMPLES, 0, &type, &n, nullptr),
	      NVML_SUCCESS);
	ASSERT_LE(n, 256u);
	NV_IS(nvmlDeviceGetSamples(gpu, NVML_GPU_UTILIZATION_SAMPLES, 0, &type, &n, samples),
	      NVML_SUCCESS);
	EXPECT_GT(n, 0u);
	EXPECT_EQ(type, NVML_VALUE_TYPE_UNSIGNED_INT);
	EXPECT_GE(samples[n ? n - 1 : 0].sampleValue.uiVal, 95u);
	CU_OK(cuMemsetD32Async(flag, 1, 1, side));
	CU_OK(cuStreamSynchronize(work));
	/* And idle again, a second later. */
	for (int i = 0; i < 100 && util.gpu; i++) {
		std::this_thread::sleep_for(std::chrono::milliseconds(50));
		NV_IS(nvmlDeviceGetUtilizationRates(gpu, &util), NVML_SUCCESS);
	}
	EXPECT_EQ(util.gpu, 0u);
	CU_OK(cuStreamDestroy(work));
	CU_OK(cuStreamDestroy(side));
	CU_OK(cuModuleUnload(mod));
	CU_OK(cuMemFree(flag));
}

/* What happened between two samples, whatever was before and will be after. */
TEST_F(Nvml, GpmMeasuresBetweenSamples)
{
	static nvmlGpmMetricsGet_t get;
	nvmlGpmSupport_t support = { NVML_GPM_SUPPORT_VERSION, 0 };
	nvmlGpmSample_t s[3] = {};
	const size_t bytes = 8 << 20;
	CUdeviceptr p = alloc(bytes);
	CUmodule mod;
	CUfunction spin;
	CUstream work;
	void *args[] = { &p }, *host;

	NV_OK(nvmlGpmQueryDeviceSupport(gpu, &support));
	EXPECT_EQ(support.isSupportedDevice, 1u);
	for (auto &sample : s)
		NV_OK(nvmlGpmSampleAlloc(&sample));
	get.version = NVML_GPM_METRICS_GET_VERSION;
	get.numMetrics = 4;
	get.metrics[0].metricId = NVML_GPM_METRIC_SM_UTIL;
	get.metrics[1].metricId = NVML_GPM_METRIC_PCIE_RX_PER_SEC;
	get.metrics[2].metricId = NVML_GPM_METRIC_PCIE_TX_PER_SEC;
	get.metrics[3].metricId = NVML_GPM_METRIC_SM_OCCUPANCY;
	get.sample1 = s[0];
	get.sample2 = s[1];
	NV_IS(nvmlGpmMetricsGet(&get), NVML_ERROR_INVALID_ARGUMENT); /* nothing in them */

	CU_OK(cuMemAllocHost(&host, bytes));
	memset(host, 0, bytes);
	CU_OK(cuModuleLoadData(&mod, kernels_ptx));
	CU_OK(cuModuleGetFunction(&spin, mod, "spin"));
	CU_OK(cuStreamCreate(&work, CU_STREAM_NON_BLOCKING));
	CU_OK(cuMemsetD32(p, 0, 1));
	CU_OK(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, work, args, nullptr));
	std::this_thread::sleep_for(std::chrono::milliseconds(100));
	NV_OK(nvmlGpmSampleGet(gpu, s[0]));
	std::this_thread::sleep_for(std::chrono::milliseconds(200));
	NV_OK(nvmlGpmSampleGet(gpu, s[1]));
	NV_OK(nvmlGpmMetricsGet(&get));
	EXPECT_EQ(get.metrics[0].nvmlReturn, NVML_SUCCESS);
	EXPECT_GE(get.metrics[0].value, 95.0);
	EXPECT_LE(get.metrics[0].value, 100.0);
	EXPECT_STREQ(get.metrics[0].metricInfo.unit, "%");
	EXPECT_EQ(get.metrics[1].value, 0.0);
	EXPECT_EQ(get.metrics[3].nvmlReturn, NVML_ERROR_NOT_SUPPORTED);

	CU_OK(cuMemsetD32(p, 1, 1));
	CU_OK(cuStreamSynchronize(work));
	NV_OK(nvmlGpmSampleGet(gpu, s[0]));
	CU_OK(cuMemcpyHtoDAsync(p, host, bytes, work));
	CU_OK(cuStreamSynchronize(work));
	NV_OK(nvmlGpmSampleGet(gpu, s[2]));
	get.sample2 = s[2];
	NV_OK(nvmlGpmMetricsGet(&get));
	EXPECT_EQ(get.metrics[0].value, 0.0); /* no kernel ran */
	/* Without shared pages the client writes the bytes itself; the worker sees no copy. */
	EXPECT_EQ(get.metrics[1].value > 0.0, shared_pages());
	EXPECT_EQ(get.metrics[2].value, 0.0); /* nothing came back */
	get.sample1 = s[2];
	get.sample2 = s[0];
	NV_IS(nvmlGpmMetricsGet(&get), NVML_ERROR_INVALID_ARGUMENT); /* the wrong way round */
	get.version = 0;
	NV_IS(nvmlGpmMetricsGet(&get), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
	for (auto &sample : s)
		NV_OK(nvmlGpmSampleFree(sample));
	CU_OK(cuStreamDestroy(work));
	CU_OK(cuModuleUnload(mod));
	CU_OK(cuMemFreeHost(host));
	CU_OK(cuMemFree(p));
}

TEST_F(Nvml, FabricInfoComesInTwoVersions)
{
	nvmlGpuFabricInfoV_t info = {};
	unsigned char *end =
		reinterpret_cast<unsigned char *>(&info) + sizeof(nvmlGpuFabricInfo_v2_t);

	NV_IS(nvmlDeviceGetGpuFabricInfoV(gpu, &info), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
	info.version = nvmlGpuFabricInfo_v3;
	info.state = 7;
	NV_OK(nvmlDeviceGetGpuFabricInfoV(gpu, &info));
	EXPECT_EQ(info.state, NVML_GPU_FABRIC_STATE_NOT_SUPPORTED);
	memset(&info, 0x55, sizeof(info));
	info.version = nvmlGpuFabricInfo_v2;
	NV_OK(nvmlDeviceGetGpuFabricInfoV(gpu, &info));
	EXPECT_EQ(info.state, NVML_GPU_FABRIC_STATE_NOT_SUPPORTED);
	/* Nothing is written behind the smaller struct. */
	for (; end < reinterpret_cast<unsigned char *>(&info + 1); end++)
		EXPECT_EQ(*end, 0x55);
}

TEST_F(Nvml, AFaultIsAnXid)
{
	CUcontext lost;
	CUmodule mod;
	CUfunction wild;
	nvmlEventSet_t set;
	nvmlEventData_t data = {};
	unsigned long long types = 0;

	NV_OK(nvmlEventSetCreate(&set));
	NV_OK(nvmlDeviceGetSupportedEventTypes(gpu, &types));
	EXPECT_EQ(types, static_cast<unsigned long long>(nvmlEventTypeXidCriticalError));
	NV_IS(nvmlDeviceRegisterEvents(gpu, nvmlEventTypeDoubleBitEccError, set),
	      NVML_ERROR_NOT_SUPPORTED);
	NV_OK(nvmlDeviceRegisterEvents(gpu, types, set));
	NV_IS(nvmlEventSetWait_v2(set, &data, 10), NVML_ERROR_TIMEOUT);

	CU_OK(cuCtxCreate(&lost, nullptr, 0, dev));
	CU_OK(cuModuleLoadData(&mod, kernels_ptx));
	CU_OK(cuModuleGetFunction(&wild, mod, "wild"));
	CU_OK(cuLaunchKernel(wild, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
	CU_IS(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	NV_OK(nvmlEventSetWait_v2(set, &data, 5000));
	EXPECT_EQ(data.device, gpu);
	EXPECT_EQ(data.eventType, types);
	EXPECT_EQ(data.eventData, 31u); /* "GPU memory page fault" */
	NV_IS(nvmlEventSetWait_v2(set, &data, 10), NVML_ERROR_TIMEOUT);
	CU_OK(cuCtxDestroy(lost));
	CU_OK(cuCtxSetCurrent(ctx));
	NV_OK(nvmlEventSetFree(set));
	NV_IS(nvmlEventSetFree(set), NVML_ERROR_INVALID_ARGUMENT);
	NV_IS(nvmlEventSetWait_v2(set, &data, 0), NVML_ERROR_INVALID_ARGUMENT);
}

TEST_F(Nvml, TheChildOfAForkAsksForItself)
{
	int status = -1;
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		nvmlMemory_t m;
		nvmlProcessInfo_t info = {};
		unsigned n = 1;

		if (nvmlDeviceGetMemoryInfo(gpu, &m) || !m.total)
			_exit(1);
		if (nvmlDeviceGetComputeRunningProcesses_v3(gpu, &n, &info) || n != 1 ||
		    info.pid != static_cast<unsigned>(getppid()))
			_exit(2);
		_exit(nvmlShutdown() ? 3 : 0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_GE(mine(), 0);
}

TEST_F(Nvml, FieldsHaveErrorsOfTheirOwn)
{
	nvmlFieldValue_t v[4] = {};
	unsigned limit, mem;

	v[0].fieldId = NVML_FI_DEV_POWER_CURRENT_LIMIT;
	v[1].fieldId = NVML_FI_DEV_MEMORY_TEMP;
	v[2].fieldId = 100000;
	v[3].fieldId = NVML_FI_DEV_POWER_INSTANT;
	v[3].scopeId = NVML_POWER_SCOPE_MODULE;
	NV_OK(nvmlDeviceGetFieldValues(gpu, 4, v));
	NV_OK(nvmlDeviceGetPowerManagementLimit(gpu, &limit));
	EXPECT_EQ(v[0].nvmlReturn, NVML_SUCCESS);
	EXPECT_EQ(v[0].value.uiVal, limit);
	EXPECT_EQ(v[1].nvmlReturn, NVML_SUCCESS);
	NV_OK(nvmlDeviceGetTemperature(gpu, NVML_TEMPERATURE_GPU, &mem));
	EXPECT_GT(v[1].value.uiVal, mem);
	EXPECT_EQ(v[2].nvmlReturn, NVML_ERROR_NOT_SUPPORTED);
	EXPECT_EQ(v[3].nvmlReturn, NVML_ERROR_NOT_SUPPORTED);
	NV_IS(nvmlDeviceGetFieldValues(gpu, 0, v), NVML_ERROR_INVALID_ARGUMENT);
}

TEST_F(Nvml, SupportedClocksAreListedFromTheHighest)
{
	unsigned memory[8], clocks[512], n = 0, count = 8, max;

	NV_OK(nvmlDeviceGetSupportedMemoryClocks(gpu, &count, memory));
	ASSERT_GE(count, 1u);
	NV_IS(nvmlDeviceGetSupportedGraphicsClocks(gpu, memory[0], &n, nullptr),
	      NVML_ERROR_INSUFFICIENT_SIZE);
	ASSERT_GT(n, 10u);
	ASSERT_LE(n, 512u);
	NV_OK(nvmlDeviceGetSupportedGraphicsClocks(gpu, memory[0], &n, clocks));
	NV_OK(nvmlDeviceGetMaxClockInfo(gpu, NVML_CLOCK_GRAPHICS, &max));
	EXPECT_EQ(clocks[0], max);
	for (unsigned i = 1; i < n; i++)
		EXPECT_LT(clocks[i], clocks[i - 1]);
	NV_IS(nvmlDeviceGetSupportedGraphicsClocks(gpu, 1, &n, clocks), NVML_ERROR_NOT_FOUND);
}

TEST_F(Nvml, SettingsCanOnlyBeWhatTheyAre)
{
	nvmlEnableState_t on;

	NV_OK(nvmlDeviceGetPersistenceMode(gpu, &on));
	EXPECT_EQ(on, NVML_FEATURE_ENABLED);
	NV_IS(nvmlDeviceSetPersistenceMode(gpu, NVML_FEATURE_ENABLED), NVML_SUCCESS);
	NV_IS(nvmlDeviceSetPersistenceMode(gpu, NVML_FEATURE_DISABLED), NVML_ERROR_NOT_SUPPORTED);
	NV_IS(nvmlDeviceSetComputeMode(gpu, NVML_COMPUTEMODE_PROHIBITED), NVML_ERROR_NOT_SUPPORTED);
	NV_IS(nvmlDeviceSetPowerManagementLimit(gpu, 300000), NVML_ERROR_NOT_SUPPORTED);
}

TEST_F(Nvml, TheTableOfNvidiaSmiKnowsProcessesAndRefusesTheRest)
{
	typedef nvmlReturn_t (*get_fn)(const void **, const void *);
	get_fn get = reinterpret_cast<get_fn>(dlsym(RTLD_DEFAULT, "nvmlInternalGetExportTable"));
	static const unsigned char known[16] = { 0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e,
						 0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4 };
	static const unsigned char other[16] = {};
	const void *table = nullptr;

	ASSERT_NE(get, nullptr);
	NV_IS(get(&table, other), NVML_ERROR_NOT_FOUND);
	EXPECT_EQ(table, nullptr);
	NV_OK(get(&table, known));
	EXPECT_GE(*static_cast<const size_t *>(table), 82 * sizeof(void *));
	/* What it lists of processes: as the public list, and with their names. */
	struct {
		nvmlProcessDetail_v1_t process;
		char name[4096];
	} named[2];
	typedef nvmlReturn_t (*list_fn)(nvmlDevice_t, unsigned *, void *);
	auto slot_at = [&](int slot) {
		return reinterpret_cast<list_fn>(
			const_cast<void *>(static_cast<void *const *>(table)[slot]));
	};
	unsigned n = 2;
	static_assert(sizeof(named[0]) == 4128, "as nvidia-smi 535 steps through them");
	NV_OK(slot_at(213)(gpu, &n, named));
	ASSERT_EQ(n, 1u);
	EXPECT_EQ(named[0].process.pid, static_cast<unsigned>(getpid()));
	EXPECT_EQ(static_cast<long long>(named[0].process.usedGpuMemory), mine());
	EXPECT_NE(std::string(named[0].name).find("api_nvml_test"), std::string::npos);
	n = 0;
	NV_IS(slot_at(213)(gpu, &n, named), NVML_ERROR_INSUFFICIENT_SIZE);
	NV_IS(slot_at(213)(nullptr, &n, named), NVML_ERROR_INVALID_ARGUMENT);
	NV_IS(slot_at(213)(gpu, nullptr, named), NVML_ERROR_INVALID_ARGUMENT);
	n = 2;
	NV_OK(slot_at(214)(gpu, &n, named));
	EXPECT_EQ(n, 0u);
	NV_OK(slot_at(72)(gpu, &n, nullptr));
	EXPECT_EQ(n, 1u);
	NV_IS(slot_at(72)(gpu, nullptr, nullptr), NVML_ERROR_INVALID_ARGUMENT);
	for (int slot : { 1, 26, 81 })
		EXPECT_EQ(reinterpret_cast<any_fn>(const_cast<void *>(
				  static_cast<void *const *>(table)[slot]))(nullptr, 0, 0, 0, 0, 0),
			  NVML_ERROR_NOT_SUPPORTED);
}

/* As Ollama does, again and again. */
TEST(NvmlProcess, CanBeLoadedAndUnloaded)
{
	for (int i = 0; i < 20; i++) {
		NV_OK(nvmlInit_v2());
		NV_OK(nvmlShutdown());
	}
}

} // namespace
