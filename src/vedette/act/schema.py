"""The tables of incidents in SQL. Times are UTC microseconds."""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()

INCIDENTS: Final = sa.Table(
    "incidents",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("explanation", sa.JSON, nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False, server_default=""),
    sa.Index("incidents_by_status", "status", "updated_at"),
)

#: Everything that operators ever said; the last of them is `incidents.verdict`.
ANSWERS: Final = sa.Table(
    "answers",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("incident", sa.String(64), nullable=False, index=True),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)

WINDOWS: Final = sa.Table(
    "windows",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("end", sa.BigInteger, nullable=False, index=True),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

#: What each receiver was told last of each incident, and how that went.
NOTIFICATIONS: Final = sa.Table(
    "notifications",
    METADATA,
    sa.Column("incident", sa.String(64), primary_key=True),
    sa.Column("receiver", sa.String(128), primary_key=True),
    sa.Column("told", sa.String(32), nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("last_sent", sa.BigInteger, nullable=False),
    sa.Column("outcome", sa.String(32), nullable=False),
)
