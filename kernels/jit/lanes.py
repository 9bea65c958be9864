"""Several networks in one trainer, one after the other, by steps of their own engines."""

from __future__ import annotations

from ..reference.lanes import LaneTrainer as _LaneTrainer
from ..reference.lanes import lanes as lanes
from .training import Trainer


class LaneTrainer(_LaneTrainer):
    """See :class:`fastmlp.kernels.reference.LaneTrainer`."""

    _trainer = Trainer
