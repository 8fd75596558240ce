"""The cross-entropy of a play over the whole catalogue, some plays at a time.

Written out, the scores of a batch's plays are a table of 45 MB, over which a softmax and its gradient pass a dozen
times. Those of a few plays stay in a processor's cache, and the gradient needs of each play no more than the song
that was expected: the mean of all songs by their probabilities.

Legend: P plays · N songs · D width
"""

from typing import Any, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

_AT_ONCE: Final = 128
"""Plays whose scores are written out together; changes no number."""


def catalogue_nats(
    query: Float[Tensor, "P D"], songs: Float[Tensor, "N D"], played: Int[Tensor, " P"]
) -> Float[Tensor, " P"]:
    """Return −log softmax over the catalogue of each play's song, in nats.

    Args:
        query: what was looked for; its products with the songs are the logits.
        songs: all of the catalogue.
        played: the row of the song that was played.
    """
    return _CatalogueNats.apply(query, songs, played)  # type: ignore[no-untyped-call]


class _CatalogueNats(torch.autograd.Function):
    """The same as `F.cross_entropy(query @ songs.T, played, reduction="none")`, gradients included."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, songs: Tensor, played: Tensor) -> Tensor:
        nats, expected = query.new_empty(len(query)), torch.empty_like(query)
        for begin in range(0, len(query), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            logits = query[part] @ songs.T
            normaliser = logits.logsumexp(dim=1, keepdim=True)
            nats[part] = (normaliser - logits.gather(1, played[part, None]))[:, 0]
            torch.mm(logits.sub_(normaliser).exp_(), songs, out=expected[part])
        ctx.save_for_backward(query, songs, played, expected)
        return nats

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        query, songs, played, expected = ctx.saved_tensors
        of_query = of_songs = None
        if ctx.needs_input_grad[0]:
            of_query = (expected - songs[played]) * grad[:, None]
        if ctx.needs_input_grad[1]:
            of_songs, weighed = torch.zeros_like(songs), query * grad[:, None]
            for begin in range(0, len(query), _AT_ONCE):
                part = slice(begin, begin + _AT_ONCE)
                of_songs.addmm_((query[part] @ songs.T).softmax(dim=1).T, weighed[part])
            of_songs.index_add_(0, played, weighed, alpha=-1)
        return of_query, of_songs, None
