"""The limits of a subject: quantiles of what Copycat's songs would do, tightened where the truth is known.

Legend: S situations · K candidates
"""

from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from models.decoder import Decoder
from models.guardrails import Candidates, GuardrailTable, affect_steps
from models.ladder import WIDER
from models.listening import Mode
from training.choosing import Setting
from training.limits import ProposedSteps, approved_songs, derive_limits, mean_reports
from training.material import Material
from training.rollout import Start, proposals
from training.situations import WindowConfig, draw_choices, listening_in
from training.stages import no_limits
from training.stress.config import StressConfig
from training.stress.histories import in_mode
from training.stress.subject import Subject
from training.stress.tolerated import Tightened, TrueMoments, tightened_table

_AFFECT_LIMITS: Final = 4
"""Rise, fall, band and valence fall: each may leave its share of what may fall back."""


def derived_table(
    subject: Subject, material: Material, windows: WindowConfig, config: StressConfig, rng: np.random.Generator
) -> tuple[GuardrailTable, tuple[Tightened, ...]]:
    """Return the limits under which the subject is to serve, and how the truth had a say in them.

    Args:
        subject: whose limits.
        material: its training listeners give the quantiles; the truth is asked of validation listeners as well.
        windows: how far back a situation is looked at.
        config: how many situations, and what is tolerated.
        rng: draws them.
    """
    first = quantile_limits(subject, material, windows, config, rng)
    if material.truth is None:
        return first, ()
    return tightened_table(first, _true_moments(subject, material, first, windows, config, rng), config)


def quantile_limits(
    subject: Subject, material: Material, windows: WindowConfig, config: StressConfig, rng: np.random.Generator
) -> GuardrailTable:
    """Return the limits that what Copycat would play to training listeners, over some songs, suggests."""
    train = material.listening.select(material.split.train)
    priors = mean_reports(train)
    start = _choices(material, material.split.train, windows, config, rng)
    models = subject.over(material.embeddings)
    setting = _wider(
        subject.setting(models, material.catalogue, no_limits(priors), song_count=config.derivation_songs)
    )
    candidates, standing = proposals(models.copycat, start, setting, rng)
    songs = material.log.songs
    return derive_limits(
        ProposedSteps(
            steps=affect_steps(candidates, standing), standing=standing, first_count=subject.candidate_count
        ),
        share_emptied=config.most_fallback / _AFFECT_LIMITS,
        support=subject.support,
        priors=priors,
        approved=approved_songs(
            train,
            material.catalogue.rows(train.song),
            songs["song_id"].to_list(),
            songs["tag_arousal"].fill_null(np.nan).to_numpy().astype(np.float64),
        ),
    )


def _true_moments(
    subject: Subject,
    material: Material,
    table: GuardrailTable,
    windows: WindowConfig,
    config: StressConfig,
    rng: np.random.Generator,
) -> TrueMoments:
    """Return what the policy would propose to training and validation listeners, had they asked for any mode."""
    listeners = np.sort(np.concatenate([material.split.train, material.split.validation]))
    start = _choices(material, listeners, windows, config, rng)
    assert material.truth is not None
    assert start.state is not None
    count = start.listening.listener_count
    mode = rng.permutation(np.arange(count) % len(Mode))
    asked = replace(start, listening=in_mode(start.listening, mode))
    models = subject.over(material.embeddings)
    setting = _wider(subject.setting(models, material.catalogue, table, song_count=config.derivation_songs))
    candidates, standing = proposals(models.policy, asked, setting, rng)
    candidates = _decoded(candidates, np.tile(mode, config.derivation_songs), subject.decoder)
    again = config.derivation_songs  # proposals stand step by step, every start in each
    return TrueMoments(
        candidates=candidates,
        standing=standing,
        mode=np.tile(mode, again),
        population=np.tile(start.listening.population, again),
        effect=material.truth.song_effect(
            np.tile(start.state.listener, again), material.catalogue.rows(candidates.song)
        ),
    )


def _wider(setting: Setting) -> Setting:
    """Return the setting in which all candidates of the ladder's first two rungs are proposed."""
    return replace(setting, candidate_count=WIDER * setting.candidate_count)


def _decoded(candidates: Candidates, mode: Int[ndarray, " S"], decoder: Decoder) -> Candidates:
    """Return the candidates in the decoder's order."""
    shown = np.zeros(candidates.song.shape, np.int64)
    dealt = decoder.deal(candidates.score, candidates.predicted, shown, mode)
    order = np.argsort(-dealt, axis=1, kind="stable")
    flat = {
        name: np.take_along_axis(getattr(candidates, name), order, axis=1)
        for name in ("song", "artist", "blocked", "support_distance")
    }
    return Candidates(
        score=np.take_along_axis(dealt, order, axis=1),
        predicted=np.take_along_axis(candidates.predicted, order[:, None, :, None], axis=2),
        **flat,
    )


def _choices(
    material: Material,
    listeners: Int[ndarray, " b"],
    windows: WindowConfig,
    config: StressConfig,
    rng: np.random.Generator,
) -> Start:
    """Return situations in which a logged song was chosen, at most as many as asked for, spread over listeners."""
    each = replace(windows, windows_per_listener=max(1, -(-config.derivation_starts // max(len(listeners), 1))))
    drawn = draw_choices(material.listening, listeners, each, rng)
    kept = np.sort(rng.permutation(len(drawn))[: config.derivation_starts])
    chosen = replace(drawn, listener=drawn.listener[kept], first=drawn.first[kept], stop=drawn.stop[kept])
    state = None
    if material.truth is not None:
        state = material.truth.start(material.listener_rows[chosen.listener], chosen.stop)
    return Start(listening=listening_in(material.listening, chosen), truth=material.truth, state=state)
