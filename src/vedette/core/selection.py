"""Which series somebody means, in two regular expressions."""

import re
from collections.abc import Mapping

from pydantic import Field, field_validator

from vedette.core.settings import Settings


class Selection(Settings):
    """Series by name and labels.

    Attributes:
        name: regular expression that the whole name of the series matches.
        labels: label -> regular expression that its whole value matches; a missing label has the value "".

    >>> Selection(name="http_.*", labels={"service": "shop"}).takes("http_requests", {"service": "shop"})
    True
    """

    name: str = ".*"
    labels: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _pattern(cls, text: str) -> str:
        return _compilable(text)

    @field_validator("labels")
    @classmethod
    def _patterns(cls, labels: Mapping[str, str]) -> Mapping[str, str]:
        return {key: _compilable(text) for key, text in labels.items()}

    def takes(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether a series of this name and these labels is meant."""
        if not re.fullmatch(self.name, name):
            return False
        return all(re.fullmatch(pattern, labels.get(key, "")) for key, pattern in self.labels.items())


def _compilable(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        message = f"'{text}' is no regular expression: {error}"
        raise ValueError(message) from error
    return text
