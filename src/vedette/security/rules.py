"""What is taken out of text, and by which form it is known.

A pattern is written in what two engines read alike: Rust's over a whole column, in linear time, and Python's over one text.
So there is no look-around; letters are folded only inside `(?i:...)`, which holds nothing but ASCII; spaces are spelt out; and a
rule with a last test (`holds`), which Python runs, repeats nothing without a bound or an end of its own.

Numbers are taken for cards and accounts only if their checksum holds (Luhn, ISO/IEC 7812-1; MOD 97-10, ISO 13616), for
an identifier in a log often has their length.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """What `pattern` finds is replaced by `[kind]`, but for its groups: they stay, in front.

    Attributes:
        kind: what it is called in its place, and in the metrics.
        pattern: see above.
        holds: a last test on what was found, without the groups; what fails it stays.
        hint: a cheaper pattern that every text with a finding matches; `pattern` itself where it is cheap. Cheap to look for
            is what begins with something rare and counts nothing.
    """

    kind: str
    pattern: str
    holds: Callable[[str], bool] | None = None
    hint: str = ""


def luhn(text: str) -> bool:
    """Whether the last of the digits of `text` is the check digit of the others.

    >>> luhn("4111 1111 1111 1111"), luhn("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(each) for each in text if "0" <= each <= "9"]
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


def told(value: str) -> bool:
    """Whether `value`, given to a name such as `password`, is one: not a word about it, a placeholder, or nothing.

    >>> told("hunter2"), told("null"), told("****"), told("$"), told("expired")
    (True, False, False, False, False)
    """
    return value not in _NOTHING and value.lower().strip(".!") not in _WORDS and not set(value) <= {"*", ".", "-"}


def told_loosely(value: str) -> bool:
    """The same for a name that often means something else: no path, no number.

    >>> told_loosely("hunter2"), told_loosely("/home/ann"), told_loosely("12")
    (True, False, False)
    """
    return told(value) and not value.startswith(("/", "~", "./", "..")) and value[1:3] != ":\\" and not value.isdecimal()


def coded(value: str) -> bool:
    """Whether `value` is a credential rather than the next word of a sentence.

    >>> coded("dXNlcjpwYXNz"), coded("authentication"), coded("Authentication")
    (True, False, False)
    """
    word = value[1:].replace("-", "").rstrip(".")
    return not (word.isalpha() and word.islower())


def mailbox(address: str) -> bool:
    """Whether `address` is not the name of a systemd unit, which has the same form.

    >>> mailbox("ann@example.org"), mailbox("user@1000.service")
    (True, False)
    """
    return address.rpartition(".")[2].lower() not in _UNITS


_WORDS: Final = frozenset(
    (
        *("null", "none", "nil", "undefined", "unset", "empty", "missing", "required", "invalid", "expired", "revoked"),
        *("changed", "wrong", "incorrect", "rejected", "accepted", "failed", "failure", "denied", "mismatch", "unknown"),
        *("true", "false", "yes", "not", "hidden", "masked", "redacted", "filtered", "removed", "error", "ok", "valid"),
        *("unauthorized"),
    )
)
_NOTHING: Final = ("", "$", "%", "-", ";", ":", "#")
_UNITS: Final = frozenset(
    ("service", "socket", "timer", "mount", "automount", "target", "slice", "scope", "device", "path", "swap")
)

_TO: Final = r"[ \t]*(?::=|=>|={1,3}|:{1,2})[ \t]*"
_QUOTE: Final = r"(?:\\*[\"'])?"
#: A value in quotes, in quotes that are escaped themselves, or up to what ends a word. The opening quote is a group, so it stays.
_VALUE: Final = (
    r"(?:(\")(?:[^\"\\\r\n]|\\[^\r\n])*|(')(?:[^'\\\r\n]|\\[^\r\n])*|(\\+[\"'])(?:[^\"'\\\r\n]|\\[^\"'\r\n])*"
    r"|[^ \t\r\n,;&\"'<>()\[\]{}\\=][^ \t\r\n,;&\"'<>()\[\]{}]*)"
)
_NAMES: Final = (
    r"(?i:(?:passwords?|passwd|passphrase|passcode|secrets?|token|credentials?|signature|(?:\b|_)(?:sig|ssn|jwt|t?otp|cvv2?|cvc2?)"
    r"|(?:mfa|pin|verification)[_-]?code|sess(?:ion)?[_-]?id"
    r"|(?:api|access|account|auth|client|encryption|license|master|private|session|shared|signing|storage|subscription)[_.-]?keys?)"
    r"(?:[_.-]?(?:key|value|string|hash|base|id|confirm|confirmation|[0-9]))?)"
)
_LOOSE_NAMES: Final = r"(?i:(?:\b|_)(?:pass|pwd|pw))"
_ANY_NAME: Final = rf"(?:{_NAMES}|{_LOOSE_NAMES})"
_AFTER: Final = rf"\]?{_QUOTE}{_TO}"

SECRETS: Final = (
    Rule(
        "private-key",
        r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-{1,4}[^-])*(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    Rule("jwt", r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*"),
    Rule(
        "key",
        r"\b(?:(?:AKIA|ASIA|AGPA|AROA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|gl(?:pat|sa|rt)[-_][A-Za-z0-9_-]{16,}"
        r"|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{30,}|ya29\.[0-9A-Za-z_-]{20,}"
        r"|[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{20,}"
        r"|hf_[A-Za-z0-9]{20,}|dop_v1_[a-f0-9]{32,}|dckr_pat_[A-Za-z0-9_-]{20,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"
        r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|hv[sb]\.[A-Za-z0-9_-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{50,}"
        r"|[0-9]{8,10}:AA[A-Za-z0-9_-]{33})",
    ),
    Rule("key", r"(\bhooks\.slack\.com/(?:services|workflows)/)[A-Za-z0-9/_-]{16,}"),
    Rule(
        "credentials",
        rf"((?i:\b(?:proxy-)?authorization){_QUOTE}{_TO}{_QUOTE}(?i:(?:bearer|basic|token|digest|apikey|negotiate|ntlm|aws4-hmac-sha256)"
        r"[ \t]+)?)[^ \t\r\n\"',;\\]+",
        told,
    ),
    Rule("credentials", r"((?i:\b(?:bearer|basic)[ \t]+))[A-Za-z0-9._~+/-]{12,4096}=*", coded),
    Rule(
        "credentials",
        r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,31}://)[^ \t\r\n/@:\"'<>]*:[^ \t\r\n/\"'<>]+@",
        hint=r"://[^ \t\r\n/@:\"'<>]*:[^ \t\r\n/\"'<>]+@",
    ),
    Rule("credentials", r"((?:^|[ \t])(?:-u|--user)[ =][ ]*[\"']?[^ \t\r\n:\"']{1,64}:)[^ \t\r\n\"']+", hint=r"-(?:u|-user)[ =]"),
    Rule("secret", rf"({_NAMES}{_AFTER}){_VALUE}", told, rf"{_NAMES}{_AFTER}"),
    Rule("secret", rf"({_LOOSE_NAMES}{_AFTER}){_VALUE}", told_loosely, rf"{_LOOSE_NAMES}{_AFTER}"),
    Rule("secret", rf"(\B--?[A-Za-z0-9_-]{{0,40}}{_ANY_NAME}[ \t]+){_VALUE}", told, rf"-[A-Za-z0-9_-]*{_ANY_NAME}[ \t]"),
    Rule("secret", r"((?i:\b(?:identified[ \t]+by|password)[ \t]+)[\"'])[^\"'\r\n]+", told),
    Rule(
        "secret",
        rf"(<[^<> \t\r\n/]{{0,64}}{_ANY_NAME}(?:[ \t][^<>]{{0,256}})?>)[^< \t\r\n][^<]*",
        told,
        rf"{_ANY_NAME}(?:[ \t][^<>]*)?>",
    ),
    Rule(
        "secret",
        rf"({_ANY_NAME}{_QUOTE}[ \t\r\n]*,?[ \t\r\n]*{_QUOTE}value{_AFTER}){_VALUE}",
        told,
        rf"{_ANY_NAME}[^A-Za-z0-9]*value",
    ),
    Rule("cookie", rf"((?i:\b(?:set-)?cookie){_QUOTE}{_TO}{_QUOTE})[^ \t\r\n=;\"']+=[^\r\n\"']+"),
)

#: Issuer prefixes and lengths: Visa, Mastercard, American Express, Diners Club, Discover, JCB, UnionPay; together, or in fours.
_CARD: Final = (
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|(?:5[1-5][0-9]{2}|2(?:2[2-9]|[3-6][0-9]|7[012])[0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}"
    r"|(?:6(?:011|4[4-9][0-9]|5[0-9]{2})|35(?:2[89]|[3-8][0-9]))[0-9]{12}|62[0-9]{14,17}"
    r"|(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6(?:011|4[4-9][0-9]|[25][0-9]{2})|35[2-8][0-9])"
    r"(?:(?: [0-9]{4}){3}|(?:-[0-9]{4}){3})"
    r"|3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5}|3[0689][0-9]{2}[ -][0-9]{6}[ -][0-9]{4}"
)
CARDS: Final = (
    # Not behind a dot or an underscore and a minus: a fraction, or an identifier such as blk_-4111111111111111.
    Rule("card", rf"((?:^|[^0-9A-Za-z_.-]|[^_]-))(?:{_CARD})\b", luhn),
    Rule("iban", r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", iban),
    Rule(
        "ssn",
        r"\b(?:00[1-9]|0[1-9][0-9]|[1-578][0-9]{2}|6(?:[0-57-9][0-9]|6[0-57-9]))-(?:0[1-9]|[1-9][0-9])"
        r"-(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})\b",
    ),
)
EMAIL: Final = (
    Rule(
        "email",
        r"[^\x00-\x20\"'<>()\[\]{},;:=|&@\\/*`%?#](?:[^\x00-\x20\"<>()\[\]{},;:=|&@\\/*`%?#]|%2[Bb]){0,63}(?:@|%40)"
        r"[^\x00-\x2c./:-@\[-`{-\x7f]{1,63}(?:\.[^\x00-\x2c./:-@\[-`{-\x7f]{1,63}){0,8}\.[A-Za-z]{2,24}\b",
        mailbox,
        r"(?:@|%40)[^ ]*\.[A-Za-z]",
    ),
)
IP: Final = (
    Rule("ip", r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b"),
    Rule("ip", r"(?i:\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b|\b(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}\b|\B::1\b)"),
)
