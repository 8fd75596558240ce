"""The repository: bundles on disk, one folder per version, below one root. Stages live in SQL, not here.

Judgements made after sealing lie beside the bundles, in `attestations/<version>/`: one file each, whose name ends
in the digest of its contents.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from models.bundle import MANIFEST, Bundle, open_bundle, seal
from models.errors import BundleError
from models.gates import Attestation, failures_of

BUNDLES: Final = "bundles"
"""The folder of a deployment's repository, below its home (`AMRS_HOME`)."""
ATTESTATIONS: Final = "attestations"
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Repository:
    """The folder that holds every bundle of one deployment."""

    root: Path

    def versions(self) -> list[str]:
        """Return every version, oldest first; folders still being written are not there yet."""
        if not self.root.is_dir():
            return []
        folders = (path for path in self.root.iterdir() if not path.name.startswith("."))
        sealed = [path for path in folders if (path / MANIFEST).is_file()]
        return [path.name for path in sorted(sealed, key=lambda path: (path.name[:10], path.stat().st_mtime))]

    def open(self, version: str) -> Bundle:
        """Return one bundle, verified whole.

        Raises:
            BundleError: there is no such version, or it fails verification.
        """
        if version not in self.versions():
            raise BundleError(f"no bundle {version!r}; there are {self.versions() or 'none'}")
        return open_bundle(self.root / version)

    def add(self, files: Mapping[str, bytes], describe: Mapping[str, object]) -> str:
        """Seal a new bundle; return its version."""
        return seal(files, describe, self.root)

    def attest(self, attestation: Attestation) -> Path:
        """Write a judgement down beside its bundle; return the file. The same judgement again changes nothing.

        Raises:
            BundleError: the repository holds no such version.
        """
        if attestation.version not in self.versions():
            raise BundleError(
                f"no bundle {attestation.version!r} to attest; there are {self.versions() or 'none'}"
            )
        written = attestation.model_dump_json(by_alias=True, indent=2).encode()
        folder = self.root / ATTESTATIONS / attestation.version
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{attestation.made:%Y-%m-%dT%H%M%S}-{sha256(written).hexdigest()[:_DIGITS]}.json"
        draft = path.with_name(f".{path.name}")
        draft.write_bytes(written)
        draft.replace(path)
        return path

    def attestations(self, version: str) -> tuple[Attestation, ...]:
        """Return every judgement made of a bundle after it was sealed, oldest first.

        Raises:
            BundleError: one cannot be read, or was altered; what cannot be read may have forbidden.
        """
        folder = self.root / ATTESTATIONS / version
        if not folder.is_dir():
            return ()
        return tuple(_read(path) for path in sorted(folder.glob("[!.]*")))

    def failures(self, bundle: Bundle) -> tuple[str, ...]:
        """Return what forbids a bundle's promotion, in sentences: as sealed, and as judged later.

        Raises:
            BundleError: an attestation cannot be read, was altered, or names another bundle.
        """
        return failures_of(bundle.version, bundle.digest, bundle.gates, self.attestations(bundle.version))


def _read(path: Path) -> Attestation:
    try:
        written = path.read_bytes()
        attestation = Attestation.model_validate_json(written)
    except (OSError, ValidationError) as problem:
        raise BundleError(f"attestation {path.name} cannot be read: {problem}") from problem
    if path.suffix != ".json" or not path.stem.endswith(f"-{sha256(written).hexdigest()[:_DIGITS]}"):
        raise BundleError(f"attestation {path.name} was altered: its digest is {sha256(written).hexdigest()}")
    return attestation


def repository_in(home: Path) -> Repository:
    """Return where a deployment's bundles lie: training seals them there, and the service finds them."""
    return Repository(home / BUNDLES)
