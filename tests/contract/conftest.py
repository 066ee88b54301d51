"""The parity test plays in the same tiny world as the tests of the workers; files come in by doors that a module shares."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus.doors import Doors
from tests.workers.conftest import make_world

__all__ = ["make_world"]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Doors]:
    """One service for all tests of a module: each makes projects of its own."""
    home = tmp_path_factory.mktemp("doors")
    (home / "test.db").write_bytes(sqlite_template.read_bytes())
    found = Doors(home)
    yield found
    found.database.engine.dispose()
