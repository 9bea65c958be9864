"""Levenberg–Marquardt: an iteration beside NumPy's, and what it reaches beside L-BFGS.

    python benchmarks/second_order.py [--quick] [--out FOLDER]

Four tables, written to ``second_order.json`` and ``second_order.md``:

iteration
    One iteration of ``optimizers.LevenbergMarquardt`` (float64, one thread) beside one in NumPy: J
    formed, ``J.T @ J``, LAPACK's Cholesky, the step tried. Both are verified to make the same step
    first. ``ratio_of_operations`` is what the ratio of times would be if both did nothing but the
    arithmetic of JᵀJ and Cholesky, as fast as each other; ``gflops`` is what ours reaches on it.
problems
    Time until the training loss is what L-BFGS ends with after so many iterations (or, where its
    loss comes out lower, that loss), on Friedman 1–3, a noisy sinc of two inputs, Mackey–Glass one
    step ahead and scikit-learn's diabetes data.
noisy
    Test error of Bayesian regularisation beside L-BFGS with ``alpha`` chosen by 5-fold validation,
    means of eight draws of rows and first weights: on the problems above, by which the defaults of
    the optimizer were chosen, and on six that had no part in that.
libraries
    CPU time of an iteration, and the training error after so many, beside ``pyrenn`` (NumPy) and
    ``torch-levenberg-marquardt``, those that are installed. The latter starts from our weights,
    pyrenn from its own.

``--only libraries``, ``--only iteration`` and ``--only noisy`` make such a table alone; the others
stay as they were.

Times are CPU times of the process, contenders take turns, the smallest of some rounds counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import math
import time
from pathlib import Path

from harness import machine

machine.enter(1)

import numpy as np  # noqa: E402
from fastmlp import MLP, kernels, optimizers  # noqa: E402
from harness.regressions import MORE, data  # noqa: E402
from scipy.linalg import lapack  # noqa: E402

#: Iterations of a sample: at least so many, of small networks those of so many seconds, so that the
#: beginning of a ``fit`` does not count.
REPEATS, SAMPLE = 10, 0.05
#: Rows, sizes.
SHAPES = [
    (1000, (9, 9, 1)), (10000, (9, 9, 1)), (1000, (9, 27, 1)), (10000, (9, 27, 1)),
    (1000, (9, 90, 1)), (10000, (9, 90, 1)), (1000, (9, 27, 5)), (1000, (5, 15, 15, 1)),
]  # fmt: skip


class ByHand:
    """The network and its Levenberg–Marquardt in NumPy."""

    def __init__(self, net, x, y):
        self.w, self.b = [list(map(np.copy, part)) for part in (net.weights, net.biases)]
        self.x, self.y = x, y

    def residuals(self, w, b):
        a = [self.x]
        for weights, bias in zip(w[:-1], b, strict=False):
            a.append(np.tanh(a[-1] @ weights + bias))
        return a, a[-1] @ w[-1] + b[-1] - self.y

    def jacobian(self, a):
        n, k = self.y.shape
        deltas = [np.broadcast_to(np.eye(k), (n, k, k))]
        for weights, out in zip(self.w[:0:-1], a[:0:-1], strict=True):
            deltas.insert(0, (deltas[0] @ weights.T) * (1 - out * out)[:, None, :])
        parts = [
            (x[:, None, :, None] * d[:, :, None, :]).reshape(n * k, -1)
            for x, d in zip(a, deltas, strict=True)
        ]
        return np.concatenate([*parts, *(d.reshape(n * k, -1) for d in deltas)], axis=1)

    def iterate(self, damping):
        a, r = self.residuals(self.w, self.b)
        j, n = self.jacobian(a), len(r)
        g = j.T @ r.ravel() / n
        h = j.T @ j / n
        h[np.diag_indices(len(h))] += damping * h.diagonal().max()
        step = -lapack.dposv(h, g, lower=1)[1]
        parts = np.split(step, np.cumsum([p.size for p in (*self.w, *self.b)])[:-1])
        shaped = [p + s.reshape(p.shape) for p, s in zip((*self.w, *self.b), parts, strict=True)]
        layers = len(self.w)
        return step, np.square(self.residuals(shaped[:layers], shaped[layers:])[1]).sum() / (2 * n)


def fastest(rounds, **contenders):
    """CPU seconds of each, the smallest of some rounds in turn."""
    best = dict.fromkeys(contenders, np.inf)
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - start)
    return best


def operations(n, sizes):
    """Multiplications and additions of ``JᵀJ`` and Cholesky: ours, and with J written down."""
    layers, k = [(a + 1, b) for a, b in itertools.pairwise(sizes)], sizes[-1]
    parameters = sum(a * b for a, b in layers)
    pairs = sum(a * (a + 1) // 2 * (b * (b + 1) // 2) for a, b in layers)
    pairs += sum(a * c * b * d for (a, b), (c, d) in itertools.combinations(layers, 2))
    whole, cholesky = k * parameters * (parameters + 1) // 2, parameters**3 / 6
    return 2 * (n * pairs + cholesky), 2 * (n * whole + cholesky)


def iteration(n, sizes, rounds):
    """Both iterations, verified and timed."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, sizes[0])), rng.normal(size=(n, sizes[-1]))
    net = MLP(sizes, "tanh", dtype="f8", random_state=0, n_threads=1)
    start, hand = net.parameters.copy(), ByHand(net, x, y)
    # So much damping that every step is taken: an iteration is one step tried, as by hand.
    rule = optimizers.LevenbergMarquardt(damping=1.0, down=0.999)

    def ours(epochs):
        net.parameters[:] = start
        assert net.fit(x, y, optimizer=rule, epochs=epochs).epochs == epochs

    def by_hand(iterations):
        for _ in range(iterations):
            hand.iterate(1.0)

    ours(1)
    step, _ = hand.iterate(1.0)
    np.testing.assert_allclose(net.parameters - start, step, rtol=1e-6, atol=1e-9)
    once = fastest(1, numpy=lambda: by_hand(1))["numpy"]
    repeats = max(REPEATS, math.ceil(SAMPLE / once))
    times = fastest(rounds, fastmlp=lambda: ours(repeats), numpy=lambda: by_hand(repeats))
    times = {name: seconds / repeats for name, seconds in times.items()}
    of_ours, of_numpy = operations(n, sizes)
    return {
        "rows": n, "sizes": sizes, "parameters": start.size, **times,
        "ratio_of_operations": of_numpy / of_ours, "gflops": 1e-9 * of_ours / times["fastmlp"],
    }  # fmt: skip


def race(name, quick):
    """CPU seconds of both to the same loss, and the losses that they end with; median of seeds."""
    x, y = data(name)
    ratios, ends = [], []
    for seed in range(1 if quick else 3):
        curves = {}
        for rule, epochs in (("lbfgs", 2000), ("levenberg_marquardt", 250)):
            net = MLP([x.shape[1], 10, 1], "tanh", dtype="f8", random_state=seed, n_threads=1)
            start, clock = time.process_time(), []

            def note(network, history, start=start, clock=clock):
                clock.append((time.process_time() - start, history.loss[-1]))

            net.fit(x, y, optimizer=rule, epochs=epochs // 20 if quick else epochs, callbacks=note)
            curves[rule] = np.array(clock)
        seconds, loss = curves["lbfgs"][-1]
        lm = curves["levenberg_marquardt"]
        reached = lm[lm[:, 1] <= loss]
        ratios.append(float(reached[0, 0] / seconds) if len(reached) else float("inf"))
        ends.append((2 * float(loss), 2 * float(lm[-1, 1]), float(seconds), float(lm[-1, 0])))
    middle = np.median(np.array(ends), axis=0)
    return {
        "problem": name, "ratio_of_times": float(np.median(ratios)), "mse_lbfgs": middle[0],
        "mse_lm": middle[1], "seconds_lbfgs": middle[2], "seconds_lm": middle[3],
    }  # fmt: skip


def noisy(name, quick):
    """Means of the test errors of Bayesian regularisation, and of L-BFGS with a chosen penalty."""
    found = [_noisy(name, seed, quick) for seed in range(1 if quick else 8)]
    means = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    apart = [one["mse_bayesian"] - one["mse_chosen_alpha"] for one in found]
    error = float(np.std(apart, ddof=1) / np.sqrt(len(apart))) if not quick else float("nan")
    return {"problem": name, **means, "standard_error_of_difference": error}


def _noisy(name, seed, quick):
    x, y = data(name, seed)
    n = len(x) // 2
    train, test = slice(n), slice(n, None)

    def mse(rule, rows, others, epochs=150, **options):
        net = MLP([x.shape[1], 10, 1], "tanh", dtype="f8", random_state=seed, n_threads=1)
        net.fit(x[rows], y[rows], optimizer=rule, epochs=10 if quick else epochs, **options)
        return float(np.square(net.predict(x[others])[:, 0] - y[others]).mean())

    rows = np.arange(n)
    folds = np.array_split(np.random.default_rng(seed).permutation(n), 5)
    start = time.process_time()
    errors = {
        alpha: np.mean([mse("lbfgs", np.setdiff1d(rows, f), f, l2=alpha) for f in folds])
        for alpha in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    }
    chosen = mse("lbfgs", train, test, l2=min(errors, key=errors.get))
    between = time.process_time()
    bayesian = mse("bayesian_regularization", train, test)
    end = time.process_time()
    found = {
        "mse_chosen_alpha": chosen,
        "mse_bayesian": bayesian,
        "share_better": bayesian <= chosen,
    }
    for penalties in ("layers", "all"):
        rule = optimizers.BayesianRegularization(penalties=penalties)
        found[f"mse_{penalties}"] = mse(rule, train, test)
    return {**found, "seconds_chosen_alpha": between - start, "seconds_bayesian": end - between}


def of_pyrenn(x, y, net, iterations):
    """Its own network of the same shape; the training error."""
    import contextlib
    import io

    import pyrenn

    theirs = pyrenn.CreateNN(list(net.architecture.sizes))
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = pyrenn.train_LM(x.T, y[None], theirs, k_max=iterations, E_stop=1e-30)
    return float(np.square(pyrenn.NNOut(x.T, theirs) - y).mean())


def of_torch(x, y, net, iterations):
    """``torch_levenberg_marquardt`` on the same network; the training error."""
    import torch
    import torch_levenberg_marquardt as library

    torch.set_num_threads(1)
    model = net.to_torch()
    module = library.training.LevenbergMarquardtModule(
        model=model, loss_fn=library.loss.MSELoss(), solve_method="cholesky"
    )
    rows, targets = torch.from_numpy(x), torch.from_numpy(y[:, None])
    for _ in range(iterations):
        module.training_step(rows, targets)
    return float(((model(rows) - targets) ** 2).mean().detach())


def of_fastmlp(x, y, net, iterations):
    """Our own; the training error."""
    net.fit(x, y, optimizer="levenberg_marquardt", epochs=iterations)
    return float(np.square(net.predict(x)[:, 0] - y).mean())


LIBRARIES = {"pyrenn": of_pyrenn, "torch_levenberg_marquardt": of_torch}


def libraries(name, quick):
    """CPU seconds of an iteration, and training errors after some, with whatever is installed."""
    x, y = data(name)
    iterations, found = 3 if quick else 20, {"problem": name}
    there = {k: v for k, v in LIBRARIES.items() if importlib.util.find_spec(k)}
    for library, train in ({"fastmlp": of_fastmlp} | there).items():
        net = MLP([x.shape[1], 10, 1], "tanh", dtype="f8", random_state=0, n_threads=1)
        train(x, y, net, 1)  # what is imported and made once
        net = MLP([x.shape[1], 10, 1], "tanh", dtype="f8", random_state=0, n_threads=1)
        start = time.process_time()
        error = train(x, y, net, iterations)
        found[f"ms_{library}"] = 1e3 * (time.process_time() - start) / iterations
        found[f"mse_{library}"] = error
    return found


def table(rows):
    """Dicts as a Markdown table."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads)]
    lines += [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in r.values()] for r in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["libraries", "iteration", "noisy"])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    names = ["friedman1", "friedman2", "friedman3", "sinc", "mackey_glass", "diabetes"]
    options.out.mkdir(parents=True, exist_ok=True)
    stored = options.out / "second_order.json"
    found = json.loads(stored.read_text()) if options.only and stored.exists() else {}
    found["machine"] = {**kernels.info(), "numpy": np.__version__}
    if options.only in (None, "libraries"):
        found["libraries"] = [libraries(name, options.quick) for name in names]
        (options.out / "second_order_libraries.md").write_text(table(found["libraries"]))
    if options.only in (None, "iteration"):
        shapes = SHAPES[:2] if options.quick else SHAPES
        found["iteration"] = [iteration(n, s, 1 if options.quick else 5) for n, s in shapes]
        for row in found["iteration"]:
            row["ratio"] = row["numpy"] / row["fastmlp"]
    if not options.only:
        found["problems"] = [race(name, options.quick) for name in names]
    if options.only in (None, "noisy"):
        all_noisy = [name for name in names if name != "mackey_glass"] + list(MORE)
        found["noisy"] = [noisy(name, options.quick) for name in all_noisy]
    parts = [part for part in ("iteration", "problems", "noisy") if part in found]
    text = "\n".join(table(found[part]) for part in parts)
    print(text, table(found.get("libraries", [{}])), sep="\n")
    stored.write_text(json.dumps(found, indent=1, default=str) + "\n")
    (options.out / "second_order.md").write_text(text)


if __name__ == "__main__":
    main()
