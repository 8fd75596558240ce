"""SAFETY's rules a second time, written from that page alone: plain numbers, one song, a simulation's own ledger.

What is not taken from the service: which songs were offered when, who blocked what, what is withdrawn, what the
listener said last, how far a song lies from the training songs, which songs are known safe. What is taken from it
are the numbers its models gave (the estimate, and what was predicted of the song that was chosen).
"""

from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.decision import Decision
from models.guardrails import Limits
from models.listening import Mode, Population
from service.journal.events import Report

TO_THE_END = 0.95
VALENCE, AROUSAL = 2, 3
"""Of the four signals: engagement, rating, valence, arousal."""
SLACK = 1e-9
MODELS_CHOSE = ("policy", "wider")


@dataclass
class Ledger:
    """What happened to one listener."""

    bundle: Bundle
    catalogue: Catalogue
    """As it is now; songs are withdrawn meanwhile."""
    distances: np.ndarray
    """How far each song lies from its nearest training song."""
    population: Population = Population.UNSPECIFIED
    session: int = 0
    said: Report | None = None
    """What the listener said when the session began; nothing is said after single songs here."""
    blocked_tags: set[str] = field(default_factory=set)
    offers: list[tuple[str, str, float]] = field(default_factory=list)
    """Song, artist and time, oldest first."""
    plays: dict[str, list[tuple[float, int | None]]] = field(default_factory=dict)
    """Song → engagement and rating of each time."""

    def begin(self, session: int, said: Report | None) -> None:
        """A session began."""
        self.session, self.said = session, said

    def offered(self, row: int, at: float) -> None:
        """A song was offered."""
        song = self.catalogue.songs[row]
        self.offers.append((song.song_id, song.artist or "", at))

    def heard(self, row: int, engagement: float, rating: int | None) -> None:
        """Its feedback came."""
        self.plays.setdefault(self.catalogue.songs[row].song_id, []).append((engagement, rating))


def distances_of(bundle: Bundle, embeddings: np.ndarray) -> np.ndarray:
    """Return how far each song lies from its nearest training song: every pair, one song after the other."""
    points = bundle.projections.support_points.astype(np.float64)
    songs = bundle.projections.support_map(embeddings).astype(np.float64)
    return np.array([np.sqrt(((points - each) ** 2).sum(axis=1).min()) for each in songs])


def broken_rules(
    ledger: Ledger, mode: Mode, decision: Decision, *, now: float, exclude: tuple[str, ...]
) -> list[str]:
    """Return the rules that a song which was given breaks; none, if all is well."""
    row = int(ledger.catalogue.rows(np.array([decision.song]))[0])
    song = ledger.catalogue.songs[row]
    limits = ledger.bundle.guardrails.limits[ledger.population.label][mode.label]
    broken = []
    if ledger.catalogue.withdrawn[row] or ledger.blocked_tags & set(song.tags):
        broken.append("blocked")
    if song.song_id in exclude:
        broken.append("excluded")
    if _was_offered_lately(ledger, song.song_id, song.artist or "", limits, now):
        broken.append("repetition")
    match decision.rung.value:
        case "policy" | "wider":
            broken += _broken_by_affect(ledger, decision, limits)
            if not ledger.distances[row] <= limits.support_distance * (1 + 1e-5):
                broken.append("unknown")
        case "known_safe":
            times = ledger.plays.get(song.song_id, [])
            to_the_end = sum(engagement >= TO_THE_END for engagement, _ in times)
            if to_the_end < 2 or any(rating == 0 for _, rating in times):
                broken.append("known_safe")
        case "approved":
            if song.song_id not in ledger.bundle.guardrails.approved.get(mode.label, ()):
                broken.append("approved")
        case other:
            broken.append(f"a song on rung {other}")
    return broken


def _was_offered_lately(ledger: Ledger, song_id: str, artist: str, limits: Limits, now: float) -> bool:
    for ago, (other_song, other_artist, at) in enumerate(reversed(ledger.offers)):
        hours = (now - at) / 3600.0
        if other_song == song_id and (ago < limits.song_gap or hours < limits.song_gap_hours - SLACK):
            return True
        if other_artist == artist and (ago < limits.artist_gap or hours < limits.artist_gap_hours - SLACK):
            return True
        if ago > max(limits.song_gap, limits.artist_gap) and hours > max(
            limits.song_gap_hours, limits.artist_gap_hours
        ):
            return False  # what was offered before that is longer ago still
    return False


def _broken_by_affect(ledger: Ledger, decision: Decision, limits: Limits) -> list[str]:
    predicted = decision.trials[-1].candidates.predicted[0, :, decision.place].astype(np.float64).tolist()
    estimate = decision.standing.estimate[0].astype(np.float64).tolist()
    factor = 1.0 if ledger.said is not None else limits.unreported_factor
    anchor = ledger.said or ledger.bundle.guardrails.prior[ledger.population.label]
    valence, valence_spread = _mean_and_spread(
        [p[VALENCE] - e[0] for p, e in zip(predicted, estimate, strict=True)]
    )
    arousal, arousal_spread = _mean_and_spread(
        [p[AROUSAL] - e[1] for p, e in zip(predicted, estimate, strict=True)]
    )
    reached = sum(each[AROUSAL] for each in predicted) / len(predicted)
    kept = {
        "arousal_step": arousal + limits.caution * arousal_spread <= limits.arousal_rise * factor + SLACK
        and arousal - limits.caution * arousal_spread >= -limits.arousal_fall * factor - SLACK,
        "arousal_envelope": abs(reached - anchor[1]) <= limits.arousal_band * factor + 1e-6,
        "valence_drop": valence - limits.caution * valence_spread >= -limits.valence_fall * factor - SLACK,
    }
    return [rule for rule, is_kept in kept.items() if not is_kept]


def _mean_and_spread(numbers: list[float]) -> tuple[float, float]:
    mean = sum(numbers) / len(numbers)
    return mean, sqrt(sum((each - mean) ** 2 for each in numbers) / len(numbers))
