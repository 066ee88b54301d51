"""The claims on one run, for tests of the paper's claims and of our own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.workers.report.fake import headroom, write_run
from workers.report.analysis.claims import judge
from workers.report.analysis.comparisons import analyse
from workers.report.analysis.verdicts import Claim
from workers.report.data.reading import read_runs

Judged = Callable[..., dict[str, Claim]]


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """The claims on one run, by their text."""

    def decide(trajectories: list[dict[str, Any]], **changes: Any) -> dict[str, Claim]:
        name = trajectories[0]["dataset"]
        run = write_run(tmp_path / "run", trajectories, headroom=headroom(dataset=name, **changes))
        return {claim.text: claim for claim in judge([analyse(study) for study in read_runs([run])])}

    return decide
