"""Two run folders to report on: one complete, one half finished."""

import json
from pathlib import Path

import pytest

from tests.workers.report.fake import headroom, play, write_run


@pytest.fixture(scope="module")
def fake_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two data sets, four methods, three seeds, four budgets; the second data set is half finished."""
    folder = tmp_path_factory.mktemp("runs")
    methods, budgets = (
        ["learned:regionwise", "entropy", "random", "learned-untrained:regionwise"],
        [240, 480, 960, 1920],
    )
    variants = play("camvid", ["learned:no-similarity"], [0, 1, 2], budgets, group="ablation:components")
    points = [
        {"name": "entropy", "kind": "strategy", "surrogate": 31.2, "real": 30.1},
        {"name": "learned:regionwise", "kind": "policy", "surrogate": 33.0, "real": 32.0},
    ]
    first = write_run(
        folder / "camvid",
        play("camvid", methods, [0, 1, 2], budgets) + variants,
        headroom=headroom(),
        surrogate={"game": "replay", "points": points, "rank_correlation": 0.7, "episodes_per_hour": 9000},
    )
    (first / "policies").mkdir()
    policy = {"name": "learned:regionwise", "returns": [1.0, 2.0, 1.5, 3.0, 2.5, 3.5], "best_episode": 5}
    (first / "policies" / "regionwise.json").write_text(json.dumps(policy))
    half = play("cityscapes", methods[:3], [0, 1, 2], budgets)
    del half[0]["budgets"]["1920"]
    return [first, write_run(folder / "cityscapes", half)]
