"""Tables and matrices on disk, read so that a missing or damaged file is told, and never read as data."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy import ndarray

from models.errors import DataError

_NOT_A_TABLE: Final = (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError)
_NOT_A_MATRIX: Final = (OSError, ValueError, TypeError, OverflowError, TokenError)
"""What the libraries raise on the many ways in which a file can fail to be one of theirs."""


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a Parquet table with a checksum per page."""
    with growing_table(path) as append:
        append(frame)


@contextmanager
def growing_table(path: Path) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Give what appends rows to a Parquet table, with a checksum per page; the first ones fix the columns.

    No frame outlives its call. The file is whole when the context ends; without any frame there is none.
    """
    writer: pq.ParquetWriter | None = None
    with ExitStack() as closing:

        def append(frame: pl.DataFrame) -> None:
            nonlocal writer
            table = frame.to_arrow()
            if writer is None:
                writer = closing.enter_context(
                    pq.ParquetWriter(path, table.schema, compression="zstd", write_page_checksum=True)
                )
            writer.write_table(table)

        yield append


def read_table(path: Path) -> pl.DataFrame:
    """Return a Parquet file's table, checksums compared where the file has them.

    Metadata that is not UTF-8 makes Polars panic, so none of it is handed on and names are decoded here first.

    Raises:
        DataError: there is no such file, it is damaged, or it is not a Parquet table.
    """
    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read().replace_schema_metadata(None)
        table.validate(full=True)
        table.schema.to_string()
        return pl.DataFrame(table)
    except _NOT_A_TABLE as error:
        raise DataError(first_line(error)) from None


def open_matrix(path: Path) -> ndarray:
    """Return a NumPy file's array, memory-mapped; nothing is ever unpickled.

    Raises:
        DataError: there is no such file, it is damaged, or it is not an array of numbers.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except _NOT_A_MATRIX as error:
        raise DataError(first_line(error)) from None


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return (str(error).splitlines() or [type(error).__name__])[0]
