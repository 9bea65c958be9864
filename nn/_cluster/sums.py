"""Sums over the ranks of a communicator, in one order whatever the number of ranks.

A batch is cut into a fixed number of shards. Their gradients are added up in a binary tree,
``((g⁰ + g¹) + (g² + g³)) + …``: a rank adds those of its own shards, a subtree, and the ranks
exchange the rest, first with the neighbour, then with the pair beside it, and so on. Addition of
two numbers commutes, so both partners have the same bits, and those of one process alone.

Long vectors travel in halves (R. Rabenseifner, "Optimization of Collective Reduction Operations",
ICCS 2004): in each round a rank keeps the half that it adds up and gives the other away; then the
sums come back the same way. That is ``2 (1 - 1/ranks)`` vectors a rank in place of
``log₂ ranks``, and each element is still added in the order of the tree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._typing import Array

#: Bytes from which a vector travels in halves.
LONG = 1 << 16
TAG = 7419


def over_ranks(comm: Any, vector: Array) -> None:
    """Replace the vector of every rank by the sum over all ranks.

    Of a power of two of ranks it is the sum of the tree. Of any other number the vectors are added
    in the order of the ranks.
    """
    size = comm.Get_size()
    if size == 1:
        return
    if size & (size - 1):
        all_of_them = np.empty((size, *vector.shape), vector.dtype)
        comm.Allgather(as_bytes(vector), as_bytes(all_of_them))
        vector[...] = all_of_them[0]
        for other in all_of_them[1:]:
            vector += other
    elif vector.nbytes < LONG or len(vector) < size:
        _whole(comm, vector)
    else:
        _in_halves(comm, vector)


def _whole(comm: Any, vector: Array) -> None:
    received = np.empty_like(vector)
    distance = 1
    while distance < comm.Get_size():
        _exchange(comm, comm.Get_rank() ^ distance, vector, received)
        vector += received
        distance *= 2


def _in_halves(comm: Any, vector: Array) -> None:
    rank, size = comm.Get_rank(), comm.Get_size()
    parts: list[tuple[int, Array, Array]] = []
    own, distance = vector, 1
    received = np.empty(len(vector) // 2 + 1, vector.dtype)
    while distance < size:
        middle = len(own) // 2
        halves = own[:middle], own[middle:]
        upper = bool(rank & distance)
        keep, give = halves[upper], halves[not upper]
        _exchange(comm, rank ^ distance, give, received[: len(keep)])
        keep += received[: len(keep)]
        parts.append((rank ^ distance, keep, give))
        own, distance = keep, 2 * distance
    for partner, keep, give in reversed(parts):
        _exchange(comm, partner, keep, give)


def _exchange(comm: Any, partner: int, given: Array, received: Array) -> None:
    comm.Sendrecv(
        as_bytes(given), dest=partner, sendtag=TAG, recvbuf=as_bytes(received), source=partner,
        recvtag=TAG,
    )  # fmt: skip


def as_bytes(vector: Array) -> Array:
    """The same memory as bytes, which every library sends unchanged."""
    seen: Array = vector.reshape(-1).view(np.uint8)
    return seen
