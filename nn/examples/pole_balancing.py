"""Balance a pole by trial and error: an actor and a critic that learn from every step of it.

A cart on a track is pushed left or right, fifty times a second, and a pole on it falls if
nothing is done (Barto, Sutton and Anderson, 1983). The actor gives the probability of a push to the
right, the critic what a state is worth. No loss has a name here: the actor follows the gradient of
the log-probability of what it did, times how much better that went than expected, which
``trainer.step_delta`` takes as the derivatives by the outputs. With ``--torch`` the same loop is
timed in PyTorch.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from fastmlp import MLP

from . import _common

#: Gravity, masses of cart and pole, half the pole's length, push, seconds between two pushes.
GRAVITY, CART, POLE, LENGTH, PUSH, TAU = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
#: Where the pole counts as fallen, in radians, and the track ends.
FALLEN, END = math.radians(12), 2.4
#: Steps of an episode at most; poles that are balanced at once; steps between two updates.
LONGEST, POLES, STEPS = 500, 16, 8
DISCOUNT = 0.98


class Poles:
    """Carts with poles, ``(n, 4)`` states: place, speed, angle and its speed."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self.states = rng.uniform(-0.05, 0.05, (n, 4)).astype(np.float32)
        self.ages = np.zeros(n, int)
        #: Lengths of the episodes that have ended.
        self.lengths: list[int] = []

    def push(self, right: Any) -> Any:
        """Push each cart for a step; whether its episode has ended. Poles that fell start anew."""
        _, speed, angle, spin = self.states.T
        force = np.where(right, PUSH, -PUSH)
        sine, cosine = np.sin(angle), np.cos(angle)
        pull = (force + POLE * LENGTH * spin**2 * sine) / (CART + POLE)
        turn = (GRAVITY * sine - cosine * pull) / (
            LENGTH * (4 / 3 - POLE * cosine**2 / (CART + POLE))
        )
        drive = pull - POLE * LENGTH * turn * cosine / (CART + POLE)
        change = np.stack([speed, drive, spin, turn], axis=1)
        self.states = (self.states + TAU * change).astype(np.float32)
        self.ages += 1
        fallen = (abs(self.states[:, 2]) > FALLEN) | (abs(self.states[:, 0]) > END)
        ended = fallen | (self.ages >= LONGEST)
        self.lengths += self.ages[ended].tolist()
        self.states[ended] = self._rng.uniform(-0.05, 0.05, (int(ended.sum()), 4))
        self.ages[ended] = 0
        return fallen


#: Probabilities of a push to the right, values, and one update of actor and critic.
Policy = Callable[[Any], Any]
Update = Callable[[Any, Any, Any], None]


def learner(seed: int) -> tuple[Policy, Policy, Update]:
    """Actor and critic."""
    actor = MLP([4, 32, 1], "tanh", output="sigmoid", random_state=seed)
    critic = MLP([4, 32, 1], "tanh", random_state=seed + 1)
    better = actor.trainer(optimizer="adam", learning_rate=0.01)
    judge = critic.trainer(optimizer="adam", learning_rate=0.02)

    def update(states: Any, pushes: Any, returns: Any) -> None:
        advantage = returns - critic.predict(states)
        right = np.clip(actor.predict(states), 1e-6, 1 - 1e-6)
        # d/dp of -log p for a push to the right, of -log(1 - p) for one to the left.
        slope = np.where(pushes, -1 / right, 1 / (1 - right))
        better.step_delta(states, (advantage * slope / len(states)).astype(np.float32))
        judge.step(states, returns)

    return actor.predict, critic.predict, update


def learner_of_torch(seed: int) -> tuple[Policy, Policy, Update]:
    """The same in PyTorch."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)

    def net() -> Any:
        return torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))

    actor, critic = net(), net()
    better = torch.optim.Adam(actor.parameters(), lr=0.01)
    judge = torch.optim.Adam(critic.parameters(), lr=0.02)

    def update(states: Any, pushes: Any, returns: Any) -> None:
        x, target = torch.from_numpy(states), torch.from_numpy(returns)
        values = critic(x)
        advantage = target - values.detach()
        score = actor(x)
        signed = torch.where(torch.from_numpy(pushes), score, -score)
        better.zero_grad()
        (-(advantage * torch.nn.functional.logsigmoid(signed)).mean()).backward()
        better.step()
        judge.zero_grad()
        (0.5 * (target - values) ** 2).mean().backward()
        judge.step()

    def probability(states: Any) -> Any:
        with torch.no_grad():
            return torch.sigmoid(actor(torch.from_numpy(states))).numpy()

    def value(states: Any) -> Any:
        with torch.no_grad():
            return critic(torch.from_numpy(states)).numpy()

    return probability, value, update


def train(make: Callable[[int], tuple[Policy, Policy, Update]], updates: int) -> tuple[Any, float]:
    """Lengths of the episodes in order, and seconds."""
    rng = np.random.default_rng(0)
    poles = Poles(POLES, rng)
    policy, value, update = make(0)
    started = time.perf_counter()
    for _ in range(updates):
        states, pushes, ends = [], [], []
        for _ in range(STEPS):
            right = rng.random((POLES, 1)) < policy(poles.states)
            states.append(poles.states)
            pushes.append(right)
            ends.append(poles.push(right[:, 0])[:, None])
        returns: list[Any] = []
        ahead = value(poles.states)
        for ended in reversed(ends):
            ahead = np.where(ended, 0, 1 + DISCOUNT * ahead).astype(np.float32)
            returns.insert(0, ahead)
        update(np.concatenate(states), np.concatenate(pushes), np.concatenate(returns))
    return np.array(poles.lengths), time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Run the example; return the mean length of the first and the last fifty episodes."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--torch", action="store_true", help="time the same loop in PyTorch")
    own, rest = parser.parse_known_args(arguments)
    options = _common.options(__doc__, rest)
    lengths, seconds = train(learner, 600)
    result = {"first": float(lengths[:50].mean()), "last": float(lengths[-50:].mean())}
    print(f"first 50 episodes: {result['first']:.0f} steps, last 50: {result['last']:.0f}")
    print(f"{600 * STEPS * POLES} pushes and 600 updates in {seconds:.2f} s")
    if own.torch:
        other, result["torch"] = train(learner_of_torch, 600)
        print(f"PyTorch: last 50 episodes {other[-50:].mean():.0f} steps, {result['torch']:.2f} s")
    if _common.can_draw():
        from fastmlp.plot import _style

        figure, axes = _style.pyplot().subplots(figsize=(8, 4.5), dpi=120, layout="constrained")
        axes.plot(lengths, ".", ms=3, alpha=0.4, color=_style.COLOURS[0])
        smooth = np.convolve(lengths, np.ones(25) / 25, "valid")
        axes.plot(np.arange(12, 12 + len(smooth)), smooth, color=_style.COLOURS[1], lw=2)
        _style.dress(
            axes, "An actor and a critic balance a pole", "episode", "steps until it falls"
        )
        _common.save(figure, options.out, "pole_balancing")
    return result


if __name__ == "__main__":
    main()
