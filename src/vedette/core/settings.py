"""What a user may declare: each room's settings are a frozen model on this base, beside the code they configure."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen set of declared values; an unknown key is an error, never ignored.

    >>> class Window(Settings):
    ...     seconds: float = 60.0
    >>> Window(seconds=5).seconds
    5.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
