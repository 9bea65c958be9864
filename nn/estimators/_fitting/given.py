"""The arguments of ``fit`` and ``partial_fit``, as the estimators hand them on."""

from __future__ import annotations

from typing import Any, NamedTuple


class Given(NamedTuple):
    """What a user has given, unchecked.

    Attributes
    ----------
    X, y, sample_weight : object
        Rows, targets and weights; ``y`` is ``None`` for a source.
    incremental : bool
        Whether by ``partial_fit``.
    held_out : (X, y, sample_weight)
        Validation rows, of three times ``None`` where there are none.
    classes : array-like or None
        All labels that will ever come.
    """

    X: Any
    y: Any
    sample_weight: Any
    incremental: bool
    held_out: tuple[Any, Any, Any] = (None, None, None)
    classes: Any = None

    @property
    def shown(self) -> tuple[Any, ...]:
        """What scikit-learn's callbacks are told: rows, and how many epochs where that is known."""
        return self.X, self.y, self.sample_weight, 1 if self.incremental else None
