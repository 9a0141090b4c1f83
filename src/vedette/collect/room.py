"""How much of all bodies is held at once, whoever sends them: memory does not grow with the number of senders."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from vedette.core.errors import Transient

#: A body that is no longer than this is decoded at once; a longer one in a worker thread, where it keeps nobody waiting.
INLINE_BYTES: Final = 1 << 20
#: The same for one that is compressed, and may become a thousand times as long.
INLINE_COMPRESSED_BYTES: Final = 16 << 10

T = TypeVar("T")


class Held:
    """What one body holds of a room."""

    def __init__(self, room: "Room") -> None:
        self._room = room
        self.size = 0

    def take(self, size: int) -> None:
        """Hold `size` bytes more.

        Raises:
            Transient: there is no room for them now.
        """
        self._room.take(size)
        self.size += size


class Room:
    """Bytes of bodies that are being received, and large bodies that are being decoded; of one event loop.

    Args:
        limit: bytes as sent.
        decoders: large bodies decoded at once; each may take what `Limits.decoded_bytes` says, and its columns.

    >>> room = Room(limit=10)
    >>> with room.hold() as held:
    ...     held.take(8)
    ...     room.held
    8
    >>> room.held
    0
    """

    def __init__(self, limit: int = 128 << 20, decoders: int = 2) -> None:
        self._limit = limit
        self._decoding = asyncio.Semaphore(decoders)
        self.held = 0

    @contextmanager
    def hold(self) -> Iterator[Held]:
        """Room for one body, given back in the end."""
        held = Held(self)
        try:
            yield held
        finally:
            self.held -= held.size

    def take(self, size: int) -> None:
        """Count `size` bytes more; `Held.take` is what gives them back."""
        if self.held + size > self._limit:
            raise Transient(f"{self.held} bytes of bodies are in hand already; send this again, later or in smaller parts")
        self.held += size

    async def decode(self, size: int, call: Callable[[], T], *, compressed: bool = False) -> T:
        """Run `call` over a body of `size` bytes: at once, or in turn in a worker thread."""
        if size <= (INLINE_COMPRESSED_BYTES if compressed else INLINE_BYTES):
            return call()
        async with self._decoding:
            return await asyncio.to_thread(call)


async def until(ready: Callable[[], bool]) -> None:
    """Wait, and let others be served meanwhile."""
    while not ready():  # noqa: ASYNC110 -- it is a thread that gets ready, of which no event of this loop hears
        await asyncio.sleep(0.1)
