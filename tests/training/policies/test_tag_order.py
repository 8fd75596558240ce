"""Tag order ranks songs by the utility of their tags; what nobody tagged comes last."""

import numpy as np
import pytest

from models.errors import DataError
from models.listening import Mode
from models.utility import PAPER_UTILITY, mode_aware_utility
from tests.training import small_run
from tests.training.policies.moments import start_moment
from training.policies.tag_order import TagOrder, affect_tags

TAGS = np.array([[0.2, 0.4], [0.9, 0.5], [np.nan, 0.9], [0.6, 0.6]])


def test_the_papers_utility_of_the_tags_orders_the_songs():
    """Utilities .3, .7, none, .6."""
    worth = TagOrder.by(TAGS, PAPER_UTILITY).worth

    assert np.allclose(worth[:, [0, 1, 3]], [0.3, 0.7, 0.6])
    assert np.argsort(-worth[0]).tolist() == [1, 3, 0, 2]


def test_a_mode_with_a_region_prefers_songs_within_it():
    """Calm wants valence from .55 and arousal from .2 to .4; song 0 is .35 away, song 3 is .2 away, song 1 .1."""
    utility = mode_aware_utility(weights=(0.1, 0.1, 0.4, 0.4), scales=(1.0, 1.0, 1.0, 1.0))

    assert np.argsort(-TagOrder.by(TAGS, utility).worth[Mode.CALM]).tolist() == [1, 3, 0, 2]


def test_a_catalogue_without_tags_has_no_tag_order():
    with pytest.raises(DataError, match="none of 4 songs has both"):
        TagOrder.by(np.full((4, 2), np.nan), PAPER_UTILITY)


def test_asks_each_listeners_mode():
    moment, order = start_moment(), TagOrder.by(affect_tags(small_run.material().log), PAPER_UTILITY)

    assert np.array_equal(order.scores(moment), order.worth[moment.mode])
