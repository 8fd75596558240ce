"""Every stage of a run draws from a stream of its own, which a seed and a number find again."""

import numpy as np

from training.streams import TrainStream


def test_a_stream_is_found_again_from_its_number_and_the_seed():
    """Sealed bundles were drawn from these: another number would split their logs otherwise."""
    numbers = {each.name: each.value for each in TrainStream}

    assert numbers == {
        "SPLIT": 0,
        "WINDOWS": 1,
        "COPYCAT": 2,
        "SITUATIONS": 3,
        "PREDICTION_SPREAD": 4,
        "VALIDATION_SITUATIONS": 5,
        "DPO": 6,
        "LIMITS": 7,
        "SONG_ORDER": 8,
        "CEILINGS": 9,
        "GOLDEN": 10,
    }
    assert TrainStream.COPYCAT.begin(4).random() == np.random.default_rng([4, 2]).random()


def test_no_two_streams_of_a_seed_are_the_same():
    drawn = [each.begin(seed).random() for each in TrainStream for seed in range(3)]

    assert len(set(drawn)) == len(drawn)


def test_a_stream_begins_anew_each_time():
    assert TrainStream.WINDOWS.begin(0).random() == TrainStream.WINDOWS.begin(0).random()
