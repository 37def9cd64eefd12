# SPDX-License-Identifier: MIT
# python_numba.py - Numba kernels: NVVM makes PTX, cuLink takes it.
import numpy as np
from numba import cuda, float32
from python_check import check

name = cuda.get_current_device().name
check("device", lambda: (name if isinstance(name, str) else name.decode()) == "NVIDIA H100 80GB HBM3")
check("cc", lambda: tuple(cuda.get_current_device().compute_capability) == (9, 0))
check("memory", lambda: cuda.current_context().get_memory_info()[1] == 80 << 30)


@cuda.jit
def axpy(a, x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] += a * x[i]


@cuda.jit
def tiled(a, b, c):
    sa = cuda.shared.array((16, 16), float32)
    sb = cuda.shared.array((16, 16), float32)
    x, y = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    t = float32(0)
    for i in range(a.shape[1] // 16):
        sa[tx, ty] = a[x, ty + i * 16]
        sb[tx, ty] = b[tx + i * 16, y]
        cuda.syncthreads()
        for j in range(16):
            t += sa[tx, j] * sb[j, ty]
        cuda.syncthreads()
    c[x, y] = t


@cuda.jit
def histogram(x, h):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(h, x[i], 1)


@cuda.jit
def rotate(x):
    i = cuda.threadIdx.x
    x[i] = cuda.shfl_sync(0xFFFFFFFF, x[i], (i + 1) % 32)


@cuda.reduce
def total(a, b):
    return a + b


def run_axpy():
    x = np.arange(1000, dtype=np.float32)
    y = cuda.to_device(np.ones(1000, dtype=np.float32))
    axpy[8, 128](2, cuda.to_device(x), y)
    return np.array_equal(y.copy_to_host(), 2 * x + 1)


def run_tiled():
    a = np.random.default_rng(1).integers(-4, 5, (64, 64)).astype(np.float32)
    c = np.zeros_like(a)
    tiled[(4, 4), (16, 16)](a, a, c)
    return np.array_equal(c, a @ a)


def run_histogram():
    x = np.random.default_rng(2).integers(0, 10, 5000).astype(np.int32)
    h = np.zeros(10, np.int32)
    histogram[40, 128](x, h)
    return np.array_equal(h, np.bincount(x, minlength=10))


def run_rotate():
    x = np.arange(32, dtype=np.int32)
    rotate[1, 32](x)
    return np.array_equal(x, np.roll(np.arange(32), -1))


def run_stream():
    s = cuda.stream()
    x = cuda.pinned_array(4096, dtype=np.float64)
    x[:] = np.arange(4096)
    d = cuda.to_device(x, stream=s)
    axpy[32, 128, s](1, d, d)
    d.copy_to_host(x, stream=s)
    s.synchronize()
    return np.array_equal(x, 2 * np.arange(4096))


check("axpy", run_axpy)
check("shared", run_tiled)
check("atomic", run_histogram)
check("shuffle", run_rotate)
check("reduce", lambda: total(np.arange(1000, dtype=np.int64)) == 499500)
check("stream", run_stream)
print("done")
