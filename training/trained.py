"""What training made, ready to be asked over one catalogue: numpy in, numpy out, no gradients.

Networks see a song through a reading of its embedding, computed once per catalogue.

Legend: B histories · L tokens · M members · N songs · C candidates · D state width · Q target width
· S situations · p places at which a state is asked for
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from models.bundle import Affine
from models.catalogue import gather
from models.tokens import Tokens
from training.networks.policy import PolicyNetwork
from training.networks.world import Ensemble
from training.situations import Situations
from training.windows import Bound, Histories, alike


def unit_targets(target: Affine, embeddings: Float[ndarray, "N E"]) -> Float[ndarray, "N Q"]:
    """Return songs in the policy's target space, of unit length; a song at its origin stays there."""
    images = target(embeddings)
    norms = np.linalg.norm(images, axis=1, keepdims=True)
    return (images / np.where(norms > 0, norms, 1)).astype(np.float32)


CHUNK = 256
"""Histories that pass through a network at once: bounds memory, changes no number."""
AT_ONCE: Final = Bound(windows=CHUNK, tokens=32 * 64)
"""Of histories: four times as many tokens leave a processor's cache and take a quarter more time."""
_WHOLE_CHUNK = 16
"""The same, where every song of the catalogue is predicted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorldStates:
    """Where each listener stands for each member."""

    now: Float[ndarray, "B M D"]
    """After every token."""
    before_last_play: Float[ndarray, "B M D"]
    """After the tokens before the last play; the same as `now` where the history does not end with a play."""


def in_order(
    values: Float[ndarray, "B *shape"], batches: Sequence[Int[ndarray, " _"]]
) -> Float[ndarray, "B *shape"]:
    """Return what was computed batch by batch in the histories' own order."""
    ordered = np.empty_like(values)
    ordered[np.concatenate(batches)] = values
    return ordered


@runtime_checkable
class StatesAt(Protocol):
    """A network, asked for its state after given numbers of tokens: members stand behind the places."""

    def __call__(
        self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"], place: Int[Tensor, "B p"]
    ) -> Float[Tensor, "B p *state"]: ...


@torch.inference_mode()
def states_in(situations: Situations, histories: Histories, states_at: StatesAt) -> Float[ndarray, "S *state"]:
    """Return the state in every situation."""
    spots = situations.spots()
    parts, order = [], []
    for part in alike(spots.windows.length, AT_ONCE):
        batch = histories.batch(spots.windows.take(part))
        parts.append(states_at(batch.song, batch.features, torch.from_numpy(spots.places[part])))
        order.append(part)
    return np.asarray(in_order(torch.cat(parts).numpy(), order)[spots.owner, spots.slot])


@runtime_checkable
class World(Protocol):
    """World models over one catalogue, wherever they run: trained networks, or a sealed bundle's graphs."""

    @property
    def songs(self) -> Float[ndarray, "N K"]:
        """The reading of each song's embedding."""
        ...

    def look(self, tokens: Tokens, rows: Int[ndarray, "B L"]) -> WorldStates:
        """Return where each listener stands."""
        ...

    def predicted(self, state: Float[ndarray, "B M D"], rows: Int[ndarray, "B C"]) -> Float[ndarray, "B M C 4"]:
        """Return every member's prediction of the four signals of each candidate; any row for `NO_SONG`."""
        ...

    def predicted_average(self, state: Float[ndarray, "B M D"]) -> Float[ndarray, "B M 4"]:
        """Return every member's prediction of the average song: the one whose reading is zero."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorldOver:
    """The world models over one catalogue."""

    ensemble: Ensemble
    songs: Float[ndarray, "N K"]
    """The reading of each song's embedding."""

    @property
    def member_count(self) -> int:
        """M."""
        return len(self.ensemble.members)

    @torch.inference_mode()
    def states_after(
        self, rows: Int[ndarray, "B L"], features: Float[ndarray, "B L F"], place: Int[ndarray, "B p"]
    ) -> Float[ndarray, "B p M D"]:
        """Return every member's state after the given numbers of tokens of each history."""
        length = place.max(axis=1, initial=0)
        parts, order = [], []
        for part in alike(length, AT_ONCE):
            longest = length[part[-1]]
            states = self.ensemble.states_at(
                torch.from_numpy(gather(self.songs, rows[part, :longest])),
                torch.from_numpy(features[part, :longest]),
                torch.from_numpy(place[part]),
            )
            parts.append(states)
            order.append(part)
        return in_order(torch.cat(parts).numpy(), order)

    def look(self, tokens: Tokens, rows: Int[ndarray, "B L"]) -> WorldStates:
        """Return where each listener stands."""
        place = np.column_stack([tokens.length, tokens.previous])
        states = self.states_after(rows, tokens.features, place)
        return WorldStates(now=states[:, 0], before_last_play=states[:, 1])

    @torch.inference_mode()
    def predicted(self, state: Float[ndarray, "B M D"], rows: Int[ndarray, "B C"]) -> Float[ndarray, "B M C 4"]:
        """Return every member's prediction of the four signals of each candidate; any row for `NO_SONG`."""
        parts = [
            self.ensemble.predict(
                torch.from_numpy(state[start : start + CHUNK]),
                torch.from_numpy(self.songs[np.maximum(rows[start : start + CHUNK], 0)]),
            )
            for start in range(0, len(rows), CHUNK)
        ]
        return np.asarray(torch.cat(parts).numpy())

    @torch.inference_mode()
    def predicted_average(self, state: Float[ndarray, "B M D"]) -> Float[ndarray, "B M 4"]:
        """Return every member's prediction of the average song: the one whose reading is zero."""
        average = torch.zeros(len(state), 1, self.songs.shape[1])
        return np.asarray(self.ensemble.predict(torch.from_numpy(state), average)[:, :, 0].numpy())

    def mean_predicted(self, state: Float[ndarray, "B M D"]) -> Float[ndarray, "B N 4"]:
        """Return the members' mean prediction of every song of the catalogue."""
        means = []
        for start in range(0, len(state), _WHOLE_CHUNK):
            part = state[start : start + _WHOLE_CHUNK]
            everything = np.broadcast_to(np.arange(len(self.songs)), (len(part), len(self.songs)))
            means.append(self.predicted(part, everything).mean(axis=1))
        return np.concatenate(means)

    @torch.inference_mode()
    def mean_affect(self, state: Float[ndarray, "B M D"]) -> Float[ndarray, "B N 2"]:
        """Return the members' mean prediction of valence and arousal of every song of the catalogue."""
        songs = torch.from_numpy(self.songs)
        means = [
            self.ensemble.predict_affect(torch.from_numpy(state[start : start + _WHOLE_CHUNK]), songs).mean(dim=1)
            for start in range(0, len(state), _WHOLE_CHUNK)
        ]
        return np.asarray(torch.cat(means).numpy())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyOver:
    """A policy over one catalogue."""

    network: PolicyNetwork
    songs: Float[ndarray, "N K"]
    """The reading of each song's embedding."""
    targets: Float[ndarray, "N Q"]
    """Songs in the policy's target space, of unit length."""

    @torch.inference_mode()
    def wanted_after(
        self, rows: Int[ndarray, "B L"], features: Float[ndarray, "B L F"], place: Int[ndarray, "B p"]
    ) -> Float[ndarray, "B p Q"]:
        """Return ŝ, of unit length, after the given numbers of tokens of each history."""
        length = place.max(axis=1, initial=0)
        parts, order = [], []
        for part in alike(length, AT_ONCE):
            longest = length[part[-1]]
            states = self.network.states_at(
                torch.from_numpy(gather(self.songs, rows[part, :longest])),
                torch.from_numpy(features[part, :longest]),
                torch.from_numpy(place[part]),
            )
            parts.append(self.network.wanted(states))
            order.append(part)
        return in_order(torch.cat(parts).numpy(), order)

    def cosines(self, tokens: Tokens, rows: Int[ndarray, "B L"]) -> Float[ndarray, "B N"]:
        """Return the score of every song as the next one of each history."""
        wanted = self.wanted_after(rows, tokens.features, tokens.length[:, None])[:, 0]
        return np.asarray(wanted @ self.targets.T)
