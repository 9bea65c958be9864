"""What a small ``fit`` leaves to the next one of the same network with the same options.

Checked options and an engine of the right size: neither depends on the rows. They are kept only
where they are small, and refer to nothing of the network, so that both are freed with it.
"""

from __future__ import annotations

import operator
import weakref
from collections import deque
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeAlias

from fastmlp import kernels

from .options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._network.network import Network
    from ..history import History
    from .plan import Settings
    from .trainer import Trainer

#: Settings, what makes the steps, and with how many rows at most.
Kept: TypeAlias = "tuple[Settings, Any, int]"
#: For which options and backend that is, itself, and what makes a fit of one batch with it, if
#: nothing but the options' epochs and weights of rows may ask for more.
Found: TypeAlias = "tuple[list[Any], Any, Kept, Callable[..., History | None] | None]"
#: Values that cannot change while they are kept.
_FIXED = frozenset((type(None), str, int, float, bool))
#: Where a key has options that have no part in what is kept: epochs and weights of rows.
_OF_ROWS = tuple(
    2 + place
    for place, field in enumerate(fields(Options))
    if field.name in ("epochs", "sample_weight")
)
#: Parameters, and numbers in a batch of the widest layer, that a kept engine has at most.
PARAMETERS, BATCH = 1 << 15, 1 << 15
#: Objects that keep one at the same time.
HOLDERS = 64
_holders: deque[tuple[weakref.ref[Any], str, int]] = deque()


def _key(loss: Any, optimizer: Any, options: Options) -> list[Any]:
    key = [loss, optimizer, *options.__dict__.values()]
    for place in _OF_ROWS:
        key[place] = None
    return key


def take(network: Network, loss: Any, optimizer: Any, options: Options) -> Found | None:
    """What an earlier call has kept for such options; it is then nobody else's."""
    found: Found | None = network.__dict__.pop("_kept", None)
    if found is None:
        return None
    key, backend, *_ = found
    # The same objects: what is equal need not be of one type.
    if backend is kernels.active() and all(map(operator.is_, key, _key(loss, optimizer, options))):
        return found
    return None


def keep(network: Network, loss: Any, optimizer: Any, options: Options, trainer: Trainer) -> None:
    """Keep what a run has used, where it is small and can be used again."""
    network._kept = None
    if network.parameters.size > PARAMETERS:
        return
    given = trainer._engine.given_away()
    if given is None or given[1] * max(network.architecture.sizes) > BATCH:
        return
    from .one_batch import fit, fits

    key = _key(loss, optimizer, options)
    if all(v.__class__ in _FIXED or (v.__class__ is tuple and not v) for v in key):
        of_one_batch = fit if fits(trainer._known, options) else None
        network._kept = key, kernels.active(), (trainer._known, *given), of_one_batch
        hold(network, "_kept")


def hold(owner: Any, attribute: str) -> None:
    """Note that an object has begun to keep something; of many the first ones let go of theirs.

    Who fits ten thousand networks one after another is not to have as many engines.
    """
    _holders.append((weakref.ref(owner), attribute, id(getattr(owner, attribute))))
    while len(_holders) > HOLDERS:
        reference, name, kept = _holders.popleft()
        first = reference()
        if first is not None and id(getattr(first, name, None)) == kept:
            setattr(first, name, None)
