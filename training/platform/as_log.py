"""A simulation as a listening log: what a real platform would have written down, and nothing else.

Legend: S songs
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Float
from numpy import ndarray

from models.context import ClockField, ContextSchema
from models.listening import Mode, Population
from models.log import Log
from models.log_schema import EmbeddingSpace, LogDescription
from training.platform.names import genre_names
from training.platform.perturbations import Perturbation, labels_of
from training.platform.simulate import Simulation, draw_embeddings

PLATFORM: Final = "amrs simulated platform"
"""The provenance's `platform`, by which a log is known as ours."""
PERTURBED: Final = "perturbations"
"""Where the provenance of a perturbed platform names what was done to it; other logs have no such entry."""
CATALOGUE: Final = "catalogue_seed"
"""Where the provenance names the seed of songs that another run has too; other logs have no such entry."""

CONTEXT: Final = ContextSchema(fields=(ClockField(name="local_time"),))

_LICENCE: Final = "none needed: invented by a random number generator"
_MODES: Final = np.array([mode.label for mode in Mode])
_POPULATIONS: Final = np.array([population.label for population in Population])


def simulated_log(simulation: Simulation, perturbations: Sequence[Perturbation] = ()) -> Log:
    """Return the log of a simulation, with its embeddings and the provenance that recovers its truth.

    Args:
        simulation: of the platform's own parameters, or of those perturbed as named.
        perturbations: the ones that were made.
    """
    embeddings = draw_embeddings(simulation)
    return Log.from_tables(
        description=_description(simulation, perturbations, embeddings),
        songs=_songs(simulation),
        listeners=pl.DataFrame(
            {
                "listener_id": listener_ids(simulation),
                "population": _POPULATIONS[simulation.listeners.population],
                "consent": np.ones(simulation.size.listener_count, bool),
            }
        ),
        sessions=_sessions(simulation),
        plays=_plays(simulation),
        embeddings=embeddings,
    )


def listener_ids(simulation: Simulation) -> list[str]:
    """Return one id per listener."""
    return [f"sim-listener-{number:05d}" for number in range(simulation.size.listener_count)]


def song_ids(simulation: Simulation) -> list[str]:
    """Return one id per song."""
    return [f"sim-song-{number:05d}" for number in range(simulation.size.song_count)]


def provenance(simulation: Simulation, perturbations: Sequence[Perturbation] = ()) -> dict[str, str | int | float]:
    """Return what fixes the simulation: platform, parameters, seed, size, and perturbations if there are any."""
    return {
        "platform": PLATFORM,
        "parameters": simulation.parameters.digest,
        "seed": simulation.seed,
        **asdict(simulation.size),
        **({CATALOGUE: simulation.catalogue_seed} if simulation.catalogue_seed != simulation.seed else {}),
        **({PERTURBED: labels_of(perturbations)} if perturbations else {}),
    }


def _description(
    simulation: Simulation,
    perturbations: Sequence[Perturbation],
    embeddings: Mapping[str, Float[ndarray, "S E"]],
) -> LogDescription:
    name = f"simulated platform, {simulation.size.listener_count} listeners, seed {simulation.seed}"
    return LogDescription(
        name=f"{name}, {labels_of(perturbations)}" if perturbations else name,
        simulated=True,
        context=CONTEXT,
        embeddings={
            space: EmbeddingSpace(
                width=matrix.shape[1],
                source="random network over noised latents of simulated songs; no audio exists",
                licence=_LICENCE,
            )
            for space, matrix in embeddings.items()
        },
        provenance=provenance(simulation, perturbations),
    )


def _songs(simulation: Simulation) -> pl.DataFrame:
    songs, parameters = simulation.songs, simulation.parameters.songs
    genres = genre_names(parameters.cluster_count)
    tags = np.clip(0.5 + parameters.tag_spread * songs.tags, 0, 1).astype(np.float32)
    words = [
        ["simulated", f"genre:{genres[cluster]}", f"tempo:{_tempo_word(tempo)}", f"energy:{_third(energy)}"]
        for cluster, tempo, energy in zip(songs.cluster, songs.tempo_bpm, songs.energy, strict=True)
    ]
    return pl.DataFrame(
        {
            "song_id": song_ids(simulation),
            "title": songs.title,
            "artist": songs.artist,
            "duration_seconds": songs.duration_seconds,
            "tags": words,
            "tag_valence": tags[:, 0],
            "tag_arousal": tags[:, 1],
        }
    )


def _sessions(simulation: Simulation) -> pl.DataFrame:
    schedule = simulation.schedule
    owner = schedule.listener_of_session
    before, after = simulation.before.astype(np.float32), simulation.after.astype(np.float32)
    return pl.DataFrame(
        {
            "session_id": _session_ids(simulation),
            "listener_id": np.array(listener_ids(simulation))[owner],
            "mode": _MODES[schedule.mode],
            "started_at": _moments(schedule.started_at),
            "ended_at": _moments(simulation.ended_at),
            "before_valence": before[:, 0],
            "before_arousal": before[:, 1],
            "after_valence": after[:, 0],
            "after_arousal": after[:, 1],
            "context_local_time": schedule.local_hour.astype(np.float32),
        }
    ).with_columns(pl.col("after_valence", "after_arousal").fill_nan(None))


def _plays(simulation: Simulation) -> pl.DataFrame:
    """Return the plays; no affect is asked for after a song, and production logs no propensity."""
    schedule = simulation.schedule
    rating = pl.Series(simulation.rating).fill_nan(None).cast(pl.Int8)
    return pl.DataFrame(
        {
            "session_id": np.array(_session_ids(simulation))[schedule.session_of_play],
            "position": schedule.position.astype(np.int32),
            "song_id": np.array(song_ids(simulation))[simulation.song],
            "played_at": _moments(simulation.played_at),
            "engagement": simulation.engagement.astype(np.float32),
            "rating": rating,
        }
    )


def _session_ids(simulation: Simulation) -> list[str]:
    schedule = simulation.schedule
    number = np.arange(schedule.session_count) - schedule.session_start[schedule.listener_of_session]
    return [
        f"sim-session-{owner:05d}-{n:03d}" for owner, n in zip(schedule.listener_of_session, number, strict=True)
    ]


def _moments(seconds: Float[ndarray, " n"]) -> pl.Series:
    return pl.Series((seconds * 1e6).round().astype(np.int64)).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _tempo_word(tempo_bpm: float) -> str:
    return "slow" if tempo_bpm < 95 else "medium" if tempo_bpm < 130 else "fast"


def _third(energy: float) -> str:
    return "low" if energy < 1 / 3 else "medium" if energy < 2 / 3 else "high"
