"""Processes that belong together, wherever they went: found again, stopped where they are, and ended for sure.

What a peer starts may start others and leave its group, as Ray's processes do. All inherit one variable of the
environment, and by it they are found, and by their parents: some write their title over their environment. Read
from `/proc`, so on Linux alone.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Final
from uuid import uuid4

MARK: Final = "AMRS_PEER_RUN"
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Belonging:
    """The processes that were started with one mark, and those that they started."""

    mark: str = field(default_factory=lambda: uuid4().hex)

    @contextmanager
    def inherited(self) -> Iterator[None]:
        """Let what this process starts meanwhile belong to them."""
        os.environ[MARK] = self.mark
        try:
            yield
        finally:
            del os.environ[MARK]

    def ids(self) -> list[int]:
        """Return the id of each."""
        wanted = f"{MARK}={self.mark}".encode()
        parents: dict[int, int] = {}
        found: set[int] = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):  # it ended meanwhile, or is somebody else's
                    parents[int(entry.name)] = int(_stat(entry)[1])
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        found.add(int(entry.name))
        while more := {child for child, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def cpu_seconds(self) -> float:
        """Return the processor time of those that run, in seconds."""
        ticks = 0
        for process in self.ids():
            with suppress(OSError):
                ticks += sum(map(int, _stat(Path("/proc", str(process)))[11:13]))
        return ticks / _TICKS

    def stand_still(self) -> None:
        """Stop each where it is: it takes no time from another's measurement."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let each go on."""
        self._signal(signal.SIGCONT)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """End each that is left after the block; the block may ask them politely, and collect its own children."""
        handles = []
        for process in self.ids():
            with suppress(ProcessLookupError):
                handles.append(os.pidfd_open(process))
        try:
            yield
        finally:
            for handle in handles:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                os.close(handle)
            while self._are_alive():
                self._signal(signal.SIGKILL)
                sleep(0.05)

    def _are_alive(self) -> bool:
        return any(_is_alive(process) for process in self.ids())

    def _signal(self, number: int) -> None:
        for process in self.ids():
            with suppress(ProcessLookupError):
                os.kill(process, number)


def _stat(entry: Path) -> list[bytes]:
    """Return the fields of a process that follow its name: its state, its parent, …"""
    return (entry / "stat").read_bytes().rpartition(b") ")[2].split()


def _is_alive(process: int) -> bool:
    with suppress(OSError):
        return _stat(Path("/proc", str(process)))[0] not in b"ZX"
    return False
