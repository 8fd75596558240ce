"""The light network behind a state and a candidate song: what it corrects of the four signals.

Its first layer is linear in [state ; song], so the song's share of it can be computed once per catalogue. Source:
AMRS §3.3.

Legend: K song width · H hidden width · Z state width
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from models.affect import SIGNALS
from training.networks.blocks import initialise
from training.networks.linear_part import AFFECT, BEHAVIOUR


class FeedbackHead(nn.Module):
    """A light network on [state ; song], which corrects what the linear part says.

    Valence and arousal are corrected from the state alone. A report follows some seven songs; a network that meets
    only the last of them lets it stand in for all, and its song effects come out too wide (TRIAL). A song's effect
    on affect is the linear part's, which every report teaches for all the songs of its session.
    """

    def __init__(self, *, width: int, song_width: int, hidden: int) -> None:
        """Draw the weights; before training, nothing is corrected."""
        super().__init__()
        self.state_part = nn.Linear(width, hidden)
        self.song_part = nn.Linear(song_width, hidden, bias=False)
        self.behaviour = nn.Linear(hidden, BEHAVIOUR.stop - BEHAVIOUR.start)
        self.affect = nn.Linear(hidden, AFFECT.stop - AFFECT.start)
        self.apply(initialise)
        nn.init.zeros_(self.behaviour.weight)
        nn.init.zeros_(self.affect.weight)

    def forward(
        self, state: Float[Tensor, "*#shape Z"], song_part: Float[Tensor, "*#shape H"]
    ) -> Float[Tensor, "... 4"]:
        """Return the correction in logits, from the song's share of the hidden layer; leading axes broadcast."""
        heard = self.state_part(state)
        behaviour = self.behaviour(F.gelu(heard + song_part))  # (..., 2)
        affect = self.affect(F.gelu(heard))
        return torch.cat([behaviour, affect.expand(behaviour.shape)], dim=-1)

    def affect_of(
        self, state: Float[Tensor, "*#shape Z"], song: Float[Tensor, "*#shape K"]
    ) -> Float[Tensor, "... 2"]:
        """Return the correction of valence and arousal alone, which asks no song."""
        del song
        return self.affect(F.gelu(self.state_part(state)))


class PlainHead(nn.Module):
    """The paper's head, one light network on [state ; song] for all four signals: compared, never served."""

    def __init__(self, *, width: int, song_width: int, hidden: int) -> None:
        """Draw the weights; before training, nothing is corrected."""
        super().__init__()
        self.state_part = nn.Linear(width, hidden)
        self.song_part = nn.Linear(song_width, hidden, bias=False)
        self.output = nn.Linear(hidden, len(SIGNALS))
        self.apply(initialise)
        nn.init.zeros_(self.output.weight)

    def forward(
        self, state: Float[Tensor, "*#shape Z"], song_part: Float[Tensor, "*#shape H"]
    ) -> Float[Tensor, "... 4"]:
        """Return the correction in logits, from the song's share of the hidden layer; leading axes broadcast."""
        return self.output(F.gelu(self.state_part(state) + song_part))

    def affect_of(
        self, state: Float[Tensor, "*#shape Z"], song: Float[Tensor, "*#shape K"]
    ) -> Float[Tensor, "... 2"]:
        """Return the correction of valence and arousal alone."""
        return self(state, self.song_part(song))[..., AFFECT]
