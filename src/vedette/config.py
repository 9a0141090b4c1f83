"""`vedette.yaml`: what the user declares, each part in the words of the room that it configures."""

from pathlib import Path

from vedette.collect.host import HostSettings
from vedette.collect.limits import Limits
from vedette.core.document import read
from vedette.core.errors import ConfigError
from vedette.core.flow import FlowSettings
from vedette.core.settings import Settings
from vedette.lake import LakeSettings
from vedette.log import LogSettings
from vedette.models import DetectorSettings
from vedette.prepare.recipe import PrepareSettings
from vedette.security import RedactionSettings


class Config(Settings):
    """The whole declaration; every part has defaults, so that no file at all is a valid one."""

    host: HostSettings | None = HostSettings()
    limits: Limits = Limits()
    log: LogSettings = LogSettings()
    lake: LakeSettings = LakeSettings()
    prepare: PrepareSettings = PrepareSettings()
    detectors: DetectorSettings = DetectorSettings()
    redaction: RedactionSettings = RedactionSettings()
    flow: FlowSettings = FlowSettings()


def load(path: Path | None) -> Config:
    """The configuration in `path`, or the defaults where it is None.

    Raises:
        ConfigError: with every fault, its line and its key.
    """
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read ({error}); check the path and its mode"]) from error
    return read(text, Config, name=str(path))
