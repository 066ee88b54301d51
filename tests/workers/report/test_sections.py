"""Sections that are left out, or say other things, for what was played."""

import re
from pathlib import Path

from tests.workers.report.fake import headroom, trajectory, write_run
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


def test_where_theta_0_is_there_already_nothing_can_be_saved(tmp_path: Path) -> None:
    # 95% of 0.60 is 0.57; 96% is 0.576.
    played = [trajectory(m, s, {240: 0.585, 480: 0.59}) for m in ("learned:blend", "random") for s in (0, 1)]
    text = write_report(
        [write_run(tmp_path / "run", played, headroom=headroom(theta_0={"miou": [0.58]}, full={"miou": [0.6]}))],
        tmp_path,
    )
    assert "not reached" not in text
    assert "| learned:blend | 95% | – | – | – |" in text


def test_full_supervision_that_is_not_above_theta_0_leaves_nothing_to_win(tmp_path: Path) -> None:
    for full, said in ((0.56, "full supervision at 56.0%"), (0.58, "full supervision at 58.0%")):
        known = headroom(theta_0={"miou": [0.58]}, full={"miou": [full]}, std=0.0)
        text = write_report([write_run(tmp_path / str(full), [], headroom=known)], tmp_path)
        assert f"{said}: full supervision is not above theta_0, and there is nothing to win." in text
        assert "**UNINFORMATIVE: full supervision is not above theta_0.**" in text
        assert "all that selection can win" not in text


def test_figures_are_apart_whatever_letters_studies_and_policies_are_called_in(tmp_path: Path) -> None:
    runs = [
        write_run(
            tmp_path / str(number),
            [
                trajectory(method, seed, {240: miou, 480: miou}, preset=preset, dataset="folder")
                for method in ("learned:\u0430", "learned:\u0431", "random")
                for seed in (0, 1)
            ],
        )
        for number, (preset, miou) in enumerate(
            (("\u043a\u043b\u0435\u0442\u043a\u0438", 0.25), ("\u0442\u043a\u0430\u043d\u0438", 0.75))
        )
    ]
    text = write_report(runs, tmp_path / "out")
    figures = re.findall(r"\]\(figures/([^)]+)\.svg\)", text)
    assert len(figures) == len(set(figures)) == len(list((tmp_path / "out" / "figures").iterdir()))
    assert {"folder-curves", "folder-2-curves"} <= set(figures)
    assert {"folder-differences-learned", "folder-differences-learned-2"} <= set(figures)
    alone = tmp_path / "alone"
    write_report(runs[:1], alone)
    for name in ("curves", "areas"):
        first, second = (tmp_path / "out/figures" / f"{each}-{name}.svg" for each in ("folder", "folder-2"))
        assert first.read_bytes() == (alone / "figures" / f"folder-{name}.svg").read_bytes()
        assert first.read_text() != second.read_text().replace("folder-2-", "folder-")
