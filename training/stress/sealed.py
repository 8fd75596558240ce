"""A sealed bundle, asked again: its graphs in ONNX Runtime over one catalogue, in place of the trained networks.

Legend: B listeners · L tokens · F features · M members · N songs · C candidates · D state width · E embedding
width
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime
from jaxtyping import Float, Int
from numpy import ndarray

from models.bundle import Bundle
from models.catalogue import gather
from models.tokens import Tokens
from training.policies.policy import Moment, Policy
from training.stress.subject import Models, Subject
from training.trained import AT_ONCE, CHUNK, WorldStates, in_order
from training.windows import alike


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SealedWorld:
    """The bundle's world models over one catalogue."""

    songs: Float[ndarray, "N K"]
    """Each song in the space in which the distance to training songs is measured."""
    _encoder: onnxruntime.InferenceSession
    _head: onnxruntime.InferenceSession
    _token: Float[ndarray, "N T"]
    _hidden: Float[ndarray, "N M H"]

    @classmethod
    def over(cls, bundle: Bundle, embeddings: Float[ndarray, "N E"]) -> "SealedWorld":
        """Return the world models over the songs of the given embeddings."""
        maps, members = bundle.projections, bundle.manifest.member_count
        return cls(
            songs=maps.support_map(embeddings),
            _encoder=session(bundle, "world.onnx"),
            _head=session(bundle, "head.onnx"),
            _token=maps.world_token(embeddings),
            _hidden=maps.head_hidden(embeddings).reshape(len(embeddings), members, -1),
        )

    def look(self, tokens: Tokens, rows: Int[ndarray, "B L"]) -> WorldStates:
        """Return where each listener stands."""
        now, before, order = [], [], []
        for part in alike(tokens.length, AT_ONCE):
            longest = tokens.length[part[-1]]
            inputs = {
                "song": gather(self._token, rows[part, :longest]),
                "features": tokens.features[part, :longest],
                "length": tokens.length[part],
                "previous": tokens.previous[part],
            }
            state, previous = self._encoder.run(None, inputs)
            now.append(state)
            before.append(previous)
            order.append(part)
        return WorldStates(
            now=in_order(np.concatenate(now), order), before_last_play=in_order(np.concatenate(before), order)
        )

    def predicted(self, state: Float[ndarray, "B M D"], rows: Int[ndarray, "B C"]) -> Float[ndarray, "B M C 4"]:
        """Return every member's prediction of the four signals of each candidate; any row for `NO_SONG`."""
        parts = []
        for start in range(0, len(rows), CHUNK):
            part = slice(start, start + CHUNK)
            hidden = self._hidden[np.maximum(rows[part], 0)]  # (b, C, M, H)
            parts.append(self._head.run(None, {"state": state[part], "song_hidden": hidden})[0])
        return np.concatenate(parts)

    def predicted_average(self, state: Float[ndarray, "B M D"]) -> Float[ndarray, "B M 4"]:
        """Return every member's prediction of the average song: the one whose reading is zero."""
        hidden = np.zeros((len(state), 1, *self._hidden.shape[1:]), np.float32)
        return np.asarray(self._head.run(None, {"state": state, "song_hidden": hidden})[0][:, :, 0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SealedPolicy:
    """The bundle's policy over one catalogue: the cosine with the song that is wanted, by the projected index."""

    _graph: onnxruntime.InferenceSession
    _token: Float[ndarray, "N T"]
    _index: Float[ndarray, "N Q"]

    @classmethod
    def over(cls, bundle: Bundle, embeddings: Float[ndarray, "N E"]) -> "SealedPolicy":
        """Return the policy over the songs of the given embeddings."""
        maps = bundle.projections
        return cls(
            _graph=session(bundle, "policy.onnx"),
            _token=maps.policy_token(embeddings),
            _index=maps.index_rows(embeddings),
        )

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the cosines."""
        parts, order = [], []
        for part in alike(moment.tokens.length, AT_ONCE):
            longest = moment.tokens.length[part[-1]]
            inputs = {
                "song": gather(self._token, moment.rows[part, :longest]),
                "features": moment.tokens.features[part, :longest],
                "length": moment.tokens.length[part],
            }
            parts.append(self._graph.run(None, inputs)[0])
            order.append(part)
        return in_order(np.concatenate(parts), order) @ self._index.T


def session(bundle: Bundle, name: str) -> onnxruntime.InferenceSession:
    """Return one graph of the bundle, ready to run on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(bundle.graphs[name], options, providers=["CPUExecutionProvider"])


def sealed_subject(bundle: Bundle, copycat_over: Callable[[Float[ndarray, "N E"]], Policy]) -> Subject:
    """Return a bundle's own graphs as what is judged.

    Args:
        bundle: verified.
        copycat_over: lays Copycat, which no bundle holds, over the songs of the given embeddings.
    """

    def over(embeddings: Float[ndarray, "N E"]) -> Models:
        return Models(
            world=SealedWorld.over(bundle, embeddings),
            policy=SealedPolicy.over(bundle, embeddings),
            copycat=copycat_over(embeddings),
        )

    return Subject(
        over=over,
        support=bundle.projections.support_points,
        context=bundle.manifest.context,
        lookback=bundle.manifest.lookback,
        candidate_count=bundle.manifest.candidate_count,
        decoder=bundle.manifest.decoder,
        utility=bundle.manifest.utility,
    )
