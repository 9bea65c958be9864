"""Dropout and its random numbers, penalties, clipping, bounded norms, frozen layers, zero weights.

What training with them gives is compared between the backends in ``test_parity_networks``.
"""

from __future__ import annotations

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import Architecture, UpdateRule, reference
from fastmlp.kernels.reference import philox, regularisation
from support import RULES, show

NET = Architecture((6, 9, 7, 3), ("tanh", "relu"), "softmax")
SGD = UpdateRule("sgd")


def problem(dtype, rng, n=20):
    flat = rng.standard_normal(NET.n_parameters).astype(dtype)
    return flat, rng.standard_normal((n, 6)).astype(dtype), rng.integers(0, 3, n)


def trained(
    flat, x, y, rule=SGD, *, loss="cross_entropy", epochs=1, rate=0.1, weight=None, **given
):
    """A trainer of the live backend after its epochs, its parameters and the last loss."""
    given = {"batch_size": len(x)} | given
    trainer = kernels.trainer(NET, flat.dtype, "cross_entropy", SGD, **given)
    trainer.load(flat)
    for _ in range(epochs):
        value = trainer.run_epoch(x, y, None, 0.1, sample_weight=weight)
    after = np.empty_like(flat)
    trainer.store(after)
    return trainer, after, value


class TestPhilox:
    @pytest.mark.parametrize(
        ("counter", "key", "words"),
        [
            ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
            ((2**32 - 1,) * 4, (2**32 - 1,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
            (
                (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
                (0xA4093822, 0x299F31D0),
                "d16cfe09 94fdcceb 5001e420 24126ea1",
            ),
        ],
    )
    def test_known_answers(self, counter, key, words):
        """Vectors of Random123's ``kat_vectors``, for philox4x32 with 10 rounds."""
        actual = philox.philox(np.array(counter, np.uint32), key)
        assert " ".join(f"{word:08x}" for word in actual) == words

    def test_counters_are_independent(self, rng):
        counters = rng.integers(0, 2**32, (5, 3, 4), np.uint32)
        block = philox.philox(counters, (7, 8))
        assert block.shape == (5, 3, 4)
        np.testing.assert_array_equal(block[3, 1], philox.philox(counters[3, 1], (7, 8)))

    def test_what_is_kept(self):
        """Key and counter as the trainer's documentation says."""
        seed, step, row, unit = 5 + (9 << 32), 2**32 + 3, 4, 6
        counter = np.array([unit // 4, row, 3, 2], np.uint32)
        word = philox.philox(counter, (5, 9))[unit % 4]
        for p in (0.1, 0.5, 0.9):
            kept = philox.kept(8, 10, p, seed, step, layer=2)
            assert kept.shape == (8, 10)
            assert kept[row, unit] == (word >= int(p * 2**32))

    def test_as_many_as_expected(self):
        for p in (0.1, 0.5, 0.8):
            masks = [philox.kept(100, 101, p, 3, step, 1) for step in range(1, 11)]
            share = np.mean(masks)
            assert abs(share - (1 - p)) < 4 * np.sqrt(p * (1 - p) / np.size(masks))
            # Rows, units, steps, layers and seeds differ from each other.
            others = (philox.kept(100, 101, p, 3, 1, 2), philox.kept(100, 101, p, 4, 1, 1))
            for other in (masks[1], *others):
                assert 0.05 < np.mean(masks[0] != other) < 0.6


class TestDropout:
    def test_a_step_is_that_of_the_network_that_is_left(self, backend, dtype, rng):
        """One row: the units that drop out may as well be cut out of the weights."""
        flat, x, y = problem(dtype, rng, n=1)
        p, seed = (0.3, 0.5, 0.4), 11
        _, after, value = trained(flat, x, y, dropout=p, seed=seed)
        cut = flat.astype(np.float64)
        weights, _ = NET.views(cut)
        factors = [
            philox.kept(1, len(w), q, seed, 1, layer)[0][:, None] / (1 - q)
            for layer, (w, q) in enumerate(zip(weights, p, strict=True))
        ]
        for w, factor in zip(weights, factors, strict=True):
            w *= factor
        exact = reference.Network(NET, "float64")
        loss, slope = exact.loss_and_gradient(cut, x.astype("f8"), y, "cross_entropy")
        for w, factor in zip(NET.views(slope)[0], factors, strict=True):
            w *= factor
        scale = 200 * float(np.finfo(dtype).eps)
        assert value == pytest.approx(loss, rel=scale)
        np.testing.assert_allclose(after, flat - 0.1 * slope, rtol=0, atol=scale)

    def test_steps_go_on_after_a_load(self, backend, dtype, rng):
        flat, x, y = problem(dtype, rng)
        options = {"dropout": (0.2, 0.5, 0.5), "seed": 3}
        _, whole, _ = trained(flat, x, y, epochs=2, **options)
        first, middle, _ = trained(flat, x, y, **options)
        second = kernels.trainer(NET, dtype, "cross_entropy", SGD, batch_size=20, **options)
        second.load(middle, None, first.step)
        second.run_epoch(x, y, None, 0.1)
        after = np.empty_like(flat)
        second.store(after)
        np.testing.assert_array_equal(after, whole)
        assert np.abs(middle + (middle - flat) - whole).max() > 1e-4

    def test_seed_and_probabilities_matter(self, backend, dtype, rng):
        flat, x, y = problem(dtype, rng)
        results = [
            trained(flat, x, y, dropout=p, seed=seed)[1]
            for p, seed in (
                *(((0, 0.5, 0.5), 0), ((0, 0.5, 0.5), 1), ((0, 0.5, 0.5), 2**32)),
                *(((0, 0.5, 0.4), 0), ((0.1, 0.5, 0.5), 0)),
            )
        ]
        for number, one in enumerate(results):
            for other in results[:number]:
                assert np.abs(one - other).max() > 1e-4
        np.testing.assert_array_equal(
            trained(flat, x, y, dropout=(0, 0, 0), seed=5)[1], trained(flat, x, y)[1]
        )

    def test_threads_and_blocks_change_nothing(self, backend, dtype, rng):
        flat, x, y = problem(dtype, rng, n=150)
        one, *others = (
            trained(flat, x, y, dropout=(0.1, 0.5, 0.5), n_threads=n, batch_size=100)[1]
            for n in (1, 2, 3)
        )
        for other in others:
            np.testing.assert_array_equal(one, other)


class TestPenalties:
    def test_l1(self, backend, dtype, rng):
        """``l1 Σ |W|`` with sign 0 at 0; biases are not penalised."""
        flat, x, y = problem(dtype, rng)
        flat[::5] = 0
        network = kernels.network(NET, dtype)
        plain, slope = network.loss_and_gradient(flat, x, y, "cross_entropy")
        value, penalised = network.loss_and_gradient(flat, x, y, "cross_entropy", l1=0.25)
        size = sum(float(np.abs(w).sum(dtype="f8")) for w in NET.views(flat)[0])
        epsilon = float(np.finfo(dtype).eps)
        assert value == pytest.approx(plain + 0.25 * size, rel=20 * epsilon)
        for change, w in zip(NET.views(penalised - slope)[0], NET.views(flat)[0], strict=True):
            np.testing.assert_allclose(change, 0.25 * np.sign(w), atol=20 * epsilon)
        for change in NET.views(penalised - slope)[1]:
            np.testing.assert_array_equal(change, 0)

    @pytest.mark.parametrize("over_batch", [False, True])
    def test_rows_without_weight(self, backend, dtype, rng, over_batch):
        """A batch whose weights are all zero has the penalty as its loss and gradient: no NaN."""
        options = {"l2": 0.5, "l1": 0.1, "l2_over_batch": over_batch}
        flat, x, y = problem(dtype, rng)
        _, after, value = trained(flat, x, y, weight=np.zeros(20, dtype), **options)
        l2, l1 = (0.0, 0.0) if over_batch else (0.5, 0.1)
        slope = np.zeros(len(flat))
        expected = regularisation.penalise(NET, flat.astype("f8"), slope, l2, l1)
        scale = 50 * float(np.finfo(dtype).eps)
        assert value == pytest.approx(expected, rel=scale)
        np.testing.assert_allclose(after, flat - 0.1 * slope, rtol=scale, atol=scale)


class TestClipping:
    @pytest.mark.parametrize("limits", [(0.01, None), (None, 0.2), (0.05, 0.2), (None, 1e6)])
    def test_steps(self, backend, dtype, rng, limits):
        """By value first, then by norm, whose divisor is a millionth larger as in PyTorch."""
        flat, x, y = problem(dtype, rng)
        exact = reference.Network(NET, "float64")
        options = {"l2": 0.01, "l1": 0.01}
        _, slope = exact.loss_and_gradient(
            flat.astype("f8"), x.astype("f8"), y, "cross_entropy", **options
        )
        value, norm = limits
        if value is not None:
            slope = np.clip(slope, -value, value)
        if norm is not None:
            slope *= min(1, norm / (np.linalg.norm(slope) + 1e-6))
        _, after, _ = trained(flat, x, y, clip_value=value, clip_norm=norm, **options)
        scale = 50 * float(np.finfo(dtype).eps)
        np.testing.assert_allclose(after, flat - 0.1 * slope, rtol=0, atol=scale)

    def test_gradient_norm(self, backend, dtype, rng):
        flat, x, y = problem(dtype, rng)
        network = kernels.network(NET, dtype)
        _, slope = network.loss_and_gradient(flat, x, y, "cross_entropy", l2=0.1)
        expected = pytest.approx(
            np.linalg.norm(slope.astype("f8")), rel=50 * float(np.finfo(dtype).eps)
        )
        for options in ({"track_gradient_norm": True}, {"clip_norm": 0.1, "clip_value": 0.01}):
            assert trained(flat, x, y, l2=0.1, **options)[0].gradient_norm == expected
        assert trained(flat, x, y)[0].gradient_norm is None


class TestMaxNorm:
    def test_columns_are_bounded(self, backend, dtype, rng):
        """Those that are longer have the length afterwards, the others stay as they are."""
        flat, x, y = problem(dtype, rng)
        weights, _ = NET.views(flat)
        weights[1][:, 3] = 0
        plain = trained(flat, x, y)[1]
        bounded = trained(flat, x, y, max_norm=2.5)[1]
        longer = 0
        for before, after in zip(NET.views(plain)[0], NET.views(bounded)[0], strict=True):
            lengths = np.linalg.norm(before.astype("f8"), axis=0)
            expected = before * np.minimum(1, 2.5 / np.maximum(lengths, 1e-9))
            np.testing.assert_allclose(after, expected, atol=20 * float(np.finfo(dtype).eps))
            np.testing.assert_array_equal(after[:, lengths < 2.4], before[:, lengths < 2.4])
            longer += np.count_nonzero(lengths > 2.5)
        assert longer > 1
        for before, after in zip(NET.views(plain)[1], NET.views(bounded)[1], strict=True):
            np.testing.assert_array_equal(after, before)


class TestFrozenLayers:
    @pytest.mark.covers("backend rule", "dtype", without="numba float64")
    @pytest.mark.parametrize("rule", [rule for rule in RULES if rule.slots], ids=show)
    def test_they_keep_parameters_and_state(self, backend, dtype, rule, rng):
        """Bit for bit, decay and bounds included, while the others learn as ever."""
        rule = UpdateRule(rule.name, {**rule.constants, "weight_decay": 0.1})
        flat, x, y = problem(dtype, rng)
        trainer = kernels.trainer(
            NET, dtype, "cross_entropy", rule, batch_size=7, max_norm=1.5, trainable=(1, 0, 1)
        )
        trainer.load(flat)
        trainer.run_epoch(x, y, None, 0.01)
        after, state = np.empty_like(flat), np.empty((len(rule.slots), len(flat)), dtype)
        trainer.store(after, state)
        initial = rule.initial_state(len(flat), 0.0, dtype)
        for kind in (0, 1):  # weights, biases
            first, second, third = NET.views(after)[kind]
            before = NET.views(flat)[kind]
            np.testing.assert_array_equal(second, before[1])
            assert not np.array_equal(first, before[0])
            assert not np.array_equal(third, before[2])
            for moment, was in zip(state, initial, strict=True):
                np.testing.assert_array_equal(NET.views(moment)[kind][1], NET.views(was)[kind][1])

    def test_they_count_in_no_norm(self, backend, dtype, rng):
        flat, x, y = problem(dtype, rng)
        _, slope = kernels.network(NET, dtype).loss_and_gradient(flat, x, y, "cross_entropy")
        weights, biases = NET.views(slope.astype("f8"))
        expected = np.sqrt(np.square(weights[2]).sum() + np.square(biases[2]).sum())
        options = {"trainable": (False, False, True), "track_gradient_norm": True}
        trainer, _, _ = trained(flat, x, y, **options)
        assert trainer.gradient_norm == pytest.approx(expected, rel=50 * float(np.finfo(dtype).eps))
