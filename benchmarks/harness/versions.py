"""What two versions of fastmlp are compared by, and the process that runs it for one of them.

Only names that every version has are used. A case makes a call without arguments, and a function
that gives what it computes: both versions must compute the same before either is timed.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from fastmlp import MLP, kernels
from fastmlp.kernels import CSR, Architecture, UpdateRule

from . import problem, shapes, timing

Array = np.ndarray[Any, Any]
Case = tuple[Callable[[], Any], Callable[[], Any]]
#: Steps of an epoch that is timed: enough of them that Python's part of a call does not count.
STEPS = {"wide": 1, "keras": 3, "nielsen": 300, "fashion": 100}


def training(id: str, dtype: str) -> Case:
    """An epoch of a row of ``shapes``; computed: its parameters with a rate that changes them."""
    shape = shapes.BY_ID[id]
    shape = replace(shape, steps=min(shape.steps, STEPS.get(id, shape.steps)))

    def trainer(rate: float) -> tuple[Callable[[], float], Callable[[Array], None]]:
        data = problem.make(shape, dtype, shape.steps)
        trained = kernels.trainer(
            shape.architecture,
            dtype,
            shape.loss,
            shape.update_rule(1e-8),
            batch_size=shape.batch,
            n_threads=1,
        )
        trained.load(data.parameters)
        return (
            lambda: trained.run_epoch(data.x, data.target, data.order, rate),
            trained.store,
        )

    def computed() -> Array:
        epoch, store = trainer(0.01)
        flat = np.empty(shape.architecture.n_parameters, dtype)
        epoch()
        store(flat)
        return flat

    return trainer(1e-6)[0], computed


def _rows(n: int, columns: int, dtype: str, share: float = 1.0) -> Array:
    random = np.random.default_rng(0)
    dense = random.standard_normal((n, columns))
    return np.where(random.random((n, columns)) < share, dense, 0).astype(dtype)


def many_rows(id: str, dtype: str) -> Case:
    """One step over 4000 rows: several passes."""
    net = Architecture((20, 64, 64, 1), ("tanh", "tanh"), "identity")
    x, y = _rows(4000, 20, dtype), _rows(4000, 1, dtype)
    flat = 0.1 * _rows(1, net.n_parameters, dtype)[0]
    trained = kernels.trainer(
        net, dtype, "squared_error", UpdateRule("sgd", {}), batch_size=4000, n_threads=1
    )
    trained.load(flat)
    network = kernels.network(net, dtype, n_threads=1)
    return (
        lambda: trained.run_epoch(x, y, None, 1e-6),
        lambda: network.loss_and_gradient(flat, x, y, "squared_error")[1],
    )


def sparse(id: str, dtype: str) -> Case:
    """An epoch over sparse rows of which a twentieth is stored, by the rule in the case's name."""
    rule = shapes.CONSTANTS[name := id.split("-")[1]]
    net = Architecture((784, 64, 10), ("relu",), "softmax")
    dense = _rows(3200, 784, dtype, 0.05)
    rows, columns = dense.nonzero()
    starts = np.searchsorted(rows, np.arange(len(dense) + 1))
    x = CSR(dense[rows, columns], columns.astype(np.int32), starts.astype(np.int32), dense.shape)
    labels = np.arange(len(dense)) % 10
    order = np.random.default_rng(1).permutation(len(dense))
    constants = {**rule, "epsilon": 1e-8, "epsilon_hat": 0.0} if name == "adam" else rule
    trained = kernels.trainer(
        net, dtype, "cross_entropy", UpdateRule(name, constants), batch_size=64, n_threads=1
    )
    flat = 0.1 * _rows(1, net.n_parameters, dtype)[0]

    def computed() -> Array:
        trained.load(flat)
        trained.run_epoch(x, labels, order, 0.01)
        out = np.empty_like(flat)
        trained.store(out)
        return out

    return lambda: trained.run_epoch(x, labels, order, 1e-6), computed


def prediction(id: str, dtype: str) -> Case:
    """``MLP.predict`` of as many rows as the case's name ends with."""
    sizes = (784, 128, 10) if "wide" in id else (20, 64, 64, 1)
    net = MLP(sizes, "tanh", dtype=dtype, random_state=0, n_threads=1)
    x = _rows(int(id.split("-")[-1]), sizes[0], dtype)
    return lambda: net.predict(x), lambda: net.predict(x)


def layer(id: str, dtype: str) -> Case:
    """``kernels.dense_forward`` of rows x inputs x outputs."""
    n, n_in, n_out = map(int, id.split("-")[1].split("x"))
    x, w, b = _rows(n, n_in, dtype), _rows(n_in, n_out, dtype), _rows(1, n_out, dtype)[0]

    def call() -> Array:
        return kernels.dense_forward(x, w, b, "relu", n_threads=1)

    return call, call


def step(id: str, dtype: str) -> Case:
    """One update of 1000 parameters by a function of :mod:`fastmlp.kernels`."""
    p, g = _rows(1, 1000, dtype)[0], _rows(1, 1000, dtype)[0]
    m, v = np.zeros_like(p), np.zeros_like(p)
    calls: dict[str, Callable[[], Any]] = {
        "update-sgd": lambda: kernels.sgd_update(p, g, 1e-9, n_threads=1),
        "update-momentum": lambda: kernels.momentum_update(p, g, m, 1e-9, 0.9, n_threads=1),
        "update-adam": lambda: kernels.adam_update(p, g, m, v, 1, 1e-9, n_threads=1),
    }

    def computed() -> Array:
        calls[id]()
        return p.copy()

    return calls[id], computed


def fit(id: str, dtype: str) -> Case:
    """``fit`` of one batch: what Python does around a step."""
    x, y = _rows(32, 20, dtype), _rows(32, 1, dtype)[:, 0]
    if id == "fit-MLP":
        net = MLP((20, 16, 1), "tanh", dtype=dtype, random_state=0, n_threads=1)

        def call() -> Any:
            return net.fit(x, y[:, None], epochs=1, batch_size=32, learning_rate=1e-6)

        return call, lambda: (call(), net.parameters.copy())[1]
    from fastmlp import MLPRegressor

    model = MLPRegressor(
        hidden_layer_sizes=(16,), activation="tanh", random_state=0, learning_rate_init=1e-6
    )
    model.partial_fit(x, y)
    return lambda: model.partial_fit(x, y), lambda: model.coefs_[0].copy()


GROUPS: dict[str, tuple[Callable[[str, str], Case], tuple[str, ...]]] = {
    "table": (training, tuple(shape.id for shape in shapes.TABLE)),
    "rows": (many_rows, ("rows-4000",)),
    "sparse": (sparse, ("csr-sgd", "csr-adam")),
    "predict": (
        prediction,
        (
            "predict-1",
            "predict-8",
            "predict-64",
            "predict-1000",
            "predict-wide-1",
            "predict-wide-64",
        ),
    ),
    "layer": (layer, ("dense_forward-4x8x5", "dense_forward-1x20x64", "dense_forward-64x64x64")),
    "update": (step, ("update-sgd", "update-momentum", "update-adam")),
    "fit": (fit, ("fit-MLP", "fit-partial")),
}
CASES = {id: make for make, ids in GROUPS.values() for id in ids}


def serve() -> None:
    """Answer requests, a line of JSON each: a case to prepare, or how often to call it."""
    calls: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        name, backend, dtype, repeats = (request[k] for k in ("id", "backend", "dtype", "repeats"))
        with kernels.use_backend(backend):
            if repeats == 0:
                calls.clear()
                gc.collect()
                calls[name], computed = CASES[name](name, dtype)
                values = np.asarray(computed(), dtype=np.float64).ravel()
                timing.sample(calls[name], 2)
                answer: Any = [[float(v).hex() for v in values[:: max(1, len(values) // 500)]]]
                answer.append(timing.repeats_for(calls[name], request["least"]))
            else:
                timing.sample(calls[name], max(1, repeats // 5))
                gc.disable()
                answer = timing.sample(calls[name], repeats)
                gc.enable()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
