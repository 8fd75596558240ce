"""A bundle opens only as it was sealed: whatever is missing, extra, altered, linked or kept elsewhere is refused by name."""

import os

from models.bundle import FILES, MANIFEST, open_bundle


def test_opens_as_it_was_sealed(tiny_repository):
    version = tiny_repository.versions()[0]
    bundle = tiny_repository.open(version)
    assert bundle.version == version
    assert bundle.manifest.files.keys() == set(FILES)
