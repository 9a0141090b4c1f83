"""Those who ask at the same time are answered by one call.

A model spends most of a call on things that do not depend on the number of rows. So each served version has a line: who asks
waits until enough rows are there or the first of them has waited two milliseconds, a thread of the line's own makes one call
for all, and everybody gets their rows of it. No answer depends on who else asked: two that name the same series never share a
call, and where a call fails each is tried alone. A model that is slow or stuck holds up its own line and nothing else.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread
from time import monotonic
from typing import Final

import polars as pl
import structlog

from vedette.core.errors import Transient, VedetteError
from vedette.web.view import Served

#: A line's thread that has had nothing to do for so long ends; the next who asks starts another. Seconds.
IDLE: Final = 10.0
SERIES: Final = "series"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things wait, and how many.

    Attributes:
        rows: of one call, where more than one asks.
        linger: seconds that the first of a call waits for others.
        waiting_rows: of one line; beyond them nobody more is taken.
        seconds: after which a call counts as stuck, and who asked is told so.
    """

    rows: int = 256
    linger: float = 0.002
    waiting_rows: int = 200_000
    seconds: float = 10.0


@dataclass(slots=True)
class _Ask:
    frame: pl.DataFrame
    came: float
    answer: Future[pl.DataFrame] = field(default_factory=Future)

    def series(self) -> set[object]:
        return set(self.frame[SERIES].to_list()) if SERIES in self.frame.columns else set()


class Line:
    """Those who wait for one served version, and the thread that answers them. Anybody may ask from any thread."""

    def __init__(self, served: Served, patience: Patience) -> None:
        self.served = served
        self._patience = patience
        self._changed = Condition()
        self._waiting: deque[_Ask] = deque()
        self._rows = 0
        self._called: float | None = None
        self.alive = False

    @property
    def stuck(self) -> bool:
        """Whether the call that runs has taken longer than patience has it."""
        called = self._called
        return called is not None and monotonic() - called > self._patience.seconds

    def ask(self, frame: pl.DataFrame) -> Future[pl.DataFrame]:
        """The answer to `frame`, when it is there: an error of ours, or a frame with the columns of `served.outputs`.

        Raises:
            Transient: too many wait already, or the model is stuck.
        """
        if self.stuck:
            raise Transient(f"{_label(self.served)} has not answered for {self._patience.seconds:g} seconds", retry_after=5.0)
        ask = _Ask(frame, monotonic())
        with self._changed:
            if self._waiting and self._rows + frame.height > self._patience.waiting_rows:
                raise Transient(f"{self._rows} rows wait for {_label(self.served)} already; ask again later")
            self._waiting.append(ask)
            self._rows += frame.height
            if not self.alive:
                self.alive = True
                Thread(target=self._run, name=f"line {_label(self.served)}", daemon=True).start()
            elif len(self._waiting) == 1 or self._rows >= self._patience.rows:
                self._changed.notify()
        return ask.answer

    def _run(self) -> None:
        while (asks := self._next()) is not None:
            self._called = monotonic()
            self._answer([ask for ask in asks if ask.answer.set_running_or_notify_cancel()])
            self._called = None

    def _next(self) -> list[_Ask] | None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, IDLE):
                self.alive = False
                return None
            rest = self._waiting[0].came + self._patience.linger - monotonic()
            if rest > 0:
                self._changed.wait_for(lambda: self._rows >= self._patience.rows, rest)
            return self._together()

    def _together(self) -> list[_Ask]:
        """From the head of the line, as many as may share a call."""
        chosen = [self._waiting.popleft()]
        rows = chosen[0].frame.height
        names = chosen[0].series() if self._waiting and rows < self._patience.rows else set()
        while self._waiting and rows + self._waiting[0].frame.height <= self._patience.rows:
            more = self._waiting[0].series()
            if names & more:
                break
            names |= more
            chosen.append(self._waiting.popleft())
            rows += chosen[-1].frame.height
        self._rows -= rows
        return chosen

    def _answer(self, asks: Sequence[_Ask]) -> None:
        if not asks:
            return
        try:
            answers = _parts(self.served, [ask.frame for ask in asks])
        except BaseException as error:  # noqa: BLE001 -- a model may raise anything, a panic of its engine too; those who wait must hear of it
            if len(asks) > 1:
                for ask in asks:
                    self._answer([ask])
            else:
                asks[0].answer.set_exception(_in_words(self.served, error))
            return
        for ask, answer in zip(asks, answers, strict=True):
            ask.answer.set_result(answer)


class Lines:
    """A line for each version that was asked for lately; of one event loop."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._lines: dict[tuple[str, str], Line] = {}

    def of(self, served: Served) -> Line:
        """The line of `served`; another object of the same name and version is another model, and gets a new one."""
        key = (served.name, served.version)
        line = self._lines.get(key)
        if line is None or line.served is not served:
            self._lines = {key: each for key, each in self._lines.items() if each.alive}
            line = self._lines[key] = Line(served, self._patience)
        return line


def _label(served: Served) -> str:
    return f"{served.name}@{served.version}"


def _parts(served: Served, frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """One call for all of `frames`, and the part of its answer that belongs to each."""
    heights = [frame.height for frame in frames]
    answer = served.predict(frames[0] if len(frames) == 1 else pl.concat(frames))
    missing = [name for name in served.outputs if name not in answer.columns]
    if missing:
        raise VedetteError(f"{_label(served)} answered without {', '.join(missing)}")
    if served.family == "forecasts":
        return [answer] if len(frames) == 1 else [_of_series(answer, frame) for frame in frames]
    if answer.height != sum(heights):
        raise VedetteError(f"{_label(served)} answered {answer.height} rows for {sum(heights)}")
    return [answer.slice(start, height) for start, height in zip(_starts(heights), heights, strict=True)]


def _of_series(answer: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    return answer.filter(pl.col(SERIES).is_in(frame[SERIES].unique().implode()))


def _starts(heights: Iterable[int]) -> list[int]:
    starts = [0]
    for height in heights:
        starts.append(starts[-1] + height)
    return starts[:-1]


def _in_words(served: Served, error: BaseException) -> VedetteError:
    if isinstance(error, VedetteError):
        return error
    log.error("a model failed", model=served.name, version=served.version, exc_info=error)
    return VedetteError(f"{_label(served)} failed; the log says why")
