"""The movable names of versions, in SQL: who moved them, when, from where and why."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from vedette.core.errors import Rejected, Transient
from vedette.registry.names import checked, counted

_METADATA: Final = sa.MetaData()
_BUSY_SECONDS: Final = 10.0

_ALIASES: Final = sa.Table(
    "aliases",
    _METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("alias", sa.String(64), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)

#: Every move there ever was; rows are only added.
_HISTORY: Final = sa.Table(
    "alias_history",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("alias", sa.String(64), nullable=False),
    sa.Column("version", sa.BigInteger),
    sa.Column("before", sa.BigInteger),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("alias_history_by_name", "name", "id"),
)


@dataclass(frozen=True, slots=True)
class Pointed:
    """That an alias was moved: when (UTC microseconds), of what model, whereto and whence, by whom and why. None is nowhere."""

    at: int
    name: str
    alias: str
    version: int | None
    before: int | None
    actor: str
    reason: str


class Pointers:
    """Aliases such as `champion`, each on one version of a model or on none. One may be used by several threads.

    Args:
        url: of the database, such as `sqlite:////var/lib/vedette/vedette.db`. Missing tables are made.

    Every method raises `Transient` where the database cannot be used now.

    >>> with Pointers("sqlite://") as pointers:
    ...     pointers.point("web", "champion", 1, expected=None, at=0, actor="ann", reason="the first")
    ...     pointers.point("web", "champion", 2, expected=1, at=1, actor="ann", reason="it is better")
    ...     pointers.alias("web", "champion"), pointers.previous("web", "champion")
    (2, 1)
    """

    def __init__(self, url: str) -> None:
        memory = url in {"sqlite://", "sqlite:///:memory:"}
        local = url.startswith("sqlite")
        arguments = {"timeout": _BUSY_SECONDS, "check_same_thread": False} if local else {}
        self._engine = sa.create_engine(url, connect_args=arguments, poolclass=sa.StaticPool if memory else None)
        if local:
            sa.event.listen(self._engine, "connect", _prepare)
        with self._begin() as db:
            _METADATA.create_all(db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def alias(self, name: str, alias: str) -> int | None:
        """The version that `alias` of `name` is on, or None."""
        return self.aliases(name).get(alias)

    def aliases(self, name: str) -> dict[str, int]:
        """Every alias of `name` that is on a version."""
        query = sa.select(_ALIASES.c.alias, _ALIASES.c.version).where(_ALIASES.c.name == name).order_by(_ALIASES.c.alias)
        with self._begin() as db:
            return {row.alias: row.version for row in db.execute(query)}

    def point(self, name: str, alias: str, version: int | None, *, expected: int | None, at: int, actor: str, reason: str) -> None:
        """Move `alias` of `name` from `expected` to `version`; None is nowhere. Both that and its history, or nothing.

        Raises:
            Rejected: it is not on `expected`: somebody else was first.
            BadRecord: a name or a number cannot be one.
        """
        mine = (_ALIASES.c.name == checked(name)) & (_ALIASES.c.alias == checked(alias, "alias"))
        if version is not None:
            counted(version)
        try:
            with self._begin() as db:
                if _swapped(db, mine, {"name": name, "alias": alias, "version": version}, expected):
                    told = {"version": version, "before": expected, "actor": actor, "reason": reason}
                    db.execute(_HISTORY.insert().values(at=at, name=name, alias=alias, **told))
                    return
        except IntegrityError:
            pass  # it was set in the meantime
        now = self.alias(name, alias)
        raise Rejected(f"{alias} of '{name}' is on {_told(now)} by now, not on {_told(expected)}; nothing was moved, look again")

    def history(self, name: str) -> tuple[Pointed, ...]:
        """Every move of an alias of `name`, the newest first."""
        columns = [each for each in _HISTORY.c if each.name != "id"]
        query = sa.select(*columns).where(_HISTORY.c.name == name).order_by(_HISTORY.c.id.desc())
        with self._begin() as db:
            return tuple(Pointed(**row) for row in db.execute(query).mappings())

    def previous(self, name: str, alias: str) -> int | None:
        """The version to roll back to: the one before the present one came. Never one that was itself rolled back from.

        >>> with Pointers("sqlite://") as pointers:
        ...     for version, expected in ((1, None), (2, 1), (3, 2), (2, 3)):
        ...         pointers.point("web", "champion", version, expected=expected, at=0, actor="ann", reason="")
        ...     pointers.previous("web", "champion")
        1
        """
        way: list[int] = []
        for move in reversed(self.history(name)):
            if move.alias != alias or move.version is None:
                continue
            if move.version in way:
                del way[way.index(move.version) :]
            way.append(move.version)
        if self.alias(name, alias) is not None:
            way.pop()
        return way[-1] if way else None

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as db:
                yield db
        except (OperationalError, InterfaceError) as error:
            where = self._engine.url.render_as_string(hide_password=True)
            raise Transient(f"the database {where} cannot be used now: {error.orig}") from error


def _swapped(db: sa.Connection, mine: sa.ColumnElement[bool], row: dict[str, Any], expected: int | None) -> bool:
    """The first statement writes: so the database itself decides who was first, whatever it is."""
    if expected is None and row["version"] is None:
        return db.execute(sa.select(_ALIASES.c.version).where(mine)).first() is None
    if expected is None:
        return db.execute(_ALIASES.insert().values(**row)).rowcount == 1
    there = mine & (_ALIASES.c.version == expected)
    if row["version"] is None:
        return db.execute(_ALIASES.delete().where(there)).rowcount == 1
    return db.execute(_ALIASES.update().where(there).values(version=row["version"])).rowcount == 1


def _told(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 -- whatever the driver calls a connection
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
