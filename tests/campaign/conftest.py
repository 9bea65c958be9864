"""How much a campaign tries.

A few cases of each kind belong to the short suite. ``FASTMLP_CAMPAIGN=20`` tries twenty times as
many (some minutes), 2000 runs for hours; ``FASTMLP_CAMPAIGN_SEED`` begins elsewhere. A failure
names its seed.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

FACTOR = int(os.environ.get("FASTMLP_CAMPAIGN", "1"))
SEED = int(os.environ.get("FASTMLP_CAMPAIGN_SEED", "0"))


@pytest.fixture
def trials() -> Callable[[int], range]:
    """Seeds to try, for a number of them that takes about a second."""

    def some(few: int) -> range:
        seeds = range(SEED, SEED + few * FACTOR)
        print(f"seeds {seeds.start} to {seeds.stop - 1}")
        return seeds

    return some
