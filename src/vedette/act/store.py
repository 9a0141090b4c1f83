"""Where incidents are kept: SQL, by default one SQLite file, by choice another database that SQLAlchemy speaks to."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from vedette.act.incident import Incident, Verdict
from vedette.act.schema import ANSWERS, INCIDENTS, METADATA, NOTIFICATIONS, WINDOWS
from vedette.act.windows import Kind, Window
from vedette.core.errors import BadRecord, NotFound
from vedette.core.sql import Database

VERDICTS: Final = ("real", "false", "known")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a receiver was told last of an incident.

    Attributes:
        told: `firing:SEVERITY` or `resolved`; empty where nothing was.
        labels: with which labels, so that later messages are about the same thing.
        last_sent: UTC microseconds of the last message, or attempt.
        outcome: `sent`, `refused`, `failed` or `muted`.
    """

    incident: str
    receiver: str
    told: str
    last_sent: int
    outcome: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operator said of an incident: a row of the lake's `feedback`."""

    at: int
    incident: str
    verdict: str
    actor: str
    note: str = ""


class IncidentStore(Database):
    """Incidents, windows of planned work, and who was told what. One may be used by several threads.

    Args:
        url: of the database, such as `sqlite:////var/lib/vedette/vedette.db`. Missing tables are made.

    Every method raises `Transient` where the database cannot be used now.

    >>> store = IncidentStore("sqlite://")
    >>> one = Incident("a", "open", "warning", "x", 1, 2, None)
    >>> store.upsert([one])
    >>> store.get("a") == one, store.open() == (one,)
    (True, True)
    >>> store.close()
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, METADATA)

    # Incidents.

    def upsert(self, incidents: Iterable[Incident]) -> None:
        """Keep each as it is now. An older state changes nothing, so what is replayed does no harm; verdicts stay."""
        rows = [{key: value for key, value in each.to_dict().items() if key != "verdict"} for each in incidents]
        if not rows:
            return
        statement = self._insert(INCIDENTS)
        told = {name: statement.excluded[name] for name in rows[0] if name != "id"}
        newer = INCIDENTS.c.updated_at <= statement.excluded.updated_at
        with self._begin() as db:
            db.execute(statement.on_conflict_do_update(index_elements=["id"], set_=told, where=newer), rows)

    def open(self) -> tuple[Incident, ...]:
        """Those that are not over, the oldest first."""
        query = INCIDENTS.select().where(INCIDENTS.c.status == "open").order_by(INCIDENTS.c.started_at, INCIDENTS.c.id)
        return self._incidents(query)

    def list(self, *, status: str | None = None, since: int = 0, limit: int = 100) -> tuple[Incident, ...]:
        """At most `limit` that changed at `since` or later, the newest first; all of them, or only those `open` or `closed`."""
        query = INCIDENTS.select().where(INCIDENTS.c.updated_at >= since)
        if status is not None:
            query = query.where(INCIDENTS.c.status == status)
        return self._incidents(query.order_by(INCIDENTS.c.started_at.desc(), INCIDENTS.c.id).limit(limit))

    def get(self, incident: str) -> Incident:
        """The incident with that id.

        Raises:
            NotFound: there is none.
        """
        found = self._incidents(INCIDENTS.select().where(INCIDENTS.c.id == incident))
        if not found:
            raise NotFound(f"there is no incident '{incident}'; `vedette incidents` lists them")
        return found[0]

    def answer(self, incident: str, verdict: str, actor: str, note: str, at: int) -> Answer:
        """Keep what `actor` says of an incident at `at`; the last word counts, and every one is kept.

        Raises:
            NotFound: there is no such incident.
            BadRecord: the verdict is none of `real`, `false`, `known`.
        """
        if verdict not in VERDICTS:
            raise BadRecord(f"expected one of {', '.join(VERDICTS)}, got '{verdict}'", field="verdict")
        said = Answer(at, incident, verdict, actor, note)
        with self._begin() as db:
            changed = db.execute(INCIDENTS.update().where(INCIDENTS.c.id == incident).values(verdict=verdict))
            if changed.rowcount:
                db.execute(ANSWERS.insert().values(**asdict(said)))
        if not changed.rowcount:
            raise NotFound(f"there is no incident '{incident}'; `vedette incidents` lists them")
        return said

    def answers(self, incident: str) -> tuple[Answer, ...]:
        """Everything that was said of an incident, in order."""
        query = ANSWERS.select().where(ANSWERS.c.incident == incident).order_by(ANSWERS.c.id)
        return tuple(Answer(row["at"], row["incident"], row["verdict"], row["actor"], row["note"]) for row in self._rows(query))

    def heard(self, since: int) -> tuple[tuple[Incident, ...], tuple[Answer, ...]]:
        """Everything that was said at `since` (UTC microseconds) or later, in order, and the incidents it was said of."""
        rows = self._rows(ANSWERS.select().where(ANSWERS.c.at >= since).order_by(ANSWERS.c.id))
        said = tuple(Answer(row["at"], row["incident"], row["verdict"], row["actor"], row["note"]) for row in rows)
        wanted = sa.select(ANSWERS.c.incident).where(ANSWERS.c.at >= since)
        return self._incidents(INCIDENTS.select().where(INCIDENTS.c.id.in_(wanted)).order_by(INCIDENTS.c.id)), said

    def false_alarms(self) -> dict[str, int]:
        """Incidents whose last word is `false`, by the model that scored their metrics (`envelope` where none was declared)."""
        found: Counter[str] = Counter()
        for each in self._incidents(INCIDENTS.select().where(INCIDENTS.c.verdict == "false")):
            found[str(each.explanation.get("model") or "envelope")] += 1
        return dict(found)

    def forget(self, before: int) -> int:
        """Drop what was over before `before` (UTC microseconds), with its notices; how many. Answers are kept."""
        old = sa.select(INCIDENTS.c.id).where(INCIDENTS.c.status == "closed", INCIDENTS.c.updated_at < before)
        with self._begin() as db:
            db.execute(NOTIFICATIONS.delete().where(NOTIFICATIONS.c.incident.in_(old)))
            return db.execute(INCIDENTS.delete().where(INCIDENTS.c.status == "closed", INCIDENTS.c.updated_at < before)).rowcount

    # Windows.

    def add_window(self, window: Window) -> Window:
        """Keep a window; it comes back with its id.

        Raises:
            BadRecord: it ends before it starts.
        """
        if window.end <= window.start:
            raise BadRecord("a window must end after it starts", field="end")
        values = {key: value for key, value in asdict(window).items() if key != "id"}
        with self._begin() as db:
            made = db.execute(WINDOWS.insert().values(**values)).inserted_primary_key
        return Window(int(made[0]) if made else 0, window.kind, window.start, window.end, window.labels, window.note)

    def add_windows(self, windows: Sequence[Window]) -> int:
        """Keep those that are not there yet (by kind, times and labels), all or none; how many were new.

        Raises:
            BadRecord: one ends before it starts.
        """
        if any(each.end <= each.start for each in windows):
            raise BadRecord("a window must end after it starts", field="end")
        first = min((each.start for each in windows), default=0)
        with self._begin() as db:
            there = db.execute(WINDOWS.select().where(WINDOWS.c.end > first)).mappings()
            known = {_said(Window(**{str(key): value for key, value in row.items()})) for row in there}
            fresh = {_said(each): each for each in windows if _said(each) not in known}
            rows = [{key: value for key, value in asdict(each).items() if key != "id"} for each in fresh.values()]
            if rows:
                db.execute(WINDOWS.insert(), rows)
        return len(rows)

    def windows(self, kind: Kind | None = None, since: int = 0) -> tuple[Window, ...]:
        """Windows that end at `since` or later, by their start."""
        query = WINDOWS.select().where(WINDOWS.c.end >= since)
        if kind is not None:
            query = query.where(WINDOWS.c.kind == kind)
        return tuple(Window(**row) for row in self._rows(query.order_by(WINDOWS.c.start, WINDOWS.c.id)))

    def drop_window(self, window: int) -> None:
        """Forget a window.

        Raises:
            NotFound: there is none with that id.
        """
        with self._begin() as db:
            dropped = db.execute(WINDOWS.delete().where(WINDOWS.c.id == window)).rowcount
        if not dropped:
            raise NotFound(f"there is no window {window}; `vedette outage list` lists them")

    # Notices.

    def notices(self, receiver: str, incidents: Iterable[str]) -> dict[str, Notice]:
        """What `receiver` was told last of `incidents`, by incident."""
        mine = NOTIFICATIONS.c.receiver == receiver
        found = [
            Notice(**row) for row in self._rows(NOTIFICATIONS.select().where(mine, NOTIFICATIONS.c.incident.in_(list(incidents))))
        ]
        return {notice.incident: notice for notice in found}

    def unresolved(self, receiver: str) -> tuple[str, ...]:
        """Incidents of which `receiver` was last told that they are firing."""
        query = sa.select(NOTIFICATIONS.c.incident).where(
            NOTIFICATIONS.c.receiver == receiver, NOTIFICATIONS.c.told.like("firing%")
        )
        return tuple(row["incident"] for row in self._rows(query.order_by(NOTIFICATIONS.c.incident)))

    def note(self, notice: Notice) -> None:
        """Remember what was told."""
        statement = self._insert(NOTIFICATIONS)
        changed = {name: statement.excluded[name] for name in ("told", "labels", "last_sent", "outcome")}
        with self._begin() as db:
            db.execute(statement.on_conflict_do_update(index_elements=["incident", "receiver"], set_=changed), [asdict(notice)])

    def _insert(self, table: sa.Table) -> sqlite.Insert:
        make = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        return cast("sqlite.Insert", make(table))

    def _incidents(self, query: sa.Select[Any]) -> tuple[Incident, ...]:
        return tuple(Incident.from_dict(row) for row in self._rows(query))


def _said(window: Window) -> tuple[object, ...]:
    return window.kind, window.start, window.end, json.dumps(window.labels, sort_keys=True)


__all__ = ["Answer", "IncidentStore", "Notice", "Verdict"]
