"""A cell is named by its settings, and an implementation of a study is known by its members."""

import pytest

from tests.training.studies.toy import Choosy, Toy
from training.studies.cells import Cell, ReadsPart, ResultTable, Study
from training.studies.cells import Choosy as ChoosyStudy
from training.studies.table1 import Table1

CELL = Cell(study="table2", settings=(("variant", "no PE"), ("split", 3)))


def test_a_label_tells_the_study_and_every_setting():
    assert CELL.label == "table2: variant no PE, split 3"


def test_settings_are_read_by_name():
    assert CELL["split"] == CELL.number("split") == 3
    assert CELL.text("variant") == "no PE"


def test_a_table_is_as_wide_as_its_header():
    with pytest.raises(AssertionError, match="another width"):
        ResultTable(name="t", title="T", header=("a", "b"), rows=((1,),))


def test_studies_are_told_by_what_they_offer():
    assert isinstance(Toy(), Study)
    assert isinstance(Table1(), Study)
    assert isinstance(Table1(), ReadsPart)
    assert not isinstance(Toy(), ReadsPart)
    assert isinstance(Choosy(), ChoosyStudy)
    assert not isinstance(Toy(), ChoosyStudy)
