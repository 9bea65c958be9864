"""Every kernel of every available backend against pure NumPy, verified before it is timed.

pytest benchmarks/test_kernels.py --benchmark-group-by=group
"""

from __future__ import annotations

import pytest
from fastmlp import kernels
from harness.kernels import CASES, Arrays

SIZES = (16, 32, 64, 128, 256, 512, 1024)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("contender", [*kernels.available(), "numpy"])
@pytest.mark.parametrize("kernel", CASES)
def test_kernel(benchmark, kernel, contender, size, dtype):
    benchmark.group = f"{kernel}, {size} rows, {size} x {size} weights, {dtype}"
    backend = "reference" if contender == "numpy" else contender
    with kernels.use_backend(backend):
        case = CASES[kernel](Arrays(size, size, size, dtype), 1)
        case.verify()
        benchmark.extra_info["flops"] = case.flops
        benchmark(case.numpy if contender == "numpy" else case.fastmlp)
