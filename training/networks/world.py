"""The factorized world model: a state of the history and a candidate song → the feedback to expect.

One pass over the history, then any number of songs through the head. The head's first layer is linear in
[state ; song], so the song's share of it can be computed once per catalogue. Source: AMRS §3.3. This is the form
that is deployed; the other one is `training.networks.standard`, and `WorldForm` is what both promise.

Legend: B histories · L tokens · K song width · F features · M members · D encoder width · H hidden width
· Z state width · U = D + K token part · V = H + K song part · p places at which the state is asked for
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from models.errors import ConfigError
from training.networks.blocks import taken
from training.networks.encoder import EncoderConfig, HistoryEncoder
from training.networks.heads import FeedbackHead, PlainHead
from training.networks.inputs import EVERYTHING, Inputs
from training.networks.linear_part import LinearPart


class WorldForm(nn.Module, ABC):
    """A world model of either form: its linear part, what it is shown, and the two things it is asked."""

    linear: LinearPart
    inputs: Inputs

    @abstractmethod
    def forward(
        self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"], candidate: Float[Tensor, "B L K"]
    ) -> Float[Tensor, "B L 4"]:
        """Return, for every token, the logits of its feedback given the tokens before it and its own song.

        Args:
            song: the songs of the history; zeros where a token has none, or where they are hidden.
            features: as the tokeniser makes them.
            candidate: the same songs in the place of the one predicted; zeros where it is hidden.
        """

    @abstractmethod
    def ask(
        self,
        song: Float[Tensor, "B L K"],
        features: Float[Tensor, "B L F"],
        length: Int[Tensor, " B"],
        candidates: Float[Tensor, "B N K"],
    ) -> Float[Tensor, "B N 4"]:
        """Return the logits of the four signals of each candidate after the first `length` tokens."""


Form = TypeVar("Form", bound=WorldForm, covariant=True)


@runtime_checkable
class Architecture(Protocol[Form]):
    """What fixes the weights and the forward pass of a world model of one form; nothing about training."""

    @property
    def inputs(self) -> Inputs: ...

    def draw(self, *, song_width: int, standard: Float[ndarray, "F F"], mean: Float[ndarray, " 4"]) -> Form:
        """Return a model with freshly drawn weights.

        Args:
            song_width: K, the reading's.
            standard: `standardisation` of the training tokens.
            mean: of each signal over the training plays, in (0, 1); what is predicted before training.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldModelConfig:
    """What fixes a factorized world model's weights and forward pass; nothing about training."""

    encoder: EncoderConfig
    hidden: int = 128
    """H, the head's."""
    inputs: Inputs = EVERYTHING
    head: type[FeedbackHead] | type[PlainHead] = FeedbackHead
    """The kind of head; the exported graphs know the first."""

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ConfigError(f"the head needs a hidden unit; got {self.hidden}")

    def draw(
        self, *, song_width: int, standard: Float[ndarray, "F F"], mean: Float[ndarray, " 4"]
    ) -> "WorldModel":
        """Return a factorized world model with freshly drawn weights."""
        return WorldModel(self, song_width=song_width, standard=standard, mean=mean)


class WorldModel(WorldForm):
    """History encoder, linear part and feedback head."""

    def __init__(
        self,
        config: WorldModelConfig,
        *,
        song_width: int,
        standard: Float[ndarray, "F F"],
        mean: Float[ndarray, " 4"],
    ) -> None:
        """Draw the weights.

        Args:
            config: the architecture.
            song_width: K, the reading's.
            standard: `standardisation` of the training tokens.
            mean: of each signal over the training plays, in (0, 1); what is predicted before training.
        """
        super().__init__()
        self.config = config
        self.inputs = config.inputs
        self.encoder = HistoryEncoder(config.encoder, song_width=song_width, standard=standard)
        self.linear = LinearPart(
            song_width=song_width,
            standard=self.encoder.standard,
            offset=mean_logits(mean),
        )
        self.head = config.head(width=self.state_width, song_width=song_width, hidden=config.hidden)

    @property
    def state_width(self) -> int:
        """Z: the encoder's state, then the linear part's."""
        return self.encoder.width + self.linear.state_width

    def token_part(self, song: Float[Tensor, "*shape K"]) -> Float[Tensor, "*shape U"]:
        """Return a song's share of its token, then the song itself: all that the history side of a graph needs."""
        return torch.cat([self.encoder.song_part(song), song], dim=-1)

    def song_part(self, song: Float[Tensor, "*shape K"]) -> Float[Tensor, "*shape V"]:
        """Return a song's share of the hidden layer, then the song itself: all that the head of a graph needs."""
        return torch.cat([self.head.song_part(song), song], dim=-1)

    def states(self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"]) -> Float[Tensor, "B L+1 Z"]:
        """Return the state after every prefix of each history, the empty one first."""
        return torch.cat([self.encoder(song, features), self.linear(song, features)], dim=-1)

    def states_at(
        self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"], place: Int[Tensor, "B p"]
    ) -> Float[Tensor, "B p Z"]:
        """Return the state after the given numbers of tokens of each history."""
        return torch.cat([self.encoder.at(song, features, place), taken(self.linear(song, features), place)], -1)

    def predict(self, state: Float[Tensor, "*left Z"], song: Float[Tensor, "*right K"]) -> Float[Tensor, "... 4"]:
        """Return the logits of the four signals if that song is played next; leading axes broadcast."""
        linear = self.linear.predict(state[..., self.encoder.width :], song)
        return linear + self.head(state, self.head.song_part(song))

    def predict_affect(
        self, state: Float[Tensor, "*left Z"], song: Float[Tensor, "*right K"]
    ) -> Float[Tensor, "... 2"]:
        """Return the logits of valence and arousal alone: far less work, where the head asks no song for them."""
        return self.linear.affect(state[..., self.encoder.width :], song) + self.head.affect_of(state, song)

    def forward(
        self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"], candidate: Float[Tensor, "B L K"]
    ) -> Float[Tensor, "B L 4"]:
        return self.predict(self.states(song, features)[:, :-1], candidate)

    def ask(
        self,
        song: Float[Tensor, "B L K"],
        features: Float[Tensor, "B L F"],
        length: Int[Tensor, " B"],
        candidates: Float[Tensor, "B N K"],
    ) -> Float[Tensor, "B N 4"]:
        last = self.states(song, features)[torch.arange(len(length)), length]  # (B, Z)
        return self.predict(last[:, None], candidates)


def mean_logits(mean: Float[ndarray, " 4"]) -> Float[Tensor, " 4"]:
    """Return the logits of means in (0, 1)."""
    return torch.from_numpy(np.log(mean / (1 - mean))).float()


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """World models that differ in their seeds and in the listeners they were shown (bootstrapped by listener)."""

    members: Sequence[WorldModel]

    def states(self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"]) -> Float[Tensor, "B M L+1 Z"]:
        """Return every member's state after every prefix."""
        return torch.stack([member.states(song, features) for member in self.members], dim=1)

    def states_at(
        self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"], place: Int[Tensor, "B p"]
    ) -> Float[Tensor, "B p M Z"]:
        """Return every member's state after the given numbers of tokens of each history."""
        return torch.stack([member.states_at(song, features, place) for member in self.members], dim=2)

    def predict(self, state: Float[Tensor, "B M Z"], song: Float[Tensor, "B N K"]) -> Float[Tensor, "B M N 4"]:
        """Return every member's prediction, in [0, 1], of the four signals of N candidate songs each."""
        logits = [member.predict(state[:, m, None], song) for m, member in enumerate(self.members)]
        return torch.stack(logits, dim=1).sigmoid()

    def predict_affect(
        self, state: Float[Tensor, "B M Z"], song: Float[Tensor, "N K"]
    ) -> Float[Tensor, "B M N 2"]:
        """Return every member's prediction, in [0, 1], of valence and arousal of the same songs for everybody."""
        logits = [member.predict_affect(state[:, m, None], song) for m, member in enumerate(self.members)]
        return torch.stack(logits, dim=1).sigmoid()
