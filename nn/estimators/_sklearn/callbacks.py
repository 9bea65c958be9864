"""scikit-learn 1.9's callback protocol: a context for each fit, and in it one for each epoch."""

from __future__ import annotations

from typing import Any


class Context:
    """The task ``fit``: begun when it is made, ended by :meth:`end`.

    Callbacks are set with ``estimator.set_callbacks(…)``, or come down from a meta-estimator; one
    whose ``on_fit_task_end`` returns ``True`` after an epoch stops training.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, epochs: int) -> None:
        self._estimator = estimator
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._data = {"X": X, "y": y, "metadata": metadata}
        self._context = estimator._init_callback_context(max_subtasks=epochs)
        self._context.call_on_fit_task_begin(estimator=estimator, **self._data)

    @classmethod
    def of(
        cls, estimator: Any, X: Any, y: Any, sample_weight: Any, epochs: int | None
    ) -> Context | None:
        """The context of a fit; ``None``, at no cost, where no callbacks are set."""
        if not getattr(estimator, "_skl_callbacks", None):
            return None
        return cls(estimator, X, y, sample_weight, epochs or estimator.max_iter)

    def begin_epoch(self) -> Task:
        """Tell the callbacks that an epoch begins."""
        return Task(self)

    def end(self) -> None:
        """Tell the callbacks that the fit has ended."""
        self._end(self._context)

    def _end(self, context: Any) -> bool:
        stop: bool = context.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=self._learned,
            **self._data,
        )
        return stop

    def _learned(self) -> dict[str, Any]:
        """What a copy of the estimator needs to predict as of now; made only if asked for."""
        estimator = self._estimator
        return {
            "coefs_": [w.copy() for w in estimator.coefs_],
            "intercepts_": [b.copy() for b in estimator.intercepts_],
        }


class Task:
    """One epoch, or one iteration of L-BFGS."""

    def __init__(self, fit: Context) -> None:
        self._fit = fit
        self._context = fit._context.subcontext(task_name="epoch")
        self._context.call_on_fit_task_begin(estimator=fit._estimator, **fit._data)

    def end(self) -> bool:
        """Tell the callbacks that it has ended; return whether one asks to stop."""
        return self._fit._end(self._context)
