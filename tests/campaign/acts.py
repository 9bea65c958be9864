"""What a demanding user does, in acts that can be made again to the bit.

An act makes all that it works on from its own seed, and returns what came out. Callbacks, losses
and sources raise in some of them; networks are deleted while something of theirs goes on; runs are
cut and go on from files. ``programs.py`` makes several at once.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastmlp
import numpy as np
from communicator import on_ranks
from fastmlp import (
    MLP,
    GroupedMLP,
    MLPEnsemble,
    callbacks,
    data,
    each,
    fit_many,
    predict_many,
    schedules,
)
from fastmlp.kernels import CustomLoss

Rng = np.random.Generator
Act = Callable[[Rng, Path], list[Any]]
#: Seconds after which threads count as hanging.
PATIENCE = 250


class Raised(Exception):
    """What a user's function raises."""


def rows(rng: Rng, n_in: int = 4) -> tuple[Any, Any]:
    n = int(rng.integers(2, 90))
    return rng.random((n, n_in)), rng.integers(0, 3, n)


def network(rng: Rng, n_out: int = 3, **options: Any) -> MLP:
    """A network of four inputs, on one thread or several."""
    hidden = [int(n) for n in rng.integers(1, 40, rng.integers(0, 3))]
    output = "softmax" if n_out > 1 else "identity"
    options = {"output": output, "n_threads": int(rng.integers(1, 4)), **options}
    return MLP([4, *hidden, n_out], random_state=int(rng.integers(100)), **options)


def drawn(rng: Rng) -> dict[str, Any]:
    """Options of a fit."""
    options: dict[str, Any] = {
        "optimizer": ["adam", "sgd", "rmsprop", "lbfgs"][rng.integers(4)],
        "learning_rate": schedules.Cosine(),
        "l2": 0.01,
        "metrics": "accuracy",
        "track_gradient_norm": True,
        "stop": "plateau",
    }
    chosen = {name: value for name, value in options.items() if rng.random() < 0.3}
    if chosen.get("optimizer") == "lbfgs":
        chosen.pop("learning_rate", None)
    return {"epochs": int(rng.integers(1, 5)), "batch_size": int(rng.integers(1, 40)), **chosen}


def fit(rng: Rng, folder: Path) -> list[Any]:
    """Arrays."""
    net, (x, y) = network(rng), rows(rng)
    history = net.fit(x, y, **drawn(rng))
    return [net.parameters, history.loss]


def fit_source(rng: Rng, folder: Path) -> list[Any]:
    """Blocks of rows, one of which may fail: the network is at a finished step, and goes on."""
    net, (x, y) = network(rng), rows(rng)
    fails = int(rng.integers(12))

    class Blocks:
        asked = 0

        def __len__(self) -> int:
            return -(-len(x) // 20)

        def __getitem__(self, i: int) -> Any:
            self.asked += 1
            if self.asked == fails:
                raise Raised
            return x[20 * i : 20 * i + 20], y[20 * i : 20 * i + 20]

    source = data.source(Blocks(), memory=10_000)
    before = [net.parameters.copy()]
    with contextlib.suppress(Raised):
        before.append(net.fit(source, epochs=3, batch_size=7, shuffle=False).loss)
    assert np.isfinite(net.parameters).all()
    return [net.parameters, *before[1:], net.predict(x)]


def steps(rng: Rng, folder: Path) -> list[Any]:
    """Single steps, with the state given to another trainer, in a file or not, in the middle."""
    net, (x, y) = network(rng), rows(rng)
    options = {"optimizer": "adam", "clip_norm": 0.5} if rng.random() < 0.5 else {}
    trainer = net.trainer(**options)
    losses = []
    for turn in range(int(rng.integers(1, 8))):
        losses.append(trainer.step(x, y))
        if turn == 2:
            other = copy.deepcopy(net)
            again = other.trainer(**options)
            if rng.random() < 0.5:
                again.state = trainer.state
            else:
                path = folder / f"{threading.get_ident()}-{os.getpid()}.run"
                trainer.save(path)
                again.load(path)
            del net, trainer
            net, trainer = other, again
    return [losses, net.parameters]


def resumed(rng: Rng, folder: Path) -> list[Any]:
    """A run that a callback ends, gone on with from its checkpoint."""
    net, (x, y) = network(rng), rows(rng)
    path = folder / f"{threading.get_ident()}-{os.getpid()}.checkpoint"
    last = int(rng.integers(1, 5))

    def stop(net: Any, history: Any) -> None:
        if history.epochs == last:
            raise Raised

    with contextlib.suppress(Raised):
        net.fit(x, y, epochs=6, callbacks=[callbacks.Checkpoint(path), stop])
    other = MLP(net.architecture.sizes, output=net.architecture.output, random_state=1)
    history = other.fit(x, y, epochs=6, resume=path)
    return [other.parameters, history.loss]


def predictions(rng: Rng, folder: Path) -> list[Any]:
    """A predictor that outlives its network, in two more threads."""
    net, (x, _) = network(rng), rows(rng)
    want, predict = net.predict(x), net.predictor()
    net.parameters[...] = np.nan
    del net
    found = in_threads([lambda: [predict(x) for _ in range(5)] for _ in range(2)])
    assert all(np.array_equal(one, want) for part in found for one in part)
    return [pickle.loads(pickle.dumps(predict))(x)]


def many(rng: Rng, folder: Path) -> list[Any]:
    """Networks at once, of which the callback of one raises."""
    nets, (x, y) = [network(rng) for _ in range(4)], rows(rng)
    raising = int(rng.integers(8))

    def act(net: Any, history: Any) -> None:
        if history.epochs == 2:
            raise Raised

    hooks = each([act if i == raising else [] for i in range(4)])
    try:
        fit_many(nets, x, y, epochs=3, callbacks=hooks, n_threads=int(rng.integers(1, 4)))
    except Raised:
        return [nets[raising].parameters]
    return [net.parameters for net in nets] + [predict_many(nets, x)]


def ensemble(rng: Rng, folder: Path) -> list[Any]:
    x, y = rows(rng)
    model = MLPEnsemble([4, 5, 3], 3, output="softmax", random_state=int(rng.integers(9)))
    model.fit(x, y, epochs=2, bootstrap=bool(rng.random() < 0.5))
    return [model.predict(x)]


def groups(rng: Rng, folder: Path) -> list[Any]:
    x, y = rows(rng)
    model = GroupedMLP([4, 5, 1], random_state=int(rng.integers(9)), shared_epochs=1, min_rows=1)
    model.fit(x, x[:, 0], y, epochs=2)
    return [model.predict(x, y)]


def estimator(rng: Rng, folder: Path) -> list[Any]:
    """Estimators, pickled in between."""
    x, y = rows(rng)
    kind = fastmlp.MLPClassifier if rng.random() < 0.5 else fastmlp.MLPRegressor
    model = kind(hidden_layer_sizes=(5,), max_iter=2, random_state=int(rng.integers(9)))
    model.fit(x, y)
    if model.solver != "lbfgs":
        model = pickle.loads(pickle.dumps(model)).partial_fit(x, y)
    return [model.predict(x)]


def raising_loss(rng: Rng, folder: Path) -> list[Any]:
    """A loss in NumPy that raises at some step, keeps what it is given, and looks around."""
    net, (x, _) = network(rng, n_out=1), rows(rng)
    last, kept = int(rng.integers(1, 20)), []

    def loss(z: Any, y: Any) -> Any:
        kept.append(z)
        if len(kept) == last:
            raise Raised
        return 0.5 * ((z - y) ** 2).sum(1), z - y

    custom = CustomLoss("raises", loss)
    ended = "whole"
    try:
        net.fit(x, x[:, :1], loss=custom, epochs=2, batch_size=9)
    except Raised:
        ended = "raised"
    values = [one.copy() for one in kept]
    parameters = net.parameters.copy()
    del net
    gc.collect()
    assert all(np.array_equal(a, b) for a, b in zip(kept, values, strict=True)), "changed later"
    return [ended, parameters, *values[-1:]]


def ranks(rng: Rng, folder: Path) -> list[Any]:
    """One network over two ranks, one of which may fail: the other one does not wait for ever."""
    (x, y), seed, fails = rows(rng), int(rng.integers(9)), rng.random() < 0.3

    def rank(comm: Any) -> Any:
        net = MLP([4, 6, 3], output="softmax", random_state=seed, n_threads=1)

        def act(net: Any, history: Any) -> None:
            if fails and history.epochs == 2:
                raise Raised

        net.fit(x, y, comm=comm, epochs=3, batch_size=16, callbacks=act)
        return net.parameters

    found = on_ranks(2, rank)
    if fails:
        assert all(isinstance(one, BaseException) for one in found), found
        return ["failed"]
    return found


ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (
        *(fit, fit_source, steps, resumed, predictions, many, ensemble, groups, estimator),
        *(raising_loss, ranks),
    )
}


def outcome(name: str, seed: int, folder: Path) -> bytes:
    """What an act comes to, as bytes."""
    return pickle.dumps([_plain(part) for part in ACTS[name](np.random.default_rng(seed), folder)])


def _plain(part: Any) -> Any:
    return (part.tobytes(), part.shape) if isinstance(part, np.ndarray) else part


def in_threads(functions: list[Callable[[], Any]]) -> list[Any]:
    """What they return, all at once; the first exception of any."""
    found: list[Any] = [None] * len(functions)
    errors: list[BaseException] = []

    def call(i: int) -> None:
        try:
            found[i] = functions[i]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(i,), daemon=True) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        if thread.is_alive():
            raise AssertionError("a thread hangs")
    if errors:
        raise errors[0]
    return found
