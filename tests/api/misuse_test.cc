/* SPDX-License-Identifier: MIT */
/*
 * Wrong calls: nothing, freed, foreign, out of range, destroyed, twice. Each answers with the error that the manual
 * documents, changes nothing, and leaves a context that works: so says a copy after each of them.
 *
 * A row is a call and its error. Handles that are "gone" were real and have been destroyed; "foreign" ones are
 * addresses of this program's own memory.
 */
#include "api/api_test.h"
#include "api/kernels.h"

#include <string>

namespace {

class Misuse : public Api {
protected:
	void SetUp() override
	{
		Api::SetUp();
		CU_OK(cuModuleLoadData(&module, kernels_ptx));
		CU_OK(cuModuleGetFunction(&f, module, "saxpy"));
		CU_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		CU_OK(cuEventCreate(&e, CU_EVENT_DEFAULT));
		CU_OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
		CU_OK(cuGraphCreate(&graph, 0));
		CU_OK(cuMemAllocHost(&pinned, 4096));
		p = alloc(BYTES);
		q = alloc(BYTES);
		/* What is gone. */
		CU_OK(cuStreamCreate(&gone_stream, 0));
		CU_OK(cuStreamDestroy(gone_stream));
		CU_OK(cuEventCreate(&gone_event, 0));
		CU_OK(cuEventDestroy(gone_event));
		CU_OK(cuModuleLoadData(&gone_module, kernels_ptx));
		CU_OK(cuModuleGetFunction(&gone_f, gone_module, "saxpy"));
		CU_OK(cuModuleUnload(gone_module));
		CU_OK(cuGraphCreate(&gone_graph, 0));
		CU_OK(cuGraphAddEmptyNode(&gone_node, gone_graph, nullptr, 0));
		CU_OK(cuGraphInstantiate(&gone_exec, gone_graph, 0));
		CU_OK(cuGraphExecDestroy(gone_exec));
		CU_OK(cuGraphDestroy(gone_graph));
		CU_OK(cuCtxCreate(&gone_ctx, nullptr, 0, dev));
		CU_OK(cuCtxDestroy(gone_ctx));
		CU_OK(cuCtxSetCurrent(ctx));
		CU_OK(cuGraphAddEmptyNode(&node, graph, nullptr, 0));
		CU_OK(cuGraphInstantiate(&exec, graph, 0));
		/*
		 * The last one, so that nothing else gets its address, and large: a piece that shares its 2 MiB
		 * with others can still be copied by the worker, which looks at whole units.
		 */
		gone_ptr = alloc(4 << 20);
		CU_OK(cuMemFree(gone_ptr));
	}
	void TearDown() override
	{
		/* Nothing was taken: all that is ours can be given back, once. */
		CU_OK(cuGraphExecDestroy(exec));
		CU_OK(cuGraphDestroy(graph));
		CU_OK(cuEventDestroy(e));
		CU_OK(cuEventDestroy(untimed));
		CU_OK(cuStreamDestroy(s));
		CU_OK(cuModuleUnload(module));
		CU_OK(cuMemFreeHost(pinned));
		CU_OK(cuMemFree(p));
		CU_OK(cuMemFree(q));
		EXPECT_GE(calls, least);
		Api::TearDown();
	}

	/* The context still works. */
	void alive(const char *after)
	{
		uint32_t in = ++beat, out = 0;

		ASSERT_EQ(cuMemcpyHtoD(q, &in, 4), CUDA_SUCCESS) << "after " << after;
		ASSERT_EQ(cuMemcpyDtoH(&out, q, 4), CUDA_SUCCESS) << "after " << after;
		ASSERT_EQ(out, in) << "after " << after;
	}

	void is(CUresult got, CUresult want, const char *call)
	{
		const char *name = "?";

		cuGetErrorName(got, &name);
		EXPECT_EQ(got, want) << call << " answers " << name;
		calls++;
		alive(call);
	}

	static constexpr size_t BYTES = 1 << 20;
	char own[64] = {};
	template <typename T> T foreign() { return reinterpret_cast<T>(own); }
	CUdeviceptr stack() { return reinterpret_cast<CUdeviceptr>(own); }

	CUmodule module, gone_module;
	CUfunction f, gone_f;
	CUstream s, gone_stream;
	CUevent e, untimed, gone_event;
	CUgraph graph, gone_graph;
	CUgraphNode node, gone_node;
	CUgraphExec exec, gone_exec;
	CUcontext gone_ctx;
	void *pinned = nullptr;
	CUdeviceptr p = 0, q = 0, gone_ptr = 0;
	uint32_t beat = 0;
	int calls = 0, least = 0;
};

#define IS(call, error) is(call, CUDA_ERROR_##error, #call)

TEST_F(Misuse, DevicesAndContexts)
{
	CUdevice d;
	CUcontext c;
	CUuuid id;
	char name[8];
	size_t n;
	int v;
	unsigned u;
	float ms;

	least = 40;
	IS(cuInit(1), INVALID_VALUE);
	IS(cuDriverGetVersion(nullptr), INVALID_VALUE);
	IS(cuDeviceGet(nullptr, 0), INVALID_VALUE);
	IS(cuDeviceGet(&d, 99), INVALID_DEVICE);
	IS(cuDeviceGet(&d, -1), INVALID_DEVICE);
	IS(cuDeviceGetCount(nullptr), INVALID_VALUE);
	IS(cuDeviceGetName(nullptr, 8, dev), INVALID_VALUE);
	IS(cuDeviceGetName(name, 8, 99), INVALID_DEVICE);
	IS(cuDeviceGetName(name, 0, dev), INVALID_VALUE);
	IS(cuDeviceGetUuid(nullptr, dev), INVALID_VALUE);
	IS(cuDeviceGetUuid(&id, 99), INVALID_DEVICE);
	IS(cuDeviceTotalMem(nullptr, dev), INVALID_VALUE);
	IS(cuDeviceTotalMem(&n, 99), INVALID_DEVICE);
	IS(cuDeviceGetAttribute(nullptr, CU_DEVICE_ATTRIBUTE_WARP_SIZE, dev), INVALID_VALUE);
	IS(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 99), INVALID_DEVICE);
	IS(cuDeviceGetAttribute(&v, static_cast<CUdevice_attribute>(9999), dev), INVALID_VALUE);
	IS(cuDeviceGetPCIBusId(nullptr, 8, dev), INVALID_VALUE);
	IS(cuDeviceGetByPCIBusId(&d, nullptr), INVALID_VALUE);
	IS(cuDeviceGetByPCIBusId(&d, "ffff:ff:1f.0"), INVALID_DEVICE);
	IS(cuDeviceCanAccessPeer(nullptr, dev, dev), INVALID_VALUE);
	IS(cuDeviceCanAccessPeer(&v, dev, 99), INVALID_DEVICE);
	IS(cuDevicePrimaryCtxRetain(nullptr, dev), INVALID_VALUE);
	IS(cuDevicePrimaryCtxRetain(&c, 99), INVALID_DEVICE);
	IS(cuDevicePrimaryCtxRelease(99), INVALID_DEVICE);
	IS(cuDevicePrimaryCtxSetFlags(dev, 0xffff), INVALID_VALUE);
	IS(cuDevicePrimaryCtxGetState(dev, nullptr, &v), INVALID_VALUE);
	IS(cuCtxCreate(nullptr, nullptr, 0, dev), INVALID_VALUE);
	IS(cuCtxCreate(&c, nullptr, 0xffff, dev), INVALID_VALUE);
	IS(cuCtxCreate(&c, nullptr, 0, 99), INVALID_DEVICE);
	IS(cuCtxDestroy(nullptr), INVALID_CONTEXT);
	IS(cuCtxDestroy(gone_ctx), INVALID_CONTEXT);
	IS(cuCtxDestroy(ctx), INVALID_CONTEXT); /* a primary one */
	IS(cuCtxSetCurrent(foreign<CUcontext>()), INVALID_CONTEXT);
	IS(cuCtxPushCurrent(foreign<CUcontext>()), INVALID_CONTEXT);
	IS(cuCtxPushCurrent(nullptr), INVALID_CONTEXT);
	IS(cuCtxGetCurrent(nullptr), INVALID_VALUE);
	IS(cuCtxGetDevice(nullptr), INVALID_VALUE);
	IS(cuCtxGetFlags(nullptr), INVALID_VALUE);
	IS(cuCtxGetLimit(nullptr, CU_LIMIT_STACK_SIZE), INVALID_VALUE);
	IS(cuCtxGetLimit(&n, static_cast<CUlimit>(999)), INVALID_VALUE);
	IS(cuCtxSetLimit(static_cast<CUlimit>(999), 1), INVALID_VALUE);
	IS(cuCtxGetApiVersion(ctx, nullptr), INVALID_VALUE);
	IS(cuCtxGetApiVersion(foreign<CUcontext>(), &u), INVALID_CONTEXT);
	IS(cuCtxEnablePeerAccess(foreign<CUcontext>(), 0), INVALID_CONTEXT);
	IS(cuCtxEnablePeerAccess(ctx, 0), INVALID_CONTEXT);
	IS(cuCtxEnablePeerAccess(ctx, 1), INVALID_VALUE);
	IS(cuCtxDisablePeerAccess(foreign<CUcontext>()), INVALID_CONTEXT);
	IS(cuEventElapsedTime(&ms, nullptr, nullptr), INVALID_HANDLE);
}

TEST_F(Misuse, WithoutAContext)
{
	CUdeviceptr d;
	CUstream st;
	CUevent ev;
	CUmodule m;

	least = 0;
	CU_OK(cuCtxSetCurrent(nullptr));
	CU_IS(cuMemAlloc(&d, 16), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuMemAllocManaged(&d, 16, CU_MEM_ATTACH_GLOBAL), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuStreamCreate(&st, 0), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuEventCreate(&ev, 0), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuModuleLoadData(&m, kernels_ptx), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuMemsetD8(p, 0, 1), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuCtxGetDevice(&dev), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuStreamSynchronize(nullptr), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuCtxPopCurrent(&ctx), CUDA_ERROR_INVALID_CONTEXT);
	CU_IS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
	      CUDA_ERROR_INVALID_CONTEXT);
	CU_OK(cuDevicePrimaryCtxRetain(&ctx, 0));
	CU_OK(cuDevicePrimaryCtxRelease(0));
	CU_OK(cuCtxSetCurrent(ctx));
}

TEST_F(Misuse, Memory)
{
	CUmemGenericAllocationHandle h;
	CUmemAllocationProp prop = {};
	CUdeviceptr d;
	size_t n, pitch;
	unsigned flags;
	void *v;

	least = 45;
	IS(cuMemAlloc(nullptr, 16), INVALID_VALUE);
	IS(cuMemAlloc(&d, 0), INVALID_VALUE);
	IS(cuMemAlloc(&d, SIZE_MAX), OUT_OF_MEMORY);
	IS(cuMemAlloc(&d, 1ull << 50), OUT_OF_MEMORY);
	IS(cuMemAllocPitch(nullptr, &pitch, 16, 16, 4), INVALID_VALUE);
	IS(cuMemAllocPitch(&d, &pitch, 0, 16, 4), INVALID_VALUE);
	IS(cuMemAllocPitch(&d, &pitch, 16, 16, 3), INVALID_VALUE);
	IS(cuMemAllocManaged(nullptr, 16, CU_MEM_ATTACH_GLOBAL), INVALID_VALUE);
	IS(cuMemAllocManaged(&d, 0, CU_MEM_ATTACH_GLOBAL), INVALID_VALUE);
	IS(cuMemAllocManaged(&d, 16, 9), INVALID_VALUE);
	IS(cuMemFree(gone_ptr), INVALID_VALUE); /* twice */
	IS(cuMemFree(p + 16), INVALID_VALUE);	/* not its start */
	IS(cuMemFree(stack()), INVALID_VALUE);	/* not ours */
	IS(cuMemFree(1), INVALID_VALUE);
	IS(cuMemFree(reinterpret_cast<CUdeviceptr>(pinned)), INVALID_VALUE);
	IS(cuMemFreeHost(nullptr), INVALID_VALUE);
	IS(cuMemFreeHost(own), INVALID_VALUE);
	IS(cuMemFreeHost(reinterpret_cast<void *>(p)), INVALID_VALUE);
	IS(cuMemAllocHost(nullptr, 16), INVALID_VALUE);
	IS(cuMemAllocHost(&v, 0), INVALID_VALUE);
	IS(cuMemHostAlloc(&v, 16, 0xff00), INVALID_VALUE);
	IS(cuMemHostGetDevicePointer(&d, own, 0), INVALID_VALUE);
	IS(cuMemHostGetDevicePointer(nullptr, pinned, 0), INVALID_VALUE);
	IS(cuMemHostGetFlags(&flags, own), INVALID_VALUE);
	IS(cuMemHostRegister(nullptr, 16, 0), INVALID_VALUE);
	IS(cuMemHostRegister(own, 0, 0), INVALID_VALUE);
	IS(cuMemHostRegister(own, 16, 0xff00), INVALID_VALUE);
	IS(cuMemHostUnregister(own), HOST_MEMORY_NOT_REGISTERED);
	IS(cuMemHostUnregister(nullptr), INVALID_VALUE);
	IS(cuMemGetAddressRange(&d, &n, gone_ptr), NOT_FOUND);
	IS(cuMemGetAddressRange(&d, &n, stack()), NOT_FOUND);
	IS(cuMemGetInfo(nullptr, &n), INVALID_VALUE);
	IS(cuPointerGetAttribute(nullptr, CU_POINTER_ATTRIBUTE_CONTEXT, p), INVALID_VALUE);
	IS(cuPointerGetAttribute(&v, CU_POINTER_ATTRIBUTE_CONTEXT, gone_ptr), INVALID_VALUE);
	IS(cuPointerGetAttribute(&v, CU_POINTER_ATTRIBUTE_CONTEXT, stack()), INVALID_VALUE);
	IS(cuPointerGetAttribute(&v, static_cast<CUpointer_attribute>(999), p), INVALID_VALUE);
	IS(cuMemAddressReserve(&d, 1, 0, 0, 0), INVALID_VALUE);
	IS(cuMemAddressReserve(nullptr, 2 << 20, 0, 0, 0), INVALID_VALUE);
	IS(cuMemAddressFree(p, BYTES), INVALID_VALUE);
	IS(cuMemCreate(&h, 1, &prop, 0), INVALID_VALUE);
	IS(cuMemCreate(&h, 2 << 20, nullptr, 0), INVALID_VALUE);
	IS(cuMemRelease(12345), INVALID_VALUE);
	IS(cuMemMap(p, 2 << 20, 0, 12345, 0), INVALID_VALUE);
	IS(cuMemUnmap(p, 2 << 20), INVALID_VALUE);
	IS(cuMemSetAccess(p, 2 << 20, nullptr, 1), INVALID_VALUE);
	IS(cuMemAllocAsync(nullptr, 16, s), INVALID_VALUE);
	IS(cuMemAllocAsync(&d, 0, s), INVALID_VALUE);
	IS(cuMemAllocAsync(&d, 16, gone_stream), INVALID_HANDLE);
	IS(cuMemFreeAsync(gone_ptr, s), INVALID_VALUE);
	IS(cuMemFreeAsync(0, s), INVALID_VALUE);
	IS(cuMemPoolDestroy(nullptr), INVALID_VALUE);
	IS(cuMemPoolTrimTo(foreign<CUmemoryPool>(), 0), INVALID_VALUE);
	IS(cuDeviceSetMemPool(dev, foreign<CUmemoryPool>()), INVALID_VALUE);
	IS(cuIpcCloseMemHandle(p), INVALID_VALUE);
}

TEST_F(Misuse, CopiesAndFills)
{
	CUDA_MEMCPY2D c = {};
	CUDA_MEMCPY3D box = {};

	least = 30;
	IS(cuMemcpyHtoD(0, own, 4), INVALID_VALUE);
	IS(cuMemcpyHtoD(p, nullptr, 4), INVALID_VALUE);
	IS(cuMemcpyHtoD(gone_ptr, own, 4), INVALID_VALUE);
	IS(cuMemcpyHtoD(p + BYTES - 2, own, 4), INVALID_VALUE); /* over its end */
	IS(cuMemcpyHtoD(stack(), own, 4), INVALID_VALUE);	/* no device memory */
	IS(cuMemcpyDtoH(nullptr, p, 4), INVALID_VALUE);
	IS(cuMemcpyDtoH(own, 0, 4), INVALID_VALUE);
	IS(cuMemcpyDtoH(own, gone_ptr, 4), INVALID_VALUE);
	IS(cuMemcpyDtoD(p, gone_ptr, 4), INVALID_VALUE);
	IS(cuMemcpyDtoD(gone_ptr, p, 4), INVALID_VALUE);
	IS(cuMemcpyDtoD(p, q, BYTES + 1), INVALID_VALUE);
	IS(cuMemcpyDtoD(p, q, SIZE_MAX), INVALID_VALUE);
	IS(cuMemcpy(0, p, 4), INVALID_VALUE);
	IS(cuMemcpyAsync(p, 0, 4, s), INVALID_VALUE);
	IS(cuMemcpyAsync(p, q, 4, gone_stream), INVALID_HANDLE);
	IS(cuMemcpyHtoDAsync(p, own, 4, gone_stream), INVALID_HANDLE);
	IS(cuMemcpyDtoHAsync(own, gone_ptr, 4, s), INVALID_VALUE);
	IS(cuMemcpyPeer(p, foreign<CUcontext>(), q, ctx, 4), INVALID_CONTEXT);
	IS(cuMemcpyPeer(p, ctx, q, gone_ctx, 4), INVALID_CONTEXT);
	IS(cuMemsetD8(0, 1, 4), INVALID_VALUE);
	IS(cuMemsetD8(gone_ptr, 1, 4), INVALID_VALUE);
	IS(cuMemsetD8(p + BYTES - 1, 1, 2), INVALID_VALUE);
	IS(cuMemsetD16(p + 1, 1, 4), INVALID_VALUE); /* misaligned */
	IS(cuMemsetD32(p + 2, 1, 4), INVALID_VALUE);
	IS(cuMemsetD32(p, 1, BYTES), INVALID_VALUE);
	IS(cuMemsetD32(p, 1, SIZE_MAX / 2), INVALID_VALUE);
	IS(cuMemsetD8Async(p, 1, 4, gone_stream), INVALID_HANDLE);
	IS(cuMemsetD2D8(p, 8, 1, 16, 2), INVALID_VALUE); /* rows overlap */
	IS(cuMemcpy2D(nullptr), INVALID_VALUE);
	c.srcMemoryType = c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	c.srcDevice = p;
	c.dstDevice = q;
	c.WidthInBytes = 64;
	c.Height = 2;
	c.srcPitch = 32; /* narrower than a row */
	c.dstPitch = 64;
	IS(cuMemcpy2D(&c), INVALID_VALUE);
	c.srcPitch = 64;
	c.Height = BYTES;
	IS(cuMemcpy2D(&c), INVALID_VALUE);
	c.Height = 2;
	c.srcMemoryType = static_cast<CUmemorytype>(77);
	IS(cuMemcpy2D(&c), INVALID_VALUE);
	IS(cuMemcpy3D(nullptr), INVALID_VALUE);
	box.srcMemoryType = box.dstMemoryType = CU_MEMORYTYPE_ARRAY;
	box.WidthInBytes = box.Height = box.Depth = 4;
	box.srcArray = box.dstArray = foreign<CUarray>();
	is(cuMemcpy3D(&box), CUDA_ERROR_INVALID_HANDLE, "cuMemcpy3D of a foreign array");
}

TEST_F(Misuse, ModulesAndLaunches)
{
	CUlaunchConfig config = {};
	CUfunction g;
	CUdeviceptr d;
	CUlibrary lib;
	CUkernel k;
	CUmodule m;
	size_t n;
	int v;
	unsigned un = 1;
	float a = 1;
	void *args[] = { &un, &a, &p, &q }, *none[] = { nullptr, nullptr, nullptr, nullptr };

	least = 40;
	IS(cuModuleLoadData(nullptr, kernels_ptx), INVALID_VALUE);
	IS(cuModuleLoadData(&m, nullptr), INVALID_VALUE);
	IS(cuModuleLoadData(&m, ".version 7.0\n.target sm_75\n.address_size 64\nwhat\n"),
	   INVALID_PTX);
	IS(cuModuleLoad(&m, "/nonexistent"), FILE_NOT_FOUND);
	IS(cuModuleLoad(&m, nullptr), INVALID_VALUE);
	IS(cuModuleUnload(nullptr), INVALID_HANDLE);
	IS(cuModuleUnload(gone_module), INVALID_HANDLE);
	IS(cuModuleUnload(foreign<CUmodule>()), INVALID_HANDLE);
	IS(cuModuleGetFunction(nullptr, module, "saxpy"), INVALID_VALUE);
	IS(cuModuleGetFunction(&g, module, nullptr), INVALID_VALUE);
	IS(cuModuleGetFunction(&g, module, "nothing"), NOT_FOUND);
	IS(cuModuleGetFunction(&g, gone_module, "saxpy"), INVALID_HANDLE);
	IS(cuModuleGetGlobal(&d, &n, module, nullptr), INVALID_VALUE);
	IS(cuModuleGetGlobal(&d, &n, module, "nothing"), NOT_FOUND);
	IS(cuModuleGetGlobal(&d, &n, gone_module, "table"), INVALID_HANDLE);
	IS(cuFuncGetAttribute(nullptr, CU_FUNC_ATTRIBUTE_NUM_REGS, f), INVALID_VALUE);
	IS(cuFuncGetAttribute(&v, static_cast<CUfunction_attribute>(999), f), INVALID_VALUE);
	IS(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_NUM_REGS, gone_f), INVALID_HANDLE);
	IS(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_NUM_REGS, nullptr), INVALID_HANDLE);
	IS(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_NUM_REGS, 1), INVALID_VALUE);
	IS(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1 << 30),
	   INVALID_VALUE);
	IS(cuFuncGetModule(&m, gone_f), INVALID_HANDLE);
	IS(cuLaunchKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, s, args, nullptr), INVALID_HANDLE);
	IS(cuLaunchKernel(gone_f, 1, 1, 1, 1, 1, 1, 0, s, args, nullptr), INVALID_HANDLE);
	IS(cuLaunchKernel(foreign<CUfunction>(), 1, 1, 1, 1, 1, 1, 0, s, args, nullptr),
	   INVALID_HANDLE);
	IS(cuLaunchKernel(f, 0, 1, 1, 1, 1, 1, 0, s, args, nullptr), INVALID_VALUE);
	IS(cuLaunchKernel(f, 1, 0, 1, 1, 1, 1, 0, s, args, nullptr), INVALID_VALUE);
	IS(cuLaunchKernel(f, 1, 70000, 1, 1, 1, 1, 0, s, args, nullptr), INVALID_VALUE);
	IS(cuLaunchKernel(f, 1, 1, 1, 0, 1, 1, 0, s, args, nullptr), INVALID_VALUE);
	IS(cuLaunchKernel(f, 1, 1, 1, 1025, 1, 1, 0, s, args, nullptr), INVALID_VALUE);
	IS(cuLaunchKernel(f, 1, 1, 1, 64, 32, 1, 0, s, args, nullptr), INVALID_VALUE);
	IS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 65, 0, s, args, nullptr), INVALID_VALUE);
	IS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 1 << 20, s, args, nullptr), INVALID_VALUE);
	IS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, nullptr, nullptr), INVALID_VALUE);
	IS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, none, nullptr), INVALID_VALUE);
	IS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, gone_stream, args, nullptr), INVALID_HANDLE);
	IS(cuLaunchKernelEx(nullptr, f, args, nullptr), INVALID_VALUE);
	config.numAttrs = 1;
	IS(cuLaunchKernelEx(&config, f, args, nullptr), INVALID_VALUE);
	IS(cuLaunchCooperativeKernel(f, 1 << 20, 1, 1, 1024, 1, 1, 0, s, args),
	   COOPERATIVE_LAUNCH_TOO_LARGE);
	IS(cuLaunchHostFunc(s, nullptr, nullptr), INVALID_VALUE);
	IS(cuLibraryLoadData(&lib, nullptr, nullptr, nullptr, 0, nullptr, nullptr, 0),
	   INVALID_VALUE);
	IS(cuLibraryUnload(foreign<CUlibrary>()), INVALID_HANDLE);
	IS(cuLibraryGetKernel(&k, foreign<CUlibrary>(), "saxpy"), INVALID_HANDLE);
	IS(cuOccupancyMaxActiveBlocksPerMultiprocessor(nullptr, f, 32, 0), INVALID_VALUE);
	IS(cuOccupancyMaxActiveBlocksPerMultiprocessor(&v, f, 0, 0), INVALID_VALUE);
	IS(cuOccupancyMaxActiveBlocksPerMultiprocessor(&v, gone_f, 32, 0), INVALID_HANDLE);
}

TEST_F(Misuse, StreamsAndEvents)
{
	CUstream st;
	CUgraph g;
	CUevent ev;
	CUcontext c;
	unsigned flags;
	float ms;
	int pr;

	least = 32;
	IS(cuStreamCreate(nullptr, 0), INVALID_VALUE);
	IS(cuStreamCreate(&st, 99), INVALID_VALUE);
	IS(cuStreamCreateWithPriority(nullptr, 0, 0), INVALID_VALUE);
	IS(cuStreamDestroy(gone_stream), INVALID_HANDLE); /* twice */
	IS(cuStreamDestroy(nullptr), INVALID_HANDLE);
	IS(cuStreamDestroy(foreign<CUstream>()), INVALID_HANDLE);
	IS(cuStreamDestroy(CU_STREAM_LEGACY), INVALID_HANDLE);
	IS(cuStreamSynchronize(gone_stream), INVALID_HANDLE);
	IS(cuStreamQuery(gone_stream), INVALID_HANDLE);
	IS(cuStreamQuery(foreign<CUstream>()), INVALID_HANDLE);
	IS(cuStreamGetFlags(gone_stream, &flags), INVALID_HANDLE);
	IS(cuStreamGetFlags(s, nullptr), INVALID_VALUE);
	IS(cuStreamGetPriority(gone_stream, &pr), INVALID_HANDLE);
	IS(cuStreamGetPriority(s, nullptr), INVALID_VALUE);
	IS(cuStreamGetCtx(gone_stream, &c), INVALID_HANDLE);
	IS(cuStreamGetCtx(s, nullptr), INVALID_VALUE);
	IS(cuStreamGetId(s, nullptr), INVALID_VALUE);
	IS(cuStreamWaitEvent(s, gone_event, 0), INVALID_HANDLE);
	IS(cuStreamWaitEvent(s, nullptr, 0), INVALID_HANDLE);
	IS(cuStreamWaitEvent(gone_stream, e, 0), INVALID_HANDLE);
	IS(cuStreamWaitEvent(s, e, 0xff), INVALID_VALUE);
	IS(cuStreamAddCallback(s, nullptr, nullptr, 0), INVALID_VALUE);
	IS(cuStreamWriteValue32(s, 0, 1, 0), INVALID_VALUE);
	IS(cuStreamWriteValue32(s, p + 1, 1, 0), INVALID_VALUE);
	IS(cuStreamWaitValue32(s, gone_ptr, 1, 0), INVALID_VALUE);
	IS(cuStreamEndCapture(s, &g), ILLEGAL_STATE);
	IS(cuStreamBeginCapture(gone_stream, CU_STREAM_CAPTURE_MODE_GLOBAL), INVALID_HANDLE);
	IS(cuStreamBeginCapture(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL),
	   STREAM_CAPTURE_UNSUPPORTED);
	IS(cuStreamBeginCapture(s, static_cast<CUstreamCaptureMode>(9)), INVALID_VALUE);
	IS(cuEventCreate(nullptr, 0), INVALID_VALUE);
	IS(cuEventCreate(&ev, 0xff), INVALID_VALUE);
	IS(cuEventCreate(&ev, CU_EVENT_INTERPROCESS), INVALID_VALUE);
	IS(cuEventDestroy(gone_event), INVALID_HANDLE); /* twice */
	IS(cuEventDestroy(nullptr), INVALID_HANDLE);
	IS(cuEventDestroy(foreign<CUevent>()), INVALID_HANDLE);
	IS(cuEventRecord(gone_event, s), INVALID_HANDLE);
	IS(cuEventRecord(e, gone_stream), INVALID_HANDLE);
	IS(cuEventRecordWithFlags(e, s, 0xff), INVALID_VALUE);
	IS(cuEventQuery(gone_event), INVALID_HANDLE);
	IS(cuEventSynchronize(gone_event), INVALID_HANDLE);
	IS(cuEventElapsedTime(nullptr, e, e), INVALID_VALUE);
	IS(cuEventElapsedTime(&ms, e, e), INVALID_HANDLE); /* never recorded */
	IS(cuEventElapsedTime(&ms, e, untimed), INVALID_HANDLE);
	IS(cuEventElapsedTime(&ms, gone_event, e), INVALID_HANDLE);
}

TEST_F(Misuse, Graphs)
{
	CUDA_MEMSET_NODE_PARAMS fill = {};
	CUDA_KERNEL_NODE_PARAMS kernel = {};
	CUDA_HOST_NODE_PARAMS host = {};
	CUgraphNode other;
	CUgraphExec x;
	CUgraph g;
	size_t n;

	least = 30;
	IS(cuGraphCreate(nullptr, 0), INVALID_VALUE);
	IS(cuGraphCreate(&g, 1), INVALID_VALUE);
	IS(cuGraphDestroy(gone_graph), INVALID_VALUE); /* twice */
	IS(cuGraphDestroy(nullptr), INVALID_VALUE);
	IS(cuGraphDestroyNode(gone_node), INVALID_VALUE);
	IS(cuGraphClone(nullptr, graph), INVALID_VALUE);
	IS(cuGraphClone(&g, gone_graph), INVALID_VALUE);
	IS(cuGraphAddEmptyNode(nullptr, graph, nullptr, 0), INVALID_VALUE);
	IS(cuGraphAddEmptyNode(&other, gone_graph, nullptr, 0), INVALID_VALUE);
	IS(cuGraphAddEmptyNode(&other, graph, nullptr, 1), INVALID_VALUE);
	IS(cuGraphAddEmptyNode(&other, graph, &gone_node, 1), INVALID_VALUE);
	IS(cuGraphAddMemsetNode(&other, graph, nullptr, 0, nullptr, ctx), INVALID_VALUE);
	fill.elementSize = 4;
	fill.width = fill.height = 1;
	IS(cuGraphAddMemsetNode(&other, graph, nullptr, 0, &fill, ctx), INVALID_VALUE);
	fill.dst = p;
	fill.elementSize = 3;
	IS(cuGraphAddMemsetNode(&other, graph, nullptr, 0, &fill, ctx), INVALID_VALUE);
	IS(cuGraphAddKernelNode(&other, graph, nullptr, 0, nullptr), INVALID_VALUE);
	kernel.func = gone_f;
	IS(cuGraphAddKernelNode(&other, graph, nullptr, 0, &kernel), INVALID_HANDLE);
	IS(cuGraphAddHostNode(&other, graph, nullptr, 0, &host), INVALID_VALUE);
	IS(cuGraphAddChildGraphNode(&other, graph, nullptr, 0, gone_graph), INVALID_VALUE);
	IS(cuGraphAddEventRecordNode(&other, graph, nullptr, 0, gone_event), INVALID_HANDLE);
	IS(cuGraphAddDependencies(graph, &node, &node, nullptr, 1), INVALID_VALUE);
	IS(cuGraphRemoveDependencies(graph, &node, &node, nullptr, 1), INVALID_VALUE);
	IS(cuGraphAddMemFreeNode(&other, graph, nullptr, 0, p), INVALID_VALUE);
	IS(cuGraphGetNodes(graph, nullptr, nullptr), INVALID_VALUE);
	IS(cuGraphGetNodes(gone_graph, nullptr, &n), INVALID_VALUE);
	IS(cuGraphNodeGetType(node, nullptr), INVALID_VALUE);
	IS(cuGraphKernelNodeGetParams(node, &kernel), INVALID_VALUE);
	IS(cuGraphInstantiate(nullptr, graph, 0), INVALID_VALUE);
	IS(cuGraphInstantiate(&x, gone_graph, 0), INVALID_VALUE);
	IS(cuGraphInstantiate(&x, graph, 1 << 20), INVALID_VALUE);
	IS(cuGraphExecDestroy(gone_exec), INVALID_VALUE); /* twice */
	IS(cuGraphLaunch(gone_exec, s), INVALID_VALUE);
	IS(cuGraphLaunch(exec, gone_stream), INVALID_HANDLE);
	IS(cuGraphUpload(gone_exec, s), INVALID_VALUE);
	IS(cuGraphDebugDotPrint(graph, nullptr, 0), INVALID_VALUE);
}

} // namespace
