"""The functions that predict one row, in one or two variants.

``NAME_predict_with`` uses what the compiler may use. For x86-64 that is AVX2 and FMA only if it is
told so, though nearly all processors have them; where it is not, the same code is there once more
as ``NAME_avx2_…``, and the processor is asked. So the default build is fast there, and its products
and sums are fused as those of ``predict``, which gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import variant_texts as texts
from .functions import Functions
from .vectors import Variant

#: The functions of a variant that compute layers.
Kernels = Callable[[Variant], str]
#: Statements that compute a layer from ``from`` into ``to``, for a variant and the layer's index.
Dense = Callable[[Variant, int], list[str]]


def scratch_sizes(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Elements of the two buffers between which hidden layers alternate."""
    hidden = sizes[1:-1]
    return max(hidden[0::2], default=0), max(hidden[1::2], default=0)


def code(
    functions: Functions, architecture: Any, kernels: Kernels, dense: Dense, begin: str = ""
) -> str:
    """Everything but the weights.

    Parameters
    ----------
    functions : Functions
        Of this header; what they need is found out here.
    architecture : fastmlp.kernels.Architecture
    kernels : callable
        The functions that ``dense`` calls.
    begin : str
        Declarations at the top of the function.
    """
    name, real = functions.name, functions.real
    steps = [functions.run(a) for a in (*architecture.activations, architecture.output)]
    told, asked = Variant(name, real), Variant(name, real, asked=True)
    t = real.name

    def code_of(variant: Variant) -> str:
        ask = "" if variant.asked else told.filled(_ASK.replace("NAME", name))
        body = _layers(variant, architecture, steps, dense)
        text = [
            variant.support(functions.vectors),
            kernels(variant),
            functions.over_memory(variant),
            f"static inline void {variant.prefix}_predict_with(const {t} *x, {t} *y, "
            f"{t} *scratch)\n{{\n{ask}{begin}{body}}}\n",
        ]
        return variant.finished("\n".join(text))

    whole = [
        *functions.text,
        told.filled(texts.BEGIN),
        code_of(asked),
        code_of(told),
        told.filled(texts.END),
        f"static inline void {name}_predict(const {t} *x, {t} *y)\n{{\n"
        f"    {t} scratch[{name.upper()}_SCRATCH];\n    {name}_predict_with(x, y, scratch);\n}}\n",
    ]
    return "\n".join(whole)


_ASK = """\
#if ASK
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        NAME_avx2_predict_with(x, y, scratch);
        return;
    }
#endif
"""


def _layers(variant: Variant, architecture: Any, steps: list[str | None], dense: Dense) -> str:
    """The body of a prediction: each layer from one buffer into the other."""
    last = len(architecture.activations)
    first, _ = scratch_sizes(architecture.sizes)
    lines: list[str] = []
    for i, (_, n_out) in enumerate(architecture.layer_shapes):
        if i == last:
            lines.append("    to = y;")
        else:
            lines.append(f"    to = scratch{f' + {first}' if i % 2 else ''};")
        lines += dense(variant, i)
        if steps[i] is not None:
            lines.append(f"    {variant.prefix}_{steps[i]}(to, {n_out});")
        if i < last:
            lines.append("    from = to;")
    if not last:
        lines.append("    (void)scratch;")
    counted = any("for (j" in line for line in lines)
    t = variant.real.name
    head = [f"    const {t} *from = x;", f"    {t} *to;"]
    head += ["    int j;"] if counted else []
    return "\n".join([*head, *lines]) + "\n"
