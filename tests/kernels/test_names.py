"""Every name that the kernels know is run on every backend by the parity tests."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import test_parity
import test_parity_networks
from fastmlp import kernels, optimizers
from fastmlp.kernels import reference
from support import FUNCTIONS, LOSS_PAIRS, RULES, calls


def arguments_of(function):
    """All arguments of the calls with which the parity tests compare a kernel."""
    rng = np.random.default_rng(0)
    return [arg for call in calls(function, (2, 3, 4), np.dtype("f4"), rng) for arg in call.args]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_kernels_are_compared_with_every_name(function):
    seen = {arg for arg in arguments_of(function) if isinstance(arg, str)}
    if function in ("dense_forward", "activate"):
        assert seen >= {*kernels.ACTIVATIONS, *kernels.OUTPUTS}
    elif function in ("activation_backward", "delta_backward"):
        assert seen >= set(kernels.ACTIVATIONS)
    elif function in ("output_delta", "loss_value"):
        assert seen >= set(kernels.OUTPUTS)
        named = {arg.name for arg in arguments_of(function) if isinstance(arg, kernels.Loss)}
        assert named == set(kernels.LOSSES)


def test_networks_are_compared_with_every_name():
    pairs = {(loss.name, output) for loss, output in LOSS_PAIRS}
    assert pairs == {(loss, o) for loss, outputs in kernels.LOSS_OUTPUTS.items() for o in outputs}
    assert set(test_parity_networks.ACTIVATION_LISTS) >= set(kernels.ACTIVATIONS)
    assert {rule.name for rule in RULES} == set(kernels.UPDATE_RULES)
    stepwise = optimizers.Optimizer.registry.keys() - optimizers._FULL_BATCH.keys()
    rules = {optimizers.get(name).update_rule().name for name in stepwise}
    assert rules <= set(kernels.UPDATE_RULES)


def test_every_option_is_compared():
    options = {name for options in test_parity_networks.OPTIONS for name in options}
    taken = {
        name
        for name, parameter in inspect.signature(kernels.trainer).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    # The others are arguments of every comparison of trainers.
    assert options == taken - {"batch_size", "l2", "l2_over_batch", "n_threads"}


def test_comparisons_run_on_every_backend():
    for test in (
        test_parity.test_shapes_and_threads,
        test_parity.test_update,
        test_parity_networks.test_predict_with_activations,
        test_parity_networks.test_training_with_losses,
        test_parity_networks.test_training_with_rules,
        test_parity_networks.test_training_with_activations,
        test_parity_networks.test_training_with_options,
    ):
        assert "fast_backend" in inspect.signature(test).parameters


def test_supports(backend):
    names = (*kernels.ACTIVATIONS, *kernels.OUTPUTS, *kernels.LOSSES, *kernels.UPDATE_RULES)
    for feature in (*names, "label_smoothing", "dropout", "sparse", "custom"):
        assert kernels.supports(feature)
        assert kernels.supports(feature, backend)
    with pytest.raises(ValueError, match="feature must be one of"):
        kernels.supports("no_such")
    with pytest.raises(ValueError, match="backend must be one of"):
        kernels.supports("relu", "no_such")


@pytest.mark.parametrize("name", kernels.UPDATE_RULES)
def test_every_constant_and_slot_means_the_same(fast_backend, name, rng):
    """One constant after the other at another value, from a state in which every slot counts."""
    spec = kernels.RULE_SPECS[name]
    n, step, rate = 23, 3, 0.1
    for constant, default in {**spec.constants, "weight_decay": 0.0}.items():
        changed = {"learning_rate_power": -0.3, "step_max": 0.11, "step_min": 0.3}
        constants = {constant: changed.get(constant, 0.5 * default or 0.25)}
        if constant in ("momentum", "nesterov", "centered"):
            constants = {"momentum": 0.7, constant: 1.0 if constant != "momentum" else 0.4}
            constants = {key: value for key, value in constants.items() if key in spec.constants}
        rule = kernels.UpdateRule(name, constants)
        state = rng.uniform(0.1, 0.2, (len(spec.slots), n))
        parameters, gradient = rng.normal(size=(2, n))
        expected, wanted = parameters.copy(), state.copy()
        reference.update(rule, expected, gradient, wanted, step, rate)
        kernels.update(rule, parameters, gradient, state, step, rate)
        np.testing.assert_allclose(parameters, expected, rtol=1e-9, atol=1e-9, err_msg=str(rule))
        np.testing.assert_allclose(state, wanted, rtol=1e-9, atol=1e-9, err_msg=str(rule))
        start = rule.initial_state(n, rate, "f8")
        assert start.shape == (len(spec.slots), n)


@pytest.mark.parametrize("name", kernels.LOSSES)
def test_every_constant_of_a_loss_means_the_same(fast_backend, name, rng):
    spec = kernels.LOSS_SPECS[name]
    z, y = rng.normal(size=(9, 4)), rng.integers(0, 4, 9)
    for constants in ({}, *({constant: 0.3} for constant in spec.constants)):
        loss = kernels.Loss(name, constants)
        for output in spec.outputs:
            expected = reference.output_delta(z, y, loss, output)
            actual = kernels.output_delta(z, y, loss, output)
            np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)
            assert kernels.loss_value(z, y, loss, output) == pytest.approx(
                reference.loss_value(z, y, loss, output), rel=1e-9
            )
