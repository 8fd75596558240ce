"""Every error the service raises on purpose; none of them knows HTTP (one table at the door maps them).

AmrsError
├── NotFound                 nothing of that name is this listener's, or this app's, to see
│   ├── UnknownListener
│   ├── UnknownSession
│   ├── UnknownRecommendation    also: a token whose signature is not ours, or was made for another listener
│   ├── UnknownBundle
│   └── UnknownKey
├── Unauthorized             the caller presented no key, or one that opens nothing
├── Forbidden                the key is good, and does not open this
├── TooManyRequests          the key has used up what it may ask for just now
├── Conflict                 the request contradicts what already happened
│   ├── SessionEnded
│   ├── IdConflict           the same client id came with another body
│   ├── SongWithdrawn        a song that was withdrawn stays so, until an operator reinstates it by command
│   ├── StageConflict        a bundle cannot go from the stage it is in to the one asked for
│   └── ClinicalListener     a clinical listener was enrolled for canary bundles without saying so
├── StaleMemory              a song was chosen from a state older than SQL's; rebuild and choose again
│   └── StaleCatalogue       a song was chosen that SQL has withdrawn; choose again without it
├── DataError, UnknownSong   from the contract: the request breaks it
├── BundleError
│   └── CatalogueGap         an active song has no embedding in the bundle's space
└── Unavailable              from the contract: the journal cannot commit now; the same write may be retried
    └── ModelsFailed         the live bundle could not choose; another may stand there when it is retried
"""

from collections.abc import Collection

from models.errors import AmrsError, BundleError, Unavailable


class NotFound(AmrsError):
    """Nothing of that name belongs to this listener and this app."""


class UnknownListener(NotFound):
    """The app has no such listener."""


class UnknownSession(NotFound):
    """The listener has no such session."""


class UnknownRecommendation(NotFound):
    """The listener was never given such a recommendation, or its token was not made here."""


class UnknownBundle(NotFound):
    """No bundle of that version is registered."""


class UnknownKey(NotFound):
    """No access key of that id was ever made."""


class Unauthorized(AmrsError):
    """The caller presented no key, or one that opens nothing."""


class Forbidden(AmrsError):
    """The caller's key is good, and does not open this."""


class TooManyRequests(AmrsError):
    """The caller's key has used up what it may ask for just now."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"this key may ask again in {retry_after_seconds} s")


class Conflict(AmrsError):
    """The request contradicts what already happened."""


class SessionEnded(Conflict):
    """The session has ended."""


class IdConflict(Conflict):
    """The same client id came before with another body."""


class SongWithdrawn(Conflict):
    """A song that was withdrawn cannot be put back by putting it again."""


class StageConflict(Conflict):
    """A bundle cannot go from the stage it is in to the one asked for."""


class ClinicalListener(Conflict):
    """A clinical listener was to be enrolled for canary bundles as if they were not one."""


class StaleMemory(AmrsError):
    """A recommendation was computed from a state that SQL has left behind; rebuild and choose again."""


class StaleCatalogue(StaleMemory):
    """Songs were chosen that have been withdrawn since this worker last looked; choose again without them."""

    def __init__(self, song_ids: Collection[str]) -> None:
        super().__init__(f"{len(song_ids)} of the songs chosen have been withdrawn")
        self.song_ids = tuple(sorted(song_ids))


class CatalogueGap(BundleError):
    """An active song has no embedding in the space the bundle reads."""


class ModelsFailed(Unavailable):
    """The models of the live bundle failed on a request."""
