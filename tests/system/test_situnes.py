"""The whole road on real listeners: a log goes in, a bundle comes out, and a listener nobody trained on is served.

Everything is done by the commands a user would type and over HTTP, in processes of their own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.log import Log, read_log
from service.settings import Settings
from tests.service.server import Listener
from tests.service.test_serve import free_port, process

DATA = os.environ.get("AMRS_SITUNES_DIR")
ROOT = Path(__file__).parents[2]
HELD_OUT = "user-10"
SONG_COUNT = 10

pytestmark = [
    pytest.mark.skipif(not DATA, reason="AMRS_SITUNES_DIR does not name the folder of the SiTunes data set"),
    pytest.mark.timeout(600),
]


def amrs(home: Path, *arguments: str) -> str:
    """Run a command as a user would; return what it printed."""
    run = subprocess.run(
        [sys.executable, "-m", "amrs", *arguments],
        env=os.environ | {"AMRS_HOME": str(home), "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, f"amrs {' '.join(arguments)}\n{run.stdout}\n{run.stderr}"
    return run.stdout


def situation_of(log: Log, listener_id: str) -> dict[str, object]:
    """The first session of a listener, as an app would have sent it: mode, report and situation."""
    session = log.sessions.filter(log.sessions["listener_id"] == listener_id).row(-1, named=True)
    report = {"valence": session["before_valence"], "arousal": session["before_arousal"]}
    return {"report": report if report["valence"] is not None else None, "mode": session["mode"]}


def test_a_listener_held_out_of_training_hears_ten_songs(tmp_path):
    home, folder = tmp_path / "home", tmp_path / "situnes"
    amrs(home, "logs", "import", "situnes", str(DATA), "--out", str(folder))
    amrs(home, "logs", "check", str(folder))
    amrs(home, "train", str(folder), "--preset", "quick", "--hold-out", HELD_OUT)
    (version,) = [path.name for path in (home / "bundles").iterdir() if not path.name.startswith(".")]
    amrs(home, "models", "verify", version)
    amrs(home, "db", "upgrade")
    amrs(home, "songs", "import", str(folder))
    amrs(home, "models", "promote", version)
    log = read_log(folder)

    with process(Settings(home=home, port=free_port())) as (_, client):
        listener = Listener(client, HELD_OUT, "s-1")
        started = listener.start(**situation_of(log, HELD_OUT))
        assert started.status_code == 201, started.text
        given = [listener.cycle() for _ in range(SONG_COUNT)]
        ended = listener.end(report={"valence": 0.7, "arousal": 0.4})
        history = client.get(f"{listener.path}/history").json()
        reasons = [client.get(f"{listener.path}/recommendations/{song['recommendation_id']}") for song in given]

    known = set(log.songs["song_id"])
    chosen = [song["song"]["song_id"] for song in given]
    assert ended.status_code == 200
    assert len(set(chosen)) == SONG_COUNT
    assert set(chosen) <= known
    assert [play["song_id"] for play in history["plays"]] == chosen[::-1]
    assert history["sessions"][0]["after"] == pytest.approx({"valence": 0.7, "arousal": 0.4})
    for song, reason in zip(given, reasons, strict=True):
        why = reason.json()
        assert why["bundle"] == version
        assert why["song_id"] == song["song"]["song_id"]
        assert why["state"] == "played"
        chosen_candidates = [each for each in why["candidates"] if each["song_id"] == why["song_id"]]
        assert chosen_candidates
        if song["guardrails"]["fallback"] is None:
            assert chosen_candidates[0]["vetoed_by"] == []
