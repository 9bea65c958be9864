"""The activations of ``vectors`` in C; see ``variant_texts`` for how it is written."""

from __future__ import annotations

from . import vector_math

#: Name, or name and bits, to the text. Those of activations begin with ``@v_`` and their name.
FUNCTIONS: dict[str | tuple[str, int], str] = {
    **vector_math.FUNCTIONS,
    "tanh": """\
INLINE @v_tanh(VEC x)
{
    const INTS sign = (INTS)@splat(-0.0);
    const VEC t = @expm1_below((VEC)((INTS)(x + x) | sign));
    return (VEC)((INTS)@absolute(t / (t + 2.0)) | ((INTS)x & sign));
}
""",
    "sigmoid": """\
INLINE @v_sigmoid(VEC x)
{
    const VEC e = @exp_down(x);
    return @blend((INTS)(x < @splat(0.0)), e, @splat(1.0)) / (e + 1.0);
}
""",
    "hardtanh": """\
INLINE @v_hardtanh(VEC z) { return @minimum(@splat(1.0), @maximum(@splat(-1.0), z)); }
""",
    "relu": """\
INLINE @v_relu(VEC z) { return @maximum(@splat(0.0), z); }
""",
    "leaky_relu": """\
INLINE @v_leaky_relu(VEC z) { return @blend((INTS)(z > @splat(0.0)), z, 0.01 * z); }
""",
    "elu": """\
INLINE @v_elu(VEC z)
{
    return @blend((INTS)(z > @splat(0.0)), z, @expm1_below(@minimum(@splat(0.0), z)));
}
""",
    "selu": """\
INLINE @v_selu(VEC z)
{
    const VEC below = SELU_LOWEST * @expm1_below(@minimum(@splat(0.0), z));
    return @blend((INTS)(z > @splat(0.0)), 1.0507009873554804934 * z, below);
}
""",
    "softplus": """\
INLINE @v_softplus(VEC x)
{
    const VEC e = @exp_down(x), u = e + 1.0;
    return @maximum(@splat(0.0), x) + (@v_log(u) + (e - (u - 1.0)) / u);
}
""",
    "softsign": """\
INLINE @v_softsign(VEC z)
{
    const VEC x = @minimum(@splat(1.0e30), @maximum(@splat(-1.0e30), z));
    return x / (@absolute(x) + 1.0);
}
""",
    "sigmoid_below": """\
/* z s(z) needs s = e / (1 + e) below zero and 1 / (1 + e) above, e = exp(-|z|). */
INLINE @factor(VEC z)
{
    const VEC e = @exp_down(z), large = 1.0 / (e + 1.0);
    return @blend((INTS)(z < @splat(0.0)), e * large, large);
}
""",
    "silu": """\
INLINE @v_silu(VEC z)
{
    const VEC above = @maximum(@splat(EXP_LOWEST), z);
    return above * @factor(above);
}
""",
    "gelu": """\
INLINE @v_gelu(VEC z)
{
    const VEC above = @maximum(@splat(-TAIL_END), z), tail = @tail(@absolute(z));
    return above * @blend((INTS)(z < @splat(0.0)), tail, 1.0 - tail);
}
""",
    "gelu_tanh": """\
INLINE @v_gelu_tanh(VEC z)
{
    const VEC above = @maximum(@splat(-30.0), z), inside = @minimum(@splat(30.0), above);
    const VEC square = 0.044715 * inside * inside;
    return above * @factor(1.5957691216057307118 * inside * (square + 1.0));
}
""",
    "mish": """\
INLINE @v_mish(VEC z)
{
    const VEC above = @maximum(@splat(EXP_LOWEST), z), e = @exp_down(above), square = e * e;
    const INTS below = (INTS)(z < @splat(0.0));
    const VEC two_e = e + e, n = @blend(below, square + two_e, two_e + 1.0);
    const VEC r = 1.0 / (n + @blend(below, @splat(2.0), square + square));
    return above * (n * r);
}
""",
}
#: What else has to be there.
NEEDS: dict[str, tuple[str, ...]] = {
    **vector_math.NEEDS,
    **dict.fromkeys(("tanh", "elu", "selu"), ("expm1",)),
    **dict.fromkeys(("sigmoid", "mish", "sigmoid_below"), ("exp",)),
    **dict.fromkeys(("silu", "gelu_tanh"), ("sigmoid_below",)),
    "softplus": ("exp", "log"),
    "gelu": ("tail",),
}
