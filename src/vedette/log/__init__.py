"""The durable, ordered log of one machine: what a sender was told is safe, is in here until the lake has it.

One SQLite table in WAL mode, one payload a row. A writer thread takes all deliveries that wait, writes them in one
transaction with one fsync, and only then are their senders answered. A reader hands the rows out again as beats, cut
where the content alone says. What the lake holds is released, and the books of every source grow in the same
transactions, so that they balance at every moment and through any kill. A damaged file never stops a start: its good rows
move into a new one.
"""

from vedette.log.books import read_books
from vedette.log.reader import BEAT_BYTES, BEAT_ROWS, BeatReader
from vedette.log.settings import LogSettings
from vedette.log.sqlite import SqliteLog

__all__ = ["BEAT_BYTES", "BEAT_ROWS", "BeatReader", "LogSettings", "SqliteLog", "read_books"]
