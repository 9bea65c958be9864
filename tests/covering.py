"""The short suite: of a test's many combinations of parameters, those that find what all find.

A test marked ``covers`` names the groups of parameters whose combinations must all occur; nearly
every fault depends on one parameter, or on two together. ``covers()`` means every pair. Of the
combinations that pytest collects for the test, enough are kept that each value combination of each
group occurs, and the others are marked ``sweep``, which the short suite leaves out
(``pytest -m ""`` runs them all). ``without="numba float64"`` leaves all combinations with both of
these values to the long suite: one source makes the kernels of both precisions, and compiling each
of them takes longer than all that is asked of it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations

Case = Mapping[str, Hashable]


def wanted(case: Case, groups: Sequence[Sequence[str]]) -> Iterator[Hashable]:
    """The value combinations that a case shows, one for each group."""
    for group in groups:
        yield (*group, *(case[name] for name in group))


def cover(cases: Sequence[Case], groups: Sequence[Sequence[str]] | None = None) -> list[int]:
    """Places of few cases that together show every value combination that occurs in all of them.

    Greedy, in a fixed order: each time the first case that shows most of what is still missing.
    Without ``groups`` these are all pairs of parameters.
    """
    if not cases:
        return []
    if groups is None:
        names = sorted(cases[0])
        groups = list(combinations(names, min(2, len(names))))
    shown = [frozenset(wanted(case, groups)) for case in cases]
    missing = frozenset().union(*shown)
    # What a case adds only ever shrinks, so an old count is an upper bound of today's.
    adds = [len(one) for one in shown]
    chosen = []
    while missing:
        best, most = -1, 0
        for place, bound in enumerate(adds):
            if bound > most:
                adds[place] = len(shown[place] & missing)
                if adds[place] > most:
                    best, most = place, adds[place]
        chosen.append(best)
        missing -= shown[best]
    return sorted(chosen)
