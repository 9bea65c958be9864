"""A communicator between threads, with the methods of mpi4py's that fastmlp uses."""

from __future__ import annotations

import pickle
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np


class Aborted(BaseException):
    """What the other ranks meet after an Abort."""


class World:
    """Mailboxes of all ranks."""

    def __init__(self, size):
        self.size = size
        self.boxes = {(a, b): queue.Queue() for a in range(size) for b in range(size)}
        self.aborted = threading.Event()


class Communicator:
    """One rank's side of it."""

    def __init__(self, world, rank):
        self.world, self.rank = world, rank

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.world.size

    def _send(self, to, what):
        # Other processes get copies, whatever the sender does with its own meanwhile.
        sent = what if to == self.rank else pickle.loads(pickle.dumps(what))
        self.world.boxes[self.rank, to].put(sent)

    def _receive(self, source):
        while not self.world.aborted.is_set():
            try:
                return self.world.boxes[source, self.rank].get(timeout=0.02)
            except queue.Empty:
                continue
        raise Aborted

    def Sendrecv(self, given, dest, sendtag, recvbuf, source, recvtag):
        self._send(dest, given.copy())
        recvbuf[...] = self._receive(source)

    def allgather(self, value):
        for to in range(self.world.size):
            self._send(to, value)
        return [self._receive(source) for source in range(self.world.size)]

    def Allgather(self, given, received):
        received[...] = np.concatenate(self.allgather(given.copy()))

    def bcast(self, value, root):
        if self.rank == root:
            for to in range(self.world.size):
                self._send(to, value)
        return self._receive(root)

    def Abort(self, code):
        self.world.aborted.set()
        raise Aborted


def on_ranks(size, function):
    """``function(comm)`` of every rank, each in a thread: what they return or raise."""

    def one(rank):
        try:
            return function(Communicator(world, rank))
        except BaseException as error:
            return error

    world = World(size)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))
