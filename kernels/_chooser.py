"""One place that knows which backend is live.

Order of preference: ``use_backend`` → the environment variable ``FASTMLP_BACKEND`` → compiled where
it was built → numba where it is installed → reference, with one warning.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Callable, Mapping
from importlib.machinery import PathFinder
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from ._machine import caches, threads


class Backend(NamedTuple):
    """What is known of a backend before it is imported.

    Attributes
    ----------
    module : str
        Its package here.
    is_there : function
        Whether it can be used, without importing it.
    missing : str
        Why it cannot where it cannot, and what to do.
    """

    module: str
    is_there: Callable[[], bool]
    missing: str = ""


class _Choice:
    """A backend that was chosen, and the choice that it took the place of."""

    def __init__(self, module: ModuleType | None, name: str, before: _Choice | None = None) -> None:
        self.module, self.name, self.before = module, name, before
        self.of_block = False

    def lasting(self) -> _Choice:
        """The last choice before this one, or this one, that does not end with a block."""
        choice = self
        while choice.of_block and choice.before is not None:
            choice = choice.before
        return choice


class _Place:
    """Where a choice counts: the process outside of ``with`` blocks, or one block."""

    def __init__(self, choice: _Choice) -> None:
        self.choice = choice


#: The process, and the blocks that are open; the last one is live.
_places = [_Place(_Choice(None, ""))]


class Live:
    """Where the live choice can be read in a few nanoseconds: calls of one row ask each time.

    Attributes
    ----------
    module : module or None
        What :func:`active` returns, ``None`` before the first choice.
    """

    __slots__ = ("module",)

    def __init__(self) -> None:
        self.module: ModuleType | None = None


live = Live()


def _choose() -> None:
    """Go over to the live choice."""
    live.module = _places[-1].choice.module


def available() -> tuple[str, ...]:
    """Backends that can be used here, the preferred one first.

    Returns
    -------
    tuple of str
        Of ``"compiled"``, ``"numba"`` and ``"reference"``, which is always there.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.available()[-1]
    'reference'
    """
    return tuple(name for name, known in BACKENDS.items() if known.is_there())


def _built() -> bool:
    """Whether the extension is there, without importing its package, which needs it."""
    package = importlib.util.find_spec(f"{__package__}.compiled")
    places = package.submodule_search_locations if package is not None else None
    return PathFinder.find_spec(f"{__package__}.compiled._core", places) is not None


def _installed() -> bool:
    return importlib.util.find_spec("numba") is not None


#: Backends by name; first the preferred one.
BACKENDS: Mapping[str, Backend] = {
    "compiled": Backend(
        "compiled",
        lambda: _built(),
        "the extension was not built (install with a C compiler present)",
    ),
    "numba": Backend(
        "jit", lambda: _installed(), "numba is not installed (pip install 'fastmlp[numba]')"
    ),
    "reference": Backend("reference", lambda: True),
}


def backend(name: str) -> ModuleType:
    """The module of a backend, whether it is live or not; errors as of :class:`use_backend`.

    Parameters
    ----------
    name : str
        One of :func:`available`.

    Returns
    -------
    module
        With the functions of :mod:`fastmlp.kernels`.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> kernels.backend("reference").__name__
    'fastmlp.kernels.reference'
    """
    return _load(name)


def _load(name: str) -> ModuleType:
    if name not in BACKENDS:
        raise ValueError(f"backend must be one of {tuple(BACKENDS)}, got {name!r}")
    if name not in available():
        raise ImportError(f"backend {name!r} is not available: {BACKENDS[name].missing}")
    return importlib.import_module(f".{BACKENDS[name].module}", __package__)


def native_compiler() -> Any:
    """The module that compiles programs of custom functions for any backend, or ``None``.

    Native code is written in the Numba backend's vector language, whichever backend calls it.
    """
    if not _installed():
        return None
    package = BACKENDS["numba"].module
    return importlib.import_module(f".{package}.compiling.custom_functions", __package__)


def _default() -> str:
    wanted = os.environ.get("FASTMLP_BACKEND", "").strip()
    if wanted:
        if wanted not in BACKENDS:
            raise ValueError(f"FASTMLP_BACKEND must be one of {tuple(BACKENDS)}, got {wanted!r}")
        return wanted
    name = available()[0]
    if name == "reference":
        warnings.warn(
            "fastmlp runs on plain NumPy, many times slower than it could: "
            "install it with a C compiler present, or install numba",
            RuntimeWarning,
            stacklevel=4,
        )
    return name


def active() -> ModuleType:
    """The module of the live backend; chosen at the first call.

    Returns
    -------
    module
        With the functions of :mod:`fastmlp.kernels`.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> with kernels.use_backend("reference"):
    ...     print(kernels.active().__name__)
    fastmlp.kernels.reference
    """
    if live.module is None:
        use_backend(_default())
    assert live.module is not None
    return live.module


def _live() -> _Choice:
    return _places[-1].choice


def active_name() -> str:
    """Name of the live backend."""
    active()
    return _live().name


class use_backend:
    """Choose the backend for the whole process; as a context manager, until its end.

    Of blocks that several threads have open at a time the one that was entered last counts, for all
    threads; when all have ended, what was live before them is.

    Parameters
    ----------
    name : {"compiled", "numba", "reference"}

    Raises
    ------
    ValueError
        For an unknown name.
    ImportError
        Where that backend was not built or installed.

    Examples
    --------
    >>> from fastmlp import kernels
    >>> with kernels.use_backend("reference"):
    ...     kernels.info()["backend"]
    'reference'
    """

    def __init__(self, name: str) -> None:
        module = _load(name)
        self._place = _places[-1]
        self._choice = self._place.choice = _Choice(module, name, self._place.choice)
        _choose()

    def __enter__(self) -> None:
        self._choice.of_block = True
        self._place.choice = self._place.choice.lasting()
        self._block = _Place(_Choice(self._choice.module, self._choice.name))
        _places.append(self._block)
        _choose()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _places.remove(self._block)
        _choose()


def info() -> dict[str, Any]:
    """What is live: backend, available backends, ISA, thread count and caches.

    Returns
    -------
    dict
        ``backend``, ``available``, ``isa`` (instruction set of the live backend's kernels),
        ``n_threads`` (the default thread count), ``caches`` (bytes of data that one core has in
        each level, as predictions are cut for them).

    Examples
    --------
    >>> from fastmlp import kernels
    >>> with kernels.use_backend("reference"):
    ...     print(kernels.info()["backend"])
    reference
    """
    module = active()
    isa = module.isa() if hasattr(module, "isa") else "numpy"
    return {
        "backend": _live().name,
        "available": available(),
        "isa": isa,
        "n_threads": threads.default_threads(),
        "caches": caches.sizes()._asdict(),
    }
