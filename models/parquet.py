"""Parquet tables on disk, written with a checksum per page, so that damage is told and never read as data."""

from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import DataError

_NOT_A_TABLE: Final = (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError)
"""What PyArrow and Polars raise on the many ways in which a file can fail to be a Parquet table."""


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write the table."""
    pq.write_table(frame.to_arrow(), path, compression="zstd", write_page_checksum=True)


def read_table(path: Path) -> pl.DataFrame:
    """Return a file's table.

    Metadata that is not UTF-8 makes Polars panic, so none of it is handed on and names are decoded here first.

    Raises:
        DataError: there is no such file, it is damaged, or it is not a Parquet table; the message is one line.
    """
    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read().replace_schema_metadata(None)
        table.validate(full=True)
        table.schema.to_string()
        return pl.DataFrame(table)
    except FileNotFoundError:
        raise DataError("no such file") from None
    except _NOT_A_TABLE as error:
        raise DataError((str(error).splitlines() or [type(error).__name__])[0]) from None
