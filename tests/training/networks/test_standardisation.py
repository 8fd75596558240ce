"""Measurements come out with zero mean and unit spread where present, and as zero where absent."""

from numpy.testing import assert_allclose

from tests.training.invented import NAMES, invent_histories
from training.networks.standardisation import PRESENCE_OF, standardisation

FEATURES = invent_histories(50).columns.features
STANDARD = FEATURES @ standardisation(FEATURES, NAMES)
PLACE = {name: place for place, name in enumerate(NAMES)}


def test_present_measurements_have_zero_mean_and_unit_spread():
    for name, presence in PRESENCE_OF.items():
        present = STANDARD[FEATURES[:, PLACE[presence]] > 0, PLACE[name]]

        assert_allclose(present.mean(), 0, atol=1e-4)
        assert_allclose(present.std(), 1, rtol=1e-3)


def test_absent_measurements_are_zero():
    for name, presence in PRESENCE_OF.items():
        assert_allclose(STANDARD[FEATURES[:, PLACE[presence]] == 0, PLACE[name]], 0, atol=1e-6)


def test_everything_else_stays_as_it_is():
    others = [place for place, name in enumerate(NAMES) if name not in PRESENCE_OF]

    assert_allclose(STANDARD[:, others], FEATURES[:, others])


def test_a_signal_nobody_gave_stays_zero():
    silent = FEATURES.copy()
    silent[:, [PLACE["rating"], PLACE["has_rating"]]] = 0

    assert not (silent @ standardisation(silent, NAMES))[:, PLACE["rating"]].any()
