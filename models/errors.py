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


class AmrsError(Exception):
    """The root of every error raised on purpose; its message says what was expected and what came."""


class ConfigError(AmrsError):
    """Two settings contradict each other; raised before any work is done."""


class DataError(AmrsError):
    """A log, a history or a song breaks the data contract."""


class UnknownSong(DataError):
    """A song that the catalogue does not hold."""


class BundleError(AmrsError):
    """A bundle is missing, altered, of another schema, or fails its golden cases."""


class GateError(BundleError):
    """A bundle whose gates did not pass was asked to be promoted."""


class Unavailable(AmrsError):
    """Something outside did not answer in time; the caller may retry or fall back."""
