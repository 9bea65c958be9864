"""How many threads a job uses, found out while it runs.

What a second thread gains depends on the network, the batch, the machine and on who else uses it; a
rule of sizes cannot know the last two. Results are equal to the bit for any number of threads, so
trying costs nothing but time: the time of a step is measured with the present number of threads,
now and then a short stretch runs with half or twice as many, and what was faster stays. A number is
tried again only after twenty to a hundred times the time that trying it costs, so wrong tries soon
cost about a percent. (The compiled backend does the same in ``compiled/src/threads/tuner.c``.)
"""

from __future__ import annotations

from ..._machine import threads as _threads

STRETCH = 2e-3  # seconds that are measured at least
FIRST_TRY = 8e-3  # seconds with the first guess before anything else
PATIENCE = 100.0  # times the cost of a try,
FIRST_PATIENCE = 20.0  # and after the first one, which something may have disturbed
CLEARLY = 0.97  # another number must be this much faster
EACH_ALONE = 2.5e5  # operations of a step that one thread does in any case
WORTH_SHARING = 2e6  # operations from which two threads are the first guess


class Choice:
    """For steps of so many multiplications and additions, on at most ``n_threads`` threads.

    Attributes
    ----------
    threads : int
        For the next steps.
    """

    def __init__(self, n_threads: int, operations: float) -> None:
        doubled = [1 << i for i in range(n_threads.bit_length()) if 1 << i < n_threads]
        self._counts = [*doubled, n_threads] if operations >= EACH_ALONE else [1]
        self._costs: list[float | None] = [None] * len(self._counts)
        at = 0
        while at < len(self._counts) - 1 and operations > WORTH_SHARING * self._counts[at]:
            at += 1
        self._at = self._best = at
        self._direction = -1
        self._started: set[int] = set()
        self._spent, self._steps = 0.0, 0
        self._best_time, self._patience = 0.0, FIRST_PATIENCE
        self.threads = self._counts[at]

    @classmethod
    def of(cls, n_threads: int | None, operations: float) -> Choice:
        """The same for a thread count that may be ``None``, which is the default."""
        return cls(_threads.resolve(n_threads), operations)

    @property
    def most(self) -> int:
        """The largest number that will be tried."""
        return self._counts[-1]

    @property
    def trying(self) -> bool:
        """Whether the next steps are a try, which shall be short."""
        return self._at != self._best

    def note(self, steps: int, seconds: float) -> None:
        """So many steps took so long."""
        if len(self._counts) == 1:
            return
        self._spent += seconds
        self._steps += steps
        if self._spent >= STRETCH:
            self._end_stretch(self._spent / self._steps)
            self._spent, self._steps = 0.0, 0
            self.threads = self._counts[self._at]

    def _end_stretch(self, cost: float) -> None:
        if self.trying and self._at not in self._started:
            # A team of threads that comes together for the first time takes long: once more.
            self._started.add(self._at)
            return
        # What disturbs a stretch makes it longer, never shorter: a lower cost counts at once, a
        # higher one by and by.
        before = self._costs[self._at]
        known = cost if before is None or cost < before else 0.75 * before + 0.25 * cost
        self._costs[self._at] = known
        self._best_time += self._spent
        best = self._costs[self._best]
        if self.trying:
            better = best is None or known < CLEARLY * best
            if better:
                self._best = self._at
            self._patience = FIRST_PATIENCE if better else min(2 * self._patience, PATIENCE)
            self._at = self._best
            self._best_time = 0.0
            return
        if not 0 <= self._best + self._direction < len(self._counts):
            self._direction = -self._direction
        neighbour = self._best + self._direction
        known_cost = self._costs[neighbour]
        more = 0.0 if known_cost is None else (known_cost - known) * (STRETCH / known + 1)
        if self._best_time > max(FIRST_TRY, self._patience * more):
            self._at = neighbour
            self._direction = -self._direction
