"""docs/equations.md names functions and tests that exist, each by the file it stands in."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = [
    re.findall(r"`([^`]+)`", row)
    for row in (ROOT / "docs" / "equations.md").read_text().splitlines()
    if row.startswith("| ") and "tests/" in row
]


def test_the_page_has_a_table():
    assert len(ROWS) > 10


@pytest.mark.parametrize(("function", "test"), ROWS)
def test_every_row_leads_to_a_function_and_its_test(function: str, test: str):
    path, name = test.split("::")
    assert f"def {name}(" in (ROOT / path).read_text()

    parts = function.split(".")
    place = next(end for end in range(len(parts), 0, -1) if is_module(parts[:end]))
    found = importlib.import_module(".".join(parts[:place]))
    for part in parts[place:]:
        found = getattr(found, part)
    assert found.__module__ == ".".join(parts[:place]), "it stands in another file"


def is_module(parts: list[str]) -> bool:
    path = ROOT.joinpath(*parts)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
