"""Every error the project raises on purpose.

AmrsError
├── ConfigError          two settings contradict each other; raised before any work
├── DataError            a log, a history or a song breaks the data contract
│   ├── LogError         one or more places in a listening log are wrong; carries every complaint
│   └── UnknownSong      a song key or id that the catalogue does not hold
├── BundleError          a bundle is missing, altered, of another schema, or fails its golden cases
│   └── GateError        a bundle whose gates did not pass was asked to be promoted
└── Unavailable          something outside did not answer in time; retry or fall back
"""

from collections.abc import Sequence
from dataclasses import dataclass


class AmrsError(Exception):
    """The root of every error raised on purpose; its message says what was expected and what came."""


class ConfigError(AmrsError):
    """Two settings contradict each other; raised before any work is done."""


class DataError(AmrsError):
    """A log, a history or a song breaks the data contract."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One place in a listening log, or in files being imported into one, and what is wrong there."""

    file: str
    row: int | None
    """The row counted from 0, headers not counted; None when the whole file is meant."""
    column: str | None
    expected: str
    found: str
    more_rows: int = 0
    """How many further rows break the same rule, beyond those that have a complaint of their own."""

    def __str__(self) -> str:
        place = self.file
        place += "" if self.row is None else f", row {self.row}"
        place += "" if self.column is None else f", column {self.column}"
        more = f" (and {self.more_rows:,} more rows)" if self.more_rows else ""
        return f"{place}: expected {self.expected}, found {self.found}{more}"


class LogError(DataError):
    """One or more places in a listening log are wrong; carries every complaint."""

    shown_count = 5
    """How many complaints the message spells out."""

    def __init__(self, name: str, complaints: Sequence[Complaint]) -> None:
        self.complaints = tuple(complaints)
        shown = [f"  {complaint}" for complaint in self.complaints[: self.shown_count]]
        rest = len(self.complaints) - len(shown)
        if rest:
            shown.append(f"  ... and {rest} further complaints")
        super().__init__("\n".join([f"{name}: complaints: {len(self.complaints)}", *shown]))


class UnknownSong(DataError):
    """A song that the catalogue does not hold."""


class BundleError(AmrsError):
    """A bundle is missing, altered, of another schema, or fails its golden cases."""


class GateError(BundleError):
    """A bundle whose gates did not pass was asked to be promoted."""


class Unavailable(AmrsError):
    """Something outside did not answer in time; the caller may retry or fall back."""
