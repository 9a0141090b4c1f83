"""A database behind one door: SQLite in a file, or a server by its URL; what cannot be done now is `Transient`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError

from vedette.core.errors import Transient

#: How long a writer waits for another one.
_BUSY_SECONDS: Final = 10.0


class Database:
    """The engine of one store and its tables; the store's class builds its questions on it. May be used by several threads.

    Args:
        url: of the database, such as `sqlite:////var/lib/vedette/vedette.db`.
        tables: made where they are missing.

    Every method raises `Transient` where the database cannot be used now.
    """

    def __init__(self, url: str, tables: sa.MetaData) -> None:
        memory = url in {"sqlite://", "sqlite:///:memory:"}
        local = url.startswith("sqlite")
        arguments = {"timeout": _BUSY_SECONDS, "check_same_thread": False} if local else {}
        self._engine = sa.create_engine(url, connect_args=arguments, poolclass=sa.StaticPool if memory else None)
        if local:
            sa.event.listen(self._engine, "connect", _prepare)
        with self._begin() as db:
            tables.create_all(db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as db:
                yield db
        except (OperationalError, InterfaceError) as error:
            where = self._engine.url.render_as_string(hide_password=True)
            raise Transient(f"the database {where} cannot be used now: {error.orig}") from error

    def _rows(self, query: sa.Select[Any]) -> tuple[dict[str, Any], ...]:
        with self._begin() as db:
            return tuple({str(key): value for key, value in row.items()} for row in db.execute(query).mappings())


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 -- whatever the driver calls a connection
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
