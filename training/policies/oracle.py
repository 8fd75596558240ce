"""Oracles: a policy's first songs in the order of what they are worth in truth; what no re-ranker can pass.

One oracle knows the listener. The other knows what the best predictor makes of the listener's whole log, the
part after the window included, and where the listener is: what it gains could at best be learned from logs.

Legend: B histories · N songs · K songs that are reordered
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.errors import DataError
from models.utility import LinearUtility, TargetUtility
from training.choosing import best_rows
from training.platform.kalman import believed_listeners, filter_observed
from training.platform.truth import Truth
from training.policies.policy import Moment, Policy


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Oracle:
    """The policy's first songs by the true utility of the next step."""

    policy: Policy
    truth: Truth
    utility: LinearUtility | TargetUtility
    depth: int = 100
    """K."""

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the policy's scores, those of its first songs dealt out anew: the highest to the best.

        Raises:
            DataError: nobody knows where these listeners truly are.
        """
        if moment.true_state is None:
            raise DataError("an oracle needs the true state of the listeners; these are not simulated")
        scores = self.policy.scores(moment)
        rows = best_rows(scores, self.depth)  # (B, K)
        expected = self.truth.expected(moment.true_state, rows)
        worth = self.utility.value(expected, np.broadcast_to(moment.mode[:, None], rows.shape))
        return dealt(scores, rows, worth)


def believed(truth: Truth) -> Truth:
    """Return the truth with every listener's traits replaced by what the best predictor makes of their log."""
    simulation = truth.simulation
    listeners = believed_listeners(simulation, filter_observed(simulation))
    return Truth(replace(simulation, listeners=listeners))


def dealt(
    scores: Float[ndarray, "B N"], rows: Int[ndarray, "B K"], worth: Float[ndarray, "B K"]
) -> Float[ndarray, "B N"]:
    """Return the scores with those of the given songs dealt out by worth; all others keep theirs.

    Args:
        rows: songs in the order of their scores, best first.
        worth: of equals, the first stays first.
    """
    order = np.argsort(-worth, axis=1, kind="stable")
    best_first = np.take_along_axis(rows, order, axis=1)
    again = scores.copy()
    np.put_along_axis(again, best_first, np.take_along_axis(scores, rows, axis=1), axis=1)
    return again
