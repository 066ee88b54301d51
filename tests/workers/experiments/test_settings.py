"""Experiments' settings: presets, overrides, and keys that change with what an outcome depends on and nothing else."""

import json
from pathlib import Path

import pytest

from service.domain.methods import Method
from tests.workers.tiny import tiny_experiment
from workers.experiments.presets import PRESETS, preset_names, read_preset
from workers.experiments.settings import Experiment
from workers.runs.options import chosen_experiment


def key_of(experiment: Experiment, method: str) -> str:
    return experiment.method_key(Method.parse(method), 0)


def test_what_a_stage_does_not_depend_on_does_not_change_its_key(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path)
    other = tiny_experiment(tmp_path, "pool_size=7")
    assert other.key("theta0") == experiment.key("theta0")
    assert key_of(other, "random") != key_of(experiment, "random")
    longer = tiny_experiment(tmp_path, "policies.paper.episodes=9")
    assert longer.policy_key("paper", 0) != experiment.policy_key("paper", 0)
    assert key_of(longer, "learned:paper") != key_of(experiment, "learned:paper")
    assert key_of(longer, "random") == key_of(experiment, "random")


@pytest.mark.parametrize("path", [PRESETS / f"{name}.toml" for name in preset_names()], ids=lambda path: path.stem)
def test_every_preset_reads(path: Path) -> None:
    assert chosen_experiment(path.stem, None, [], None).dataset == path.stem.rpartition("-")[2]


def test_overrides_are_typed_and_unknown_names_refused() -> None:
    changed = read_preset("lite", "camvid", ["pool_size=3", "round.lr=0.5", "sampling=uniform"])
    assert (changed.pool_size, changed.round.lr, changed.sampling) == (3, 0.5, "uniform")
    for wrong in ("nonsense=1", "pool_size=many", "pool_size"):
        with pytest.raises(ValueError, match=r"nonsense|pool_size"):
            read_preset("lite", "camvid", [wrong])
    with pytest.raises(ValueError, match="there are"):
        read_preset("heavy", "streets")


def test_what_makes_a_gpu_faster_changes_keys_only_where_it_is_on(tmp_path: Path) -> None:
    experiment, faster = tiny_experiment(tmp_path), tiny_experiment(tmp_path, "amp=true")
    before = experiment.model_dump(mode="json")
    assert (before["amp"], before["compile"]) == (False, False)
    for method in ("random", "learned:paper"):
        assert key_of(faster, method) != key_of(experiment, method)
    assert faster.key("source") != experiment.key("source")


def test_settings_of_policies_that_came_later_change_keys_only_where_they_are_used(tmp_path: Path) -> None:
    plain = tiny_experiment(tmp_path)
    as_it_was = {"redraw": False, "explore": "regions", "deep": True}
    for method in ("learned:paper", "learned-untrained:paper"):
        before = key_of(plain, method)
        same = [f"policies.paper.{name}={json.dumps(value)}" for name, value in as_it_was.items()]
        assert key_of(tiny_experiment(tmp_path, *same), method) == before
        for other in ("explore='rounds'", "deep=false"):
            assert key_of(tiny_experiment(tmp_path, f"policies.paper.{other}"), method) != before
    with pytest.raises(ValueError, match="set game = 'surrogate'"):
        tiny_experiment(tmp_path, "policies.paper.redraw=true")


def test_the_grid_of_an_image_has_the_experiment_s_cells(tmp_path: Path) -> None:
    grid = tiny_experiment(tmp_path, "cell_height=16", "cell_width=32").grid((48, 64))
    assert (grid.cells, grid.box(3).row, grid.box(3).col, grid.box(3).height, grid.box(3).width) == (6, 16, 32, 16, 32)
