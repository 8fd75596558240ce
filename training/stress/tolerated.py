"""Limits under which true steps stay tolerable: where the truth is known, it may tighten what quantiles allow.

For each population and mode the limits on steps are taken down together, a tenth at a time, until songs that do
more than one song may (a meaningful step) are played no more often than tolerated. They stop where the policy's
own two rungs would leave too many situations without a song: a guardrail under which all falls back has failed.
Truth never widens a limit, and whoever's population is not known has clinical limits.

Legend: S situations · K candidates of the first two rungs, best first · last axis 2: valence, arousal
"""

from dataclasses import dataclass, fields
from itertools import product
from typing import Final, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.guardrails import (
    Candidates,
    GuardrailTable,
    Limits,
    Rule,
    Standing,
    affect_steps,
    limit_columns,
    vetoes,
)
from models.listening import Mode, Population
from training.stress.config import TOLERANCES, StressConfig
from training.stress.measure import is_meaningful

TIGHTENINGS: Final = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
"""Factors of the limits on steps, widest first."""
_STEP_RULES: Final = Rule.AROUSAL_STEP | Rule.VALENCE_DROP
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueMoments:
    """Situations in which a policy proposed songs whose true effect is known."""

    candidates: Candidates
    standing: Standing
    mode: Int[ndarray, " S"]
    population: Int[ndarray, " S"]
    effect: Float[ndarray, "S K 2"]
    """What each candidate would truly add to affect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tightened:
    """What the truth made of one population's limits in one mode."""

    population: Population
    mode: Mode
    factor: float
    situations: int
    meaningful_before: float
    """Share of first allowed songs with a meaningful step, under the limits that quantiles gave."""
    meaningful: float
    """The same under the limits as tightened."""
    fallback: float
    """Share of situations in which the policy's own rungs would have no song."""
    tolerated: bool
    """Whether the share is within what is tolerated."""


def tightened_table(
    table: GuardrailTable, moments: TrueMoments, config: StressConfig
) -> tuple[GuardrailTable, tuple[Tightened, ...]]:
    """Return the table with limits tightened as the truth asks, and what was found for each.

    Args:
        table: as quantiles gave it.
        moments: of training and validation listeners, in every mode.
        config: how much fallback is bearable.
    """
    found: dict[tuple[Population, Mode], Tightened | None] = {}
    limits = {population.label: dict(table.limits[population.label]) for population in Population}
    for population, mode in product((Population.CONSUMER, Population.CLINICAL), Mode):
        base = table.limits_for(population, mode)
        here = found[population, mode] = _tightening(
            base, _of(moments, population, mode), population, mode, config
        )
        limits[population.label][mode.label] = base if here is None else scaled(base, here.factor)
    for mode in Mode:  # never wider than a consumer's
        clinical = limits[Population.CLINICAL.label][mode.label]
        strict = clinical.tightened(limits[Population.CONSUMER.label][mode.label])
        limits[Population.CLINICAL.label][mode.label] = limits[Population.UNSPECIFIED.label][mode.label] = strict
    tightened = tuple(each for each in found.values() if each is not None)
    return table.model_copy(update={"limits": limits}), tightened


def scaled(limits: Limits, factor: float) -> Limits:
    """Return the limits with those on steps multiplied; the envelope and the rest stay."""
    steps = ("arousal_rise", "arousal_fall", "valence_fall")
    return limits.model_copy(update={name: round(getattr(limits, name) * factor, _DIGITS) for name in steps})


def _tightening(
    base: Limits, moments: TrueMoments, population: Population, mode: Mode, config: StressConfig
) -> Tightened | None:
    """Return the loosest tightening that is tolerated, else the tightest bearable one; None of no situation."""
    if not len(moments.mode):
        return None
    needed = factor_needed(moments.candidates, moments.standing, base)
    shares = [_shares(needed <= factor, moments) for factor in TIGHTENINGS]
    tolerance = TOLERANCES[population].meaningful_share
    bearable = [place for place, (_, fallback) in enumerate(shares) if fallback <= config.most_fallback] or [0]
    tolerated = [place for place in bearable if shares[place][0] <= tolerance]
    chosen = tolerated[0] if tolerated else bearable[-1]
    return Tightened(
        population=population,
        mode=mode,
        factor=TIGHTENINGS[chosen],
        situations=len(moments.mode),
        meaningful_before=shares[0][0],
        meaningful=shares[chosen][0],
        fallback=shares[chosen][1],
        tolerated=bool(tolerated),
    )


def factor_needed(candidates: Candidates, standing: Standing, base: Limits) -> Float[ndarray, "S K"]:
    """Return the smallest factor of the limits on steps that allows each candidate; infinite where none does."""
    steps = affect_steps(candidates, standing)
    columns = limit_columns([base] * len(candidates.song))
    others = vetoes(candidates, steps, standing, columns) & ~int(_STEP_RULES)
    worst = columns.caution[:, None, None] * steps.spread  # (S, K, 2)
    unreported = np.where(standing.reported, 1.0, columns.unreported_factor)[:, None]
    needed = np.maximum.reduce(
        [
            (steps.step[..., 1] + worst[..., 1]) / base.arousal_rise,
            (worst[..., 1] - steps.step[..., 1]) / base.arousal_fall,
            (worst[..., 0] - steps.step[..., 0]) / base.valence_fall,
        ]
    )
    return np.where((others == 0) & np.isfinite(needed), needed / unreported, np.inf)


def _shares(allowed: Bool[ndarray, "S K"], moments: TrueMoments) -> tuple[float, float]:
    """Return the share of first allowed songs that do more than one may, and that of situations without one."""
    has_song = allowed.any(axis=1)
    if not has_song.any():
        return 0.0, 1.0
    first = allowed.argmax(axis=1)
    effect = moments.effect[np.arange(len(first)), first]
    meaningful = is_meaningful(effect, moments.population)
    return float(meaningful[has_song].mean()), float(1 - has_song.mean())


Columns = TypeVar("Columns", Candidates, Standing)


def _of(moments: TrueMoments, population: Population, mode: Mode) -> TrueMoments:
    """Return the situations of one population and mode."""
    chosen = (moments.mode == mode) & (moments.population == population)
    return TrueMoments(
        candidates=_rows(moments.candidates, chosen),
        standing=_rows(moments.standing, chosen),
        mode=moments.mode[chosen],
        population=moments.population[chosen],
        effect=moments.effect[chosen],
    )


def _rows(columns: Columns, chosen: Bool[ndarray, " S"]) -> Columns:
    return type(columns)(**{field.name: getattr(columns, field.name)[chosen] for field in fields(columns)})
