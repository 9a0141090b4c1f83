"""Charts as SVG, drawn here so that a report needs no script, no font and no other file; colours come from the page's style.

A chart is a frozen value that can draw itself and say its numbers. Everything written into it is escaped.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import polars as pl
from markupsafe import Markup

WIDTH: Final = 480
HEIGHT: Final = 270
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 28, 42
NAMES: Final = 132
ROW: Final = 30
Numbers = Sequence[float]


class Chart(Protocol):
    """What a report shows: a title, a sentence that says how to read it, and a drawing."""

    @property
    def title(self) -> str:
        """What it shows."""

    @property
    def caption(self) -> str:
        """How to read it, in a sentence."""

    def svg(self) -> Markup:
        """The drawing, whose colours are classes of the report's style."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Values over time, or over anything else, with a band around them. NaN breaks a line; a few hundred points are enough.

    Attributes:
        title, caption: see `Chart`.
        x: of shape (n,), ascending; UTC microseconds where `time` is set.
        lines: name -> values of shape (n,); three at most, the first stands out.
        lower, upper: the band, both of shape (n,) or both empty.
        time: whether `x` is a time.
    """

    title: str
    caption: str
    x: Numbers
    lines: Mapping[str, Numbers]
    lower: Numbers = ()
    upper: Numbers = ()
    time: bool = False

    def svg(self) -> Markup:
        """The drawing."""
        area = _area(self.x, [*self.lines.values(), self.lower, self.upper], time=self.time)
        band = [*zip(self.x, self.upper, strict=False), *reversed(list(zip(self.x, self.lower, strict=False)))]
        parts = [_band(area, band) if band else Markup()]
        parts += [
            _path(area, zip(self.x, y, strict=True), f"line line-{i}") for i, y in reversed(list(enumerate(self.lines.values())))
        ]
        return _drawing(self.title, HEIGHT, [area.frame(), *parts, _legend([*self.lines])])


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar a name, with the champion's as a mark beside it, and what is written at its end.

    Attributes:
        title, caption: see `Chart`.
        values: name -> value; NaN is written, not drawn.
        written: name -> the value in words.
        marks: name -> what it is compared with.
    """

    title: str
    caption: str
    values: Mapping[str, float]
    written: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, float] = field(default_factory=dict)

    def svg(self) -> Markup:
        """The drawing."""
        known = [value for value in (*self.values.values(), *self.marks.values()) if math.isfinite(value)]
        most = max([*known, 0.0]) or 1.0
        rows = [self._row(number, name, most) for number, name in enumerate(self.values)]
        return _drawing(self.title, ROW * max(len(rows), 1) + 8, rows)

    def _row(self, number: int, name: str, most: float) -> Markup:
        value, top, left, room = self.values[name], 4 + ROW * number, NAMES + 8, WIDTH - NAMES - 78
        width = room * max(value, 0.0) / most if math.isfinite(value) else 0.0
        mark = self.marks.get(name, math.nan)
        place = room * max(mark, 0.0) / most if math.isfinite(mark) else 0.0
        parts = [
            _text(NAMES, top + 17, _short(name, 19), "end"),
            Markup('<rect class="bar" x="{}" y="{}" width="{:.1f}" height="18" rx="3"/>').format(left, top + 4, width),
            _text(left + max(width, place) + 8, top + 17, self.written.get(name, _number(value)), "start", "strong"),
        ]
        if math.isfinite(mark):
            parts.append(Markup('<path class="mark" d="M{:.1f} {}v24"/>').format(left + place, top + 1))
        return Markup().join(parts)


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision over recall as the threshold falls, the chosen threshold marked.

    Attributes:
        title, caption: see `Chart`.
        recall, precision: of shape (n,), in [0, 1].
        at: recall and precision at the threshold in use; None where it is not on the curve.
    """

    title: str
    caption: str
    recall: Numbers
    precision: Numbers
    at: tuple[float, float] | None = None

    def svg(self) -> Markup:
        """The drawing."""
        area = Area((0.0, 1.0), (0.0, 1.0), ("recall", "precision"))
        parts = [area.frame(), _path(area, zip(self.recall, self.precision, strict=True), "line line-0")]
        if self.at is not None and all(map(math.isfinite, self.at)):
            parts.append(_dot(area, *self.at, 6.0, "point"))
        return _drawing(self.title, HEIGHT, parts)


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often answers of each probability were right; on the diagonal probabilities mean what they say.

    Attributes:
        title, caption: see `Chart`.
        probability, right, count: of shape (bins,), as `classes.reliability` has them; larger dots are more answers.
    """

    title: str
    caption: str
    probability: Numbers
    right: Numbers
    count: Numbers

    def svg(self) -> Markup:
        """The drawing."""
        area = Area((0.0, 1.0), (0.0, 1.0), ("probability said", "share that was right"))
        diagonal = _path(area, [(0.0, 0.0), (1.0, 1.0)], "diagonal")
        most = max([*self.count, 1.0])
        sized = zip(self.probability, self.right, self.count, strict=True)
        dots = [_dot(area, x, y, 3.0 + 9.0 * math.sqrt(count / most), "bubble") for x, y, count in sized]
        line = _path(area, zip(self.probability, self.right, strict=True), "line line-0")
        return _drawing(self.title, HEIGHT, [area.frame(), diagonal, line, *dots])


@dataclass(frozen=True, slots=True)
class Area:
    """Where numbers go: the range of either axis, its name, and whether the first is a time."""

    x: tuple[float, float]
    y: tuple[float, float]
    names: tuple[str, str] = ("", "")
    time: bool = False

    def place(self, x: float, y: float) -> tuple[float, float]:
        """From numbers to the drawing."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def frame(self) -> Markup:
        """Grid, ticks and names of the axes."""
        right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
        parts = []
        for tick in ticks(*self.y):
            _, y = self.place(self.x[0], tick)
            parts += [_rule(LEFT, y, right, y), _text(LEFT - 8, y + 4, _number(tick), "end")]
        for tick, text in self._across():
            x, _ = self.place(tick, self.y[0])
            parts.append(_text(x, floor + 18, text, "middle"))
        across, up = self.names
        parts += [_text((LEFT + right) / 2, HEIGHT - 5, across, "middle"), _text(8, 12, up, "start")]
        return Markup().join(parts)

    def _across(self) -> list[tuple[float, str]]:
        if not self.time:
            return [(tick, _number(tick)) for tick in ticks(*self.x)]
        low, high = self.x
        at = [low + (high - low) * share for share in (0.1, 0.5, 0.9)]
        shape = "%d %b" if high - low > 3 * 86_400e6 else "%d %b %H:%M"
        moments = pl.Series([int(each) for each in at]).cast(pl.Datetime("us")).dt.strftime(shape)
        return list(zip(at, moments.to_list(), strict=True))


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers within a range.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(each for each in (1.0, 2.0, 5.0, 10.0) if each * size >= rough * 0.99)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _area(x: Numbers, columns: Iterable[Numbers], *, time: bool) -> Area:
    known = [value for column in columns for value in column if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    margin = 0.05 * (high - low) or max(abs(high), 1.0) * 0.1
    begin, end = (x[0], x[-1]) if len(x) else (0.0, 1.0)
    return Area((begin, end if end > begin else begin + 1.0), (low - margin if low else 0.0, high + margin), time=time)


def _path(area: Area, points: Iterable[tuple[float, float]], style: str) -> Markup:
    steps, pen = [], "M"
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            steps.append(f"{pen}{_pair(area, x, y)}")
            pen = "L"
        else:
            pen = "M"
    return Markup('<path class="{}" d="{}"/>').format(style, "".join(steps))


def _band(area: Area, points: Iterable[tuple[float, float]]) -> Markup:
    corners = " ".join(_pair(area, x, y) for x, y in points if math.isfinite(y))
    return Markup('<polygon class="band" points="{}"/>').format(corners)


def _pair(area: Area, x: float, y: float) -> str:
    across, up = area.place(x, y)
    return f"{across:.1f} {up:.1f}"


def _dot(area: Area, x: float, y: float, size: float, style: str) -> Markup:
    across, up = area.place(x, y)
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(style, across, up, size)


def _rule(x: float, y: float, right: float, low: float) -> Markup:
    return Markup('<path class="grid" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(x, y, right, low)


def _text(x: float, y: float, text: str, anchor: str, style: str = "") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(style, x, y, anchor, text)


def _legend(names: Sequence[str]) -> Markup:
    parts, place = [], LEFT + 8.0
    for number, name in enumerate(names if len(names) > 1 else ()):
        parts.append(Markup('<path class="line line-{}" d="M{:.1f} 8h18"/>').format(number, place))
        parts.append(_text(place + 24, 12, _short(name, 24), "start"))
        place += 44 + 7.0 * min(len(name), 24)
    return Markup().join(parts)


def _drawing(title: str, height: int, parts: Sequence[Markup]) -> Markup:
    shape = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return shape.format(WIDTH, height, title, Markup().join(parts))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if math.isfinite(value) else "not measured"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
