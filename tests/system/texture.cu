/* SPDX-License-Identifier: MIT */
/*
 * texture.cu - an ordinary CUDA program: textures and surfaces of every shape, against a reference
 * that follows the programming guide's appendix "Texture Fetching" by the letter, in double precision.
 *
 * With an argument it does one thing that must fail: "outside" writes outside of a surface,
 * "stale" uses a texture after it was destroyed. Exit code 0: all results right; 1: a wrong one; 2: a
 * CUDA error.
 */
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cuda_fp16.h>
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

static int wrong, checked;

static void expect(const char *what, size_t i, double got, double want, double tolerance = 1e-5)
{
	checked++;
	if (std::fabs(got - want) <= tolerance * std::max(1.0, std::fabs(want)))
		return;
	if (wrong++ < 20)
		fprintf(stderr, "%s, point %zu: %.9g, wanted %.9g\n", what, i, got, want);
}

static uint32_t seed = 1;

static uint32_t noise()
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static float unit()
{
	return static_cast<float>(noise() & 0xffff) / 65536.0f;
}

/* --- the reference --------------------------------------------------------------------------- */

/* Texels of one channel; n[d] along each direction, and layers (or faces) behind them. */
struct Image {
	int dims = 2, n[3] = { 1, 1, 1 }, layers = 1;
	std::vector<float> texel;
	cudaTextureAddressMode mode[3] = {};
	bool linear = false, normalized = false;
	float border = 0;

	Image(int d, int w, int h, int z, int l) : dims(d), layers(l)
	{
		n[0] = w;
		n[1] = h;
		n[2] = z;
		texel.resize(static_cast<size_t>(w) * h * z * l);
		for (auto &t : texel)
			t = unit() * 8 - 4;
	}

	float at(const int i[3], int layer) const
	{
		return texel[((static_cast<size_t>(layer) * n[2] + i[2]) * n[1] + i[1]) * n[0] +
			     i[0]];
	}

	/* Index to index, or -1 for the border. */
	int reach(int i, int d) const
	{
		int N = n[d];

		switch (normalized || mode[d] == cudaAddressModeBorder ? mode[d]
								       : cudaAddressModeClamp) {
		case cudaAddressModeWrap:
			return ((i % N) + N) % N;
		case cudaAddressModeMirror:
			i = ((i % (2 * N)) + 2 * N) % (2 * N);
			return i < N ? i : 2 * N - 1 - i;
		case cudaAddressModeBorder:
			return i < 0 || i >= N ? -1 : i;
		default:
			return std::min(std::max(i, 0), N - 1);
		}
	}

	double texel_or_border(const int i[3], int layer) const
	{
		int r[3] = { 0, 0, 0 };

		for (int d = 0; d < dims; d++) {
			r[d] = reach(i[d], d);
			if (r[d] < 0)
				return border;
		}
		return at(r, layer);
	}

	double fetch(double x, double y, double z, int layer) const
	{
		double c[3] = { x, y, z }, sum = 0, alpha[3] = { 0, 0, 0 };
		int low[3] = { 0, 0, 0 };

		layer = std::min(std::max(layer, 0), layers - 1);
		for (int d = 0; d < dims; d++) {
			if (normalized)
				c[d] *= n[d];
			if (!linear) {
				low[d] = static_cast<int>(std::floor(c[d]));
				continue;
			}
			/* xB = x - 0.5; i = floor(xB); alpha = frac(xB) with 8 bits behind the
			 * point */
			c[d] = std::floor((c[d] - 0.5) * 256 + 0.5) / 256;
			low[d] = static_cast<int>(std::floor(c[d]));
			alpha[d] = c[d] - low[d];
		}
		if (!linear)
			return texel_or_border(low, layer);
		for (int corner = 0; corner < 1 << dims; corner++) {
			int i[3] = { low[0], low[1], low[2] };
			double w = 1;

			for (int d = 0; d < dims; d++) {
				i[d] += corner >> d & 1;
				w *= corner >> d & 1 ? alpha[d] : 1 - alpha[d];
			}
			if (w != 0)
				sum += w * texel_or_border(i, layer);
		}
		return sum;
	}
};

/* --- making textures ------------------------------------------------------------------------- */

static cudaArray_t upload(const Image &im, unsigned flags)
{
	cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
	int depth = im.dims == 3 ? im.n[2] : flags & (cudaArrayLayered | cudaArrayCubemap) ? im.layers : 0;
	cudaExtent size = make_cudaExtent(im.n[0], im.dims >= 2 ? im.n[1] : 0, depth);
	cudaMemcpy3DParms p = {};
	cudaArray_t a;

	CHECK(cudaMalloc3DArray(&a, &format, size, flags));
	p.srcPtr = make_cudaPitchedPtr(const_cast<float *>(im.texel.data()), im.n[0] * 4, im.n[0],
				       im.n[1]);
	p.dstArray = a;
	p.extent = make_cudaExtent(im.n[0], std::max(im.n[1], 1), std::max(depth, 1));
	p.kind = cudaMemcpyHostToDevice;
	CHECK(cudaMemcpy3D(&p));
	return a;
}

static cudaTextureDesc how(const Image &im)
{
	cudaTextureDesc d = {};

	for (int i = 0; i < 3; i++)
		d.addressMode[i] = im.mode[i];
	d.filterMode = im.linear ? cudaFilterModeLinear : cudaFilterModePoint;
	d.readMode = cudaReadModeElementType;
	d.normalizedCoords = im.normalized;
	for (float &b : d.borderColor)
		b = im.border;
	return d;
}

static cudaTextureObject_t texture_of(cudaArray_t a, const cudaTextureDesc &d)
{
	cudaResourceDesc r = {};
	cudaTextureObject_t t;

	r.resType = cudaResourceTypeArray;
	r.res.array.array = a;
	CHECK(cudaCreateTextureObject(&t, &r, &d, nullptr));
	return t;
}

/* --- fetches --------------------------------------------------------------------------------- */

enum Kind { T1D, T2D, T3D, T1DL, T2DL, CUBE, CUBEL, LOD, GRAD };

struct Point {
	float x, y, z;
	int layer;
	float lod;
};

__global__ void fetch(cudaTextureObject_t t, Kind kind, const Point *p, float *out, int n)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i >= n)
		return;
	Point c = p[i];
	switch (kind) {
	case T1D:
		out[i] = tex1D<float>(t, c.x);
		break;
	case T2D:
		out[i] = tex2D<float>(t, c.x, c.y);
		break;
	case T3D:
		out[i] = tex3D<float>(t, c.x, c.y, c.z);
		break;
	case T1DL:
		out[i] = tex1DLayered<float>(t, c.x, c.layer);
		break;
	case T2DL:
		out[i] = tex2DLayered<float>(t, c.x, c.y, c.layer);
		break;
	case CUBE:
		out[i] = texCubemap<float>(t, c.x, c.y, c.z);
		break;
	case CUBEL:
		out[i] = texCubemapLayered<float>(t, c.x, c.y, c.z, c.layer);
		break;
	case LOD:
		out[i] = tex2DLod<float>(t, c.x, c.y, c.lod);
		break;
	case GRAD:
		out[i] = tex2DGrad<float>(t, c.x, c.y, make_float2(c.lod, 0), make_float2(0, c.lod));
		break;
	}
}

static std::vector<float> run(cudaTextureObject_t t, Kind kind, const std::vector<Point> &p)
{
	std::vector<float> out(p.size());
	int n = static_cast<int>(p.size());
	Point *dp;
	float *d;

	CHECK(cudaMalloc(&dp, n * sizeof(Point)));
	CHECK(cudaMalloc(&d, n * 4));
	CHECK(cudaMemcpy(dp, p.data(), n * sizeof(Point), cudaMemcpyHostToDevice));
	fetch<<<(n + 127) / 128, 128>>>(t, kind, dp, d, n);
	CHECK(cudaGetLastError());
	CHECK(cudaMemcpy(out.data(), d, n * 4, cudaMemcpyDeviceToHost));
	CHECK(cudaFree(dp));
	CHECK(cudaFree(d));
	return out;
}

/* Points inside and well outside; some exactly on texels and between them. */
static std::vector<Point> points(const Image &im, int n)
{
	std::vector<Point> p(n);

	for (int i = 0; i < n; i++) {
		float *c[3] = { &p[i].x, &p[i].y, &p[i].z };

		for (int d = 0; d < 3; d++) {
			float v = (unit() * 4 - 1.5f) * im.n[d];

			if (i % 5 == 0)
				v = std::floor(v) + (i % 2) * 0.5f;
			*c[d] = im.normalized ? v / im.n[d] : v;
		}
		p[i].layer = static_cast<int>(noise() % (im.layers + 2));
	}
	return p;
}

static void shapes()
{
	static const struct {
		const char *name;
		Kind kind;
		int dims, n[3], layers;
		unsigned flags;
	} all[] = {
		{ "1D", T1D, 1, { 37, 1, 1 }, 1, 0 },
		{ "2D", T2D, 2, { 19, 11, 1 }, 1, 0 },
		{ "2D of 1 x 1", T2D, 2, { 1, 1, 1 }, 1, 0 },
		{ "3D", T3D, 3, { 9, 7, 5 }, 1, 0 },
		{ "layered 1D", T1DL, 1, { 16, 1, 1 }, 4, cudaArrayLayered },
		{ "layered 2D", T2DL, 2, { 8, 6, 1 }, 3, cudaArrayLayered },
	};
	static const cudaTextureAddressMode modes[] = { cudaAddressModeWrap, cudaAddressModeClamp,
							cudaAddressModeMirror,
							cudaAddressModeBorder };

	for (auto &s : all) {
		for (int variant = 0; variant < 16; variant++) {
			Image im(s.dims, s.n[0], s.n[1], s.n[2], s.layers);
			char name[100];

			for (int d = 0; d < 3; d++)
				im.mode[d] = modes[(variant + d) & 3];
			im.linear = variant & 4;
			im.normalized = variant & 8;
			im.border = variant & 1 ? 2.5f : 0;
			cudaArray_t a = upload(im, s.flags);
			cudaTextureObject_t t = texture_of(a, how(im));
			auto p = points(im, 500);
			auto got = run(t, s.kind, p);

			snprintf(name, sizeof(name), "%s, variant %d", s.name, variant);
			/* A normalised coordinate times a size may round across a texel's edge:
			 * only points that are clear of it tell something. */
			for (size_t i = 0; i < p.size(); i++)
				expect(name, i, got[i],
				       im.fetch(p[i].x, p[i].y, p[i].z, p[i].layer), 2e-5);
			CHECK(cudaDestroyTextureObject(t));
			CHECK(cudaFreeArray(a));
		}
	}
}

/* --- cubes ----------------------------------------------------------------------------------- */

/* The guide's table of faces. */
static int face_of(double x, double y, double z, double *s, double *t)
{
	double ax = std::fabs(x), ay = std::fabs(y), az = std::fabs(z), m;
	int face;

	if (ax > ay && ax > az) {
		face = x < 0;
		m = ax;
		*s = x < 0 ? z : -z;
		*t = -y;
	} else if (ay > ax && ay > az) {
		face = 2 + (y < 0);
		m = ay;
		*s = x;
		*t = y < 0 ? -z : z;
	} else {
		face = 4 + (z < 0);
		m = az;
		*s = z < 0 ? -x : x;
		*t = -y;
	}
	*s = (*s / m + 1) / 2;
	*t = (*t / m + 1) / 2;
	return face;
}

static void cubes()
{
	for (int layered = 0; layered < 2; layered++) {
		for (int linear = 0; linear < 2; linear++) {
			Image im(2, 8, 8, 1, layered ? 18 : 6);
			unsigned flags = cudaArrayCubemap | (layered ? cudaArrayLayered : 0);
			std::vector<Point> p(600);

			im.linear = linear;
			im.normalized = true;
			for (auto &m : im.mode)
				m = cudaAddressModeClamp;
			for (auto &c : p)
				c = { unit() * 2 - 1, unit() * 2 - 1, unit() * 2 - 1,
				      static_cast<int>(noise() % 3), 0 };
			cudaArray_t a = upload(im, flags);
			cudaTextureObject_t t = texture_of(a, how(im));
			auto got = run(t, layered ? CUBEL : CUBE, p);

			for (size_t i = 0; i < p.size(); i++) {
				double s, u;
				int face = face_of(p[i].x, p[i].y, p[i].z, &s, &u);
				int layer = (layered ? p[i].layer : 0) * 6 + face;

				expect(layered ? "layered cube" : "cube", i, got[i],
				       im.fetch(s, u, 0, layer));
			}
			CHECK(cudaDestroyTextureObject(t));
			CHECK(cudaFreeArray(a));
		}
	}
}

/* --- levels ---------------------------------------------------------------------------------- */

static void levels()
{
	cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
	std::vector<Image> im;
	cudaMipmappedArray_t m;
	cudaResourceDesc r = {};

	CHECK(cudaMallocMipmappedArray(&m, &format, make_cudaExtent(32, 16, 0), 5));
	for (int l = 0; l < 5; l++) {
		cudaMemcpy3DParms p = {};
		cudaArray_t a;

		im.emplace_back(2, 32 >> l, std::max(16 >> l, 1), 1, 1);
		im[l].linear = im[l].normalized = true;
		for (auto &mode : im[l].mode)
			mode = cudaAddressModeWrap;
		CHECK(cudaGetMipmappedArrayLevel(&a, m, l));
		p.srcPtr = make_cudaPitchedPtr(im[l].texel.data(), im[l].n[0] * 4, im[l].n[0],
					       im[l].n[1]);
		p.dstArray = a;
		p.extent = make_cudaExtent(im[l].n[0], im[l].n[1], 1);
		p.kind = cudaMemcpyHostToDevice;
		CHECK(cudaMemcpy3D(&p));
	}
	r.resType = cudaResourceTypeMipmappedArray;
	r.res.mipmap.mipmap = m;
	for (int point = 0; point < 2; point++) {
		cudaTextureDesc d = how(im[0]);
		cudaTextureObject_t t;
		std::vector<Point> p = points(im[0], 400);

		d.mipmapFilterMode = point ? cudaFilterModePoint : cudaFilterModeLinear;
		d.mipmapLevelBias = 0.25f;
		d.minMipmapLevelClamp = 0.5f;
		d.maxMipmapLevelClamp = 3.5f;
		CHECK(cudaCreateTextureObject(&t, &r, &d, nullptr));
		for (auto &c : p)
			c.lod = std::floor(unit() * 6 * 64) / 64 - 0.5f;
		auto got = run(t, LOD, p);

		for (size_t i = 0; i < p.size(); i++) {
			double lod = std::min(std::max(p[i].lod + 0.25, 0.5), 3.5);
			int low = static_cast<int>(std::floor(lod));
			double w = lod - low;

			if (point) {
				low = static_cast<int>(std::ceil(lod + 0.5) - 1);
				w = 0;
			}
			double want = im[low].fetch(p[i].x, p[i].y, 0, 0);

			if (w > 0)
				want = (1 - w) * want + w * im[low + 1].fetch(p[i].x, p[i].y, 0, 0);
			expect("levels", i, got[i], want, 2e-5);
		}
		/* Steps of 4 texels of the first level: level 2. */
		d.mipmapLevelBias = 0;
		CHECK(cudaDestroyTextureObject(t));
		CHECK(cudaCreateTextureObject(&t, &r, &d, nullptr));
		for (auto &c : p)
			c.lod = 4.0f / 32;
		got = run(t, GRAD, p);
		for (size_t i = 0; i < p.size(); i++)
			expect("gradients", i, got[i], im[2].fetch(p[i].x, p[i].y, 0, 0), 2e-5);
		CHECK(cudaDestroyTextureObject(t));
	}
	CHECK(cudaFreeMipmappedArray(m));
}

/* --- formats --------------------------------------------------------------------------------- */

template <typename T> __global__ void fetch4(cudaTextureObject_t t, float4 *out, int w, bool raw)
{
	int x = threadIdx.x, y = blockIdx.x;

	if (raw) {
		T v = tex2D<T>(t, x + 0.5f, y + 0.5f);
		out[y * w + x] = make_float4(v.x, v.y, v.z, v.w);
	} else {
		out[y * w + x] = tex2D<float4>(t, x + 0.5f, y + 0.5f);
	}
}

template <typename T, typename E>
static void format(const char *name, bool raw, bool srgb, double (*value)(E))
{
	const int w = 13, h = 5;
	cudaChannelFormatDesc f = cudaCreateChannelDesc<T>();
	std::vector<E> data(w * h * 4);
	std::vector<float4> got(w * h);
	cudaTextureDesc d = {};
	cudaArray_t a;
	float4 *out;

	for (size_t i = 0; i < data.size(); i++) {
		uint32_t bits = noise() * 2654435761u;

		memcpy(&data[i], &bits, sizeof(E));
		if (i < 4)
			memset(&data[i], i % 2 ? 0xff : 0, sizeof(E));
	}
	d.readMode = raw ? cudaReadModeElementType : cudaReadModeNormalizedFloat;
	d.sRGB = srgb;
	d.addressMode[0] = d.addressMode[1] = cudaAddressModeClamp;
	CHECK(cudaMallocArray(&a, &f, w, h));
	CHECK(cudaMemcpy2DToArray(a, 0, 0, data.data(), w * sizeof(T), w * sizeof(T), h,
				  cudaMemcpyHostToDevice));
	CHECK(cudaMalloc(&out, w * h * sizeof(float4)));
	fetch4<T><<<h, w>>>(texture_of(a, d), out, w, raw);
	CHECK(cudaMemcpy(got.data(), out, w * h * sizeof(float4), cudaMemcpyDeviceToHost));
	for (size_t i = 0; i < data.size(); i++) {
		double v = value(data[i]);

		if (srgb && i % 4 < 3)
			v = v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
		expect(name, i, (&got[i / 4].x)[i % 4], v);
	}
	CHECK(cudaFreeArray(a));
	CHECK(cudaFree(out));
}

static void formats()
{
	format<uchar4, uint8_t>("uchar4", true, false, [](uint8_t v) { return double(v); });
	format<char4, int8_t>("char4", true, false, [](int8_t v) { return double(v); });
	format<ushort4, uint16_t>("ushort4", true, false, [](uint16_t v) { return double(v); });
	format<short4, int16_t>("short4", true, false, [](int16_t v) { return double(v); });
	format<uint4, uint32_t>("uint4", true, false, [](uint32_t v) { return double(float(v)); });
	format<int4, int32_t>("int4", true, false, [](int32_t v) { return double(float(v)); });
	format<uchar4, uint8_t>("uchar4 as float", false, false, [](uint8_t v) { return v / 255.0; });
	format<uchar4, uint8_t>("uchar4 as sRGB", false, true, [](uint8_t v) { return v / 255.0; });
	format<char4, int8_t>("char4 as float", false, false,
			      [](int8_t v) { return std::max(v / 127.0, -1.0); });
	format<ushort4, uint16_t>("ushort4 as float", false, false,
				  [](uint16_t v) { return v / 65535.0; });
	format<short4, int16_t>("short4 as float", false, false,
				[](int16_t v) { return std::max(v / 32767.0, -1.0); });
}

__global__ void halves(cudaTextureObject_t t, float *out, int w)
{
	out[blockIdx.x * w + threadIdx.x] = tex2D<float>(t, threadIdx.x + 0.5f, blockIdx.x + 0.5f);
}

static void half_floats()
{
	const int w = 20, h = 3;
	cudaChannelFormatDesc f = cudaCreateChannelDescHalf();
	std::vector<__half> data(w * h);
	std::vector<float> got(w * h);
	cudaTextureDesc d = {};
	cudaArray_t a;
	float *out;

	for (auto &v : data)
		v = __float2half(unit() * 100 - 50);
	CHECK(cudaMallocArray(&a, &f, w, h));
	CHECK(cudaMemcpy2DToArray(a, 0, 0, data.data(), w * 2, w * 2, h, cudaMemcpyHostToDevice));
	CHECK(cudaMalloc(&out, w * h * 4));
	d.addressMode[0] = d.addressMode[1] = cudaAddressModeClamp;
	halves<<<h, w>>>(texture_of(a, d), out, w);
	CHECK(cudaMemcpy(got.data(), out, w * h * 4, cudaMemcpyDeviceToHost));
	for (size_t i = 0; i < data.size(); i++)
		expect("half", i, got[i], __half2float(data[i]));
	CHECK(cudaFreeArray(a));
	CHECK(cudaFree(out));
}

/* --- plain memory ---------------------------------------------------------------------------- */

__global__ void linear_fetch(cudaTextureObject_t t, int2 *out, int n)
{
	int i = threadIdx.x + blockIdx.x * blockDim.x - 8;

	if (i < n + 8)
		out[i + 8] = tex1Dfetch<int2>(t, i);
}

static void plain_memory()
{
	const int n = 200, w = 50, h = 9;
	std::vector<int2> data(n), got(n + 16);
	cudaResourceDesc r = {};
	cudaTextureDesc d = {};
	cudaTextureObject_t t;
	int2 *in, *out;
	size_t pitch;

	for (auto &v : data)
		v = make_int2(noise(), -static_cast<int>(noise()));
	CHECK(cudaMalloc(&in, n * 8));
	CHECK(cudaMalloc(&out, (n + 16) * 8));
	CHECK(cudaMemcpy(in, data.data(), n * 8, cudaMemcpyHostToDevice));
	r.resType = cudaResourceTypeLinear;
	r.res.linear.devPtr = in;
	r.res.linear.desc = cudaCreateChannelDesc<int2>();
	r.res.linear.sizeInBytes = n * 8;
	CHECK(cudaCreateTextureObject(&t, &r, &d, nullptr));
	linear_fetch<<<2, 128>>>(t, out, n);
	CHECK(cudaMemcpy(got.data(), out, (n + 16) * 8, cudaMemcpyDeviceToHost));
	for (int i = -8; i < n + 8; i++) {
		bool inside = i >= 0 && i < n;

		expect("linear x", i + 8, got[i + 8].x, inside ? data[i].x : 0);
		expect("linear y", i + 8, got[i + 8].y, inside ? data[i].y : 0);
	}
	CHECK(cudaDestroyTextureObject(t));

	/* Rows of pitched memory, filtered. */
	Image im(2, w, h, 1, 1);
	float *rows;

	im.linear = true;
	im.mode[0] = im.mode[1] = cudaAddressModeClamp;
	CHECK(cudaMallocPitch(&rows, &pitch, w * 4, h));
	CHECK(cudaMemcpy2D(rows, pitch, im.texel.data(), w * 4, w * 4, h, cudaMemcpyHostToDevice));
	r = {};
	r.resType = cudaResourceTypePitch2D;
	r.res.pitch2D.devPtr = rows;
	r.res.pitch2D.desc = cudaCreateChannelDesc<float>();
	r.res.pitch2D.width = w;
	r.res.pitch2D.height = h;
	r.res.pitch2D.pitchInBytes = pitch;
	d = how(im);
	CHECK(cudaCreateTextureObject(&t, &r, &d, nullptr));
	auto p = points(im, 500);
	auto values = run(t, T2D, p);

	for (size_t i = 0; i < p.size(); i++)
		expect("pitched", i, values[i], im.fetch(p[i].x, p[i].y, 0, 0));
	CHECK(cudaDestroyTextureObject(t));
	CHECK(cudaFree(rows));
	CHECK(cudaFree(in));
	CHECK(cudaFree(out));
}

/* --- gather ---------------------------------------------------------------------------------- */

__global__ void gather(cudaTextureObject_t t, int4 *out, int w)
{
	float x = threadIdx.x + 0.75f, y = blockIdx.x + 0.25f;
	int4 *o = out + 4 * (blockIdx.x * w + threadIdx.x);

	o[0] = tex2Dgather<int4>(t, x, y, 0);
	o[1] = tex2Dgather<int4>(t, x, y, 1);
	o[2] = tex2Dgather<int4>(t, x, y, 2);
	o[3] = tex2Dgather<int4>(t, x, y, 3);
}

static void gathers()
{
	const int w = 10, h = 6;
	cudaChannelFormatDesc f = cudaCreateChannelDesc<int4>();
	std::vector<int> data(w * h * 4);
	std::vector<int4> got(w * h * 4);
	cudaTextureDesc d = {};
	cudaArray_t a;
	int4 *out;

	for (auto &v : data)
		v = static_cast<int>(noise());
	d.addressMode[0] = d.addressMode[1] = cudaAddressModeClamp;
	CHECK(cudaMallocArray(&a, &f, w, h, cudaArrayTextureGather));
	CHECK(cudaMemcpy2DToArray(a, 0, 0, data.data(), w * 16, w * 16, h, cudaMemcpyHostToDevice));
	CHECK(cudaMalloc(&out, w * h * 64));
	gather<<<h, w>>>(texture_of(a, d), out, w);
	CHECK(cudaMemcpy(got.data(), out, w * h * 64, cudaMemcpyDeviceToHost));
	for (int y = 0; y < h; y++) {
		for (int x = 0; x < w; x++) {
			/* The four texels around (x + 0.75, y + 0.25). */
			int x0 = x, x1 = std::min(x + 1, w - 1), y0 = std::max(y - 1, 0), y1 = y;

			for (int c = 0; c < 4; c++) {
				int4 v = got[(y * w + x) * 4 + c];
				auto t = [&](int i, int j) { return data[(j * w + i) * 4 + c]; };

				expect("gather", y * w + x, v.x, t(x0, y1));
				expect("gather", y * w + x, v.y, t(x1, y1));
				expect("gather", y * w + x, v.z, t(x1, y0));
				expect("gather", y * w + x, v.w, t(x0, y0));
			}
		}
	}
	CHECK(cudaFreeArray(a));
	CHECK(cudaFree(out));
}

/* --- surfaces -------------------------------------------------------------------------------- */

__global__ void surfaces_2d(cudaSurfaceObject_t s, cudaSurfaceObject_t copy, int w)
{
	int x = threadIdx.x, y = blockIdx.x;
	float2 v = surf2Dread<float2>(s, x * 8, y);

	surf2Dwrite(make_float2(v.y, 2 * v.x), copy, (w - 1 - x) * 8, y);
	surf2Dwrite(make_float2(1, 1), copy, (w + x) * 8, y, cudaBoundaryModeZero);
}

__global__ void surfaces_edges(cudaSurfaceObject_t s, float2 *out, int w, int h)
{
	int x = static_cast<int>(threadIdx.x) - 4, y = static_cast<int>(blockIdx.x) - 2;
	int i = 2 * ((y + 2) * (w + 8) + x + 4);

	out[i] = surf2Dread<float2>(s, x * 8, y, cudaBoundaryModeZero);
	out[i + 1] = surf2Dread<float2>(s, x * 8, y, cudaBoundaryModeClamp);
}

static cudaSurfaceObject_t surface_of(cudaArray_t a)
{
	cudaResourceDesc r = {};
	cudaSurfaceObject_t s;

	r.resType = cudaResourceTypeArray;
	r.res.array.array = a;
	CHECK(cudaCreateSurfaceObject(&s, &r));
	return s;
}

static void surfaces()
{
	const int w = 24, h = 7;
	cudaChannelFormatDesc f = cudaCreateChannelDesc<float2>();
	std::vector<float2> data(w * h), got(w * h), edges(2 * (w + 8) * (h + 4));
	cudaArray_t a, b;
	float2 *out;

	for (auto &v : data)
		v = make_float2(unit(), unit());
	CHECK(cudaMallocArray(&a, &f, w, h, cudaArraySurfaceLoadStore));
	CHECK(cudaMallocArray(&b, &f, w, h, cudaArraySurfaceLoadStore));
	CHECK(cudaMemcpy2DToArray(a, 0, 0, data.data(), w * 8, w * 8, h, cudaMemcpyHostToDevice));
	surfaces_2d<<<h, w>>>(surface_of(a), surface_of(b), w);
	CHECK(cudaMemcpy2DFromArray(got.data(), w * 8, b, 0, 0, w * 8, h, cudaMemcpyDeviceToHost));
	for (int i = 0; i < w * h; i++) {
		float2 v = data[i / w * w + (w - 1 - i % w)];

		expect("surface x", i, got[i].x, v.y);
		expect("surface y", i, got[i].y, 2 * v.x);
	}
	CHECK(cudaMalloc(&out, edges.size() * 8));
	surfaces_edges<<<h + 4, w + 8>>>(surface_of(a), out, w, h);
	CHECK(cudaMemcpy(edges.data(), out, edges.size() * 8, cudaMemcpyDeviceToHost));
	for (int y = -2; y < h + 2; y++) {
		for (int x = -4; x < w + 4; x++) {
			int i = 2 * ((y + 2) * (w + 8) + x + 4);
			bool in = x >= 0 && x < w && y >= 0 && y < h;
			int cx = std::min(std::max(x, 0), w - 1), cy = std::min(std::max(y, 0), h - 1);

			expect("zero", i, edges[i].x, in ? data[y * w + x].x : 0);
			expect("clamp", i, edges[i + 1].y, data[cy * w + cx].y);
		}
	}
	CHECK(cudaFreeArray(a));
	CHECK(cudaFreeArray(b));
	CHECK(cudaFree(out));
}

__global__ void surfaces_others(cudaSurfaceObject_t s1, cudaSurfaceObject_t s3, cudaSurfaceObject_t sl1,
				cudaSurfaceObject_t sl2, cudaSurfaceObject_t sc)
{
	int i = threadIdx.x;
	short v;

	surf1Dread(&v, s1, i * 2);
	surf1Dwrite(static_cast<short>(v + 1), s1, i * 2);
	for (int z = 0; z < 3; z++)
		for (int y = 0; y < 2; y++) {
			surf3Dread(&v, s3, i * 2, y, z);
			surf3Dwrite(static_cast<short>(v + 1 + z), s3, i * 2, y, z);
		}
	for (int l = 0; l < 3; l++) {
		surf1DLayeredread(&v, sl1, i * 2, l);
		surf1DLayeredwrite(static_cast<short>(v + 10 * l), sl1, i * 2, l);
		surf2DLayeredread(&v, sl2, i * 2, 1, l);
		surf2DLayeredwrite(static_cast<short>(v + 100 * l), sl2, i * 2, 1, l);
	}
	for (int face = 0; face < 6; face++) {
		surfCubemapread(&v, sc, i * 2, i, face);
		surfCubemapwrite(static_cast<short>(v - face), sc, i * 2, i, face);
	}
}

static cudaArray_t shorts(int w, int h, int d, unsigned flags)
{
	cudaChannelFormatDesc f = cudaCreateChannelDesc<short>();
	std::vector<short> data(static_cast<size_t>(w) * std::max(h, 1) * std::max(d, 1));
	cudaMemcpy3DParms p = {};
	cudaArray_t a;

	for (size_t i = 0; i < data.size(); i++)
		data[i] = static_cast<short>(i);
	CHECK(cudaMalloc3DArray(&a, &f, make_cudaExtent(w, h, d), flags | cudaArraySurfaceLoadStore));
	p.srcPtr = make_cudaPitchedPtr(data.data(), w * 2, w, std::max(h, 1));
	p.dstArray = a;
	p.extent = make_cudaExtent(w, std::max(h, 1), std::max(d, 1));
	p.kind = cudaMemcpyHostToDevice;
	CHECK(cudaMemcpy3D(&p));
	return a;
}

static std::vector<short> back(cudaArray_t a, int w, int h, int d)
{
	std::vector<short> data(static_cast<size_t>(w) * h * d);
	cudaMemcpy3DParms p = {};

	p.srcArray = a;
	p.dstPtr = make_cudaPitchedPtr(data.data(), w * 2, w, h);
	p.extent = make_cudaExtent(w, h, d);
	p.kind = cudaMemcpyDeviceToHost;
	CHECK(cudaMemcpy3D(&p));
	CHECK(cudaFreeArray(a));
	return data;
}

static void other_surfaces()
{
	cudaArray_t a1 = shorts(8, 0, 0, 0), a3 = shorts(8, 2, 3, 0),
		    l1 = shorts(8, 0, 3, cudaArrayLayered), l2 = shorts(8, 2, 3, cudaArrayLayered),
		    c = shorts(8, 8, 6, cudaArrayCubemap);

	surfaces_others<<<1, 8>>>(surface_of(a1), surface_of(a3), surface_of(l1), surface_of(l2),
				  surface_of(c));
	CHECK(cudaDeviceSynchronize());
	auto v = back(a1, 8, 1, 1);
	for (size_t i = 0; i < v.size(); i++)
		expect("surface 1D", i, v[i], i + 1.0);
	v = back(a3, 8, 2, 3);
	for (size_t i = 0; i < v.size(); i++)
		expect("surface 3D", i, v[i], i + 1.0 + i / 16);
	v = back(l1, 8, 1, 3);
	for (size_t i = 0; i < v.size(); i++)
		expect("surface layered 1D", i, v[i], i + 10.0 * (i / 8));
	v = back(l2, 8, 2, 3);
	for (size_t i = 0; i < v.size(); i++)
		expect("surface layered 2D", i, v[i], i + (i / 8 % 2 ? 100.0 * (i / 16) : 0));
	v = back(c, 8, 8, 6);
	for (size_t i = 0; i < v.size(); i++)
		expect("surface cube", i, v[i], i - (i % 8 == i / 8 % 8 ? double(i / 64) : 0.0));
}

/* --- views ----------------------------------------------------------------------------------- */

__global__ void read_words(cudaTextureObject_t t, unsigned *out)
{
	out[threadIdx.x] = tex2DLayered<unsigned>(t, threadIdx.x + 0.5f, 0.5f, 0);
}

static void views()
{
	cudaChannelFormatDesc f = cudaCreateChannelDesc<uchar4>();
	std::vector<uint32_t> data(16 * 3), got(16);
	cudaMemcpy3DParms p = {};
	cudaResourceDesc r = {};
	cudaTextureDesc d = {};
	cudaResourceViewDesc v = {};
	cudaTextureObject_t t;
	cudaArray_t a;
	unsigned *out;

	for (auto &x : data)
		x = noise();
	CHECK(cudaMalloc3DArray(&a, &f, make_cudaExtent(16, 1, 3), cudaArrayLayered));
	p.srcPtr = make_cudaPitchedPtr(data.data(), 64, 16, 1);
	p.dstArray = a;
	p.extent = make_cudaExtent(16, 1, 3);
	p.kind = cudaMemcpyHostToDevice;
	CHECK(cudaMemcpy3D(&p));
	r.resType = cudaResourceTypeArray;
	r.res.array.array = a;
	v.format = cudaResViewFormatUnsignedInt1;
	v.width = 16;
	v.height = 1;
	v.firstLayer = v.lastLayer = 2;
	CHECK(cudaCreateTextureObject(&t, &r, &d, &v));
	CHECK(cudaMalloc(&out, 64));
	read_words<<<1, 16>>>(t, out);
	CHECK(cudaMemcpy(got.data(), out, 64, cudaMemcpyDeviceToHost));
	for (int i = 0; i < 16; i++)
		expect("view", i, got[i], data[32 + i]);
	CHECK(cudaDestroyTextureObject(t));
	CHECK(cudaFreeArray(a));
	CHECK(cudaFree(out));
}

/* --- what must fail -------------------------------------------------------------------------- */

__global__ void outside(cudaSurfaceObject_t s)
{
	surf2Dwrite(1.0f, s, 400, 0);
}

static int must_fail(const char *what)
{
	Image im(2, 8, 8, 1, 1);
	cudaArray_t a = upload(im, cudaArraySurfaceLoadStore);
	cudaError_t e;

	if (!strcmp(what, "outside")) {
		outside<<<1, 1>>>(surface_of(a));
	} else {
		cudaTextureObject_t t = texture_of(a, how(im));
		Point *p;
		float *out;

		CHECK(cudaDestroyTextureObject(t));
		CHECK(cudaMalloc(&p, sizeof(*p)));
		CHECK(cudaMalloc(&out, 4));
		fetch<<<1, 1>>>(t, T2D, p, out, 1);
	}
	e = cudaDeviceSynchronize();
	printf("%s: %s\n", what, cudaGetErrorName(e));
	return e == cudaSuccess;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return must_fail(argv[1]);
	shapes();
	cubes();
	levels();
	formats();
	half_floats();
	plain_memory();
	gathers();
	surfaces();
	other_surfaces();
	views();
	if (wrong)
		printf("%d of %d values are wrong\n", wrong, checked);
	else
		printf("all %d values are right\n", checked);
	return wrong != 0;
}
