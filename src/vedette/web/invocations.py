"""The bodies of MLflow's scoring protocol: four ways to write a table as JSON, a fifth as CSV, and the answer.

Source: MLflow's documentation of `mlflow models serve`. Its `params` are for models that declare some; none here does.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from vedette.core.errors import BadRecord
from vedette.core.ports import Frame
from vedette.web.columns import UNREADABLE, assembled, check_rows, converted, declared, outgoing, refused
from vedette.web.view import Served

Columns = Mapping[str, Sequence[Any]]
FORMATS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table as pandas' `orient="split"` has it; the index is nothing to a model."""

    columns: Annotated[list[str], msgspec.Meta(max_length=4096)]
    data: list[list[Any]]
    index: list[Any] = []


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of the four holds the table."""

    dataframe_split: Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: list[Any] | None = None
    inputs: dict[str, list[Any]] | list[Any] | None = None
    params: dict[str, Any] | None = None


_BODY: Final = msgspec.json.Decoder(Body)


def parsed(body: bytes, media: str, served: Served, limit: int) -> Frame:
    """The table in `body`, of at most `limit` rows.

    Raises:
        BadRecord: there is none, or it does not fit what `served` declares.
    """
    text = media == "text/csv"
    if not text and media != "application/json":
        raise BadRecord(f"expected application/json or text/csv, got {media or 'none'}", field="content-type", status=415)
    table = _csv(body, limit) if text else _json(body, served.inputs, limit)
    columns = {name: converted(name, declared(name, served.inputs), values, text=text) for name, values in table.items()}
    return assembled(columns, served.inputs, limit)


def answered(served: Served, answer: Frame) -> bytes:
    """The body of the answer: a record a row."""
    columns = [outgoing(answer[name], datatype) for name, datatype in served.outputs.items()]
    records = [dict(zip(served.outputs, row, strict=True)) for row in zip(*columns, strict=True)]
    return msgspec.json.encode({"predictions": records, "model_name": served.name, "model_version": served.version})


def _json(body: bytes, inputs: Mapping[str, str], limit: int) -> Columns:
    try:
        sent = _BODY.decode(body)
    except UNREADABLE as error:
        raise refused(error) from error
    given = [name for name in FORMATS if getattr(sent, name) is not None]
    if len(given) != 1:
        raise BadRecord(f"expected exactly one of {', '.join(FORMATS)}, got {' and '.join(given) or 'none'}")
    if sent.params:
        raise BadRecord("no model here takes any", field="params")
    if sent.dataframe_split is not None:
        return _rows(sent.dataframe_split.columns, sent.dataframe_split.data, limit)
    if isinstance(sent.inputs, dict):
        return sent.inputs
    return _listed(sent.dataframe_records or sent.instances or sent.inputs or [], list(inputs), limit)


def _listed(rows: Sequence[Any], names: Sequence[str], limit: int) -> Columns:
    """Rows that are objects, or arrays in the order of the declared columns, or bare values of the only one."""
    if all(isinstance(row, dict) for row in rows):
        for position, row in enumerate(rows):
            odd = [name for name in (*names, *row) if (name in row) != (name in names)]
            if odd:
                reason = "it is missing" if odd[0] in names else f"there is no such column; expected {', '.join(names)}"
                raise BadRecord(reason, field=odd[0], position=position)
        check_rows(len(rows), limit)
        return {name: [row[name] for row in rows] for name in names}
    if len(names) == 1 and not any(isinstance(row, dict | list) for row in rows):
        return {names[0]: rows}
    return _rows(names, rows, limit)


def _rows(names: Sequence[str], rows: Sequence[Any], limit: int) -> Columns:
    check_rows(len(rows), limit)
    if len(set(names)) < len(names):
        raise BadRecord("a column is named twice", field="columns")
    for position, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise BadRecord(f"expected {len(names)} values: {', '.join(names)[:200]}", position=position)
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _csv(body: bytes, limit: int) -> Columns:
    try:
        header, *rows = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
    except UnicodeDecodeError as error:
        raise refused(error) from error
    except (csv.Error, ValueError) as error:
        raise BadRecord(f"expected CSV with a line of names first: {error}") from error
    return _rows(header, [row for row in rows if row], limit)
