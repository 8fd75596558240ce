"""Where keys are configured, a bundle is taken only if one of them signed this very bundle."""

import shutil
from pathlib import Path

import pytest

from models.errors import BundleError, ConfigError
from models.repository import Repository
from service.live.signature import make_key, read_public_key, require_signature, sign
from service.staging import verified


@pytest.fixture
def repository(tiny_repository: Repository, tmp_path: Path) -> Repository:
    """A repository of its own, with the tiny bundle in it."""
    version = tiny_repository.versions()[0]
    shutil.copytree(tiny_repository.root / version, tmp_path / "bundles" / version)
    return Repository(tmp_path / "bundles")


def test_a_signed_bundle_is_taken(repository: Repository, tmp_path: Path) -> None:
    (version,) = repository.versions()
    key = read_public_key(make_key(tmp_path / "key"))
    other = read_public_key(make_key(tmp_path / "other"))

    sign(repository, version, tmp_path / "key")

    assert verified(repository, version, (other, key)).version == version
    assert repository.versions() == [version]
    assert oct((tmp_path / "key").stat().st_mode)[-3:] == "600"


def test_without_keys_no_signature_is_asked_for(repository: Repository) -> None:
    require_signature(repository, repository.open(repository.versions()[0]), ())


def test_an_unsigned_bundle_is_refused(repository: Repository, tmp_path: Path) -> None:
    key = read_public_key(make_key(tmp_path / "key"))

    with pytest.raises(BundleError, match=r"must be signed by a configured key: key \w+ did not sign it"):
        verified(repository, repository.versions()[0], (key,))


def test_a_bundle_signed_by_another_key_is_refused(repository: Repository, tmp_path: Path) -> None:
    (version,) = repository.versions()
    key = read_public_key(make_key(tmp_path / "key"))
    make_key(tmp_path / "other")
    sign(repository, version, tmp_path / "other")

    with pytest.raises(BundleError, match="did not sign it"):
        verified(repository, version, (key,))


def test_a_signature_of_other_bytes_is_refused(repository: Repository, tmp_path: Path) -> None:
    (version,) = repository.versions()
    key = read_public_key(make_key(tmp_path / "key"))
    file = sign(repository, version, tmp_path / "key")
    file.write_text(file.read_text()[::-1])

    with pytest.raises(BundleError, match="is not one of this bundle"):
        verified(repository, version, (key,))


def test_a_key_is_never_overwritten_and_must_be_a_key(repository: Repository, tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    (tmp_path / "rubbish").write_text("rubbish")

    with pytest.raises(ConfigError, match="never overwritten"):
        make_key(tmp_path / "key")
    with pytest.raises(ConfigError, match="must hold a private key"):
        sign(repository, repository.versions()[0], tmp_path / "rubbish")
    with pytest.raises(ConfigError, match="32 bytes in base64"):
        read_public_key("rubbish")
