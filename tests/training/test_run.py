"""A run reads its log once, and the seed alone says who is in which part of it."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import DataError
from models.log import write_log
from tests.training import small_run
from training.run import Run, TrainRequest
from training.streams import TrainStream


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> TrainRequest:
    folder = tmp_path_factory.mktemp("logs") / "log"
    write_log(small_run.material().log, folder)
    return small_run.request(folder, folder.parent / "bundles")


def test_the_same_seed_splits_and_cuts_the_log_the_same(request_: TrainRequest):
    one, again, other = (Run.of(replace(request_, seed=seed)) for seed in (0, 0, 1))

    assert np.array_equal(one.material.split.test, again.material.split.test)
    assert np.array_equal(one.test_windows.first, again.test_windows.first)
    assert not np.array_equal(one.material.split.test, other.material.split.test)


def test_every_listener_served_one_purpose(request_: TrainRequest):
    run = Run.of(request_)
    counts = run.listener_counts

    assert counts["training"] + counts["validation"] + counts["test"] == run.material.listening.listener_count
    assert set(run.test_windows.listener) <= set(run.material.split.test)


def test_who_is_held_out_is_in_no_part(request_: TrainRequest):
    held_out = small_run.material().log.listening_ids()[:3]
    split = Run.of(replace(request_, held_out=held_out)).material.split

    assert not {0, 1, 2} & {*split.train, *split.validation, *split.test}


def test_a_stage_draws_from_its_own_stream_of_the_runs_seed(request_: TrainRequest):
    run = Run.of(replace(request_, seed=3))

    assert run.stream(TrainStream.GOLDEN).random() == TrainStream.GOLDEN.begin(3).random()


def test_a_listener_who_is_not_there_cannot_be_held_out(request_: TrainRequest):
    with pytest.raises(DataError, match="nobody"):
        Run.of(replace(request_, held_out=("nobody",)))


def test_an_embedding_space_that_is_not_there_is_refused(request_: TrainRequest):
    with pytest.raises(DataError, match="mert_sim"):
        Run.of(replace(request_, space="absent"))
