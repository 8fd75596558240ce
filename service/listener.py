"""Who is listening: a listener belongs to an app, and the same id in two apps is two listeners."""

from typing import Final, NamedTuple

DEFAULT_APP: Final = "default"
"""The app of every caller until access keys name others."""


class ListenerKey(NamedTuple):
    """The name of one listener within the whole service."""

    app_id: str
    listener_id: str

    def __str__(self) -> str:
        return f"{self.app_id}:{self.listener_id}"
