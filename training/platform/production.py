"""The fixed production policy: preference retrieval, population tags and playback rules.

It is what the paper describes (AMRS §3.4): it scores each song in isolation, knows the population's tags but
not the individual's response, and is blind to affect and to sequence. It writes down no propensity.

Legend: N listeners · B listeners choosing now · K genres · W content width · R retrieved songs
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from training.platform.parameters import ProductionParameters
from training.platform.songs import Songs


class Production:
    """The policy and what it remembers of each listener: a profile, recent songs, vetoed genres."""

    def __init__(
        self, songs: Songs, parameters: ProductionParameters, listener_count: int, cluster_count: int
    ) -> None:
        self._songs = songs
        self._parameters = parameters
        self._rotation = np.flatnonzero(songs.in_rotation)
        tags = parameters.tag_valence * songs.tags[:, 0] + np.outer(
            parameters.tag_arousal, songs.tags[:, 1]
        )  # (modes, S)
        prior = parameters.popularity_weight * songs.popularity + parameters.tag_weight * tags
        self._prior = prior.astype(np.float32)
        self._content = (songs.content / np.sqrt(songs.content.shape[1])).astype(np.float32)
        self._profile = np.zeros((listener_count, songs.content.shape[1]), np.float32)
        self._recent = np.full((listener_count, parameters.repeat_plays), -1)
        self._veto_until = np.zeros((listener_count, cluster_count), np.int64)

    def choose(
        self, listener: Int[ndarray, " B"], mode: Int[ndarray, " B"], step: int, rng: np.random.Generator
    ) -> Int[ndarray, " B"]:
        """Return one song per listener: the best retrieved one that the playback rules allow."""
        shape = (len(listener), self._parameters.retrieved_count)
        chosen_among = self._rotation[rng.integers(len(self._rotation), size=shape)]  # (B, R)
        scores = self._scores(listener, mode, chosen_among)
        exponential = rng.standard_exponential(scores.shape, dtype=np.float32)
        gumbel = -np.log(np.maximum(exponential, np.float32(1e-30)))
        scores += np.float32(self._parameters.jitter) * gumbel
        vetoed = self._veto_until[listener[:, None], self._songs.cluster[chosen_among]] > step
        scores[vetoed] -= 1e6  # below every allowed song, yet still there when a whole retrieval is vetoed

        rows = np.arange(len(listener))
        while True:
            best = scores.argmax(1)
            song: Int[ndarray, " B"] = chosen_among[rows, best]
            repeated = (self._recent[listener] == song[:, None]).any(1)
            if not repeated.any():
                return song
            scores[rows[repeated], best[repeated]] = -np.inf

    def learn(
        self,
        listener: Int[ndarray, " B"],
        song: Int[ndarray, " B"],
        engagement: Float[ndarray, " B"],
        step: int,
    ) -> None:
        """Remember what was played, what was heard out, and which genre was skipped."""
        parameters = self._parameters
        self._recent[listener, step % parameters.repeat_plays] = song
        heard_out = engagement >= parameters.heard_out
        who, what = listener[heard_out], song[heard_out]
        rate = np.float32(parameters.profile_rate)
        content = self._songs.content[what].astype(np.float32)
        self._profile[who] += rate * (content - self._profile[who])
        skipped = engagement < parameters.skipped
        veto = step + 1 + parameters.veto_plays
        self._veto_until[listener[skipped], self._songs.cluster[song[skipped]]] = veto

    def _scores(
        self, listener: Int[ndarray, " B"], mode: Int[ndarray, " B"], songs: Int[ndarray, "B R"]
    ) -> Float[ndarray, "B R"]:
        """Return each retrieved song's score before jitter."""
        preference = np.einsum("bw,brw->br", self._profile[listener], self._content[songs])
        weight = np.float32(self._parameters.profile_weight)
        scores: Float[ndarray, "B R"] = weight * preference + self._prior[mode[:, None], songs]
        return scores
