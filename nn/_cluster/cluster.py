"""What the ranks of a communicator agree on before and while they train one network."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from fastmlp.kernels import CSR

from .._inputs import numbers
from .._typing import Array
from .._warn import warn

T = TypeVar("T")
#: Bytes of an array of which the ranks compare all; of a larger one as much of it.
COMPARED = 64 << 20
#: In which what starts the ranks reads what one has said: hearing of an end, it reads no more.
READ_SECONDS = 0.1


class Cluster:
    """A communicator, and how a batch is cut into shards.

    Parameters
    ----------
    comm : object
        A communicator of mpi4py, or what has its methods.
    shards : int or None
        Parts of a batch whose gradients are added up in a fixed tree. Powers of two of ranks up
        to it all give the same bits. ``None`` where each rank has work of its own.
    partitioned : bool
        Whether each rank has rows of its own; its part of a batch is one shard.

    Attributes
    ----------
    rank, size : int
    mine : range
        Shards of this rank.
    """

    def __init__(self, comm: Any, shards: int | None, partitioned: bool = False) -> None:
        for method in ("Get_rank", "Get_size", "Sendrecv", "Allgather", "allgather", "bcast"):
            if not hasattr(comm, method):
                raise TypeError(
                    f"comm must be a communicator of mpi4py, such as MPI.COMM_WORLD, got {comm!r}"
                )
        self.comm, self.partitioned = comm, partitioned
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.shards = self.size if shards is None else numbers.count("shards", shards, 1)
        self.mine = range(self.rank, self.rank + 1)
        if shards is None or partitioned:
            self.shards = self.size
            return
        if self.shards & (self.shards - 1):
            raise ValueError(f"shards must be a power of two, got {self.shards}")
        if self.size > self.shards or self.size & (self.size - 1):
            self.shards = self.size
            if self.rank == 0:
                warn(
                    f"{self.size} ranks are no power of two up to {shards} shards: results are "
                    "not those of 1, 2 and 4 ranks to the bit",
                    RuntimeWarning,
                )
        each = self.shards // self.size
        self.mine = range(self.rank * each, (self.rank + 1) * each)

    @property
    def leads(self) -> bool:
        """Whether this rank is the one that prints, draws and writes."""
        return self.rank == 0

    def cuts(self, n: int) -> list[int]:
        """Where ``n`` rows are cut into shards."""
        if self.partitioned:
            return [0 if k <= self.rank else n for k in range(self.shards + 1)]
        return [n * k // self.shards for k in range(self.shards + 1)]

    def total(self, own: float) -> float:
        """Of rows or weights: that of a common batch, or of all ranks' own."""
        return float(sum(self.comm.allgather(own))) if self.partitioned else own

    def part_of(self, size: int, rows: int) -> int:
        """How many of the ``size`` rows of a batch are this rank's, which has so many in all."""
        if not self.partitioned:
            return size
        every: list[int] = self.comm.allgather(rows)
        if max(every) > 2**60:  # of a source nobody knows
            every = [1] * self.size
        ends = [size * sum(every[:k]) // sum(every) for k in (self.rank, self.rank + 1)]
        return max(1, ends[1] - ends[0])

    def most(self, own: int) -> int:
        """The largest of all ranks' numbers, where they may differ."""
        return int(max(self.comm.allgather(own))) if self.partitioned else own

    def of_first(self, value: T) -> T:
        """What rank 0 has."""
        found: T = self.comm.bcast(value, root=0)
        return found

    def same_seeds(self, sequence: np.random.SeedSequence) -> np.random.SeedSequence:
        """Rank 0's sequence of seeds, on the other ranks one that spawns the same."""
        state = sequence.entropy, sequence.spawn_key, sequence.n_children_spawned
        entropy, key, spawned = self.of_first(state)
        if self.leads:
            return sequence
        return np.random.SeedSequence(entropy, spawn_key=key, n_children_spawned=spawned)

    def together(self, work: Callable[[], T], words: Callable[[T], list[str]]) -> T:
        """Do what every rank has to do before anything begins, and compare what it is.

        Raises
        ------
        RuntimeError
            Where another rank has failed, with what it says; a rank that fails raises its own.
        ValueError
            Where ranks disagree, naming on what.
        """
        result: Any = None
        failure: BaseException | None = None
        said: list[str] = []
        try:
            result = work()
            said = words(result)
        except BaseException as raised:
            failure = raised
        short = "" if failure is None else f"{type(failure).__name__}: {failure}"
        answers = self.comm.allgather((short, said))
        if failure is not None:
            raise failure
        for rank, (words_of_error, _) in enumerate(answers):
            if words_of_error:
                raise RuntimeError(f"rank {rank} could not begin: {words_of_error}")
        first: list[str] = answers[0][1]
        for rank, (_, others) in enumerate(answers):
            for one, other in zip(first, others, strict=True):
                if one != other:
                    raise ValueError(
                        f"ranks must train the same network on the same rows with the same "
                        f"options; rank 0 has {one[:200]} and rank {rank} {other[:200]}"
                    )
        made: T = result
        return made

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """End all ranks, with the traceback, where something raises in this one."""
        try:
            yield
        except BaseException:
            if self.size > 1:
                head = f"rank {self.rank} of {self.size} has failed:"
                print(head, traceback.format_exc(), sep="\n", file=sys.stderr, flush=True)
                time.sleep(READ_SECONDS)
                self.comm.Abort(1)
            raise


def fingerprint(value: Any) -> str:
    """A short description of an array or sparse rows: shape, type and a checksum."""
    if isinstance(value, CSR):
        return f"sparse rows of shape {value.shape} ({fingerprint(value.data)})"
    if not isinstance(value, np.ndarray):
        return hashlib.sha256(repr(value).encode()).hexdigest()[:12]
    return f"{value.dtype} of shape {value.shape} with checksum {_checksum(value):08x}"


def _checksum(array: Array) -> int:
    """Of all values, or of rows spread over a large array."""
    step = max(1, -(-array.nbytes // COMPARED))
    return zlib.crc32(np.ascontiguousarray(array[::step]).data)
