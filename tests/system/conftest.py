"""What tests of the whole road share: a sealed bundle, a small disk, and a topology that outlives its faults.

Whoever breaks something mends it before the test ends; so the next test, of whichever module, finds both replicas
ready. A test that counts counts from where it begins.
"""

import shutil
from collections.abc import Iterator

import pytest

from models.repository import Repository
from tests.bundles import ENDLESS, seal_bundle
from tests.processes.disk import SmallDisk, small_disk
from tests.system.topology import Topology, topology


@pytest.fixture(scope="session")
def endless_repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One bundle whose limits let a session go on for ever; nobody changes anything here."""
    repository = Repository(tmp_path_factory.mktemp("endless"))
    seal_bundle(repository, limits=ENDLESS)
    return repository


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, endless_repository: Repository) -> Repository:
    """The topology's own bundles, to be added to and to be damaged."""
    return Repository(shutil.copytree(endless_repository.root, tmp_path_factory.mktemp("own") / "bundles"))


@pytest.fixture(scope="session")
def disk() -> Iterator[SmallDisk | None]:
    """Where the topology's PostgreSQL keeps its data, if this machine lets one mount it."""
    with small_disk(megabytes=256) as disk:
        yield disk


@pytest.fixture(scope="session")
def running(
    tmp_path_factory: pytest.TempPathFactory, repository: Repository, disk: SmallDisk | None
) -> Iterator[Topology]:
    """What `docker compose up` starts, as local processes."""
    with topology(tmp_path_factory.mktemp("topology"), repository, disk=disk.folder if disk else None) as running:
        yield running
