"""What a backend does not have yet is refused by its name, before anything is computed.

The reference backend has everything. A feature that another one lacks stands in :data:`MISSING`, so
that a new one may come to one backend after the other; the tests skip it where it is not. Functions
and classes of a backend that lacks nothing are left as they are, so the guard costs nothing then.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from ._custom import CustomActivation, CustomLoss
from ._names import ACTIVATIONS, LOSSES, OUTPUTS, UPDATE_RULES
from ._specs import Architecture, Loss, UpdateRule

#: Names of the options of a Trainer that are features of their own (l1 also of a gradient).
OPTIONS = (
    *("l1", "dropout", "clip_value", "clip_norm", "max_norm", "trainable"),
    "track_gradient_norm",
)
#: Everything that a backend may have or lack; ``update`` is the kernel for any rule,
#: ``learning_rates`` an array of one for each step, ``custom`` what users define (``_custom``).
FEATURES = frozenset(
    (
        *(*ACTIVATIONS, *OUTPUTS, *LOSSES, "label_smoothing", *UPDATE_RULES, "weight_decay"),
        *("update", *OPTIONS, "sparse", "learning_rates", "custom"),
    )
)
#: What the backends do not have.
MISSING: Mapping[str, tuple[str, ...]] = {
    "compiled": (),
    "numba": (),
    "reference": (),
}


def supports(feature: str, backend: str) -> bool:
    """Whether a backend has a feature, one of :data:`FEATURES`."""
    if backend not in MISSING:
        raise ValueError(f"backend must be one of {tuple(MISSING)}, got {backend!r}")
    if feature not in FEATURES:
        raise ValueError(f"feature must be one of {sorted(FEATURES)}, got {feature!r}")
    return feature not in MISSING[backend]


def refuse(backend: str, feature: str) -> NoReturn:
    """Say that a backend lacks a feature, and which ones have it."""
    having = [name for name, missing in MISSING.items() if feature not in missing]
    raise NotImplementedError(
        f"the {backend} backend has no {feature!r}; these have: {', '.join(having)} "
        f"(choose with fastmlp.kernels.use_backend)"
    )


def features_of(value: Any) -> Iterator[str]:
    """Names of the features that an argument asks for."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (CustomActivation, CustomLoss)):
        yield "custom"
    elif isinstance(value, Architecture):
        for activation in value.activations:
            yield from features_of(activation)
        yield value.output
    elif isinstance(value, Loss):
        yield value.name
        if value.constants.get("label_smoothing"):
            yield "label_smoothing"
    elif isinstance(value, UpdateRule):
        yield value.name
        if value.constants["weight_decay"]:
            yield "weight_decay"


class Guard:
    """Puts the refusal before the functions and classes of one backend."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._missing = frozenset(MISSING[backend])

    def _check(self, values: Iterable[Any]) -> None:
        for value in values:
            for feature in features_of(value):
                if feature in self._missing:
                    refuse(self.backend, feature)

    def function(self, kernel: Callable[..., Any]) -> Any:
        """A kernel that refuses the names that the backend lacks."""
        if not self._missing - {*OPTIONS, "sparse", "learning_rates"}:
            return kernel

        @functools.wraps(kernel)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self._check((*args, *kwargs.values()))
            return kernel(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})

        return guarded

    def network(self, cls: Any, like: Any) -> Any:
        """A Network class that refuses what the backend lacks; ``like`` has the signatures."""
        if not self._missing - {*OPTIONS[1:], "sparse", "learning_rates"}:
            return cls
        guard = self

        class Network(cls):  # type: ignore[misc]
            @_signature(like.__init__)
            def __init__(self, architecture: Architecture, *args: Any, **kwargs: Any) -> None:
                guard._check((architecture,))
                super().__init__(architecture, *args, **kwargs)

            @_signature(like.loss)
            def loss(self, parameters: Any, x: Any, target: Any, loss: Any, **kwargs: Any) -> Any:
                guard._check((loss,))
                return super().loss(parameters, x, target, _plain(loss), **kwargs)

            @_signature(like.loss_and_gradient)
            def loss_and_gradient(
                self, parameters: Any, x: Any, target: Any, loss: Any, **kwargs: Any
            ) -> Any:
                given = _changed(like.loss_and_gradient, kwargs)
                guard._check((loss, *given))
                return super().loss_and_gradient(parameters, x, target, _plain(loss), **given)

        Network.__doc__ = cls.__doc__
        return Network

    def trainer(self, cls: Any, like: Any) -> Any:
        """A Trainer class that refuses what the backend lacks; ``like`` has the signatures."""
        if not self._missing - {"sparse", "learning_rates"}:
            return cls
        guard = self

        class Trainer(cls):  # type: ignore[misc]
            gradient_norm = None

            @_signature(like.__init__)
            def __init__(
                self,
                architecture: Architecture,
                dtype: Any,
                loss: Any,
                update_rule: UpdateRule,
                **kwargs: Any,
            ) -> None:
                given = _changed(like.__init__, kwargs)
                guard._check((architecture, loss, update_rule, *given))
                if "dropout" not in given:
                    given.pop("seed", None)
                super().__init__(architecture, dtype, _plain(loss), update_rule, **given)

        Trainer.__doc__ = cls.__doc__
        return Trainer


def _plain(value: Any) -> Any:
    """A loss with its default constants as its name, which every backend knows."""
    if isinstance(value, CustomLoss):
        return value
    return value.name if isinstance(value, Loss) and value == Loss.of(value.name) else value


def _changed(function: Callable[..., Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Options that differ from their defaults, or have none."""
    known = inspect.signature(function).parameters
    for name in kwargs:
        if name not in known:
            raise TypeError(f"{function.__qualname__} got an unexpected argument {name!r}")
    return {name: value for name, value in kwargs.items() if not _equal(value, known[name].default)}


def _equal(value: Any, default: Any) -> bool:
    if default is None or default is inspect.Parameter.empty:
        return value is default
    return tuple(value) == default if isinstance(default, tuple) else bool(value == default)


def _signature(like: Callable[..., Any]) -> Callable[[Any], Any]:
    """Give a function the name, text and signature of another."""

    def change(function: Any) -> Any:
        function.__name__, function.__doc__ = like.__name__, like.__doc__
        function.__signature__ = inspect.signature(like)
        return function

    return change
