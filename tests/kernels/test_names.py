"""Every name that the kernels know is run on every backend by the parity tests."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import test_parity
import test_parity_networks
from fastmlp import kernels, optimizers
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
    stepwise = optimizers.Optimizer.registry.keys() - {"gradient_descent", "lbfgs"}
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
