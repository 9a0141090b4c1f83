"""Which addresses are inner ones, in each way to write them (S06)."""

import pytest

from vedette.core.errors import ConfigError
from vedette.security.addresses import checked

INNER = [
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::80ff:fffe", "ff02::1"),
]


@pytest.mark.parametrize("address", INNER)
def test_an_inner_address_is_refused_whatever_its_name_and_spelling(address):
    with pytest.raises(ConfigError, match=r"outbound\.allow"):
        checked("http://hook.example.org/", resolve=lambda _host, _port: [address])


@pytest.mark.parametrize(
    "spelling", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:7f00:1]", "localhost"]
)
def test_loopback_is_refused_in_every_spelling_the_system_understands(spelling):
    with pytest.raises(ConfigError):
        checked(f"http://{spelling}:9/")


def test_one_inner_address_among_many_is_enough_to_refuse():
    with pytest.raises(ConfigError, match="loopback"):
        checked("http://a.example/", resolve=lambda _host, _port: ["9.9.9.9", "127.0.0.1"])


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://9.9.9.9/", "ftp://a/", "//a/", "a", "", "http://", "http://[::1", "http://a:b/"]
)
def test_only_web_addresses_are_connected_to(url):
    with pytest.raises(ConfigError):
        checked(url, resolve=lambda _host, _port: ["9.9.9.9"])


def test_credentials_in_an_address_are_refused_and_not_repeated():
    with pytest.raises(ConfigError) as caught:
        checked("https://ann:hunter2@example.org/", resolve=lambda _host, _port: ["9.9.9.9"])
    assert "hunter2" not in str(caught.value)


def test_an_allowed_network_is_reached_and_no_other():
    assert checked("http://am:9093/", ["10.0.0.0/8"], resolve=lambda _host, _port: ["10.1.2.3"]) == ("am", 9093, "10.1.2.3")
    with pytest.raises(ConfigError):
        checked("http://am:9093/", ["10.0.0.0/8"], resolve=lambda _host, _port: ["192.168.0.1"])


def test_a_name_without_an_answer_is_told():
    def refuse(_host, _port):
        raise OSError("no such name")

    with pytest.raises(ConfigError, match=r"nowhere\.example: the name cannot be resolved"):
        checked("http://nowhere.example/", resolve=refuse)
