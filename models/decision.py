"""A decision: why this song was played to this listener, recorded so that it can be taken again, bit for bit.

It holds all that the choice rested on — every rung's candidates with their predictions, the decoder, where the
listener stood, the limits, the exposure — and nothing has to be looked up to replay it (SAFETY: "a decision
records").

Legend: K candidates · M ensemble members · R songs offered lately
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import msgspec
import numpy as np
from jaxtyping import Int
from numpy import ndarray
from pydantic import TypeAdapter

from models.decoder import POLICY_ORDER, Decoder
from models.errors import DataError
from models.exposure import ExposureSnapshot
from models.guardrails import (
    Candidates,
    Choice,
    Limits,
    Rung,
    Standing,
    guard_and_choose,
    limit_columns,
    side_by_side,
    stacked,
)
from models.ladder import descend
from models.listening import NO_SONG, Mode

DECISION_SCHEMA = 2
_READABLE_SCHEMAS = (1, 2)
"""The first knew no decoder: its songs were in the policy's order."""
_DECODER: TypeAdapter[Decoder] = TypeAdapter(Decoder)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """One rung that was tried: its candidates (a batch of one) and how often each had been shown."""

    rung: Rung
    candidates: Candidates
    shown: Int[ndarray, "1 K"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """One choice of a song, with everything it rested on."""

    bundle: str
    """The version of the bundle whose models spoke."""
    mode: str
    history_length: int
    """How many plays the history held."""
    estimate_source: str
    """Where what is known of the listener's affect came from.

    `world_model`: the estimate is of the last play. Where no play is newer than the listener's own word, it names
    the anchor's origin, `report` or `prior`: the estimate is then of the average song.
    """
    standing: Standing
    limits: Limits
    decoder: Decoder
    snapshot_id: str
    coverage: float
    trials: tuple[Trial, ...]
    """The rungs that were tried, in order; the last one gave the song, if any did."""
    rung: Rung
    song: int
    """The key of the chosen song; `NO_SONG` on the rung of silence."""
    place: int
    """The chosen song's place among the last trial's candidates; `NO_SONG` if none was chosen."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moment:
    """One listener, when a song is to be chosen: what a decision rests on before there are candidates."""

    mode: Mode
    history_length: int
    estimate_source: str
    """As in the decision."""
    standing: Standing
    """Of a batch of one."""
    limits: Limits
    snapshot: ExposureSnapshot


Propose = Callable[[Rung, Sequence[int]], Sequence[Candidates]]
"""Asked for a rung's candidates of the moments that reached it, by their places, and only then; gives one batch of
one for each."""


def decide(
    moments: Sequence[Moment], propose: Propose, *, bundle: str, decoder: Decoder
) -> list[tuple[Decision, tuple[Choice, ...]]]:
    """Walk the fallback ladder for several listeners side by side.

    Nobody's decision depends on who else is there, to the last bit: they share the calls, not the numbers.

    Args:
        moments: of the listeners.
        propose: gives what is on each rung.
        bundle: the version of the bundle whose models speak.
        decoder: the bundle's.

    Returns:
        For each moment the decision, and what each rung that was tried made of it.
    """
    walks = [_Walk(moment) for moment in moments]

    def ask(rung: Rung, waiting: Int[ndarray, " b"]) -> Int[ndarray, " b"]:
        places = waiting.tolist()
        reached = [walks[place] for place in places]
        for walk, candidates in zip(reached, propose(rung, places), strict=True):
            shown = walk.moment.snapshot.counts_of(candidates.song)
            walk.trials.append(Trial(rung=rung, candidates=candidates, shown=shown))
        for alike in _alike(reached):
            for walk, choice in zip(alike, _choices(alike, decoder), strict=True):
                walk.choices.append(choice)
        return np.array([walk.place for walk in reached])

    descend(len(walks), ask)
    return [(walk.decision(bundle, decoder), tuple(walk.choices)) for walk in walks]


class _Walk:
    """One listener's way down the ladder."""

    def __init__(self, moment: Moment) -> None:
        self.moment = moment
        self.trials: list[Trial] = []
        self.choices: list[Choice] = []

    @property
    def place(self) -> int:
        """The place of the song that the last rung chose; `NO_SONG` if it chose none."""
        return int(self.choices[-1].chosen[0]) if self.choices else NO_SONG

    def decision(self, bundle: str, decoder: Decoder) -> Decision:
        """Return the decision, the walk being over."""
        moment, place = self.moment, self.place
        last = self.trials[-1] if place != NO_SONG else None
        return Decision(
            bundle=bundle,
            mode=moment.mode.label,
            history_length=moment.history_length,
            estimate_source=moment.estimate_source,
            standing=moment.standing,
            limits=moment.limits,
            decoder=decoder,
            snapshot_id=moment.snapshot.snapshot_id,
            coverage=moment.snapshot.coverage,
            trials=tuple(self.trials),
            rung=last.rung if last else Rung.SILENCE,
            song=int(last.candidates.song[0, place]) if last else NO_SONG,
            place=place,
        )


def _alike(walks: Sequence[_Walk]) -> list[list[_Walk]]:
    """Return the walks in groups whose candidates fit into one batch as they are.

    Candidates are never padded: a sum over a padded row might differ in its last bit from that over the row alone.
    """
    groups: dict[tuple[int, ...], list[_Walk]] = {}
    for walk in walks:
        groups.setdefault(walk.trials[-1].candidates.predicted.shape, []).append(walk)
    return list(groups.values())


def _choices(walks: Sequence[_Walk], decoder: Decoder) -> list[Choice]:
    """Return what the guardrails make of the rung that some walks have just reached."""
    trials, moments = [walk.trials[-1] for walk in walks], [walk.moment for walk in walks]
    together = guard_and_choose(
        stacked([trial.candidates for trial in trials]),
        side_by_side([moment.standing for moment in moments]),
        limit_columns([moment.limits for moment in moments]),
        rung=trials[0].rung,
        decoder=decoder,
        mode=np.array([moment.mode for moment in moments], np.int64),
        shown=np.concatenate([trial.shown for trial in trials]),
        coverage=np.array([moment.snapshot.coverage for moment in moments]),
    )
    return [together.of(place) for place in range(len(walks))]


def replay(decision: Decision) -> tuple[Rung, int, list[Choice]]:
    """Take a recorded decision again; return the rung, the song's key and each rung's choice.

    A sound record gives its own `rung` and `song` back.
    """
    choices: list[Choice] = []
    for trial in decision.trials:
        choices.append(_choice(decision, trial))
        place = int(choices[-1].chosen[0])
        if place != NO_SONG:
            return trial.rung, int(trial.candidates.song[0, place]), choices
    return Rung.SILENCE, NO_SONG, choices


def _choice(decision: Decision, trial: Trial) -> Choice:
    """Return what the guardrails make of one recorded rung."""
    return guard_and_choose(
        trial.candidates,
        decision.standing,
        limit_columns([decision.limits]),
        rung=trial.rung,
        decoder=decision.decoder,
        mode=np.array([Mode[decision.mode.upper()]], np.int64),
        shown=trial.shown,
        coverage=np.array([decision.coverage]),
    )


def pack_decision(decision: Decision) -> bytes:
    """Return the record as MessagePack; arrays keep their type, shape and every bit."""
    record = {
        "schema": DECISION_SCHEMA,
        "bundle": decision.bundle,
        "mode": decision.mode,
        "history_length": decision.history_length,
        "estimate_source": decision.estimate_source,
        "standing": _pack_columns(decision.standing),
        "limits": decision.limits.model_dump(),
        "decoder": decision.decoder.model_dump(),
        "snapshot_id": decision.snapshot_id,
        "coverage": decision.coverage,
        "trials": [
            [trial.rung.value, _pack_columns(trial.candidates), _pack_array(trial.shown)]
            for trial in decision.trials
        ],
        "rung": decision.rung.value,
        "song": decision.song,
        "place": decision.place,
    }
    return msgspec.msgpack.encode(record)


def unpack_decision(packed: bytes) -> Decision:
    """Return the decision that `pack_decision` packed.

    Raises:
        DataError: the bytes are not a decision of this schema.
    """
    try:
        record = msgspec.msgpack.decode(packed)
        schema = record["schema"]
        if schema not in _READABLE_SCHEMAS:
            raise DataError(f"a decision of schema {_READABLE_SCHEMAS} was expected; got {schema!r}")
        return Decision(
            bundle=record["bundle"],
            mode=record["mode"],
            history_length=record["history_length"],
            estimate_source=record["estimate_source"],
            standing=_unpack_columns(Standing, record["standing"]),
            limits=Limits.model_validate(record["limits"]),
            decoder=POLICY_ORDER if schema == 1 else _DECODER.validate_python(record["decoder"]),
            snapshot_id=record["snapshot_id"],
            coverage=record["coverage"],
            trials=tuple(
                Trial(
                    rung=Rung(rung),
                    candidates=_unpack_columns(Candidates, candidates),
                    shown=_unpack_array(shown),
                )
                for rung, candidates, shown in record["trials"]
            ),
            rung=Rung(record["rung"]),
            song=record["song"],
            place=record["place"],
        )
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as problem:
        raise DataError(f"the record of a decision cannot be read: {problem}") from problem


Columns = TypeVar("Columns", Standing, Candidates)


def _pack_columns(columns: Standing | Candidates) -> dict[str, Any]:
    return {field.name: _pack_array(getattr(columns, field.name)) for field in fields(columns)}


def _unpack_columns(kind: type[Columns], packed: dict[str, Any]) -> Columns:
    return kind(**{field.name: _unpack_array(packed[field.name]) for field in fields(kind)})


def _pack_array(array: ndarray) -> list[Any]:
    return [array.dtype.str, list(array.shape), array.tobytes()]


def _unpack_array(packed: list[Any]) -> ndarray:
    dtype, shape, contents = packed
    return np.frombuffer(contents, np.dtype(dtype)).reshape(shape)
