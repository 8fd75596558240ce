"""The catalogue to stumble over: far twins lie outside the support, and a tenth of the songs is withdrawn."""

import numpy as np

from models.catalogue import Song
from training.limits import leave_one_out_distances, nearest_distances
from training.stress.songs import OUTWARD, hostile_songs


def made(seed: int = 0, count: int = 500):
    embeddings = np.random.default_rng(9).normal(2.0, 1.0, (count, 6)).astype(np.float32)
    songs = [Song(song_id=f"song-{row}") for row in range(count)]
    heard = np.arange(0, count, 2)
    return hostile_songs(songs, embeddings, heard, np.random.default_rng(seed)), embeddings, heard


def test_far_twins_lie_beyond_every_distance_among_training_songs():
    songs, embeddings, heard = made()
    support = embeddings[heard]

    far = nearest_distances(songs.embeddings[songs.is_far], support)
    assert far.min() > 2 * leave_one_out_distances(support).max()


def test_a_twin_lies_in_the_direction_of_its_song():
    songs, embeddings, heard = made()
    middle = embeddings[heard].mean(axis=0)
    twin = int(np.flatnonzero(songs.is_far)[0])
    original = int(songs.catalogue.songs[twin].song_id.rsplit("-", 1)[1])

    assert np.allclose(songs.embeddings[twin] - middle, OUTWARD * (embeddings[original] - middle), rtol=1e-4)


def test_the_logs_songs_keep_their_rows_and_a_tenth_is_withdrawn():
    songs, embeddings, _ = made()

    assert np.array_equal(songs.embeddings[: len(embeddings)], embeddings)
    assert 0.05 < songs.catalogue.withdrawn[: len(embeddings)].mean() < 0.15
    assert not songs.catalogue.withdrawn[songs.is_far].any()
    assert not set(songs.ordinary) & set(songs.far)
