"""The syslog listener: TCP framed by RFC 6587, UDP by RFC 5426. It reads no faster than the log takes."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, NamedTuple, Self

import structlog
from pydantic import Field, field_validator

from vedette.collect.intake import Intake
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable
from vedette.collect.syslog import Messages
from vedette.collect.zone import is_zone
from vedette.core.errors import Transient
from vedette.core.ports import Clock
from vedette.core.settings import Settings
from vedette.core.types import Delivery

CHUNK: Final = 256 << 10
UDP_QUEUE: Final = 10_000
UDP_SECONDS: Final = 0.05

log = structlog.get_logger()


class SyslogSettings(Settings):
    """Where syslog is listened for.

    Attributes:
        tcp: `HOST:PORT` of a TCP listener, `udp` of a UDP one; without either nothing is listened on.
        zone: of RFC 3164 times, which name none.
        labels: added to every stream.
        idle_seconds: a connection that is silent for so long is closed.
        connections: at most so many at once.
    """

    tcp: str = ""
    udp: str = ""
    zone: str = "UTC"
    labels: Mapping[str, str] = {}
    idle_seconds: Annotated[float, Field(gt=0)] = 3600.0
    connections: Annotated[int, Field(gt=0)] = 1000

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if not is_zone(zone):
            raise ValueError(f"no time zone is called '{zone}'; a name such as Europe/Zurich is expected")
        return zone


class Message(NamedTuple):
    """One message, and its length as sent where it was cut."""

    text: bytes
    cut: int | None = None


class Framing:
    r"""Cuts a TCP stream into messages: octet counting where a message begins with a digit, else lines (RFC 6587).

    A message longer than `limit` bytes is cut there, and its rest is skipped without being held.

    >>> framing = Framing(limit=4)
    >>> [each.text for each in framing.feed(b"2 ab<1>c\n<1>lo")]
    [b'ab', b'<1>c']
    >>> framing.feed(b"ng\n<2>")
    [Message(text=b'<1>l', cut=7)]
    >>> framing.finish()
    [Message(text=b'<2>', cut=None)]
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = bytearray()
        self._length = 0  # of the message at hand so far, held or skipped
        self._left: int | None = None  # bytes of it still to come, when they were counted

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that `chunk` completes."""
        found = []
        at = 0
        while at < len(chunk):
            if self._left is None and self._length == 0 and not self._held and chunk[at : at + 1].isdigit():
                self._left = -1
            if self._left == -1:
                at = self._count(chunk, at)
                continue
            if self._left is not None:
                end = min(at + self._left, len(chunk))
                self._take(chunk[at:end])
                self._left -= end - at
                at = end
                if self._left == 0:
                    found.append(self._whole())
                continue
            end = chunk.find(b"\n", at)
            self._take(chunk[at:] if end < 0 else chunk[at:end])
            if end < 0:
                break
            at = end + 1
            if self._length:
                found.append(self._whole())
        return found

    def finish(self) -> list[Message]:
        """What was left when the connection ended."""
        return [self._whole()] if self._held else []

    def _count(self, chunk: bytes, at: int) -> int:
        """Read the digits of a count; where what follows is no blank, it was a line that began with a digit."""
        while at < len(chunk) and chunk[at : at + 1].isdigit() and len(self._held) < 10:
            self._held += chunk[at : at + 1]
            at += 1
        if at == len(chunk):
            return at
        if chunk[at : at + 1] == b" " and 0 < int(self._held) < 1 << 31:
            self._left = int(self._held)
            self._held.clear()
            return at + 1
        self._left, self._length = None, len(self._held)
        return at

    def _take(self, part: bytes) -> None:
        self._length += len(part)
        self._held += part[: max(self._limit - len(self._held), 0)]

    def _whole(self) -> Message:
        message = Message(bytes(self._held).rstrip(b"\r\n\0"), self._length if self._length > len(self._held) else None)
        self._held.clear()
        self._length, self._left = 0, None
        return message


class SyslogServer:
    """Listens while it is entered.

    TCP has no acknowledgement: a message is received once it is durable, and while the log cannot take it nothing more is read, so
    that the sender's own queue fills. A datagram that finds the queue full is shed, and counted.
    """

    def __init__(
        self, name: str, settings: SyslogSettings, intake: Intake, table: SeriesTable, limits: Limits, clock: Clock
    ) -> None:
        self._name = name
        self._settings = settings
        self._intake = intake
        self._table = table
        self._limits = limits
        self._clock = clock
        self._messages = Messages(name, table, settings.labels, settings.zone)
        self._connections: set[asyncio.Task[None]] = set()
        self._closing: list[asyncio.Server | asyncio.DatagramTransport] = []
        self._datagrams: asyncio.Queue[bytes] = asyncio.Queue(UDP_QUEUE)
        self._flusher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if self._settings.tcp:
            host, port = _address(self._settings.tcp)
            self._closing.append(await asyncio.start_server(self._connected, host, port, limit=CHUNK))
        if self._settings.udp:
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=_address(self._settings.udp))
            self._closing.append(transport)
            self._flusher = loop.create_task(self._flush())
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._closing:
            each.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)
            await self._deliver([Message(each) for each in self._drain()])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= self._settings.connections:
            writer.close()
            return
        self._connections.add(task)
        framing = Framing(self._limits.line_bytes)
        try:
            while chunk := await asyncio.wait_for(reader.read(CHUNK), self._settings.idle_seconds):
                await self._deliver(framing.feed(chunk))
            await self._deliver(framing.finish())
        except (TimeoutError, ConnectionError):
            await self._deliver(framing.finish())
        finally:
            self._connections.discard(task)
            writer.close()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, TCP first."""
        sockets = [each.sockets[0] if isinstance(each, asyncio.Server) else each.get_extra_info("socket") for each in self._closing]
        return [each.getsockname()[:2] for each in sockets]

    def datagram(self, data: bytes) -> None:
        """Queue a datagram, or shed it."""
        try:
            self._datagrams.put_nowait(data)
        except asyncio.QueueFull:
            self._intake.shed(self._name, 1)

    async def _flush(self) -> None:
        while True:
            first = await self._datagrams.get()
            await asyncio.sleep(UDP_SECONDS)
            await self._deliver([Message(each) for each in (first, *self._drain())])

    def _drain(self) -> Iterable[bytes]:
        return [self._datagrams.get_nowait() for _ in range(self._datagrams.qsize())]

    async def _deliver(self, messages: list[Message]) -> None:
        """Make `messages` durable, however long it takes."""
        messages = [each for each in messages if each.text]
        if not messages:
            return
        now = self._clock()
        rows = self._messages.rows([each.text for each in messages], [each.cut for each in messages], now, self._limits.window(now))
        definitions = self._table.definitions(rows["series"].unique().to_list())
        delivery = Delivery(self._name, {"series": definitions, "logs": rows})
        while True:
            try:
                await self._intake.accept(delivery)
            except Transient as error:
                log.warning("syslog waits for the log", source=self._name, reason=str(error))
                await asyncio.sleep(error.retry_after)
            else:
                return


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: SyslogServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, _address: object) -> None:
        self._server.datagram(data)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
