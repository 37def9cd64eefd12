// SPDX-License-Identifier: MIT
// kernels.cl - the kernels of kernels.cu in OpenCL 1.2, for pocl. What OpenCL has no words for is written as
// one writes it there: sums of a work-group go through local memory, bytes are multiplied as char4.

#define THREADS 256

kernel void saxpy(float a, global const float *x, global const float *y, global float *out, int n)
{
	int i = get_global_id(0);

	if (i < n)
		out[i] = a * x[i] + y[i];
}

float block_sum(float v, local float *part)
{
	int me = get_local_id(0);

	barrier(CLK_LOCAL_MEM_FENCE);
	part[me] = v;
	barrier(CLK_LOCAL_MEM_FENCE);
	for (int d = THREADS / 2; d; d /= 2) {
		if (me < d)
			part[me] += part[me + d];
		barrier(CLK_LOCAL_MEM_FENCE);
	}
	return part[0];
}

float block_max(float v, local float *part)
{
	int me = get_local_id(0);

	barrier(CLK_LOCAL_MEM_FENCE);
	part[me] = v;
	barrier(CLK_LOCAL_MEM_FENCE);
	for (int d = THREADS / 2; d; d /= 2) {
		if (me < d)
			part[me] = fmax(part[me], part[me + d]);
		barrier(CLK_LOCAL_MEM_FENCE);
	}
	return part[0];
}

kernel void reduction(global const float *in, global float *out, int n)
{
	local float part[THREADS];
	int me = get_local_id(0);
	float sum = 0;

	for (int i = get_global_id(0); i < n; i += get_global_size(0))
		sum += in[i];
	part[me] = sum;
	barrier(CLK_LOCAL_MEM_FENCE);
	for (int d = THREADS / 2; d; d /= 2) {
		if (me < d)
			part[me] += part[me + d];
		barrier(CLK_LOCAL_MEM_FENCE);
	}
	if (me == 0)
		out[get_group_id(0)] = part[0];
}

kernel void transpose(global const float *in, global float *out, int n)
{
	local float tile[32][33];
	int tx = get_local_id(0), ty = get_local_id(1), bx = get_group_id(0), by = get_group_id(1);
	int x = bx * 32 + tx, y = by * 32 + ty;

	for (int i = 0; i < 32; i += 8)
		tile[ty + i][tx] = in[(y + i) * n + x];
	barrier(CLK_LOCAL_MEM_FENCE);
	x = by * 32 + tx;
	y = bx * 32 + ty;
	for (int i = 0; i < 32; i += 8)
		out[(y + i) * n + x] = tile[tx][ty + i];
}

kernel void stencil(global const float *in, global float *out, int n)
{
	int x = get_global_id(0), y = get_global_id(1);

	if (x > 0 && y > 0 && x < n - 1 && y < n - 1)
		out[y * n + x] = 0.5f * in[y * n + x] +
				 0.125f * (in[y * n + x - 1] + in[y * n + x + 1] +
					   in[(y - 1) * n + x] + in[(y + 1) * n + x]);
}

kernel void histogram(global const unsigned int *in, global unsigned int *out, int n)
{
	local unsigned int bins[256];
	int me = get_local_id(0);

	bins[me] = 0;
	barrier(CLK_LOCAL_MEM_FENCE);
	for (int i = get_global_id(0); i < n; i += get_global_size(0)) {
		unsigned int v = in[i];

		atomic_inc(&bins[v & 255]);
		atomic_inc(&bins[v >> 8 & 255]);
		atomic_inc(&bins[v >> 16 & 255]);
		atomic_inc(&bins[v >> 24]);
	}
	barrier(CLK_LOCAL_MEM_FENCE);
	atomic_add(&out[me], bins[me]);
}

kernel void nbody(global const float4 *in, global float4 *out, int n)
{
	local float4 tile[THREADS];
	int i = get_global_id(0), me = get_local_id(0);
	float4 at = in[i], sum = 0;

	for (int j = 0; j < n; j += THREADS) {
		tile[me] = in[j + me];
		barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 8
		for (int k = 0; k < THREADS; k++) {
			float4 o = tile[k];
			float dx = o.x - at.x, dy = o.y - at.y, dz = o.z - at.z;
			float r = native_rsqrt(dx * dx + dy * dy + dz * dz + 1e-3f), f = o.w * r * r * r;

			sum.x += dx * f;
			sum.y += dy * f;
			sum.z += dz * f;
		}
		barrier(CLK_LOCAL_MEM_FENCE);
	}
	out[i] = sum;
}

#define TILE 16

kernel void sgemm(global const float *a, global const float *b, global float *c, int n)
{
	local float as[TILE][TILE], bs[TILE][TILE];
	int tx = get_local_id(0), ty = get_local_id(1);
	int row = get_global_id(1), col = get_global_id(0);
	float sum = 0;

	for (int k = 0; k < n; k += TILE) {
		as[ty][tx] = a[row * n + k + tx];
		bs[ty][tx] = b[(k + ty) * n + col];
		barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
		for (int i = 0; i < TILE; i++)
			sum += as[ty][i] * bs[i][tx];
		barrier(CLK_LOCAL_MEM_FENCE);
	}
	c[row * n + col] = sum;
}

kernel void softmax(global const float *in, global float *out, int n)
{
	local float part[THREADS];
	global const float *row = in + get_group_id(0) * n;
	float most = -INFINITY, sum = 0;

	for (int i = get_local_id(0); i < n; i += THREADS)
		most = fmax(most, row[i]);
	most = block_max(most, part);
	for (int i = get_local_id(0); i < n; i += THREADS)
		sum += exp(row[i] - most);
	sum = 1 / block_sum(sum, part);
	for (int i = get_local_id(0); i < n; i += THREADS)
		out[get_group_id(0) * n + i] = exp(row[i] - most) * sum;
}

kernel void layernorm(global const float *in, global const float *scale, global const float *bias,
		      global float *out, int n)
{
	local float part[THREADS];
	global const float *row = in + get_group_id(0) * n;
	float sum = 0, var = 0;

	for (int i = get_local_id(0); i < n; i += THREADS)
		sum += row[i];
	sum = block_sum(sum, part) / n;
	for (int i = get_local_id(0); i < n; i += THREADS)
		var += (row[i] - sum) * (row[i] - sum);
	var = rsqrt(block_sum(var, part) / n + 1e-5f);
	for (int i = get_local_id(0); i < n; i += THREADS)
		out[get_group_id(0) * n + i] = (row[i] - sum) * var * scale[i] + bias[i];
}

// 32 work-items per row; there are no warps that could exchange their sums.
kernel void dot8(global const char4 *a, global const char4 *x, global int *y, int words)
{
	local int part[THREADS];
	int me = get_local_id(0), row = get_group_id(0) * (THREADS / 32) + me / 32, sum = 0;

	for (int i = me % 32; i < words; i += 32) {
		int4 p = convert_int4(a[row * words + i]) * convert_int4(x[i]);

		sum += p.x + p.y + p.z + p.w;
	}
	part[me] = sum;
	barrier(CLK_LOCAL_MEM_FENCE);
	for (int d = 16; d; d /= 2) {
		if (me % 32 < d)
			part[me] += part[me + d];
		barrier(CLK_LOCAL_MEM_FENCE);
	}
	if (me % 32 == 0)
		y[row] = part[me];
}
