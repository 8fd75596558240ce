"""What is judged: models that can be laid over any catalogue, and whatever else a rollout of them needs.

While a bundle is being made these are the trained networks; once it is sealed, its own graphs.

Legend: N songs · E embedding width · G training songs · K song width
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from numpy import ndarray

from models.catalogue import Catalogue
from models.context import ContextSchema
from models.decoder import Decoder
from models.guardrails import GuardrailTable
from models.utility import LinearUtility, TargetUtility
from training.choosing import Setting
from training.copycat import Copycat
from training.limits import nearest_distances
from training.networks.policy import PolicyNetwork
from training.networks.reading import Reading
from training.networks.world import Ensemble
from training.policies.plain import Learned
from training.policies.policy import Policy
from training.trained import PolicyOver, World, WorldOver, unit_targets


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Models:
    """The models of one subject over one catalogue."""

    world: World
    policy: Policy
    copycat: Policy
    """What the policy was led on from: the reference of every comparison."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """One bundle's models, sealed or about to be."""

    over: Callable[[Float[ndarray, "N E"]], Models]
    """Lays the models over the songs of the given embeddings."""
    support: Float[ndarray, "G K"]
    """The training songs, in the space in which distance to them is measured."""
    context: ContextSchema
    lookback: int
    candidate_count: int
    decoder: Decoder
    """In which order the policy's songs come before the guardrails; Copycat keeps its own."""
    utility: LinearUtility | TargetUtility

    def setting(self, models: Models, catalogue: Catalogue, table: GuardrailTable, *, song_count: int) -> Setting:
        """Return what stays the same over every rollout of so many songs."""
        return Setting(
            catalogue=catalogue,
            context=self.context,
            lookback=self.lookback,
            world=models.world,
            table=table,
            support_distance=nearest_distances(models.world.songs, self.support),
            candidate_count=self.candidate_count,
            decoder=self.decoder,
            song_count=song_count,
        )


def over_any(
    ensemble: Ensemble, policy: PolicyNetwork, copycat: Copycat, reading: Reading
) -> Callable[[Float[ndarray, "N E"]], Models]:
    """Return what lays trained networks over the songs of given embeddings."""

    def over(embeddings: Float[ndarray, "N E"]) -> Models:
        songs, targets = reading(embeddings), unit_targets(copycat.target, embeddings)
        tuned, reference = (
            Learned(PolicyOver(network=network, songs=songs, targets=targets))
            for network in (policy, copycat.network)
        )
        return Models(world=WorldOver(ensemble=ensemble, songs=songs), policy=tuned, copycat=reference)

    return over
