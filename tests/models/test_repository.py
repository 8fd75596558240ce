"""The repository lists what is sealed, opens it verified, and does not see what is still being written."""

import pytest

from models.errors import BundleError
from models.repository import Repository
from tests.bundles import seal_bundle


def test_a_repository_nobody_wrote_to_is_empty(tmp_path):
    assert Repository(tmp_path / "nothing").versions() == []


def test_versions_come_oldest_first(tmp_path):
    repository = Repository(tmp_path)

    sealed = [seal_bundle(repository, seed=seed) for seed in range(2)]

    assert repository.versions() == sealed
    assert len(set(sealed)) == 2


def test_the_same_training_run_gives_the_same_bundle_to_the_last_byte(tmp_path):
    here, there = Repository(tmp_path / "here"), Repository(tmp_path / "there")

    assert seal_bundle(here) == seal_bundle(there)


def test_a_folder_still_being_written_is_not_there_yet(tmp_path):
    (tmp_path / ".2026-11-20-draft").mkdir()
    (tmp_path / "2026-11-20-without-manifest").mkdir()

    assert Repository(tmp_path).versions() == []


def test_an_unknown_version_is_refused_with_those_there_are(tiny_repository):
    with pytest.raises(BundleError, match=r"no bundle '1999'; there are \['2026"):
        tiny_repository.open("1999")


@pytest.mark.parametrize("version", ["../elsewhere", "/etc", ".", ""])
def test_a_version_is_never_a_path(tiny_repository, version):
    with pytest.raises(BundleError, match="no bundle"):
        tiny_repository.open(version)
