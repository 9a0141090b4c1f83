"""The workload behind a series: what stays the same when a pod is replaced."""

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vedette.prepare.slots import Columns, Floats, Ints

POD: Final = frozenset({"pod", "pod_name", "exported_pod", "k8s.pod.name", "k8s_pod_name", "kubernetes_pod_name"})
#: Labels that name what made a pod: a run of a CronJob, a revision of a Deployment.
OWNER: Final = frozenset(
    {
        "job_name", "k8s.job.name", "k8s_job_name",
        "replicaset", "k8s.replicaset.name", "k8s_replicaset_name", "created_by_name", "owner_name",
    }
)  # fmt: skip
#: Labels that name one incarnation; they go wherever they are found.
INCARNATION: Final = frozenset(
    {
        "container_id", "container.id", "k8s.pod.uid", "k8s_pod_uid", "pod_uid", "pod_ip", "k8s.pod.ip", "k8s_pod_ip",
        "pod_template_hash", "pod-template-hash", "controller_revision_hash", "k8s.pod.start_time", "k8s_pod_start_time",
        "k8s.replicaset.uid", "k8s_replicaset_uid", "k8s.job.uid", "k8s_job_uid", "process.pid", "process_pid",
    }
)  # fmt: skip
#: Labels that name one incarnation where a pod is named beside them: its address, its cgroup path, its image.
BESIDE_POD: Final = frozenset(
    {
        "instance", "id", "uid", "name", "image", "image_id", "container.image.tag", "container_image_tag",
        "service.instance.id", "service_instance_id",
    }
)  # fmt: skip
#: Where a pod runs by chance, but for a DaemonSet, whose pods are told apart by it.
NODE: Final = frozenset({"node", "k8s.node.name", "k8s_node_name", "kubernetes_node"})
#: Labels that may hold a random identity of a process; dropped where they do.
MAYBE_RANDOM: Final = frozenset({"instance", "service.instance.id", "service_instance_id"})

# Kubernetes draws the random parts of names from this alphabet, without vowels and look-alikes
# (apimachinery, pkg/util/rand). Digits alone are the ordinal of a StatefulSet, which stays.
_LETTER: Final = "[bcdfghjklmnpqrstvwxz2456789]"
_MADE: Final = rf"-\d{{8,10}}|-(?=[a-z]*\d){_LETTER}{{6,10}}"
_REPLICA: Final = re.compile(rf"^(.+?)({_MADE})?-(?=\d*[a-z]){_LETTER}{{5}}$")
_OWNED: Final = re.compile(rf"^(.+?)(?:{_MADE})$")
_UUID: Final = re.compile(r"^[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$")


def workload_name(pod: str) -> str:
    """The Deployment, DaemonSet, Job or StatefulSet member that a pod belongs to, by its name.

    >>> workload_name("web-7d9f8b6c5d-x2x4z"), workload_name("node-exporter-4kq7p"), workload_name("db-0")
    ('web', 'node-exporter', 'db-0')
    >>> workload_name("backup-28391040-7xk2p"), workload_name("nginx")
    ('backup', 'nginx')
    """
    found = _REPLICA.match(pod)
    return found[1] if found else pod


def workload_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """`labels` without what names one incarnation; equal to `labels` where nothing does.

    A pod of a DaemonSet (a random end, but no revision before it) keeps the name of its node: that is what is watched.

    >>> workload_labels({"pod": "web-7d9f8b6c5d-x2x4z", "instance": "10.0.0.7:80", "node": "n1", "job": "web"})
    {'pod': 'web', 'job': 'web'}
    >>> workload_labels({"pod": "node-exporter-4kq7p", "node": "n1"})
    {'pod': 'node-exporter', 'node': 'n1'}
    >>> workload_labels({"instance": "10.0.0.7:80", "job_name": "backup-28391040"})
    {'instance': '10.0.0.7:80', 'job_name': 'backup'}
    """
    pods = [_REPLICA.match(value) for key, value in labels.items() if key in POD]
    gone = set(INCARNATION)
    if pods:
        gone |= BESIDE_POD
    if pods and not any(found and not found[2] for found in pods):
        gone |= NODE
    return {
        key: workload_name(value) if key in POD else _OWNED.sub(r"\1", value) if key in OWNER else value
        for key, value in labels.items()
        if not (key in gone or (key in MAYBE_RANDOM and _UUID.match(value)))
    }


class Rule(IntEnum):
    """How the members of a workload become one number a grid cell."""

    PASS = 0
    MEAN = 1
    SUM = 2


class Cell(NamedTuple):
    """What is in an open grid cell of each target: sum of the points, what rounding took from it, points, distinct members."""

    total: Floats
    lost: Floats
    points: NDArray[np.int32]
    members: NDArray[np.int32]


_CELL: Final[Columns] = {
    "total": (np.float64, 0.0), "lost": (np.float64, 0.0), "points": (np.int32, 0), "members": (np.int32, 0)
}  # fmt: skip
#: What is kept of each target: rule, number of the open cell, what is in it and in the one after, and of a bucket its histogram
#: and bound.
TARGETS: Final[Columns] = {
    "rule": (np.int8, int(Rule.PASS)),
    "cell": (np.int64, np.iinfo(np.int64).min),
    **_CELL,
    **{f"next_{name}": column for name, column in _CELL.items()},
    "histogram": (np.int32, -1),
    "bound": (np.float64, np.nan),
}
_PASS, _SUM = int(Rule.PASS), int(Rule.SUM)


def cells(column: Mapping[str, NDArray[Any]]) -> tuple[Cell, Cell]:
    """The open cell of each target, and the one after it, as views of the columns of TARGETS."""
    open_cell = Cell(*(column[name] for name in Cell._fields))
    return open_cell, Cell(*(column[f"next_{name}"] for name in Cell._fields))


@njit(cache=True, nogil=True)
def merge(
    target: Ints, at: Ints, slot: Ints, value: Floats, seen: Ints, rule: NDArray[np.int8], cell: Ints, first: Cell, second: Cell,
    grid: int, due: int, others: int, out_target: Ints, out_at: Ints, out_value: Floats,
) -> int:  # fmt: skip
    """Fold rows sorted by (target, at) into the open cells of their target; write each cell that closes, return how many.

    A cell closes when its number is below `due`, or when a row comes that is two cells later; besides the targets of the rows,
    those below `others` are looked at. It is written with the time of its end. A SUM is the mean of the points times the
    members seen, so that a member whose first sample has no rate yet, or one that reports twice, does not bend it; a NaN value
    counts its member only. Sums carry what rounding takes from them (Knuth's two-sum), so that rows of members may come in any
    order. No row may be older than the open cell of its target.
    """
    written = 0
    for row in range(len(target)):
        each = target[row]
        if rule[each] == _PASS:
            if not np.isnan(value[row]):
                out_target[written], out_at[written], out_value[written] = each, at[row], value[row]
                written += 1
            continue
        now = at[row] // grid
        while now > cell[each] and _open(first, second, each) and (cell[each] < due or now > cell[each] + 1):
            written += _close(each, rule, cell, first, second, grid, out_target, out_at, out_value, written)
        if not _open(first, second, each):
            cell[each] = max(cell[each], min(now, max(now - 1, due)))  # the cell before may still get its rows
        part = first if now == cell[each] else second
        if seen[slot[row]] != now:
            seen[slot[row]] = now
            part.members[each] += 1
        if not np.isnan(value[row]):
            level = part.total[each] + value[row]
            before = level - part.total[each]
            part.lost[each] += (part.total[each] - (level - before)) + (value[row] - before)
            part.total[each] = level
            part.points[each] += 1
        while cell[each] < due and (row + 1 == len(target) or target[row + 1] != each) and _open(first, second, each):
            written += _close(each, rule, cell, first, second, grid, out_target, out_at, out_value, written)
    for each in range(others):
        while cell[each] < due and _open(first, second, each):
            written += _close(each, rule, cell, first, second, grid, out_target, out_at, out_value, written)
    return written


@njit(cache=True, nogil=True)
def _open(first: Cell, second: Cell, each: int) -> bool:
    """Whether any row is in a cell that was not given out."""
    return bool(first.members[each] + second.members[each] > 0)


@njit(cache=True, nogil=True)
def _close(
    each: int, rule: NDArray[np.int8], cell: Ints, first: Cell, second: Cell, grid: int,
    out_target: Ints, out_at: Ints, out_value: Floats, place: int,
) -> int:  # fmt: skip
    """Write the open cell of a target and begin the next one; 1 where there was a point in it."""
    filled = first.points[each] > 0
    if filled:
        out_target[place], out_at[place] = each, (cell[each] + 1) * grid
        mean = (first.total[each] + first.lost[each]) / first.points[each]
        out_value[place] = mean * (first.members[each] if rule[each] == _SUM else 1)
    cell[each] += 1
    first.total[each], first.lost[each] = second.total[each], second.lost[each]
    first.points[each], first.members[each] = second.points[each], second.members[each]
    second.total[each], second.lost[each], second.points[each], second.members[each] = 0.0, 0.0, 0, 0
    return int(filled)
