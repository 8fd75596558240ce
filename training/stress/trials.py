"""What is tried: typical and hostile listeners, twenty songs each, with and without guardrails.

Typical are the log's test listeners. Hostile are invented ones, over a catalogue in which some songs are withdrawn
and others lie far from all of training; where the platform is simulated, true listeners stand in for them, so
that what the songs would do is known of them too.

Legend: R rollouts · T steps
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from models.decoder import POLICY_ORDER
from models.guardrails import GuardrailTable
from models.listening import Mode, Population
from models.standing import anchors
from training.choosing import Setting
from training.material import Material
from training.policies.policy import Policy
from training.rollout import Advance, Rollouts, Start, roll_out
from training.situations import StartWindows, WindowConfig, draw_windows, listening_in
from training.stress.config import StressConfig
from training.stress.histories import Hostile, hostile_histories
from training.stress.measure import Swings, stand_ins, true_swings
from training.stress.songs import HostileSongs, hostile_songs
from training.stress.subject import Models, Subject

_SILENT: Final = np.array([np.nan, np.nan])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Walked:
    """Rollouts, and what their songs truly did; None where no truth is known."""

    rollouts: Rollouts
    swings: Swings | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Typical:
    """Test listeners, three times from the same starts."""

    windows: StartWindows
    policy: Walked
    guarded: Walked
    copycat: Walked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hostiles:
    """Invented listeners, twice from the same starts."""

    hostile: Hostile
    songs: HostileSongs
    policy: Walked
    guarded: Walked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """Everything that was tried, under one table of limits."""

    typical: Typical
    hostile: Hostiles
    table: GuardrailTable


def song_total(test_count: int, config: StressConfig) -> int:
    """Return how many songs are played to so many test listeners and to all hostile ones."""
    hostile = len(config.cases) * len(Mode) * len(Population) * config.draws
    return config.song_count * (3 * test_count * _rounds(test_count, config) + 2 * hostile)


def typical_trials(
    subject: Subject,
    material: Material,
    table: GuardrailTable,
    *,
    windows: WindowConfig,
    config: StressConfig,
    seed: int,
    advance: Advance,
) -> Typical:
    """Return what is played to the test listeners: the policy, the policy under guardrails, and Copycat."""
    listeners = material.split.test
    each = replace(windows, windows_per_listener=_rounds(len(listeners), config))
    begun = draw_windows(material.listening, listeners, each, np.random.default_rng([seed, 0]))
    state = None
    if material.truth is not None:
        state = material.truth.start(material.listener_rows[begun.listener], begun.stop)
    start = Start(listening=listening_in(material.listening, begun), truth=material.truth, state=state)
    models = subject.over(material.embeddings)
    setting = subject.setting(models, material.catalogue, table, song_count=config.song_count)

    def walked(policy: Policy, setting: Setting, *, guarded: bool) -> Walked:
        rng = np.random.default_rng([seed, 1])
        rollouts = roll_out(policy, start, setting, guarded=guarded, rng=rng, advance=advance)
        if start.truth is None or start.state is None:
            return Walked(rollouts=rollouts, swings=None)
        return Walked(rollouts=rollouts, swings=true_swings(rollouts.song, start.state, start.truth))

    return Typical(
        windows=begun,
        policy=walked(models.policy, setting, guarded=False),
        guarded=walked(models.policy, setting, guarded=True),
        copycat=walked(models.copycat, replace(setting, decoder=POLICY_ORDER), guarded=False),
    )


def hostile_trials(
    subject: Subject,
    material: Material,
    table: GuardrailTable,
    *,
    config: StressConfig,
    seed: int,
    advance: Advance,
) -> Hostiles:
    """Return what is played to invented listeners."""
    rng = np.random.default_rng([seed, 2])
    songs = hostile_songs(material.catalogue.songs, material.embeddings, material.heard, rng)
    hostile = hostile_histories(
        config.cases, songs.ordinary, songs.far, subject.context, draws=config.draws, rng=rng
    )
    start = Start(listening=hostile.listening, truth=None, state=None)  # far songs have no truth to walk beside
    said, reported = anchors(hostile.listening, np.broadcast_to(_SILENT, (len(hostile.case), 2)))
    state = None
    if material.truth is not None:
        state = stand_ins(hostile.listening, np.where(reported[:, None], said, np.nan), material.truth, rng)
    models: Models = subject.over(songs.embeddings)
    setting = subject.setting(models, songs.catalogue, table, song_count=config.song_count)

    def walked(*, guarded: bool) -> Walked:
        rng = np.random.default_rng([seed, 3])
        rollouts = roll_out(models.policy, start, setting, guarded=guarded, rng=rng, advance=advance)
        if material.truth is None or state is None:
            return Walked(rollouts=rollouts, swings=None)
        return Walked(rollouts=rollouts, swings=true_swings(rollouts.song, state, material.truth))

    return Hostiles(hostile=hostile, songs=songs, policy=walked(guarded=False), guarded=walked(guarded=True))


def _rounds(listener_count: int, config: StressConfig) -> int:
    return max(1, config.typical_rollouts // max(listener_count, 1))
