"""What the fire burns on: a sealed bundle over songs to play and to stumble over, and listeners nobody has met.

The songs, their embeddings and the platform's constants are those of the simulated log that the bundle was trained
on; the listeners are drawn afresh, so that nobody had a part in training, in calibration or in a limit.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from models.bundle import Bundle, open_bundle
from models.calibration import Calibration
from models.catalogue import Catalogue, Changes
from models.gates import GateReport
from models.listening import Listening
from models.log import read_log
from models.repository import Repository
from models.tokens import tokenise
from service.live.engine import Engine, open_engine
from tests.service.recommend.safety_page import distances_of
from tests.training import small_run
from training.copycat import Copycat
from training.export.export import Origin, Trained, export_bundle
from training.material import Material
from training.platform.parameters import PAPER, PlatformSize
from training.platform.simulate import Simulation, simulate
from training.platform.truth import Truth
from training.presets import preset_named
from training.stress.command import copycat_of_training, material_of_training
from training.stress.derive import quantile_limits
from training.stress.songs import hostile_songs
from training.trained import PolicyOver, unit_targets

ONE_ARTIST = "The One (simulated)"
WITHDRAWN_MEANWHILE = 2
"""How often, during a session, a sixth of the songs is withdrawn."""
SMALL_CANDIDATES = 50
"""K of the small run: on the ladder's second rung its catalogue is looked at whole."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """Engines over one bundle, and what is true of their songs."""

    plain: Engine
    """Over the log's songs, all of them active."""
    hostile: Engine
    """The same and far twins of some, a tenth of them withdrawn."""
    alike: Engine
    """The hostile songs, all by one artist."""
    later: tuple[Engine, ...]
    """The hostile songs after each withdrawal."""
    distances: np.ndarray
    """From each of the hostile songs to its nearest training song."""
    copycat: PolicyOver
    """Over the hostile songs."""
    platform: Simulation

    @property
    def known_songs(self) -> int:
        """How many songs are the platform's: beyond them, nothing is true."""
        return self.platform.size.song_count

    def strangers(self, sessions: int, *, seed: int) -> Truth:
        """Return the truth of so many sessions of fresh listeners, with the paper's plays, ratings and reports."""
        share = sessions / PAPER.session_count
        size = PlatformSize(
            listener_count=max(1, round(PAPER.listener_count * share)),
            song_count=self.known_songs,
            session_count=sessions,
            play_count=max(sessions, round(PAPER.play_count * share)),
            positive_rating_count=int(PAPER.positive_rating_count * share),
            negative_rating_count=int(PAPER.negative_rating_count * share),
            end_report_count=int(PAPER.end_report_count * share),
        )
        made = simulate(self.platform.parameters, size, seed, catalogue_seed=self.platform.catalogue_seed)
        return Truth(made)

    def copycats_song(self, listening: Listening) -> int:
        """Return the row of the song that Copycat puts first, among the platform's."""
        manifest = self.plain.bundle.manifest
        tokens = tokenise(listening, manifest.context).latest(manifest.lookback)
        scores = self.copycat.cosines(tokens, self.hostile.catalogue.rows(tokens.song))
        return int(np.argmax(scores[0, : self.known_songs]))


def ground_of(bundle: Bundle, material: Material, copycat: Copycat | PolicyOver) -> Ground:
    """Return the ground of a bundle that was trained on some material.

    Args:
        bundle: sealed.
        material: a simulated log's.
        copycat: as it was cloned in training; or already laid over the hostile songs, by another process.
    """
    assert material.truth is not None, "no truth is known of this log"
    space = material.space.name
    stumbling = hostile_songs(
        material.catalogue.songs, material.embeddings, material.heard, np.random.default_rng(6)
    )
    plain = open_engine(
        bundle,
        Catalogue(
            songs=material.catalogue.songs,
            embeddings={space: material.embeddings},
            withdrawn=np.zeros(len(material.catalogue), bool),
        ),
    )
    hostile = plain.with_catalogue(replace(stumbling.catalogue, embeddings={space: stumbling.embeddings}))
    alike = [replace(song, artist=ONE_ARTIST) for song in hostile.catalogue.songs]
    return Ground(
        plain=plain,
        hostile=hostile,
        alike=plain.with_catalogue(replace(hostile.catalogue, songs=alike)),
        later=_after_withdrawals(hostile),
        distances=distances_of(bundle, stumbling.embeddings),
        copycat=copycat
        if isinstance(copycat, PolicyOver)
        else PolicyOver(
            network=copycat.network,
            songs=material.reading(stumbling.embeddings),
            targets=unit_targets(copycat.target, stumbling.embeddings),
        ),
        platform=material.truth.simulation,
    )


def ground_of_training(bundle_folder: Path, log_folder: Path, copycat: PolicyOver | None = None) -> Ground:
    """Return the ground of a bundle and of the log it was trained on; Copycat is cloned if not given."""
    bundle = open_bundle(bundle_folder)
    preset = preset_named(str(bundle.manifest.training.get("preset")))
    material = material_of_training(bundle, read_log(log_folder), preset)
    cloned = copycat or copycat_of_training(bundle, material, preset)
    return ground_of(bundle, material, cloned)


@cache
def small_ground() -> Ground:
    """Return the ground of the tests' small run: networks that are hardly trained, under limits of their own."""
    made, cloned = small_run.material(), small_run.copycat()
    config = replace(small_run.STRESS, derivation_starts=200)
    subject = replace(small_run.subject(), candidate_count=SMALL_CANDIDATES)
    limits = quantile_limits(subject, made, small_run.PRESET.windows, config, np.random.default_rng(4))
    repository = Repository(Path(mkdtemp(prefix="amrs-fire-")))
    version = export_bundle(
        Trained(
            ensemble=small_run.world().ensemble,
            policy=cloned.network,
            reading=made.reading,
            target_map=cloned.target,
            support=made.embeddings[made.heard],
            space=made.space,
            context=made.log.description.context,
            lookback=small_run.PRESET.lookback,
        ),
        utility=small_run.UTILITY,
        guardrails=limits,
        calibration=Calibration(
            level=0.9,
            widths={"engagement": (0.4,), "valence": (0.3,), "arousal": (0.35,)},
            listener_count=10,
            listener_counts={},
            label_counts={},
        ),
        gates=GateReport(gates=()),
        evaluation={},
        card="# Guardrails under fire\n",
        origin=Origin(
            created=datetime(2026, 11, 26, tzinfo=UTC),
            code_version="tests",
            data_digest="0" * 64,
            data_name="simulated",
            simulated=True,
            training={},
        ),
        repository=repository,
        rng=np.random.default_rng(5),
        candidate_count=SMALL_CANDIDATES,
    )
    return ground_of(repository.open(version), made, cloned)


def _after_withdrawals(engine: Engine) -> tuple[Engine, ...]:
    """Return the engine after each of some withdrawals, as a worker follows them."""
    rng, catalogue, engines = np.random.default_rng(7), engine.catalogue, []
    for revision in range(1, WITHDRAWN_MEANWHILE + 1):
        active = np.flatnonzero(~catalogue.withdrawn)
        gone = np.sort(rng.choice(active, len(catalogue) // 6, replace=False))
        changes = Changes(
            revision=revision,
            songs=[catalogue.songs[row] for row in gone],
            withdrawn=np.ones(len(gone), bool),
            embeddings={space: np.asarray(matrix)[gone] for space, matrix in catalogue.embeddings.items()},
        )
        catalogue = catalogue.after(changes)
        engines.append(engine.with_catalogue(catalogue))
    return tuple(engines)
