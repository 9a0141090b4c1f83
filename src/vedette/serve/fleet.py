"""The versions that score metrics: a lane a model, in it the champion and perhaps another version beside it.

The champion of a lane speaks for its series. Beside it a candidate scores in the shadow, or as canary speaks for a share of the
series; or the champion is new, and its predecessor scores in the shadow. What both say of the same points is summed up. Series that
no model was declared for are in the first lane, with the detector as it is shipped.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import msgspec
import numpy as np
import polars as pl

from vedette.core.arrays import part
from vedette.core.errors import Rejected
from vedette.core.frames import VERDICTS, conform
from vedette.core.types import State
from vedette.serve.scorer import Detector
from vedette.serve.side import Tally

Array = np.ndarray[Any, Any]
Parameters = Mapping[str, Any]
#: Builds a detector that has seen nothing, from its parameters.
Build = Callable[[Parameters], Detector]
_ROLES: Final = ("champion", "other")
#: Points that a version that judges would not find equally odd to the last digit.
SAME: Final = 8
#: What a version that is broken may raise; it costs the version its place, not the stream a beat.
_FAULTS: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError, pl.exceptions.PolarsError)


@dataclass(frozen=True, slots=True)
class Seat:
    """A version in a lane: 0 is the detector as it is shipped."""

    version: int
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Plan:
    """Who sits in a lane: the champion, another version beside it or none, and the share of series that the other speaks for."""

    model: str
    champion: Seat
    other: Seat | None = None
    share: float = 0.0
    stage: str = ""


class Lane:
    """One model's versions.

    Args:
        plan: who sits in it.
        build: makes a detector.
        timer: seconds, for how long an answer takes.
    """

    def __init__(self, plan: Plan, build: Build, timer: Callable[[], float]) -> None:
        self.plan = plan
        self._build = build
        self._timer = timer
        self.champion = build(plan.champion.parameters)
        self.other = build(plan.other.parameters) if plan.other else None
        self.own, self.beside = Tally(), Tally()

    def change(self, plan: Plan, learnt: Callable[[Seat], State | None]) -> Self:
        """The lane as `plan` has it, without losing what is known of a series.

        A version that sat in the lane keeps its memory. One that is new begins with that of the champion, which has seen every
        point up to now, where the two keep the same kind of memory; `learnt` gives what it has learnt in training, for the series
        that nobody here has seen.
        """
        seats = {}
        if plan.model == self.plan.model:
            seats = {self.plan.champion.version: self.champion}
            if self.plan.other and self.other:
                seats[self.plan.other.version] = self.other
        fresh = type(self)(plan, self._build, self._timer)
        fresh.champion = seats.get(plan.champion.version) or self._seated(plan.champion, learnt)
        if plan.other:
            fresh.other = seats.get(plan.other.version) or self._seated(plan.other, learnt)
        return fresh

    def _seated(self, seat: Seat, learnt: Callable[[Seat], State | None]) -> Detector:
        made = self._build(seat.parameters)
        live = {name: array.copy() for name, array in self.champion.state().items()}
        trained = learnt(seat)
        made.load(joined(live, trained) if trained else live)
        return made

    def score(self, frame: pl.DataFrame, at: int) -> pl.DataFrame:
        """POINTS of the lane's series -> VERDICTS of who speaks for each; who says no number there is not heard."""
        if self.other is None or self.plan.other is None or frame.is_empty():
            return self._timed(self.champion, self.plan.champion, frame, at)[0]
        try:
            said, seconds = self._timed(self.champion, self.plan.champion, frame, at)
        except _FAULTS:
            self.beside.fail(frame.height)
            return self._timed(self.other, self.plan.other, frame, at)[0]
        try:
            others, other_seconds = self._timed(self.other, self.plan.other, frame, at)
        except _FAULTS:
            self.own.fail(frame.height)
            return said
        widths = np.abs((said["yhat_upper"] - said["yhat_lower"]).to_numpy()) / 2
        widths = np.where(widths > 0, widths, np.nan)
        self.own.add(others, widths, other_seconds)
        self.beside.add(said, widths, seconds)
        # The lanes' hash must not be that of the slots, or a canary would be a tenth of the memory, not of the series.
        mine = speaks(frame["series"].to_numpy(), self.plan.share)
        theirs, ours = _judged(said), _judged(others)
        mine &= ours.fill_null(value=False).to_numpy()
        mine |= (~theirs.fill_null(value=True) & ours.fill_null(value=True)).to_numpy()
        if not mine.any():
            return said
        return pl.select(
            *(
                pl.when(pl.lit(pl.Series(mine))).then(pl.lit(others[name])).otherwise(pl.lit(said[name])).alias(name)
                for name in VERDICTS
            )
        )

    def _timed(self, detector: Detector, seat: Seat, frame: pl.DataFrame, at: int) -> tuple[pl.DataFrame, float]:
        begun = self._timer()
        said = conform(detector.score(frame, at), VERDICTS)
        seconds = self._timer() - begun
        if not said["series"].equals(frame["series"]):
            raise ValueError(f"{self.plan.model}@{seat.version} answered for other points than it was asked for")
        if self.plan.model:
            said = said.with_columns(model=pl.lit(self.plan.model), version=pl.lit(str(seat.version)))
        return said, seconds


class Fleet:
    """All lanes behind the one call of a detector.

    Args:
        build: makes a detector from parameters.
        lane_of: which lane each series belongs to: names of models, "" for none; called once a series that is new.
        timer: seconds.
        usual: parameters of the detector as it is shipped.
    """

    def __init__(
        self,
        build: Build,
        lane_of: Callable[[Sequence[int]], Sequence[str]],
        timer: Callable[[], float],
        usual: Parameters | None = None,
    ) -> None:
        self._build = build
        self._lane_of = lane_of
        self._timer = timer
        self._usual = Seat(0, dict(usual or {}))
        self.lanes: dict[str, Lane] = {"": Lane(Plan("", self._usual), build, timer)}
        self.forget()

    def forget(self) -> None:
        """Ask again whose each series is."""
        self._known: Array = np.zeros(0, np.int64)
        self._of: Array = np.zeros(0, np.int32)

    def plan(self, plans: Sequence[Plan], learnt: Callable[[str, Seat], State | None]) -> None:
        """Seat the versions as `plans` have it; a lane that is not named any more falls back to the shipped detector.

        What only that lane knows of a series is not lost: the first one takes it in.
        """
        wanted = {plan.model: plan for plan in plans}
        for model in [each for each in self.lanes if each and each not in wanted]:
            shipped = self.lanes[""].champion
            shipped.load(joined(shipped.state(), self.lanes.pop(model).champion.state()))
        for model, plan in wanted.items():
            # A lane that is new begins with what the first one knows of its series.
            lane = self.lanes.get(model) or self.lanes[""]
            if lane.plan != plan:
                self.lanes[model] = lane.change(plan, lambda seat, model=model: learnt(model, seat))  # type: ignore[misc]
        self.forget()

    def trial(self, parameters: Parameters, learnt: State) -> None:
        """Make a detector and let it go.

        Raises:
            Rejected: none can be made of that.
        """
        try:
            joined(self._build(parameters).state(), learnt)
            self._build(parameters).load({name: array.copy() for name, array in learnt.items()})
        except _FAULTS as error:
            raise Rejected(f"no detector can be made of it ({type(error).__name__}: {error})") from error

    def score(self, frame: pl.DataFrame, at: int) -> pl.DataFrame:
        """POINTS sorted by (series, at) -> VERDICTS, one row a row."""
        if len(self.lanes) == 1:
            return self.lanes[""].score(frame, at)
        lanes = list(self.lanes)
        of = self._lanes(frame["series"].to_numpy(), lanes)
        parts, rows = [], []
        for place, name in enumerate(lanes):
            mine = np.flatnonzero(of == place)
            if len(mine):
                parts.append(self.lanes[name].score(frame[mine], at))
                rows.append(mine)
        if not parts:
            return self.lanes[""].score(frame, at)
        return pl.concat(parts)[np.argsort(np.concatenate(rows), kind="stable")] if len(parts) > 1 else parts[0]

    def learning(self, at: int) -> tuple[int, int, str]:
        """Series known, those without a score yet, and why, over all lanes."""
        told = [lane.champion.learning(at) for lane in self.lanes.values()]
        return sum(each[0] for each in told), sum(each[1] for each in told), told[0][2]

    def state(self) -> State:
        """Who sits where, as JSON, and the memory of each."""
        arrays: dict[str, Array] = {}
        for place, lane in enumerate(self.lanes.values()):
            for role, detector in zip(_ROLES, (lane.champion, lane.other), strict=True):
                if detector is not None:
                    arrays |= {f"{place}/{role}/{key}": array for key, array in detector.state().items()}
            for name, tally in (("own", lane.own), ("beside", lane.beside)):
                arrays |= {f"{place}/{name}/sums": tally.sums, f"{place}/{name}/odd": tally.odd}
        plans = [asdict(lane.plan) for lane in self.lanes.values()]
        return arrays | {"plans": np.frombuffer(msgspec.json.encode(plans), np.uint8)}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from; that of a release without lanes is the memory of the first."""
        if "plans" not in state:
            self.lanes[""].champion.load(state)
            return
        self.lanes = {}
        for place, plan in enumerate(msgspec.json.decode(state["plans"].tobytes(), type=list[Plan])):
            lane = self.lanes[plan.model] = Lane(plan, self._build, self._timer)
            for role, detector in zip(_ROLES, (lane.champion, lane.other), strict=True):
                if detector is not None:
                    detector.load(part(state, f"{place}/{role}"))
            for name, tally in (("own", lane.own), ("beside", lane.beside)):
                tally.sums, tally.odd = state[f"{place}/{name}/sums"].copy(), state[f"{place}/{name}/odd"].copy()
        self.forget()

    def _lanes(self, series: Array, lanes: Sequence[str]) -> Array:
        """The place of each series' lane; those that are new are asked for once."""
        distinct = np.unique(series)
        fresh = np.setdiff1d(distinct, self._known, assume_unique=True)
        if len(fresh):
            named = self._lane_of([int(each) for each in fresh])
            places = np.array([lanes.index(name) if name in lanes else 0 for name in named], np.int32)
            known = np.concatenate((self._known, fresh))
            order = np.argsort(known)
            self._known, self._of = known[order], np.concatenate((self._of, places))[order]
        return self._of[np.searchsorted(self._known, series)]


def _judged(said: pl.DataFrame) -> pl.Series:
    """Which scores are a judgement: those that are numbers, and null for none; where all are one odd number, none of them is.

    >>> stuck, fine = ([7.0] * SAME, [7.0, None])
    >>> _judged(pl.DataFrame({"anomaly_score": stuck})).any(), _judged(pl.DataFrame({"anomaly_score": fine})).to_list()
    (False, [True, None])
    """
    scores = said["anomaly_score"]
    known = scores.is_finite()
    return known & False if known.sum() >= SAME and 1.0 < scores.min() == scores.max() else known  # type: ignore[operator]


def speaks(series: Array, share: float) -> Array:
    """Whether a canary of that share speaks for each series; a larger share takes all of a smaller one in.

    >>> ids = np.arange(10_000)
    >>> bool(abs(speaks(ids, 0.1).mean() - 0.1) < 0.02), bool(speaks(ids, 0.5)[speaks(ids, 0.1)].all())
    (True, True)
    """
    mixed = series.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x7FB5D329728EA185)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x81DADEF4BC2DD44D)
    chosen: Array = (mixed >> np.uint64(40)).astype(np.float64) / float(1 << 24) < share
    return chosen


def joined(live: State, trained: State) -> dict[str, Array]:
    """Rows of `trained` for the series that `live` does not hold, behind those that it does; `ids` name the rows."""
    unseen = np.flatnonzero(~np.isin(trained["ids"], live["ids"]))
    unseen = unseen[~np.isin(unseen, trained["free"])]
    rows = {name: np.concatenate((array, trained[name][unseen])) for name, array in live.items() if name != "free"}
    return rows | {"free": live["free"]}
