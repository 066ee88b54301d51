"""What a report holds against each other was played alike."""

from pathlib import Path
from typing import Any

import pytest

from tests.workers.report.fake import CLASSES, trajectory, write_run
from workers.report import write_report


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"experiment": {"batch_size": 24, "levels": 3}}, "levels 1 and 3"),
        ({"experiment": {"batch_size": 24, "levels": 1, "theta0": "state"}}, "theta0 source and state"),
        ({"classes": ["Sky", "Tree"]}, "classes"),
    ],
)
def test_methods_that_were_not_played_alike_are_not_held_against_each_other(
    changed: dict[str, Any], words: str, tmp_path: Path
) -> None:
    alike: dict[str, Any] = {"experiment": {"batch_size": 24, "levels": 1, "theta0": "source"}, "classes": CLASSES}
    played = [trajectory("random", 0, {240: 0.4}, **alike), trajectory("entropy", 0, {240: 0.5}, **alike)]
    assert write_report([write_run(tmp_path / "alike", played)], tmp_path)
    other = trajectory("bald", 0, {240: 0.5}, **(alike | changed))
    with pytest.raises(ValueError, match=f"have other settings: {words}.*--set name="):
        write_report([write_run(tmp_path / "mixed", [*played, other])], tmp_path)
    apart = trajectory("bald", 0, {240: 0.5}, **(alike | changed | {"group": "ablation:sizes"}))
    if "classes" not in changed:
        assert write_report([write_run(tmp_path / "ablation", [*played, apart])], tmp_path)
