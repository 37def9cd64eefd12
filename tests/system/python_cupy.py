# SPDX-License-Identifier: MIT
# python_cupy.py - CuPy: its own kernels (NVRTC, PTX), its precompiled ones, and NVIDIA's libraries below it.
import cupy as cp
import numpy as np
from python_check import check

square = cp.RawKernel(
    r"""extern "C" __global__ void square(const float *a, float *b, int n)
        { int i = blockDim.x * blockIdx.x + threadIdx.x; if (i < n) b[i] = a[i] * a[i]; }""",
    "square",
)
rng = np.random.default_rng(3)


def run_raw():
    a = cp.arange(1000, dtype=cp.float32)
    b = cp.zeros_like(a)
    square((8,), (128,), (a, b, np.int32(1000)))
    return np.array_equal(b.get(), np.arange(1000, dtype=np.float32) ** 2)


def run_matmul():
    a = rng.integers(-4, 5, (64, 64)).astype(np.float32)
    return np.array_equal((cp.asarray(a) @ cp.asarray(a)).get(), a @ a)


def run_sort():
    a = rng.permutation(10000)
    return np.array_equal(cp.sort(cp.asarray(a)).get(), np.arange(10000))


def run_fft():
    a = rng.standard_normal(256)
    return np.allclose(cp.fft.fft(cp.asarray(a)).get(), np.fft.fft(a))


check("device", lambda: cp.cuda.runtime.getDeviceProperties(0)["name"] == b"NVIDIA H100 80GB HBM3")
check("memory", lambda: cp.cuda.runtime.memGetInfo()[1] == 80 << 30)
check("copies", lambda: np.array_equal(cp.asarray(np.arange(100000)).get(), np.arange(100000)))
check("add", lambda: np.array_equal((cp.arange(1000) + cp.arange(1000)).get(), 2 * np.arange(1000)))
check("sin", lambda: np.allclose(cp.sin(cp.linspace(0, 6, 100)).get(), np.sin(np.linspace(0, 6, 100))))
check("raw", run_raw)
check("sum", lambda: int(cp.arange(100000).sum()) == 4999950000)
check("scan", lambda: np.array_equal(cp.cumsum(cp.arange(3000)).get(), np.cumsum(np.arange(3000))))
check("sort", run_sort)
check("matmul", run_matmul)
check("fft", run_fft)
check("random", lambda: 0.45 < float(cp.random.default_rng(1).random(10000).mean()) < 0.55)
print("done")
