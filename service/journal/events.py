"""What a committed write changed for its listener: the same facts that SQL now holds, for memory to follow.

Each event carries the sequence SQL gave its write; one write of a listener is one event and one sequence.
Frozen, and packed as arrays: they travel to Redis and back.

Union: SessionStarted | SongsOffered | SongPlayed | ModeChanged | SessionEnded | BlockChanged | ConsentChanged
"""

import msgspec

from service.clock import Instant

Report = tuple[float, float]
"""Valence and arousal in [0, 1]."""


def report_of(valence: float | None, arousal: float | None) -> Report | None:
    """Return a report as its two columns hold it; half a report is none."""
    return None if valence is None or arousal is None else (valence, arousal)


class Committed(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag=True):
    """One write of one listener, as SQL numbered it."""

    sequence: int
    active_at: Instant
    """When the listener last did something in the open session: what the idle limit counts from."""


class SessionStarted(Committed, frozen=True, array_like=True, kw_only=True, tag=True):
    """A session began; its number is the sequence. One still open ended with it."""

    session_id: str
    mode: int
    started_at: Instant
    before: Report | None
    context: dict[str, str | float]
    population: int


class Offer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One song handed out; what the repetition rule counts."""

    song: int
    artist: int
    offered_at: Instant


class SongsOffered(Committed, frozen=True, array_like=True, kw_only=True, tag=True):
    """Songs were handed out in the open session; none, where no song was allowed."""

    session_number: int
    next_position: int
    offers: tuple[Offer, ...]


class Play(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the feedback on one recommendation says, all events together."""

    position: int
    song: int
    mode: int
    engagement: float | None
    rating: int | None
    played_at: Instant


class SongPlayed(Committed, frozen=True, array_like=True, kw_only=True, tag=True):
    """Feedback came: the play as it now stands. `late` holds the offer of a row that came with its feedback."""

    session_number: int
    play: Play
    late: Offer | None


class ModeChanged(Committed, frozen=True, array_like=True, kw_only=True, tag=True):
    """The listener asked for another mode; `mode` is the one now in force."""

    session_number: int
    mode: int


class SessionEnded(Committed, frozen=True, array_like=True, kw_only=True, tag=True):
    """A session ended, or the report of one that had ended came late."""

    session_number: int
    after: Report | None


class BlockChanged(Committed, frozen=True, array_like=True, kw_only=True, tag=True):
    """The listener must, or may again, be given a song, an artist or a tag."""

    kind: str
    value: str
    blocked: bool


class ConsentChanged(Committed, frozen=True, array_like=True, kw_only=True, tag=True):
    """The listener consented to training, or no longer does: no concern of memory's but for the sequence."""


Event = SessionStarted | SongsOffered | SongPlayed | ModeChanged | SessionEnded | BlockChanged | ConsentChanged
