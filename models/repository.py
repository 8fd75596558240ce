"""The repository: bundles on disk, one folder per version, below one root. Stages live in SQL, not here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.bundle import MANIFEST, Bundle, open_bundle, seal
from models.errors import BundleError


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
