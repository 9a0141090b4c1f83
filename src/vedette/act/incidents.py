"""Verdicts, log lines and events, folded into incidents beat by beat. Pure: the only "now" is the time of the beat."""

import msgspec
import numpy as np
import polars as pl

from vedette.act.cases import Cases
from vedette.act.incident import Incident
from vedette.act.known import Known
from vedette.act.memory import Memory
from vedette.act.settings import ActSettings
from vedette.act.watch import Watch
from vedette.core.catalogue import Catalogue
from vedette.core.types import State


class Incidents:
    """Implements `core.ports.Stateful`; `observe` is called once a beat.

    Args:
        settings: when something counts.
        catalogue: what is known of every series; only read.
        here: the name of this host, where only this host can send to us: what is at a loopback address is then at it.

    >>> from vedette.core.frames import EVENTS, LOGS, TEMPLATES, VERDICTS, empty
    >>> Incidents(ActSettings(), Catalogue()).observe(0, empty(VERDICTS), empty(LOGS), empty(EVENTS), empty(TEMPLATES))
    ()
    """

    def __init__(self, settings: ActSettings, catalogue: Catalogue, here: str = "") -> None:
        self._settings = settings
        self._known = Known(catalogue, settings, here)
        self._begin(Memory())

    def observe(
        self, at: int, verdicts: pl.DataFrame, logs: pl.DataFrame, events: pl.DataFrame, templates: pl.DataFrame
    ) -> tuple[Incident, ...]:
        """Take in one beat.

        Args:
            at: the time of the beat, UTC microseconds.
            verdicts: VERDICTS columns.
            logs: LOGS columns and `template`.
            events: EVENTS columns.
            templates: TEMPLATES columns, those that are new.

        Returns:
            The incidents that were opened, changed or closed, each as it is now; the oldest first.
        """
        self._watch.wake(at)
        if not logs.is_empty():
            self._watch.read(logs)
        if not events.is_empty():
            self._watch.hear(at, events)
        if not verdicts.is_empty():
            self._watch.score(at, verdicts, templates)
        if not self._memory.members:
            return ()
        self._watch.rest(at)
        touched, self._watch.touched = self._watch.touched, set()
        return tuple(sorted(self._cases.update(at, touched), key=lambda each: (each.started_at, each.id)))

    def state(self) -> State:
        """One array: the memory as the bytes of a JSON document."""
        return {"memory": np.frombuffer(msgspec.json.encode(self._memory), dtype=np.uint8)}

    def load(self, state: State) -> None:
        """Become exactly what `state` was taken from."""
        self._begin(msgspec.json.decode(state["memory"].tobytes(), type=Memory))

    def _begin(self, memory: Memory) -> None:
        self._memory = memory
        self._watch = Watch(memory, self._known, self._settings)
        self._cases = Cases(memory, self._known, self._settings)
