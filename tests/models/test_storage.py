"""A damaged file is told in one line, or reads as it was written; it never reads as other data, nor crashes."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.errors import DataError
from models.storage import open_matrix, read_table, write_table
from tests.models.tiny_log import tiny_log


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return the content cut off, or with up to three bytes replaced."""
    if rng.random() < 0.25:
        return content[: rng.integers(len(content))]
    altered = bytearray(content)
    for place in rng.integers(len(content), size=rng.integers(1, 4)):
        altered[place] = rng.integers(256)
    return bytes(altered)


@pytest.mark.parametrize("table", ["songs", "plays"])
def test_never_reads_a_damaged_table_as_other_values(tmp_path: Path, table: str):
    written: pl.DataFrame = getattr(tiny_log(), table)
    path = tmp_path / "table.parquet"
    write_table(written, path)
    content = path.read_bytes()
    rng = np.random.default_rng(1)

    reasons = []
    for _ in range(300):
        path.write_bytes(damaged(content, rng))
        try:
            found = read_table(path)
        except DataError as error:
            reasons.append(str(error))
        else:
            assert found.schema != written.schema or found.equals(written)
    assert len(reasons) > 200
    assert not any("\n" in reason for reason in reasons)


def test_refuses_a_matrix_whose_head_is_damaged_but_never_crashes(tmp_path: Path):
    path = tmp_path / "matrix.npy"
    np.save(path, np.ones((4, 3), np.float32))
    content = path.read_bytes()
    rng = np.random.default_rng(2)

    reasons = []
    for _ in range(300):
        path.write_bytes(damaged(content[:128], rng) + content[128:])
        try:
            open_matrix(path)
        except DataError as error:
            reasons.append(str(error))
    assert len(reasons) > 200
    assert not any("\n" in reason for reason in reasons)


def test_says_that_a_file_is_not_there(tmp_path: Path):
    for read in (read_table, open_matrix):
        with pytest.raises(DataError, match=r"^no such file$"):
            read(tmp_path / "nothing")
