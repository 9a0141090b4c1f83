"""Tables in and out by the ending of the file: CSV, Parquet, JSON lines; lines of text as a table of one column."""

import json
from pathlib import Path

import polars as pl

from vedette.core.errors import BadRecord, NotFound

_TABLES = frozenset({".csv", ".parquet", ".jsonl", ".ndjson"})
ENDINGS = ".csv, .parquet, .jsonl or .ndjson"


def read(path: Path) -> pl.DataFrame:
    """The table in `path`.

    Raises:
        NotFound: there is no such file.
        BadRecord: it is not what its ending says.
    """
    if not path.is_file():
        raise NotFound(f"{path}: no such file")
    try:
        match path.suffix.lower():
            case ".parquet":
                return pl.read_parquet(path)
            case ".csv":
                return pl.read_csv(path, try_parse_dates=True, infer_schema_length=10_000)
            case ".jsonl" | ".ndjson":
                return pl.read_ndjson(path, infer_schema_length=10_000)
            case ending:
                raise BadRecord(f"{path}: a table is {ENDINGS}, not '{ending}'")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadRecord(f"{path}: {error}") from error


def lines(path: Path) -> pl.DataFrame:
    """`path` as a table where its ending says so, else its lines as the column `line`."""
    if path.suffix.lower() in _TABLES:
        return read(path)
    if not path.is_file():
        raise NotFound(f"{path}: no such file")
    text = path.read_bytes().decode("utf-8", "backslashreplace")
    return pl.DataFrame({"line": text.splitlines()}, schema={"line": pl.String})


def writable(path: Path) -> None:
    """Raise BadRecord where a table cannot be written to `path`; said before the long work, not after it."""
    if path.suffix.lower() not in _TABLES:
        raise BadRecord(f"{path}: a table is written to {ENDINGS}, not to '{path.suffix}'")
    if not path.absolute().parent.is_dir():
        raise BadRecord(f"{path}: there is no folder {path.absolute().parent}; make it, or choose another --out")


def write(frame: pl.DataFrame, path: Path) -> None:
    """`frame` to `path`; in CSV a list becomes its JSON.

    Raises:
        BadRecord: the ending is none of a table's, or the file cannot be written.
    """
    try:
        match path.suffix.lower():
            case ".parquet":
                frame.write_parquet(path)
            case ".csv":
                nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
                texts = [
                    pl.Series(name, [json.dumps(each, ensure_ascii=False) for each in frame[name].to_list()], pl.String)
                    for name in nested
                ]
                frame.with_columns(texts).write_csv(path)
            case ".jsonl" | ".ndjson":
                frame.write_ndjson(path)
            case ending:
                raise BadRecord(f"{path}: a table is written to {ENDINGS}, not to '{ending}'")
    except OSError as error:
        raise BadRecord(f"{path}: {error.strerror}; choose another --out") from error
