"""Names: those of the package for editors, those of other frameworks, and what was meant."""

from __future__ import annotations

import typing

import numpy as np
import pytest
from fastmlp import (
    MLP,
    MLPClassifier,
    MLPRegressor,
    _typing,
    activations,
    initializers,
    kernels,
    losses,
    optimizers,
    schedules,
    stopping,
)

KNOWN = {
    "ActivationName": kernels.ACTIVATIONS,
    "OutputName": kernels.OUTPUTS,
    "LossName": kernels.LOSSES,
    "OptimizerName": (*optimizers.Optimizer.registry, *optimizers._FULL_BATCH),
    "ScheduleName": schedules.Schedule.registry,
    "StopName": stopping.StopRule.registry,
    "InitializerName": initializers.Initializer.registry,
}


@pytest.mark.parametrize("name", KNOWN)
def test_editors_know_every_name(name):
    assert set(typing.get_args(getattr(_typing, name))) == set(KNOWN[name])


def literals(hint):
    """All strings of the literal types within a hint."""
    found = set()
    for part in typing.get_args(hint):
        found |= {part} if isinstance(part, str) else literals(part)
    return found


@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [
        (MLP.__init__, "activation", "gelu"),
        (MLP.__init__, "output", "softmax"),
        (MLP.__init__, "init", "he_normal"),
        (MLP.fit, "loss", "cross_entropy"),
        (MLP.fit, "optimizer", "rmsprop"),
        (MLP.fit, "learning_rate", "cosine"),
        (MLP.fit, "batch_size", "full"),
        (MLP.fit, "class_weight", "balanced"),
        (MLP.fit, "stop", "early_stopping"),
        (MLPClassifier.__init__, "solver", "lbfgs"),
        (MLPRegressor.__init__, "learning_rate", "adaptive"),
    ],
)
def test_signatures_have_the_names(function, argument, name):
    assert name in literals(typing.get_type_hints(function)[argument])


@pytest.mark.parametrize(
    ("get", "given", "meant"),
    [
        (optimizers.get, "RMSProp", "rmsprop"),
        (optimizers.get, "L-BFGS", "lbfgs"),
        (optimizers.get, "momentum", "sgd"),
        (schedules.get, "invscaling", "inverse_scaling"),
        (schedules.get, "OneCycle", "one_cycle"),
        (stopping.get, "EarlyStopping", "early_stopping"),
        (initializers.get, "kaiming_normal", "he_normal"),
        (losses.get, "sparse_categorical_crossentropy", "cross_entropy"),
        (losses.get, "binary_crossentropy", "binary_cross_entropy"),
        (losses.get, "mse", "squared_error"),
        (activations.get, "swish", "silu"),
        (activations.get, "LeakyReLU", "leaky_relu"),
    ],
)
def test_names_of_other_frameworks_are_errors_that_name_the_package_s(get, given, meant):
    with pytest.raises(ValueError, match=rf"got '{given}'; did you mean '{meant}'\?"):
        get(given)


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        ({"loss": "mse"}, "squared_error"),
        ({"loss": "mae"}, "absolute_error"),
        ({"loss": "nll"}, "cross_entropy"),
        ({"loss": "SparseCategoricalCrossentropy"}, "cross_entropy"),
        ({"loss": "squard_error"}, "squared_error"),
        ({"optimizer": "momentum"}, "sgd"),
        ({"optimizer": "adamm"}, "adam"),
        ({"learning_rate": "StepLR"}, "step"),
        ({"learning_rate": "reduce_lr_on_plateau"}, "reduce_on_plateau"),
        ({"stop": "patience"}, "early_stopping"),
    ],
)
def test_names_of_a_fit(options, meant):
    net = MLP([2, 1], random_state=0)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=rf"must be one of .*; did you mean '{meant}'\?"):
        net.fit(np.ones((3, 2)), np.ones(3), **options)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "rellu"}, "did you mean 'relu'"),
        ({"output": "soft_max"}, "did you mean 'softmax'"),
        ({"output": "sofmax"}, "did you mean 'softmax'"),
        ({"init": "xavier"}, "did you mean 'glorot_uniform'"),
        ({"activation": "xyz"}, "got 'xyz'$"),
    ],
)
def test_names_of_a_network(options, message):
    with pytest.raises(ValueError, match=message):
        MLP([2, 3, 2], **options)


@pytest.mark.parametrize("sizes", [[1, 8, 1], [4, 1]])
def test_softmax_of_one_output_is_refused(sizes):
    with pytest.raises(ValueError, match=r"always 1.*output='sigmoid'"):
        MLP(sizes, output="softmax")
    MLP(sizes, output="sigmoid")
