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
    epochs : int or None
        Of an incremental fit that goes on with its generator; one of ``partial_fit`` has one, and
        begins with a new generator where ``random_state`` is a number, as in scikit-learn.
    """

    X: Any
    y: Any
    sample_weight: Any
    incremental: bool
    held_out: tuple[Any, Any, Any] = (None, None, None)
    classes: Any = None
    epochs: int | None = None

    @property
    def shown(self) -> tuple[Any, ...]:
        """What scikit-learn's callbacks are told: rows, and how many epochs where that is known."""
        return self.X, self.y, self.sample_weight, self.more

    @property
    def more(self) -> int | None:
        """Epochs to make from where the estimator is; ``None`` for a fit as its parameters say."""
        return (self.epochs or 1) if self.incremental else None
