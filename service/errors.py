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
│   └── StageConflict        a bundle cannot go from the stage it is in to the one asked for
├── StaleMemory              a song was chosen from a state older than SQL's; rebuild and choose again
├── DataError, UnknownSong   from the contract: the request breaks it
├── BundleError
│   └── CatalogueGap         an active song has no embedding in the bundle's space
└── Unavailable              from the contract: the journal cannot commit now; the same write may be retried
"""

from models.errors import AmrsError, BundleError


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


class StageConflict(Conflict):
    """A bundle cannot go from the stage it is in to the one asked for."""


class StaleMemory(AmrsError):
    """A recommendation was computed from a state that SQL has left behind; rebuild and choose again."""


class CatalogueGap(BundleError):
    """An active song has no embedding in the space the bundle reads."""
