from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from vedette.collect.host import HostSettings, HostSource
from vedette.collect.series import SeriesTable
from vedette.core.errors import ConfigError, Transient
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


def test_without_the_kernels_files_it_refuses_to_start_and_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=r"sources\.box\.proc: .* is not there; a host is read on Linux only"):
        HostSource(HostSettings(proc=tmp_path / "none"), SeriesTable(), lambda: SECOND, name="box")


def test_files_that_vanish_while_it_runs_may_come_back(tmp_path):
    source = HostSource(HostSettings(proc=little_proc(tmp_path)), SeriesTable(), lambda: SECOND)
    (tmp_path / "stat").unlink()
    with pytest.raises(Transient, match="cannot read"):
        source.poll(1)


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(ValidationError, match="expected a regular expression"):
        HostSettings(exclude_devices="(")


def test_every_number_of_a_host_has_its_name_kind_and_unit(tmp_path):
    """The files are those of a kernel 6.1; a field beyond those it had would be named here."""
    (tmp_path / "net").mkdir()
    (tmp_path / "pressure").mkdir()
    (tmp_path / "stat").write_text(
        "cpu  100 200 300 400 500 600 700 800 9 9\nintr 5 1 2\nctxt 12\nbtime 5\nprocesses 77\nprocs_running 2\nprocs_blocked 1\n"
    )
    (tmp_path / "meminfo").write_text("MemTotal: 10 kB\nSwapFree: 3 kB\nCommitted_AS: 9 kB\nHugePages_Total: 0\n")
    (tmp_path / "loadavg").write_text("0.50 0.25 0.10 1/100 4\n")
    (tmp_path / "diskstats").write_text(" 259 0 nvme0n1 1 2 3 4000 5 6 7 8000 9 10000 11 12 13 14 15 16 17\n")
    (tmp_path / "net/dev").write_text("a\nb\n eth0: 1 2 3 4 5 6 7 8 11 12 13 14 15 16 17 18\n")
    (tmp_path / "vmstat").write_text("nr_free_pages 1\npgmajfault 2\npswpin 3\npswpout 4\noom_kill 5\n")
    (tmp_path / "pressure/cpu").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n")
    (tmp_path / "pressure/memory").write_text("some avg10=0.00 total=2000000\nfull avg10=0.00 total=3000000\n")
    (tmp_path / "pressure/io").write_text("some avg10=0.00 total=4000000\nfull avg10=0.00 total=5000000\n")
    table = Names()
    batch = HostSource(HostSettings(proc=tmp_path, process_groups=0), table, lambda: SECOND, host="h").poll(1)
    assert batch is not None
    assert {name: value for name, value in values(batch.items, table).items() if "namegroup" not in name} == {
        "node_cpu_seconds_total,mode=user": 1,
        "node_cpu_seconds_total,mode=nice": 2,
        "node_cpu_seconds_total,mode=system": 3,
        "node_cpu_seconds_total,mode=idle": 4,
        "node_cpu_seconds_total,mode=iowait": 5,
        "node_cpu_seconds_total,mode=irq": 6,
        "node_cpu_seconds_total,mode=softirq": 7,
        "node_cpu_seconds_total,mode=steal": 8,
        "node_context_switches_total": 12,
        "node_boot_time_seconds": 5,
        "node_forks_total": 77,
        "node_procs_running": 2,
        "node_procs_blocked": 1,
        "node_memory_MemTotal_bytes": 10_240,
        "node_memory_SwapFree_bytes": 3072,
        "node_memory_Committed_AS_bytes": 9216,
        "node_load1": 0.5,
        "node_load5": 0.25,
        "node_load15": 0.1,
        "node_disk_reads_completed_total,device=nvme0n1": 1,
        "node_disk_read_bytes_total,device=nvme0n1": 3 * 512,
        "node_disk_read_time_seconds_total,device=nvme0n1": 4,
        "node_disk_writes_completed_total,device=nvme0n1": 5,
        "node_disk_written_bytes_total,device=nvme0n1": 7 * 512,
        "node_disk_write_time_seconds_total,device=nvme0n1": 8,
        "node_disk_io_time_seconds_total,device=nvme0n1": 10,
        "node_network_receive_bytes_total,device=eth0": 1,
        "node_network_receive_packets_total,device=eth0": 2,
        "node_network_receive_errs_total,device=eth0": 3,
        "node_network_receive_drop_total,device=eth0": 4,
        "node_network_transmit_bytes_total,device=eth0": 11,
        "node_network_transmit_packets_total,device=eth0": 12,
        "node_network_transmit_errs_total,device=eth0": 13,
        "node_network_transmit_drop_total,device=eth0": 14,
        "node_vmstat_pgmajfault": 2,
        "node_vmstat_pswpin": 3,
        "node_vmstat_pswpout": 4,
        "node_vmstat_oom_kill": 5,
        "node_pressure_cpu_waiting_seconds_total": 1,
        "node_pressure_memory_waiting_seconds_total": 2,
        "node_pressure_memory_stalled_seconds_total": 3,
        "node_pressure_io_waiting_seconds_total": 4,
        "node_pressure_io_stalled_seconds_total": 5,
    }
    definitions = batch.items.frames["series"]
    described = {(row["name"], row["kind"], row["unit"]) for row in definitions.iter_rows(named=True)}
    assert ("node_cpu_seconds_total", "counter", "seconds") in described
    assert ("node_memory_MemTotal_bytes", "gauge", "bytes") in described
    assert all(kind == ("counter" if name.endswith("_total") or "vmstat" in name else "gauge") for name, kind, _ in described)


def test_this_machine_reads_as_others_read_it():
    table = Names()
    before = psutil.cpu_times()
    batch = HostSource(HostSettings(), table, lambda: SECOND).poll(1)
    after = psutil.cpu_times()
    assert batch is not None
    found = values(batch.items, table)
    assert before.user <= found["node_cpu_seconds_total,mode=user"] <= after.user
    assert before.idle - 1 <= found["node_cpu_seconds_total,mode=idle"] <= after.idle + 1
    assert found["node_memory_MemTotal_bytes"] == psutil.virtual_memory().total
    assert found["node_boot_time_seconds"] == pytest.approx(psutil.boot_time(), abs=2)
    assert batch.items.records > 20
