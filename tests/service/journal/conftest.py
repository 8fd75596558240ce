"""A database to write to."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from service.journal.engine import open_writer


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The writer's engine on an empty database."""
    engine = open_writer(database_url)
    yield engine
    engine.dispose()
