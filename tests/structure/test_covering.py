"""The short suite shows what it says: every combination of the groups, with few tests."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from covering import cover

AXES = {"backend": range(2), "dtype": range(2), "loss": range(19), "shape": range(18)}
CASES = [dict(zip(AXES, values, strict=True)) for values in product(*AXES.values())]


def shown(cases, names):
    return {tuple(case[name] for name in names) for case in cases}


@pytest.mark.parametrize(
    ("groups", "most"),
    [(None, 19 * 18 + 20), ([["loss"], ["shape"], ["backend", "dtype"]], 19), ([], 0)],
)
def test_every_combination_occurs(groups, most):
    few = [CASES[place] for place in cover(CASES, groups)]
    for names in combinations(AXES, 2) if groups is None else groups:
        assert shown(few, names) == shown(CASES, names)
    assert len(few) <= most


def test_combinations_that_do_not_occur_are_not_missed():
    """Where parameters belong together, as a loss and its output, only their pairs count."""
    cases = [case for case in CASES if (case["loss"] + case["shape"]) % 3 == 0]
    few = [cases[place] for place in cover(cases)]
    for names in combinations(AXES, 2):
        assert shown(few, names) == shown(cases, names)


def test_nothing_and_one_parameter():
    assert cover([]) == []
    assert cover([{"a": 1}, {"a": 2}, {"a": 1}]) == [0, 1]


@pytest.mark.covers("a", "b c", without="x 1")
@pytest.mark.parametrize("a", [{}, [], 0, 1, "x"], ids=repr)
@pytest.mark.parametrize(("b", "c"), [(0, 0), (0, 1), (1, 0)])
def test_marked(a, b, c, request):
    """Five of these fifteen are in the short suite."""
    tests = [item for item in request.session.items if item.originalname == "test_marked"]
    short = [item for item in tests if "sweep" not in item.keywords]
    if not any("::" in name for name in request.config.args):  # what is named is run
        assert len(short) == 5
        assert not any({"x", "1"} <= {*map(str, item.callspec.params.values())} for item in short)
