"""The repository lists what is sealed, opens it verified, and does not see what is still being written."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.bundle import Bundle
from models.errors import BundleError
from models.gates import Attestation, Gate, GateReport
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


@pytest.fixture
def sealed(tmp_path) -> tuple[Repository, Bundle]:
    """A repository of one bundle that passed."""
    repository = Repository(tmp_path)
    return repository, repository.open(seal_bundle(repository))


def attest(repository: Repository, bundle: Bundle, *, passes: bool, version: str | None = None) -> Path:
    gate = Gate(name="song order", passed=passes, required="above 0.5", measured="0.49")
    return repository.attest(
        Attestation(
            version=version or bundle.version,
            digest=bundle.digest,
            made=datetime(2026, 12, 1, tzinfo=UTC),
            code_version="tests",
            data_digest="0" * 64,
            seed=1,
            report=GateReport(gates=(gate,)),
        )
    )


def test_a_judgement_lies_beside_the_bundle_and_leaves_it_whole(sealed):
    repository, bundle = sealed

    attest(repository, bundle, passes=False)
    again = repository.open(bundle.version)

    assert repository.versions() == [bundle.version]
    assert [each.digest for each in repository.attestations(bundle.version)] == [again.digest]
    assert len(repository.failures(again)) == 1


def test_the_same_judgement_twice_is_one(sealed):
    repository, bundle = sealed

    assert attest(repository, bundle, passes=True) == attest(repository, bundle, passes=True)
    assert len(repository.attestations(bundle.version)) == 1
    assert repository.failures(bundle) == ()


def test_a_judgement_of_an_unknown_version_is_refused(sealed):
    with pytest.raises(BundleError, match="to attest"):
        attest(*sealed, passes=True, version="../elsewhere")


@pytest.mark.parametrize("change", [lambda text: text.replace("false", "true"), lambda _: "{}"])
def test_a_judgement_that_was_altered_is_refused(sealed, change):
    repository, bundle = sealed
    path = attest(repository, bundle, passes=False)
    path.write_text(change(path.read_text()))

    with pytest.raises(BundleError, match=path.name):
        repository.failures(bundle)
