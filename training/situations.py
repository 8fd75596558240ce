"""Situations: moments of logged histories at which the next song is chosen; rollouts start from windows of them.

A window is a stretch of one listener's logged tokens, drawn anew for each listener a few times: the policy has to
act on partial histories, and every policy that is compared starts from the same ones (AMRS §3.4, rollout
seeding). A history shorter than the drawn length is its own window.

Legend: W windows · S situations · T tokens of all listeners · P plays · w windows that are read
· p situations of a window
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.errors import ConfigError
from models.listening import NO_SONG, Listening
from training.windows import Histories, Windows

FEWEST_PLAYS = 2
"""Listeners with fewer are left out of windows, and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig:
    """How many windows a listener gives, and how long they are."""

    windows_per_listener: int = 5
    shortest: int = 10
    longest: int = 100
    """Tokens; lengths are uniform between the two, both included."""

    def __post_init__(self) -> None:
        if self.windows_per_listener < 1 or not 1 <= self.shortest <= self.longest:
            raise ConfigError(
                "windows need one a listener and 1 <= shortest <= longest; got "
                f"{self.windows_per_listener}, {self.shortest} and {self.longest}"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StartWindows:
    """W stretches of listeners' histories, counted in the listener's own tokens."""

    listener: Int[ndarray, " W"]
    first: Int[ndarray, " W"]
    stop: Int[ndarray, " W"]
    left_out_count: int
    """Listeners who had too few plays for any window."""

    def __len__(self) -> int:
        return len(self.listener)

    def take(self, rows: Int[ndarray, " w"]) -> "StartWindows":
        """Return the given windows."""
        return replace(self, listener=self.listener[rows], first=self.first[rows], stop=self.stop[rows])

    def in_columns(self, histories: Histories) -> Windows:
        """Return the same windows, counted over the tokens of all listeners."""
        return Windows(first=histories.columns.start[self.listener] + self.first, length=self.stop - self.first)


def draw_windows(
    listening: Listening, listeners: Int[ndarray, " b"], config: WindowConfig, rng: np.random.Generator
) -> StartWindows:
    """Return the windows of the given listeners; the same generator gives the same ones."""
    plays = np.diff(listening.play_start[listening.session_start])[listeners]
    kept = np.repeat(listeners[plays >= FEWEST_PLAYS], config.windows_per_listener)
    available = listening.token_counts[kept]
    length = np.minimum(rng.integers(config.shortest, config.longest + 1, len(kept)), available)
    first = rng.integers(0, available - length + 1)
    return StartWindows(
        listener=kept,
        first=first,
        stop=first + length,
        left_out_count=int(np.count_nonzero(plays < FEWEST_PLAYS)),
    )


def draw_choices(
    listening: Listening, listeners: Int[ndarray, " b"], config: WindowConfig, rng: np.random.Generator
) -> StartWindows:
    """Return windows that end where a logged song was chosen: session starts are as common as in the log."""
    plays = np.diff(listening.play_start[listening.session_start])[listeners]
    kept = np.repeat(listeners[plays >= FEWEST_PLAYS], config.windows_per_listener)
    first_play = listening.play_start[listening.session_start]
    play = rng.integers(first_play[kept], first_play[kept + 1])
    stop = play - first_play[kept] + listening.session_of_play[play] - listening.session_start[kept] + 1
    length = rng.integers(config.shortest, config.longest + 1, len(kept))
    return StartWindows(
        listener=kept,
        first=np.maximum(stop - length, 0),
        stop=stop,
        left_out_count=int(np.count_nonzero(plays < FEWEST_PLAYS)),
    )


def listening_in(listening: Listening, windows: StartWindows) -> Listening:
    """Return each window as a listener of its own: the history a rollout begins with.

    Where a window ends with its session, the report at the session's end becomes a report after its last song:
    the tokens are the same, and it stays known when the rollout plays on.
    """
    own = listening.select(windows.listener).segment(windows.first, windows.stop)
    report, last = own.report.copy(), own.is_last_play
    after = own.after[own.session_of_play[last]]
    report[last] = np.where(np.isnan(after), report[last], after)
    return replace(own, report=report)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Situations:
    """S moments inside windows at which a song was played next."""

    windows: Windows
    window: Int[ndarray, " S"]
    """The window of each, ascending."""
    place: Int[ndarray, " S"]
    """How many tokens of the window had been heard."""
    mode: Int[ndarray, " S"]
    """The mode in force."""
    logged: Int[ndarray, " S"]
    """The row of the song that was played."""
    feedback: Float[ndarray, "S 4"]
    """What was said of it; NaN where nothing was."""

    def __len__(self) -> int:
        return len(self.window)

    def spots(self, rows: Int[ndarray, " s"] | None = None) -> "Spots":
        """Return where the given situations stand, window by window; all of them when None."""
        window, place = (self.window, self.place) if rows is None else (self.window[rows], self.place[rows])
        used, owner = np.unique(window, return_inverse=True)
        by_owner = np.argsort(owner, kind="stable")
        slot = np.empty(len(owner), np.int64)
        slot[by_owner] = np.arange(len(owner)) - np.searchsorted(owner[by_owner], owner[by_owner])
        places = np.zeros((len(used), int(slot.max(initial=0)) + 1), np.int64)
        places[owner, slot] = place
        windows = Windows(first=self.windows.first[used], length=places.max(axis=1))
        return Spots(windows=windows, places=places, owner=owner, slot=slot)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spots:
    """Situations, gathered by window; a window ends at its last one, since nobody asks what came after it."""

    windows: Windows
    places: Int[ndarray, "w p"]
    """How many tokens had been heard at each situation of a window; 0 where it has no more of them."""
    owner: Int[ndarray, " s"]
    """Each situation's row among the windows."""
    slot: Int[ndarray, " s"]
    """Its column among the places."""


def situations_in(
    windows: Windows,
    histories: Histories,
    listening: Listening,
    suited: Bool[ndarray, " T"],
    *,
    per_window: int,
    rng: np.random.Generator,
) -> Situations:
    """Return up to `per_window` situations of each window, drawn at random among the suited plays.

    Args:
        windows: stretches of the columns.
        histories: of the same listening.
        listening: whose plays know their mode.
        suited: tokens whose choice is of interest; boundaries never are.
        per_window: the largest number of a window.
        rng: draws which.
    """
    is_play = histories.song_row != NO_SONG
    window = np.repeat(np.arange(len(windows)), windows.length)
    place = np.arange(len(window)) - np.repeat(np.cumsum(windows.length) - windows.length, windows.length)
    token = windows.first[window] + place
    kept = np.flatnonzero((is_play & suited)[token])
    shuffled = kept[np.lexsort([rng.random(len(kept)), window[kept]])]
    owner = window[shuffled]
    rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
    chosen = np.sort(shuffled[rank < per_window])
    play_of_token = np.cumsum(is_play) - 1
    return Situations(
        windows=windows,
        window=window[chosen],
        place=place[chosen],
        mode=listening.play_mode[play_of_token[token[chosen]]],
        logged=histories.song_row[token[chosen]],
        feedback=histories.targets[token[chosen]],
    )
