"""Processes by the name of their command, from /proc, as bounded groups whose CPU time never runs backwards."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Group:
    """Processes of one name: how many, their resident bytes, threads, and CPU ticks used since we watch."""

    count: int = 0
    resident: int = 0
    threads: int = 0
    ticks: int = 0


class ProcessGroups:
    """At most `limit` groups and `other`. A group keeps its place while a process of its name lives.

    CPU time adds up the growth seen between readings, so that a process that ends takes nothing away.
    """

    def __init__(self, proc: Path, limit: int, page: int) -> None:
        self._proc = proc
        self._limit = limit
        self._page = page
        self._ticks: dict[tuple[str, str], int] = {}
        self._groups: dict[str, Group] = {}

    def read(self) -> dict[str, Group]:
        """The groups now."""
        found = list(self._stats())
        self._admit(found)
        for group in self._groups.values():
            group.count = group.resident = group.threads = 0
        ticks: dict[tuple[str, str], int] = {}
        for pid, name, fields in found:
            used = int(fields[11]) + int(fields[12])
            key = (pid, fields[19])
            ticks[key] = used
            group = self._groups[name if name in self._groups else "other"]
            group.count += 1
            group.threads += int(fields[17])
            group.resident += int(fields[21]) * self._page
            group.ticks += max(0, used - self._ticks.get(key, used if not self._ticks else 0))
        self._ticks = ticks
        return self._groups

    def _admit(self, found: list[tuple[str, str, list[str]]]) -> None:
        weight: dict[str, int] = {}
        for _, name, fields in found:
            weight[name] = weight.get(name, 0) + int(fields[21]) + int(fields[11]) + int(fields[12])
        for gone in [name for name in self._groups if name not in weight and name != "other"]:
            del self._groups[gone]
        self._groups.setdefault("other", Group())
        for name in sorted(weight, key=lambda each: (-weight[each], each)):
            if len(self._groups) > self._limit:
                return
            self._groups.setdefault(name, Group())

    def _stats(self) -> list[tuple[str, str, list[str]]]:
        """(pid, command, the fields after the command) of every process that can be read."""
        rows = []
        for entry in self._proc.iterdir():
            if not entry.name.isdigit():
                continue
            try:
                text = (entry / "stat").read_text("utf-8", "backslashreplace")
            except OSError:  # it ended between the listing and the reading
                continue
            head, _, tail = text.rpartition(")")
            fields = tail.split()
            if len(fields) > 21:
                rows.append((entry.name, _command(head.partition("(")[2], fields), fields))
        return rows


def _command(name: str, fields: list[str]) -> str:
    """The name to group by; a thread of the kernel (it has no memory of its own) says behind a slash what it does just now.

    >>> _command("kworker/0:1-events", ["0"] * 22), _command("php/fpm", ["0"] * 20 + ["4096", "1"])
    ('kworker', 'php/fpm')
    """
    return name.partition("/")[0] if fields[20] == "0" else name
