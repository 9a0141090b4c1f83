"""Whether what is declared can be reached from here."""

import socket
from pathlib import Path

from vedette import config
from vedette.core.errors import ConfigError
from vedette.security.addresses import checked


def unreachable(declared: config.Config) -> list[str]:
    """A line for each connection of `declared` that cannot be made, and for each glob that matches nothing."""
    connections = [(f"sources.{name}", url) for name, source in declared.sources.items() for url in _addresses(source)]
    connections += [(f"receivers.{each.name}", each.url) for each in declared.receivers]
    faults = []
    for key, url in connections:
        try:
            _, port, address = checked(url, declared.outbound.allow)
            socket.create_connection((address, port), timeout=5).close()
        except ConfigError as error:
            faults.append(f"{key}: {error}")
        except OSError as error:
            faults.append(f"{key}: {url} cannot be reached ({error.strerror or error}); is it running?")
    for name, source in declared.sources.items():
        if isinstance(source, config.Files) and not any(Path("/").glob(path.removeprefix("/")) for path in source.paths):
            faults.append(f"sources.{name}: no file matches {', '.join(source.paths)}")
    return faults


def _addresses(source: config.Source) -> tuple[str, ...]:
    match source:
        case config.Scrape():
            return tuple(each if "://" in each else f"http://{each}" for each in source.targets)
        case config.Prometheus():
            return (source.url,)
        case _:
            return ()
