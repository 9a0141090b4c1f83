"""The bodies of the Open Inference Protocol v2, REST: what a request says, what an answer and a description are.

A tensor is a column: its shape is `[rows]` or `[rows, 1]`. The binary extension is not spoken.
Source: https://github.com/open-inference/open-inference-protocol (inference_rest.md).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
import polars as pl

from vedette.core.errors import BadRecord
from vedette.core.ports import Frame
from vedette.web.columns import (
    DATATYPES,
    TIMESTAMP,
    UNREADABLE,
    assembled,
    check_rows,
    converted,
    declared,
    decoded,
    outgoing,
    refused,
)
from vedette.web.view import Served

_Name = Annotated[str, msgspec.Meta(max_length=512)]
#: Tensors of one request.
_Many = msgspec.Meta(max_length=4096)


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input. Its parameters are hints to servers that know them, and are not looked at."""

    name: _Name
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(max_length=8)]
    datatype: str
    data: msgspec.Raw
    parameters: dict[str, Any] = {}


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output that is asked for."""

    name: _Name
    parameters: dict[str, Any] = {}


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `infer`."""

    inputs: Annotated[list[Tensor], _Many]
    id: _Name = ""
    outputs: Annotated[list[Wanted], _Many] = []
    parameters: dict[str, Any] = {}


_REQUEST: Final = msgspec.json.Decoder(Request)


def parsed(body: bytes, served: Served, limit: int) -> tuple[Request, Frame]:
    """A request, and the frame of at most `limit` rows that it asks about.

    Raises:
        BadRecord: it is none, or does not fit what `served` declares.
    """
    try:
        request = _REQUEST.decode(body)
    except UNREADABLE as error:
        raise refused(error) from error
    for wanted in request.outputs:
        declared(wanted.name, served.outputs)
    columns: dict[str, pl.Series] = {}
    for tensor in request.inputs:
        if tensor.name in columns:
            raise BadRecord("it is given twice", field=tensor.name)
        columns[tensor.name] = _column(tensor, declared(tensor.name, served.inputs), limit)
    return request, assembled(columns, served.inputs, limit)


def answered(served: Served, request: Request, answer: Frame) -> bytes:
    """The body of the answer, with the outputs that were asked for, or all."""
    names = [wanted.name for wanted in request.outputs] or list(served.outputs)
    outputs = [
        {
            "name": name,
            "shape": [answer.height],
            "datatype": served.outputs[name],
            "data": outgoing(answer[name], served.outputs[name]),
        }
        for name in names
    ]
    told = {"id": request.id} if request.id else {}
    return msgspec.json.encode({"model_name": served.name, "model_version": served.version, **told, "outputs": outputs})


def described(served: Served, versions: Sequence[str]) -> dict[str, Any]:
    """What a model takes and gives."""
    return {
        "name": served.name,
        "versions": list(versions),
        "platform": f"vedette_{served.family}",
        "inputs": _tensors(served.inputs),
        "outputs": _tensors(served.outputs),
    }


def _tensors(columns: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in columns.items()]


def _column(tensor: Tensor, datatype: str, limit: int) -> pl.Series:
    shape = tensor.shape
    if len(shape) not in {1, 2} or shape[1:] not in ([], [1]):
        raise BadRecord(f"expected the shape [rows] or [rows, 1], got {shape}", field=tensor.name)
    check_rows(shape[0], limit)
    nested = len(shape) == 2 and b"".join(bytes(memoryview(tensor.data)[:64]).split()).startswith(b"[[")
    if tensor.datatype in DATATYPES[datatype].sent:
        column = decoded(tensor.name, datatype, tensor.data, nested=nested)
    elif tensor.name == TIMESTAMP and (datatype, tensor.datatype) == ("INT64", "BYTES"):
        column = converted(TIMESTAMP, datatype, decoded(tensor.name, "BYTES", tensor.data, nested=nested).to_list())
    else:
        raise BadRecord(f"expected {datatype}, got {tensor.datatype[:20]}", field=tensor.name)
    if len(column) != shape[0]:
        raise BadRecord(f"expected {shape[0]} values as its shape says, got {len(column)}", field=tensor.name)
    return column
