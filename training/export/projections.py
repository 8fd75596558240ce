"""Projections: the trained networks' linear maps of a song, melted into one affine map each (SCIENCE §2).

Legend: E embedding width · K song width of the reading · M members · S training songs
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.bundle import Affine, Projections
from training.export.layers import weights
from training.networks.policy import PolicyNetwork
from training.networks.reading import Reading
from training.networks.world import Ensemble, WorldModel


def projections(
    ensemble: Ensemble,
    policy: PolicyNetwork,
    *,
    reading: Reading,
    target_map: Affine,
    support: Float[ndarray, "S E"],
) -> Projections:
    """Return the maps from an embedding to where each graph wants it.

    Args:
        ensemble: the world models; all see songs through the reading.
        policy: sees songs through the same reading, and answers in the space of `target_map`.
        reading: also the space in which the distance to training songs is measured.
        target_map: embedding → the space of the policy's cosine, before scaling to unit length.
        support: embeddings of the training songs.
    """
    members = ensemble.members
    output_matrix, output_offset = weights(policy.output)
    return Projections(
        world_token=reading.then(np.hstack([_token_part(each) for each in members])),
        policy_token=reading.then(weights(policy.encoder.song_part)[0]),
        head_hidden=reading.then(np.hstack([_head_part(each) for each in members])),
        policy_target=Affine(matrix=target_map.matrix, offset=target_map.offset),
        policy_output=Affine(matrix=output_matrix.astype(np.float32), offset=output_offset.astype(np.float32)),
        support_map=Affine(matrix=reading.matrix, offset=reading.offset),
        support_points=reading(support),
    )


def _token_part(member: WorldModel) -> Float[ndarray, "K token"]:
    """Return `WorldModel.token_part` as a matrix."""
    return np.hstack([weights(member.encoder.song_part)[0], np.eye(len(member.linear.song))])


def _head_part(member: WorldModel) -> Float[ndarray, "K shares"]:
    """Return `WorldModel.song_part` as a matrix."""
    return np.hstack([weights(member.head.song_part)[0], np.eye(len(member.linear.song))])
