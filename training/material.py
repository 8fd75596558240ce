"""What a training run works on: one log, made into histories, a catalogue, a split, and the truth if there is one.

Legend: N songs · E embedding width · B listeners who consented
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.bundle import EmbeddingSpace
from models.catalogue import Catalogue, Song
from models.errors import DataError
from models.listening import NO_SONG, Listening
from models.log import Log
from models.tokens import feature_names, tokenise
from training.networks.reading import Reading, ReadingConfig, fit_reading
from training.platform.truth import Truth, recover_truth
from training.splits import Split, split_listeners
from training.windows import Histories


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Everything that every stage of a run shares."""

    log: Log
    space: EmbeddingSpace
    embeddings: Float[ndarray, "N E"]
    catalogue: Catalogue
    listening: Listening
    listener_rows: Int[ndarray, " B"]
    """Each listener's row in the log: what the truth counts by."""
    histories: Histories
    reading: Reading
    """Fitted on the songs that training listeners heard."""
    heard: Int[ndarray, " G"]
    """The rows of those songs."""
    split: Split
    truth: Truth | None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of a token's features."""
        return feature_names(self.log.description.context)


def prepare(
    log: Log, *, space: str | None, reading: ReadingConfig, held_out: Collection[str], rng: np.random.Generator
) -> Material:
    """Return the material of a run.

    Args:
        log: rows without consent never get further than here.
        space: the embedding space's name; the log's first when None.
        reading: how songs are read.
        held_out: ids of listeners who are kept out of training, validation and test.
        rng: draws the split.

    Raises:
        DataError: the log has no such space or listener, or too few listeners.
    """
    name = _space_name(log, space)
    embeddings = np.asarray(log.embeddings[name])
    listening = log.listening()
    ids = log.listening_ids()
    unknown = sorted(set(held_out) - set(ids))
    if unknown:
        raise DataError(f"held-out listener {unknown[0]!r} is not among the {len(ids)} who consented")
    split = split_listeners(np.flatnonzero([each not in held_out for each in ids]), rng)
    catalogue = catalogue_of(log)
    columns = tokenise(listening, log.description.context)
    song_row = catalogue.rows(columns.song)
    heard = np.unique(np.concatenate([song_row[columns.start[b] : columns.start[b + 1]] for b in split.train]))
    heard = heard[heard != NO_SONG]
    fitted = fit_reading(embeddings[heard], reading, tags=affect_tags(log)[heard])
    described = log.description.embeddings[name]
    rows = {listener: row for row, listener in enumerate(log.listeners["listener_id"])}
    return Material(
        log=log,
        space=EmbeddingSpace(name=name, width=described.width, source=described.source, licence=described.licence),
        embeddings=embeddings,
        catalogue=catalogue,
        listening=listening,
        listener_rows=np.array([rows[each] for each in ids], np.int64),
        histories=Histories.of(columns, song_keys=catalogue.keys, song_vectors=fitted(embeddings)),
        reading=fitted,
        heard=heard,
        split=split,
        truth=_truth_if_known(log),
    )


def affect_tags(log: Log) -> Float[ndarray, "N 2"]:
    """Return the platform's valence and arousal tag of each song, in [0, 1]; NaN where there is none."""
    return np.column_stack(
        [
            log.songs[name].fill_null(np.nan).to_numpy().astype(np.float64)
            for name in ("tag_valence", "tag_arousal")
        ]
    )


def catalogue_of(log: Log) -> Catalogue:
    """Return the log's songs as a catalogue, in the log's order; nothing is withdrawn."""
    columns = log.songs.select("song_id", "title", "artist", "duration_seconds", "tags")
    songs = [Song(**{**row, "tags": tuple(row["tags"])}) for row in columns.iter_rows(named=True)]
    return Catalogue(songs=songs, embeddings=log.embeddings, withdrawn=np.zeros(len(songs), bool))


def _space_name(log: Log, space: str | None) -> str:
    names = list(log.description.embeddings)
    if space is None and names:
        return names[0]
    if space not in names:
        raise DataError(f"log {log.description.name!r} has the embedding spaces {names}; got {space!r}")
    return space


def _truth_if_known(log: Log) -> Truth | None:
    """Return the truth of a simulated log; None for real listeners, whose truth nobody knows."""
    return recover_truth(log) if log.description.simulated else None
