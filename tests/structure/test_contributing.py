"""CONTRIBUTING's table of places is true: every name that is there now stands in each of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastmlp import kernels, optimizers, schedules, stopping

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "CONTRIBUTING.md"
ROWS = re.findall(r"^\| ([a-z ]+) \| (`.*`) \|$", PAGE.read_text() if PAGE.exists() else "", re.M)
PLACES = {what: re.findall(r"`([^`]+)`", places) for what, places in ROWS}
#: The names of each kind, from the code. Identity is what a formula leaves out.
NAMES = {
    "activation": [name for name in kernels.ACTIVATIONS if name != "identity"],
    "loss": list(kernels.LOSSES),
    "update rule": list(kernels.UPDATE_RULES),
    "optimizer": list(optimizers.Optimizer.registry),
    "schedule": list(schedules.Schedule.registry),
    "stop rule": list(stopping.StopRule.registry),
    "option of training": [
        *("l2", "l1", "dropout", "clip_value", "clip_norm", "max_norm", "trainable"),
    ],
    "instruction set": ["baseline", "avx2", "avx512", "neon"],
    "backend": list(kernels.available()),
}
SUFFIXES = (".py", ".pyx", ".pxi", ".c", ".h")

pytestmark = pytest.mark.source_tree


def stands_in(name: str, text: str) -> bool:
    """Whether the name stands there, as it is, as a part of an identifier, or as a class."""
    camel = "".join(word.capitalize() for word in name.split("_"))
    return bool(re.search(rf"(?<![a-z]){name}(?![a-z])|\b{camel}\b", text, re.IGNORECASE))


def test_the_table_is_complete():
    assert set(PLACES) == set(NAMES)


@pytest.mark.parametrize("what", NAMES)
def test_every_name_stands_in_every_place(what):
    for place in PLACES[what]:
        path = ROOT / place
        assert path.exists(), f"{place} is gone"
        files = [path] if path.is_file() else [f for f in path.rglob("*") if f.suffix in SUFFIXES]
        text = "\n".join(file.read_text("utf-8") for file in files)
        missing = [name for name in NAMES[what] if not stands_in(name, text)]
        assert not missing, f"{place} lacks {missing}"
