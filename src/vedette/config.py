"""`vedette.yaml`: what the user declares, each part in the words of the room that it configures."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from vedette.act import ActSettings
from vedette.act.hearing import HearingSettings
from vedette.act.receivers import ReceiverSettings
from vedette.collect.files import FileSettings, default_logs
from vedette.collect.host import HostSettings
from vedette.collect.limits import Limits
from vedette.collect.prometheus import PrometheusSettings
from vedette.collect.push import PushSettings
from vedette.collect.scrape import ScrapeSettings
from vedette.collect.syslog_server import SyslogSettings
from vedette.core.document import IN_THE_OPEN, read
from vedette.core.errors import ConfigError
from vedette.core.flow import FlowSettings
from vedette.core.settings import Settings
from vedette.deploy import RolloutSettings
from vedette.lake import LakeSettings
from vedette.log import LogSettings
from vedette.models import DetectorSettings
from vedette.monitor.settings import MonitorSettings
from vedette.prepare import PrepareSettings
from vedette.registry.settings import RegistrySettings
from vedette.retrain import RetrainSettings
from vedette.security import RedactionSettings, secret
from vedette.train.settings import TrainSettings
from vedette.validate.gates import Gate

ALWAYS_ON = ("remote_write", "otlp", "alertmanager", "events")


def _resolved(reference: object) -> object:
    if reference is None or reference == "":
        return reference
    try:
        return secret(str(reference))
    except ConfigError as error:
        raise PydanticCustomError(IN_THE_OPEN, "{why}", {"why": str(error)}) from error


#: Declared as `env:NAME` or `file:PATH`; holds what is referred to, and shows it in no dump.
Secret = Annotated[str, BeforeValidator(_resolved), Field(repr=False, exclude=True)]


def is_loopback(address: str) -> bool:
    """Whether `HOST:PORT` can be reached from this machine only.

    >>> is_loopback("127.0.0.1:4680"), is_loopback("[::1]:1"), is_loopback("localhost:1"), is_loopback("db.internal:4680")
    (True, True, True, False)
    """
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Host(HostSettings):
    """This host's own metrics."""

    kind: Literal["host"]


class Files(FileSettings):
    """Log files."""

    kind: Literal["files"]


class Scrape(ScrapeSettings):
    """Targets in the exposition format."""

    kind: Literal["scrape"]
    bearer: Secret = ""


class Prometheus(PrometheusSettings):
    """Range queries to a Prometheus server."""

    kind: Literal["prometheus"]
    bearer: Secret = ""


class Syslog(SyslogSettings):
    """Syslog over UDP and TCP."""

    kind: Literal["syslog"]


class Push(PushSettings):
    """What is posted to `/push/NAME`."""

    kind: Literal["push"]


Source = Annotated[Host | Files | Scrape | Prometheus | Syslog | Push, Field(discriminator="kind")]


class Tls(Settings):
    """The certificate and its key, PEM files, for a listener beyond loopback."""

    certificate: Path
    key: Path


class Web(Settings):
    """The HTTP port.

    Attributes:
        listen: `HOST:PORT`. Beyond loopback, `tls` and `token` are required.
        token: what callers send as `Authorization: Bearer ...`.
        grpc: `HOST:PORT` of OTLP over gRPC; needs the extra `grpc`.
        hosts: further names under which browsers reach us; any other Host header is refused.
    """

    listen: str = "127.0.0.1:4680"
    token: Secret = ""
    tls: Tls | None = None
    grpc: str | None = None
    hosts: tuple[str, ...] = ()

    @field_validator("listen", "grpc")
    @classmethod
    def _address(cls, text: str | None) -> str | None:
        if text is not None:
            host, _, port = text.rpartition(":")
            if not host or not port.isdigit() or int(port) > 65535:
                raise ValueError("expected HOST:PORT, such as 127.0.0.1:4680")
        return text

    @model_validator(mode="after")
    def _safe(self) -> "Web":
        if not is_loopback(self.listen) and (self.tls is None or not self.token):
            missing = " and ".join(name for name, there in (("web.tls", self.tls), ("web.token", self.token)) if not there)
            raise ValueError(f"web.listen {self.listen} is reachable from other machines: set {missing}, or listen on 127.0.0.1")
        if self.grpc and not is_loopback(self.grpc):
            raise ValueError(f"web.grpc {self.grpc} is reachable from other machines: listen on 127.0.0.1 behind a proxy with TLS")
        return self


class Receiver(ReceiverSettings):
    """Somebody who is told of incidents."""

    secret: Annotated[SecretStr | None, BeforeValidator(_resolved)] = None
    token: Annotated[SecretStr | None, BeforeValidator(_resolved)] = None


class Outbound(Settings):
    """Which inner networks (CIDR) addresses declared here may lead to; without it only the public internet."""

    allow: tuple[str, ...] = ()


class Model(TrainSettings):
    """A model and its life: what it learns from, what it must reach, how it comes to speak, and when it is trained anew."""

    gates: tuple[Gate, ...] = ()
    monitor: MonitorSettings = MonitorSettings()
    rollout: RolloutSettings = RolloutSettings()
    retrain: RetrainSettings = RetrainSettings()


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]


class Config(Settings):
    """The whole declaration; every part has defaults, so that no file at all is a valid one."""

    web: Web = Web()
    sources: Mapping[Name, Source] = {}
    outbound: Outbound = Outbound()
    limits: Limits = Limits()
    redaction: RedactionSettings = RedactionSettings()
    log: LogSettings = LogSettings()
    lake: LakeSettings = LakeSettings()
    prepare: PrepareSettings = PrepareSettings()
    detectors: DetectorSettings = DetectorSettings()
    act: ActSettings = ActSettings()
    hearing: HearingSettings = HearingSettings()
    receivers: tuple[Receiver, ...] = ()
    models: Mapping[Name, Model] = {}
    registry: RegistrySettings = RegistrySettings()
    flow: FlowSettings = FlowSettings()

    @field_validator("models")
    @classmethod
    def _no_detector(cls, models: Mapping[str, Model]) -> Mapping[str, Model]:
        taken = sorted(set(models) & {"envelope", "heartbeat", "novelty"})
        if taken:
            raise ValueError(f"{taken[0]} is the name of a detector; choose another")
        return models

    @field_validator("sources")
    @classmethod
    def _names(cls, sources: Mapping[str, Source]) -> Mapping[str, Source]:
        taken = sorted(set(sources) & {*ALWAYS_ON, "prepare", "import"})
        if taken:
            raise ValueError(f"{taken[0]} is the name of a source that is always on; choose another")
        return sources


def load(path: Path | None, listen: str = "") -> Config:
    """The configuration in `path`; where it is None, the defaults, with this host and its logs as sources.

    Args:
        path: of vedette.yaml.
        listen: goes over `web.listen`.

    Raises:
        ConfigError: with every fault, its line and its key.
    """
    overlay = {"web": {"listen": listen}} if listen else {}
    if path is None:
        sources = {"host": {"kind": "host"}, "logs": {"kind": "files", "paths": list(default_logs()), "multiline": "stack"}}
        models = {"metrics": {"family": "anomalies"}}
        return read("", Config, name="the defaults", overlay={**overlay, "sources": sources, "models": models})
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read ({error}); check the path and its mode"]) from error
    return read(text, Config, name=str(path), overlay=overlay)
