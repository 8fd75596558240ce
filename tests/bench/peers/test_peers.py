"""Each peer does the whole job: songs of the catalogue, feedback on record, histories that grow.

Where `AMRS_TEST_<PEER>_PYTHON` names an interpreter that has it.
"""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest
from redis import Redis

from service.benchmark.load import connected
from tests.bench.peers.choosing import PLAY, write_songs
from tests.bench.peers.compare import PEERS
from tests.bench.peers.job import history_key
from tests.bench.peers.serving import HOST, Answer, Material, Peer, Running, running
from tests.bundles import make_embeddings, make_songs

CYCLES = 20
PYTHONS = {name: os.environ.get(f"AMRS_TEST_{name.upper()}_PYTHON") for name in PEERS}
WITH_PEER = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            PYTHONS[name] is None, reason=f"AMRS_TEST_{name.upper()}_PYTHON names no interpreter that has {name}"
        ),
    )
    for name in PEERS
]


@pytest.fixture
def material(tmp_path: Path, tiny_repository) -> Material:
    write_songs(tmp_path / "songs.npz", [song.song_id for song in make_songs()], make_embeddings())
    return Material(bundle=tiny_repository.root / tiny_repository.versions()[0], songs=tmp_path / "songs.npz")


async def go_round(peer: Peer, run: Running) -> list[Answer]:
    answers = []
    async with connected(HOST, run.config.port) as client:
        listener = peer.listener(client, "ann", "ann")
        for _ in range(CYCLES):
            answers.append(await listener.ask())
            assert await listener.tell(answers[-1].recommendation_id, engagement=0.5, rating=1.0) == 200
    return answers


@pytest.mark.parametrize("name", WITH_PEER)
def test_a_peer_does_the_whole_job_and_leaves_nothing_running(name: str, material: Material):
    peer = PEERS[name]

    with running(peer, Path(str(PYTHONS[name])), material) as run:
        if peer.may_stand_still:
            run.processes.stand_still()
            run.processes.go_on()
        answers = asyncio.run(go_round(peer, run))
        with sqlite3.connect(run.config.database) as sql:
            given = dict(
                sql.execute("SELECT recommendation_id, song_id FROM recommendations WHERE listener_id = 'ann'")
            )
            heard = dict(sql.execute("SELECT recommendation_id, song_id FROM feedback WHERE listener_id = 'ann'"))
        with Redis.from_url(run.config.redis_url) as redis:
            history = redis.get(history_key("ann"))

    assert {each.status for each in answers} == {200}
    assert {each.song_id for each in answers} <= {song.song_id for song in make_songs()}
    assert given == heard == {each.recommendation_id: each.song_id for each in answers}
    assert len(given) == CYCLES
    assert len(history) == CYCLES * PLAY.itemsize
    assert run.processes.ids() == []
