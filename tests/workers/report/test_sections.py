"""Sections that are left out, or say other things, for what was played."""

from pathlib import Path

from tests.workers.report.fake import trajectory, write_run
from workers.report import write_report


def test_of_one_seed_nobody_is_said_to_beat_anybody(tmp_path: Path) -> None:
    mious = {240: 0.4, 480: 0.5}
    for seeds, there in ((1, False), (2, True)):
        played = [trajectory(method, seed, mious) for method in ("random", "entropy") for seed in range(seeds)]
        text = write_report([write_run(tmp_path / f"{seeds}", played)], tmp_path)
        assert ("Who beats whom" in text) is there


def test_budgets_of_regions_of_several_sizes_are_said_to_be_cells(tmp_path: Path) -> None:
    settings = {"batch_size": 24, "cell_height": 36, "cell_width": 32}
    for levels, said in (
        (1, "at 240, 480 regions."),
        (3, "at 240, 480 whole cells' worth of regions of several sizes."),
    ):
        played = [trajectory("random", 0, {240: 0.4, 480: 0.5}, experiment=settings | {"levels": levels})]
        assert said in write_report([write_run(tmp_path / f"{levels}", played)], tmp_path)
