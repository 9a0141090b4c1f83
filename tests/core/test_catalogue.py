from vedette.core.catalogue import Catalogue
from vedette.core.frames import SERIES, from_rows

UP = (7, "up", {"job": "node", "instance": "a"}, "gauge", "")
LOAD = (8, "node_load1", {}, "gauge", "")


def test_only_what_is_new_comes_out_once():
    catalogue = Catalogue()
    assert catalogue.add(from_rows([UP, UP], SERIES)).rows() == [UP]
    assert catalogue.add(from_rows([UP, LOAD], SERIES)).rows() == [LOAD]


def test_a_catalogue_comes_back_from_its_state():
    before, after = Catalogue(), Catalogue()
    before.add(from_rows([UP, LOAD], SERIES))
    after.load(before.state())
    assert after.frame().equals(before.frame())
    assert after.get([7, 9])[7].labels == {"job": "node", "instance": "a"}
    assert 9 not in after


def test_an_empty_catalogue_comes_back_too():
    after = Catalogue()
    after.load(Catalogue().state())
    assert len(after) == 0
