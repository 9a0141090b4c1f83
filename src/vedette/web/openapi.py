"""The OpenAPI document: what FastAPI knows of the API and the health routes, and in our words what others send to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.routing import Route

_OCTETS: Final = {"type": "string", "format": "binary"}
_FAULT: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Fault"}}}
_REFUSALS: Final = {
    "400": "It can never be taken; the answer names field and position",
    "401": "The token is missing or wrong",
    "403": "A page of another site sent it",
    "413": "It is larger than `limits` allow, as sent or unpacked",
    "415": "It is of a type or a coding that is not taken here",
}
_LATER: Final = "It cannot be taken now; send the very same again after `Retry-After` seconds"


@dataclass(frozen=True, slots=True)
class Receiver:
    """A route that takes telemetry in: what, of which content types, and the status that says all of it is durable."""

    summary: str
    types: tuple[str, ...]
    taken: str = "200"
    later: str = "503"


_OTLP: Final = ("application/x-protobuf", "application/json")
RECEIVERS: Final = {
    "/api/v1/write": Receiver("Prometheus remote write 1.0 and 2.0, snappy", ("application/x-protobuf",), taken="204"),
    "/v1/metrics": Receiver("OTLP metrics", _OTLP, later="429"),
    "/v1/logs": Receiver("OTLP logs", _OTLP, later="429"),
    "/hooks/alertmanager": Receiver("Alertmanager webhook, version 4", ("application/json",)),
    "/hooks/events": Receiver(
        "CloudEvents 1.0: deployments, changes, tickets",
        ("application/cloudevents+json", "application/cloudevents-batch+json", "application/json"),
    ),
    "/push/{name}": Receiver(
        "Text lines, JSON lines or a JSON array for a declared source; `Idempotency-Key` is honoured",
        ("text/plain", "application/x-ndjson", "application/json"),
    ),
}


def document(known: Mapping[str, Any], receivers: Iterable[Route]) -> dict[str, Any]:
    """The whole document.

    Args:
        known: as FastAPI makes it.
        receivers: the routes that others send to; each is one of `RECEIVERS`.
    """
    paths = {path: {verb: _asked(path, operation) for verb, operation in verbs.items()} for path, verbs in known["paths"].items()}
    paths |= {route.path: {"post": _received(route, RECEIVERS[route.path])} for route in receivers}
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "`web.token`, where it is set"},
        "basic": {"type": "http", "scheme": "basic", "description": "Any name, and the token as the password"},
    }
    schemas = known.get("components", {}).get("schemas", {})
    kept = {name: schema for name, schema in schemas.items() if name not in {"HTTPValidationError", "ValidationError"}}
    components = {"schemas": kept, "securitySchemes": schemes}
    return {**known, "paths": paths, "components": components, "security": [{}, {"bearer": []}, {"basic": []}]}


def _asked(path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    """What FastAPI knows, without its 422: what is wrong with a parameter is a 400 here."""
    answers = {status: answer for status, answer in operation["responses"].items() if status != "422"}
    return {**operation, "responses": answers} | ({"security": []} if path == "/livez" else {})


def _received(route: Route, receiver: Receiver) -> dict[str, Any]:
    refusals = _REFUSALS | ({"404": "No push source of this name is declared"} if route.param_convertors else {})
    responses = {
        receiver.taken: {"description": "All of it is durable, or the answer says what was left out"},
        **{status: {"description": text, "content": _FAULT} for status, text in refusals.items()},
        receiver.later: {"description": _LATER, "headers": {"Retry-After": {"schema": {"type": "integer"}}}},
    }
    return {
        "tags": ["receivers"],
        "summary": receiver.summary,
        "operationId": "take" + route.path.replace("/", "_").replace("{", "").replace("}", ""),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in route.param_convertors
        ],
        "requestBody": {"required": True, "content": {kind: {"schema": _OCTETS} for kind in receiver.types}},
        "responses": dict(sorted(responses.items())),
    }
