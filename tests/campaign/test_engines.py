"""Random training steps agree between the backends, and to the bit between numbers of threads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import comparisons
import configurations
import numpy as np
import pytest
from comparisons import check, moved, report
from configurations import STEPS, draw, shrunk, simpler
from fastmlp import kernels
from fresh import run_with_numba


def test_backends_agree(trials):
    for seed in trials(4):
        configuration = draw(seed)
        fault = check(configuration)
        assert not fault, report(configuration, fault)


#: With more threads than this machine may have: Numba takes its limit from the environment.
BITS = """
import sys
sys.path[:0] = {paths!r}
from comparisons import report, same_bits
from configurations import draw
from dataclasses import replace
from fastmlp import kernels
from fresh import run_with_numba
kernels.use_backend({backend!r})
for seed in {seeds!r}:
    c = draw(seed)
    sizes = (c.sizes[0] * 4, *(size * 3 for size in c.sizes[1:-1]), c.sizes[-1])
    c = replace(c, sizes=sizes, batch=max(c.batch, 33))
    fault = same_bits(c, (1, 2, 3, 4, 8), 3)
    if fault:
        sys.exit(report(c, fault, "same_bits"))
"""


def test_bits_of_any_number_of_threads(fast_backend, trials):
    """Parameters, state, losses and norms of gradients, for random options."""
    here = Path(__file__).parent
    paths = [str(here), str(here.parent)]
    code = BITS.format(paths=paths, backend=fast_backend, seeds=list(trials(4)))
    done = run_with_numba(code, NUMBA_NUM_THREADS="8")
    assert done.returncode == 0, done.stderr


def test_a_failing_configuration_is_made_small():
    """Whatever is not needed for the failure goes."""

    def fails(c):
        return "l1" in c.options and c.batch > 1

    large = next(c for c in map(draw, range(1000)) if len(c.options) > 3 and fails(c))
    small = shrunk(large, fails)
    assert list(small.options) == ["l1"]
    assert small.batch <= 3
    assert (small.weighted, small.threads, small.dtype) == (False, 1, "float64")
    assert set(small.sizes) == {1}
    assert not any(map(fails, simpler(small)))
    assert eval(repr(small), vars(configurations)) == small


@pytest.mark.parametrize("what", ["parameters", "state"])
def test_a_wrong_step_is_found(monkeypatch, what):
    """The tolerance that follows a step's conditioning does not wave through a real error."""
    backend = kernels.available()[0]
    if backend == "reference":
        pytest.skip("there is nothing to compare with the reference")
    plain = next(c for c in map(draw, range(100)) if c.rule.slots and not c.options)
    assert check(plain) == ""
    honest = comparisons.make_step

    def wrong(trainer, c, p, start, x, number, weight):
        result = honest(trainer, c, p, start, x, number, weight)
        if start[0].dtype == np.float32 and number == STEPS - 1:
            result[what] = moved(result[what], 1e-3, np.random.default_rng(0))
        return result

    monkeypatch.setattr(comparisons, "make_step", wrong)
    assert f"values of {what}" in check(replace(plain, dtype="float32"))
