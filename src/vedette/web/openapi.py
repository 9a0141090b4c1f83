"""The OpenAPI document: what FastAPI knows of the API and the health routes; in our words what others send to and ask models."""

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
#: What models are asked, in both protocols.
SERVED: Final = {
    "/v2": "Who answers the Open Inference Protocol v2",
    "/v2/health/live": "That anything answers",
    "/v2/health/ready": "Whether every deployed version can be asked",
    "/v2/models/{name}": "What the version that speaks for a model takes and gives",
    "/v2/models/{name}/ready": "Whether it can be asked",
    "/v2/models/{name}/infer": "Ask it: tensors in, tensors out",
    "/v2/models/{name}/versions/{version}": "What a version takes and gives",
    "/v2/models/{name}/versions/{version}/ready": "Whether it can be asked",
    "/v2/models/{name}/versions/{version}/infer": "Ask it: tensors in, tensors out",
    "/invocations": "MLflow's scoring: `dataframe_split`, `dataframe_records`, `instances`, `inputs`, or CSV in, records out",
    "/ping": "MLflow's question whether a model is there",
    "/health": "The same",
    "/version": "MLflow's question for the version of the server",
}
_ASKED: Final = {
    "400": "It does not fit what the model takes; the answer names field and position",
    "401": "The token is missing or wrong",
    "403": "A page of another site sent it",
    "404": "No such model or version is deployed",
    "408": "Its sender took too long over the body",
    "413": "It has too many rows or bytes",
    "415": "It is of a type that is not taken here",
    "500": "The model failed",
}


def document(known: Mapping[str, Any], receivers: Iterable[Route], served: Iterable[Route]) -> dict[str, Any]:
    """The whole document.

    Args:
        known: as FastAPI makes it.
        receivers: the routes that others send to; each is one of `RECEIVERS`.
        served: the routes that ask models; each is one of `SERVED`.
    """
    paths = {path: {verb: _asked(path, operation) for verb, operation in verbs.items()} for path, verbs in known["paths"].items()}
    paths |= {route.path: {"post": _received(route, RECEIVERS[route.path])} for route in receivers}
    paths |= {route.path: {"post" if _posts(route) else "get": _answered(route)} for route in served}
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
        "parameters": _named(route),
        "requestBody": {"required": True, "content": {kind: {"schema": _OCTETS} for kind in receiver.types}},
        "responses": dict(sorted(responses.items())),
    }


def _answered(route: Route) -> dict[str, Any]:
    failures = {status: text for status, text in _ASKED.items() if _posts(route) or status == "401"}
    if route.param_convertors:
        failures["404"] = _ASKED["404"]
    operation = {
        "tags": ["serving"],
        "summary": SERVED[route.path],
        "operationId": "ask" + route.path.replace("/", "_").replace("{", "").replace("}", ""),
        "parameters": _named(route),
        "responses": {
            "200": {"description": "The answer"},
            **{status: {"description": text, "content": _FAULT} for status, text in sorted(failures.items())},
            "503": {"description": "It cannot be asked now"},
        },
    }
    if not _posts(route):
        return operation
    kinds = ("application/json", "text/csv") if route.path == "/invocations" else ("application/json",)
    if route.path == "/invocations":
        asked = ("model", "query"), ("version", "query"), ("Vedette-Model", "header")
        operation["parameters"] = [{"name": name, "in": place, "schema": {"type": "string"}} for name, place in asked]
    return operation | {"requestBody": {"required": True, "content": {kind: {} for kind in kinds}}}


def _posts(route: Route) -> bool:
    return "POST" in (route.methods or ())


def _named(route: Route) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in route.param_convertors]
