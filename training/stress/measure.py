"""What rollouts did: the song's own share of every true step, where songs alone led, what was shown and repeated.

A listener's affect drifts back to where it rests whatever is played, and no choice of song prevents that; so the
song's own effect is told apart from the drift. The platform is linear in affect: what a song added fades with the
listener's own inertia, and the sum of what is left is the *walk*, the distance from where silence would have led.

Legend: R rollouts · T steps · F songs without a truth · last axis 2: valence, arousal
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.guardrails import AFFECT_RULES, RUNG_RULES, GuardrailTable, Rule, Rung
from models.listening import NO_SONG, Listening, Mode, Population
from training.choosing import RUNGS
from training.platform import dynamics
from training.platform.truth import TrueState, Truth
from training.rollout import Rollouts
from training.stress.config import TOLERANCES


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Swings:
    """The true steps of rollouts, taken apart; NaN where no song was played or nobody knows what it does."""

    effect: Float[ndarray, "R T 2"]
    """What the song itself added."""
    drift: Float[ndarray, "R T 2"]
    """What would have come with any song."""
    walk: Float[ndarray, "R T 2"]
    """How far songs alone have led by then, from where drift alone would have."""

    @property
    def step(self) -> Float[ndarray, "R T 2"]:
        """The whole step."""
        return self.effect + self.drift


def true_swings(song: Int[ndarray, "R T"], state: TrueState, truth: Truth) -> Swings:
    """Return the true steps of the songs played, in the mean, one listener a rollout.

    Args:
        song: rows; beyond the truth's songs nothing is known, and they are taken to move nobody.
        state: where each listener stood at the start.
        truth: of the platform.
    """
    simulation = truth.simulation
    known = (song != NO_SONG) & (song < simulation.size.song_count)
    effect = truth.song_effect(state.listener, np.where(known, song, 0)) * known[..., None]
    inertia = simulation.listeners.inertia[state.listener][:, None]
    drift, walk = np.empty_like(effect), np.empty_like(effect)
    affect, led = state.affect, np.zeros_like(state.affect)
    for step in range(song.shape[1]):
        drifted = dynamics.drift(simulation.listeners, state.listener, affect)
        drift[:, step] = drifted - affect
        affect = drifted + effect[:, step]
        led = inertia * led + effect[:, step]
        walk[:, step] = led
    unknown = ~known
    for each in (effect, drift, walk):
        each[unknown] = np.nan
    return Swings(effect=effect, drift=drift, walk=walk)


def is_meaningful(
    effect: Float[ndarray, "*shape 2"], population: Int[ndarray, "*shape"]
) -> Bool[ndarray, "*shape"]:
    """Return which songs did more to a listener than one song may; False where nobody knows."""
    bounds = np.array([TOLERANCES[each].meaningful_step for each in Population])[population]
    with np.errstate(invalid="ignore"):
        return np.asarray((np.abs(effect[..., 1]) > bounds) | (effect[..., 0] < -bounds))


def stand_ins(
    listening: Listening, said: Float[ndarray, "R 2"], truth: Truth, rng: np.random.Generator
) -> TrueState:
    """Return true listeners who stand in for invented ones: drawn from the platform, feeling what was reported.

    Args:
        listening: the invented listeners; one of an unspecified population is stood in for by anybody.
        said: what each last reported; NaN where nothing was, and the stand-in rests where they usually do.
        truth: of the platform.
        rng: draws who.
    """
    listeners = truth.simulation.listeners
    rows = np.arange(listeners.listener_count)
    own = {each: rows[listeners.population == each] for each in Population}
    chosen = [
        int(rng.choice(own[Population(each)] if len(own[Population(each)]) else rows))
        for each in listening.population.tolist()
    ]
    listener = np.array(chosen, np.int64)
    return TrueState(listener=listener, affect=np.where(np.isnan(said), listeners.baseline[listener], said))


def played(rollouts: Rollouts) -> Bool[ndarray, "R T"]:
    """Return at which steps there was a song."""
    return rollouts.song != NO_SONG


def against_limits(rollouts: Rollouts) -> Bool[ndarray, "R T"]:
    """Return against which songs an affect rule speaks, by what is predicted."""
    return (rollouts.forbidden & int(AFFECT_RULES) > 0) & played(rollouts)


def on_rung(rollouts: Rollouts, *rungs: Rung) -> Bool[ndarray, "R T"]:
    """Return which steps were answered on the given rungs."""
    return np.isin(rollouts.rung, [RUNGS.index(rung) for rung in rungs])


def distinct_share(song: Int[ndarray, "R T"]) -> float:
    """Return distinct songs over songs played, in [0, 1]; 0 of none."""
    rows = song[song != NO_SONG]
    return len(np.unique(rows)) / len(rows) if len(rows) else 0.0


def top_share(song: Int[ndarray, "R T"], count: int = 10) -> float:
    """Return the share of plays that the most played songs take, in [0, 1]; 0 of none."""
    rows = song[song != NO_SONG]
    counts = np.sort(np.bincount(rows))[::-1] if len(rows) else np.zeros(1)
    return float(counts[:count].sum() / max(len(rows), 1))


def forbidden_returned(
    rollouts: Rollouts,
    listening: Listening,
    withdrawn: Bool[ndarray, " N"],
    table: GuardrailTable,
    keys: Int[ndarray, " N"],
) -> Int[ndarray, " R"]:
    """Return how many songs of each rollout should never have come back, on whichever rung.

    Withdrawn songs and songs heard too lately are found here anew, and not taken from the guardrails' own word;
    added to them are the songs against which a rule spoke that binds on their rung.
    """
    is_played = played(rollouts)
    binding = np.array([int(RUNG_RULES.get(rung, Rule(0))) for rung in RUNGS])[rollouts.rung]
    wrong = is_played & ((rollouts.forbidden & binding > 0) | withdrawn[np.maximum(rollouts.song, 0)])
    begin = listening.play_start[listening.session_start]
    for r in range(len(rollouts.song)):
        limits = table.limits_for(Population(int(rollouts.population[r])), Mode(int(rollouts.mode[r])))
        heard = listening.song[begin[r] : begin[r + 1]].tolist()
        for step in np.flatnonzero(is_played[r]):
            key = int(keys[rollouts.song[r, step]])
            wrong[r, step] |= bool(limits.song_gap) and key in heard[-limits.song_gap :]
            heard.append(key)
    return wrong.sum(axis=1)
