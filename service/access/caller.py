"""Callers: which app speaks, and what it may do here."""

from dataclasses import dataclass
from enum import StrEnum

from models.errors import DataError


class Scope(StrEnum):
    """What a key opens."""

    APP = "app"
    """The app's own listeners: sessions, songs, feedback, blocks, consent, erasure."""
    OPERATOR = "operator"
    """The songs, the bundles, the numbers; the audit and exports as well."""
    AUDITOR = "auditor"
    """To read: the audit, exports, bundles, numbers."""


EVERY_SCOPE = frozenset(Scope)


def scopes_named(names: str) -> frozenset[Scope]:
    """Return the scopes that a text names, separated by commas.

    Raises:
        DataError: a name is no scope's.
    """
    given = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in given if name not in set(Scope)]
    if unknown:
        raise DataError(f"scope: expected one or more of {', '.join(Scope)}, got {unknown[0]!r}")
    return frozenset(Scope(name) for name in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever sent a request."""

    app_id: str
    """The app whose listeners the caller may see, and no others."""
    scopes: frozenset[Scope]
    name: str
    """How the audit and the limits name the caller; no secret."""
    is_limited: bool = True
    """Whether the rate limit holds for the caller."""
