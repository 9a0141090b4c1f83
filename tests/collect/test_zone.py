import pytest

from vedette.collect.zone import is_zone, local_zone


@pytest.mark.parametrize(
    ("environ", "link", "named", "zone"),
    [
        ({"TZ": "Asia/Tokyo"}, "Europe/Zurich", "Europe/Paris", "Asia/Tokyo"),
        ({"TZ": "no such"}, "Europe/Zurich", "Europe/Paris", "Europe/Zurich"),
        ({}, "Europe/Zurich", "Europe/Paris", "Europe/Zurich"),
        ({}, "", "Europe/Paris\n", "Europe/Paris"),
    ],
)
def test_the_zone_is_that_of_the_environment_then_of_the_link_then_of_the_name(tmp_path, environ, link, named, zone):
    (tmp_path / "timezone").write_text(named)
    if link:
        (tmp_path / "localtime").symlink_to(f"/usr/share/zoneinfo/{link}")
    assert local_zone(environ, tmp_path / "localtime", tmp_path / "timezone") == zone


def test_a_host_that_says_nothing_still_has_a_zone(tmp_path):
    assert is_zone(local_zone({}, tmp_path / "none", tmp_path / "none"))
