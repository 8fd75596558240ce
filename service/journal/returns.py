"""The automatic return: a bundle that errs or falls back too often is taken from listeners without an operator.

It is judged on what all workers saw of it since it came to its stage, while it is new there, and only after
enough requests. Whoever finds it wanting says so in one transaction that judges again, so that of many workers
one acts. A live bundle gives way to the one before it, a canary bundle to the live one. What it went back to was
not promoted just now, and is not returned from in turn: the service never goes back twice by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from service.clock import SECOND, Instant
from service.journal.audit import record_act
from service.journal.bundles import BundleRecord, go_back, live_bundle, mark_returned, read_bundle
from service.journal.measurements import Measured, read_measurements
from service.journal.revisions import advance, hold

ACTOR: Final = "automatic return"
ERROR: Final = "error"
"""The measure that counts requests, and those in which the bundle's models failed."""
FALLBACK: Final = "fallback"
"""The measure that counts choices, and those for which none of the policy's own songs was allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnBounds:
    """When a bundle is returned from."""

    error_share: float = 0.02
    """Of requests: more errors than this are too many."""
    fallback_share: float = 0.25
    """Of choices: more fallbacks than this are too many."""
    minimum_count: int = 50
    """Requests, or choices, below which nothing is concluded."""
    window_seconds: float = 3600.0
    """How long after it came to its stage a bundle is watched; 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnBundle:
    """Take a bundle from listeners if it still crosses a bound; answers what answers them now, or None.

    Raises, when called: StageConflict or CatalogueGap where there is no bundle to go back to.
    """

    version: str
    bounds: ReturnBounds
    at: Instant

    def __call__(self, sql: Connection) -> BundleRecord | None:
        hold(sql, "bundles")
        found = read_bundle(sql, self.version)
        reason = reason_to_return(sql, found, self.bounds, at=self.at)
        if reason is None:
            return None
        answering = go_back(sql, at=self.at) if found.stage == "live" else live_bundle(sql) or found
        mark_returned(sql, self.version, at=self.at, reason=reason)
        detail = {"revision": advance(sql, "bundles"), "reason": reason, "answering": answering.version}
        record_act(sql, at=self.at, actor=ACTOR, act="return", subject=self.version, detail=detail)
        return read_bundle(sql, answering.version)


def reason_to_return(sql: Connection, bundle: BundleRecord, bounds: ReturnBounds, *, at: Instant) -> str | None:
    """Return which bound a bundle crosses, in words; None if it crosses none, or is not watched."""
    on_trial = bundle.stage == "canary" or (bundle.stage == "live" and bundle.on_trial)
    if not on_trial or at > bundle.staged_at + round(bounds.window_seconds * SECOND):
        return None
    return crossed(read_measurements(sql, bundle.version, since=bundle.staged_at), bounds)


def crossed(measured: Mapping[str, Measured], bounds: ReturnBounds) -> str | None:
    """Return which bound is crossed, in words and numbers; None if none is."""
    for measure, bound, of in (
        (ERROR, bounds.error_share, "requests"),
        (FALLBACK, bounds.fallback_share, "choices"),
    ):
        found = measured.get(measure, Measured())
        if found.count >= bounds.minimum_count and found.total > bound * found.count:
            return f"{measure}: {found.total:g} of {found.count} {of}, more than {bound:.1%}"
    return None
