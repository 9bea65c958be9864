"""How others train many networks: torch and JAX stacked by ``vmap``, scikit-learn one by one.

Each function gives what is timed: a call without arguments that has been warmed up, so that nothing
is compiled and no process started while the clock runs. A case has ``networks``, ``sizes``,
``batch``, ``epochs``, ``rows`` and ``optimizer``; ``classes`` says that targets are labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

#: Networks that scikit-learn trains; its time is scaled up.
FEW = 4


def sklearn(case: Any, x: Any, y: Any, rows: list[Any], n_jobs: int = 1) -> Callable[[], Any]:
    """A loop over some networks, by joblib's processes where there are several jobs."""
    from joblib import Parallel, delayed

    jobs = [delayed(_fit_sklearn)(case, x[part], y[part], i) for i, part in enumerate(rows[:FEW])]
    pool = Parallel(n_jobs=n_jobs)
    pool(jobs[:n_jobs])
    return lambda: pool(jobs)


def _fit_sklearn(case: Any, x: Any, y: Any, seed: int) -> None:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    model = (MLPClassifier if case.classes else MLPRegressor)(
        hidden_layer_sizes=case.sizes[1:-1],
        solver=case.optimizer,
        momentum=0.0,
        alpha=0.0,
        batch_size=case.batch,
        max_iter=case.epochs,
        n_iter_no_change=case.epochs,
        tol=0,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y.ravel())


def _stacked(nets: list[Any]) -> list[tuple[Any, Any]]:
    """Weights and biases of each layer, of all networks."""
    layers = range(len(nets[0].weights))
    return [
        (np.stack([net.weights[i] for net in nets]), np.stack([net.biases[i] for net in nets]))
        for i in layers
    ]


def torch(
    case: Any, x: Any, y: Any, rows: list[Any], nets: list[Any], n_threads: int = 1
) -> Callable[[], Any]:
    """``torch.func``: stacked parameters, one ``vmap`` over the networks, an optimizer over all."""
    import torch as t

    t.set_num_threads(n_threads)
    xs = t.stack([t.as_tensor(x[part]) for part in rows]) if case.own_rows else t.as_tensor(x)
    ys = t.stack([t.as_tensor(y[part]) for part in rows]) if case.own_rows else t.as_tensor(y)
    n = xs.shape[-2]
    flat = [t.as_tensor(a.copy()) for pair in _stacked(nets) for a in pair]

    def loss(parameters: Any, a: Any, target: Any) -> Any:
        for i in range(0, len(parameters) - 2, 2):
            a = t.relu(a @ parameters[i] + parameters[i + 1])
        scores = a @ parameters[-2] + parameters[-1]
        if case.classes:
            return t.nn.functional.cross_entropy(scores, target)
        return 0.5 * ((scores - target) ** 2).mean()

    gradients = t.func.vmap(t.func.grad(loss))

    def run() -> None:
        parameters = [a.clone() for a in flat]
        maker = {"adam": t.optim.Adam, "sgd": t.optim.SGD}[case.optimizer]
        optimizer = maker(parameters, lr=1e-3)
        which = t.arange(case.networks)[:, None]
        for _ in range(case.epochs):
            order = t.argsort(t.rand(case.networks, n), 1)
            for start in range(0, n - case.batch + 1, case.batch):
                index = order[:, start : start + case.batch]
                a = xs[which, index] if case.own_rows else xs[index]
                target = ys[which, index] if case.own_rows else ys[index]
                found = gradients(tuple(parameters), a, target)
                for parameter, gradient in zip(parameters, found, strict=True):
                    parameter.grad = gradient
                optimizer.step()

    return run


def jax(case: Any, x: Any, y: Any, rows: list[Any], nets: list[Any]) -> Callable[[], Any]:
    """One scan over epochs and steps in one jit, of networks stacked by ``vmap``."""
    import jax
    import jax.numpy as jnp

    xs = jnp.stack([x[part] for part in rows]) if case.own_rows else jnp.asarray(x)
    ys = jnp.stack([y[part] for part in rows]) if case.own_rows else jnp.asarray(y)
    n = xs.shape[-2]
    steps, batch = n // case.batch, case.batch  # what is left over is not visited

    def loss(parameters: Any, a: Any, target: Any) -> Any:
        *hidden, last = parameters
        for weights, bias in hidden:
            a = jax.nn.relu(a @ weights + bias)
        scores = a @ last[0] + last[1]
        if case.classes:
            chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), target[:, None], 1)
            return -jnp.mean(chosen)
        return 0.5 * jnp.mean((scores - target) ** 2)

    tree = jax.tree_util.tree_map

    def adam(state: Any, gradient: Any) -> Any:
        parameters, m, v, t = state
        t = t + 1
        m = tree(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
        v = tree(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
        scale = jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        change = tree(lambda p, a, b: p - 1e-3 * scale * a / (jnp.sqrt(b) + 1e-8), parameters, m, v)
        return change, m, v, t

    def sgd(state: Any, gradient: Any) -> Any:
        return (tree(lambda p, g: p - 1e-3 * g, state[0], gradient),)

    descend = {"adam": adam, "sgd": sgd}[case.optimizer]

    def train(key: Any, parameters: Any, own_x: Any, own_y: Any) -> Any:
        def step(state: Any, index: Any) -> Any:
            return descend(state, jax.grad(loss)(state[0], own_x[index], own_y[index])), None

        def epoch(state: Any, one: Any) -> Any:
            order = jax.random.permutation(one, n)[: steps * batch].reshape(steps, batch)
            return jax.lax.scan(step, state, order)

        zeros = tree(jnp.zeros_like, parameters)
        start = (parameters, zeros, zeros, 0.0) if case.optimizer == "adam" else (parameters,)
        return jax.lax.scan(epoch, start, jax.random.split(key, case.epochs))[0][0]

    shared = 0 if case.own_rows else None
    together = jax.jit(jax.vmap(train, in_axes=(0, 0, shared, shared)))
    start = [(jnp.asarray(w), jnp.asarray(b)) for w, b in _stacked(nets)]
    keys = jax.random.split(jax.random.PRNGKey(0), case.networks)
    jax.block_until_ready(together(keys, start, xs, ys))
    return lambda: jax.block_until_ready(together(keys, start, xs, ys))
