"""Direct preference optimisation: teach the policy which of two songs to play next, tied to a reference.

Over a catalogue, π(y | x) = softmax_y(cos(ŝ, y)/τ), so the partition functions cancel: a margin is
(ŝ·(y_w − y_l))/τ, no softmax is needed for the loss, and only β/τ is identifiable. Probability can leak to
third songs along y_w − y_l, so the exact KL(π_θ ‖ π_ref) over the catalogue is watched, and training stops at a
budget; and the songs become fewer, so what is a listener's own is widened and flattened until the policy plays
about as many as the reference (`training.variety`). Source: AMRS eq. 2; Rafailov et al. 2023 (arXiv:2305.18290),
eq. 7; label smoothing: Mitchell 2023 (cDPO).

A sequence's log-probability is taken to be the sum of its songs': of two sequences of one length the partition
functions cancel as well, and ŝ·Σ y stands for ŝ·y in the margin.

Legend: P pairs · T songs of a sequence · S situations · N songs of the catalogue · Q target width; ŝ and y have
unit length
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from models.errors import ConfigError, DataError
from training.networks.policy import PolicyNetwork, cosines
from training.pairs import Judge, Offer, OwnSongs, PairRecipe, Pairs, join
from training.seeding import torch_seeded_by
from training.situations import Situations
from training.trained import PolicyOver, states_in
from training.variety import AS_VARIED, Variety, first_song_count, least_flattening, varied
from training.windows import Histories

_CHUNK: Final = 2048
"""Situations that are scored at once: bounds memory, changes no number."""
_KL_CHUNK: Final = 64
"""The same of a KL: what is computed of their scores stays in a processor's cache."""
_OWN_SONGS: Final = 5
"""D, the songs of a situation that a policy is taken to play: a rollout's length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoConfig:
    """How far and how fast the policy is led away from the reference."""

    beta: float = 0.1
    temperature: float = 0.2
    """τ of the softmax over the catalogue; Copycat's own."""
    learning_rate: float = 5e-5
    batch_windows: int = 32
    steps: int = 120
    """Every pass over the windows draws its pairs afresh; a small log takes more passes."""
    kl_budget_nats: float = 0.1
    """Training stops before the mean KL(π_θ ‖ π_ref) passes this."""
    variety: Variety = AS_VARIED
    """How many different songs the policy keeps; watched as the KL is."""
    look_every: int = 4
    """Steps between two looks at the KL."""
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        for name in (
            "beta",
            "temperature",
            "learning_rate",
            "batch_windows",
            "steps",
            "kl_budget_nats",
            "look_every",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0; got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoLook:
    """What one look at the policy saw."""

    step: int
    loss_nats: float
    """Mean over the pairs since the look before; log 2 where nothing was learned."""
    kl_nats: float
    """Mean KL(π_θ ‖ π_ref) over the situations that are watched, of the policy as it would play."""
    flattening: float
    """How far the policy had to be flattened to play about as many songs as the reference; 0 is not at all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuned:
    """The policy after preference optimisation, and what was seen on the way."""

    network: PolicyNetwork
    looks: tuple[DpoLook, ...]
    """The network is that of the last look within the budget; the last of all may lie beyond it."""


def dpo_loss(
    policy_margin: Float[Tensor, " P"],
    reference_margin: Float[Tensor, " P"],
    *,
    beta: float,
    doubt: Float[Tensor, " P"] | float = 0.0,
) -> Float[Tensor, " P"]:
    """Return the DPO loss of each pair, in nats.

    A *margin* is log π(preferred | history) − log π(rejected | history).

    Args:
        policy_margin: margin under the policy being trained.
        reference_margin: margin under the frozen reference policy; no gradient.
        beta: how tightly the reference holds the policy; above 0.
        doubt: the probability that the pair should be the other way round, in [0, 0.5).

    Returns:
        One loss per pair, above 0: log 2 where the two margins agree.
    """
    advantage = beta * (policy_margin - reference_margin)
    return -(1 - doubt) * F.logsigmoid(advantage) - doubt * F.logsigmoid(-advantage)


def margins(
    wanted: Float[Tensor, "P Q"],
    preferred: Float[Tensor, "P Q"],
    rejected: Float[Tensor, "P Q"],
    *,
    temperature: float,
) -> Float[Tensor, " P"]:
    """Return log π(preferred) − log π(rejected) over a catalogue: ŝ·(y_w − y_l)/τ; all of unit length."""
    return (wanted * (preferred - rejected)).sum(dim=-1) / temperature


def catalogue_kl(
    wanted: Float[Tensor, "S Q"],
    reference: Float[Tensor, "S Q"],
    targets: Float[Tensor, "N Q"],
    *,
    temperature: float,
) -> Float[Tensor, " S"]:
    """Return KL(π_θ ‖ π_ref) of each situation, exact over the catalogue, in nats; at least 0 but for rounding."""
    parts = []
    for policy, held in zip(
        (wanted / temperature).split(_KL_CHUNK), (reference / temperature).split(_KL_CHUNK), strict=True
    ):
        logits = cosines(policy, targets)  # (s, N)
        expected = logits.softmax(dim=-1) @ targets  # (s, Q): the mean song that the policy plays
        normalisers = cosines(held, targets).logsumexp(dim=-1) - logits.logsumexp(dim=-1)
        parts.append(((policy - held) * expected).sum(dim=-1) + normalisers)
    return torch.cat(parts)


def optimise_preferences(
    reference: PolicyOver,
    histories: Histories,
    train: Situations,
    watched: Situations,
    *,
    judge: Judge,
    recipe: PairRecipe,
    config: DpoConfig,
    rng: np.random.Generator,
    advance: Callable[[DpoLook], None] = lambda _: None,
) -> Tuned:
    """Return Copycat led toward what the judge prefers, as far as the KL budget goes.

    Args:
        reference: Copycat; stays as it is.
        histories: of every listener.
        train: the situations to learn from.
        watched: situations of other listeners, on which the KL is measured.
        judge: utility of candidates in the training situations, by member.
        recipe: how pairs are found.
        config: how far and how fast.
        rng: the recipe's draws, and the order of windows.
        advance: told of each look.

    Raises:
        DataError: the recipe finds no pair.
    """
    targets = torch.from_numpy(reference.targets)
    network = deepcopy(reference.network).eval()  # no dropout: both policies must see the same history
    held_train = _wanted(reference.network, histories, train)
    held_watched = _wanted(reference.network, histories, watched)
    one_each = torch.from_numpy(np.unique(watched.window, return_index=True)[1])  # as many situations as rollouts
    song_count = first_song_count(held_watched[one_each], reference.targets)
    optimizer = AdamW(network.parameters(), lr=config.learning_rate, weight_decay=0.0)
    within_budget = deepcopy(network)
    looks: list[DpoLook] = []
    losses: list[float] = []

    def drawn_pairs() -> Iterator[Pairs]:
        while True:
            own = cache(lambda: _own_songs(network, reference, histories, train))
            pairs = _find_pairs(reference, held_train, train, recipe=recipe, judge=judge, own=own, rng=rng)
            yield from _window_batches(pairs, train, config.batch_windows, rng)

    with torch_seeded_by(rng):
        for step, pairs in enumerate(islice(drawn_pairs(), config.steps), start=1):
            loss = _loss(network, targets, histories, train, held_train, pairs, config)

            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(network.parameters(), config.max_grad_norm, error_if_nonfinite=True)
            optimizer.step()
            losses.append(float(loss.detach()))

            if step % config.look_every == 0 or step == config.steps:
                state = _states(network, histories, watched)
                among = state[one_each]
                flattening = least_flattening(
                    network, among, reference.targets, reference_count=song_count, variety=config.variety
                )
                playing = varied(network, among, widening=config.variety.widening, flattening=flattening)
                with torch.inference_mode():
                    now = playing.wanted(state)
                kl = catalogue_kl(now, held_watched, targets, temperature=config.temperature).mean()
                looks.append(
                    DpoLook(step=step, loss_nats=float(np.mean(losses)), kl_nats=float(kl), flattening=flattening)
                )
                losses.clear()
                advance(looks[-1])
                if looks[-1].kl_nats > config.kl_budget_nats:
                    break
                within_budget = playing
    return Tuned(network=within_budget, looks=tuple(looks))


def _wanted(network: PolicyNetwork, histories: Histories, situations: Situations) -> Float[Tensor, "S Q"]:
    """Return ŝ in every situation; no gradient."""
    with torch.inference_mode():
        return network.wanted(_states(network, histories, situations)).clone()


def _states(network: PolicyNetwork, histories: Histories, situations: Situations) -> Float[Tensor, "S D"]:
    """Return the state in every situation; no gradient."""
    return torch.from_numpy(states_in(situations, histories, network.states_at))


def _find_pairs(
    reference: PolicyOver,
    held: Float[Tensor, "S Q"],
    situations: Situations,
    *,
    recipe: PairRecipe,
    judge: Judge,
    own: Callable[[], OwnSongs],
    rng: np.random.Generator,
) -> Pairs:
    """Return the recipe's pairs; situations pass in chunks, because each has a score for every song."""
    targets = reference.targets
    found = []
    for start in range(0, len(situations), _CHUNK):
        part = slice(start, start + _CHUNK)
        offer = Offer(
            cosine=held[part].numpy() @ targets.T,
            logged=situations.logged[part],
            feedback=situations.feedback[part],
            targets=targets,
            own=lambda part=part: own().within(part),  # type: ignore[misc]
        )
        pairs = recipe.pairs(offer, _later(judge, start), rng)
        found.append(replace(pairs, situation=pairs.situation + start))
    pairs = join(found)
    if not len(pairs):
        raise DataError(f"no pair among {len(situations)} situations keeps the recipe's standards")
    return pairs


def _own_songs(
    network: PolicyNetwork, reference: PolicyOver, histories: Histories, situations: Situations
) -> OwnSongs:
    """Return what the network plays of itself in every situation."""
    wanted, targets = _wanted(network, histories, situations), torch.from_numpy(reference.targets)
    count = min(_OWN_SONGS, len(targets))
    first = [torch.topk(part @ targets.T, count, dim=1).indices.numpy() for part in wanted.split(_CHUNK)]
    return OwnSongs.of(np.concatenate(first), len(targets))


def _later(judge: Judge, start: int) -> Judge:
    """Return the judge of situations counted from `start`."""
    return lambda situation, candidates: judge(situation + start, candidates)


def _window_batches(pairs: Pairs, situations: Situations, size: int, rng: np.random.Generator) -> Iterator[Pairs]:
    """Yield all the pairs of `size` windows at a time; windows of like length stand together."""
    used = np.unique(situations.window[pairs.situation])
    order = used[np.lexsort([rng.random(len(used)), situations.windows.length[used]])]
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    for group in rng.permutation(len(groups)):
        yield pairs.take(np.flatnonzero(np.isin(situations.window[pairs.situation], groups[group])))


def _loss(
    network: PolicyNetwork,
    targets: Float[Tensor, "N Q"],
    histories: Histories,
    situations: Situations,
    held: Float[Tensor, "S Q"],
    pairs: Pairs,
    config: DpoConfig,
) -> Float[Tensor, ""]:
    """Return the mean DPO loss of some pairs, with gradient."""
    spots = situations.spots(pairs.situation)
    batch = histories.batch(spots.windows)
    states = network.states_at(batch.song, batch.features, torch.from_numpy(spots.places))
    wanted = network.wanted(states[torch.from_numpy(spots.owner), torch.from_numpy(spots.slot)])  # (P, Q)
    preferred, rejected = _looked_for(targets, pairs.preferred), _looked_for(targets, pairs.rejected)
    return dpo_loss(
        margins(wanted, preferred, rejected, temperature=config.temperature),
        margins(held[pairs.situation], preferred, rejected, temperature=config.temperature),
        beta=config.beta,
        doubt=torch.from_numpy(pairs.doubt.astype(np.float32)),
    ).mean()


def _looked_for(targets: Float[Tensor, "N Q"], rows: Int[ndarray, "P *T"]) -> Float[Tensor, "P Q"]:
    """Return the songs' targets, added up over a sequence: ŝ·Σ y is the sum of its songs' scores."""
    return targets[rows] if rows.ndim == 1 else targets[rows].sum(dim=1)
