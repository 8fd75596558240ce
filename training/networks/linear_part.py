"""The linear part of a world model: what ridge regression reads from the summary and the session's songs.

It is fitted in closed form (`training.linear_fit`) and then stays as it is; the transformer learns what is left.

A song's effect on affect is the same whether the song is the candidate or was played earlier in the session:
a report at a session's end hears the sum of its songs, each faded by `EFFECT_DECAY` for every song since. So
every report teaches the effects of all its session's songs, and the last one does not stand in for the others
(TRIAL, song effects). Engagement and rating are of the candidate alone.

Legend: B histories · L tokens · K song width · F features · S summary width
"""

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from models.affect import SIGNALS, Signal
from training.networks.summary import running_summary, session_sum, summary_width

EFFECT_DECAY: Final = 0.95
"""The share of a song's effect on affect that is left one song later; 0.9 to 1 fit about alike."""
AFFECT: Final = slice(Signal.VALENCE, Signal.AROUSAL + 1)


class LinearPart(nn.Module):
    """Logits of the four signals, linear in the running summary and in songs; no gradients reach it."""

    standard: Tensor
    summary: Tensor
    song: Tensor
    offset: Tensor

    def __init__(self, *, song_width: int, standard: Float[Tensor, "F F"], offset: Float[Tensor, " 4"]) -> None:
        """Make a part that says `offset` whatever it is shown; `fit_linear_part` fills the rest in."""
        super().__init__()
        self.register_buffer("standard", standard)
        self.register_buffer("summary", torch.zeros(summary_width(len(standard)), len(SIGNALS)))
        self.register_buffer("song", torch.zeros(song_width, len(SIGNALS)))
        self.register_buffer("offset", offset)

    def forward(
        self, effect: Float[Tensor, "B L 2"], features: Float[Tensor, "B L F"]
    ) -> Float[Tensor, "B L+1 4"]:
        """Return the logits after every prefix, the empty one first, before the candidate's own share.

        Args:
            effect: each token's song's share of the logits of valence and arousal; 0 where no song stands.
            features: as the tokeniser makes them.
        """
        said = running_summary(features, self.standard) @ self.summary  # (B, L, 4)
        left = session_sum(effect, features, decay=EFFECT_DECAY) * EFFECT_DECAY  # (B, L, 2)
        heard = said + F.pad(left, (AFFECT.start, 0))
        return F.pad(heard, (0, 0, 1, 0)) + self.offset

    def predict(self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"]) -> Float[Tensor, "B L 4"]:
        """Return, for every token, the logits of its feedback given the tokens before it and its own song."""
        own = song @ self.song  # (B, L, 4)
        return self(own[..., AFFECT], features)[:, :-1] + own
