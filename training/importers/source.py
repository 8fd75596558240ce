"""One CSV or Parquet file being imported: its columns as text, numbers and times, and complaints about them.

A value that cannot be read becomes null **and** a complaint, so that one pass over all files finds everything.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from models.errors import Complaint, DataError
from models.log_check import complain_of_rows, shortened
from models.storage import first_line, read_table


class Source:
    """One file's table, read as it stands: CSV values are text until a mapping says what they are."""

    def __init__(self, file: str, frame: pl.DataFrame, complaints: list[Complaint]) -> None:
        self.file = file
        self.frame = frame
        self.complaints = complaints

    @classmethod
    def open(
        cls, folder: Path, file: str, *, separator: str, absent: Sequence[str], complaints: list[Complaint]
    ) -> "Source":
        """Return the file's table; an unreadable file is complained of and gives a table without columns."""
        try:
            if file.endswith(".parquet"):
                frame = read_table(folder / file)
            else:
                frame = pl.read_csv(
                    folder / file, separator=separator, null_values=list(absent), infer_schema=False
                )
        except (OSError, DataError, pl.exceptions.PolarsError) as error:
            reason = shortened(first_line(error))
            complaints.append(Complaint(file, None, None, "a readable CSV or Parquet file", reason))
            frame = pl.DataFrame()
        return cls(file, frame, complaints)

    def column(self, key: str, name: str) -> pl.Series:
        """Return the named column; one that the file lacks is complained of, and is null in every row."""
        if name in self.frame.columns:
            return self.frame[name]
        if self.frame.width:
            expected = f"a column of that name, which the mapping's {key} names"
            self.complaints.append(
                Complaint(self.file, None, name, expected, f"columns {', '.join(self.frame.columns)}")
            )
        return pl.Series(name, [None] * len(self.frame), dtype=pl.Null)

    def text(self, key: str, name: str) -> pl.Series:
        """Return the column as text; numbers of a Parquet file are spelled out."""
        return self.column(key, name).cast(pl.String)

    def number(self, key: str, name: str) -> pl.Series:
        """Return the column as finite numbers."""
        values = self.column(key, name)
        numbers = values.cast(pl.Float64, strict=False)
        return self.keep(name, numbers, numbers.is_finite().fill_null(value=False), "a number", values)

    def time(self, key: str, name: str) -> pl.Series:
        """Return the column of RFC 3339 texts or zoned timestamps as UTC times."""
        values = self.column(key, name)
        if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
            return values.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
        moments = [_instant(value) for value in values.cast(pl.String)]
        times = pl.Series(name, moments, dtype=pl.Datetime("us", "UTC"))
        return self.keep(name, times, times.is_not_null(), "an RFC 3339 time with an offset", values)

    def local_time(self, key: str, name: str, *, pattern: str | None, zone: str) -> pl.Series:
        """Return the column of a clock's times in a zone as UTC times; a text follows the pattern or ISO 8601."""
        values = self.column(key, name)
        if values.dtype == pl.Null:
            return values.cast(pl.Datetime("us", "UTC"))
        local = values
        if values.dtype == pl.String:
            local = values.str.to_datetime(pattern, time_unit="us", strict=False)
        times = (
            local.cast(pl.Datetime("us"))
            .dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
            .dt.convert_time_zone("UTC")
        )
        form = "ISO 8601" if pattern is None else pattern
        return self.keep(name, times, times.is_not_null(), f"a time ({form}) that {zone} has once", values)

    def keep(self, name: str, read: pl.Series, readable: pl.Series, expected: str, values: pl.Series) -> pl.Series:
        """Return what was read, null where it is not readable; complain where a value stood there."""
        broken = values.is_not_null() & ~readable
        self.complaints += complain_of_rows(self.file, name, broken, expected, values)
        return read.set(broken, None)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.astimezone(UTC)
