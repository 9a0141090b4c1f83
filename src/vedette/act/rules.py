"""What counts for which series: direction, least deviation, whether silence matters. The first rule that matches a series wins."""

from typing import Annotated, Final, Literal

from pydantic import Field

from vedette.core.selection import Selection

Direction = Literal["up", "down", "both", "none"]


class Rule(Selection):
    """What an odd value of some series must be to count.

    Attributes:
        name, labels: which series; see `Selection`.
        direction: which side of what was expected counts; `none` never counts.
        min_absolute: least distance from what was expected, in the unit of the series (rates: a second).
        min_relative: the same, as a share of what was expected.
        silence: whether falling silent counts.
        settles: whether a level that the model has got used to ends the incident.
        points: odd points in a row that suffice, whatever the general settings: for series that are zero but when it matters.
        weight: how much it says: the heavier, the sooner it is an incident alone; the title is about the heaviest.

    >>> Rule(name="node_cpu_.*", labels={"mode": "idle"}).takes("node_cpu_seconds_total", {"mode": "idle"})
    True
    """

    direction: Direction = "both"
    min_absolute: Annotated[float, Field(ge=0)] = 0.0
    min_relative: Annotated[float, Field(ge=0)] = 0.1
    silence: bool = True
    settles: bool = True
    points: Annotated[int, Field(gt=0)] | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0

    def counts(self, value: float, expected: float) -> bool:
        """Whether `value` is far enough on the right side of `expected`.

        >>> Rule(direction="down", min_absolute=5).counts(90.0, 100.0), Rule(direction="down").counts(110.0, 100.0)
        (True, False)
        """
        off = value - expected
        if self.direction == "none" or (self.direction == "up" and off < 0) or (self.direction == "down" and off > 0):
            return False
        return abs(off) >= max(self.min_absolute, self.min_relative * abs(expected))


#: What experience says of well-known names. A rule of the user's comes before all of them.
KNOWN: Final[tuple[Rule, ...]] = (
    # What we say of ourselves moves when we do; the alert rules that are shipped watch over it.
    Rule(name="vedette_.*", direction="none", silence=False),
    Rule(name="up", direction="down", min_absolute=0.5, points=2, settles=False, weight=5),
    Rule(name="probe_success", direction="down", min_absolute=0.5, points=2, settles=False, weight=5),
    Rule(name="log_template_lines", direction="up", min_absolute=5, min_relative=1.0, silence=False, weight=0.8),
    Rule(
        name="log_severity_lines", labels={"severity": "error|fatal"}, direction="up", min_absolute=10, min_relative=1.0,
        points=1, silence=False, weight=1.5,
    ),
    Rule(name="log_severity_lines", labels={"severity": "warn"}, direction="up", min_absolute=10, min_relative=1.0, silence=False),
    Rule(name="log_severity_lines", min_absolute=20, min_relative=1.0, silence=False, weight=0.5),
    Rule(name="node_cpu_seconds_total", labels={"mode": "idle"}, direction="down", min_absolute=0.15, weight=2),
    Rule(name="node_cpu_seconds_total", direction="up", min_absolute=0.15, weight=3),
    Rule(name="node_load.*", direction="up", min_absolute=1.0, min_relative=0.5),
    Rule(name="node_pressure_.*", direction="up", min_absolute=0.1, min_relative=0.5, weight=1.5),
    Rule(name="node_procs_blocked", direction="up", min_absolute=2, min_relative=0.5),
    Rule(name="node_memory_(MemAvailable|SwapFree)_bytes", direction="down", min_relative=0.2, weight=2),
    Rule(name="node_vmstat_oom_kill", direction="up", points=1, weight=3),
    Rule(name="node_filesystem_(avail|free)_bytes|node_filesystem_files_free", direction="down", weight=2),
    Rule(name="node_disk_io_time_seconds_total", direction="up", min_absolute=0.3, min_relative=0.5),
    Rule(name="node_network_.*_(errs|drop)_total", direction="up", min_absolute=1, min_relative=1.0),
    Rule(name="node_network_.*_bytes_total", min_absolute=50_000, min_relative=0.5, weight=0.5),
    # The rest of a host moves whenever anything is done on it: it explains, and is hardly ever the trouble itself.
    Rule(name="node_memory_.*", min_relative=0.3, min_absolute=1 << 26, weight=0.3),
    Rule(name="node_(vmstat|disk|network)_.*", direction="up", min_absolute=1, min_relative=1.0, weight=0.3),
    Rule(name="node_.*", direction="up", min_relative=0.5, weight=0.3),
    Rule(name="namedprocess_namegroup_cpu_seconds_total", direction="up", min_absolute=0.15, silence=False, weight=1.5),
    Rule(name="namedprocess_.*", direction="up", min_absolute=2, min_relative=0.5, silence=False, weight=0.7),
    Rule(name="(go|process|python|jvm|promhttp|scrape|prometheus)_.*", min_relative=0.5, silence=False, weight=0.3),
    Rule(),
)  # fmt: skip
