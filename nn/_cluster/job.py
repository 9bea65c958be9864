"""An MPI job whose processes run one command; rank 0 speaks and writes.

The one place that imports mpi4py: functions take the communicator that they are given.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from fastmlp import kernels

from .cluster import Cluster

T = TypeVar("T")
#: Shards of a batch, as of ``MLP.fit``.
SHARDS = 8


class Job:
    """All processes, or this one alone.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm or None
    """

    def __init__(self, comm: Any = None) -> None:
        self.comm = comm

    @property
    def leads(self) -> bool:
        """Whether this process prints, draws and writes."""
        return self.comm is None or self.comm.Get_rank() == 0

    def together(self, work: Callable[[], T]) -> T:
        """Do what must go well in every process before anything else.

        Raises
        ------
        RuntimeError
            Where it failed in another one, with what that says.
        """
        if self.comm is None:
            return work()
        return Cluster(self.comm, SHARDS).together(work, lambda _: [])

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Print nothing but in rank 0."""
        if self.leads:
            yield
            return
        with (
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            yield


def world() -> Any:
    """The communicator of all processes.

    Raises
    ------
    ImportError
        Where mpi4py or the MPI library is missing.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the latter where there is no MPI library
        raise ImportError(
            "--mpi needs mpi4py and an MPI library: pip install mpi4py mpich, or the one of your "
            f"cluster ({str(error).splitlines()[0]})"
        ) from error
    return MPI.COMM_WORLD


def threads(comm: Any) -> int:
    """Threads for each process: those of its machine, shared by the processes there."""
    from mpi4py import MPI

    here = comm.Split_type(MPI.COMM_TYPE_SHARED)
    share = max(1, int(kernels.info()["n_threads"]) // int(here.Get_size()))
    here.Free()
    return share
