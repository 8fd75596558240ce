"""The comparison takes medians over rounds, and each ratio within its own round."""

import argparse
import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from service.benchmark.load import Measured
from tests.bench.peers.choosing import PLAY, write_songs
from tests.bench.peers.compare import (
    PEERS,
    CompareConfig,
    Contender,
    Turn,
    as_markdown,
    in_rounds,
    listener_names,
    named_path,
    seed,
    table_of,
    theirs,
)
from tests.bench.peers.job import history_key
from tests.bench.peers.plain import PLAIN
from tests.bench.peers.processes import Belonging
from tests.bench.peers.serving import Material, running
from tests.bundles import make_embeddings, make_songs

CONTENDER = Contender(
    name="service",
    described="1 worker",
    port=0,
    listeners=(),
    processes=Belonging(),
)


def turn(cycles: int) -> Turn:
    return Turn(measured=Measured(seconds=2.0, latencies=[0.002] * 2 * cycles), cpu_seconds=cycles / 100)


def test_a_ratio_compares_the_same_round():
    contenders = [CONTENDER, replace(CONTENDER, name="Peer", described="2 workers")]

    head, rows = table_of(contenders, [[turn(400), turn(200), turn(300)], [turn(100), turn(100), turn(50)]])

    assert head[-1] == "service to it"
    assert rows[0] == ["service", "1 worker", "300", "2.0", "2.0", "5.00", "1.00×"]
    assert rows[1] == ["Peer", "2 workers", "100", "2.0", "2.0", "5.00", "4.00×"]
    assert as_markdown(head, rows).count("\n") == 3


@pytest.fixture
def material(tmp_path: Path, tiny_repository) -> Material:
    write_songs(tmp_path / "songs.npz", [song.song_id for song in make_songs()], make_embeddings())
    return Material(bundle=tiny_repository.root / tiny_repository.versions()[0], songs=tmp_path / "songs.npz")


def test_contenders_take_turns_from_the_histories_they_were_given(material: Material):
    config = CompareConfig(event_count=3, listener_count=2, round_count=1, round_seconds=0.2, warm_seconds=0.1)
    python = Path(sys.executable)

    with theirs(PLAIN, python, material, config) as one, theirs(PLAIN, python, material, config) as other:
        turns = asyncio.run(in_rounds([one, other], config))
        _, rows = table_of([one, other], turns)

    assert [row[:2] for row in rows] == [["Plain", "1 worker, batch 1, wait 0 ms"]] * 2
    assert all(turn.rate > 0 and turn.cpu_seconds > 0 for ((turn,),) in zip(turns, strict=True))


def test_histories_are_seeded_where_the_peer_reads_them(material: Material):
    config = CompareConfig(event_count=3, listener_count=2)

    with running(PLAIN, Path(sys.executable), material) as run:
        seed(run, material, config)
        with Redis.from_url(run.config.redis_url) as redis:
            lengths = [redis.strlen(history_key(name)) for name in listener_names(config)]

    assert lengths == [3 * PLAY.itemsize] * 2


def test_only_tunings_asked_for_are_tried():
    config = CompareConfig(workers=(1,), batches=(1, 8), waits_ms=(0,))

    tried = [str(each) for each in PEERS["litserve"].grid if config.tries(each)]

    assert tried == ["1 worker, batch 1, wait 0 ms", "1 worker, batch 8, wait 0 ms"]


def test_a_peer_is_named_with_its_interpreter():
    name, path = named_path(f"litserve={sys.executable}")

    assert (name, str(path)) == ("litserve", sys.executable)
    for wrong in ("nobody=/bin/sh", "litserve", "litserve=/nowhere"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected one of litserve"):
            named_path(wrong)
