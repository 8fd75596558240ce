"""Guardrails under fire: simulated sessions, typical and hostile, through the road, and every song judged again.

`python -m tests.service.recommend.fire --bundle FOLDER --log LOG --sessions 100000 --processes 2` prints what
they met. In process: what a listener does becomes the events that writes become, the state follows them as
memory's does, and `recommend_all` chooses over a sealed bundle. Every song given is judged by `safety_page.py`,
which reads the simulation's own ledger of what was offered, blocked, withdrawn and said, and shares no line with
`models/guardrails.py`. True steps come from the platform's truth, beside the songs that the policy and Copycat
would have given without guardrails in the very same moment.

Typical listeners are strangers who live as in a log of their own: its sessions, modes, hours, reports and numbers
of songs, with our songs in place of the logged ones. Sessions come in shards, each with a seed and strangers of
its own, so that no number depends on how many processes there are.
"""

import argparse
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

from models.exposure import empty_snapshot
from models.listening import Mode, Population
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
from service.live.engine import Engine
from service.memory.state import ListenerState, apply
from service.recommend.choosing import BATCH_LIMIT
from service.recommend.recommend import Question, Recommendation, Recommended, recommend_all
from service.recommend.remember import view_of
from service.recommend.view import View
from tests.service.recommend.ground import Ground, ground_of_training
from tests.service.recommend.safety_page import Ledger, broken_rules
from tests.service.recommend.tally import (
    Tallies,
    Tally,
    add_up,
    falls_table,
    place_of,
    rungs_table,
    steps_table,
)
from training.platform.simulate import GAP_SECONDS
from training.platform.truth import TrueState
from training.trained import PolicyOver

SHARD = 4_000
"""Sessions of one shard; the last may have fewer."""
BEGINNING = 1.8e9
DAY = 86_400
SONGS_PER_SESSION = 5
"""Of a hostile session; a typical one has as many as its log says."""
SESSIONS_PER_PERSON = 25
"""Of a hostile listener."""
MEASURED = 8
"""In one session of so many, Copycat is asked as well, and true steps are looked at."""
MOST_EXCLUDED = 1_000
"""What the service takes in one request."""
REPORTS: dict[str, tuple[Report, ...]] = {
    "extreme reports": ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)),
    "contradictory reports": ((0.0, 1.0), (1.0, 0.0)),
}
TYPICAL = "typical"
ALIKE = "one artist everywhere"
WITHDRAWN = "songs withdrawn meanwhile"
HOSTILE = (
    "all dislikes",
    "contradictory reports",
    "extreme reports",
    "no report",
    "most tags blocked",
    "long exclude lists",
    "mode switched every song",
    ALIKE,
    WITHDRAWN,
    "a thousand events",
)
KINDS = (TYPICAL, *HOSTILE)


@dataclass
class Person:
    """A simulated listener: what the service remembers of them, what is true, and the ledger of what happened."""

    kind: str
    state: ListenerState
    truth: TrueState
    ledger: Ledger
    rng: np.random.Generator
    """The person's own, so that nobody's life depends on who else is answered meanwhile."""
    turn: int
    """Counts the sessions, from anywhere: every so often one is measured."""
    now: float = BEGINNING

    def follow(self, make: Callable[..., Event], **facts: object) -> None:
        """Let the state follow one write."""
        after = apply(
            self.state, make(sequence=self.state.sequence + 1, active_at=int(self.now * SECOND), **facts)
        )
        assert after is not None
        self.state = after


class Asked(NamedTuple):
    """A song that somebody asks for."""

    engine: Engine
    question: Question


Life = Generator[Asked, Recommended, None]
"""What a listener does: asks for a song, is answered, and goes on."""


class Shard:
    """Some sessions, half of them typical: lives of strangers, and of people of each hostile kind, all at once."""

    def __init__(
        self, ground: Ground, *, seed: int, number: int, sessions: int, together: int = BATCH_LIMIT
    ) -> None:
        """Draw the listeners of some sessions; at most `together` of them are answered at once."""
        self.ground = ground
        self.together = together
        self.seed = (seed, number)
        typical = (sessions + 1) // 2
        self.hostile = sessions - typical
        rng = np.random.default_rng(self.seed)
        self.truth = ground.strangers(typical, seed=int(rng.integers(2**60)))
        self.listeners = self.truth.simulation.listeners
        self.tallies = {kind: Tally() for kind in KINDS}
        self.snapshot = empty_snapshot(len(ground.hostile.catalogue))

    def burn(self) -> Tallies:
        """Let the sessions happen, many listeners answered together as by a worker; return what was met."""
        asking = [(life, next(life)) for life in self._lives()]
        while asking:
            asking = [each for batch in self._batches(asking) for each in self._answered(batch)]
        return self.tallies

    def _batches(self, asking: list[tuple[Life, Asked]]) -> Iterator[list[tuple[Life, Asked]]]:
        """Yield those who are answered at once: who share an engine, and not too many."""
        by_engine: dict[int, list[tuple[Life, Asked]]] = {}
        for each in asking:
            by_engine.setdefault(id(each[1].engine), []).append(each)
        for sharing in by_engine.values():
            yield from (sharing[n : n + self.together] for n in range(0, len(sharing), self.together))

    @staticmethod
    def _answered(batch: list[tuple[Life, Asked]]) -> Iterator[tuple[Life, Asked]]:
        """Answer some who share an engine; yield those who ask for more."""
        given = recommend_all(batch[0][1].engine, [asked.question for _, asked in batch])
        for (life, _), recommended in zip(batch, given, strict=True):
            try:
                yield life, life.send(recommended)
            except StopIteration:
                continue

    def _lives(self) -> Iterator[Life]:
        """Yield the life of every stranger, and of people of each hostile kind."""
        for listener in range(self.listeners.listener_count):
            yield self._life(listener)
        for place, kind in enumerate(HOSTILE):
            share, more = divmod(self.hostile, len(HOSTILE))
            left = share + (place < more)
            for number in range(0, left, SESSIONS_PER_PERSON):
                yield self._hostile(kind, (place, number), min(SESSIONS_PER_PERSON, left - number))

    def _life(self, listener: int) -> Life:
        """Let a stranger live as in their log, with our songs in place of the logged ones."""
        ran, schedule = self.truth.simulation, self.truth.simulation.schedule
        rng = np.random.default_rng([*self.seed, listener])
        person = self._newcomer(TYPICAL, listener, Population(int(self.listeners.population[listener])), rng)
        for session in range(schedule.session_start[listener], schedule.session_start[listener + 1]):
            person.truth = TrueState(listener=np.array([listener]), affect=ran.start[[session]])
            person.now = float(schedule.started_at[session])
            mode, hour = Mode(int(schedule.mode[session])), float(schedule.local_hour[session])
            valence, arousal = ran.before[session].tolist()
            self._begin(person, mode, (valence, arousal), context={"local_time": _local_time(hour)})
            for play in range(schedule.play_start[session], schedule.play_start[session + 1]):
                yield from self._song(self.ground.plain, person, mode, rates=not np.isnan(ran.rating[play]))
            self._end(person, None if np.isnan(ran.after[session, 0]) else self._said(person))

    def _hostile(self, kind: str, place: tuple[int, int], sessions: int) -> Life:
        """Let somebody of a hostile kind live for so many sessions."""
        rng = np.random.default_rng([*self.seed, *place])
        row = int(rng.integers(self.listeners.listener_count))
        person = self._newcomer(kind, row, Population(int(rng.integers(len(Population)))), rng)
        self._past(person)
        for _ in range(sessions):
            yield from self._session(person)

    def _session(self, person: Person) -> Life:
        """Let one hostile session happen."""
        kind, mode = person.kind, Mode(int(person.rng.integers(len(Mode))))
        self._begin(person, mode, self._report(person), context={})
        for engine in islice(self._engines(kind), SONGS_PER_SESSION):
            if kind == "mode switched every song":
                mode = Mode((int(mode) + 1) % len(Mode))
                person.follow(ModeChanged, session_number=person.ledger.session, mode=int(mode))
            person.ledger.catalogue = engine.catalogue
            exclude = _most_songs(engine, person.rng) if kind == "long exclude lists" else ()
            yield from self._song(engine, person, mode, rates=person.rng.random() < 0.2, exclude=exclude)
        self._end(person, self._report(person))
        person.now += DAY * float(person.rng.uniform(0.05, 2.0))

    def _engines(self, kind: str) -> Iterator[Engine]:
        """Yield the engine of each song of a session."""
        if kind == WITHDRAWN:
            yield from (self.ground.hostile, *self.ground.later)
        last = {ALIKE: self.ground.alike, WITHDRAWN: self.ground.later[-1]}.get(kind, self.ground.hostile)
        while True:
            yield last

    def _newcomer(self, kind: str, row: int, population: Population, rng: np.random.Generator) -> Person:
        engine = self.ground.plain if kind == TYPICAL else next(self._engines(kind))
        ledger = Ledger(engine.bundle, engine.catalogue, self.ground.distances, population)
        truth, turn = self.truth.start(np.array([row]), np.array([0])), int(rng.integers(MEASURED))
        return Person(kind, ListenerState(), truth, ledger, rng, turn)

    def _past(self, person: Person) -> None:
        """Give a newcomer what their kind brings along: blocks, or a thousand events."""
        catalogue = self.ground.hostile.catalogue
        if person.kind == "most tags blocked":
            tags = sorted({tag for song in catalogue.songs for tag in song.tags} - {"simulated"})
            for tag in person.rng.choice(tags, len(tags) * 2 // 3, replace=False).tolist():
                person.ledger.blocked_tags.add(tag)
                person.follow(BlockChanged, kind="tag", value=tag, blocked=True)
        if person.kind == "a thousand events":
            for _ in range(50):
                self._begin(person, Mode.CALM, (0.5, 0.5), context={})
                for row in person.rng.integers(self.ground.known_songs, size=9).tolist():
                    self._offered(person, self.ground.hostile, row, Mode.CALM, engagement=1.0, rating=None)
                person.follow(SessionEnded, session_number=person.ledger.session, after=(0.6, 0.4))
                person.now += DAY / 4.0

    def _begin(self, person: Person, mode: Mode, said: Report | None, *, context: dict[str, str | float]) -> None:
        number = person.state.sequence + 1
        person.follow(
            SessionStarted,
            session_id=f"s-{number}",
            mode=int(mode),
            started_at=int(person.now * SECOND),
            before=said,
            context=context,
            population=int(person.ledger.population),
        )
        person.ledger.begin(number, said)

    def _end(self, person: Person, said: Report | None) -> None:
        person.follow(SessionEnded, session_number=person.ledger.session, after=said)
        person.turn += 1
        self.tallies[person.kind].sessions += 1

    def _report(self, person: Person) -> Report | None:
        """Return what a hostile listener says."""
        if person.kind == "no report":
            return None
        if spoken := REPORTS.get(person.kind):
            return spoken[int(person.rng.integers(len(spoken)))]
        return self._said(person)

    def _said(self, person: Person) -> Report:
        """Return what somebody says who says what is true, as far as people can."""
        spread = self.truth.simulation.parameters.feedback.report_spread
        valence, arousal = np.clip(person.truth.affect[0] + person.rng.normal(size=2) * spread, 0, 1).tolist()
        return valence, arousal

    def _song(
        self, engine: Engine, person: Person, mode: Mode, *, rates: bool, exclude: tuple[str, ...] = ()
    ) -> Life:
        assert person.state.open is not None
        view = view_of(person.state, person.state.open, engine.bundle.manifest.context)
        given = yield Asked(engine, Question(view=view, snapshot=self.snapshot, now=person.now, exclude=exclude))
        (outcome,) = given.outcomes
        tally = self.tallies[person.kind]
        place = place_of(person.ledger.population, mode, outcome.decision.estimate_source, view.listening)
        tally.count(place, outcome.decision.rung, outcome.choices)
        if not isinstance(outcome, Recommendation):
            person.now += 60.0
            return
        for rule in broken_rules(person.ledger, mode, outcome.decision, now=person.now, exclude=exclude):
            tally.broken[rule] += 1
        row = int(engine.catalogue.rows(np.array([outcome.decision.song]))[0])
        if person.turn % MEASURED == 0:
            self._measure(person, mode, view, outcome, row)
        engagement, rating = self._heard(person, row, rates=rates)
        self._offered(person, engine, row, mode, engagement=engagement, rating=rating)

    def _measure(self, person: Person, mode: Mode, view: View, given: Recommendation, row: int) -> None:
        """Count what the song truly does, and what those would have done that the policy and Copycat put first."""
        first = given.decision.trials[0].candidates.song[0, [int(given.choices[0].dealt[0].argmax())]]
        wanted = int(self.ground.hostile.catalogue.rows(first)[0])
        rows = np.array([[row, wanted, self.ground.copycats_song(view.listening)]])
        known = rows[0] < self.ground.known_songs  # far songs have no truth
        rows[0, ~known] = 0
        steps = self.truth.affect_step(person.truth, rows)[0]
        effects = self.truth.song_effect(person.truth.listener, rows)[0]
        population = person.ledger.population
        limits = self.ground.plain.bundle.guardrails.limits_for(population, mode)
        counts = self.tallies[person.kind].steps.values()
        for is_known, count, step, effect in zip(known, counts, steps, effects, strict=True):
            if is_known:
                count.count(step, effect, limits, population)

    def _heard(self, person: Person, row: int, *, rates: bool) -> tuple[float, int | None]:
        """Return how the listener took the song, which moves their true affect."""
        if row >= self.ground.known_songs:
            return 0.2, 0
        person.truth, signals = self.truth.step(person.truth, np.array([row]), person.rng)
        if person.kind == "all dislikes":
            return 0.03, 0
        return float(signals[0, 0]), int(signals[0, 1]) if rates else None

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
        duration = engine.catalogue.songs[row].duration_seconds or 200.0
        person.now += duration * max(engagement, 0.05) + GAP_SECONDS
        person.follow(SongPlayed, session_number=opened.session_number, play=play, late=None)
        person.ledger.heard(row, engagement, rating)


def _most_songs(engine: Engine, rng: np.random.Generator) -> tuple[str, ...]:
    """Return the ids of three songs in four, or as many as a request may name."""
    songs = engine.catalogue.songs
    count = min(len(songs) * 3 // 4, MOST_EXCLUDED)
    return tuple(songs[row].song_id for row in rng.permutation(len(songs))[:count])


def _local_time(hour: float) -> str:
    """Return an hour of the day as an app sends it."""
    return datetime.fromtimestamp(round(hour * 3600), UTC).isoformat()


def shards(sessions: int) -> list[tuple[int, int]]:
    """Return the shards that make up so many sessions: number and size of each."""
    starts = range(0, sessions, SHARD)
    return [(number, min(SHARD, sessions - start)) for number, start in enumerate(starts)]


class Worker:
    """What a process holds between shards."""

    ground: Ground

    @classmethod
    def prepare(cls, bundle: Path, log: Path, copycat: PolicyOver | None) -> None:
        cls.ground = ground_of_training(bundle, log, copycat)

    @classmethod
    def burn(cls, seed: int, number: int, sessions: int) -> Tallies:
        return Shard(cls.ground, seed=seed, number=number, sessions=sessions).burn()


def burn_all(bundle: Path, log: Path, *, sessions: int, seed: int, processes: int) -> Iterator[Tallies]:
    """Yield what each shard met, in order, as many at a time as there are processes."""
    Worker.prepare(bundle, log, None)
    if processes == 1:
        yield from (Worker.burn(seed, *shard) for shard in shards(sessions))
        return
    with ProcessPoolExecutor(
        processes,
        get_context("spawn"),
        initializer=Worker.prepare,
        initargs=(bundle, log, Worker.ground.copycat),
    ) as pool:
        try:
            begun = [pool.submit(Worker.burn, seed, *shard) for shard in shards(sessions)]
            yield from (each.result() for each in begun)
        finally:
            pool.shutdown(cancel_futures=True)


def main() -> None:
    """Print what so many sessions met, and how long they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True, help="the folder of a version")
    parser.add_argument("--log", type=Path, required=True, help="the simulated log it was trained on")
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1, help="changes no number")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="stop after so many, with what is done"
    )
    asked = parser.parse_args()
    total: Tallies = {}
    begun = perf_counter()
    for met in burn_all(
        asked.bundle, asked.log, sessions=asked.sessions, seed=asked.seed, processes=asked.processes
    ):
        add_up(total, met)
        done, typical = sum(tally.sessions for tally in total.values()), total[TYPICAL]
        broken = sum(tally.broken.total() for tally in total.values())
        minutes = (perf_counter() - begun) / 60
        sys.stderr.write(
            f"{done} sessions, {minutes:.1f} min: {broken} broken, {typical.fallback:.2%} fall back\n"
        )
        if minutes > asked.minutes:
            break
    print(rungs_table(total), steps_table(total), falls_table(total[TYPICAL]), sep="\n\n")
    rules = {kind: dict(tally.broken) for kind, tally in total.items() if tally.broken}
    print(f"\n{done} sessions in {minutes:.1f} minutes, {asked.processes} processes; broken: {rules or 'nothing'}")
    raise SystemExit(bool(rules))


if __name__ == "__main__":
    main()
