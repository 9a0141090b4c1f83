"""Lines a second and core from a log file on disk to columns, by form of the lines; and points a second of an import."""

import gzip
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import polars as pl

from vedette.collect.files import FileSettings, FileSource
from vedette.collect.history import read
from vedette.collect.limits import Limits
from vedette.collect.series import SeriesTable

NOW = 1_793_700_000_000_000
LINES = 200_000
FORMS = {
    "iso": "2026-11-02 03:04:05,{ms:03d} INFO [worker-{i}] request {i} took {ms} ms path=/api/v1/items/{i}\n",
    "syslog": "Nov  2 03:04:05 web-1 app[{i}]: request {i} took {ms} ms path=/api/v1/items/{i}\n",
    "access": '10.0.0.1 - - [02/Nov/2026:03:04:05 +0000] "GET /api/v1/items/{i} HTTP/1.1" 200 {ms} "-" "Mozilla/5.0"\n',
    "no time": "request {i} took {ms} ms path=/api/v1/items/{i}\n",
}


def cost(work: Callable[[], int]) -> float:
    """Records a second of CPU, the median of five runs."""
    rates = []
    for _ in range(5):
        begin = time.process_time()
        records = work()
        rates.append(records / (time.process_time() - begin))
    return median(rates)


def follow(path: Path, **options: object) -> int:
    """Read `path` to its end as a live file; how many lines."""
    settings = FileSettings.model_validate(
        {"paths": (str(path),), "from_start": True, "zone": "UTC", "compressed": True, **options}
    )
    source = FileSource(settings, SeriesTable(), lambda: NOW, Limits(), host="bench")
    lines = 0
    while (batch := source.poll(10_000)) is not None:
        lines += batch.items.records
    source.close()
    return lines


def load(path: Path) -> int:
    """Read `path` as history; how many records."""
    return sum(each.records for each in read(path, limits=Limits(), table=SeriesTable()))


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.log"
        for name, form in FORMS.items():
            path.write_text("".join(form.format(i=index, ms=index % 1000) for index in range(LINES)))
            print(f"follow {name:12} {cost(lambda: follow(path)):12,.0f} lines/s")
        print(f"follow {'stack':12} {cost(lambda: follow(path, multiline='stack')):12,.0f} lines/s")
        packed = Path(folder) / "a.log.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        print(f"follow {'gzip':12} {cost(lambda: follow(packed)):12,.0f} lines/s")
        print(f"import {'log':12} {cost(lambda: load(path)):12,.0f} lines/s")
        frame = pl.DataFrame({"series": "a", "timestamp": range(1_400_000_000, 1_401_000_000), "value": 0.5})
        for ending, write in (("csv", frame.write_csv), ("parquet", frame.write_parquet)):
            table = Path(folder) / f"x.{ending}"
            write(table)  # type: ignore[operator]
            print(f"import {ending:12} {cost(lambda table=table: load(table)):12,.0f} points/s")


if __name__ == "__main__":
    main()
