"""What sessions met, counted, and told in tables: rules broken, rungs, true steps, and why somebody fell back."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from models.guardrails import Choice, Limits, Rule, Rung
from models.listening import Listening, Mode, Population
from training.stress.config import TOLERANCES

BELOW = (Rung.KNOWN_SAFE, Rung.APPROVED, Rung.SILENCE)
"""The rungs on which people's lists answered, or nobody."""
CHOOSERS = ("given", "policy", "Copycat")
"""Who chose the songs whose true steps are compared: the service; its policy and Copycat without guardrails."""


@dataclass
class Steps:
    """What the songs of one chooser truly did."""

    songs: int = 0
    over: int = 0
    """Songs whose whole step, drift included, passes a limit of the listener's."""
    excess: float = 0.0
    """By how much those did, summed."""
    meaningful: int = 0
    """Songs that by themselves do more than one song may (`training/stress/config.py`)."""

    def count(self, step: np.ndarray, effect: np.ndarray, limits: Limits, population: Population) -> None:
        """Count one song: valence and arousal of its whole step, and of its own effect."""
        (valence, arousal), (own_valence, own_arousal) = step.tolist(), effect.tolist()
        beyond = max(arousal - limits.arousal_rise, -arousal - limits.arousal_fall, -valence - limits.valence_fall)
        self.songs += 1
        self.over += beyond > 0
        self.excess += max(beyond, 0.0)
        bound = TOLERANCES[population].meaningful_step
        self.meaningful += abs(own_arousal) > bound or own_valence < -bound

    def add(self, other: "Steps") -> None:
        """Add what another shard counted."""
        self.songs += other.songs
        self.over += other.over
        self.excess += other.excess
        self.meaningful += other.meaningful


class Place(NamedTuple):
    """Where a song was asked for."""

    population: str
    mode: str
    song: str
    """Which one of the session, and where the affect estimate came from."""


class Fall(NamedTuple):
    """A request that the policy's own two rungs did not answer."""

    place: Place
    alone: tuple[str, ...]
    """Rules that each alone stood between the listener and a song; none, where it took several."""


@dataclass
class Tally:
    """What one kind of session met."""

    sessions: int = 0
    asked: int = 0
    rungs: Counter[Rung] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    """Rule → songs that were given and break it."""
    places: Counter[Place] = field(default_factory=Counter)
    falls: Counter[Fall] = field(default_factory=Counter)
    steps: dict[str, Steps] = field(default_factory=lambda: {chooser: Steps() for chooser in CHOOSERS})

    @property
    def fallback(self) -> float:
        """The share of requests that people's lists, or nobody, answered."""
        return sum(self.rungs[rung] for rung in BELOW) / max(self.asked, 1)

    def count(self, place: Place, rung: Rung, choices: Iterable[Choice]) -> None:
        """Count one request: what was tried, rung by rung, and the rung that answered."""
        self.asked += 1
        self.places[place] += 1
        self.rungs[rung] += 1
        if rung in BELOW:
            self.falls[Fall(place, alone(list(choices)[1]))] += 1

    def add(self, other: "Tally") -> None:
        """Add what another shard counted."""
        self.sessions += other.sessions
        self.asked += other.asked
        for mine, more in (
            (self.rungs, other.rungs),
            (self.broken, other.broken),
            (self.places, other.places),
            (self.falls, other.falls),
        ):
            mine.update(more)
        for chooser, steps in other.steps.items():
            self.steps[chooser].add(steps)


Tallies = dict[str, Tally]


def add_up(total: Tallies, more: Tallies) -> None:
    """Add the tallies of a shard to a total."""
    for kind, tally in more.items():
        total.setdefault(kind, Tally()).add(tally)


def alone(wider: Choice) -> tuple[str, ...]:
    """Return the rules without which, each by itself, the wider rung would have had a song."""
    forbidden = wider.forbidden[0]
    return tuple(rule.label for rule in Rule if np.any((forbidden & ~int(rule)) == 0))


def rungs_table(tallies: Tallies) -> str:
    """Return songs asked for, rules broken and rungs, a line per kind of session."""
    lines = [f"{'kind':26} {'sessions':>8} {'asked':>8} {'broken':>6} {'wider':>7} {'fallback':>8} {'silence':>8}"]
    for kind, tally in tallies.items():
        asked = max(tally.asked, 1)
        lines.append(
            f"{kind:26} {tally.sessions:8} {tally.asked:8} {tally.broken.total():6} "
            f"{tally.rungs[Rung.WIDER] / asked:7.2%} {tally.fallback:8.2%} "
            f"{tally.rungs[Rung.SILENCE] / asked:8.2%}"
        )
    return "\n".join(lines)


def steps_table(tallies: Tallies) -> str:
    """Return true steps of the songs given, and of those the policy and Copycat wanted, by kind of session."""
    lines = [
        f"{'':26} {'over a limit, drift included':>29} {'by, in the mean':>24} {'too much by itself':>26}",
        f"{'kind':26} {'songs':>7}" + f" {'given':>7} {'policy':>7} {'Copycat':>8}" * 3,
    ]
    for kind, tally in tallies.items():
        steps = [tally.steps[chooser] for chooser in CHOOSERS]
        rates = [each.over / max(each.songs, 1) for each in steps]
        sizes = [each.excess / max(each.over, 1) for each in steps]
        own = [each.meaningful / max(each.songs, 1) for each in steps]
        lines.append(
            f"{kind:26} {steps[0].songs:7} {rates[0]:7.2%} {rates[1]:7.2%} {rates[2]:8.2%}"
            f" {sizes[0]:7.3f} {sizes[1]:7.3f} {sizes[2]:8.3f} {own[0]:7.2%} {own[1]:7.2%} {own[2]:8.2%}"
        )
    return "\n".join(lines)


def falls_table(tally: Tally) -> str:
    """Return where listeners of one kind fell back, and which rules alone stood in their way."""
    rules = [rule.label for rule in Rule]
    heads = "".join(f" {head:>16}" for head in (*rules, "several"))
    lines = [f"{'population':12} {'mode':12} {'song, estimate':20} {'asked':>7} {'fell':>5} {'share':>6}{heads}"]
    for place, asked in sorted(tally.places.items()):
        falls = {fall: count for fall, count in tally.falls.items() if fall.place == place}
        fell = sum(falls.values())
        by = "".join(f" {sum(n for fall, n in falls.items() if rule in fall.alone):16}" for rule in rules)
        several = sum(n for fall, n in falls.items() if not fall.alone)
        lines.append(
            f"{place.population:12} {place.mode:12} {place.song:20} {asked:7} {fell:5} "
            f"{fell / max(asked, 1):6.2%}{by} {several:16}"
        )
    return "\n".join(lines)


def place_of(population: Population, mode: Mode, source: str, listening: Listening) -> Place:
    """Return where a song was asked for by somebody who has listened so far."""
    heard = int(listening.play_start[-1] - listening.play_start[-2])
    song = ("first", "second")[heard] if heard < 2 else "later"
    return Place(population.label, mode.label, f"{song}, {source}")
