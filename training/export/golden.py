"""Golden cases, made: invented listeners and songs, and what PyTorch computes for them.

Nobody's data is in a bundle: sessions, feedback and embeddings are drawn from a generator.

Legend: B cases · G songs · E embedding width · S training songs
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from models.bundle import Affine
from models.catalogue import gather
from models.context import CategoryField, ClockField, ContextField, ContextSchema
from models.golden import Expected, Golden
from models.listening import Listening, Mode, Population, concatenate, song_key
from models.tokens import Tokens, tokenise
from training.networks.policy import PolicyNetwork, cosines
from training.networks.reading import Reading
from training.networks.world import Ensemble

_SONGS = 12


def golden_cases(
    ensemble: Ensemble,
    policy: PolicyNetwork,
    *,
    reading: Reading,
    target_map: Affine,
    support: Float[ndarray, "S E"],
    context: ContextSchema,
    lookback: int,
    rng: np.random.Generator,
) -> Golden:
    """Return invented cases from the empty history to one that overflows the lookback, answered by PyTorch.

    Args:
        support: embeddings of the training songs; only their mean and spread are looked at.
    """
    keys = np.array([song_key(f"golden-{place}") for place in range(_SONGS)], np.int64)
    drawn = rng.normal(support.mean(axis=0), support.std(axis=0), (_SONGS, support.shape[1]))
    embeddings = drawn.astype(np.float32)
    plays_of = {
        "nothing happened": [],
        "a session without plays": [0],
        "one play": [1],
        "two plays in two sessions": [1, 1],
        "fifty plays": [7] * 7 + [1],
        "the lookback filled": [lookback],
        "the lookback overflown": [5] * (lookback // 5 + 2),
    }
    listening = concatenate([invented_listener(rng, plays, keys, context) for plays in plays_of.values()])
    tokens = tokenise(listening, context).latest(lookback)
    return Golden(
        names=tuple(plays_of),
        listening=listening,
        keys=keys,
        embeddings=embeddings,
        expected=answers(
            ensemble, policy, tokens, keys=keys, embeddings=embeddings, reading=reading, target_map=target_map
        ),
    )


@torch.inference_mode()
def answers(
    ensemble: Ensemble,
    policy: PolicyNetwork,
    tokens: Tokens,
    *,
    keys: Int[ndarray, " G"],
    embeddings: Float[ndarray, "G E"],
    reading: Reading,
    target_map: Affine,
) -> Expected:
    """Return what the trained networks themselves compute: nothing melted, stacked or left out.

    Args:
        keys: of the songs in the tokens, each of which is also asked about.
        embeddings: of the same songs.
    """
    row_of = {int(key): row for row, key in enumerate(keys)}
    rows = np.vectorize(lambda key: row_of.get(key, -1), otypes=[np.int64])(tokens.song)
    songs = torch.from_numpy(reading(embeddings))  # (G, K)
    token_song = torch.from_numpy(gather(songs.numpy(), rows))  # (B, L, K)
    features = torch.from_numpy(tokens.features)

    each = torch.arange(len(tokens.length))
    states = ensemble.states(token_song, features)  # (B, M, L+1, D)
    state = states[each, :, tokens.length]
    target = torch.nn.functional.normalize(torch.from_numpy(target_map(embeddings)), dim=-1)
    wanted = policy(token_song, features)[each, tokens.length]  # (B, Q)
    return Expected(
        song=tokens.song,
        features=tokens.features,
        length=tokens.length,
        state=state.numpy(),
        previous_state=states[each, :, tokens.previous].numpy(),
        predicted=ensemble.predict(state, songs.expand(len(state), -1, -1)).numpy(),
        score=cosines(wanted, target).numpy(),
    )


def invented_listener(
    rng: np.random.Generator, plays: list[int], keys: Int[ndarray, " G"], context: ContextSchema
) -> Listening:
    """Return one listener with so many plays in each session; every signal is sometimes absent."""
    sessions, total = len(plays), sum(plays)

    def sometimes(values: Float[ndarray, "*shape"], chance: float) -> Float[ndarray, "*shape"]:
        there = rng.random(len(values)) < chance
        return np.where(there.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan).astype(np.float32)

    raw = np.column_stack(
        [np.zeros((sessions, 0)), *(_invented_context(rng, field, sessions) for field in context.fields)]
    )
    mode = rng.integers(0, len(Mode), sessions)
    play_start = np.concatenate([[0], np.cumsum(plays)]).astype(np.int64)
    return Listening(
        population=rng.integers(0, len(Population), 1),
        session_start=np.array([0, sessions]),
        mode=mode,
        started_at=1.7e9 + np.cumsum(rng.exponential(86_400.0, sessions)),
        before=sometimes(rng.random((sessions, 2)), 0.8),
        after=sometimes(rng.random((sessions, 2)), 0.6),
        context=sometimes(raw, 0.8),
        play_start=play_start,
        song=rng.choice(keys, total),
        engagement=sometimes(rng.random(total), 0.9),
        rating=sometimes(rng.integers(0, 2, total).astype(np.float64), 0.3),
        report=sometimes(rng.random((total, 2)), 0.2),
        play_mode=np.repeat(mode, plays),
        played_at=np.full(total, np.nan),
    )


def _invented_context(rng: np.random.Generator, field: ContextField, sessions: int) -> Float[ndarray, " S"]:
    if isinstance(field, ClockField):
        return rng.uniform(0.0, 24.0, sessions)
    if isinstance(field, CategoryField):
        return rng.integers(0, len(field.values), sessions).astype(np.float64)
    return rng.uniform(field.low, field.high, sessions)
