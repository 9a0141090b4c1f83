"""Where versions stand and every decision on them, in SQL. A change says what it was based on; of two at once, one wins."""

from contextlib import suppress
from dataclasses import asdict
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from vedette.core.errors import Rejected
from vedette.core.sql import Database
from vedette.core.types import Decision, Signal
from vedette.deploy.rollout import Standing, after

METADATA: Final = sa.MetaData()

STANDINGS: Final = sa.Table(
    "standings",
    METADATA,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("champion", sa.Integer, nullable=False),
    sa.Column("previous", sa.Integer, nullable=False),
    sa.Column("candidate", sa.Integer, nullable=False),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
)

DECISIONS: Final = sa.Table(
    "decisions",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("model", sa.String(64), nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("move", sa.String(16), nullable=False),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

SIGNALS: Final = sa.Table(
    "signals",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
    sa.Column("model", sa.String(64), nullable=False, index=True),
    sa.Column("monitor", sa.String(64), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("advice", sa.Text, nullable=False),
    sa.UniqueConstraint("model", "at", "monitor", "subject"),
)


class Deployments(Database):
    """Standings, decisions and signals of all models; safe beside other processes.

    Args:
        url: an SQLAlchemy URL; SQLite files are opened in WAL mode.

    >>> kept = Deployments("sqlite://")
    >>> standing = kept.decide(Decision(1, "web", 1, "PROMOTE", "champion", "the first"), kept.standing("web"))
    >>> standing.champion, kept.standing("web").champion
    (1, 1)
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, METADATA)

    def standing(self, model: str) -> Standing:
        """Where the versions of a model stand; nothing stands where nothing was decided yet."""
        found = self._rows(STANDINGS.select().where(STANDINGS.c.model == model))
        return Standing(**found[0]) if found else Standing(model)

    def standings(self) -> dict[str, Standing]:
        """Of all models that something was decided of."""
        return {row["model"]: Standing(**row) for row in self._rows(STANDINGS.select().order_by(STANDINGS.c.model))}

    def aliases(self, model: str) -> dict[str, int]:
        """The versions of a model by the names that MLflow knows: `champion` and `challenger`."""
        standing = self.standing(model)
        named = {"champion": standing.champion, "challenger": standing.candidate}
        return {alias: version for alias, version in named.items() if version}

    def decide(self, decision: Decision, based_on: Standing, *, probation: bool = True) -> Standing:
        """Carry out `decision`, which was made at the sight of `based_on`, and keep it.

        Raises:
            Rejected: something else was decided in between; look again.
        """
        then = after(based_on, decision, probation)
        with self._begin() as db:
            if then != based_on:
                self._move(db, based_on, then)
            db.execute(DECISIONS.insert().values(**asdict(decision)))
        return then

    def _move(self, db: sa.Connection, before: Standing, then: Standing) -> None:
        if before.revision == 0:
            try:
                db.execute(STANDINGS.insert().values(**asdict(then)))
            except IntegrityError as error:
                raise Rejected(_OVERTAKEN.format(before.model)) from error
            return
        same = (STANDINGS.c.model == before.model) & (STANDINGS.c.revision == before.revision)
        if not db.execute(STANDINGS.update().where(same).values(**asdict(then))).rowcount:
            raise Rejected(_OVERTAKEN.format(before.model))

    def decisions(self, model: str | None = None, limit: int = 100) -> tuple[Decision, ...]:
        """What was decided, the newest first."""
        query = DECISIONS.select()
        if model is not None:
            query = query.where(DECISIONS.c.model == model)
        rows = self._rows(query.order_by(DECISIONS.c.id.desc()).limit(limit))
        return tuple(Decision(**{key: value for key, value in row.items() if key != "id"}) for row in rows)

    def note(self, decision: Decision) -> None:
        """Keep a decision that moves nothing, such as a training that was refused."""
        with self._begin() as db:
            db.execute(DECISIONS.insert().values(**asdict(decision)))

    def tell(self, model: str, signals: tuple[Signal, ...]) -> None:
        """Keep what monitors said; what is told twice, as after a restart, is kept once."""
        for signal in signals:
            with suppress(IntegrityError), self._begin() as db:
                db.execute(SIGNALS.insert().values(model=model, **asdict(signal)))

    def signals(self, model: str | None = None, since: int = 0, limit: int = 100) -> tuple[Signal, ...]:
        """What monitors said at `since` or later, the newest first."""
        query = SIGNALS.select().where(SIGNALS.c.at >= since)
        if model is not None:
            query = query.where(SIGNALS.c.model == model)
        rows = self._rows(query.order_by(SIGNALS.c.at.desc(), SIGNALS.c.id.desc()).limit(limit))
        return tuple(Signal(**{key: value for key, value in row.items() if key not in {"id", "model"}}) for row in rows)


_OVERTAKEN: Final = "{0}: something else was decided of it just now; look again with: vedette models {0}"
