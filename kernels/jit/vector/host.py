"""What the host CPU offers: vector width, fused multiply-add, and the register tiles that fit.

Everything that depends on the instruction set is in this file; the kernels are described once, for
any width. A *panel* is one cache line of columns, 64 bytes: 16 float32 or 8 float64.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

from .._llvm import cpu

#: Bytes of a panel's row, and the alignment of everything in an arena.
LINE = 64


@dataclass(frozen=True)
class Host:
    """Instruction set of this machine, and tile sizes for it.

    Attributes
    ----------
    isa : str
    vector_bytes : int
        Width of a vector register.
    fused : bool
        Whether a fused multiply-add is one instruction; else products are rounded.
    forward_rows, forward_panels : int
        Most rows and panels of a forward tile; its accumulators and operands fill the registers.
    gradient_rows, gradient_panels : int
        Most features and panels of a gradient tile.
    group : int
        Vectors that go through a long chain of operations side by side.
    """

    isa: str
    vector_bytes: int
    fused: bool
    forward_rows: int
    forward_panels: int
    gradient_rows: int
    gradient_panels: int
    group: int


# 32 registers of 64 bytes: 12 × 2 accumulators, 2 for the panels' row, 1 or more for broadcasts.
# 16 registers of 32 bytes: 6 × (1 panel of 2), as fewer accumulators do not hide the FMA's latency.
# 32 registers of 16 bytes (NEON): 6 × (1 panel of 4). Without FMA: 3 × 4 of 16 registers.
HOSTS = {
    "avx512": Host("avx512", 64, True, 12, 2, 8, 2, 8),
    "avx2": Host("avx2", 32, True, 6, 1, 6, 1, 1),
    "neon": Host("neon", 16, True, 6, 1, 6, 1, 1),
    "baseline": Host("baseline", 16, False, 3, 1, 3, 1, 1),
}


@functools.cache
def host() -> Host:
    """The host that LLVM compiles for; ``FASTMLP_ISA`` may name a narrower one of it.

    Raises
    ------
    ValueError
        Where it names what this machine does not have.
    """
    triple, _, features = cpu()
    flags = set(features.split(","))
    if triple.startswith(("aarch64", "arm64")):
        able = ["neon"]
    elif {"+avx2", "+fma"} <= flags:
        able = ["avx512"] * ({"+avx512f", "+avx512dq", "+avx512vl"} <= flags) + ["avx2", "baseline"]
    else:
        able = ["baseline"]
    wanted = os.environ.get("FASTMLP_ISA", "").strip()
    if wanted and wanted.lower() not in able:
        usable = ", ".join(able)
        raise ValueError(f"FASTMLP_ISA={wanted!r} cannot be used here; usable: {usable}")
    return HOSTS[wanted.lower() or able[0]]
