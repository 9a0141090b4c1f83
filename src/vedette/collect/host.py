"""This host, read from /proc, under the names the Prometheus node exporter made common."""

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, field_validator

from vedette.collect.processes import ProcessGroups
from vedette.collect.samples import Reading
from vedette.collect.series import SeriesTable
from vedette.core.errors import ConfigError, Transient
from vedette.core.ports import Clock
from vedette.core.settings import Settings
from vedette.core.types import Batch, Delivery, Position

MODES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
MEMORY: Final = frozenset(
    ("MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapTotal", "SwapFree", "Dirty", "Slab", "Committed_AS")
)
DISK: Final = (
    ("reads_completed_total", 3, 1.0),
    ("read_bytes_total", 5, 512.0),
    ("read_time_seconds_total", 6, 0.001),
    ("writes_completed_total", 7, 1.0),
    ("written_bytes_total", 9, 512.0),
    ("write_time_seconds_total", 10, 0.001),
    ("io_time_seconds_total", 12, 0.001),
)
NETWORK: Final = tuple(
    (f"node_network_{way}_{what}_total", first + column)
    for way, first in (("receive", 0), ("transmit", 8))
    for column, what in enumerate(("bytes", "packets", "errs", "drop"))
)
PAGING: Final = frozenset(("pgmajfault", "pswpin", "pswpout", "oom_kill"))
LOCAL: Final = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "vfat", "bcachefs", "overlay"))


class HostSettings(Settings):
    """What is read of this host, and how often.

    Attributes:
        interval: seconds between readings.
        process_interval: seconds between readings of the processes, the dearest part.
        process_groups: commands kept apart; the rest is the group `other`.
        exclude_devices: network devices and disks whose whole name matches are left out.
        proc: where the kernel's files are (`/host/proc` in a container that watches its host).
    """

    interval: Annotated[float, Field(gt=0)] = 10.0
    process_interval: Annotated[float, Field(gt=0)] = 30.0
    process_groups: Annotated[int, Field(ge=0)] = 30
    exclude_devices: str = r"lo|veth.*|z?ram\d+|loop\d+|fd\d+|(h|s|v|xv)d[a-z]+\d+|nvme\d+n\d+p\d+|mmcblk\d+p\d+"
    proc: Path = Path("/proc")

    @field_validator("exclude_devices")
    @classmethod
    def _pattern(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"expected a regular expression: {error}") from error
        return text


class HostSource:
    """CPU, memory, disks, network, load, pressure and processes of this host, each `interval`.

    There is no past to resume: `seek` only keeps times from running backwards.

    Args:
        settings: what is read.
        table: gives the series their identity.
        clock: UTC microseconds.
        name: the declared name of the source.
        host: the label `host`; this machine's name by default.

    Raises:
        ConfigError: the kernel's files are not there: this is no Linux, or they are mounted elsewhere.
    """

    def __init__(self, settings: HostSettings, table: SeriesTable, clock: Clock, name: str = "host", host: str = "") -> None:
        if not (settings.proc / "stat").is_file():
            where = f"sources.{name}.proc: {settings.proc / 'stat'} is not there"
            raise ConfigError([f"{where}; a host is read on Linux only: say where /proc is mounted, or leave this source out"])
        self._settings = settings
        self._clock = clock
        self._name = name
        self._reading = Reading(name, table, {"host": host or socket.gethostname()})
        self._excluded = re.compile(settings.exclude_devices)
        self._groups = ProcessGroups(settings.proc, settings.process_groups, os.sysconf("SC_PAGE_SIZE"))
        self._hertz = os.sysconf("SC_CLK_TCK")
        self._due = 0
        self._processes_due = 0
        self._after = 0

    def seek(self, position: Position) -> None:
        """Readings go on after the time of `position`."""
        self._after = position.offset

    def poll(self, limit: int) -> Batch[Delivery] | None:  # noqa: ARG002 -- a reading is one whole, and small
        """One reading when it is due.

        Raises:
            Transient: the kernel's files cannot be read.
        """
        now = self._clock()
        if now < self._due and self._due - now <= self._settings.interval * 1e6:
            return None
        if now <= self._after:
            return None
        step = int(self._settings.interval * 1e6)
        self._due = (now // step + 1) * step
        try:
            self._read(now)
        except OSError as error:
            raise Transient(f"source {self._name}: cannot read {self._settings.proc}: {error}", self._settings.interval) from error
        self._after = now
        return Batch(self._reading.take(now), Position(self._name, "0", now))

    def close(self) -> None:
        """Nothing is held open."""

    def _read(self, now: int) -> None:
        self._cpu()
        self._memory()
        self._load()
        self._disks()
        self._network()
        self._paging()
        self._pressure()
        self._filesystems()
        if now >= self._processes_due:
            self._processes_due = now + int(self._settings.process_interval * 1e6)
            self._processes()

    def _lines(self, path: str) -> list[str]:
        try:
            return (self._settings.proc / path).read_text("utf-8", "backslashreplace").splitlines()
        except FileNotFoundError:
            if path == "stat":
                raise
            return []  # an older kernel, or one built without it
        except OSError:
            if path.startswith("pressure/"):
                return []  # switched off at boot: the file is there, reading it is refused
            raise

    def _cpu(self) -> None:
        add = self._reading
        for line in self._lines("stat"):
            head, *fields = line.split()
            if head == "cpu":
                for mode, ticks in zip(MODES, fields, strict=False):
                    add.count("node_cpu_seconds_total", int(ticks) / self._hertz, "mode", mode, unit="seconds")
            elif head == "ctxt":
                add.count("node_context_switches_total", float(fields[0]))
            elif head == "processes":
                add.count("node_forks_total", float(fields[0]))
            elif head == "btime":
                add.add("node_boot_time_seconds", float(fields[0]), unit="seconds")
            elif head in {"procs_running", "procs_blocked"}:
                add.add(f"node_{head}", float(fields[0]))

    def _memory(self) -> None:
        for line in self._lines("meminfo"):
            name, _, rest = line.partition(":")
            if name in MEMORY:
                self._reading.add(f"node_memory_{name}_bytes", int(rest.split()[0]) * 1024.0, unit="bytes")

    def _load(self) -> None:
        for line in self._lines("loadavg"):
            for minutes, value in zip((1, 5, 15), line.split(), strict=False):
                self._reading.add(f"node_load{minutes}", float(value))

    def _disks(self) -> None:
        for line in self._lines("diskstats"):
            fields = line.split()
            if len(fields) < 13 or self._excluded.fullmatch(fields[2]):
                continue
            for name, column, scale in DISK:
                self._reading.count(f"node_disk_{name}", int(fields[column]) * scale, "device", fields[2])

    def _network(self) -> None:
        for line in self._lines("net/dev")[2:]:
            device, _, rest = line.partition(":")
            device, fields = device.strip(), rest.split()
            if len(fields) < 12 or self._excluded.fullmatch(device):
                continue
            for name, column in NETWORK:
                self._reading.count(name, float(fields[column]), "device", device)

    def _paging(self) -> None:
        for line in self._lines("vmstat"):
            name, _, value = line.partition(" ")
            if name in PAGING:
                self._reading.count(f"node_vmstat_{name}", float(value))

    def _pressure(self) -> None:
        for what in ("cpu", "memory", "io"):
            for line in self._lines(f"pressure/{what}"):
                kind, _, rest = line.partition(" ")
                if what == "cpu" and kind == "full":
                    continue  # always zero for a whole machine
                word = "waiting" if kind == "some" else "stalled"
                total = int(rest.rpartition("total=")[2]) / 1e6
                self._reading.count(f"node_pressure_{what}_{word}_seconds_total", total, unit="seconds")

    def _filesystems(self) -> None:
        seen = set()
        for line in self._lines("mounts"):
            device, mount, kind = line.split()[:3]
            if kind not in LOCAL or device in seen or (kind == "overlay" and mount != "/"):
                continue
            seen.add(device)
            try:
                stat = os.statvfs(mount.replace("\\040", " "))
            except OSError:  # not ours to look at
                continue
            for name, value in (
                ("size_bytes", stat.f_blocks * stat.f_frsize),
                ("avail_bytes", stat.f_bavail * stat.f_frsize),
                ("files_free", stat.f_ffree),
            ):
                self._reading.add(f"node_filesystem_{name}", float(value), "device", device, "mountpoint", mount)

    def _processes(self) -> None:
        for name, group in self._groups.read().items():
            pair = ("groupname", name)
            self._reading.add("namedprocess_namegroup_num_procs", group.count, *pair)
            self._reading.add("namedprocess_namegroup_num_threads", group.threads, *pair)
            self._reading.add("namedprocess_namegroup_memory_bytes", group.resident, *pair, "memtype", "resident", unit="bytes")
            self._reading.count("namedprocess_namegroup_cpu_seconds_total", group.ticks / self._hertz, *pair, unit="seconds")
