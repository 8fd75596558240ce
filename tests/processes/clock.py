"""A clock of one process's own, which a test may put back while the process runs: libfaketime, preloaded.

The production code knows nothing of it: the process asks the machine for the time, and gets another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))

needs_faketime = pytest.mark.skipif(not _LIBRARIES, reason="there is no libfaketime here: apt install faketime")


@dataclass(frozen=True)
class ProcessClock:
    """How far the clock of a process is from the machine's."""

    file: Path
    """What the process reads once a second."""

    def set(self, seconds: int) -> None:
        """Put the clock so many seconds ahead of the machine's, or behind it."""
        fresh = self.file.with_suffix(".fresh")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self.file)

    @property
    def environment(self) -> Mapping[str, str]:
        """What to start the process with; the monotonic clock is left alone, as it is when a clock is put back."""
        return {
            "LD_PRELOAD": str(_LIBRARIES[-1]),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
