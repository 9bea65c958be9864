"""What happened in a training run, one entry per epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["History"]


@dataclass
class History:
    """Learning curves of one ``fit``.

    Attributes
    ----------
    loss : list of float
        Mean training loss of each epoch, penalty included, every batch measured just before its
        update (so the first value already contains progress made within the first epoch).
    validation_loss : list of float
        Mean loss on the validation data after each epoch, without penalty; empty where there was
        no validation data.
    seconds : list of float
        Wall-clock time of each epoch's training steps, validation and callbacks not included.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.loss)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, ready for JSON."""
        return {
            "epochs": self.epochs,
            "loss": list(self.loss),
            "validation_loss": list(self.validation_loss),
            "seconds": list(self.seconds),
        }

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no epochs)"
        text = f"History({self.epochs} epochs, loss {self.loss[0]:.4g} → {self.loss[-1]:.4g}"
        if self.validation_loss:
            text += (
                f", validation loss {self.validation_loss[0]:.4g} → {self.validation_loss[-1]:.4g}"
            )
        return f"{text}, {sum(self.seconds):.3g} s)"
