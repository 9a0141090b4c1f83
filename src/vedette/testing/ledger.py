"""A ledger of stamped records: what was sent, what was acknowledged, and what is there in the end.

Every record carries `(run, key, seq, crc)`. What was acknowledged must be stored, once, unchanged, and per key in order; what was
not acknowledged may be stored once or not at all. It is the oracle of our fault tests, and of `vedette canary` in the field.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

import polars as pl


@dataclass(frozen=True, slots=True)
class Stamp:
    """One record: who sent it, in which sequence, and the checksum that proves it whole.

    >>> Stamp.of("r", "a", 7).line
    'canary run=r key=a seq=7 crc=1591068591'
    """

    run: str
    key: str
    seq: int
    crc: int

    @classmethod
    def of(cls, run: str, key: str, seq: int) -> "Stamp":
        """The stamp with its checksum."""
        return cls(run, key, seq, crc32(f"{run}/{key}/{seq}".encode()))

    @property
    def line(self) -> str:
        """The stamp as a log line."""
        return f"canary run={self.run} key={self.key} seq={self.seq} crc={self.crc}"


@dataclass(frozen=True, slots=True)
class Account:
    """What the ledger found. Only `lost`, `duplicated`, `damaged` and `disordered` are faults."""

    sent: int
    acknowledged: int
    stored: int
    lost: int
    duplicated: int
    damaged: int
    disordered: int
    unacknowledged_stored: int

    @property
    def balanced(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.duplicated or self.damaged or self.disordered)


class Ledger:
    """Stamps records of one run, hears of acknowledgements, and compares with what is stored.

    >>> ledger = Ledger("r")
    >>> first, second = ledger.issue("a", 2)
    >>> ledger.acknowledge([first])
    >>> ledger.check(parse(pl.Series([first.line, first.line]), run="r"))
    Account(sent=2, acknowledged=1, stored=2, lost=0, duplicated=1, damaged=0, disordered=0, unacknowledged_stored=0)
    """

    def __init__(self, run: str) -> None:
        self.run = run
        self._next: dict[str, int] = {}
        self._acknowledged: set[tuple[str, int]] = set()

    def issue(self, key: str, count: int) -> Sequence[Stamp]:
        """The next `count` stamps of `key`."""
        first = self._next.get(key, 0)
        self._next[key] = first + count
        return [Stamp.of(self.run, key, seq) for seq in range(first, first + count)]

    @property
    def issued(self) -> int:
        """How many records were stamped."""
        return sum(self._next.values())

    @property
    def acknowledged(self) -> int:
        """How many records the receiver said are durable."""
        return len(self._acknowledged)

    def acknowledge(self, stamps: Iterable[Stamp]) -> None:
        """The receiver said that these are durable."""
        self._acknowledged.update((stamp.key, stamp.seq) for stamp in stamps)

    def check(self, stored: pl.DataFrame) -> Account:
        """Compare with `stored`: columns key, seq, crc, in the order in which the rows are kept."""
        rows = list(stored.select("key", "seq", "crc").iter_rows())
        whole = [(key, seq) for key, seq, crc in rows if Stamp.of(self.run, key, seq).crc == crc]
        distinct = set(whole)
        order = stored.select("key", "seq").unique(maintain_order=True, keep="first")
        fell = order.select((pl.col("seq").diff().over("key") < 0).sum()).item()
        return Account(
            sent=self.issued,
            acknowledged=self.acknowledged,
            stored=len(rows),
            lost=len(self._acknowledged - distinct),
            duplicated=len(whole) - len(distinct),
            damaged=len(rows) - len(whole),
            disordered=int(fell or 0),
            unacknowledged_stored=len(distinct - self._acknowledged),
        )


def parse(lines: pl.Series, run: str) -> pl.DataFrame:
    """The stamps of `run` among log lines: columns key, seq, crc, in the order of the lines.

    >>> parse(pl.Series(["something else", Stamp.of("r", "a", 1).line]), "r").rows()
    [('a', 1, 3082183322)]
    """
    pattern = r"canary run=(?P<run>\S+) key=(?P<key>\S+) seq=(?P<seq>\d+) crc=(?P<crc>\d+)"
    found = lines.to_frame("line").select(pl.col("line").str.extract_groups(pattern)).unnest("line").filter(pl.col("run") == run)
    return found.select("key", pl.col("seq").cast(pl.Int64), pl.col("crc").cast(pl.Int64))
