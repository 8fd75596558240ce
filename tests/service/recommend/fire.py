"""Guardrails under fire: simulated sessions, typical and hostile, through the road, and every song judged again.

`python -m tests.service.recommend.fire --sessions 100000` prints one table. In process: what a listener does
becomes the events that writes become, the state follows them as memory's does, and `recommend` chooses over a
sealed bundle with limits that its stress test derived. Every song given is judged by `safety_page.py`, which reads
the simulation's own ledger of what was offered, blocked, withdrawn and said, and shares no line with
`models/guardrails.py`. True steps come from the platform's truth, beside the song that Copycat would have given
without guardrails in the very same moment.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from models.calibration import Calibration
from models.catalogue import Catalogue, Song
from models.exposure import empty_snapshot
from models.gates import GateReport
from models.guardrails import Rung
from models.listening import Mode, Population
from models.repository import Repository
from service.clock import SECOND
from service.journal.events import (
    BlockChanged,
    Event,
    ModeChanged,
    Offer,
    Play,
    Report,
    SessionEnded,
    SessionStarted,
    SongPlayed,
    SongsOffered,
)
from service.live.engine import Engine, open_engine
from service.memory.state import ListenerState, apply
from service.recommend.recommend import Recommendation, recommend
from service.recommend.remember import view_of
from tests.service.recommend.safety_page import Ledger, broken_rules
from tests.training import small_run
from training.export.export import Origin, Trained, export_bundle
from training.platform.truth import TrueState, Truth
from training.stress.derive import derived_table

BEGINNING = 1.8e9
DAY = 86_400
FAR = 12
"""Songs of the catalogue that lie outside everything training has heard."""
CANDIDATES = 50
"""K: on the ladder's second rung this small catalogue is looked at whole, as its limits were derived."""
SONGS_PER_SESSION = 5
REPORTS: dict[str, tuple[Report, ...]] = {
    "extreme reports": ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)),
    "contradictory reports": ((0.0, 1.0), (1.0, 0.0)),
}
TYPICAL = "typical"
HOSTILE = (
    "all dislikes",
    "contradictory reports",
    "extreme reports",
    "no report",
    "most tags blocked",
    "long exclude lists",
    "mode switched every song",
    "one artist everywhere",
    "songs withdrawn meanwhile",
    "a thousand events",
)


@dataclass
class Tally:
    """What one kind of session met."""

    sessions: int = 0
    asked: int = 0
    rungs: Counter = field(default_factory=Counter)
    broken: Counter = field(default_factory=Counter)
    """Rule → songs that were given and break it."""
    judged: int = 0
    """Songs whose true step is known."""
    over: int = 0
    """Of those, songs whose true step passes a limit."""
    copycat_over: int = 0
    """Of the songs Copycat would have given in their place."""

    @property
    def fallback(self) -> float:
        """The share of requests that people's lists, or nobody, answered."""
        below = (Rung.KNOWN_SAFE, Rung.APPROVED, Rung.SILENCE)
        return sum(self.rungs[rung] for rung in below) / max(self.asked, 1)


@dataclass
class Person:
    """A simulated listener: what the service remembers of them, what is true, and the ledger of what happened."""

    kind: str
    row: int
    state: ListenerState
    truth: TrueState
    ledger: Ledger
    now: float = BEGINNING
    sessions: int = 0

    def follow(self, make: Callable[..., Event], **facts: object) -> None:
        """Let the state follow one write."""
        after = apply(
            self.state, make(sequence=self.state.sequence + 1, active_at=int(self.now * SECOND), **facts)
        )
        assert after is not None
        self.state = after


@cache
def engines() -> tuple[Engine, Engine, Truth]:
    """Return an engine over the platform's songs and far ones, one where all are by one artist, and the truth."""
    made, cloned = small_run.material(), small_run.copycat()
    config = replace(small_run.STRESS, derivation_starts=400)
    subject = replace(small_run.subject(), candidate_count=CANDIDATES)
    table, _ = derived_table(subject, made, small_run.PRESET.windows, config, np.random.default_rng(4))
    repository = Repository(Path(tempfile.mkdtemp(prefix="amrs-fire-")))
    version = export_bundle(
        Trained(
            ensemble=small_run.world().ensemble,
            policy=cloned.network,
            reading=made.reading,
            target_map=cloned.target,
            support=made.embeddings[made.heard],
            space=made.space,
            context=made.log.description.context,
            lookback=small_run.PRESET.lookback,
        ),
        utility=small_run.UTILITY,
        guardrails=table,
        calibration=Calibration(
            level=0.9,
            widths={"engagement": (0.4,), "valence": (0.3,), "arousal": (0.35,)},
            listener_count=10,
            listener_counts={},
            label_counts={},
        ),
        gates=GateReport(gates=()),
        evaluation={},
        card="# Guardrails under fire\n",
        origin=Origin(
            created=datetime(2026, 11, 26, tzinfo=UTC),
            code_version="tests",
            data_digest="0" * 64,
            data_name="simulated",
            simulated=True,
            training={},
        ),
        repository=repository,
        rng=np.random.default_rng(5),
        candidate_count=CANDIDATES,
    )
    bundle = repository.open(version)
    songs, embeddings = list(made.catalogue.songs), made.embeddings
    far = np.random.default_rng(6).normal(size=(FAR, embeddings.shape[1])) * 4.0 * np.abs(embeddings).max()
    songs += [
        Song(song_id=f"far-{place}", title="Far", artist=f"Far {place}", duration_seconds=200.0, tags=("far",))
        for place in range(FAR)
    ]
    withdrawn = np.zeros(len(songs), bool)
    withdrawn[::11] = True
    held = {made.space.name: np.concatenate([embeddings, far]).astype(np.float32)}
    one = [replace(song, artist="The One (simulated)") for song in songs]
    over = (Catalogue(songs=each, embeddings=held, withdrawn=withdrawn) for each in (songs, one))
    assert made.truth is not None
    ordinary, alike = (open_engine(bundle, catalogue) for catalogue in over)
    return ordinary, alike, made.truth


class Fire:
    """The simulation: people come back day after day, each kind of them in turn."""

    def __init__(self, seed: int, *, people: int = 20) -> None:
        self.rng = np.random.default_rng(seed)
        self.ordinary, self.alike, self.truth = engines()
        self.tallies = {kind: Tally() for kind in (TYPICAL, *HOSTILE)}
        self._people = {kind: [self._newcomer(kind) for _ in range(people)] for kind in self.tallies}

    def run(self, sessions: int) -> dict[str, Tally]:
        """Let so many sessions happen, half of them typical; return what was met."""
        for number in range(sessions):
            kind = TYPICAL if number % 2 else HOSTILE[number // 2 % len(HOSTILE)]
            self._session(kind)
        return self.tallies

    def _newcomer(self, kind: str) -> Person:
        row = int(self.rng.integers(len(self.truth.simulation.listeners.baseline)))
        state = self.truth.start(np.array([row]), np.array([0]))
        engine = self.alike if kind == "one artist everywhere" else self.ordinary
        ledger = Ledger(engine.bundle, engine.catalogue)
        return Person(kind, row, ListenerState(), state, ledger)

    def _engine(self, kind: str) -> Engine:
        return self.alike if kind == "one artist everywhere" else self.ordinary

    def _session(self, kind: str) -> None:
        crowd, tally = self._people[kind], self.tallies[kind]
        place = int(self.rng.integers(len(crowd)))
        person = crowd[place]
        if person.sessions >= 40 or not person.sessions:
            person = crowd[place] = self._newcomer(kind)
            self._past(person)
        mode = self._mode(kind)
        said = self._report(person)
        self._start(person, mode, said)
        engine = self._engine(kind)
        if kind == "songs withdrawn meanwhile":
            engine = self._withdrawing(engine, person)
        for _ in range(SONGS_PER_SESSION):
            if kind == "mode switched every song":
                mode = Mode((int(mode) + 1) % len(Mode))
                person.follow(ModeChanged, session_number=person.ledger.session, mode=int(mode))
            self._song(engine, person, mode, tally)
        after = None if kind == "no report" else self._report(person)
        person.follow(SessionEnded, session_number=person.ledger.session, after=after)
        person.sessions += 1
        person.now += DAY * float(self.rng.uniform(0.05, 2.0))
        tally.sessions += 1

    def _past(self, person: Person) -> None:
        """Give a newcomer what their kind brings along: blocks, or a thousand events."""
        listening = small_run.material().listening
        if person.kind == TYPICAL:
            (place,) = np.flatnonzero(small_run.material().listener_rows == person.row)
            person.ledger.population = Population(int(listening.population[place]))
        else:
            person.ledger.population = Population(int(self.rng.integers(len(Population))))
        if person.kind == "most tags blocked":
            tags = sorted({tag for song in self.ordinary.catalogue.songs for tag in song.tags} - {"simulated"})
            for tag in self.rng.choice(tags, len(tags) * 2 // 3, replace=False).tolist():
                person.ledger.blocked_tags.add(tag)
                person.follow(BlockChanged, kind="tag", value=tag, blocked=True)
        if person.kind == "a thousand events":
            for _ in range(50):
                self._start(person, Mode.CALM, (0.5, 0.5))
                for row in self.rng.integers(len(self.ordinary.catalogue), size=9).tolist():
                    self._offered(person, self.ordinary, row, Mode.CALM, engagement=1.0, rating=None)
                person.follow(SessionEnded, session_number=person.ledger.session, after=(0.6, 0.4))
                person.now += DAY / 4.0
            person.sessions = 1

    def _mode(self, kind: str) -> Mode:
        """Return what is asked for: the log's modes as often as there in a typical session, else any."""
        if kind == TYPICAL:
            return Mode(int(self.rng.choice(small_run.material().listening.mode)))
        return Mode(int(self.rng.integers(len(Mode))))

    def _start(self, person: Person, mode: Mode, said: Report | None) -> None:
        number = person.state.sequence + 1
        person.follow(
            SessionStarted,
            session_id=f"s-{number}",
            mode=int(mode),
            started_at=int(person.now * SECOND),
            before=said,
            context={},
            population=int(person.ledger.population),
        )
        person.ledger.begin(number, said)

    def _report(self, person: Person) -> Report | None:
        if person.kind == "no report":
            return None
        if spoken := REPORTS.get(person.kind):
            return spoken[int(self.rng.integers(len(spoken)))]
        said = np.clip(person.truth.affect[0] + self.rng.normal(0, 0.05, 2), 0, 1)
        return float(said[0]), float(said[1])

    def _withdrawing(self, engine: Engine, person: Person) -> Engine:
        """Withdraw songs that the listener would have been given."""
        withdrawn = engine.catalogue.withdrawn.copy()
        withdrawn[self.rng.permutation(len(withdrawn))[: len(withdrawn) // 3]] = True
        catalogue = engine.catalogue
        person.ledger.catalogue = Catalogue(
            songs=list(catalogue.songs), embeddings=dict(catalogue.embeddings), withdrawn=withdrawn
        )
        return engine.with_catalogue(person.ledger.catalogue)

    def _song(self, engine: Engine, person: Person, mode: Mode, tally: Tally) -> None:
        exclude = ()
        if person.kind == "long exclude lists":
            songs = engine.catalogue.songs
            exclude = tuple(songs[row].song_id for row in self.rng.permutation(len(songs))[: len(songs) * 3 // 4])
        assert person.state.open is not None
        view = view_of(person.state, person.state.open, engine.bundle.manifest.context)
        given = recommend(engine, view, empty_snapshot(len(engine.catalogue)), now=person.now, exclude=exclude)
        tally.asked += 1
        if given.refusal is not None:
            tally.rungs[Rung.SILENCE] += 1
            person.now += 60.0
            return
        (chosen,) = given.songs
        tally.rungs[chosen.decision.rung] += 1
        for rule in broken_rules(person.ledger, mode, chosen.decision, now=person.now, exclude=exclude):
            tally.broken[rule] += 1
        row = int(engine.catalogue.rows(np.array([chosen.decision.song]))[0])
        self._measure(engine, person, mode, chosen, row, tally)
        engagement, rating = self._heard(person, row)
        self._offered(person, engine, row, mode, engagement=engagement, rating=rating)

    def _measure(
        self, engine: Engine, person: Person, mode: Mode, chosen: Recommendation, row: int, tally: Tally
    ) -> None:
        """Count true steps that pass the listener's limits: of the song given, and of Copycat's in its place."""
        first = chosen.decision.trials[0].candidates
        proposed = int(engine.catalogue.rows(first.song[0, [int(np.argmax(first.score[0]))]])[0])
        known = len(engine.catalogue) - FAR
        if row >= known or proposed >= known:
            return
        limits = engine.bundle.guardrails.limits_for(person.ledger.population, mode)
        steps = self.truth.affect_step(person.truth, np.array([[row, proposed]]))[0]
        over = [
            bool(arousal > limits.arousal_rise or arousal < -limits.arousal_fall or valence < -limits.valence_fall)
            for valence, arousal in steps.tolist()
        ]
        tally.judged += 1
        tally.over += over[0]
        tally.copycat_over += over[1]

    def _heard(self, person: Person, row: int) -> tuple[float, int | None]:
        """Return how the listener took the song, which moves their true affect."""
        if row >= len(self.ordinary.catalogue) - FAR:
            return 0.2, 0
        person.truth, signals = self.truth.step(person.truth, np.array([row]), self.rng)
        if person.kind == "all dislikes":
            return 0.03, 0
        rated = int(signals[0, 1]) if self.rng.random() < 0.2 else None
        return float(signals[0, 0]), rated

    def _offered(
        self, person: Person, engine: Engine, row: int, mode: Mode, *, engagement: float, rating: int | None
    ) -> None:
        """Let a song be offered and its feedback come."""
        opened = person.state.open
        assert opened is not None
        song = int(engine.catalogue.keys[row])
        offer = Offer(song, int(engine.catalogue.artists[row]), int(person.now * SECOND))
        person.follow(
            SongsOffered,
            session_number=opened.session_number,
            next_position=opened.next_position + 1,
            offers=(offer,),
        )
        person.ledger.offered(row, person.now)
        play = Play(opened.next_position, song, int(mode), engagement, rating, int(person.now * SECOND))
        person.now += (engine.catalogue.songs[row].duration_seconds or 200.0) * max(engagement, 0.05)
        person.follow(SongPlayed, session_number=opened.session_number, play=play, late=None)
        person.ledger.heard(row, engagement, rating)


def table(tallies: dict[str, Tally]) -> str:
    """Return what was met, a line per kind of session."""
    lines = [
        f"{'kind':26} {'sessions':>8} {'songs asked':>11} {'broken':>6} {'wider':>7} {'fallback':>8} "
        f"{'silence':>7} {'true steps over':>15} {'Copycat':>8}"
    ]
    for kind, tally in tallies.items():
        asked, judged = max(tally.asked, 1), max(tally.judged, 1)
        lines.append(
            f"{kind:26} {tally.sessions:8} {tally.asked:11} {sum(tally.broken.values()):6} "
            f"{tally.rungs[Rung.WIDER] / asked:7.2%} {tally.fallback:8.2%} "
            f"{tally.rungs[Rung.SILENCE] / asked:7.2%} {tally.over / judged:15.2%} "
            f"{tally.copycat_over / judged:8.2%}"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table, and how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cpu-seconds", type=float, default=float("inf"), help="stop after so many")
    arguments = parser.parse_args()
    fire = Fire(arguments.seed)
    begun, wall, done = process_time(), perf_counter(), 0
    while done < arguments.sessions and process_time() - begun < arguments.cpu_seconds:
        fire.run(min(200, arguments.sessions - done))
        done += min(200, arguments.sessions - done)
    print(table(fire.tallies))
    spent = process_time() - begun
    print(f"{done} sessions in {spent:.0f} CPU seconds ({perf_counter() - wall:.0f} s): {done / spent:.0f}/s")
    broken = sum((tally.broken for tally in fire.tallies.values()), Counter())
    raise SystemExit(f"broken: {dict(broken)}" if broken else 0)


if __name__ == "__main__":
    main()
