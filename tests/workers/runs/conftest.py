"""A folder of somebody's own to play on."""

from pathlib import Path

import pytest

from tests.workers.runs.cracks import cracks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images with cracks, without splits."""
    return cracks(tmp_path / "cracks")
