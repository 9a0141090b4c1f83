"""What belongs together: things that share the labels by which people name a host or a service."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

#: The many names of a few things, by how we call them.
_SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    "host": ("host", "instance", "host.name", "hostname", "node", "nodename", "kubernetes_node", "k8s.node.name", "host_name"),
    "service": (
        "service", "service.name", "service_name", "app", "app.kubernetes.io/name", "application", "deployment", "workload",
        "k8s.deployment.name", "statefulset", "daemonset", "unit", "systemd_unit",
    ),
    "job": ("job",),
    "namespace": ("namespace", "k8s.namespace.name", "kubernetes_namespace", "exported_namespace", "service.namespace"),
    "device": ("device", "disk", "interface", "mountpoint"),
    "file": ("file", "filename", "source"),
    "cluster": ("cluster", "k8s.cluster.name", "environment", "env"),
}  # fmt: skip
_CALLED: Final[Mapping[str, str]] = {name: called for called, names in _SYNONYMS.items() for name in names}
#: One of these binds by itself; of the others it takes all of a combination.
_STRONG: Final = ("host", "service", "file")
_TOGETHER: Final = (("job", "namespace"), ("job", "device", "cluster"), ("namespace", "device", "cluster"))

_LOOPBACK: Final = re.compile(r"localhost(\.localdomain)?|127\.\d+\.\d+\.\d+|\[?::1\]?")

Identity = frozenset[tuple[str, str]]


def identity(labels: Mapping[str, str], here: str = "") -> Identity:
    """Who a thing is, by the labels that say so. An `instance` is its host; one at a loopback address is `here`, if that is known.

    >>> sorted(identity({"instance": "web-1:9100", "job": "node", "mode": "user"}))
    [('host', 'web-1'), ('job', 'node')]
    >>> identity({"host": "Web-1"}) == identity({"instance": "web-1:8080"}) == identity({"instance": "localhost:1"}, "web-1")
    True
    """
    named = ((_CALLED[key], value) for key, value in labels.items() if key in _CALLED and value)
    return frozenset((called, _host(value, here) if called == "host" else value) for called, value in named)


def ties(labels: Mapping[str, str], otherwise: str, here: str = "") -> frozenset[str]:
    """What binds a thing to others: two that have a tie in common belong together. A thing without any is tied to `otherwise`.

    >>> sorted(ties({"instance": "web-1:9100", "job": "node"}, ""))
    ['host=web-1']
    >>> sorted(ties({"job": "api", "namespace": "shop"}, "")), sorted(ties({"job": "api"}, "metric:7"))
    (['job=api,namespace=shop'], ['metric:7'])
    """
    known = sorted(identity(labels, here))
    found = {f"{key}={value}" for key, value in known if key in _STRONG}
    one = dict(known)
    found |= {",".join(f"{key}={one[key]}" for key in keys) for keys in _TOGETHER if all(key in one for key in keys)}
    return frozenset(found or {otherwise})


def related(labels: Mapping[str, str], others: Iterable[Mapping[str, str]], here: str = "") -> bool:
    """Whether a change on `labels` may have touched any of `others`: a common host, service, job or namespace suffices.

    >>> related({"namespace": "shop"}, [{"namespace": "shop", "pod": "a"}]), related({"cluster": "a"}, [{"cluster": "a"}])
    (True, False)
    """
    mine = {pair for pair in identity(labels, here) if pair[0] in {*_STRONG, "job", "namespace"}}
    return any(mine & identity(each, here) for each in others)


def common(labels: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The labels that all share.

    >>> common([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}])
    {'a': '1'}
    """
    first, *others = labels
    return {key: value for key, value in sorted(first.items()) if all(other.get(key) == value for other in others)}


def _host(value: str, here: str) -> str:
    head, _, tail = value.lower().rpartition(":")
    name = head if tail.isdigit() and (head.endswith("]") or (head and ":" not in head)) else value.lower()
    return here.lower() if here and _LOOPBACK.fullmatch(name) else name
