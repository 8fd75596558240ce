"""The linear part of a world model: what ridge regression reads from the summary, from songs and from taste.

It is fitted in closed form (`training.linear_fit`) and then stays as it is; the transformer learns what is left.

A song's **effect** on affect is the same whether the song is the candidate or was played earlier in the session:
a report at a session's end hears the sum of its songs, each faded by `EFFECT_DECAY` for every song since. So
every report teaches the effects of all its session's songs, and the last one does not stand in for the others
(TRIAL, song effects). Engagement and rating are of the candidate alone.

A listener's **taste** is the mean of the songs they heard, weighed by how far they heard them and by how they
rated them: its product with the candidate says whether this one is to their liking.

Legend: B histories · L tokens · K song width · F features · S summary width
· Z = 4 + 2 K state width
"""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from models.affect import SIGNALS, Signal
from models.tokens import PRESENT_FEATURES, SIGNAL_FEATURES
from training.networks.summary import (
    fading,
    running_summary,
    session_sum,
    summary_width,
)

EFFECT_DECAY: Final = 0.95
"""The share of a song's effect on affect left one song later; affect R² stays within .005 from 0.9 to 1."""
TASTE_PRIOR_COUNT: Final = 16.0
"""A taste is drawn towards none as if so many songs had been met with indifference."""
BEHAVIOUR: Final = slice(Signal.ENGAGEMENT, Signal.RATING + 1)
AFFECT: Final = slice(Signal.VALENCE, Signal.AROUSAL + 1)
_BEHAVIOURS: Final = BEHAVIOUR.stop - BEHAVIOUR.start


class LinearPart(nn.Module):
    """Logits of the four signals, linear in the summary, in songs and in their match with taste; no gradients."""

    standard: Tensor
    summary: Tensor
    song: Tensor
    taste: Tensor
    """From taste by engagement and by rating (rows) to the logits of engagement and rating (columns)."""
    offset: Tensor

    def __init__(
        self,
        *,
        song_width: int,
        standard: Float[Tensor, "F F"],
        offset: Float[Tensor, " 4"],
    ) -> None:
        """Make a part that says `offset` whatever it is shown; `fit_linear_part` fills the rest in."""
        super().__init__()
        self.register_buffer("standard", standard)
        self.register_buffer("summary", torch.zeros(summary_width(len(standard)), len(SIGNALS)))
        self.register_buffer("song", torch.zeros(song_width, len(SIGNALS)))
        self.register_buffer("taste", torch.zeros(_BEHAVIOURS, _BEHAVIOURS))
        self.register_buffer("offset", offset)

    @property
    def state_width(self) -> int:
        """4 + 2 K."""
        return len(SIGNALS) + _BEHAVIOURS * len(self.song)

    def forward(self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"]) -> Float[Tensor, "B L+1 Z"]:
        """Return, after every prefix, the logits before the candidate's share, then the tastes it will meet.

        Args:
            song: song vectors; zeros where a token has no song.
            features: as the tokeniser makes them.
        """
        said = running_summary(features, self.standard) @ self.summary  # (B, L, 4)
        left = session_sum(song @ self.song[:, AFFECT], features, decay=EFFECT_DECAY) * EFFECT_DECAY  # (B, L, 2)
        heard = F.pad(said + F.pad(left, (AFFECT.start, 0)), (0, 0, 1, 0)) + self.offset  # (B, L+1, 4)
        tastes = running_tastes(song, features, self.standard)  # (B, L, 2, K)
        wanted = (self.taste.T @ tastes).flatten(start_dim=2)  # (B, L, 2 K)
        return torch.cat([heard, F.pad(wanted, (0, 0, 1, 0))], dim=-1)

    def predict(
        self, state: Float[Tensor, "*#shape Z"], song: Float[Tensor, "*#shape K"]
    ) -> Float[Tensor, "... 4"]:
        """Return the logits of the four signals if that song is played next; leading axes broadcast."""
        heard, wanted = state[..., : len(SIGNALS)], state[..., len(SIGNALS) :]
        match = (wanted.unflatten(-1, (_BEHAVIOURS, -1)) * song[..., None, :]).sum(dim=-1)  # (..., 2)
        return heard + song @ self.song + F.pad(match, (0, len(SIGNALS) - BEHAVIOUR.stop))

    def affect(
        self, state: Float[Tensor, "*#shape Z"], song: Float[Tensor, "*#shape K"]
    ) -> Float[Tensor, "... 2"]:
        """Return the logits of valence and arousal alone, in which taste has no say."""
        return state[..., AFFECT] + song @ self.song[:, AFFECT]


def running_tastes(
    song: Float[Tensor, "B L K"],
    features: Float[Tensor, "B L F"],
    standard: Float[Tensor, "F F"],
) -> Float[Tensor, "B L 2 K"]:
    """Return the mean song up to each token, weighed by standardised engagement, and by standardised rating."""
    signals = (features @ standard)[..., SIGNAL_FEATURES][..., BEHAVIOUR]  # (B, L, 2)
    present = features[..., PRESENT_FEATURES][..., BEHAVIOUR]
    everything = fading(features, 1.0)  # (L, L)
    weighed = (signals[..., None] * song[:, :, None]).flatten(start_dim=2)  # (B, L, 2 K)
    total = (everything @ weighed).unflatten(-1, (_BEHAVIOURS, -1))  # (B, L, 2, K)
    return total / (everything @ present + TASTE_PRIOR_COUNT)[..., None]
