"""Where Vedette may connect when a user configured an address: never into the inner network unless it is allowed by name.

The check and the connection use the same resolved address, so that a name cannot answer one thing to the check and another
to the connection. Refused are loopback, private, link-local (cloud metadata), carrier-grade NAT, multicast, reserved, unspecified,
and IPv6 forms that wrap an IPv4 address (mapped, NAT64 by RFC 6052, 6to4 by RFC 3056, Teredo by RFC 4380).
"""

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from vedette.core.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

_NAT64 = IPv6Network("64:ff9b::/96")
#: What the standard library may take for public: IETF assignments (RFC 6890; some clouds' metadata), 6to4 relays (RFC 7526), NAT64
#: of a site's own (RFC 8215), IPv4-compatible addresses (RFC 4291), and the host's own service of one cloud.
_SPECIAL = tuple(
    map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "64:ff9b:1::/48", "::/96", "fd00:ec2::/32"))
)


def resolve(host: str, port: int) -> list[str]:
    """Every address of `host`, by the system's resolver."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def inner(address: Address) -> str | None:
    """Why `address` is not on the public internet, in a word or two; None where it is.

    >>> inner(ip_address("169.254.169.254")), inner(ip_address("::ffff:127.0.0.1")), inner(ip_address("9.9.9.9"))
    ('link-local', 'loopback', None)
    """
    wrapped = _wrapped(address)
    if wrapped is not None:
        return inner(wrapped)
    kinds = (
        ("unspecified", address.is_unspecified),
        ("loopback", address.is_loopback),
        ("link-local", address.is_link_local),
        ("multicast", address.is_multicast),
        ("private", address.is_private),
        ("reserved", address.is_reserved or not address.is_global or any(address in network for network in _SPECIAL)),
    )
    return next((kind for kind, true in kinds if true), None)


def _wrapped(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def checked(url: str, allowed: Sequence[str] = (), *, resolve: Resolve = resolve) -> tuple[str, int, str]:
    """The host, port and one address to connect to for `url`.

    Args:
        url: http or https, without credentials.
        allowed: networks (CIDR) of the inner network that may be reached all the same.
        resolve: host and port -> addresses.

    Raises:
        ConfigError: naming what is refused and the setting that would allow it. Nothing was connected to.

    >>> checked("https://example.org/hook", resolve=lambda host, port: ["9.9.9.9"])
    ('example.org', 443, '9.9.9.9')
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError([f"the address is not a URL: {error}"]) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError([f"{parts.scheme or 'no scheme'}: only http:// and https:// addresses with a host are connected to"])
    if parts.username is not None or parts.password is not None:
        raise ConfigError([f"{host}: credentials in an address end up in logs; use the token setting with env: or file:"])
    port = port or (443 if parts.scheme == "https" else 80)
    networks = [ip_network(each) for each in allowed]
    try:
        addresses = list(dict.fromkeys(resolve(host, port)))
    except OSError as error:
        raise ConfigError([f"{host}: the name cannot be resolved ({error}); check its spelling and the resolver"]) from error
    for text in addresses:
        _allow(host, ip_address(text.partition("%")[0]), networks)
    if not addresses:
        raise ConfigError([f"{host}: the name has no address"])
    return host, port, addresses[0]


def _allow(host: str, address: Address, networks: Sequence[Network]) -> None:
    why = inner(address)
    real = _wrapped(address) or address
    if why and not any(real in network for network in networks if network.version == real.version):
        raise ConfigError([f"{host}: {address} is {why}; if it is meant, add its network to outbound.allow"])
