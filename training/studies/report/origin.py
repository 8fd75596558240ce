"""Where a report's numbers come from, so that they can be made again: log, code, scale, command and machine."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version

from models.log import Log
from training.code_version import code_version
from training.studies.scales import Scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What stands at the head of a report."""

    log_name: str
    log_digest: str
    simulated: bool
    listener_count: int
    """Of those who consented."""
    session_count: int
    play_count: int
    song_count: int
    scale: Scale
    commit: str
    command: str
    """LOG stands for the log's folder."""
    machine: str

    @property
    def log_in_words(self) -> str:
        """What kind of log it is, in a sentence no reader can miss."""
        if self.simulated:
            return "Simulated: every listener in this log was invented by a program."
        return "Real listeners: what they felt beyond what they reported is unknown."

    def facts(self) -> list[tuple[str, str]]:
        """Return the head of a report, line by line."""
        counts = (
            f"{self.listener_count:,} listeners, {self.session_count:,} sessions, {self.play_count:,} plays, "
            f"{self.song_count:,} songs"
        )
        scale = self.scale
        repeated = f"splits 0 to {scale.splits - 1}, seeds 0 to {scale.seeds - 1}"
        return [
            ("log", f"{self.log_name} ({counts})"),
            ("digest of the log", self.log_digest),
            ("scale", f"{scale.name}: preset {scale.preset.name}, {repeated}"),
            ("commit", self.commit),
            ("command", self.command),
            ("machine", self.machine),
        ]


def origin_of(log: Log, digest: str, scale: Scale, command: str) -> Origin:
    """Return where the numbers of a study on this log come from."""
    return Origin(
        log_name=log.description.name,
        log_digest=digest,
        simulated=log.description.simulated,
        listener_count=len(log.listening_ids()),
        session_count=len(log.sessions),
        play_count=len(log.plays),
        song_count=len(log.songs),
        scale=scale,
        commit=code_version(),
        command=command,
        machine=_machine(),
    )


def _machine() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "torch"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}"
