/* SPDX-License-Identifier: MIT */
/*
 * demo.cu - an ordinary CUDA program: what deviceQuery prints, then kernels whose results are checked.
 *
 * Built by plain nvcc with the normal (static) cudart; it knows nothing of vgpu-cuse. quickstart
 * runs it as an unprivileged user with an empty environment, the system tests in many places.
 * --query prints the devices only. Exit code 0: all results right; 1: a wrong one; 2: a CUDA error.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cuda_runtime.h>

#define CHECK(call)                                                                                \
	do {                                                                                       \
		cudaError_t e_ = (call);                                                           \
		if (e_ != cudaSuccess) {                                                           \
			fprintf(stderr, "%s:%d: %s: %s (%s)\n", __FILE__, __LINE__, #call,         \
				cudaGetErrorName(e_), cudaGetErrorString(e_));                     \
			exit(2);                                                                   \
		}                                                                                  \
	} while (0)

/* --- kernels --------------------------------------------------------------------------------- */

__global__ void vector_add(const int *a, const int *b, int *c, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		c[i] = a[i] + b[i];
}

__global__ void saxpy(float a, const float *x, float *y, int n)
{
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		y[i] = a * x[i] + y[i];
}

__global__ void block_sum(const uint32_t *in, uint32_t *out, int n)
{
	__shared__ uint32_t part[256];
	int i = blockIdx.x * 256 + threadIdx.x;

	part[threadIdx.x] = i < n ? in[i] : 0;
	__syncthreads();
	for (int half = 128; half > 0; half /= 2) {
		if (threadIdx.x < half)
			part[threadIdx.x] += part[threadIdx.x + half];
		__syncthreads();
	}
	if (threadIdx.x == 0)
		out[blockIdx.x] = part[0];
}

#define TILE 16

__global__ void matmul(const float *a, const float *b, float *c, int n)
{
	__shared__ float ta[TILE][TILE], tb[TILE][TILE];
	int row = blockIdx.y * TILE + threadIdx.y, col = blockIdx.x * TILE + threadIdx.x;
	float sum = 0;

	for (int t = 0; t < n; t += TILE) {
		ta[threadIdx.y][threadIdx.x] = a[row * n + t + threadIdx.x];
		tb[threadIdx.y][threadIdx.x] = b[(t + threadIdx.y) * n + col];
		__syncthreads();
		for (int k = 0; k < TILE; k++)
			sum += ta[threadIdx.y][k] * tb[k][threadIdx.x];
		__syncthreads();
	}
	c[row * n + col] = sum;
}

__global__ void warp_scan(const int *in, int *out)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
	int v = in[i];

	for (int d = 1; d < 32; d *= 2) {
		int other = __shfl_up_sync(0xffffffffu, v, d);

		if (lane >= d)
			v += other;
	}
	out[i] = v;
}

__global__ void histogram(const uint8_t *in, unsigned *bins, int n)
{
	__shared__ unsigned mine[256];

	mine[threadIdx.x] = 0;
	__syncthreads();
	for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
		atomicAdd(&mine[in[i]], 1u);
	__syncthreads();
	atomicAdd(&bins[threadIdx.x], mine[threadIdx.x]);
}

__global__ void transpose(const float *in, float *out, int width, int height)
{
	__shared__ float tile[32][33];
	int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;

	if (x < width && y < height)
		tile[threadIdx.y][threadIdx.x] = in[y * width + x];
	__syncthreads();
	x = blockIdx.y * 32 + threadIdx.x;
	y = blockIdx.x * 32 + threadIdx.y;
	if (x < height && y < width)
		out[y * height + x] = tile[threadIdx.x][threadIdx.y];
}

__global__ void double_math(const double *x, double *y, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		y[i] = sqrt(x[i]) + sin(x[i]) * exp(-x[i] / 100.0) + fma(x[i], x[i], 1.0) / (x[i] + 1.0);
}

__constant__ int table[64];
__device__ int device_sum;

__global__ void constant_lookup(int rounds)
{
	int v = 0;

	/* Lanes leave the loop one by one. */
	for (int i = 0; i <= (int)threadIdx.x && i < rounds; i++)
		v += table[i];
	atomicAdd(&device_sum, v);
}

__global__ void hello(const char *who)
{
	if (threadIdx.x == 0)
		printf("block %d of %d says hello to %s: pi is about %.5f\n", (int)blockIdx.x,
		       (int)gridDim.x, who, 3.14159265);
}

/* --- the checks ------------------------------------------------------------------------------ */

template <class T> struct dev {
	T *p = nullptr;
	size_t n;

	explicit dev(size_t count) : n(count)
	{
		CHECK(cudaMalloc(&p, n * sizeof(T)));
	}
	explicit dev(const std::vector<T> &v) : dev(v.size())
	{
		CHECK(cudaMemcpy(p, v.data(), n * sizeof(T), cudaMemcpyHostToDevice));
	}
	~dev()
	{
		CHECK(cudaFree(p));
	}
	dev(const dev &) = delete;
	dev &operator=(const dev &) = delete;
	std::vector<T> get() const
	{
		std::vector<T> v(n);

		CHECK(cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
		return v;
	}
};

static uint32_t rng_state = 12345;

static uint32_t rng()
{
	rng_state = rng_state * 1664525u + 1013904223u;
	return rng_state >> 8;
}

static void done()
{
	CHECK(cudaGetLastError());
	CHECK(cudaDeviceSynchronize());
}

static bool check_vector_add()
{
	const int n = 100003;
	std::vector<int> a(n), b(n);

	for (int i = 0; i < n; i++) {
		a[i] = (int)rng();
		b[i] = (int)rng();
	}
	dev<int> da(a), db(b), dc(n);
	vector_add<<<(n + 255) / 256, 256>>>(da.p, db.p, dc.p, n);
	done();
	std::vector<int> c = dc.get();
	for (int i = 0; i < n; i++)
		if (c[i] != a[i] + b[i])
			return false;
	return true;
}

static bool check_saxpy()
{
	const int n = 65536;
	std::vector<float> x(n), y(n);

	for (int i = 0; i < n; i++) {
		x[i] = (float)(rng() % 1000);
		y[i] = (float)(rng() % 1000);
	}
	dev<float> dx(x), dy(y);
	saxpy<<<64, 128>>>(2.0f, dx.p, dy.p, n);
	done();
	std::vector<float> r = dy.get();
	for (int i = 0; i < n; i++)
		if (r[i] != 2.0f * x[i] + y[i]) /* small integers: exact */
			return false;
	return true;
}

static bool check_reduction()
{
	const int n = 200001, blocks = (n + 255) / 256;
	std::vector<uint32_t> in(n);
	uint64_t want = 0, have = 0;

	for (int i = 0; i < n; i++) {
		in[i] = rng() % 1000;
		want += in[i];
	}
	dev<uint32_t> din(in), dout((size_t)blocks);
	block_sum<<<blocks, 256>>>(din.p, dout.p, n);
	done();
	for (uint32_t v : dout.get())
		have += v;
	return have == want;
}

static bool check_matmul()
{
	const int n = 96;
	std::vector<float> a(n * n), b(n * n);

	for (int i = 0; i < n * n; i++) {
		a[i] = (float)((int)(rng() % 17) - 8);
		b[i] = (float)((int)(rng() % 17) - 8);
	}
	dev<float> da(a), db(b), dc((size_t)n * n);
	matmul<<<dim3(n / TILE, n / TILE), dim3(TILE, TILE)>>>(da.p, db.p, dc.p, n);
	done();
	std::vector<float> c = dc.get();
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			float sum = 0;

			for (int k = 0; k < n; k++)
				sum += a[i * n + k] * b[k * n + j];
			if (c[i * n + j] != sum) /* small integers: exact */
				return false;
		}
	return true;
}

static bool check_warp_scan()
{
	const int n = 1024;
	std::vector<int> in(n);

	for (int i = 0; i < n; i++)
		in[i] = (int)(rng() % 100);
	dev<int> din(in), dout((size_t)n);
	warp_scan<<<n / 128, 128>>>(din.p, dout.p);
	done();
	std::vector<int> out = dout.get();
	for (int i = 0, sum = 0; i < n; i++) {
		sum = i % 32 ? sum + in[i] : in[i];
		if (out[i] != sum)
			return false;
	}
	return true;
}

static bool check_histogram()
{
	const int n = 100000;
	std::vector<uint8_t> in(n);
	std::vector<unsigned> want(256);

	for (int i = 0; i < n; i++) {
		in[i] = (uint8_t)rng();
		want[in[i]]++;
	}
	dev<uint8_t> din(in);
	dev<unsigned> bins(256);
	CHECK(cudaMemset(bins.p, 0, 256 * sizeof(unsigned)));
	histogram<<<8, 256>>>(din.p, bins.p, n);
	done();
	return bins.get() == want;
}

static bool check_transpose()
{
	const int w = 200, h = 123;
	std::vector<float> in(w * h);

	for (int i = 0; i < w * h; i++)
		in[i] = (float)rng();
	dev<float> din(in), dout((size_t)w * h);
	transpose<<<dim3((w + 31) / 32, (h + 31) / 32), dim3(32, 32)>>>(din.p, dout.p, w, h);
	done();
	std::vector<float> out = dout.get();
	for (int y = 0; y < h; y++)
		for (int x = 0; x < w; x++)
			if (out[x * h + y] != in[y * w + x])
				return false;
	return true;
}

static bool check_double_math()
{
	const int n = 4096;
	std::vector<double> x(n);

	for (int i = 0; i < n; i++)
		x[i] = (rng() % 100000) / 37.0;
	dev<double> dx(x), dy((size_t)n);
	double_math<<<(n + 127) / 128, 128>>>(dx.p, dy.p, n);
	done();
	std::vector<double> y = dy.get();
	for (int i = 0; i < n; i++) {
		double want = sqrt(x[i]) + sin(x[i]) * exp(-x[i] / 100.0) +
			      fma(x[i], x[i], 1.0) / (x[i] + 1.0);

		if (!(fabs(y[i] - want) <= 1e-13 * fabs(want)))
			return false;
	}
	return true;
}

static bool check_symbols()
{
	int t[64], want = 0, have = -1, zero = 0;

	for (int i = 0; i < 64; i++)
		t[i] = (int)(rng() % 1000);
	for (int lane = 0; lane < 64; lane++)
		for (int i = 0; i <= lane && i < 50; i++)
			want += t[i];
	CHECK(cudaMemcpyToSymbol(table, t, sizeof(t)));
	CHECK(cudaMemcpyToSymbol(device_sum, &zero, sizeof(zero)));
	constant_lookup<<<1, 64>>>(50);
	done();
	CHECK(cudaMemcpyFromSymbol(&have, device_sum, sizeof(have)));
	return have == want;
}

static bool check_streams()
{
	const int n = 1 << 16;
	cudaEvent_t begin, end;
	cudaStream_t s;
	float ms = -1;
	float *host;

	CHECK(cudaStreamCreate(&s));
	CHECK(cudaEventCreate(&begin));
	CHECK(cudaEventCreate(&end));
	CHECK(cudaMallocHost(&host, n * sizeof(float)));
	for (int i = 0; i < n; i++)
		host[i] = 1;
	dev<float> dx((size_t)n), dy((size_t)n);
	CHECK(cudaEventRecord(begin, s));
	CHECK(cudaMemcpyAsync(dx.p, host, n * sizeof(float), cudaMemcpyHostToDevice, s));
	CHECK(cudaMemsetAsync(dy.p, 0, n * sizeof(float), s));
	for (int i = 0; i < 10; i++)
		saxpy<<<32, 256, 0, s>>>(3.0f, dx.p, dy.p, n);
	CHECK(cudaMemcpyAsync(host, dy.p, n * sizeof(float), cudaMemcpyDeviceToHost, s));
	CHECK(cudaEventRecord(end, s));
	CHECK(cudaStreamSynchronize(s));
	CHECK(cudaEventElapsedTime(&ms, begin, end));
	bool ok = ms > 0;
	for (int i = 0; i < n; i++)
		ok = ok && host[i] == 30.0f;
	CHECK(cudaFreeHost(host));
	CHECK(cudaEventDestroy(begin));
	CHECK(cudaEventDestroy(end));
	CHECK(cudaStreamDestroy(s));
	return ok;
}

static bool check_printf()
{
	char who[] = "the host";
	dev<char> dwho(std::vector<char>(who, who + sizeof(who)));

	fflush(stdout);
	hello<<<2, 32>>>(dwho.p);
	done();
	return true; /* the text itself is looked at by whoever runs us */
}

/* --- what deviceQuery prints ------------------------------------------------------------------ */

static void print_device(int i)
{
	cudaDeviceProp p;
	size_t free_bytes = 0, total = 0;
	char bus[32] = "";

	CHECK(cudaGetDeviceProperties(&p, i));
	CHECK(cudaSetDevice(i));
	CHECK(cudaMemGetInfo(&free_bytes, &total));
	CHECK(cudaDeviceGetPCIBusId(bus, sizeof(bus), i));
	printf("Device %d: \"%s\"\n", i, p.name);
	printf("  CUDA capability:                       %d.%d\n", p.major, p.minor);
	printf("  Total global memory:                   %.0f MBytes (%zu bytes)\n",
	       (double)p.totalGlobalMem / 1048576.0, p.totalGlobalMem);
	printf("  Free memory:                           %zu of %zu bytes\n", free_bytes, total);
	printf("  Multiprocessors:                       %d\n", p.multiProcessorCount);
	printf("  L2 cache size:                         %d bytes\n", p.l2CacheSize);
	printf("  Constant memory:                       %zu bytes\n", p.totalConstMem);
	printf("  Shared memory per block:               %zu bytes (%zu opt-in)\n",
	       p.sharedMemPerBlock, p.sharedMemPerBlockOptin);
	printf("  Shared memory per multiprocessor:      %zu bytes\n", p.sharedMemPerMultiprocessor);
	printf("  Registers per block:                   %d\n", p.regsPerBlock);
	printf("  Warp size:                             %d\n", p.warpSize);
	printf("  Threads per multiprocessor / block:    %d / %d\n", p.maxThreadsPerMultiProcessor,
	       p.maxThreadsPerBlock);
	printf("  Block dimensions:                      (%d, %d, %d)\n", p.maxThreadsDim[0],
	       p.maxThreadsDim[1], p.maxThreadsDim[2]);
	printf("  Grid dimensions:                       (%d, %d, %d)\n", p.maxGridSize[0],
	       p.maxGridSize[1], p.maxGridSize[2]);
	printf("  Memory bus width:                      %d bits\n", p.memoryBusWidth);
	printf("  Copy engines:                          %d\n", p.asyncEngineCount);
	printf("  Integrated / ECC / unified addressing: %d / %d / %d\n", p.integrated, p.ECCEnabled,
	       p.unifiedAddressing);
	printf("  Managed memory / cooperative launch:   %d / %d\n", p.managedMemory,
	       p.cooperativeLaunch);
	printf("  PCI bus id:                            %s\n", bus);
	printf("  UUID:                                  GPU-");
	for (int b = 0; b < 16; b++)
		printf("%s%02x", b == 4 || b == 6 || b == 8 || b == 10 ? "-" : "",
		       (unsigned char)p.uuid.bytes[b]);
	printf("\n");
}

static int print_devices()
{
	int count = 0, driver = 0, runtime = 0;

	CHECK(cudaGetDeviceCount(&count));
	CHECK(cudaDriverGetVersion(&driver));
	CHECK(cudaRuntimeGetVersion(&runtime));
	printf("CUDA driver %d.%d, runtime %d.%d, %d device%s\n", driver / 1000, driver % 1000 / 10,
	       runtime / 1000, runtime % 1000 / 10, count, count == 1 ? "" : "s");
	for (int i = 0; i < count; i++)
		print_device(i);
	return count;
}

static const struct {
	const char *name;
	bool (*run)();
} checks[] = {
	{ "vector add, 100,003 integers", check_vector_add },
	{ "saxpy, grid-stride loop", check_saxpy },
	{ "sum in shared memory with barriers", check_reduction },
	{ "matrix product in tiles, 96 x 96", check_matmul },
	{ "prefix sums by warp shuffles", check_warp_scan },
	{ "histogram by atomics", check_histogram },
	{ "transpose, 2D grid", check_transpose },
	{ "double precision: sqrt, sin, exp, fma", check_double_math },
	{ "constant and device symbols, divergent loop", check_symbols },
	{ "streams, events, pinned memory", check_streams },
	{ "printf from a kernel", check_printf },
};

int main(int argc, char **argv)
{
	bool query_only = argc > 1 && strcmp(argv[1], "--query") == 0;
	int wrong = 0;

	if (print_devices() == 0) {
		fprintf(stderr, "no CUDA device\n");
		return 2;
	}
	if (query_only)
		return 0;
	CHECK(cudaSetDevice(0));
	for (const auto &c : checks) {
		bool ok = c.run();

		printf("  %-45s %s\n", c.name, ok ? "right" : "WRONG");
		wrong += !ok;
	}
	CHECK(cudaDeviceReset());
	printf(wrong ? "%d results WRONG\n" : "all results right\n", wrong);
	return wrong ? 1 : 0;
}
