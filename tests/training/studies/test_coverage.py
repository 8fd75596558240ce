"""Coverage: what intervals hold of strangers' labels and of the feedback they truly give under a policy."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from models.listening import NO_SONG
from models.log import write_log
from tests.training import small_run
from training.calibration import HORIZON
from training.policies.plain import Learned
from training.rollout import Rollouts, roll_out
from training.studies.cache import plain_records
from training.studies.cells import Cell, Records
from training.studies.contenders import COPYCAT, MODE_DPO
from training.studies.coverage import DECODED, EVERYBODY, NAMES, RANDOM, Coverage, groups, true_feedback
from training.studies.scales import Scale

STUDY = Coverage(stranger_count=30, imagined_count=8, rollout_count=12)
SCALE = Scale(name="test", preset=small_run.PRESET, splits=2, seeds=1)


def rolled() -> Rollouts:
    return roll_out(
        Learned(small_run.reference()),
        small_run.start(),
        small_run.setting(),
        guarded=False,
        rng=np.random.default_rng(0),
    )


def test_feedback_is_drawn_for_every_song_and_on_the_scale():
    feedback = true_feedback(rolled().song, small_run.start(), np.random.default_rng(1))

    assert ((feedback >= 0) & (feedback <= 1)).all()
    assert set(np.unique(feedback[..., 1])) == {0.0, 1.0}


def test_feedback_is_what_is_expected_in_the_mean():
    """Over 200 draws of the first song's, before chance has moved anybody, within four standard errors."""
    rollouts, start = rolled(), small_run.start()
    drawn = [true_feedback(rollouts.song[:, :1], start, np.random.default_rng(seed))[:, 0] for seed in range(200)]

    errors = np.mean(drawn, axis=0) - rollouts.true_signals[:, 0]

    assert np.abs(errors / (np.std(drawn, axis=0) / np.sqrt(200) + 1e-3)).max() < 4


def test_who_fell_silent_gives_no_feedback():
    song = rolled().song.copy()
    song[0, 2:] = NO_SONG

    feedback = true_feedback(song, small_run.start(), np.random.default_rng(1))

    assert np.isnan(feedback[0, 2:]).all()
    assert not np.isnan(feedback[0, :2]).any()
    assert not np.isnan(feedback[1:]).any()


def test_groups_share_everybody_out_twice():
    population, mode = np.array([1, 1, 2, 2]), np.array([0, 3, 3, 3])

    found = {name: chosen.tolist() for name, chosen in groups(population, mode)}

    assert list(found) == [
        EVERYBODY,
        "population clinical",
        "population consumer",
        "mode unspecified",
        "mode calm",
    ]
    assert found["mode calm"] == [False, True, True, True]


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coverage") / "log"
    write_log(small_run.material().log, folder)
    return folder


@cache
def run(log: Path) -> Records:
    cell = STUDY.cells(SCALE)[0]
    return plain_records(cell, STUDY.run(cell, log, SCALE, lambda _: None))


@pytest.fixture
def results(log: Path) -> list[tuple[Cell, Records]]:
    return list(zip(STUDY.cells(SCALE), [run(log)] * 2, strict=True))


def test_every_policy_is_held_to_every_step(log: Path):
    rows = [row for row in run(log)["rollouts"] if row["group"] == EVERYBODY]

    assert {row["policy"] for row in rows} >= {COPYCAT, RANDOM}
    assert {row["policy"] for row in rows} <= {COPYCAT, RANDOM, MODE_DPO, DECODED}
    for policy in (COPYCAT, RANDOM):
        steps = [(row["signal"], row["step"]) for row in rows if row["policy"] == policy]
        assert steps == [(name, step) for name in NAMES for step in range(1, HORIZON + 1)]
    assert all(0 <= row["covered"] <= 1 for row in rows)


def test_groups_add_up_to_everybody(log: Path):
    rows = [
        row for row in run(log)["rollouts"] if (row["policy"], row["signal"], row["step"]) == (RANDOM, NAMES[0], 1)
    ]
    songs = {row["group"]: row["songs"] for row in rows}

    for kind in ("population", "mode"):
        assert sum(count for group, count in songs.items() if group.startswith(kind)) == songs[EVERYBODY]


def test_tables_and_figure_are_drawn_from_the_records_alone(results):
    fresh, steps, by_group = STUDY.tables(results)

    assert fresh.rows[0][0] == EVERYBODY
    assert "(0.000)" in str(fresh.rows[0][1])
    assert len(steps.rows) == len(by_group.rows)
    assert [figure.name for figure in STUDY.figures(results)] == ["coverage-by-step"]


def test_nothing_done_is_nothing_told():
    assert STUDY.tables([]) == STUDY.figures([]) == []


def test_real_logs_are_refused():
    description = small_run.material().log.description

    assert STUDY.refuses(description) is None
    assert "simulated" in STUDY.refuses(description.model_copy(update={"simulated": False}))
