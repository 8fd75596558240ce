"""The three graphs that serve: the ensemble's encoders, the ensemble's heads, and the policy.

Each is an exact rewriting of the trained networks (SCIENCE §2), held to them by golden cases at export and by
`tests/training/export`. Members run side by side in one graph; song parts are computed once per catalogue and
come in as inputs; the gains of norms melt into the layer that follows; and past the last block's keys and
values, only the positions that somebody reads are computed.

Legend: M members · B histories · L tokens · P positions read · D width · K candidates · H hidden width
· W song width · Z state width
"""

from collections.abc import Sequence

from models.affect import SIGNALS
from training.export.builder import Builder
from training.export.deployed_form import served_head
from training.export.encoder import encode
from training.export.layers import linear, part, weights
from training.export.summary import linear_logits, linear_part, running_summary
from training.networks.encoder import HistoryEncoder
from training.networks.policy import PolicyNetwork
from training.networks.world import Ensemble


def world_graph(ensemble: Ensemble) -> bytes:
    """Return `world.onnx`: tokens → every member's state after them all, and before the last play."""
    encoders = [member.encoder for member in ensemble.members]
    width = encoders[0].width
    token_width = width + len(ensemble.members[0].linear.song)
    axes: list[str | int] = ["B", len(encoders), ensemble.members[0].state_width]
    graph = Builder("world")
    song, features, length = _token_inputs(graph, encoders, song_width=token_width)
    previous = graph.input("previous", ["B"], integers=True)
    read = graph("Concat", _column(graph, length), _column(graph, previous), axis=1)  # (B, P)
    summary = running_summary(graph, features, [encoder.standard for encoder in encoders])
    streams = encode(graph, encoders, part(graph, song, 3, slice(0, width)), summary, read)  # (M, B, P, D)
    linear_states = linear_part(
        graph,
        [member.linear for member in ensemble.members],
        song=part(graph, song, 3, slice(width, token_width)),
        summary=summary,
        features=features,
        read=read,
    )
    states = graph("Concat", streams, linear_states, axis=3)  # (M, B, P, Z)
    states = graph("Transpose", states, perm=[2, 1, 0, 3])  # (P, B, M, Z)
    state, previous_state = (graph("Gather", states, graph.integer(place), axis=0) for place in range(2))
    return graph.finish({"state": (state, axes), "previous_state": (previous_state, axes)})


def head_graph(ensemble: Ensemble) -> bytes:
    """Return `head.onnx`: states and the songs' shares of the hidden layer → the four signals, in [0, 1]."""
    heads = [served_head(member) for member in ensemble.members]
    members, width, hidden = len(heads), heads[0].state_part.in_features, heads[0].state_part.out_features
    graph = Builder("head")
    state = graph.input("state", ["B", members, width])
    parts = [member.linear for member in ensemble.members]
    song_width = len(parts[0].song)
    song_hidden = graph.input("song_hidden", ["B", "K", members, hidden + song_width])
    by_member = graph("Transpose", state, perm=[1, 0, 2])  # (M, B, Z)
    state_hidden = linear(graph, by_member, [head.state_part for head in heads], axes=1)  # (M, B, H)
    state_hidden = graph("Unsqueeze", state_hidden, graph.integers(2))  # (M, B, 1, H)
    songs = graph("Transpose", song_hidden, perm=[2, 0, 1, 3])  # (M, B, K, H+W)
    met = graph("Gelu", graph("Add", state_hidden, part(graph, songs, 3, slice(0, hidden))))
    behaviour = linear(graph, met, [head.behaviour for head in heads], axes=2)  # (M, B, K, 2)
    affect = linear(graph, graph("Gelu", state_hidden), [head.affect for head in heads], axes=2)  # (M, B, 1, 2)
    correction = graph("Add", _padded(graph, behaviour, after=2), _padded(graph, affect, before=2))  # (M, B, K, 4)
    logits = linear_logits(
        graph,
        parts,
        state=part(graph, by_member, 2, slice(width - parts[0].state_width, width)),
        song=part(graph, songs, 3, slice(hidden, hidden + song_width)),
    )
    predicted = graph("Sigmoid", graph("Add", logits, correction))
    predicted = graph("Transpose", predicted, perm=[1, 0, 2, 3])  # (B, M, K, 4)
    return graph.finish({"predicted": (predicted, ["B", members, "K", len(SIGNALS)])})


def policy_graph(policy: PolicyNetwork) -> bytes:
    """Return `policy.onnx`: tokens → [h ; 1] / ‖W h + b‖, the query of the projected index."""
    graph = Builder("policy")
    song, features, length = _token_inputs(graph, [policy.encoder], song_width=policy.encoder.width)
    summary = running_summary(graph, features, [policy.encoder.standard])
    states = encode(graph, [policy.encoder], song, summary, _column(graph, length))  # (1, B, 1, D)
    state = graph("Squeeze", states, graph.integers(0, 2))  # (B, D)
    matrix, offset = weights(policy.output)
    wanted = graph("Add", graph("MatMul", state, graph.floats(matrix)), graph.floats(offset))  # (B, Q)
    norm = graph("ReduceL2", wanted, graph.integers(1), keepdims=1)  # (B, 1)
    query = graph("Concat", graph("Div", state, norm), graph("Reciprocal", norm), axis=1)
    return graph.finish({"query": (query, ["B", policy.encoder.width + 1])})


def _token_inputs(graph: Builder, encoders: Sequence[HistoryEncoder], *, song_width: int) -> tuple[str, str, str]:
    """Write the inputs of a history; return songs by member (M, B, L, song_width), features and lengths."""
    members = len(encoders)
    song = graph.input("song", ["B", "L", members * song_width])
    features = graph.input("features", ["B", "L", encoders[0].standard.shape[0]])
    split = graph("Reshape", song, graph.integers(0, 0, members, song_width))  # (B, L, M, song_width)
    by_member = graph("Transpose", split, perm=[2, 0, 1, 3])
    return by_member, features, graph.input("length", ["B"], integers=True)


def _padded(graph: Builder, source: str, *, before: int = 0, after: int = 0) -> str:
    """Write a value of four axes with zeros before or after its last one."""
    return graph("Pad", source, graph.integers(0, 0, 0, before, 0, 0, 0, after))


def _column(graph: Builder, vector: str) -> str:
    return graph("Unsqueeze", vector, graph.integers(1))
