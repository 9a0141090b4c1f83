"""Structured secrets and personal data, found by their form and replaced by what they were: `[email]`, `[card]`.

Each rule is one regular expression without look-around, so that Rust's linear-time engine runs it over a whole column
and Python's over a single text with the same result. Numbers are taken for cards and accounts only if their checksum
holds (Luhn, ISO/IEC 7812-1; MOD 97-10, ISO 13616), for an identifier in a log often has their length.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import polars as pl

from vedette.core.settings import Settings

Counted = Callable[[str, int], None]


class RedactionSettings(Settings):
    """What is taken out. Addresses of machines are kept unless `ip` is set: operators need them."""

    secrets: bool = True
    cards: bool = True
    email: bool = True
    ip: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` is replaced by `[kind]`, but for its first group, which stays.

    Attributes:
        hints: strings (lower case) of which one is in every text that the pattern can match; none where there is no such string.
        holds: a last test on the found text; what fails it stays.
    """

    kind: str
    pattern: str
    hints: tuple[str, ...] = ()
    holds: Callable[[str], bool] | None = None


def luhn(text: str) -> bool:
    """Whether the digits of `text` are a card number: a known issuer's prefix and length, and the check digit right.

    >>> luhn("4111 1111 1111 1111"), luhn("4111 1111 1111 1112"), luhn("1700000000000")
    (True, False, False)
    """
    digits = [int(each) for each in text if each.isdigit()]
    number = "".join(map(str, digits))
    if not _ISSUER.fullmatch(number):
        return False
    doubled = [sum(divmod(2 * each, 10)) for each in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(text: str) -> bool:
    """Whether `text` is an account number by ISO 13616: its check digits give 1 modulo 97.

    >>> iban("GB82WEST12345698765432"), iban("GB83WEST12345698765432")
    (True, False)
    """
    compact = text.replace(" ", "").upper()
    rotated = compact[4:] + compact[:4]
    return int("".join(str(int(each, 36)) for each in rotated)) % 97 == 1


_ISSUER: Final = re.compile(
    r"4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|2(?:2[2-9]|[3-6][0-9]|7[01])[0-9]{13}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|6(?:011|5[0-9]{2})[0-9]{12}|35[0-9]{14}"
)
_NAMED: Final = (
    r"(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?key|"
    r"credential|session[_-]?id|auth[_-]?key|signature|otp|pin[_-]?code)"
)
SECRETS: Final = (
    Rule("private-key", r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", ("private key-----",)),
    Rule("jwt", r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*", ("eyj",)),
    Rule(
        "key",
        r"\b(?:(?:AKIA|ASIA|AGPA|AROA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
        r"|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_-]{20,}|[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}"
        r"|whsec_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{20,}"
        r"|dop_v1_[a-f0-9]{32,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|hv[sb]\.[A-Za-z0-9_-]{20,})",
        (
            *("akia", "asia", "agpa", "aroa", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "aiza"),
            *("ya29.", "k_live_", "k_test_", "whsec_", "sk-", "npm_", "pypi-", "hf_", "dop_v1_", "sg.", "hvs.", "hvb."),
        ),
    ),
    Rule(
        "credentials",
        r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token|digest|apikey)\s+)[^\s\"',;]+",
        ("authorization",),
    ),
    Rule("credentials", r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/-]{12,}=*", ("bearer", "basic")),
    Rule("credentials", r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@:\"']*:[^\s/\"']+@", ("://",)),
    Rule(
        "secret",
        rf"(?i)({_NAMED}s?[\"']?\s*(?:[:=]|=>|:=)\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"'<>)}}\]\[][^\s,;&\"'<>)}}\]]*)",
        ("passw", "passphrase", "pwd", "secret", "token", "key", "credential", "session", "signature", "otp", "pin"),
    ),
    Rule("cookie", r"(?i)(\b(?:set-)?cookie:\s*)[^\r\n]+", ("cookie",)),
)
CARDS: Final = (
    Rule("card", r"\b[2-6][0-9]{3}(?:[ -]?[0-9]{2,6}){2,4}\b", holds=luhn),
    Rule("iban", r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", holds=iban),
    Rule("ssn", r"\b[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b"),
)
EMAIL: Final = (Rule("email", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b", ("@",)),)
IP: Final = (
    Rule("ip", r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b", (".",)),
    Rule("ip", r"(?i)(?:\b[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|(?:\b[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}\b|\B::1\b", (":",)),
)


class Redaction:
    """Takes what `settings` name out of columns and single texts; `counted` hears how many texts of each kind were changed.

    >>> Redaction(RedactionSettings()).text("login of ann@example.org with password=hunter2 from 10.0.0.1")
    'login of [email] with password=[secret] from 10.0.0.1'
    >>> Redaction(RedactionSettings()).column(pl.Series(["card 4111-1111-1111-1111", None]))[0]
    'card [card]'
    """

    def __init__(self, settings: RedactionSettings, counted: Counted = lambda _kind, _texts: None) -> None:
        self._rules = (
            (SECRETS if settings.secrets else ())
            + (EMAIL if settings.email else ())
            + (CARDS if settings.cards else ())
            + (IP if settings.ip else ())
        )
        self._compiled = tuple((rule, re.compile(rule.pattern)) for rule in self._rules)
        self._counted = counted

    def column(self, text: pl.Series) -> pl.Series:
        """`text` (String) with every finding replaced; nulls and order stay, the name too."""
        for rule, pattern in self._compiled:
            suspects = self._suspects(text, rule)
            if not suspects.any():
                continue
            found = text.filter(suspects)
            changed = found.map_elements(_replacer(rule, pattern), pl.String) if rule.holds else _replaced(found, rule)
            self._counted(rule.kind, int((changed != found).sum()))
            text = text.scatter(suspects.arg_true(), changed)
        return text

    def text(self, text: str) -> str:
        """One text, the same way."""
        lowered = text.lower()
        for rule, pattern in self._compiled:
            if rule.hints and not any(hint in lowered for hint in rule.hints):
                continue
            changed = _replacer(rule, pattern)(text)
            if changed != text:
                self._counted(rule.kind, 1)
                text = changed
        return text

    @staticmethod
    def _suspects(text: pl.Series, rule: Rule) -> pl.Series:
        if rule.hints:
            hinted = text.str.contains_any(list(rule.hints), ascii_case_insensitive=True).fill_null(value=False)
            if not hinted.any():
                return hinted
        return text.str.contains(rule.pattern).fill_null(value=False)


def _replacement(rule: Rule) -> str:
    return f"${{1}}[{rule.kind}]" if _keeps_head(rule) else f"[{rule.kind}]"


def _keeps_head(rule: Rule) -> bool:
    return re.compile(rule.pattern).groups == 1


def _replaced(found: pl.Series, rule: Rule) -> pl.Series:
    return found.str.replace_all(rule.pattern, _replacement(rule))


def _replacer(rule: Rule, pattern: re.Pattern[str]) -> Callable[[str], str]:
    def replace(match: re.Match[str]) -> str:
        if rule.holds and not rule.holds(match.group()):
            return match.group()
        head = match.group(1) if pattern.groups else ""
        return f"{head}[{rule.kind}]"

    return lambda text: pattern.sub(replace, text)
