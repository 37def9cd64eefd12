# SPDX-License-Identifier: MIT
# python_torch.py - PyTorch: the device, memory, copies, cuBLAS below it. Its own kernels are machine code alone.
import torch
from python_check import check, refused

ints = torch.Generator().manual_seed(4)
cpu = torch.randint(-4, 5, (64, 64), generator=ints).float()


def run_copies():
    a = torch.arange(100000, dtype=torch.float32)
    return torch.equal(a.cuda().clone().cpu(), a)


def run_pinned():
    a = torch.arange(4096).pin_memory()
    b = torch.empty(4096, dtype=a.dtype, device="cuda")
    with torch.cuda.stream(torch.cuda.Stream()):
        b.copy_(a, non_blocking=True)
        torch.cuda.current_stream().synchronize()
    return torch.equal(b.cpu(), a)


check("available", lambda: torch.cuda.is_available() and torch.cuda.device_count() == 1)
check("name", lambda: torch.cuda.get_device_name(0) == "NVIDIA H100 80GB HBM3")
check("properties", lambda: torch.cuda.get_device_properties(0).multi_processor_count == 132)
check("cc", lambda: torch.cuda.get_device_capability(0) == (9, 0))
check("memory", lambda: torch.cuda.mem_get_info()[1] == 80 << 30)
check("empty", lambda: torch.empty(1000, device="cuda").shape == (1000,))
check("copies", run_copies)
check("pinned", run_pinned)
check("matmul", lambda: torch.equal((cpu.cuda() @ cpu.cuda()).cpu(), cpu @ cpu))
check("batched", lambda: torch.equal(torch.bmm(cpu.view(4, 16, 64).cuda(), cpu.view(4, 64, 16).cuda()).cpu(),
                                     torch.bmm(cpu.view(4, 16, 64), cpu.view(4, 64, 16))))
check("own_kernels_refused", lambda: refused("no kernel image", lambda: cpu.cuda() + 1))
print("done")
