"""PyTorch: modules of our networks, networks of its modules, and state of its optimizers.

==================== ==========================================================================
``to_module``        an ``nn.Sequential`` with the network's weights: ``net.to_torch()``
``from_module``      a network of a module of ``Linear`` layers: ``fastmlp.from_torch(module)``
``Module``           a network of ours inside a program of torch: its kernels compute the
                     outputs and, in ``backward``, the gradients
``moments``,         state of ``torch.optim.Adam`` and ``SGD`` in our layout, both ways
``set_moments``
==================== ==========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._torch.modules import classes, to_module
from ._torch.optimizers import moments, set_moments
from ._torch.tracing import from_module

if TYPE_CHECKING:
    Expression: Any
    Module: Any

__all__ = ["Expression", "Module", "from_module", "moments", "set_moments", "to_module"]


def __getattr__(name: str) -> Any:
    if name in ("Expression", "Exp", "Module"):  # these derive from classes of torch
        return getattr(classes(), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
