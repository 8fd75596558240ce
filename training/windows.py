"""Windows: token columns cut into training batches, and whole histories read with a bounded lookback.

An epoch cuts every history into consecutive windows at a fresh random phase (`CutWindows`), so every token is
supervised exactly once an epoch and no window is a copy of another. The paper draws five windows per listener
(`DrawnWindows`); two thirds of the listeners have fewer tokens than its shortest window, so their five windows
are the same. Such copies are one window of weight five: the same loss for a fifth of the work.

Windows of like length share a batch, which keeps padding low.

Legend: B windows · L tokens · T tokens of all listeners · W windows · K song width · F features
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from models.catalogue import gather
from models.errors import ConfigError, UnknownSong
from models.listening import NO_SONG
from models.tokens import TokenColumns
from training.networks.inputs import Inputs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """B windows, left-aligned; padding has zero vectors, zero features and no target."""

    song: Float[Tensor, "B L K"]
    """Song vectors of the history; zeros where a token has no song."""
    candidate: Float[Tensor, "B L K"]
    """The same songs as candidates, each in the place where it is predicted."""
    features: Float[Tensor, "B L F"]
    targets: Float[Tensor, "B L 4"]
    """The feedback of each token's play in `Signal` order; NaN where nothing was observed."""
    song_row: Int[Tensor, "B L"]
    """Rows of the song vectors; `NO_SONG` on boundaries and padding."""
    length: Int[Tensor, " B"]
    weight: Float[Tensor, " B"]
    """How many equal windows each one stands for."""

    def shown(self, inputs: Inputs) -> "Batch":
        """Return what is left of it under the given inputs; targets stay."""
        nothing = torch.zeros_like(self.song)
        return replace(
            self,
            song=self.song if inputs.past_songs else nothing,
            candidate=self.candidate if inputs.candidate else nothing,
            features=self.features * inputs.kept_features(self.features.shape[-1]),
        )

    @property
    def padded_share(self) -> float:
        """The share of positions that are padding, in [0, 1)."""
        return 1.0 - float(self.length.sum()) / max(self.features.shape[0] * self.features.shape[1], 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histories:
    """Every token of every listener, and the vectors through which networks see their songs."""

    columns: TokenColumns
    song_row: Int[ndarray, " T"]
    song_vectors: Float[ndarray, "N K"]
    targets: Float[ndarray, "T 4"]

    @classmethod
    def of(
        cls, columns: TokenColumns, *, song_keys: Int[ndarray, " N"], song_vectors: Float[ndarray, "N K"]
    ) -> "Histories":
        """Return the histories with songs as rows.

        Args:
            columns: from the tokeniser.
            song_keys: the key of each row of the song vectors, in any order.
            song_vectors: the reading of each song's embedding.

        Raises:
            UnknownSong: a play's song is not among the keys.
        """
        row = np.full(len(columns.song), NO_SONG)
        order = np.argsort(song_keys)
        plays = columns.song != NO_SONG
        wanted = columns.song[plays]
        place = np.minimum(np.searchsorted(song_keys[order], wanted), len(song_keys) - 1)
        unknown = wanted[song_keys[order][place] != wanted]
        if unknown.size:
            raise UnknownSong(f"{unknown.size} plays are of songs outside the {len(song_keys)} with a vector")
        row[plays] = order[place]
        return cls(
            columns=columns,
            song_row=row,
            song_vectors=song_vectors.astype(np.float32),
            targets=columns.targets.astype(np.float32),
        )

    @property
    def token_counts(self) -> Int[ndarray, " listeners"]:
        """How many tokens each listener has."""
        return np.diff(self.columns.start)

    def tokens_of(self, listeners: Int[ndarray, " b"]) -> Int[ndarray, " t"]:
        """Return the places of the given listeners' tokens among all."""
        start = self.columns.start
        return np.concatenate([np.arange(start[b], start[b + 1]) for b in listeners] or [np.zeros(0, np.int64)])

    def without_songs(self, hidden: Bool[ndarray, " N"]) -> "Histories":
        """Return the histories as if nothing were known of some songs: no vector, and no feedback to learn from.

        What listeners said of them stays in the history, as it does of any song.
        """
        played = (self.song_row != NO_SONG) & hidden[np.maximum(self.song_row, 0)]
        return replace(
            self,
            song_vectors=np.where(hidden[:, None], np.float32(0), self.song_vectors),
            targets=np.where(played[:, None], np.float32(np.nan), self.targets),
        )

    def batch(self, windows: "Windows") -> Batch:
        """Return the given windows as tensors, padded to the longest of them."""
        tokens = self.columns.windows(windows.first, windows.length)
        width = tokens.song.shape[1]
        offsets = np.arange(width)
        inside = offsets < windows.length[:, None]  # (B, L)
        rows = np.where(inside, windows.first[:, None] + offsets, 0)
        song_row = np.where(inside, self.song_row[rows], NO_SONG)
        targets = np.where(inside[..., None], self.targets[rows], np.float32(np.nan))
        song = torch.from_numpy(gather(self.song_vectors, song_row))
        return Batch(
            song=song,
            candidate=song,
            features=torch.from_numpy(np.ascontiguousarray(tokens.features, np.float32)),
            targets=torch.from_numpy(targets),
            song_row=torch.from_numpy(song_row),
            length=torch.from_numpy(windows.length.astype(np.int64)),
            weight=torch.from_numpy(windows.weights.astype(np.float32)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """W stretches of the token columns."""

    first: Int[ndarray, " W"]
    """Where each begins, counted over the tokens of all listeners."""
    length: Int[ndarray, " W"]
    copies: Int[ndarray, " W"] | None = None
    """How many equal windows each one stands for; one each when None."""

    def __len__(self) -> int:
        return len(self.first)

    @property
    def weights(self) -> Int[ndarray, " W"]:
        """How many equal windows each one stands for."""
        return np.ones(len(self), np.int64) if self.copies is None else self.copies

    def take(self, rows: Int[ndarray, " w"]) -> "Windows":
        """Return the given windows."""
        copies = None if self.copies is None else self.copies[rows]
        return type(self)(first=self.first[rows], length=self.length[rows], copies=copies)


@runtime_checkable
class TrainingWindows(Protocol):
    """How an epoch's windows are drawn."""

    def draw(
        self, histories: Histories, listeners: Int[ndarray, " b"], *, lookback: int, rng: np.random.Generator
    ) -> Windows:
        """Return an epoch's windows of at most `lookback` tokens; a listener given twice is drawn twice."""
        ...


@dataclass(frozen=True, slots=True)
class CutWindows:
    """Every history is cut once into consecutive windows, as `cut` does."""

    def draw(
        self, histories: Histories, listeners: Int[ndarray, " b"], *, lookback: int, rng: np.random.Generator
    ) -> Windows:
        """Return windows that cover every token of the given listeners once."""
        return cut(histories, listeners, lookback=lookback, rng=rng)


EVERY_TOKEN_ONCE: Final = CutWindows()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnWindows:
    """A few windows per listener, of random length and place; the defaults are the paper's (AMRS §4.3)."""

    windows_per_listener: int = 5
    shortest: int = 50
    longest: int = 1000

    def __post_init__(self) -> None:
        if self.windows_per_listener < 1 or not 1 <= self.shortest <= self.longest:
            raise ConfigError(
                "windows need a number of at least 1 and 1 ≤ shortest ≤ longest; "
                f"got {self.windows_per_listener}, {self.shortest} and {self.longest}"
            )

    def draw(
        self, histories: Histories, listeners: Int[ndarray, " b"], *, lookback: int, rng: np.random.Generator
    ) -> Windows:
        """Return windows of uniform length, or of a whole history where that is shorter; equal ones once."""
        owner = np.repeat(listeners[histories.token_counts[listeners] > 0], self.windows_per_listener)
        count = histories.token_counts[owner]
        length = np.minimum(rng.integers(self.shortest, self.longest + 1, len(owner)), np.minimum(count, lookback))
        first = histories.columns.start[owner] + rng.integers(0, count - length + 1)
        drawn, copies = np.unique(np.column_stack([first, length]), axis=0, return_counts=True)
        return Windows(first=drawn[:, 0], length=drawn[:, 1], copies=copies.astype(np.int64))


def cut(
    histories: Histories, listeners: Int[ndarray, " b"], *, lookback: int, rng: np.random.Generator
) -> Windows:
    """Return consecutive windows of at most `lookback` tokens that cover each given listener's history once.

    The first window's length is uniform on 1…lookback. A listener given twice is cut twice, each time at a
    phase of its own: that is how a bootstrap by listener is written.
    """
    if lookback < 1:
        raise ConfigError(f"a window needs a lookback of at least 1 token; got {lookback}")
    count = histories.token_counts[listeners]
    phase = rng.integers(1, lookback + 1, len(listeners))
    begin = histories.columns.start[listeners]
    window_count = np.where(count > 0, 1 + -(-np.maximum(count - phase, 0) // lookback), 0)  # (b,)
    owner = np.repeat(np.arange(len(listeners)), window_count)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(window_count) - window_count, window_count)
    first = np.where(number == 0, 0, phase[owner] + (number - 1) * lookback)  # (W,) within the history
    last = np.minimum(phase[owner] + number * lookback, count[owner])
    return Windows(first=begin[owner] + first, length=last - first)


def batches(
    windows: Windows, *, batch_size: int, rng: np.random.Generator, most_tokens: int | None = None
) -> Iterator[Windows]:
    """Yield the windows in batches of like length; which batch comes first is random.

    Args:
        windows: of an epoch.
        batch_size: how many share a batch.
        rng: orders windows of one length, and the batches.
        most_tokens: of a batch, padding included; longer windows then share it with fewer.
    """
    order = np.lexsort([rng.random(len(windows)), windows.length])
    groups = _grouped(windows.length[order], batch_size=batch_size, most_tokens=most_tokens)
    for number in rng.permutation(len(groups)):
        yield windows.take(order[groups[number]])


def _grouped(length: Int[ndarray, " W"], *, batch_size: int, most_tokens: int | None) -> list[slice]:
    """Return consecutive groups of at most so many windows, and of so many tokens unless one alone has more.

    Args:
        length: of the windows, ascending.
        batch_size: windows of a group, at most.
        most_tokens: of a group padded to its longest window; no bound when None.
    """
    groups, begin = [], 0
    while begin < len(length):
        end = min(begin + batch_size, len(length))
        while most_tokens is not None and end - begin > 1 and (end - begin) * length[end - 1] > most_tokens:
            end -= 1
        groups.append(slice(begin, end))
        begin = end
    return groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How much passes through a network at once. It bounds memory; numbers change by rounding alone."""

    windows: int
    tokens: int | None = None
    """Padding included, unless one window alone has more; no bound when None."""


def alike(length: Int[ndarray, " W"], bound: Bound) -> Iterator[Int[ndarray, " w"]]:
    """Yield the rows of windows of like length, the shortest first; the last row of each part is its longest."""
    by_length = np.argsort(length, kind="stable")
    for group in _grouped(length[by_length], batch_size=bound.windows, most_tokens=bound.tokens):
        yield by_length[group]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadWindows:
    """Overlapping windows over whole histories; each token is read in exactly one of them."""

    windows: Windows
    read_from: Int[ndarray, " W"]
    """The first position of each window whose prediction counts."""

    def reads(self, rows: Int[ndarray, " w"]) -> tuple[Bool[ndarray, "w L"], Int[ndarray, " t"]]:
        """Return which positions of the given windows count, and the places of their tokens among all."""
        length = self.windows.length[rows]
        offsets = np.arange(int(length.max(initial=0)))
        counts = (offsets >= self.read_from[rows, None]) & (offsets < length[:, None])
        return counts, (self.windows.first[rows, None] + offsets)[counts]


def whole_histories(
    histories: Histories, listeners: Int[ndarray, " b"], *, lookback: int, stride: int | None = None
) -> ReadWindows:
    """Return windows that read every token of the given listeners with as much of its past as serving has.

    A token is predicted from all that came before it, up to between `lookback - stride` and `lookback - 1`
    tokens; the default stride is a quarter of the lookback, a stride of 1 is exact and costs most.
    """
    stride = max(1, lookback // 4) if stride is None else stride
    if not 1 <= stride <= lookback:
        raise ConfigError(f"stride must lie between 1 and the lookback {lookback}; got {stride}")
    count = histories.token_counts[listeners]
    window_count = np.where(count > 0, 1 + -(-np.maximum(count - lookback, 0) // stride), 0)
    owner = np.repeat(np.arange(len(listeners)), window_count)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(window_count) - window_count, window_count)
    first = number * stride
    last = np.minimum(first + lookback, count[owner])
    return ReadWindows(
        windows=Windows(first=histories.columns.start[listeners][owner] + first, length=last - first),
        read_from=np.where(number == 0, 0, lookback - stride),
    )
