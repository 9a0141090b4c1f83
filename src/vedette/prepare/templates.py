"""Log templates, mined as lines come: which part of a line is constant, which varies.

Lines are blurred and hashed as columns (`masking`); lines whose hash is not remembered are masked and looked up by one
kernel (`tokens`). A word is variable where its context says so: once `distinct` different words have stood at one place of the
same line with all other words equal, that context is *open*, and whatever comes there is `<*>`. Words after a cue such
as `user` open sooner. A template keeps the identity it was born with (a hash of its first text) while its text
widens. Templates that turn out to be one end in the oldest of them, and `Mined.ended` says where their lines belong now.

Bounded in bytes: lines, contexts and texts have shares of `memory`. When there is no room for a template, those idle for
`idle` lines go, and where there are none a new kind of line is counted under the overflow template `<*>`, so that a flood never
drives out what is known. The same lines in the same batches always give the same ids.
"""

from hashlib import blake2b
from typing import Annotated, Final, NamedTuple

import numpy as np
import polars as pl
from pydantic import Field

from vedette.core.frames import AT, TEMPLATES, Schema, empty
from vedette.core.settings import Settings
from vedette.core.types import State
from vedette.prepare import tokens
from vedette.prepare.masking import WILDCARD, blur, first_line, mask, wildcards
from vedette.prepare.parameters import MINED, filled
from vedette.prepare.slots import Ints, Slots

#: Words after which a name follows.
CUES: Final = (
    "at", "by", "file", "for", "from", "host", "id", "in", "name", "node", "on", "service", "to", "unit", "user",
)  # fmt: skip
#: How often a whole file is read at most.
PASSES: Final = 8
_NAMED: Final[Schema] = {"template": pl.Int64, "text": pl.String}
_TOLD: Final[Schema] = {"template": pl.String, "template_id": pl.Int64}
_ENDED: Final[Schema] = {"template": pl.Int64, "into": pl.Int64}
#: Bytes of a place for a line, for an open context, for one with members, for a member; of a text beside its own bytes.
_LINE, _OPEN, _CONTEXT, _MEMBER, _TEXT = 20, 8, 9, 8, 512


class TemplateSettings(Settings):
    """How log templates are mined.

    Attributes:
        limit: templates known at once.
        idle: lines after which an unused template may make room for a new one.
        distinct: different words at one place that make it variable; `cued` the same after a cue word.
        memory: bytes that a miner may hold.
    """

    limit: Annotated[int, Field(gt=0, le=1_000_000)] = 20_000
    idle: Annotated[int, Field(gt=0)] = 2_000_000
    distinct: Annotated[int, Field(gt=1, le=100)] = 5
    cued: Annotated[int, Field(gt=1, le=100)] = 2
    memory: Annotated[int, Field(ge=1 << 16)] = 64 << 20


def template_id(text: str) -> int:
    """The signed 64-bit identity of a template: BLAKE2b with an 8-byte digest over its text at birth.

    >>> template_id("<*>") == OVERFLOW
    True
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


OVERFLOW: Final = template_id(WILDCARD)


class Mined(NamedTuple):
    """What `TemplateMiner.learn` answers.

    Attributes:
        ids: the template of each line, Int64, in the order of the lines.
        templates: TEMPLATES rows of templates that are new or whose text became wider (same id, new text).
        born: those of `templates` that are new.
        ended: template, into: templates known before that turned out to be one with another.
    """

    ids: pl.Series
    templates: pl.DataFrame
    born: pl.DataFrame
    ended: pl.DataFrame


class TemplateMiner:
    """Gives every line its template, learning as it goes (`core.ports.Stateful`).

    >>> miner = TemplateMiner()
    >>> mined = miner.learn(pl.Series(["took 12 ms", "took 7 ms", "done"]))
    >>> mined.ids.n_unique(), mined.templates["text"].to_list()
    (2, ['took <*> ms', 'done'])
    """

    def __init__(self, settings: TemplateSettings | None = None) -> None:
        self._settings = settings or TemplateSettings()
        self._words = tokens.words()
        self._cues = np.array([tokens.lower_of(cue.encode(), self._words) for cue in CUES], np.uint64)
        self._members = np.zeros(100, np.int64)
        self._clear()

    def _clear(self) -> None:
        share = self._settings.memory // 8
        rows = self._settings.limit + 1
        most = max(self._settings.distinct, self._settings.cued)
        self._room = 3 * share  # for texts
        self._most_lines = 1 << (share // _LINE).bit_length() - 1
        self._tables = tokens.tables(4 * rows, share // _OPEN, 3 * share // (_CONTEXT + _MEMBER * most), most)
        self._memory = _memory()
        self._opened = False  # a context in the lines being learnt
        self._lines = 0
        self._patient = 0  # count of lines before which none can be idle
        self._rows: dict[int, int] = {}  # id -> row, in the order of birth
        self._texts: dict[int, str] = {}  # row -> text
        self._ids = np.zeros(rows, np.int64)
        self._used = np.zeros(rows, np.int64)
        self._keys = np.zeros(rows, np.int64)
        self._free = list(range(rows - 1, 0, -1))
        self._bytes = 0
        self._changed: dict[int, bool] = {}  # rows new (true) or wider in the lines being learnt
        self._into: dict[int, int] = {}  # rows that ended in them
        self._ids[0] = OVERFLOW
        self._taken = 0  # places of the table of texts
        self._rebuild()

    @property
    def nbytes(self) -> int:
        """Bytes held, as far as they grow: arrays, and texts with what a dictionary needs for each."""
        memory = sum(column.nbytes for column in self._memory.column.values()) + 3 * self._memory.keys.nbytes
        rows = self._ids.nbytes + self._used.nbytes + self._keys.nbytes
        return sum(array.nbytes for array in self._tables) + rows + memory + self._bytes

    def texts(self) -> pl.DataFrame:
        """Every template known now: template, text."""
        texts = [self._texts[row] for row in self._rows.values()]
        return pl.DataFrame({"template": list(self._rows), "text": texts}, schema=_NAMED)

    def __len__(self) -> int:
        return len(self._rows)

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
        self._changed, self._into, self._opened = {}, {}, False
        rows = self._resolve(kinds)
        if not rows.all():
            self._make_room()
        kind = pl.DataFrame({"line": kinds, "template": self._ids[rows]})
        ids = blurred.to_frame("line").join(kind, on="line", how="left", maintain_order="left").get_column("template")
        changed = self._announce(ids, at, series)
        return Mined(ids, changed, changed.filter(pl.Series(self._changed.values(), dtype=pl.Boolean)), self._end())

    def _resolve(self, kinds: pl.Series) -> Ints:
        """The row of each distinct blurred line; lines not remembered are masked and walked."""
        hashes = kinds.hash().to_numpy().view(np.int64)
        places = self._memory.find(hashes)
        fresh = np.flatnonzero(places < 0)
        rows = self._memory.column["row"][places].astype(np.int64)
        self._used[rows[places >= 0]] = self._lines
        if len(fresh):
            patterns = wildcards(mask(kinds.gather(fresh)))
            distinct = patterns.unique(maintain_order=True)
            found = pl.DataFrame({"pattern": distinct, "row": self._walk(distinct)})
            every = patterns.to_frame("pattern").join(found, on="pattern", how="left", maintain_order="left")
            rows[fresh] = every["row"].to_numpy()
        if self._opened:
            self._memory = _memory()
            return self._chased(rows)
        self._remember(hashes[fresh], rows[fresh])
        return rows

    def _remember(self, hashes: Ints, rows: Ints) -> None:
        """Keep the rows of lines until a context is opened; those that went to the overflow may find room later."""
        hashes, first = np.unique(hashes[rows > 0], return_index=True)
        rows = rows[rows > 0][first][: self._most_lines]
        if len(self._memory) + len(rows) > self._most_lines:
            self._memory = _memory()
        begin = len(self._memory)
        self._memory.add(hashes[: self._most_lines])
        self._memory.column["row"][begin : len(self._memory)] = rows

    def _walk(self, patterns: pl.Series) -> Ints:
        """The row of each masked line; what is not known is learnt, one line after the other."""
        text, ends = _pack(patterns)
        rows = np.zeros(len(patterns), np.int64)
        begin, event = 0, tokens.NEW
        while event != tokens.DONE:
            event, begin, members = tokens.walk(
                text, ends, begin, self._tables, self._cues, self._settings.distinct, self._settings.cued, self._has_room(),
                self._words, rows, self._used, self._lines, self._members,
            )  # fmt: skip
            if event == tokens.NEW:
                self._add(patterns[begin])
            elif event == tokens.WIDEN:
                self._widen(text[ends[begin - 1] if begin else 0 : ends[begin]], patterns[begin], int(members))
        if not rows.all():
            self._overflow()
        return rows

    def _key(self, text: str) -> np.int64:
        """The key of a whole text; the words of the line in hand are gone then."""
        return np.int64(tokens.key_of(np.frombuffer(text.encode(), np.uint8), self._words))

    def _canonical(self, pattern: str) -> str:
        """`pattern` with a wildcard at each place that varies, as the kernel has just found."""
        parts = pattern.split(" ", tokens.TOKENS)
        varies = self._words.varies
        return " ".join(_constant(part) + WILDCARD if part and varies[place] else part for place, part in enumerate(parts))

    def _add(self, pattern: str) -> None:
        """A new template; the text of the pattern in hand is not known, and there is room."""
        text = self._canonical(pattern)
        identity = template_id(text)
        while identity in self._rows:  # one of this text at birth has become wider since
            identity += 1
        row = self._free.pop()
        self._rows[identity], self._ids[row] = row, identity
        self._used[row] = self._lines
        self._write(row, text)

    def _write(self, row: int, text: str) -> None:
        """Let `row` have `text`."""
        self._bytes += len(text.encode()) + _TEXT - (len(self._texts[row].encode()) + _TEXT if row in self._texts else 0)
        known = row in self._texts
        if known:
            tokens.keep(self._tables, self._keys[row], -1)
        self._texts[row] = text
        self._keys[row] = self._key(text)
        self._taken += tokens.keep(self._tables, self._keys[row], row)
        self._changed.setdefault(row, not known)
        if 2 * self._taken > len(self._tables.texts):
            self._rebuild()

    def _rebuild(self) -> None:
        """Let go of the texts that are gone."""
        self._tables.texts[:], self._tables.rows[:] = 0, -1
        self._taken = len(self._texts) + 1
        tokens.keep(self._tables, self._key(WILDCARD), 0)
        for row in self._texts:
            if row:
                tokens.keep(self._tables, self._keys[row], row)

    def _widen(self, line: np.ndarray, pattern: str, members: int) -> None:
        """One template for all that differ in one word only; and again where that is one of many which do."""
        self._opened = True
        settings = self._settings
        while members:
            rows = [row for row in map(self._row, self._members[:members]) if row > 0]
            key, number = tokens.again(line, 0, len(line), self._words, self._tables.opened)
            kept = self._row(key)
            members = 0
            if kept < 0 and rows:
                kept, text = rows[0], self._canonical(pattern)
                members = int(
                    tokens.weigh(self._words, number, self._tables, self._cues, settings.distinct, settings.cued, self._members)
                )
                self._write(kept, text)
            for row in rows:
                if row != kept:
                    self._into[row] = kept
                    self._forget(row)

    def _row(self, key: np.int64) -> int:
        return int(tokens.row_of(self._tables, key))

    def _forget(self, row: int) -> None:
        """The template of `row` is gone; the row itself is free once the lines in hand are done with it."""
        tokens.keep(self._tables, self._keys[row], -1)
        self._bytes -= len(self._texts.pop(row).encode()) + _TEXT
        self._changed.pop(row, None)
        del self._rows[int(self._ids[row])]

    def _chased(self, rows: Ints) -> Ints:
        """`rows` with those that ended as what they ended in."""
        final = np.arange(len(self._ids))
        for row, into in reversed(self._into.items()):
            final[row] = final[into]
        return final[rows]

    def _overflow(self) -> None:
        if OVERFLOW not in self._rows:
            self._rows[OVERFLOW], self._texts[0] = 0, WILDCARD
            self._changed[0] = True

    def _has_room(self) -> bool:
        """Whether there is room for one more template."""
        return bool(self._free) and self._bytes < self._room

    def _make_room(self) -> None:
        """Forget templates that were not used for `idle` lines; looked for only when there may be one.

        Only between batches: within one, lines that are remembered have been used before those that are walked.
        """
        if self._lines <= self._patient:
            return
        rows = np.array([row for row in self._rows.values() if row], np.int64)
        idle = rows[self._used[rows] < self._lines - self._settings.idle]
        if not len(idle):
            self._patient = int(self._used[rows].min()) + self._settings.idle if len(rows) else self._lines
            return
        for row in idle.tolist():
            self._forget(row)
        self._free.extend(idle[::-1].tolist())
        self._memory = _memory()

    def _end(self) -> pl.DataFrame:
        """What ended in the lines just learnt; its rows are free again."""
        if not self._into:
            return empty(_ENDED)
        ended = np.array(list(self._into), np.int64)
        frame = pl.DataFrame({"template": self._ids[ended], "into": self._ids[self._chased(ended)]}, schema=_ENDED)
        self._free.extend(self._into)
        return frame

    def _announce(self, ids: pl.Series, at: pl.Series | None, series: pl.Series | None) -> pl.DataFrame:
        if not self._changed:
            return empty(TEMPLATES)
        rows = pl.DataFrame(
            {
                "template": ids,
                "first_seen": pl.Series([None] * len(ids), dtype=AT) if at is None else at.cast(AT),
                "series": pl.Series([None] * len(ids), dtype=pl.Int64) if series is None else series,
            }
        )
        columns = {"template": self._ids[list(self._changed)], "text": [self._texts[row] for row in self._changed]}
        named = pl.DataFrame(columns, schema=_NAMED)
        mine = rows.join(named, on="template", how="semi")
        first = mine.group_by("template", maintain_order=True).agg(pl.col("first_seen").min(), pl.col("series").first())
        return named.join(first, on="template", how="left", maintain_order="left").select(list(TEMPLATES))

    def state(self) -> State:
        """Plain arrays: texts as bytes with offsets, in the order of birth, and contexts. Lines are only remembered to be quick."""
        rows = np.fromiter(self._rows.values(), np.int64, len(self._rows))
        texts, text_ends = _pack(pl.Series([self._texts[row] for row in rows.tolist()], dtype=pl.String))
        known = self._tables
        opened = [np.sort(keys[keys != 0]) for keys in (known.opened[place] for place in _generations(known.young[0]))]
        seen, count, members = zip(*(_seen(known, place) for place in _generations(known.young[1])), strict=True)
        return {
            "lines": np.array([self._lines, self._patient], dtype=np.int64),
            "template": self._ids[rows],
            "used": self._used[rows],
            "texts": texts,
            "text_ends": text_ends,
            "open": np.concatenate(opened),
            "seen": np.concatenate(seen),
            "count": np.concatenate(count),
            "members": np.concatenate(members),
            "young": np.array([len(opened[1]), len(seen[1])], np.int64),
        }

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._clear()
        self._lines, self._patient = state["lines"].tolist()
        known = self._tables
        for table, name, keys in ((0, "open", known.opened), (1, "seen", known.seen)):
            old = len(state[name]) - int(state["young"][table])
            for generation, part in enumerate((slice(None, old), slice(old, None))):
                known.young[table] = generation, 0
                places = np.zeros(len(state[name][part]), np.int64)
                tokens.add_all(keys, known.young[table], state[name][part], places)
                if table:
                    known.held[generation, places] = state["count"][part]
                    known.members[generation, places] = state["members"][part]
        for identity, used, text in zip(
            state["template"].tolist(), state["used"].tolist(), _unpack(state["texts"], state["text_ends"]), strict=True
        ):
            if identity == OVERFLOW:
                self._overflow()
                self._used[0] = used
                continue
            row = self._free.pop()
            self._rows[identity], self._ids[row], self._used[row] = row, identity, used
            self._write(row, text)
        self._changed = {}


def mine(lines: pl.Series, settings: TemplateSettings | None = None) -> pl.DataFrame:
    """Templates of a whole file at once; the order of its lines does not matter to what is found.

    The distinct kinds of lines are learnt in alphabetic order, again and again until nothing changes. Digits at the end of
    a word that are the same in all lines of a template (`ssh2`) go back into its text. The id is that of the text found.

    Args:
        lines: String column, one row a line; other types are read as text, nulls as empty lines.
        settings: those of the miner.

    Returns:
        row (Int64, from 0), template_id (Int64), template (String), parameters (List of String): the variable parts in order,
        types (List of String): what each of them is by its form, one of `masking.KINDS`, `word`, or `text` (with blanks).

    >>> mine(pl.Series(["took 12 ms", "took 7 ms"])).select("template", "parameters").rows()
    [('took <*> ms', ['12']), ('took <*> ms', ['7'])]
    """
    miner = TemplateMiner(settings)
    text = lines.cast(pl.String).fill_null("")
    blurred = blur(text)
    kinds = blurred.unique().sort()
    mined = miner.learn(kinds)
    for _ in range(PASSES):
        if mined.templates.is_empty():
            break
        mined = miner.learn(kinds)
    named = pl.DataFrame({"kind": kinds, "template_id": mined.ids}).join(
        miner.texts().rename({"template": "template_id", "text": "template"}), on="template_id", how="left"
    )
    table = pl.DataFrame({"row": pl.int_range(len(text), eager=True), "kind": blurred, "line": first_line(text)})
    found = filled(table.join(named, on="kind", how="left", maintain_order="left").drop("kind")).sort("row")
    texts = found["template"].unique()
    ids = pl.DataFrame({"template": texts, "template_id": list(map(template_id, texts))}, schema=_TOLD)
    return found.drop("template_id").join(ids, on="template", how="left", maintain_order="left").select(list(MINED))


def _memory() -> Slots:
    """Rows of lines by the hash of the line."""
    return Slots({"row": (np.int32, 0)})


def _constant(word: str) -> str:
    """The constant part of `key=value`, empty for other words."""
    return word[: word.find("=") + 1]


def _generations(young: Ints) -> tuple[int, int]:
    return 1 - int(young[0]), int(young[0])


def _seen(known: tokens.Tables, generation: int) -> tuple[Ints, np.ndarray, Ints]:
    """Contexts of a generation with what was seen in them, in the order of their keys."""
    places = np.flatnonzero(known.seen[generation])
    places = places[np.argsort(known.seen[generation][places])]
    count = known.held[generation][places]
    members = known.members[generation][places]
    return known.seen[generation][places], count, np.where(np.arange(members.shape[1]) < count[:, None], members, 0)


def _pack(texts: pl.Series) -> tuple[np.ndarray, Ints]:
    """The bytes of all texts, and where each ends."""
    ends = np.cumsum(texts.str.len_bytes().to_numpy(), dtype=np.int64)
    return np.frombuffer((texts.str.join("").item() or "").encode(), np.uint8), ends


def _unpack(blob: np.ndarray, ends: Ints) -> list[str]:
    raw, stops = blob.tobytes(), ends.tolist()
    return [raw[start:stop].decode() for start, stop in zip([0, *stops], stops, strict=False)]
