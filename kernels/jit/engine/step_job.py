"""The job of training steps: all phases at once, or the rows of one huge step in pieces."""

from __future__ import annotations

from collections.abc import Sequence

from ..compiling.lazy import Task
from ..threads.team import Job
from .workspace import Workspace


class StepJob:
    """The phases of a training step, of which the first is the rows pass.

    Parameters
    ----------
    space : Workspace
    tasks : sequence of Task
        One for each phase.
    """

    def __init__(self, space: Workspace, tasks: Sequence[Task]) -> None:
        self._space, self._tasks = space, tasks
        self._whole = self._job(tasks)

    def _job(self, tasks: Sequence[Task]) -> Job:
        job = self._space.job(*tasks)
        job.flush_subnormals()
        return job

    def counts(self, counts: Sequence[int], last_counts: Sequence[int]) -> None:
        """Say how many tasks each phase has, in a step and in the last of all."""
        self._whole.counts(counts, last_counts)

    def run(self, first: int, last: int, final: int, n_threads: int) -> None:
        """Run steps ``first ≤ step < last``; ``final`` is the last of all."""
        self._whole.steps(first, last, final)
        self._whole.run(n_threads)

    def run_in_pieces(
        self, step: int, final: int, counts: Sequence[int], piece: int, n_threads: int
    ) -> None:
        """Run one step of so many tasks a phase, its rows in pieces of ``piece`` tasks.

        Between two pieces Python answers signals. An exception of a handler leaves the step out:
        nothing is changed before all rows are done.
        """
        plan, (n_rows, *others) = self._space.plan, counts
        rows, weights = self._job(self._tasks[:1]), self._job(self._tasks[1:])
        try:
            for begin in range(0, n_rows, piece):
                plan.first_block = begin
                rows.counts([min(piece, n_rows - begin)])
                rows.steps(step, step + 1, final)
                rows.run(n_threads)
        finally:
            plan.first_block = 0
        weights.counts(others)
        weights.steps(step, step + 1, final)
        weights.run(n_threads)
