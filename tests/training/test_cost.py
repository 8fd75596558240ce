"""Every stage of training is timed on a platform of any size, and a share of its work is counted up."""

import os

import pytest

from models.errors import ConfigError
from tests.training.small_run import PRESET
from training.cost import Share, Stage, StageCost, measure_platforms, measure_stages, rolled_out
from training.platform.parameters import sized_like_paper
from training.presets import PAPER, QUICK

SHARE = Share(tokens=300, plays=200, windows=40, watched=4, starts=4, repeats=1)
SIZE = sized_like_paper(40, 150)


@pytest.fixture(scope="module")
def costs() -> list[StageCost]:
    return measure_stages(SIZE, preset=PRESET, seed=0, share=SHARE)


def test_every_stage_is_measured_once_in_the_order_of_a_run(costs: list[StageCost]):
    assert [each.stage for each in costs] == list(Stage)
    assert {(each.listener_count, each.song_count) for each in costs} == {(40, 150)}


def test_time_passes_and_memory_is_held(costs: list[StageCost]):
    peaks = [each.peak_mib for each in costs]

    assert all(each.seconds > 0 for each in costs if each.stage not in (Stage.STEP, Stage.LOOK))  # a difference
    assert all(each.seconds >= 0 for each in costs)
    assert peaks == sorted(peaks)
    assert 50 < peaks[0] < 50_000


def test_a_stage_that_is_done_whole_is_timed_whole(costs: list[StageCost]):
    whole = [each for each in costs if each.stage in (Stage.SIMULATE, Stage.PREPARE, Stage.LINEAR, Stage.SUPPORT)]

    assert all(each.timed == each.whole for each in whole)
    assert whole[0].whole == SIZE.play_count


def test_a_stage_is_asked_for_as_often_as_the_preset_says(costs: list[StageCost]):
    times = {each.stage: each.times for each in costs}

    assert times[Stage.WORLD] == PRESET.world.member_count * PRESET.world.training.epochs
    assert times[Stage.COPYCAT] == PRESET.copycat.epochs
    assert times[Stage.STEP] == PRESET.dpo.steps


def test_what_a_run_rolls_out_hangs_on_the_decoder_that_the_preset_gets():
    """Without and with guardrails, four policies, and a fifth beside a decoder: the policy in its own order."""
    assert rolled_out(QUICK, starts=10, songs_each=5) == 2 * 4 * 10 * 5
    assert rolled_out(PAPER, starts=10, songs_each=5) == 2 * 5 * 10 * 5


def test_a_share_is_counted_up_by_its_units():
    cost = StageCost(
        listener_count=1,
        song_count=1,
        stage=Stage.WORLD,
        unit="tokens",
        timed=200,
        whole=1_000,
        timed_seconds=0.5,
        times=3,
        peak_mib=1.0,
    )

    assert cost.seconds == 2.5


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")

    measure_platforms([], preset=PRESET, seed=0, share=SHARE)

    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_share_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="at least one of everything"):
        Share(starts=0)
