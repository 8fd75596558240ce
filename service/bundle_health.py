"""A bundle's health over all workers: what answers with it, what it showed at its stage, and how it drifts."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from models.affect import SIGNALS
from models.bundle import Bundle
from service.clock import Instant
from service.drift import WINDOW_DAYS, Figure, figures
from service.journal.bundles import BundleRecord, read_bundle
from service.journal.measurements import DAY, FIELD, Measured, read_measurements
from service.journal.replicas import ReplicaRecord, read_replicas
from service.journal.returns import ERROR, FALLBACK
from service.recommend.differences import (
    DROPPED,
    OVERLAP,
    RUNGS,
    SAME_SONG,
    apart_measure,
    rung_measure,
    signed_measure,
)
from service.recommend.differences import ERROR as SHADOW_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What listeners met of a bundle since it came to its stage, in canary or live."""

    requests: int
    errors: int
    choices: int
    fallbacks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadowed:
    """What a bundle would have given since it came into shadow, beside what was given; shares are None before."""

    compared: int
    dropped: int
    errors: int
    same_song_share: float | None
    overlap: float | None
    """Mean share of the first ten songs that both put first."""
    rungs: Mapping[str, int]
    """How often it fell back or refused more, or less."""
    predicted: Mapping[str, tuple[float, float]]
    """Signal → how much higher it predicts it of the song that was given, and how far apart the two are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleHealth:
    """How a bundle fares."""

    record: BundleRecord
    replicas: tuple[ReplicaRecord, ...]
    served: Served
    shadowed: Shadowed
    drift: Mapping[str, Figure]


def read_health(sql: Connection, version: str, bundle: Bundle | None, *, at: Instant) -> BundleHealth:
    """Return how a bundle fares, as all workers told.

    Args:
        sql: one moment of the database.
        version: the bundle's.
        bundle: the bundle, for what its predictions were like in training; None where it is not at hand.
        at: now.

    Raises:
        UnknownBundle: none of that version is registered.
    """
    record = read_bundle(sql, version)
    staged = read_measurements(sql, version, since=record.staged_at)
    field = read_measurements(sql, version, since=FIELD, from_day=at - WINDOW_DAYS * DAY)
    reference, level = (None, None) if bundle is None else (bundle.reference, bundle.calibration.level)
    return BundleHealth(
        record=record,
        replicas=tuple(read_replicas(sql, at=at)),
        served=_served(staged),
        shadowed=_shadowed(staged),
        drift=figures(field, reference, level=level),
    )


def _served(measured: Mapping[str, Measured]) -> Served:
    error, fallback = measured.get(ERROR, Measured()), measured.get(FALLBACK, Measured())
    return Served(
        requests=error.count, errors=round(error.total), choices=fallback.count, fallbacks=round(fallback.total)
    )


def _shadowed(measured: Mapping[str, Measured]) -> Shadowed:
    def of(measure: str) -> Measured:
        return measured.get(measure, Measured())

    pairs = {signal: (of(signed_measure(signal)).mean, of(apart_measure(signal)).mean) for signal in SIGNALS}
    return Shadowed(
        compared=of(SAME_SONG).count,
        dropped=of(DROPPED).count,
        errors=round(of(SHADOW_ERROR).total),
        same_song_share=of(SAME_SONG).mean,
        overlap=of(OVERLAP).mean,
        rungs={difference: round(of(rung_measure(difference)).total) for difference in RUNGS},
        predicted={
            signal: (higher, apart)
            for signal, (higher, apart) in pairs.items()
            if higher is not None and apart is not None
        },
    )
