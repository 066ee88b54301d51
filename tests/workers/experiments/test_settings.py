"""Experiments' settings: presets, overrides, and keys that change with what an outcome depends on and nothing else."""

from pathlib import Path

import pytest

from service.domain.costs import CLICKS
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


def test_a_cost_changes_a_trajectory_s_key_alone_and_only_where_it_is_not_pixels(tmp_path: Path) -> None:
    divided = tiny_experiment(tmp_path, "levels=2")
    pixels, clicks = (tiny_experiment(tmp_path, "levels=2", f"cost='{cost}'") for cost in ("pixels", "clicks"))
    for method in ("random", "learned:paper"):
        assert key_of(pixels, method) == key_of(divided, method) != key_of(clicks, method)
    assert clicks.key("theta0") == divided.key("theta0")
    assert clicks.policy_key("paper", 0) == divided.policy_key("paper", 0)
    of_rounds = (each.loop(11, Method.parse("entropy")).cost for each in (pixels, clicks))
    assert [*of_rounds, clicks.loop(11).cost] == [None, CLICKS, None]
    of_one_size = (tiny_experiment(tmp_path, *changes) for changes in ((), ("cost='pixels'",), ("cost='clicks'",)))
    keys = [key_of(each, "entropy") for each in of_one_size]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("policy", "as_it_is", "otherwise"),
    [
        ("paper", "explore='regions'", "explore='rounds'"),
        ("paper", "twin=false", "n_step=3"),
        ("regionwise", "explore='rounds'", "explore='regions'"),
        ("regionwise", "refit_steps=40", "refit_steps=60"),
        ("regionwise", "deep=true", "deep=false"),
        ("blend", "covers=false", "covers=true"),
    ],
)
def test_settings_of_policies_change_keys_only_where_they_are_used(
    tmp_path: Path, policy: str, as_it_is: str, otherwise: str
) -> None:
    key = tiny_experiment(tmp_path).policy_key(policy, 0)
    assert tiny_experiment(tmp_path, f"policies.{policy}.{as_it_is}").policy_key(policy, 0) == key
    assert tiny_experiment(tmp_path, f"policies.{policy}.{otherwise}").policy_key(policy, 0) != key


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ('sources=["streets:1"]', "The paper's network is bound to its own state set: set sources = \\['own'\\]"),
        (
            "deep=false",
            "deep is not used by the paper's network: leave it at its default, or set network = 'regionwise'",
        ),
        ("width=8", "width is not used by the paper's network"),
        ("covers=true", "covers is not used by the network paper"),
        ("capacity=3", "capacity is at least batch, 4"),
        ('sources=["own", "own"]', "each named once"),
        ("sources=[]", "plays on one source or several: "),
        ('sources=["planets:1"]', 'or on "shapes:SEED", not on'),
        ("prioritised_beta=0.9", "prioritised_beta is not used by uniform replay"),
    ],
)
def test_a_setting_that_nothing_would_use_is_refused(tmp_path: Path, setting: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        tiny_experiment(tmp_path, f"policies.paper.{setting}")


@pytest.mark.parametrize(
    "setting",
    ["n_step=2", "prioritised_alpha=0.5", "feature_noise=0.1", "explore='rounds'", "standardise=true", "twin=true"],
)
def test_the_paper_s_policy_can_be_trained_as_ours_is(tmp_path: Path, setting: str) -> None:
    plain, changed = tiny_experiment(tmp_path), tiny_experiment(tmp_path, f"policies.paper.{setting}")
    assert changed.policy_key("paper", 0) != plain.policy_key("paper", 0)


def test_the_grid_of_an_image_has_the_experiment_s_cells(tmp_path: Path) -> None:
    grid = tiny_experiment(tmp_path, "cell_height=16", "cell_width=32").grid((48, 64))
    assert (grid.cells.size, grid.box(3).row, grid.box(3).col, grid.box(3).height, grid.box(3).width) == (
        6,
        16,
        32,
        16,
        32,
    )
