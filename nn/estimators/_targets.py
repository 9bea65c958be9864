"""Labels of a classifier: what they are, how they become targets, and what weighs them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._inputs import sparse
from .._typing import Array
from ..metrics import accuracy
from . import _labels, _names
from ._base import BaseMLP
from ._labels import MULTILABEL, LabelCodes


class Labelled(BaseMLP):
    """The part of :class:`MLPClassifier` that knows its labels."""

    class_weight: Any
    classes_: Array
    _label_binarizer: Any

    def _labels(self) -> Any:
        """Codes of the labels, also where fitted attributes were assigned by hand."""
        known = self.__dict__.get("_label_binarizer")
        if known is not None:
            return known
        classes = np.asarray(self.classes_)
        codes = LabelCodes.of_classes(classes)
        if self.out_activation_ == "logistic" and len(self.intercepts_[-1]) > 1:
            codes = LabelCodes(classes, MULTILABEL)
        return codes

    # Fitting

    def _shape_targets(self, y: Any) -> Any:
        return y if sparse.is_sparse(y) else _labels.plain(_labels.flatten_column(y))

    def _learn_targets(self, y: Array, first_pass: bool, incremental: bool, classes: Any) -> None:
        found = LabelCodes.of(y)
        known: Any = found
        first = classes is not None and not hasattr(self, "classes_")
        if first and found.y_type_ != MULTILABEL:
            known = LabelCodes.of_classes(classes)
        elif hasattr(self, "classes_") and (self.warm_start or incremental):
            known = self._labels()
            # `partial_fit` may see a part of the classes, a warm start must see the same.
            if self.warm_start and not np.array_equal(found.classes_, known.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the "
                    f"previous call to fit. Previously got {known.classes_}, `y` has "
                    f"{found.classes_}"
                )
            if (found.y_type_ == MULTILABEL) != (known.y_type_ == MULTILABEL):
                raise ValueError("y must hold the same kind of labels as in the previous call")
        self._check_known(found, known)
        if first_pass:
            self.n_outputs_, self.out_activation_ = _names.outputs_for(self.loss, known)
        elif not hasattr(self, "n_outputs_"):
            self.n_outputs_ = len(self.intercepts_[-1])
        self._label_binarizer = known
        self.classes_ = known.classes_

    def _check_known(self, found: LabelCodes, known: Any) -> None:
        if found is known or np.array_equal(found.classes_, known.classes_):
            return
        if len(np.setdiff1d(found.classes_, known.classes_)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {known.classes_}. "
                f"'y' has {found.classes_}."
            )

    def _check_validation_targets(self, y: Any) -> None:
        self._check_known(LabelCodes.of(y), self._label_binarizer)

    def _encode(self, y: Array, dtype: Any) -> Array:
        low = -1.0 if self.out_activation_ == "identity" else 0.0
        return _labels.encode(y, self._label_binarizer, self.n_outputs_, dtype, low)

    def _class_factors(self, y: Any, weight: Array | None, incremental: bool) -> Array | None:
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows at once; give partial_fit a dict"
            )
        return _labels.class_factors(self.class_weight, self._label_binarizer, y, weight)

    def _weigh(self, factors: Array | None, y: Any, weight: Array | None, dtype: Any) -> Any:
        if factors is None:
            return weight
        return _labels.weigh(factors, self._label_binarizer, y, weight, dtype)

    def _stratum(self, target: Array) -> Array | None:
        # scikit-learn balances the parts for a single output column only.
        return target[:, 0] if self.n_outputs_ == 1 else None

    def _score_outputs(self, target: Array, outputs: Array, weight: Array | None) -> float:
        if len(self.classes_) == 1 and self._label_binarizer.y_type_ != MULTILABEL:
            return 1.0  # as for `predict`, there is nothing else
        if target.ndim == 1:
            return accuracy(target, outputs.argmax(axis=1), weight)
        threshold = 0.0 if self.out_activation_ == "identity" else 0.5
        return accuracy(target > threshold, outputs > threshold, weight)
