"""What a report holds against each other was played alike, and often enough to be called the best."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.workers.report.fake import CLASSES, headroom, trajectory, write_run
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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"theta0": "source"}, "theta0 source and state"),
        ({"theta0": "state", "cell_height": 36, "cell_width": 64}, "cell_width 64 and 32"),
        ({"height": 360, "width": None}, "height 360 and None"),
    ],
)
def test_methods_are_not_held_against_the_headroom_of_another_beginning(
    settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    whole = {"theta0": "state", "cell_height": 36, "cell_width": 32, "height": None, "width": None}
    played = [trajectory("random", 0, {240: 0.4}, experiment={**whole, "batch_size": 24})]
    for name, known in (("earlier", {}), ("whole", whole), ("fewer", {"theta0": "state"})):
        assert write_report([write_run(tmp_path / name, played, headroom=headroom(**known))], tmp_path)
    with pytest.raises(ValueError, match=rf"headroom\.json and .*0\.json are both of .* have other settings: {words}"):
        write_report([write_run(tmp_path / "other", played, headroom=headroom(**settings))], tmp_path)


def test_a_method_of_few_seeds_is_not_called_the_best(tmp_path: Path) -> None:
    mious = {"learned:paper": 0.5, "random": 0.4}
    played = [trajectory(m, seed, {240: level, 480: level + 0.1}) for m, level in mious.items() for seed in range(3)]
    lucky = [trajectory(m, 0, {240: 0.6, 480: 0.7}) for m in ("entropy", "learned:regionwise")]
    text = write_report([write_run(tmp_path / "run", played + lucky)], tmp_path)
    assert "learned:paper is the best learned method by area, random the best baseline" in text
    # Marked so in every table: of budgets, of areas and of classes.
    assert text.count("| learned:paper | 3 | **50.0 ± 0.00** | **60.0 ± 0.00** |") == 1
    assert text.count("| random | 3 | *40.0 ± 0.00* | *50.0 ± 0.00* |") == 1
    assert "**55.00 ± 0.00**" in text
    assert "*45.00 ± 0.00*" in text
    assert not re.search(r"^\| (entropy|learned:regionwise) .*\*\d", text, re.MULTILINE)
