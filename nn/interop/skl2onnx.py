"""Our estimators in ``skl2onnx``, so that pipelines with them convert to ONNX.

>>> from fastmlp.interop import skl2onnx
>>> skl2onnx.register()                                         # doctest: +SKIP
>>> model = to_onnx(make_pipeline(StandardScaler(), MLPClassifier()).fit(X, y), X)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array
from ._libraries import need
from ._onnx.writer import OLDEST_OPSET, Graph

__all__ = ["register"]

_FOR = "fastmlp.interop.skl2onnx"


def register() -> None:
    """Tell ``skl2onnx`` how to convert ``MLPClassifier`` and ``MLPRegressor``.

    Once in a process; a second call changes nothing.

    Raises
    ------
    ImportError
        Where skl2onnx is not installed.
    """
    from ..estimators import MLPClassifier, MLPRegressor

    converters = need("skl2onnx", _FOR)
    shapes = need("skl2onnx.common.shape_calculator", _FOR, "skl2onnx")
    converters.update_registered_converter(
        MLPClassifier,
        "FastmlpMLPClassifier",
        shapes.calculate_linear_classifier_output_shapes,
        _classifier,
        options={
            "zipmap": [True, False, "columns"],
            "nocl": [True, False],
            "output_class_labels": [False, True],
            "raw_scores": [True, False],
        },
        overwrite=True,
    )
    converters.update_registered_converter(
        MLPRegressor,
        "FastmlpMLPRegressor",
        shapes.calculate_linear_regressor_output_shapes,
        _regressor,
        overwrite=True,
    )


class _Container(Graph):
    """The container of a conversion as a graph."""

    def __init__(self, scope: Any, container: Any, dtype: Any) -> None:
        super().__init__(dtype, int(container.target_opset))
        if self.opset < OLDEST_OPSET:
            raise RuntimeError(
                f"fastmlp's estimators need opset {OLDEST_OPSET} at least, got {self.opset}"
            )
        self.scope, self.container = scope, container

    def unique(self, stem: str) -> str:
        return str(self.scope.get_unique_variable_name(f"mlp_{stem}"))

    def add_node(self, op: str, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        name = self.scope.get_unique_operator_name(op)
        self.container.add_node(
            op, inputs, [output], name=name, op_version=self.opset, **attributes
        )

    def add_constant(self, name: str, array: Array) -> None:
        onnx = need("onnx", _FOR)
        if array.dtype.kind == "O":
            kind, values = onnx.TensorProto.STRING, [str(t).encode() for t in array.ravel()]
        else:
            kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            values = array.ravel().tolist()
        self.container.add_initializer(name, kind, list(array.shape), values)


def _begin(scope: Any, operator: Any, container: Any) -> tuple[Graph, Any]:
    """The graph, and the rows as its floats."""
    guess = need("skl2onnx.common.data_types", _FOR, "skl2onnx").guess_numpy_type
    dtype = guess(operator.inputs[0].type)
    known = dtype in (np.float32, np.float64)
    graph = _Container(scope, container, dtype if known else np.float32)
    x = graph.value(operator.inputs[0].full_name)
    return graph, x if known else x.apply("Cast", to=1)


def _regressor(scope: Any, operator: Any, container: Any) -> None:
    from ._onnx import export

    _, x = _begin(scope, operator, container)
    y = export.scores(x, operator.raw_operator)
    y.apply("Identity", name=operator.outputs[0].full_name)


def _classifier(scope: Any, operator: Any, container: Any) -> None:
    from ._onnx import export

    model = operator.raw_operator
    _, x = _begin(scope, operator, container)
    options = container.get_options(model, {"raw_scores": False})
    label, values = export.classifier(x, model, raw=bool(options["raw_scores"]))
    label.apply("Identity", name=operator.outputs[0].full_name)
    values.apply("Identity", name=operator.outputs[1].full_name)
