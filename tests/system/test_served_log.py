"""The circle closes: what the service served is exported, keeps the schema, and is trained on.

A real server, listeners over HTTP, and the commands a user would type.
"""

# ruff: noqa: F811  a fixture is asked for by its name

from pathlib import Path

import numpy as np
import pytest

from models.log import read_log
from models.repository import Repository
from models.tokens import tokenise
from service.clock import system_clock
from tests.service.conftest import furnished_sqlite, sqlite_template  # noqa: F401
from tests.service.homes import home_settings
from tests.service.server import Listener
from tests.service.test_serve import free_port, process
from tests.system.test_situnes import amrs

SILENT = 3
"""Every third listener does not consent."""


def serve_and_export(home: Path, repository: Repository, furnished: Path, *, listeners: int, songs: int) -> Path:
    """Let listeners hear songs of a running service, and export its log while it runs."""
    home.mkdir()
    (home / "amrs.sqlite3").write_bytes(furnished.read_bytes())
    settings = home_settings(home, repository, port=free_port())
    with process(settings) as (_, client):
        for place in range(listeners):
            listen(Listener(client, f"who-{place}", f"when-{place}"), place, songs)
        amrs(home, "logs", "export", str(home / "served"))
    amrs(home, "logs", "check", str(home / "served"))
    return home / "served"


def listen(listener: Listener, place: int, songs: int) -> None:
    """One session of invented moods; every third song is skipped, and one is never answered."""
    rng = np.random.default_rng(place)
    before, after = ({"valence": v, "arousal": a} for v, a in rng.random((2, 2)).round(3).tolist())
    local_time = {"local_time": f"2026-11-20T{place % 24:02d}:30:00+01:00"}
    listener.start(mode=("calm", "sleep")[place % 2], report=before, population="consumer", context=local_time)
    for number in range(songs):
        (song,) = listener.ask().json()["recommendations"]
        if number != 1:
            engagement = 0.0 if number % 3 == 2 else round(float(rng.random()), 3)
            listener.tell(song["recommendation_id"], engagement=engagement, rating=number % 2)
    listener.end(report=after)
    if place % SILENT:
        path = f"{listener.path}/consent"
        assert listener.client.put(path, json={"event_id": "yes", "consent": True}).status_code == 200


def test_what_was_served_can_be_exported_checked_and_learned_from(
    tmp_path, tiny_repository: Repository, furnished_sqlite: Path
):
    """Ten of fifteen listeners consented; the world model takes its first steps on them."""
    from tests.training.small_run import PRESET
    from training.material import prepare
    from training.world_model import train_ensemble

    folder = serve_and_export(tmp_path / "home", tiny_repository, furnished_sqlite, listeners=15, songs=4)
    log = read_log(folder)

    material = prepare(log, space=None, reading=PRESET.world.reading, held_out=(), rng=np.random.default_rng(0))
    tokens = tokenise(material.listening, log.description.context).latest(PRESET.lookback)
    members = train_ensemble(
        material.histories,
        material.split,
        feature_names=material.feature_names,
        preset=PRESET.world,
        seed=0,
        processes=1,
    )

    assert (len(log.listeners), len(log.plays)) == (10, 30)
    assert log.sessions["started_at"].dt.epoch("us").max() <= system_clock()
    assert log.sessions["context_local_time"].is_not_null().all()
    assert not any("who-" in name for name in log.listeners["listener_id"])
    assert np.diff(material.listening.play_start).tolist() == [3] * 10
    assert len(set(tokens.length.tolist())) == 1
    assert len(members) == PRESET.world.member_count


@pytest.mark.prove
def test_a_bundle_is_trained_on_what_was_served(tmp_path, tiny_repository: Repository, furnished_sqlite: Path):
    """`amrs train` with the quick preset, from end to end; then nobody's plays are in it."""
    folder = serve_and_export(tmp_path / "home", tiny_repository, furnished_sqlite, listeners=90, songs=10)

    amrs(tmp_path / "trained", "train", str(folder), "--preset", "quick", "--processes", "1")

    (version,) = Repository(tmp_path / "trained" / "bundles").versions()
    assert "is whole" in amrs(tmp_path / "trained", "models", "verify", version)
