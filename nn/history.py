"""What happened in a training run, one entry per epoch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

__all__ = ["History"]


@dataclass(init=False)
class History:
    """Learning curves of one ``fit``, as plain lists with one number per epoch.

    Attributes
    ----------
    loss : list of float
        Mean training loss of each epoch, penalty included, every batch measured just before its
        update (so the first value already contains progress made within the first epoch).
    validation_loss : list of float
        Mean loss on the validation data after each epoch, without penalty; empty where there was
        no validation data.
    metrics : dict of lists of float
        Each metric of ``fit(metrics=…)`` on the training rows after each epoch, and where there
        are validation data on those, as ``"validation_…"``.
    learning_rate : list of float
        Rate of each epoch's last update; of an optimizer with line search, the step that was found.
    gradient_norm : list of float
        ``‖∇C‖`` over all weights and biases, of the gradient of each epoch's last update, penalties
        included and before any clipping. Empty where nothing asked for it: a stop rule, clipping
        by the norm, a line search, or ``fit(track_gradient_norm=True)``.
    damping : list of float
        ``λ`` after each iteration of :class:`fastmlp.optimizers.LevenbergMarquardt`; empty for
        others, as the next four are.
    alpha, beta, effective_parameters, log_evidence : lists of float
        Of :class:`fastmlp.optimizers.BayesianRegularization`: precision of the parameters and of
        the noise, how many parameters the data determine, and how probable the network makes them.
    seconds : list of float
        Wall-clock time of each epoch's training steps, validation and callbacks not included.
    stop_reason : str
        Why training ended: a name of :mod:`fastmlp.stopping`; ``""`` while it goes on.
    stop_message : str
        The same for people, with the numbers that decided.
    best_epoch : int or None
        The epoch, counted from 1, whose weights early stopping has restored.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp import MLP
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> history = MLP([1, 8, 1], random_state=0).fit(X, X**2, epochs=3)
    >>> history.epochs, history.stop_reason, history.loss[-1] < history.loss[0]
    (3, 'epochs', True)
    """

    loss: list[float]
    validation_loss: list[float]
    seconds: list[float]
    metrics: dict[str, list[float]]
    learning_rate: list[float]
    gradient_norm: list[float]
    damping: list[float]
    alpha: list[float]
    beta: list[float]
    effective_parameters: list[float]
    log_evidence: list[float]
    stop_reason: str
    stop_message: str
    best_epoch: int | None

    def __init__(
        self,
        loss: list[float] | None = None,
        validation_loss: list[float] | None = None,
        seconds: list[float] | None = None,
        metrics: dict[str, list[float]] | None = None,
        learning_rate: list[float] | None = None,
        stop_reason: str = "",
        stop_message: str = "",
        best_epoch: int | None = None,
        **curves: list[float],
    ) -> None:
        self.loss = [] if loss is None else loss
        self.seconds = [] if seconds is None else seconds
        self.learning_rate = [] if learning_rate is None else learning_rate
        self.stop_reason, self.stop_message = stop_reason, stop_message
        self.best_epoch = best_epoch
        if validation_loss is not None:
            self.validation_loss = validation_loss
        if metrics is not None:
            self.metrics = metrics
        for name, curve in curves.items():
            if name not in _LATER:
                raise TypeError(f"a history has no {name!r}")
            if curve is not None:
                setattr(self, name, curve)

    if not TYPE_CHECKING:  # which knows the attributes from above, and finds mistyped ones

        def __getattr__(self, name: str) -> Any:
            # Curves that most runs do not have are made when somebody looks: runs may be many.
            if name not in _LATER:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            curve: Any = {} if name == "metrics" else []
            setattr(self, name, curve)
            return curve

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.loss)

    def stop(self, reason: str, message: str) -> None:
        """Note why training ends, unless a reason has been noted before.

        Parameters
        ----------
        reason : str
            A name of :mod:`fastmlp.stopping`.
        message : str
            The same for people.
        """
        if not self.stop_reason:
            self.stop_reason, self.stop_message = reason, message

    def curve(self, name: str) -> list[float]:
        """The curve of this name, an attribute or a metric.

        Parameters
        ----------
        name : str
            Such as ``"loss"`` or ``"validation_accuracy"``.

        Returns
        -------
        list of float
            One number for each epoch.

        Raises
        ------
        ValueError
            Where there is no such curve.
        """
        if name in self.metrics:
            return self.metrics[name]
        if name not in _CURVES:
            raise ValueError(f"the history has the curves {list(self.curves())}, got {name!r}")
        curve: list[float] = getattr(self, name)
        return curve

    def curves(self) -> dict[str, list[float]]:
        """All curves that were recorded, by name, as copies.

        Returns
        -------
        dict of lists of float
            Without those that are empty.
        """
        found = {name: getattr(self, name) for name in _CURVES} | self.metrics
        return {name: list(found[name]) for name in found if found[name]}

    def rows(self) -> list[dict[str, float]]:
        """One dict per epoch: a table, for ``pandas.DataFrame(history.rows())`` or ``csv``.

        Returns
        -------
        list of dict
            With the epoch's number, from 1, under ``"epoch"``.
        """
        curves = self.curves()
        return [
            {"epoch": epoch + 1, **{name: curve[epoch] for name, curve in curves.items()}}
            for epoch in range(self.epochs)
        ]

    def table(self, every: int = 1) -> str:
        """The same as text with aligned columns.

        Parameters
        ----------
        every : int, default 1
            Leave out all but each ``every``-th epoch, the first and the last.

        Returns
        -------
        str
            One line for each epoch, under a line of names.

        Raises
        ------
        ValueError
            For ``every`` below 1.
        """
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        rows = self.rows()
        shown = [r for i, r in enumerate(rows) if i % every == 0 or i == len(rows) - 1]
        heads = ["epoch", *self.curves()]
        cells = [heads] + [[f"{row[name]:.6g}" for name in heads] for row in shown]
        widths = [max(len(line[i]) for line in cells) for i in range(len(heads))]
        return "\n".join(
            "  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True))
            for line in cells
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, ready for JSON.

        Returns
        -------
        dict
            What :meth:`from_dict` reads.
        """
        return {
            "epochs": self.epochs,
            "loss": list(self.loss),
            "validation_loss": list(self.validation_loss),
            "seconds": list(self.seconds),
            "metrics": {name: list(curve) for name, curve in self.metrics.items()},
            "learning_rate": list(self.learning_rate),
            "gradient_norm": list(self.gradient_norm),
            **{name: list(getattr(self, name)) for name in _CURVATURE if getattr(self, name)},
            "stop_reason": self.stop_reason,
            "stop_message": self.stop_message,
            "best_epoch": self.best_epoch,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        """A history from what :meth:`to_dict` has given.

        Parameters
        ----------
        values : dict
            What :meth:`to_dict` has given.

        Returns
        -------
        History
            Equal to the one that was written.

        Raises
        ------
        ValueError
            For anything else.
        """
        if not isinstance(values, dict):
            raise ValueError(f"a history must be a dict, got {values!r:.80}")
        known = {field.name for field in fields(cls)}
        history = cls(**{name: value for name, value in values.items() if name in known})
        curves = {name: getattr(history, name) for name in _CURVES}
        if not isinstance(history.metrics, dict) or not isinstance(history.loss, list):
            raise ValueError("a history must have a list of losses, and metrics by name")
        for name, curve in (curves | history.metrics).items():
            whole = isinstance(curve, list) and all(type(v) in (int, float) for v in curve)
            if not whole or len(curve) > len(history.loss):
                raise ValueError(f"{name} must be a list of numbers, one for each epoch")
        words = (history.stop_reason, history.stop_message)
        if not all(isinstance(text, str) for text in words):
            raise ValueError(f"the reason to stop must be text, got {words!r:.80}")
        if history.best_epoch is not None and type(history.best_epoch) is not int:
            raise ValueError(f"best_epoch must be an integer, got {history.best_epoch!r:.80}")
        return history

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no epochs)"
        text = f"History({self.epochs} epochs, loss {self.loss[0]:.4g} → {self.loss[-1]:.4g}"
        if self.validation_loss:
            text += (
                f", validation loss {self.validation_loss[0]:.4g} → {self.validation_loss[-1]:.4g}"
            )
        return f"{text}, {sum(self.seconds):.3g} s)"


#: What optimizers of second order record.
_CURVATURE = ("damping", "alpha", "beta", "effective_parameters", "log_evidence")
_CURVES = ("loss", "validation_loss", "learning_rate", "gradient_norm", *_CURVATURE, "seconds")
_LATER = frozenset((*_CURVATURE, "validation_loss", "metrics", "gradient_norm"))
