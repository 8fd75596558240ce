"""The job commits before it answers, and its histories grow in the order in which feedback came."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from redis import Redis

from service.memory.embedded import embedded_redis
from tests.bench.peers.choosing import PLAY, write_songs
from tests.bench.peers.job import Feedback, Job, JobConfig, history_key, open_job
from tests.bundles import make_embeddings, make_songs


@pytest.fixture
def config(tmp_path: Path, tiny_repository):
    write_songs(tmp_path / "songs.npz", [song.song_id for song in make_songs()], make_embeddings())
    with embedded_redis(tmp_path / "redis") as redis_url:
        yield JobConfig(
            bundle=tiny_repository.root / tiny_repository.versions()[0],
            songs=tmp_path / "songs.npz",
            redis_url=redis_url,
            database=tmp_path / "peer.db",
            port=0,
        )


@pytest.fixture
def job(config: JobConfig) -> Job:
    return open_job(config)


def rows_of(config: JobConfig, table: str) -> list[tuple]:
    statement = {"recommendations": "SELECT * FROM recommendations", "feedback": "SELECT * FROM feedback"}[table]
    with sqlite3.connect(config.database) as sql:
        return sql.execute(statement).fetchall()


def test_a_recommendation_is_on_record_when_it_is_given(job: Job, config: JobConfig):
    given = job.recommending.recommend(["ann", "ben"])

    on_record = {row[0]: row[1:3] for row in rows_of(config, "recommendations")}
    assert on_record == {each.recommendation_id: (each.listener_id, each.song_id) for each in given}
    assert {each.song_id for each in given} <= {song.song_id for song in make_songs()}


def test_feedback_is_on_record_and_the_history_grows(job: Job, config: JobConfig):
    (given,) = job.recommending.recommend(["ann"])

    job.learning.take([Feedback(given.recommendation_id, "ann", 0.25, 1.0)])

    (row,) = rows_of(config, "feedback")
    assert row[:5] == (given.recommendation_id, "ann", given.song_id, 0.25, 1.0)
    with Redis.from_url(config.redis_url) as redis:
        (play,) = np.frombuffer(redis.get(history_key("ann")), PLAY)
    assert (play["engagement"], play["rating"]) == (0.25, 1.0)


def test_feedback_on_what_nobody_was_given_is_refused_and_leaves_nothing(job: Job, config: JobConfig):
    with pytest.raises(KeyError):
        job.learning.take([Feedback("nothing", "ann", 0.5, 0.0)])

    assert rows_of(config, "feedback") == []


def test_a_batch_that_cannot_be_committed_is_taken_back_whole(job: Job, config: JobConfig):
    (given,) = job.recommending.recommend(["ann"])
    twice = Feedback(given.recommendation_id, "ann", 0.5, 0.0)

    with pytest.raises(sqlite3.IntegrityError):
        job.learning.take([twice, twice])

    assert rows_of(config, "feedback") == []


def test_a_configuration_comes_back_from_the_environment(config: JobConfig, monkeypatch: pytest.MonkeyPatch):
    for name, value in config.as_environment().items():
        monkeypatch.setenv(name, value)

    assert JobConfig.from_environment() == config
