"""Taking a bundle up: verify, warm, try out; only then may it answer. A step that fails names itself.

verify   every digest, the digest SQL has on record, and a signature where one is required
warm     graphs compiled, golden cases replayed, every song in the forms the graphs take
trial    invented listeners ask for songs over the catalogue of today
swap     everything a worker holds is replaced in one assignment (`service.live.bundles`)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from models.catalogue import Catalogue
from models.errors import BundleError, Unavailable
from models.repository import Repository
from service.journal.bundles import BundleRecord
from service.live.engine import Engine, open_engine
from service.live.graphs import OnRun
from service.live.signature import PublicKey, require_signature
from service.telemetry.model_metrics import ModelMetrics


class BundleNotLoaded(BundleError):
    """A bundle could not be taken up."""

    def __init__(self, version: str, step: str, reason: str) -> None:
        super().__init__(f"bundle {version!r} failed to {step}: {reason}")
        self.version, self.step, self.reason = version, step, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """Takes bundles up, one step after another."""

    repository: Repository
    try_out: Callable[[Engine], None]
    """Asks an engine for songs; raises whatever goes wrong."""
    metrics: ModelMetrics
    public_keys: tuple[PublicKey, ...] = ()
    """Whose signature a bundle must carry; none: no signature is asked for."""
    on_run: OnRun | None = None
    """Told of each run of a graph."""

    def load(self, record: BundleRecord, catalogue: Catalogue) -> Engine:
        """Return an engine that may answer; takes seconds, and must not run where answers wait for it.

        Raises:
            BundleNotLoaded: naming the step; the reason tells what was expected and what came.
        """
        with self.step(record.version, "verify"):
            bundle = self.repository.open(record.version)
            if bundle.digest != record.digest:
                raise BundleError(f"its digest is {bundle.digest}; SQL has {record.digest} on record")
            require_signature(self.repository, bundle, self.public_keys)
        with self.step(record.version, "warm"):
            engine = open_engine(bundle, catalogue, self.on_run)
        with self.step(record.version, "trial"):
            self.try_out(engine)
        return engine

    @contextmanager
    def step(self, version: str, step: str) -> Iterator[None]:
        """Take the time of a step.

        Raises:
            BundleNotLoaded: whatever went wrong in the block, but that SQL did not answer.
        """
        begun = perf_counter()
        try:
            yield
        except Unavailable:
            raise
        except Exception as problem:  # graphs raise their own, undocumented kinds; none may end the worker
            self.metrics.load_failures.labels(step).inc()
            raise BundleNotLoaded(version, step, str(problem)) from problem
        self.metrics.load_seconds.labels(step).observe(perf_counter() - begun)
