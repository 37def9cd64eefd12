# SPDX-License-Identifier: MIT
# python_cuda_core.py - NVIDIA's own Python: NVRTC to PTX, launch, streams, and machine code refused with its reason.
import numpy as np
from cuda.core import Device, LaunchConfig, LegacyPinnedMemoryResource, Program, ProgramOptions, launch
from python_check import check, refused

device = Device()
device.set_current()
stream = device.create_stream()
source = """
template <typename T> __global__ void add(const T *a, const T *b, T *c, size_t n)
{
	size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
	if (i < n)
		c[i] = a[i] + b[i];
}
"""


def kernel(kind, arch):
    program = Program(source, "c++", ProgramOptions(std="c++17", arch=arch))
    return program.compile(kind, name_expressions=("add<float>",)).get_kernel("add<float>")


def run_add():
    n = 1000
    memory = LegacyPinnedMemoryResource()
    buffers = [memory.allocate(n * 4, stream=stream) for _ in range(3)]
    a, b, c = (np.from_dlpack(x).view(np.float32) for x in buffers)
    a[:] = np.arange(n)
    b[:] = 5
    c[:] = 0
    launch(stream, LaunchConfig(grid=8, block=128), kernel("ptx", "compute_90"), *buffers, np.uint64(n))
    stream.sync()
    return np.array_equal(c, np.arange(n) + 5)


def run_copies():
    pinned = LegacyPinnedMemoryResource()
    a, b = (pinned.allocate(4096, stream=stream) for _ in range(2))
    d = device.allocate(4096, stream=stream)
    np.from_dlpack(a).view(np.uint8)[:] = np.arange(4096) % 251
    np.from_dlpack(b).view(np.uint8)[:] = 0
    a.copy_to(d, stream=stream)
    d.copy_to(b, stream=stream)
    stream.sync()
    return np.array_equal(np.from_dlpack(b).view(np.uint8), np.arange(4096) % 251)


check("device", lambda: device.name == "NVIDIA H100 80GB HBM3")
check("cc", lambda: tuple(device.compute_capability) == (9, 0))
check("sms", lambda: device.properties.multiprocessor_count == 132)
check("add", run_add)
check("copies", run_copies)
check("cubin_refused", lambda: refused("NO_BINARY_FOR_GPU", lambda: kernel("cubin", "sm_90")))
print("done")
