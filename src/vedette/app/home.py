"""What can be read from a home by another process, whether or not one is running on it."""

import fcntl
import getpass
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import polars as pl

from vedette.act import Answer, Incident, IncidentStore, Window
from vedette.core.errors import ConfigError, NotFound
from vedette.core.frames import AT, from_rows
from vedette.core.types import Finding
from vedette.lake import TABLES, Lake, reading
from vedette.lake import verify as checks

__all__ = [
    "Incident",
    "answer",
    "dead_letters",
    "held",
    "outage",
    "read_status",
    "record",
    "scan",
    "store",
    "verify",
    "write_status",
]
STATUS = "status.json"
#: What an address spells otherwise than a path: the reader of the tables looks for their files under the address.
UNREADABLE: Final = re.compile(r"[^\x21-\x7e]|[\"#%<>?\[\\\]^`{|}]")


@contextmanager
def held(home: Path) -> Iterator[None]:
    """`home`, made for its owner where it is missing, for this process alone while entered.

    Raises:
        ConfigError: it cannot be written, its tables could not be read back, or another process has it.
    """
    odd = UNREADABLE.search(str(home.resolve()))
    if odd:
        raise ConfigError([f"--home {home}: tables cannot be read back from a path with '{odd[0]}' in it; name another folder"])
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError([f"--home {home}: it cannot be written ({error.strerror}); name another folder"]) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise ConfigError([f"--home {home}: another process runs on it; stop that first, or name another folder"]) from error
    try:
        yield
    finally:
        os.close(lock)


def store(home: Path) -> IncidentStore:
    """The incidents, answers and windows of `home`; a context manager.

    Raises:
        NotFound: nothing ever ran there, and no history was brought there.
    """
    if not (home / "vedette.db").exists() and not (home / "lake").exists():
        raise NotFound(f"{home}: nothing has run here yet; name the folder with --home, or start it with: vedette up")
    return IncidentStore(f"sqlite:///{home / 'vedette.db'}")


def answer(home: Path, incident: str, verdict: str, note: str, at: int) -> Answer:
    """Keep what whoever runs this says of an incident, in SQL and as data in the lake.

    Raises:
        NotFound: there is no such incident.
        BadRecord: the verdict is none of `real`, `false`, `known`.
        Transient: the lake cannot be written now; the answer itself is kept.
    """
    with store(home) as kept:
        said = kept.answer(incident, verdict, getpass.getuser(), note, at)
    record(Lake(home / "lake"), said)
    return said


def record(lake: Lake, said: Answer) -> None:
    """Add an answer to the lake's `feedback`."""
    row = (said.at, said.incident, said.verdict, said.actor, said.note)
    lake.append_now("feedback", from_rows([row], TABLES["feedback"].columns | {"at": AT}))


def outage(start: int, end: int, labels: Mapping[str, str], note: str, *, planned: bool) -> Window:
    """A window, UTC microseconds, of what has `labels`, that is never learnt from; a planned one is maintenance."""
    return Window(0, "maintenance" if planned else "outage", start, end, labels, note)


def dead_letters(home: Path) -> pl.DataFrame:
    """Everything that was set aside, the oldest first."""
    return scan(home, "dead_letters").sort("at").collect()


def scan(home: Path, table: str) -> pl.LazyFrame:
    """A table of the lake as it is now."""
    return reading(_lake(home), table)


def verify(home: Path) -> list[Finding]:
    """What every check of the lake and of the registry found; nothing is mended, and nothing made."""
    found = checks(_lake(home))
    if not (home / "models").exists():
        return found
    from vedette.registry import Keys, Registry

    registry = Registry(home, Keys(home / "keys"))
    return [*found, *registry.verify(), *_pointed(home, registry.versions)]


def _pointed(home: Path, versions: Callable[[str], Collection[int]]) -> Iterator[Finding]:
    """Of every version that stands somewhere, whether it is there: a ledger put back together with its versions is found so."""
    if not (home / "vedette.db").exists():
        return
    from vedette.deploy import Deployments

    with Deployments(f"sqlite:///{home / 'vedette.db'}") as deployments:
        standings = deployments.standings()
    for name, standing in standings.items():
        wanted = {standing.champion, standing.candidate} - {0}
        gone = ", ".join(map(str, sorted(wanted - set(versions(name))))) if wanted else ""
        why = "what speaks, or is on its way, must be there"
        yield Finding(f"registry {name}: standing", not gone, f"gone: {gone}" if gone else "there", "there", why)


def _lake(home: Path) -> Path:
    if not (home / "lake").exists():
        raise NotFound(f"{home}: there is no lake here; name its folder with --home")
    return home / "lake"


def write_status(home: Path, status: dict[str, Any]) -> None:
    """Leave `status` in the home for `vedette status`, in one piece."""
    fresh = home / f"{STATUS}.{os.getpid()}"
    fresh.write_text(json.dumps(status, default=str), encoding="utf-8")
    fresh.replace(home / STATUS)


def read_status(home: Path) -> dict[str, Any]:
    """What the process of this home last said of itself, and whether it runs.

    Raises:
        NotFound: nothing ever ran there.
    """
    try:
        status: dict[str, Any] = json.loads((home / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotFound(f"{home}: nothing has run here yet; start it with: vedette up --home {home}") from error
    return status | {"running": _runs(int(status["pid"]))}


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
