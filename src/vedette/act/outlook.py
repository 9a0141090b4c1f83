"""A forecast that crosses a limit is an incident with a date, before anything has happened."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b

import polars as pl

from vedette.act.incident import Incident, Severity
from vedette.act.words import span
from vedette.core.catalogue import SeriesInfo

DAY = 86_400_000_000


def ahead(
    crossings: pl.DataFrame, infos: Mapping[int, SeriesInfo], open_: Iterable[Incident], model: str, limit: float, at: int
) -> tuple[Incident, ...]:
    """The incidents of a model's forecasts at `at` (UTC microseconds): those that begin or change, and those that are over.

    Args:
        crossings: `series, at, soonest, latest`: when each series crosses `limit`, and within which bounds (null: not foreseen).
        infos: who the series are.
        open_: incidents that are open; those of this model's forecasts are recognised by their ids.
        model: `NAME@VERSION`.
        limit: what is crossed.
        at: now.
    """
    name = model.partition("@")[0]
    known = {each.id: each for each in open_}
    found = {}
    moments = crossings.with_columns(pl.col("at", "soonest", "latest").dt.timestamp("us"))
    for series, when, soonest, latest in moments.select("series", "at", "soonest", "latest").iter_rows():
        if series in infos:
            incident = _incident(infos[series], (when, soonest, latest), model, limit, at)
            before = known.get(incident.id)
            found[incident.id] = replace(incident, started_at=before.started_at) if before else incident
    ids = {_id(name, info) for info in infos.values()}
    over = [
        replace(each, status="closed", updated_at=at, ended_at=at)
        for each in known.values()
        if each.id in ids and each.id not in found
    ]
    return (*found.values(), *over)


def _incident(info: SeriesInfo, times: tuple[int, int | None, int | None], model: str, limit: float, at: int) -> Incident:
    when, soonest, latest = times
    left = max(when - at, 0)
    severity: Severity = "critical" if left < DAY else "warning"
    title = f"{info} is expected to cross {limit:g} in {span(left / 1e6)}, about {_moment(when)}"
    between = (
        f"between {_moment(soonest)} and {_moment(latest) if latest else 'later than is foreseen'}" if soonest else "just there"
    )
    member = {
        "key": f"forecast:{info.series}", "kind": "forecast", "series": info.series, "name": info.name, "labels": dict(info.labels),
        "text": f"{title}; with 80 per cent {between}", "since": at, "last": when, "active": True, "direction": "", "at": when,
        "value": None, "yhat": limit, "yhat_lower": None, "yhat_upper": None, "score": None,
    }  # fmt: skip
    explanation = {
        "direction": "", "members": [member], "member_count": 1, "first": [member["text"]], "logs": [], "changes": [], "merged": [],
        "forecast": {"model": model, "limit": limit, "at": when, "soonest": soonest, "latest": latest},
    }  # fmt: skip
    name = model.partition("@")[0]
    return Incident(_id(name, info), "open", severity, title, at, at, None, dict(info.labels), explanation)


def _id(model: str, info: SeriesInfo) -> str:
    return blake2b(f"forecast|{model}|{info.series}".encode(), digest_size=8).hexdigest()


def _moment(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%F %H:%M} UTC"
