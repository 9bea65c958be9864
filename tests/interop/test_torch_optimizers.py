"""Update rules and schedules beside PyTorch's own."""

from __future__ import annotations

import numpy as np
import pytest
from descents import BATCHES, EPOCHS, STEPS, N, descend, gradients, rates, reductions
from fastmlp import optimizers, schedules

torch = pytest.importorskip("torch")

CASES = [
    (optimizers.SGD(0.1), "SGD", {}),
    (optimizers.SGD(0.02, momentum=0.9), "SGD", {"momentum": 0.9}),
    (optimizers.SGD(0.02, 0.8, nesterov=True), "SGD", {"momentum": 0.8, "nesterov": True}),
    (optimizers.Adagrad(0.3), "Adagrad", {}),
    (
        optimizers.Adagrad(0.3, initial_accumulator_value=0.2, lr_decay=0.1),
        "Adagrad",
        {"initial_accumulator_value": 0.2, "lr_decay": 0.1},
    ),
    (optimizers.Adadelta(), "Adadelta", {}),
    (optimizers.Adadelta(2.0, rho=0.8, epsilon=1e-3), "Adadelta", {"rho": 0.8, "eps": 1e-3}),
    (optimizers.RMSprop(0.02), "RMSprop", {}),
    (optimizers.RMSprop(0.02, rho=0.9, centered=True), "RMSprop", {"alpha": 0.9, "centered": True}),
    (optimizers.RMSprop(0.01, momentum=0.9), "RMSprop", {"momentum": 0.9}),
    (
        optimizers.RMSprop(0.01, 0.9, momentum=0.5, centered=True),
        "RMSprop",
        {"alpha": 0.9, "momentum": 0.5, "centered": True},
    ),
    (optimizers.Adam(0.1), "Adam", {}),
    (optimizers.Adam(0.1, 0.8, 0.95, 1e-4), "Adam", {"betas": (0.8, 0.95), "eps": 1e-4}),
    (optimizers.Adam(0.1, amsgrad=True), "Adam", {"amsgrad": True}),
    (optimizers.AdamW(0.1), "AdamW", {}),
    (optimizers.AdamW(0.1, weight_decay=0.3), "AdamW", {"weight_decay": 0.3}),
    (
        optimizers.AdamW(0.1, amsgrad=True, weight_decay=0.3),
        "AdamW",
        {"amsgrad": True, "weight_decay": 0.3},
    ),
    (optimizers.Adamax(0.1), "Adamax", {}),
    (optimizers.Nadam(0.1), "NAdam", {}),
    (
        optimizers.Nadam(0.1, 0.8, momentum_decay=0.02, weight_decay=0.1),
        "NAdam",
        {
            "betas": (0.8, 0.999),
            "momentum_decay": 0.02,
            "weight_decay": 0.1,
            "decoupled_weight_decay": True,
        },
    ),
    (optimizers.RAdam(0.1), "RAdam", {}),
    (
        optimizers.RAdam(0.1, beta_2=0.9, weight_decay=0.1),
        "RAdam",
        {"betas": (0.9, 0.9), "weight_decay": 0.1, "decoupled_weight_decay": True},
    ),
    (optimizers.Rprop(), "Rprop", {}),
    (
        optimizers.Rprop(0.1, 0.3, 1.5, 1e-3, 0.2),
        "Rprop",
        {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2)},
    ),
]


@pytest.fixture
def doubles():
    """float64 as torch's default, in which it keeps NAdam's product."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.covers("backend optimizer")
@pytest.mark.parametrize(("optimizer", "name", "options"), CASES, ids=[repr(c[0]) for c in CASES])
def test_update_rules(backend, doubles, optimizer, name, options, rng):
    rule = optimizer.update_rule()
    gradient, start = gradients(rng), rng.standard_normal(N)
    p = torch.tensor(start, requires_grad=True)
    theirs = getattr(torch.optim, name)([p], lr=optimizer.learning_rate, **options)
    path = []
    for t in range(1, STEPS + 1):
        p.grad = torch.tensor(gradient(p.detach().numpy(), t))
        theirs.step()
        path.append(p.detach().numpy().copy())
    ours = descend(rule, optimizer.learning_rate, start, gradient)
    np.testing.assert_allclose(ours, path, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("schedule", "of_torch"),
    [
        (
            schedules.Step(step_size=7, gamma=0.3, every="step"),
            lambda o, s: s.StepLR(o, 7, 0.3),
        ),
        (schedules.Exponential(0.95, every="step"), lambda o, s: s.ExponentialLR(o, 0.95)),
        (
            schedules.Cosine(alpha=0.02, every="step"),
            lambda o, s: s.CosineAnnealingLR(o, EPOCHS * BATCHES, eta_min=0.01),
        ),
        (
            schedules.OneCycle(),
            lambda o, s: s.OneCycleLR(o, 0.5, total_steps=EPOCHS * BATCHES),
        ),
        (
            schedules.Warmup(9, schedules.Cosine(every="step"), start_factor=0.25),
            lambda o, s: s.SequentialLR(
                o,
                [s.LinearLR(o, 0.25, 1.0, 9), s.CosineAnnealingLR(o, EPOCHS * BATCHES - 9)],
                [9],
            ),
        ),
    ],
)
def test_schedules(schedule, of_torch):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    scheduler = of_torch(optimizer, torch.optim.lr_scheduler)
    expected = []
    for _ in range(EPOCHS * BATCHES):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates(schedule).ravel(), expected, rtol=1e-12, atol=1e-15)


def test_reduce_on_plateau():
    losses = np.random.default_rng(0).uniform(1, 2, 40).tolist()
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=2, threshold=1e-4, threshold_mode="abs", cooldown=3
    )
    expected = []
    for loss in losses:
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(loss)
    # torch's patience is the number of bad epochs that are still allowed.
    assert reductions(losses, factor=0.5, patience=3, cooldown=3) == expected
