from pathlib import Path

import pytest

from vedette.collect.host import HostSettings, HostSource
from vedette.collect.series import SeriesTable
from vedette.core.errors import Transient
from vedette.core.types import Delivery

SECOND = 1_000_000
STAT = "(my app) S 1 1 1 0 -1 0 0 0 0 0 {user} {system} 0 0 20 0 3 0 77 1000 {pages} 0"


def process(proc: Path, pid: int, name: str, user: int) -> None:
    folder = proc / str(pid)
    folder.mkdir(exist_ok=True)
    (folder / "stat").write_text(f"{pid} " + STAT.replace("my app", name).format(user=user, system=0, pages=10))


def little_proc(folder: Path) -> Path:
    (folder / "net").mkdir()
    (folder / "pressure").mkdir()
    (folder / "stat").write_text("cpu  100 0 50 800 7 0 0 0 0 0\ncpu0 1 1 1 1\nctxt 12\nbtime 5\nprocs_running 2\n")
    (folder / "meminfo").write_text("MemTotal: 10 kB\nMemAvailable: 4 kB\nHugePages_Free: 0\n")
    (folder / "loadavg").write_text("0.50 0.25 0.10 1/100 4\n")
    (folder / "diskstats").write_text(" 8 0 sda 1 0 2 30 4 0 6 70 0 90 0\n 8 1 sda1 1 0 2 30 4 0 6 70 0 90 0\n")
    (folder / "net/dev").write_text("a\nb\n eth0: 11 2 0 0 0 0 0 0 22 3 0 1 0 0 0 0\n lo: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n")
    (folder / "pressure/cpu").write_text("some avg10=0 total=2500000\nfull avg10=0 total=0\n")
    process(folder, 10, "my app", 100)
    return folder


class Names(SeriesTable):
    """Remembers what each series was called."""

    def __init__(self):
        super().__init__()
        self.called = {}

    def resolve(self, source, name, labels, kind="unknown", unit=""):
        series = super().resolve(source, name, labels, kind, unit)
        self.called[series] = name + "".join(f",{k}={v}" for k, v in sorted(labels.items()) if k != "host")
        return series


def values(delivery: Delivery, table: Names) -> dict[str, float]:
    metrics = delivery.frames["metrics"]
    return {table.called[series]: value for series, value in zip(metrics["series"], metrics["value"], strict=True)}


def test_numbers_are_those_of_the_kernel_in_base_units(tmp_path):
    table = Names()
    source = HostSource(HostSettings(proc=little_proc(tmp_path)), table, lambda: 100 * SECOND, host="h")
    batch = source.poll(1000)
    assert batch is not None
    found = values(batch.items, table)
    assert found["node_cpu_seconds_total,mode=idle"] == 8.0
    assert found["node_memory_MemAvailable_bytes"] == 4096
    assert found["node_load1"] == 0.5
    assert found["node_disk_read_bytes_total,device=sda"] == 1024
    assert found["node_network_transmit_bytes_total,device=eth0"] == 22
    assert found["node_pressure_cpu_waiting_seconds_total"] == 2.5
    assert found["namedprocess_namegroup_num_procs,groupname=my app"] == 1
    assert not any("sda1" in name or "device=lo" in name for name in found)
    assert batch.position.offset == 100 * SECOND


def test_a_reading_comes_once_an_interval(tmp_path):
    now = [100 * SECOND]
    source = HostSource(HostSettings(proc=little_proc(tmp_path)), SeriesTable(), lambda: now[0])
    assert source.poll(1) is not None
    assert source.poll(1) is None
    now[0] += 10 * SECOND
    assert source.poll(1) is not None


def test_a_clock_set_back_gives_no_reading_until_it_caught_up(tmp_path):
    now = [100 * SECOND]
    source = HostSource(HostSettings(proc=little_proc(tmp_path)), SeriesTable(), lambda: now[0])
    source.poll(1)
    now[0] -= 50 * SECOND
    assert source.poll(1) is None


def test_cpu_time_of_a_group_never_runs_backwards_when_a_process_ends(tmp_path):
    now = [100 * SECOND]
    table = Names()
    proc = little_proc(tmp_path)
    process(proc, 11, "my app", 500)
    source = HostSource(HostSettings(proc=proc), table, lambda: now[0])
    seen = []
    for user in (100, 300, 400):
        process(proc, 10, "my app", user)
        batch = source.poll(1)
        assert batch is not None
        seen.append(values(batch.items, table)["namedprocess_namegroup_cpu_seconds_total,groupname=my app"])
        now[0] += 30 * SECOND
        (proc / "11/stat").unlink(missing_ok=True)
    assert seen == [0.0, 2.0, 3.0]


def test_groups_are_bounded(tmp_path):
    table = Names()
    proc = little_proc(tmp_path)
    for pid in range(20, 40):
        process(proc, pid, f"job{pid}", 1)
    batch = HostSource(HostSettings(proc=proc, process_groups=3), table, lambda: SECOND).poll(1)
    assert batch is not None
    groups = {name for name in values(batch.items, table) if name.startswith("namedprocess_namegroup_num_procs")}
    assert len(groups) == 4
    assert "namedprocess_namegroup_num_procs,groupname=other" in groups


def test_without_the_kernels_files_it_says_so_and_may_be_tried_again(tmp_path):
    with pytest.raises(Transient, match="cannot read"):
        HostSource(HostSettings(proc=tmp_path / "none"), SeriesTable(), lambda: SECOND).poll(1)


def test_this_machine_can_be_read():
    batch = HostSource(HostSettings(), SeriesTable(), lambda: SECOND).poll(1)
    assert batch is not None
    assert batch.items.records > 20
