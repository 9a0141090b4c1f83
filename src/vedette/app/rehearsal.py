"""What would have been raised: the points of the lake through a version and the whole alert path, beside what was raised.

A version scores with its parameters alone and learns as it goes, as it would have then: what it was fitted on comes from the very
time that is looked at, and to know that would be to know the future.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from vedette import config
from vedette.act import Incident, IncidentStore, Window
from vedette.act.grouping import ties
from vedette.app import ground as grounds
from vedette.app.ownership import owns
from vedette.app.replaying import replayed
from vedette.core.catalogue import Catalogue, SeriesInfo
from vedette.core.errors import Rejected
from vedette.core.selection import Selection
from vedette.core.types import Card
from vedette.models import Envelope

#: Days before the time that is looked at from which the habits of the series are learnt.
WARM_DAYS: Final = 28.0
WEEK: Final = 7 * grounds.DAY

#: (what is being done, the share of it that is done).
Show = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Missed:
    """Something that people confirmed and no replayed incident met: its name, and when it was, UTC microseconds."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a replay came to. Times are UTC microseconds.

    Attributes:
        label: who scored.
        start, end: what was looked at; `points` and `series` how many there were in it.
        would: the incidents that would have been raised, the oldest first.
        known: those that were raised of the same series, the oldest first.
        missed: what people confirmed, and none of `would` met.
        confirmed: how many of those there were to meet.
        met: incident that would have been raised -> one that was, at the same time and of the same thing.
    """

    label: str
    start: int
    end: int
    points: int
    series: int
    would: tuple[Incident, ...]
    known: tuple[Incident, ...]
    missed: tuple[Missed, ...]
    confirmed: int
    met: Mapping[str, str]

    def weeks(self) -> list[tuple[int, int, int]]:
        """A row a week from `start` on: when it begins, how many would have been raised in it, and how many were.

        >>> Rehearsal("envelope", 0, 8 * grounds.DAY, 0, 0, (), (), (), 0, {}).weeks()
        [(0, 0, 0), (604800000000, 0, 0)]
        """
        would, known = (Counter(max(each.started_at - self.start, 0) // WEEK for each in some) for some in (self.would, self.known))
        return [(self.start + week * WEEK, would[week], known[week]) for week in range(-((self.start - self.end) // WEEK))]


def rehearse(
    home: Path,
    declared: config.Config,
    card: Card | None,
    span: tuple[int | None, int | None],
    show: Show = lambda _what, _share: None,
) -> Rehearsal:
    """Replay what the lake of `home` holds.

    Args:
        home: where everything is kept; only read.
        declared: what the user declared: how points are prepared, and when something counts.
        card: of the version that scores; None for the detector as it is shipped, on all series.
        span: from when to when, UTC microseconds; None for the first and the last point there is.
        show: told how far it is.

    Raises:
        NotFound: there is no lake.
        Rejected: the version is no detector, or there is nothing to look at.
    """
    if card is not None and card.family != "anomalies":
        raise Rejected(f"{card.label} is of the family {card.family}; what is replayed through the alert path are anomalies")
    start, end = span
    show("points", 0.0)
    loaded, selection = _points(home, declared, card, start, end)
    infos = {each: info for each, info in loaded.infos().items() if owns(selection, info.name, info.labels)}
    points = loaded.frame.filter(pl.col("series").is_in(list(infos))).select("series", "at", "value")
    at = pl.col("at").dt.timestamp("us")
    looked = points.filter(at >= (start or 0))
    if looked.is_empty():
        raise Rejected("the lake holds no points of the selected series in that time; look at --start and --end")
    show("scores", 0.0)
    verdicts = Envelope(**(card.parameters if card else {})).score(points, 0).filter(at >= (start or 0))
    would = replayed(verdicts, loaded.catalogue, declared.act, lambda share: show("incidents", share))
    first, last = (int(looked.select(at.min()).item()), int(looked.select(at.max()).item()) + 1)
    begin, until = start or first, min(end or last, last)
    known, missed, confirmed, met = _beside(home, loaded.catalogue, infos, would, (begin, until))
    return Rehearsal(
        label=card.label if card else "the detector as shipped",
        start=begin,
        end=until,
        points=looked.height,
        series=looked["series"].n_unique(),
        would=would,
        known=known,
        missed=missed,
        confirmed=confirmed,
        met=met,
    )


def _points(
    home: Path, declared: config.Config, card: Card | None, start: int | None, end: int | None
) -> tuple[grounds.Points, Selection]:
    """Points until `end`, with enough of them before `start` to learn from; and whose they are."""
    model = declared.models.get(card.name) if card else None
    if card and model is None:
        raise Rejected(f"{card.name} is not declared any more, so nobody knows whose series it is about; see `models:`")
    selection = model.match if model else Selection()
    warm = max(model.window_days if model else 0.0, WARM_DAYS)
    since = max(int(start - warm * grounds.DAY), 0) if start is not None else 0
    return grounds.load(home / "lake", declared.prepare, selection, warm, since=since, until=end), selection


def _told(home: Path) -> tuple[Sequence[Incident], Sequence[Window]]:
    path = home / "vedette.db"
    if not path.exists():
        return (), ()
    with IncidentStore(f"sqlite:///{path}") as store:
        return store.list(limit=100_000), store.windows()


def _beside(
    home: Path,
    catalogue: Catalogue,
    infos: Mapping[int, SeriesInfo],
    would: Sequence[Incident],
    span: tuple[int, int],
) -> tuple[tuple[Incident, ...], tuple[Missed, ...], int, Mapping[str, str]]:
    """What was raised of the series in `infos`, what was missed of how much that is confirmed, and which of `would` met what."""
    start, end = span
    incidents, windows = _told(home)
    about = _About(catalogue, set(infos))
    here = [each for each in incidents if each.started_at < end and _until(each) >= start]
    then = [each for each in about.spans(here) if each.things]
    mine = {each.id for each in then}
    known = sorted((each for each in here if each.id in mine), key=lambda each: (each.started_at, each.id))
    apart = grounds.kept_apart(infos, known, windows)
    confirmed = sorted((each for each in apart if each["start"] < end and each["end"] >= start), key=lambda each: each["start"])
    now = about.spans(would)
    missed = tuple(
        Missed(each["name"], each["start"], each["end"])
        for each in confirmed
        if not _met(_Span("", each["start"], each["end"], about.of(each["series"])), now)
    )
    return tuple(known), missed, len(confirmed), {each.id: other for each in now if (other := _met(each, then))}


@dataclass(frozen=True, slots=True)
class _Span:
    """When something was, and of what."""

    id: str
    start: int
    end: int
    things: frozenset[str]


class _About:
    """What incidents are about: the hosts, services and files of their series, by which the alert path ties them as well."""

    def __init__(self, catalogue: Catalogue, watched: Collection[int]) -> None:
        self._catalogue = catalogue
        self._watched = watched

    def of(self, series: Iterable[int]) -> frozenset[str]:
        infos = self._catalogue.get(each for each in series if each in self._watched).values()
        return frozenset().union(*(ties(info.labels, f"metric:{info.series}") for info in infos))

    def spans(self, incidents: Iterable[Incident]) -> list[_Span]:
        return [_Span(each.id, each.started_at, _until(each), self._things(each)) for each in incidents]

    def _things(self, incident: Incident) -> frozenset[str]:
        return self.of(int(each.get("series") or 0) for each in incident.explanation.get("members", ()))


def _met(one: _Span, others: Iterable[_Span]) -> str:
    """The first of `others` at about that time and of one of those things; empty where there is none."""
    near = (each for each in others if each.start <= one.end + grounds.AFTER and each.end >= one.start - grounds.BEFORE)
    return next((each.id for each in near if each.things & one.things), "")


def _until(incident: Incident) -> int:
    return incident.ended_at or incident.updated_at
