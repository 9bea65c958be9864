"""Which cores to run on, and a description of the machine for the results.

Nothing here imports NumPy: the cores must be chosen before any library starts its threads.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "fastmlp",
    "numpy",
    "numba",
    "scikit-learn",
    "torch",
    "jax",
    "jaxlib",
    "onnxruntime",
)


#: Holds a library to AVX2 on a machine that has more.
AVX2_ALONE = {
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}

#: What an environment may hold a library to: inherited values would hold the rivals alone.
HOLDING = (*AVX2_ALONE, "OPENBLAS_L2_SIZE")


def usable_cores() -> list[int]:
    """Usable cores, one hardware thread of each physical core before the second ones."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count() or 1))
    first, second, seen = [], [], set()
    for core in sorted(os.sched_getaffinity(0)):
        file = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        siblings = file.read_text() if file.exists() else str(core)
        (second if siblings in seen else first).append(core)
        seen.add(siblings)
    return first + second


def pin(cores: list[int]) -> bool:
    """Keep this process on these cores; ``False`` where the system has no such call."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, cores)
    return True


def library_environment(n_threads: int) -> dict[str, str]:
    """Environment that limits every library to ``n_threads`` and to ``instruction_set()``.

    Set before they are imported. ONNX Runtime and the matrix products of XLA know no limit of the
    instruction set: see ``is_held``.
    """
    names = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMBA_NUM_THREADS",
        "NPROC",  # size of XLA's thread pool
    )
    environment = dict.fromkeys(names, str(n_threads))
    several = "true" if n_threads > 1 else "false"
    environment["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={several}"
    environment["JAX_PLATFORMS"] = "cpu"
    if is_held():
        environment |= AVX2_ALONE
    return environment


def environment(n_threads: int) -> dict[str, str]:
    """The whole environment of a measurement, without what else would hold a library back."""
    free = {name: value for name, value in os.environ.items() if name not in HOLDING}
    return free | library_environment(n_threads)


def enter(n_threads: int) -> None:
    """Make it the environment of this process, before any library is imported."""
    wanted = environment(n_threads)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)


def is_held() -> bool:
    """Whether contenders are held to AVX2 on a machine that has more."""
    return instruction_set() == "avx2" and widest_instruction_set() == "avx512"


def processor() -> tuple[str, set[str]]:
    """Model name and instruction set flags."""
    file = Path("/proc/cpuinfo")
    if file.exists():
        text = file.read_text()
        name = re.search(r"^(?:model name|Model|Processor)\s*:\s*(.+)$", text, re.MULTILINE)
        flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
        return (
            name.group(1) if name else platform.machine(),
            set(flags.group(1).split()) if flags else set(),
        )
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip(), set()
    return platform.processor() or platform.machine(), set()


def instruction_set() -> str:
    """What all contenders run on: the widest of this machine, or the one that FASTMLP_ISA names."""
    return os.environ.get("FASTMLP_ISA") or widest_instruction_set()


def widest_instruction_set() -> str:
    """Widest instruction set with fused multiply-add: avx512, avx2, neon, or baseline."""
    _, flags = processor()
    if "avx512f" in flags:
        return "avx512"
    if {"avx2", "fma"} <= flags:
        return "avx2"
    return "neon" if platform.machine() in ("aarch64", "arm64") else "baseline"


def caches() -> dict[str, int]:
    """Bytes of data that one core has in each level, as fastmlp sees them."""
    try:
        from fastmlp import kernels

        found = kernels.info()["caches"]
    except (ImportError, KeyError):  # a version without
        return {}
    assert isinstance(found, dict)
    return found


def describe() -> dict[str, object]:
    """Processor, instruction set, cores, load and versions, for the head of the results."""
    name, _ = processor()
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": name,
        "architecture": platform.machine(),
        "instruction_set": instruction_set(),
        "widest_instruction_set": widest_instruction_set(),
        "caches": caches(),
        "system": f"{platform.system()} {platform.release()}",
        "usable_cores": len(usable_cores()),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": versions,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
