"""What a user may declare about the registry."""

from typing import Annotated

from pydantic import Field

from vedette.core.settings import Settings


class RegistrySettings(Settings):
    """Where versions are mirrored to, and how many stay.

    Attributes:
        tracking_uri: of the MLflow that mirrors the registry; a SQLite file in the home where none is declared.
        two_people: whether a version may only be promoted by somebody else than who asked for its training.
        keep: versions kept of each model, besides those that an alias points to.
    """

    tracking_uri: str | None = None
    two_people: bool = False
    keep: Annotated[int, Field(ge=1)] = 20
