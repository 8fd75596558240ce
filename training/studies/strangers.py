"""Strangers: fresh listeners of a simulated log's own songs, as many as one likes.

Whoever was in the log has had a part in training, in calibration or in a choice; these have had none. Only the
songs, their embeddings and the platform's constants are the log's.
"""

from dataclasses import dataclass

import numpy as np

from models.errors import DataError
from models.listening import Listening
from models.tokens import tokenise
from training.material import Material
from training.platform.as_log import simulated_log
from training.platform.parameters import sized_like_paper
from training.platform.simulate import simulate
from training.platform.truth import Truth
from training.rollout import Start
from training.situations import StartWindows, WindowConfig, draw_windows, listening_in
from training.windows import Histories


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strangers:
    """Listeners nobody has met."""

    truth: Truth
    listening: Listening
    histories: Histories
    """As the material's world models read them."""

    @classmethod
    def of(cls, material: Material, *, count: int, seed: int) -> "Strangers":
        """Simulate them; each has about as many sessions and reports as a listener of the paper.

        Raises:
            DataError: the material is no simulated log, so nobody can be asked to listen to its songs.
        """
        if material.truth is None:
            raise DataError(f"log {material.log.description.name!r} is of real listeners: there are no fresh ones")
        known = material.truth.simulation
        size = sized_like_paper(count, known.size.song_count)
        simulation = simulate(known.parameters, size, seed, catalogue_seed=known.catalogue_seed)
        listening = simulated_log(simulation).listening()
        histories = Histories.of(
            tokenise(listening, material.log.description.context),
            song_keys=material.catalogue.keys,
            song_vectors=material.histories.song_vectors,
        )
        return cls(truth=Truth(simulation), listening=listening, histories=histories)

    def start(self, count: int, config: WindowConfig, rng: np.random.Generator) -> tuple[StartWindows, Start]:
        """Return where rollouts of the first `count` strangers begin: one window of each history."""
        once = WindowConfig(windows_per_listener=1, shortest=config.shortest, longest=config.longest)
        windows = draw_windows(self.listening, np.arange(min(count, self.listening.listener_count)), once, rng)
        state = self.truth.start(windows.listener, windows.stop)
        return windows, Start(listening=listening_in(self.listening, windows), truth=self.truth, state=state)
