"""A decision: why this song was played to this listener, recorded so that it can be taken again, bit for bit.

It holds all that the choice rested on — every rung's candidates with their predictions, the decoder, where the
listener stood, the limits, the exposure — and nothing has to be looked up to replay it (SAFETY: "a decision
records").

Legend: K candidates · M ensemble members · R songs offered lately
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
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
)
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
    """Where the affect estimate came from: `report`, `world_model` or `prior`."""
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


def decide(
    rungs: Iterable[tuple[Rung, Callable[[], Candidates]]],
    *,
    bundle: str,
    mode: Mode,
    history_length: int,
    estimate_source: str,
    standing: Standing,
    limits: Limits,
    decoder: Decoder,
    snapshot: ExposureSnapshot,
) -> tuple[Decision, tuple[Choice, ...]]:
    """Walk the fallback ladder for one listener; return the decision and what each rung tried made of it.

    Args:
        rungs: the ladder, widest first; candidates are asked for only when their rung is reached.
        standing: of a batch of one.
    """
    decision = Decision(
        bundle=bundle,
        mode=mode.label,
        history_length=history_length,
        estimate_source=estimate_source,
        standing=standing,
        limits=limits,
        decoder=decoder,
        snapshot_id=snapshot.snapshot_id,
        coverage=snapshot.coverage,
        trials=(),
        rung=Rung.SILENCE,
        song=NO_SONG,
        place=NO_SONG,
    )
    trials: list[Trial] = []
    choices: list[Choice] = []
    for rung, candidates_of in rungs:
        candidates = candidates_of()
        trials.append(Trial(rung=rung, candidates=candidates, shown=snapshot.counts_of(candidates.song)))
        choices.append(_choice(decision, trials[-1]))
        place = int(choices[-1].chosen[0])
        if place != NO_SONG:
            decision = replace(decision, rung=rung, song=int(candidates.song[0, place]), place=place)
            break
    return replace(decision, trials=tuple(trials)), tuple(choices)


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
    """Return what the guardrails make of one rung; taking a decision and taking it again both ask here."""
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
