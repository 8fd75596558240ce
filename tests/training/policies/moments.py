"""Moments at which a policy is asked, made from the small run's test listeners."""

import numpy as np

from models.listening import Listening
from models.tokens import tokenise
from tests.training import small_run
from training.policies.policy import Moment
from training.standing import current_modes


def moment_of(listening: Listening, *, true_state=None) -> Moment:
    setting = small_run.setting()
    tokens = tokenise(listening, setting.context).latest(setting.lookback)
    rows = setting.catalogue.rows(tokens.song)
    return Moment(
        listening=listening,
        tokens=tokens,
        rows=rows,
        states=setting.world.look(tokens, rows),
        mode=current_modes(listening),
        rng=np.random.default_rng(0),
        true_state=true_state,
    )


def start_moment() -> Moment:
    """The moment at which the small run's rollouts begin, its truth with it."""
    return moment_of(small_run.start().listening, true_state=small_run.start().state)
