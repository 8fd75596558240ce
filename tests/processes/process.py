"""One program in a process of its own, with what may befall it: SIGTERM, SIGKILL, SIGSTOP, and another start."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_connection, socket
from time import monotonic, sleep

START_SECONDS = 60.0
"""A machine that runs four test processes at once is slow; a start that takes longer is a failure."""


def free_port() -> int:
    """Return a port nobody listens on just now."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        with create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@dataclass
class Process:
    """A program that can be started more than once."""

    name: str
    command: list[str]
    answers: Callable[[], bool]
    """Whether it has come up."""
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    """Who runs it; None: whoever runs the tests."""
    running: "subprocess.Popen[bytes] | None" = None

    def start(self, *, wait: bool = True) -> "Process":
        """Start it, and wait until it answers."""
        assert self.running is None, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **({"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}),
            )
        if wait:
            self.await_start()
        return self

    def await_start(self) -> None:
        """Wait until it answers; what it said meanwhile is in the failure."""
        until = monotonic() + START_SECONDS
        while not self.answers():
            assert self.running is not None
            assert self.running.poll() is None, f"{self.name} ended at once:\n{self.said()}"
            assert monotonic() < until, f"{self.name} did not come up:\n{self.said()}"
            sleep(0.02)

    def said(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        """Let it die at once, children and all, as the kernel would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait; nothing happens if it has ended already."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it hold its connections and say nothing any more."""
        self._signal(signal.SIGSTOP, self._family())

    def thaw(self) -> None:
        """Let it go on where it was."""
        self._signal(signal.SIGCONT, self._family())

    def _end(self, how: signal.Signals) -> None:
        if self.running is None:
            return
        self.thaw()
        self._signal(how, self._family() if how is signal.SIGKILL else self._family()[:1])
        try:
            self.running.wait(30)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
        finally:
            self.running = None

    @staticmethod
    def _signal(how: signal.Signals, family: list[int]) -> None:
        for pid in family:
            with suppress(ProcessLookupError):  # a child may have ended meanwhile
                os.kill(pid, how)

    def _family(self) -> list[int]:
        """Return the process and its descendants, itself first."""
        if self.running is None or self.running.poll() is not None:
            return []
        return list(_descendants(self.running.pid))


def _descendants(pid: int) -> Iterable[int]:
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _descendants(int(child))
