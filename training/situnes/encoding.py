"""The world model's encoding of what a listener did and said, for interactions that are to be predicted.

A world model is trained on known interactions alone: each is a session of one song, with the situation and the
report that the task may see, and the rating and the report that followed. An interaction to be predicted is a
session that has just begun, after the listener's known ones, and a candidate song.

A history is what is known of the listener **earlier** than the interaction, as a service would have it. The
published splits are drawn at random, so more is known that lies later; but a summary of all the listener's other
interactions betrays the one left out to whoever also knows the listener's mean.

Histories keep their order but not their dates: the laboratory's songs were heard in one sitting, and the last
stage begins months after what is known, so time passed would tell one stage from another and nothing else.

Legend: N interactions · B listeners · S sessions · C situation columns · M members · I songs · K song width
· E encoding width
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from models.affect import SIGNED, Signal
from models.catalogue import gather
from models.context import ClockField, ContextSchema, NumberField
from models.listening import Listening
from models.tokens import feature_names, tokenise
from training.linear_fit import LinearFit
from training.networks.encoder import EncoderConfig
from training.networks.reading import ReadingConfig, fit_reading
from training.networks.world import Ensemble, WorldModelConfig
from training.situnes.benchmark import SITUATION, SOUND, Rows, Songs
from training.splits import Split
from training.windows import Histories
from training.world_model import WorldTrainingConfig, train_world_model

_CHINA_HOURS: Final = 8
_MOST_DEVIATIONS: Final = 4.0
_FOLDS: Final = 4
_SHOWN: Final = tuple(place for place, name in enumerate(SITUATION) if not name.startswith("GPS"))
"""Places are left out: the authors rescaled them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What of an interaction may be seen before its song, besides the listener and the song."""

    situation: bool
    """The published situation columns, and the hour of the day."""
    before: bool
    """The report before the song."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingConfig:
    """The world models behind an encoding."""

    reading: ReadingConfig
    architecture: WorldModelConfig
    training: WorldTrainingConfig
    members: int
    """M; each is stopped early on listeners of its own."""
    probes: int
    """Songs of which everybody is asked."""


ENCODING: Final = EncodingConfig(
    reading=ReadingConfig(components=24),
    architecture=WorldModelConfig(encoder=EncoderConfig(width=32, dropout=0.3), hidden=32),
    training=WorldTrainingConfig(
        lookback=160,
        epochs=6,
        batch_size=8,
        learning_rate=1e-3,
        linear=LinearFit(summary_penalty=50.0, song_penalty=300.0, effect_penalty=300.0),
    ),
    members=2,
    probes=12,
)
"""Small: thirty listeners with some twenty interactions each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """What the world models say of N interactions."""

    expected: Float[ndarray, "N 3"]
    """Logits of rating, valence and arousal of the song at hand; means over the members."""
    outlook: Float[ndarray, "N E"]
    """The same of every probe song: the state, in a form that does not depend on a network's own axes."""

    def take(self, rows: Int[ndarray, " n"]) -> "Encoded":
        """Return the given interactions."""
        return Encoded(expected=self.expected[rows], outlook=self.outlook[rows])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HistoryEncoding:
    """Trained world models, and the interactions they know."""

    ensemble: Ensemble
    vectors: Float[ndarray, "I K"]
    """The songs as the world models read them."""
    probes: Int[ndarray, " p"]
    """The songs of which everybody is asked."""
    view: "_View"

    @torch.inference_mode()
    def encode(self, rows: Rows, known: Rows) -> Encoded:
        """Return what the world models say of interactions after those known of the same listeners before them."""
        columns = tokenise(self.view.begun(known, rows), self.view.context)
        tokens = columns.latest(int(np.diff(columns.start).max()))
        song = torch.from_numpy(gather(self.vectors, tokens.song))
        features, last = torch.from_numpy(tokens.features), torch.from_numpy(tokens.length)
        asked = np.column_stack([rows.song, np.tile(self.probes, (len(rows), 1))])  # (N, 1 + probes)
        candidates = torch.from_numpy(self.vectors[asked])
        logits = torch.stack(
            [
                member.predict(member.states(song, features)[torch.arange(len(rows)), last][:, None], candidates)
                for member in self.ensemble.members
            ]
        )  # (M, N, 1 + probes, 4)
        told = logits.mean(dim=0)[..., Signal.RATING :].double().numpy()
        return Encoded(expected=told[:, 0], outlook=told[:, 1:].reshape(len(rows), -1))


def fit_encoding(known: Rows, songs: Songs, sight: Sight, config: EncodingConfig, *, seed: int) -> HistoryEncoding:
    """Return world models trained on the known interactions and on nothing else."""
    view = _View.of(known, sight)
    listening = view.lived(known)
    embeddings = songs.metadata.astype(np.float32)
    vectors = fit_reading(embeddings[np.unique(known.song)], config.reading)(embeddings)
    columns = tokenise(listening, view.context)
    histories = Histories.of(columns, song_keys=np.arange(len(vectors)), song_vectors=vectors)
    order = np.random.default_rng(seed).permutation(listening.listener_count)
    members = [
        train_world_model(
            histories,
            _without_a_tenth(order, member),
            feature_names=feature_names(view.context),
            architecture=config.architecture,
            config=config.training,
            rng=np.random.default_rng([seed, member]),
        ).model
        for member in range(config.members)
    ]
    return HistoryEncoding(
        ensemble=Ensemble(members), vectors=vectors, probes=probe_songs(songs, config.probes), view=view
    )


def encode_crosswise(rows: Rows, songs: Songs, sight: Sight, config: EncodingConfig, *, seed: int) -> Encoded:
    """Return the encoding of known interactions, each by world models that were trained on other listeners."""
    listeners = np.random.default_rng(seed).permutation(np.unique(rows.user))
    parts = []
    for strangers in np.array_split(listeners, min(_FOLDS, len(listeners))):
        held = np.isin(rows.user, strangers)
        theirs = rows.take(np.flatnonzero(held))
        encoding = fit_encoding(rows.take(np.flatnonzero(~held)), songs, sight, config, seed=seed)
        parts.append((np.flatnonzero(held), encoding.encode(theirs, theirs)))
    back = np.argsort(np.concatenate([held for held, _ in parts]))
    return Encoded(
        expected=np.vstack([each.expected for _, each in parts])[back],
        outlook=np.vstack([each.outlook for _, each in parts])[back],
    )


def probe_songs(songs: Songs, count: int) -> Int[ndarray, " p"]:
    """Return songs that stand for all the others: those nearest the centres of so many clusters, ascending."""
    sound = songs.metadata[:, SOUND]
    clusters = KMeans(min(count, len(sound)), n_init=10, random_state=0).fit(sound)
    return np.unique(cdist(clusters.cluster_centers_, sound).argmin(axis=1))


def hour_of(rows: Rows) -> Float[ndarray, " N"]:
    """Return the hour on the listener's clock, from 0 up to 24."""
    return (rows.started_at / 3600 + _CHINA_HOURS) % 24


def _without_a_tenth(order: Int[ndarray, " B"], member: int) -> Split:
    """Return all listeners but a tenth, who stop the training early; which tenth, differs by member."""
    tenth = max(1, len(order) // 10)
    rolled = np.roll(order, -member * tenth)
    return Split(train=np.sort(rolled[tenth:]), validation=np.sort(rolled[:tenth]), test=rolled[:0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """How interactions become sessions: what may be seen, and on which scale."""

    sight: Sight
    centre: Float[ndarray, " C"]
    spread: Float[ndarray, " C"]

    @classmethod
    def of(cls, known: Rows, sight: Sight) -> "_View":
        """Return the view with the scales of the known interactions."""
        situation = known.situation[:, _SHOWN]
        spread = situation.std(axis=0)
        return cls(sight=sight, centre=situation.mean(axis=0), spread=np.where(spread > 0, spread, 1.0))

    @property
    def context(self) -> ContextSchema:
        """What a token tells of the situation."""
        if not self.sight.situation:
            return ContextSchema()
        names = [SITUATION[place].lower() for place in _SHOWN]
        numbers = [NumberField(name=name, low=-_MOST_DEVIATIONS, high=_MOST_DEVIATIONS) for name in names]
        return ContextSchema(fields=(ClockField(name="local_time"), *numbers))

    def lived(self, rows: Rows) -> Listening:
        """Return interactions as the histories of their listeners, in time."""
        rows = rows.take(np.lexsort([rows.started_at, rows.user]))
        _, counts = np.unique(rows.user, return_counts=True)
        return self._listening(rows, counts, np.ones(len(rows), bool))

    def begun(self, known: Rows, rows: Rows) -> Listening:
        """Return a history for each row: the known ones before it, then its own session, still empty."""
        order, counts = [], []
        for number, (user, second) in enumerate(zip(rows.user, rows.started_at, strict=True)):
            theirs = np.flatnonzero((known.user == user) & (known.started_at < second))
            in_time = theirs[np.argsort(known.started_at[theirs], kind="stable")]
            order.append(np.append(in_time, len(known) + number))
            counts.append(len(theirs) + 1)
        flat = np.concatenate(order)
        return self._listening(known.then(rows).take(flat), np.array(counts), flat < len(known))

    def _listening(self, rows: Rows, counts: Int[ndarray, " B"], played: Bool[ndarray, " S"]) -> Listening:
        """Return sessions of one song each, or of none where it is not yet played."""
        sessions, plays = len(rows), int(played.sum())
        context = np.zeros((sessions, 0))
        if self.sight.situation:
            hour = hour_of(rows)
            scaled = (rows.situation[:, _SHOWN] - self.centre) / self.spread
            context = np.column_stack([hour, np.clip(scaled, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)])
        nobody_asked = np.full((sessions, 2), np.nan)
        return Listening(
            population=np.zeros(len(counts), np.int64),
            session_start=np.concatenate([[0], np.cumsum(counts)]),
            mode=np.zeros(sessions, np.int64),
            started_at=np.zeros(sessions),
            before=SIGNED.to_unit(rows.before) if self.sight.before else nobody_asked,
            after=nobody_asked,
            context=context,
            play_start=np.concatenate([[0], np.cumsum(played)]),
            song=rows.song[played],
            engagement=np.full(plays, np.nan),
            rating=rows.liked[played].astype(np.float64),
            report=SIGNED.to_unit(rows.after[played]),
            play_mode=np.zeros(plays, np.int64),
            played_at=np.full(plays, np.nan),
        )
