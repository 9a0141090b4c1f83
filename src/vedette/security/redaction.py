"""Structured secrets and personal data, found by their form and replaced by what they were: `[email]`, `[card]`.

Hardly any line holds something, so one pass of Rust's linear-time engine with all rules joined finds the few suspects of
a column, and only they are looked at rule by rule. A single text goes through Python's engine with the same result.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import polars as pl

from vedette.core.settings import Settings
from vedette.security.rules import CARDS, EMAIL, IP, SECRETS, Rule

Counted = Callable[[str, int], None]

#: A longer text goes the way of columns, whose engine is linear whatever the text.
LONG: Final = 1024
REMEMBERED: Final = 1 << 16
#: What stands in place of a secret is no name of the next one.
OURS: Final = re.compile(rf"\[(?:{'|'.join(sorted({rule.kind for rule in SECRETS}))})\]")


class RedactionSettings(Settings):
    """What is taken out. Addresses of machines are kept unless `ip` is set: operators need them."""

    secrets: bool = True
    cards: bool = True
    email: bool = True
    ip: bool = False


@dataclass(frozen=True)
class _Compiled:
    """A rule for both engines."""

    rule: Rule

    @cached_property
    def rust(self) -> str:
        return _rust(self.rule.pattern)

    @cached_property
    def hint(self) -> str:
        return _rust(self.rule.hint) or self.rust

    @cached_property
    def python(self) -> re.Pattern[str]:
        return re.compile(self.rule.pattern, re.ASCII)

    def column(self, text: pl.Series) -> pl.Series:
        if self.rule.holds:
            found = text.str.contains(self.rust)
            return (
                text.clone().scatter(found.arg_true(), text.filter(found).map_elements(self.text, pl.String))
                if found.any()
                else text
            )
        heads = "".join(f"${{{group + 1}}}" for group in range(self.python.groups))
        return text.str.replace_all(self.rust, f"{heads}[{self.rule.kind}]")

    def text(self, text: str) -> str:
        return self.python.sub(self._replaced, text)

    def _replaced(self, match: re.Match[str]) -> str:
        head = "".join(group or "" for group in match.groups())
        if self.rule.holds and not self.rule.holds(match.group()[len(head) :]):
            return match.group()
        if OURS.match(match.string, match.start() - 1):
            return match.group()
        return f"{head}[{self.rule.kind}]"


class Redaction:
    """Takes what `settings` name out of columns and single texts; `counted` hears how many texts of each kind were changed.

    >>> Redaction(RedactionSettings()).text("login of ann@example.org with password=hunter2 from 10.0.0.1")
    'login of [email] with password=[secret] from 10.0.0.1'
    >>> Redaction(RedactionSettings()).column(pl.Series(["card 4111-1111-1111-1111", None]))[0]
    'card [card]'
    """

    def __init__(self, settings: RedactionSettings, counted: Counted = lambda _kind, _texts: None) -> None:
        rules = (
            (SECRETS if settings.secrets else ())
            + (EMAIL if settings.email else ())
            + (CARDS if settings.cards else ())
            + (IP if settings.ip else ())
        )
        self._rules = tuple(_Compiled(rule) for rule in rules)
        self._any = "|".join(f"(?:{each.hint})" for each in self._rules)
        self._counted = counted
        self._short = lru_cache(REMEMBERED)(self._cleaned)

    def column(self, text: pl.Series) -> pl.Series:
        """`text` (String) with every finding replaced; nulls and order stay, the name too."""
        if not self._rules:
            return text
        suspects = text.str.contains(self._any).arg_true()
        if suspects.is_empty():
            return text
        found = text.gather(suspects)
        for each in self._rules:
            changed = each.column(found)
            texts = int((changed != found).sum())
            if texts:
                self._counted(each.rule.kind, texts)
                found = changed
        return text.clone().scatter(suspects, found)

    def text(self, text: str) -> str:
        """One text, the same way."""
        if len(text) > LONG:
            return str(self.column(pl.Series([text]))[0])
        clean, kinds = self._short(text)
        for kind in kinds:
            self._counted(kind, 1)
        return clean

    def _cleaned(self, text: str) -> tuple[str, tuple[str, ...]]:
        kinds = []
        for each in self._rules:
            changed = each.text(text)
            if changed != text:
                kinds.append(each.rule.kind)
                text = changed
        return text, tuple(kinds)


def _rust(pattern: str) -> str:
    """`pattern` for Rust's engine, where letters, folding and word boundaries are Unicode's unless they are told not to be."""
    return pattern.replace("(?i:", "(?i-u:").replace(r"\b", r"(?-u:\b)").replace(r"\B", r"(?-u:\B)")
