"""Where the work of a training is done: in this process, or in several of this machine. Results come in the order of the parts."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Inline:
    """One after the other, here.

    >>> list(Inline().map(abs, [-1, 2]))
    [1, 2]
    """

    def map(self, fn: Callable[[T], R], parts: Sequence[T]) -> Iterator[R]:
        """`fn` of each part, in their order."""
        return map(fn, parts)

    def close(self) -> None:
        """Nothing is held."""


class Processes:
    """Side by side in processes of their own, which are started when they are first needed.

    Args:
        count: of processes. `fn` and the parts must be importable, plain values.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def map(self, fn: Callable[[T], R], parts: Sequence[T]) -> Iterator[R]:
        """`fn` of each part, in their order, whichever is done first."""
        if self._pool is None:
            # Not forked: threads of other libraries may hold locks here.
            self._pool = ProcessPoolExecutor(self._count, mp_context=get_context("spawn"))
        return self._pool.map(fn, parts)

    def close(self) -> None:
        """End the processes; what they still do is given up."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
