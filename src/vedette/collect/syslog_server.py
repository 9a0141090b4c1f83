"""The syslog listener: TCP framed by RFC 6587, UDP by RFC 5426. It reads no faster than the log takes."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Annotated, Final, NamedTuple, Self

import structlog
from pydantic import Field, field_validator

from vedette.collect.intake import Intake
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable
from vedette.collect.syslog import Messages
from vedette.collect.zone import is_zone
from vedette.core.errors import ConfigError, Transient
from vedette.core.ports import Clock
from vedette.core.settings import Settings
from vedette.core.types import Delivery

#: Bytes read from a connection at once; nothing more is read before they are durable.
CHUNK: Final = 128 << 10
#: Bytes of datagrams that wait for the log; those beyond are shed.
UDP_BYTES: Final = 8 << 20
#: How long messages of all senders are gathered into one delivery.
GATHER_SECONDS: Final = 0.005
#: How long the log may still refuse what was read when we close.
CLOSE_SECONDS: Final = 5.0

_COUNT: Final = re.compile(rb"([1-9]\d{0,8}) (?=<)")
_MAYBE_COUNT: Final = re.compile(rb"[1-9]\d{0,8} ?")

log = structlog.get_logger()


class SyslogSettings(Settings):
    """Where syslog is listened for.

    Attributes:
        tcp: `HOST:PORT` of a TCP listener, `udp` of a UDP one; without either nothing is listened on. Syslog knows no password:
            only addresses of this machine are taken, and a relay such as rsyslog receives from others.
        zone: of RFC 3164 times, which name none.
        labels: added to every stream.
        idle_seconds: a connection that is silent for so long is closed.
        message_seconds: so is one that takes longer over a single message; what came of it is kept.
        connections: at most so many at once.
    """

    tcp: str = ""
    udp: str = ""
    zone: str = "UTC"
    labels: Mapping[str, str] = {}
    idle_seconds: Annotated[float, Field(gt=0)] = 3600.0
    message_seconds: Annotated[float, Field(gt=0)] = 60.0
    connections: Annotated[int, Field(gt=0)] = 256

    @field_validator("tcp", "udp")
    @classmethod
    def _local(cls, text: str) -> str:
        if not text:
            return text
        host, _, port = text.rpartition(":")
        if not port.isdecimal() or not port.isascii() or int(port) > 65535:
            raise ValueError("expected HOST:PORT, such as 127.0.0.1:5514")
        if host not in ("", "localhost") and not _is_loopback(host.strip("[]")):
            raise ValueError(f"{text} is reachable from other machines: listen on 127.0.0.1 behind a relay such as rsyslog")
        return f"{host or '127.0.0.1'}:{port}"

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if not is_zone(zone):
            raise ValueError(f"no time zone is called '{zone}'; a name such as Europe/Zurich is expected")
        return zone


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Message(NamedTuple):
    """One message, and its length as sent where it was cut."""

    text: bytes
    cut: int | None = None


class Framing:
    r"""Cuts a TCP stream into messages: octet counting where a count and a priority begin one, else lines (RFC 6587).

    A message longer than `limit` bytes is cut there, and its rest is skipped without being held.

    >>> framing = Framing(limit=4)
    >>> [each.text for each in framing.feed(b"4 <1>b<1>c\n42 lines\n<1>lo")]
    [b'<1>b', b'<1>c', b'42 l']
    >>> framing.feed(b"ng\n<2>")
    [Message(text=b'<1>l', cut=7)]
    >>> framing.finish()
    [Message(text=b'<2>', cut=None)]
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = b""  # what may yet become a count
        self._held = bytearray()
        self._length = 0  # of the message at hand so far, held or skipped
        self._left = 0  # bytes of it still to come, where they are counted
        self._begun = False

    @property
    def unfinished(self) -> bool:
        """Whether a part of a message waits for its rest."""
        return self._begun or bool(self._head)

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that `chunk` completes."""
        chunk, self._head = self._head + chunk, b""
        found: list[Message] = []
        at = 0
        while at < len(chunk):
            if not self._begun:
                count = _COUNT.match(chunk, at)
                if count:
                    self._left, at = int(count.group(1)), count.end()
                elif _MAYBE_COUNT.fullmatch(chunk, at):
                    self._head = chunk[at:]
                    break
                self._begun = True
            if self._left:
                end = min(at + self._left, len(chunk))
                self._take(chunk[at:end])
                self._left -= end - at
                ended, at = self._left == 0, end
            else:
                end = chunk.find(b"\n", at)
                ended = end >= 0
                end = end if ended else len(chunk)
                self._take(chunk[at:end])
                at = end + 1
            if ended:
                found.append(self._whole())
        return [each for each in found if each.text]

    def finish(self) -> list[Message]:
        """What was left when the connection ended."""
        self._take(self._head)
        last = self._whole()
        self._head = b""
        return [last] if last.text else []

    def _take(self, part: bytes) -> None:
        self._length += len(part)
        self._held += part[: max(self._limit - len(self._held), 0)]

    def _whole(self) -> Message:
        message = Message(bytes(self._held).rstrip(b"\r\n\0"), self._length if self._length > len(self._held) else None)
        self._held.clear()
        self._length = self._left = 0
        self._begun = False
        return message


class SyslogServer:
    """Listens while it is entered.

    Neither TCP nor UDP has an acknowledgement. A connection is read further once what it sent is durable, so that while the log
    takes nothing the sender's own queue fills, and nothing is lost. Datagrams that find no room are shed, and counted.
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
        self._messages = Messages(name, table, settings.labels, settings.zone, limits=limits)
        self._listening: list[asyncio.Server | asyncio.DatagramTransport] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._waiting: list[Message] = []
        self._datagram_bytes = 0
        self._news = asyncio.Event()
        self._durable: asyncio.Future[None] | None = None
        self._closing = False
        self._flusher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        try:
            if self._settings.tcp:
                host, port = _address(self._settings.tcp)
                self._listening.append(await asyncio.start_server(self._connected, host, port, limit=CHUNK // 2))
            if self._settings.udp:
                address = _address(self._settings.udp)
                self._listening.append((await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=address))[0])
        except OSError as error:
            for each in self._listening:
                each.close()
            raise ConfigError([f"sources.{self._name}: syslog cannot be listened for: {error}"]) from error
        self._flusher = loop.create_task(self._flush())
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._listening:
            each.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._closing = True
        self._news.set()
        if self._flusher is not None:
            await self._flusher

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, TCP first."""
        sockets = [
            each.sockets[0] if isinstance(each, asyncio.Server) else each.get_extra_info("socket") for each in self._listening
        ]
        return [each.getsockname()[:2] for each in sockets]

    def datagram(self, data: bytes) -> None:
        """Take a datagram, or shed it."""
        limit = self._limits.line_bytes
        if self._datagram_bytes + len(data) > UDP_BYTES:
            self._intake.shed(self._name, 1)
            return
        text = data.rstrip(b"\r\n\0")
        if text:
            self._datagram_bytes += len(data)
            self._waiting.append(Message(text[:limit], len(text) if len(text) > limit else None))
            self._news.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= self._settings.connections:
            log.warning("a syslog connection is refused: there are too many", source=self._name)
            writer.close()
            return
        self._connections.add(task)
        framing = Framing(self._limits.line_bytes)
        try:
            await self._read(reader, framing)
            await self._deliver(framing.finish())
        finally:
            self._waiting += framing.finish()
            self._connections.discard(task)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, framing: Framing) -> None:
        """Deliver what comes, until the connection ends, is silent for too long, or takes too long over one message."""
        time = asyncio.get_running_loop().time
        since = None
        while True:
            seconds = self._settings.idle_seconds
            if since is not None:
                seconds = min(seconds, since + self._settings.message_seconds - time())
            try:
                async with asyncio.timeout(seconds):
                    chunk = await reader.read(CHUNK)
            except (TimeoutError, ConnectionError):
                return
            if not chunk:
                return
            messages = framing.feed(chunk)
            await self._deliver(messages)
            if not framing.unfinished:
                since = None
            elif messages or since is None:
                since = time()

    async def _deliver(self, messages: Sequence[Message]) -> None:
        """Return once `messages` are durable, however long it takes."""
        if not messages:
            return
        if self._durable is None:
            self._durable = asyncio.get_running_loop().create_future()
        self._waiting += messages
        self._news.set()
        await asyncio.shield(self._durable)

    async def _flush(self) -> None:
        """Take what waits, of all senders, to the log in one delivery after the other."""
        while self._waiting or not self._closing:
            await self._news.wait()
            if not self._closing:
                await asyncio.sleep(GATHER_SECONDS)
            self._news.clear()
            messages, durable = self._waiting, self._durable
            self._waiting, self._durable, self._datagram_bytes = [], None, 0
            if messages:
                await self._append(messages)
            if durable is not None:
                durable.set_result(None)

    async def _append(self, messages: Sequence[Message]) -> None:
        now = self._clock()
        rows = self._messages.rows([each.text for each in messages], [each.cut for each in messages], now)
        self._table.count_limited(rows["series"].to_numpy())
        definitions = self._table.definitions(rows["series"].unique().to_list())
        delivery = Delivery(self._name, {"series": definitions, "logs": rows})
        time = asyncio.get_running_loop().time
        until = None
        while True:
            try:
                await self._intake.accept(delivery)
            except Transient as error:
                log.warning("syslog waits for the log", source=self._name, reason=str(error))
                if self._closing:
                    until = until or time() + CLOSE_SECONDS
                    if time() > until:
                        self._intake.shed(self._name, len(messages))
                        return
                await asyncio.sleep(min(error.retry_after, CLOSE_SECONDS))
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
