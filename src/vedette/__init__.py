"""Vedette: telemetry in, few and right incidents out, and the models kept honest.

>>> import polars as pl
>>> import vedette
>>> frame = pl.DataFrame({"content": ["took 12 ms", "took 7 ms"]})
>>> vedette.templates(frame)["template"].unique().to_list()
['took <*> ms']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vedette.app.workbench import classify, drift, forecast, score, templates
    from vedette.core.errors import BadRecord, ConfigError, NotFound, Rejected, Tampered, Transient, VedetteError
    from vedette.core.identity import series_id
    from vedette.core.ports import Model, Source, Stateful
    from vedette.core.settings import Settings
    from vedette.core.types import Batch, Beat, Checkpoint, Delivery, Fault, Finding, Position

__version__ = "0.1.0"

_DOORS = {
    "vedette.app.workbench": ("classify", "drift", "forecast", "score", "templates"),
    "vedette.core.errors": ("BadRecord", "ConfigError", "NotFound", "Rejected", "Tampered", "Transient", "VedetteError"),
    "vedette.core.identity": ("series_id",),
    "vedette.core.ports": ("Model", "Source", "Stateful"),
    "vedette.core.settings": ("Settings",),
    "vedette.core.types": ("Batch", "Beat", "Checkpoint", "Delivery", "Fault", "Finding", "Position"),
}
_ROOM_OF = {name: room for room, names in _DOORS.items() for name in names}

__all__ = [
    "BadRecord",
    "Batch",
    "Beat",
    "Checkpoint",
    "ConfigError",
    "Delivery",
    "Fault",
    "Finding",
    "Model",
    "NotFound",
    "Position",
    "Rejected",
    "Settings",
    "Source",
    "Stateful",
    "Tampered",
    "Transient",
    "VedetteError",
    "__version__",
    "classify",
    "drift",
    "forecast",
    "score",
    "series_id",
    "templates",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- whatever the door leads to
    # Opened when it is walked through: `vedette --help` must not wait for Polars.
    if name in _ROOM_OF:
        return getattr(import_module(_ROOM_OF[name]), name)
    raise AttributeError(f"module 'vedette' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
