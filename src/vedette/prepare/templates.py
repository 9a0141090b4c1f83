"""Log templates, mined as lines come: which part of a line is constant, which varies.

Lines are blurred, hashed and masked as columns (`masking`); only masked lines never seen before are walked token by token.
A word is variable where its context says so: once `distinct` different words have stood at one position of the same line
with all other words equal, that context is *open*, and whatever comes there is `<*>`. Words after a cue such as `user`
open sooner. A template keeps the identity it was born with (a hash of its first text) while its text widens.

Bounded: at most `limit` templates; when full, templates idle for `idle` lines make room, and where there are none a new
kind of line is counted under the overflow template `<*>`, so that a flood never drives out what is known. Contexts and the
memory of masked lines are bounded too, oldest out first. The same lines in the same batches always give the same ids.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from vedette.core.frames import AT, TEMPLATES, Schema, empty
from vedette.core.types import State
from vedette.prepare.masking import ANSI, MINED_CHARS, WILDCARD, blur, mask, wildcards

_CUES: Final = frozenset(
    {"at", "by", "file", "for", "from", "host", "id", "in", "name", "node", "on", "service", "to", "unit", "user"}
)
_WORD: Final = re.compile(r"[A-Za-z]{2}")
_TOKENS: Final = 48
_NAMED: Final[Schema] = {"template": pl.Int64, "text": pl.String}


def template_id(text: str) -> int:
    """The signed 64-bit identity of a template: BLAKE2b with an 8-byte digest over its text at birth.

    >>> template_id("<*>") == OVERFLOW
    True
    """
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little", signed=True)


OVERFLOW: Final = template_id(WILDCARD)


class Mined(NamedTuple):
    """What `TemplateMiner.learn` answers.

    Attributes:
        ids: the template of each line, Int64, in the order of the lines.
        templates: TEMPLATES rows of templates that are new or whose text became wider (same id, new text).
    """

    ids: pl.Series
    templates: pl.DataFrame


class TemplateMiner:
    """Gives every line its template, learning as it goes (`core.ports.Stateful`).

    Args:
        limit: templates known at once.
        idle: lines after which an unused template may make room for a new one.
        distinct: different words at one place that make it variable; `cued` the same after a cue word.
        contexts: places remembered at once.
        memory: masked lines remembered at once.

    >>> miner = TemplateMiner()
    >>> mined = miner.learn(pl.Series(["took 12 ms", "took 7 ms", "done"]))
    >>> mined.ids.n_unique(), mined.templates["text"].to_list()
    (2, ['took <*> ms', 'done'])
    """

    def __init__(
        self,
        *,
        limit: int = 20_000,
        idle: int = 2_000_000,
        distinct: int = 5,
        cued: int = 2,
        contexts: int = 200_000,
        memory: int = 200_000,
    ) -> None:
        self._limit = limit
        self._idle = idle
        self._distinct = distinct
        self._cued = cued
        self._max_contexts = contexts
        self._max_memory = memory
        self._lines = 0
        self._ids: dict[str, int] = {}  # text -> id
        self._texts: dict[int, str] = {}  # id -> text
        self._used: dict[int, int] = {}  # id -> count of lines when last used
        self._seen: dict[int, list[int]] = {}  # context not open yet -> the templates that stood there
        self._open: dict[int, None] = {}
        self._memory: dict[str, int] = {}
        self._changed: dict[int, str] = {}  # in the lines being learnt: new or wider

    def texts(self) -> pl.DataFrame:
        """Every template known now: template, text."""
        return pl.DataFrame({"template": list(self._texts), "text": list(self._texts.values())}, schema=_NAMED)

    def forget_lines(self) -> None:
        """Let go of the memory of lines, so that each is read anew with what is known by now."""
        self._memory.clear()

    def __len__(self) -> int:
        return len(self._texts)

    def learn(self, lines: pl.Series, at: pl.Series | None = None, series: pl.Series | None = None) -> Mined:
        """The template of every line.

        Args:
            lines: String; nulls are empty lines.
            at: when each line was logged, for `first_seen` of new templates.
            series: the stream of each line, likewise.
        """
        blurred = blur(lines)
        kinds = blurred.unique(maintain_order=True)
        self._lines += len(lines)
        known = pl.DataFrame({"line": kinds, "template": pl.Series(self._resolve(kinds), dtype=pl.Int64)})
        ids = blurred.to_frame("line").join(known, on="line", how="left", maintain_order="left").get_column("template")
        return Mined(ids, self._announce(ids, at, series))

    def _resolve(self, kinds: pl.Series) -> list[int]:
        """The template of each distinct blurred line; lines not remembered are masked and walked."""
        blurred = kinds.to_list()
        fresh = [line for line in blurred if line not in self._memory]
        found = {line: self._memory[line] for line in blurred if line in self._memory}
        for line, pattern in zip(fresh, wildcards(mask(pl.Series(fresh, dtype=pl.String))).to_list(), strict=True):
            found[line] = self._place(line, pattern)
        for each in found.values():
            if each in self._used:
                self._used[each] = self._lines
        return [found[line] for line in blurred]

    def _place(self, line: str, pattern: str) -> int:
        tokens = pattern.split(" ", _TOKENS)
        tokens = self._canonical(tokens)
        text = " ".join(tokens)
        known = self._ids.get(text)
        if known is None:
            known = self._learn_new(tokens, text)
        if known != OVERFLOW:
            if len(self._memory) >= self._max_memory:
                del self._memory[next(iter(self._memory))]
            self._memory[line] = known
        return known

    def _canonical(self, tokens: list[str]) -> list[str]:
        """`tokens` with a wildcard at each place whose context is open."""
        if not self._open:
            return tokens
        changed = True
        while changed:
            changed = False
            for place in _places(tokens):
                if _context(tokens, place) in self._open:
                    tokens = [*tokens[:place], _key(tokens[place]) + WILDCARD, *tokens[place + 1 :]]
                    changed = True
        return tokens

    def _learn_new(self, tokens: list[str], text: str) -> int:
        """A kind of line not known: a new template, the widening of a known one, or the overflow."""
        for place in _places(tokens):
            members = self._see(tokens, place, text)
            if members:
                return self._widen(tokens, place, members)
        return self._add(text)

    def _see(self, tokens: list[str], place: int, text: str) -> list[int]:
        """Count a word at its place; once there were enough, the templates that differ there only."""
        context = _context(tokens, place)
        words = self._seen.setdefault(context, [])
        words.append(template_id(text))
        cued = place > 0 and tokens[place - 1].rstrip(":=").lower() in _CUES
        if len(words) < (self._cued if cued else self._distinct):
            if len(self._seen) > self._max_contexts:
                del self._seen[next(iter(self._seen))]
            return []
        del self._seen[context]
        self._open[context] = None
        if len(self._open) > self._max_contexts:
            del self._open[next(iter(self._open))]
        return words

    def _widen(self, tokens: list[str], place: int, members: Sequence[int]) -> int:
        """One template for all that differ at `place` only: the oldest keeps its identity, the others end."""
        tokens = self._canonical([*tokens[:place], _key(tokens[place]) + WILDCARD, *tokens[place + 1 :]])
        text = " ".join(tokens)
        self._memory.clear()
        alive = [each for each in dict.fromkeys(members) if each in self._texts and each != OVERFLOW]
        for each in alive:
            del self._ids[self._texts[each]]
        kept = self._ids.get(text)
        if kept is None and alive:
            kept = alive[0]
        for each in alive:
            if each != kept:
                del self._texts[each], self._used[each]
        if kept is None:
            return self._learn_new(tokens, text)
        if self._texts[kept] != text or text not in self._ids:
            self._texts[kept] = text
            self._ids[text] = kept
            self._changed[kept] = text
        return kept

    def _add(self, text: str) -> int:
        identity = template_id(text)
        if identity in self._texts:
            return identity
        if len(self._texts) >= self._limit and not self._make_room():
            identity, text = OVERFLOW, WILDCARD
            if identity in self._texts:
                return identity
        self._texts[identity] = text
        self._ids[text] = identity
        self._used[identity] = self._lines
        self._changed[identity] = text
        return identity

    def _make_room(self) -> bool:
        """Forget templates that were not used for `idle` lines."""
        idle = [each for each, used in self._used.items() if used < self._lines - self._idle and each != OVERFLOW]
        for each in idle:
            del self._ids[self._texts.pop(each)], self._used[each]
        if idle:
            self._memory.clear()
        return bool(idle)

    def _announce(self, ids: pl.Series, at: pl.Series | None, series: pl.Series | None) -> pl.DataFrame:
        changed, self._changed = self._changed, {}
        if not changed:
            return empty(TEMPLATES)
        rows = pl.DataFrame(
            {
                "template": ids,
                "first_seen": pl.Series([None] * len(ids), dtype=AT) if at is None else at.cast(AT),
                "series": pl.Series([None] * len(ids), dtype=pl.Int64) if series is None else series,
            }
        )
        first = rows.group_by("template", maintain_order=True).agg(pl.col("first_seen").min(), pl.col("series").first())
        named = pl.DataFrame({"template": list(changed), "text": list(changed.values())}, schema=_NAMED)
        return named.join(first, on="template", how="left", maintain_order="left").select(list(TEMPLATES))

    def state(self) -> State:
        """Plain arrays: texts as bytes with offsets, the rest as integers, in the order in which they were learnt."""
        texts, text_ends = _pack(self._texts.values())
        lines, line_ends = _pack(self._memory)
        return {
            "lines": np.array([self._lines], dtype=np.int64),
            "template": np.fromiter(self._texts, np.int64, len(self._texts)),
            "used": np.fromiter((self._used[each] for each in self._texts), np.int64, len(self._texts)),
            "texts": texts,
            "text_ends": text_ends,
            "open": np.fromiter(self._open, np.int64, len(self._open)),
            "seen": np.fromiter(self._seen, np.int64, len(self._seen)),
            "words": np.fromiter((word for words in self._seen.values() for word in words), np.int64),
            "word_ends": np.cumsum([len(words) for words in self._seen.values()], dtype=np.int64),
            "memory": lines,
            "memory_ends": line_ends,
            "memory_template": np.fromiter(self._memory.values(), np.int64, len(self._memory)),
        }

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        ids = state["template"].tolist()
        self._lines = int(state["lines"][0])
        self._texts = dict(zip(ids, _unpack(state["texts"], state["text_ends"]), strict=True))
        self._ids = {text: each for each, text in self._texts.items()}
        self._used = dict(zip(ids, state["used"].tolist(), strict=True))
        self._open = dict.fromkeys(state["open"].tolist())
        words, ends = state["words"].tolist(), state["word_ends"].tolist()
        self._seen = {each: words[start:end] for each, start, end in zip(state["seen"].tolist(), [0, *ends], ends, strict=False)}
        memory = _unpack(state["memory"], state["memory_ends"])
        self._memory = dict(zip(memory, state["memory_template"].tolist(), strict=True))
        self._changed = {}


def mine(lines: pl.Series, **settings: int) -> pl.DataFrame:
    """Templates of a whole file at once; the order of its lines does not matter to what is found.

    Two passes over the distinct kinds of lines in alphabetic order: the first learns which places vary, the second reads
    every line with what is known at the end.

    Args:
        lines: String column, one row a line; other types are read as text, nulls as empty lines.
        settings: those of `TemplateMiner`.

    Returns:
        row (Int64, from 0), template_id (Int64), template (String), parameters (List of String): the variable parts in order.

    >>> mine(pl.Series(["took 12 ms", "took 7 ms"])).select("template", "parameters").rows()
    [('took <*> ms', ['12']), ('took <*> ms', ['7'])]
    """
    miner = TemplateMiner(**settings)
    text = lines.cast(pl.String).fill_null("")
    kinds = blur(text).unique().sort()
    miner.learn(kinds)
    miner.forget_lines()
    ids = miner.learn(text).ids
    named = miner.texts()
    table = pl.DataFrame({"row": pl.int_range(len(text), eager=True), "template_id": ids, "line": text})
    table = table.join(named, left_on="template_id", right_on="template", how="left", maintain_order="left").rename(
        {"text": "template"}
    )
    parts = [_parameters(part) for part in table.partition_by("template_id", maintain_order=True)]
    schema: Schema = {"row": pl.Int64, "template_id": pl.Int64, "template": pl.String, "parameters": pl.List(pl.String)}
    return pl.concat(parts).sort("row").select(list(schema)) if parts else pl.DataFrame(schema=schema)


def _parameters(rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` of one template with the texts that stand where it has wildcards."""
    constants = rows["template"][0].split(WILDCARD)
    variables = len(constants) - 1
    none = pl.lit([], dtype=pl.List(pl.String))
    if variables == 0:
        return rows.with_columns(none.alias("parameters"))
    body = "(.*?)".join(re.escape(part).replace("0", "[0-9]+") for part in constants)
    line = pl.col("line").str.head(MINED_CHARS).str.replace_all(ANSI, "").str.strip_chars().str.extract(r"^([^\r\n]*)", 1)
    groups = rows.select(line.str.extract_groups(f"^{body}$").alias("g")).unnest("g")
    texts = pl.concat_list(groups.columns)
    found = pl.when(pl.first().is_null()).then(none).otherwise(texts)
    return rows.with_columns(groups.select(found).to_series().alias("parameters"))


def _places(tokens: Sequence[str]) -> list[int]:
    """Where a word may turn out to vary: not what varies already, and not the only word of the line."""
    words = [place for place, token in enumerate(tokens) if token and token != _key(token) + WILDCARD]
    return words if sum(bool(_WORD.search(tokens[place])) for place in words) > 1 else []


def _key(token: str) -> str:
    """The constant part of `key=value`, empty for other words."""
    return token[: token.find("=") + 1]


def _context(tokens: Sequence[str], place: int) -> int:
    return template_id("\0".join((str(place), *tokens[:place], _key(tokens[place]), *tokens[place + 1 :])))


def _pack(texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    raw = [text.encode("utf-8", "surrogatepass") for text in texts]
    return np.frombuffer(b"".join(raw), dtype=np.uint8), np.cumsum([len(each) for each in raw], dtype=np.int64)


def _unpack(blob: np.ndarray, ends: np.ndarray) -> list[str]:
    raw, stops = blob.tobytes(), ends.tolist()
    return [raw[start:stop].decode("utf-8", "surrogatepass") for start, stop in zip([0, *stops], stops, strict=False)]
