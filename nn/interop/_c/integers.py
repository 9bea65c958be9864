"""Predictions with weights and activations of 8 bits.

``q(x) = round(x / s)`` within ±127. The scale of a weight column is its largest magnitude over 127;
that of a layer's inputs is the largest magnitude over 127 that they have on calibration rows. Sums
are integers, exactly; ``z = sum · (s_x s_w) + b`` and the activation are floats, for each neuron.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from fastmlp.kernels import activate

from ..._network import decisions
from ..._typing import Array
from . import predictions
from .functions import Functions
from .language import Real, array
from .vectors import Variant

#: So many inputs a sum of 32 bits holds.
_MOST_INPUTS = (2**31 - 1) // 127**2


@dataclass(frozen=True)
class Loss:
    """What 8 bits cost, measured on the calibration rows.

    Attributes
    ----------
    largest, mean : float
        Difference of the outputs, its magnitude.
    same_class : float
        Share of the rows whose class (the highest output, or side of the threshold) is unchanged.
    accuracy, accuracy_int8 : float or None
        Share of rows whose class is right, where targets were given.
    """

    largest: float
    mean: float
    same_class: float
    accuracy: float | None = None
    accuracy_int8: float | None = None

    def __str__(self) -> str:
        text = (
            f"int8: outputs differ by {self.largest:.3g} at most, {self.mean:.3g} on average; "
            f"{100 * self.same_class:.2f} % of the rows keep their class"
        )
        if self.accuracy is not None and self.accuracy_int8 is not None:
            text += f"; accuracy {100 * self.accuracy:.2f} % -> {100 * self.accuracy_int8:.2f} %"
        return text


class Quantised:
    """A network in integers, also as NumPy computes it."""

    def __init__(self, network: Any, x: Array) -> None:
        self.architecture = network.architecture
        if max(self.architecture.sizes[:-1]) > _MOST_INPUTS:
            raise ValueError(
                f"int8 layers have at most {_MOST_INPUTS} inputs, got {self.architecture.sizes}"
            )
        self.weights: list[Array] = []
        self.scales: list[Array] = []
        self.inverses: list[Any] = []
        self.biases = [np.asarray(b, np.float32) for b in network.biases]
        a = x.astype(np.float32)
        for i, w in enumerate(network.weights):
            top = np.float32(np.abs(a).max(initial=0))
            scale = top / np.float32(127) if top > 0 else np.float32(1)
            columns = np.abs(w).max(axis=0).astype(np.float32) / np.float32(127)
            columns = np.where(columns > 0, columns, np.float32(1)).astype(np.float32)
            self.weights.append(np.clip(np.rint(w / columns), -127, 127).astype(np.int8))
            self.scales.append(scale * columns)
            self.inverses.append(np.float32(1) / scale)
            a = self._layer(i, a @ np.asarray(w, np.float32) + self.biases[i])

    def predict(self, x: Array) -> Array:
        """What the C code computes."""
        a = x.astype(np.float32)
        for i, w in enumerate(self.weights):
            q = np.clip(np.rint(np.clip(a * self.inverses[i], -127, 127)), -127, 127)
            sums = (q.astype(np.float64) @ w.astype(np.float64)).astype(np.float32)
            a = self._layer(i, sums * self.scales[i] + self.biases[i])
        return a

    def _layer(self, i: int, z: Array) -> Array:
        net = self.architecture
        activation = net.output if i == len(net.activations) else net.activations[i]
        if isinstance(activation, str):
            return activate(np.ascontiguousarray(z, np.float32), activation)
        value: Array = activation.evaluate(z)[0]
        return value


def measured(network: Any, quantised: Quantised, x: Array, y: Any) -> Loss:
    """Outputs and decisions beside those of the network."""
    exact, rough = network.predict(x), quantised.predict(x)
    bound = decisions.threshold(network.architecture.output)
    classes, classes_8 = decisions.classes(exact, bound), decisions.classes(rough, bound)
    difference = np.abs(exact - rough)
    right: list[float | None] = [None, None]
    if y is not None:
        truth = decisions.true_classes(np.asarray(y))
        if truth is None or len(truth) != len(x):
            raise ValueError("the targets of calibration rows must name one class for each row")
        right = [float(np.mean(c == truth)) for c in (classes, classes_8)]
    same = float(np.mean(classes == classes_8))
    return Loss(float(difference.max()), float(difference.mean()), same, right[0], right[1])


def predictor(name: str, quantised: Quantised) -> str:
    """Weights, and the function that predicts one row."""
    real, architecture = Real(np.float32), quantised.architecture
    parts = []
    for i, w in enumerate(quantised.weights):
        parts.append(array("int8_t", f"{name}_w{i}", map(str, w.T.ravel().tolist())))
        parts.append(real.array(f"{name}_s{i}", quantised.scales[i]))
        parts.append(real.array(f"{name}_b{i}", quantised.biases[i]))

    def dense(variant: Variant, i: int) -> list[str]:
        n_in, n_out = architecture.layer_shapes[i]
        inverse, w, s, b = real.number(quantised.inverses[i]), *(f"{name}_{c}{i}" for c in "wsb")
        return [
            f"    {variant.prefix}_quantise(from, q, {n_in}, {inverse});",
            f"    {variant.prefix}_dense(q, {w}, {s}, {b}, to, {n_in}, {n_out});",
        ]

    code = predictions.code(
        Functions(name, real),
        architecture,
        lambda variant: variant.filled(_KERNELS),
        dense,
        f"    int8_t q[{max(architecture.sizes[:-1])}];\n",
    )
    return "\n".join([*parts, code])


_KERNELS = """\
/* NaN counts as 0. */
static inline void @quantise(const float *x, int8_t *q, int n, float inverse)
{
    int i;
    for (i = 0; i < n; i++) {
        float v = x[i] * inverse;
        v = v > -127.0 ? (v < 127.0 ? v : 127.0) : (v == v ? -127.0 : 0.0);
#if FLT_EVAL_METHOD == 0
        q[i] = (int8_t)(v + 12582912.0 - 12582912.0); /* the sum rounds to integers */
#else
        q[i] = (int8_t)lrintf(v);
#endif
    }
}

/* The sum of q w: of integers, and so the same in any order. */
static inline int32_t @dot(const int8_t *q, const int8_t *w, int n)
{
    int32_t sum = 0;
    int i = 0;
#if AVX2
    __m256i sums = _mm256_setzero_si256();
    int32_t parts[8];
    for (; i + 16 <= n; i += 16) {
        const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(q + i));
        const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(w + i));
        sums = _mm256_add_epi32(
            sums, _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b)));
    }
    _mm256_storeu_si256((__m256i *)(void *)parts, sums);
    sum = (parts[0] + parts[1] + parts[2] + parts[3]) + (parts[4] + parts[5] + parts[6] + parts[7]);
#elif VECTORS && defined(__aarch64__)
    int32x4_t sums = vdupq_n_s32(0);
    for (; i + 8 <= n; i += 8)
        sums = vpadalq_s16(sums, vmull_s8(vld1_s8(q + i), vld1_s8(w + i)));
    sum = vaddvq_s32(sums);
#endif
    for (; i < n; i++)
        sum += (int32_t)q[i] * w[i];
    return sum;
}

static inline void @dense(const int8_t *q, const int8_t *w, const float *scale, const float *b,
                              float *y, int n_in, int n_out)
{
    EXACT
    int j;
    for (j = 0; j < n_out; j++, w += n_in)
        y[j] = (float)@dot(q, w, n_in) * scale[j] + b[j];
}
"""
