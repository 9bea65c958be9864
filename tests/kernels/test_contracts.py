"""Every name, constant and vector of state that Python knows is known to C under the same name.

The lists are kept on both sides (``kernels/_names.py``, ``src/names.h``). What is missing on one of
them raises before any kernel runs; these tests find it before a user does.
"""

import numpy as np
import pytest
from fastmlp import kernels
from fastmlp.kernels import _names
from fastmlp.kernels._options import TrainingOptions
from fastmlp.kernels._specs import Loss, UpdateRule

core = pytest.importorskip(
    "fastmlp.kernels.compiled._core", reason="extension not built", exc_type=ImportError
)

KINDS = {
    "activation": {*_names.ACTIVATIONS, *_names.OUTPUTS},
    "loss": set(_names.LOSSES),
    "loss constant": {name for c in _names.LOSS_CONSTANTS.values() for name in c},
    "rule": set(_names.UPDATE_RULES),
    "rule constant": {"weight_decay", *(n for c in _names.RULE_CONSTANTS.values() for n in c)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_c_knows_every_name(kind):
    codes = {name: core._contract(kind, name) for name in KINDS[kind]}
    assert None not in codes.values(), {name for name, code in codes.items() if code is None}
    assert len(set(codes.values())) == len(codes)


def test_c_keeps_as_many_vectors_of_state():
    for name, slots in _names.UPDATE_RULES.items():
        assert core._contract("rule", name)[1] == len(slots), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["", "relu\0", "adam\0junk", "\udc80", "no such name", None, 3])
def test_what_c_does_not_know_has_no_number(kind, name):
    assert core._contract(kind, name) is None


def renamed(spec, **attributes):
    """A record changed behind its own checks, as if the two lists had drifted apart."""
    for name, value in attributes.items():
        object.__setattr__(spec, name, value)
    return spec


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (renamed(UpdateRule("adam"), constants={"beta_9": 1.0}), "no constant.*'beta_9'"),
        (renamed(UpdateRule("adam"), name="adam\0"), "update rule"),
    ],
)
def test_an_update_rule_that_c_does_not_know_is_refused(rule, message, monkeypatch):
    monkeypatch.setattr(UpdateRule, "slots", ("first_moment", "second_moment"))
    p, g, state = np.ones(4), np.ones(4), np.zeros((2, 4))
    with pytest.raises(ValueError, match=message):
        core.update(rule, p, g, state, 1, 0.1)
    np.testing.assert_array_equal(p, 1)
    architecture = kernels.Architecture((2, 2), (), "identity")
    with pytest.raises(ValueError, match=message):
        core.Trainer(architecture, np.float64, "squared_error", rule, TrainingOptions(batch_size=4))


def test_a_wrong_number_of_vectors_of_state_is_refused(monkeypatch):
    monkeypatch.setattr(UpdateRule, "slots", ("first_moment",))
    with pytest.raises(ValueError, match="2 vectors of state for update rule 'adam', got 1"):
        core.update(UpdateRule("adam"), np.ones(4), np.ones(4), np.zeros((1, 4)), 1, 0.1)


def test_a_loss_that_c_does_not_know_is_refused():
    z = y = np.ones((3, 2))
    loss = renamed(Loss("huber"), constants={"delta": 1.0, "width": 2.0})
    with pytest.raises(ValueError, match="no constant of a loss 'width'"):
        core.output_delta(z, y, loss, "identity")


def test_names_with_a_zero_or_half_a_pair_are_refused():
    x, w, b = np.ones((2, 3)), np.ones((3, 2)), np.ones(2)
    for name in ("relu\0junk", "relu\0", "re\udc80lu"):
        with pytest.raises(ValueError, match="activation must be one of"):
            core.dense_forward(x, w, b, name)
        with pytest.raises(ValueError, match="activation must be one of"):
            core.activate(x, name)
