"""Where this machine is: the name of its time zone, for log lines that do not say theirs."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import polars as pl


def is_zone(name: str) -> bool:
    """Whether `name` is a time zone of the IANA database.

    >>> is_zone("Europe/Zurich"), is_zone("Mars/Base"), is_zone("")
    (True, False, False)
    """
    try:
        pl.Series([0], dtype=pl.Datetime("us")).dt.replace_time_zone(name)
    except (pl.exceptions.ComputeError, ValueError):
        return False
    return bool(name)


def local_zone(
    environ: Mapping[str, str] | None = None,
    link: Path = Path("/etc/localtime"),
    named: Path = Path("/etc/timezone"),
) -> str:
    """The IANA name of this machine's time zone, by `TZ`, `/etc/localtime` or `/etc/timezone`.

    Where none of them has a name it is the zone of a whole number of hours that the clock goes by, else UTC.

    >>> local_zone({"TZ": ":Europe/Zurich"})
    'Europe/Zurich'
    """
    declared = (os.environ if environ is None else environ).get("TZ", "").lstrip(":")
    target = str(link.resolve())
    candidates = [declared, target.partition("zoneinfo/")[2].removeprefix("posix/").removeprefix("right/")]
    if named.is_file():
        candidates.append(named.read_text("utf-8", "replace").strip())
    offset = time.localtime().tm_gmtoff
    if offset and offset % 3600 == 0:
        candidates.append(f"Etc/GMT{-offset // 3600:+d}")  # POSIX counts westwards
    return next((name for name in candidates if is_zone(name)), "UTC")
