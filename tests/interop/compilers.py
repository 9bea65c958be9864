"""Compilers of C that are on this machine, and what they make of a header."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
from fastmlp import kernels

#: Whether ``predict`` fuses multiplication and addition, as headers do.
FUSED = kernels.info()["backend"] == "compiled" and kernels.info()["isa"] != "baseline"
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion")
#: Compiler, further flags, and what runs its programs.
COMPILERS = {
    "gcc": (("gcc",), ()),
    "clang": (("clang",), ()),
    "aarch64": (
        ("aarch64-linux-gnu-gcc", "-static"),
        ("qemu-aarch64",),
    ),
    "armv7": (
        ("arm-linux-gnueabihf-gcc", "-mcpu=cortex-a7", "-mfpu=vfpv4", "-static"),
        ("qemu-arm",),
    ),
    # x86-64 without AVX and FMA.
    "westmere": (("gcc",), ("qemu-x86_64", "-cpu", "Westmere")),
}
_MAIN = """\
#include <stdio.h>
#include <stdlib.h>
INCLUDES
int main(int n_arguments, char **arguments)
{
    static TYPE x[N_IN], y[N_OUT];
    const int which = n_arguments > 1 ? atoi(arguments[1]) : 0;
    if (SELF_TEST)
        return 1;
    while (fread(x, sizeof(TYPE), N_IN, stdin) == N_IN) {
        switch (which) {
CASES
        }
        fwrite(y, sizeof(TYPE), N_OUT, stdout);
    }
    return 0;
}
"""


def available() -> list[str]:
    """Names of the compilers that are installed with what runs their programs."""
    return [
        name
        for name, (command, runner) in COMPILERS.items()
        if all(shutil.which(program) for program in (command[0], *runner[:1]))
    ]


def build(folder: Path, headers, main: str, compiler: str = "gcc", level="-O1", more=()):
    """Compile ``main`` with headers (and ``more`` flags); the command that runs it."""
    for header in headers:
        (folder / f"{header.name}.h").write_text(header.text)
    source, program = folder / "main.c", folder / f"main-{compiler}"
    source.write_text(main)
    command, runner = COMPILERS[compiler]
    run = subprocess.run(
        [*command, *FLAGS, level, *more, "-I", folder, source, "-o", program, "-lm"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return [*runner, program]


def predict(folder: Path, headers, x, n_out: int, compiler: str = "gcc", **options):
    """Rows through ``NAME_predict`` of headers, all in one program: ``(headers, n, n_out)``.

    Self-tests that headers have are run first.
    """
    names = [header.name for header in headers]
    main = _MAIN.replace("INCLUDES", "\n".join(f'#include "{name}.h"' for name in names))
    cases = (f"        case {i}: {name}_predict(x, y); break;" for i, name in enumerate(names))
    main = main.replace("CASES", "\n".join(cases))
    tests = [f"!({h.name}_self_test() <= 1e-5)" for h in headers if "_self_test(void)" in h.text]
    main = main.replace("SELF_TEST", " || ".join(tests) or "0")
    main = main.replace("TYPE", "double" if x.dtype == np.float64 else "float")
    main = main.replace("N_IN", str(x.shape[1])).replace("N_OUT", str(n_out))
    command = build(folder, headers, main, compiler, **options)
    found = []
    for i in range(len(headers)):
        run = subprocess.run([*command, str(i)], input=x.tobytes(), capture_output=True, check=True)
        found.append(np.frombuffer(run.stdout, x.dtype).reshape(len(x), n_out))
    return np.array(found)


_EACH = """\
    {{
        static TYPE x[{rows} * {n_in}], y[{n_out}];
        if (fread(x, sizeof(TYPE), {rows} * {n_in}, stdin) != {rows} * {n_in})
            return 1;
        for (int k = 0; k < {rows}; k++) {{
            {name}_predict(x + k * {n_in}, y);
            fwrite(y, sizeof(TYPE), {n_out}, stdout);
        }}
    }}
"""


def predict_each(folder: Path, cases, compiler: str = "gcc", **options):
    """Headers with rows of their own, ``(header, x, n_out)``, all in one program."""
    main = "#include <stdio.h>\n" + "".join(f'#include "{h.name}.h"\n' for h, _, _ in cases)
    main += "int main(void)\n{\n"
    for header, x, n_out in cases:
        main += _EACH.format(name=header.name, rows=len(x), n_in=x.shape[1], n_out=n_out)
    dtype = cases[0][1].dtype
    main = f"{main}    return 0;\n}}\n".replace("TYPE", "double" if dtype == "f8" else "float")
    command = build(folder, [header for header, _, _ in cases], main, compiler, **options)
    rows = b"".join(x.tobytes() for _, x, _ in cases)
    done = subprocess.run(command, input=rows, capture_output=True, check=True)
    found, shapes = np.frombuffer(done.stdout, dtype), [(len(x), n) for _, x, n in cases]
    ends = np.cumsum([a * b for a, b in shapes])
    parts = np.split(found, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
