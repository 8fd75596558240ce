"""A simulated log keeps the schema, says that it is simulated, and shows nothing a platform could not know."""

from pathlib import Path

import numpy as np
import pytest

from models.log import Log, check_log, write_log
from training.platform.as_log import simulated_log
from training.platform.simulate import Simulation


@pytest.fixture(scope="module")
def log(simulation: Simulation) -> Log:
    return simulated_log(simulation)


def test_a_simulated_log_keeps_the_schema_on_disk(log: Log, tmp_path: Path) -> None:
    write_log(log, tmp_path / "log")

    assert check_log(tmp_path / "log") == []


def test_a_simulated_log_says_so_everywhere(log: Log) -> None:
    assert log.description.simulated
    assert log.songs["artist"].str.ends_with("(simulated)").all()
    assert log.songs["tags"].list.contains("simulated").all()


def test_no_propensity_is_logged_because_production_wrote_none_down(log: Log) -> None:
    assert log.plays["propensity"].null_count() == len(log.plays)


def test_affect_is_reported_only_around_sessions(log: Log) -> None:
    assert log.plays["valence"].null_count() == len(log.plays)
    assert log.sessions["before_valence"].null_count() == 0


def test_rows_of_the_log_are_rows_of_the_simulation(log: Log, simulation: Simulation) -> None:
    listening = log.listening()
    schedule = simulation.schedule

    np.testing.assert_array_equal(listening.session_start, schedule.session_start)
    np.testing.assert_array_equal(listening.play_start, schedule.play_start)
    np.testing.assert_array_equal(listening.song, log.song_keys()[simulation.song])
    np.testing.assert_array_equal(listening.population, simulation.listeners.population)
    np.testing.assert_allclose(listening.started_at, schedule.started_at)


def test_both_spaces_are_there_with_their_origin(log: Log) -> None:
    assert set(log.embeddings) == {"mert_sim", "clamp3_sim"}
    assert all("no audio exists" in space.source for space in log.description.embeddings.values())
