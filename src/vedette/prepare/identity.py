"""The workload behind a series: what stays the same when a pod is replaced."""

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vedette.prepare.slots import Floats, Ints

POD: Final = frozenset({"pod", "pod_name", "k8s.pod.name", "k8s_pod_name", "kubernetes_pod_name"})
#: Labels that name one incarnation; they go wherever they are found.
INCARNATION: Final = frozenset(
    {
        "container_id", "container.id", "k8s.pod.uid", "k8s_pod_uid", "pod_uid", "pod_ip", "k8s.pod.ip", "k8s_pod_ip",
        "pod_template_hash", "pod-template-hash", "controller_revision_hash", "k8s.pod.start_time",
    }
)  # fmt: skip
#: Labels that name one incarnation where a pod is named beside them: its address, its cgroup path, its image, its node.
BESIDE_POD: Final = frozenset({"instance", "id", "uid", "name", "image", "node", "service.instance.id", "service_instance_id"})
#: Labels that may hold a random identity of a process; dropped where they do.
MAYBE_RANDOM: Final = frozenset({"instance", "service.instance.id", "service_instance_id"})

# Kubernetes draws the random parts of names from this alphabet, without vowels and look-alikes
# (apimachinery, pkg/util/rand). Digits alone are the ordinal of a StatefulSet, which stays.
_LETTER: Final = "[bcdfghjklmnpqrstvwxz2456789]"
_REPLICA: Final = re.compile(rf"^(.+?)(?:-\d{{8,10}}|-(?=[a-z]*\d){_LETTER}{{6,10}})?-(?=\d*[a-z]){_LETTER}{{5}}$")
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

    >>> workload_labels({"pod": "web-7d9f8b6c5d-x2x4z", "instance": "10.0.0.7:80", "job": "web"})
    {'pod': 'web', 'job': 'web'}
    >>> workload_labels({"instance": "10.0.0.7:80", "job": "web"})
    {'instance': '10.0.0.7:80', 'job': 'web'}
    """
    has_pod = not POD.isdisjoint(labels)
    return {
        key: workload_name(value) if key in POD else value
        for key, value in labels.items()
        if not (key in INCARNATION or (has_pod and key in BESIDE_POD) or (key in MAYBE_RANDOM and _UUID.match(value)))
    }


class Rule(IntEnum):
    """How the members of a workload become one number a grid cell."""

    PASS = 0
    MEAN = 1
    SUM = 2


#: What is kept of each target: rule, open cell (number, sum, points, distinct members), and of a bucket its histogram and bound.
TARGETS: Final[dict[str, tuple[type[np.generic], Any]]] = {
    "rule": (np.int8, int(Rule.PASS)),
    "cell": (np.int64, np.iinfo(np.int64).min),
    "total": (np.float64, 0.0),
    "count": (np.int32, 0),
    "members": (np.int32, 0),
    "histogram": (np.int32, -1),
    "bound": (np.float64, np.nan),
}
_PASS, _SUM = int(Rule.PASS), int(Rule.SUM)


@njit(cache=True, nogil=True)
def _level(total: float, count: int, members: int, rule: int) -> float:
    return total / count * (members if rule == _SUM else 1)


@njit(cache=True, nogil=True)
def merge(
    target: Ints,
    at: Ints,
    slot: Ints,
    value: Floats,
    seen: Ints,
    rule: NDArray[np.int8],
    cell: Ints,
    total: Floats,
    count: NDArray[np.int32],
    members: NDArray[np.int32],
    grid: int,
    horizon: int,
    out_target: Ints,
    out_at: Ints,
    out_value: Floats,
    late: NDArray[np.bool_],
) -> int:
    """Fold rows sorted by (target, at) into the open cell of their target; write each cell that closes, return how many.

    A cell closes when a later one begins, or when its end is at or before `horizon` (microseconds). It is written with
    the time of its end. A SUM is the mean of the points times the members seen, so that a member whose first sample
    has no rate yet, or one that reports twice, does not bend it; a NaN value counts its member only.
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
        late[row] = now < cell[each]
        if late[row]:
            continue
        if now > cell[each]:
            if count[each] > 0:
                out_target[written], out_at[written] = each, (cell[each] + 1) * grid
                out_value[written] = _level(total[each], count[each], members[each], rule[each])
                written += 1
            cell[each], total[each], count[each], members[each] = now, 0.0, 0, 0
        if seen[slot[row]] != now:
            seen[slot[row]] = now
            members[each] += 1
        if not np.isnan(value[row]):
            total[each] += value[row]
            count[each] += 1
    for each in range(len(cell)):
        if count[each] > 0 and (cell[each] + 1) * grid <= horizon:
            out_target[written], out_at[written] = each, (cell[each] + 1) * grid
            out_value[written] = _level(total[each], count[each], members[each], rule[each])
            written += 1
            cell[each], total[each], count[each], members[each] = cell[each] + 1, 0.0, 0, 0
    return written
