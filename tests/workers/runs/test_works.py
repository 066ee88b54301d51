"""What a run consists of: names that are understood, and works in the order of what they need."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.domain.classes import CAMVID
from service.domain.methods import BASELINES, REFERENCES, Method
from tests.workers.tiny import tiny_experiment
from workers.experiments.presets import read_preset
from workers.experiments.settings import Experiment
from workers.runs.works import (
    Run,
    Work,
    away_from,
    clicks_work,
    full_work,
    headroom_works,
    joined,
    key_of,
    methods_of,
    policies_of,
    policy_work,
    policy_works,
    protocols_of,
    source_work,
    start_of,
    theta0_work,
    trajectory_work,
    trajectory_works,
    whole_run,
)

RANDOM = Method(name="random")


def texts_of(text: str, experiment: Experiment) -> list[str]:
    return [str(method) for method in methods_of(text, experiment, {})]


def test_all_methods_are_the_baselines_each_policy_with_its_control_and_the_references(tmp_path: Path) -> None:
    found = texts_of("all", tiny_experiment(tmp_path, "policies.other.episodes=3"))
    main = ("paper", "regionwise", "carried", "blend", "turns", "turns-carried", "other")
    learned = {f"{kind}:{name}" for kind in ("learned", "learned-untrained") for name in main}
    # What comes trained has no control of its own, and what is played to make it is not compared.
    assert set(found) == {*BASELINES} | learned | {"learned:shipped"} | {*REFERENCES}
    assert len(found) == len(set(found))


def test_ablations_are_the_policies_of_groups_other_than_main(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path, "policies.other.group=ablation:mine")
    found = texts_of("ablations", experiment)
    assert "learned:other" in found
    assert "learned:no-twin" in found
    assert not {"learned:paper", "learned:regionwise", "random"} & set(found)


def test_trained_policies_are_waited_for_and_untrained_ones_are_not(tmp_path: Path) -> None:
    works = trajectory_works(
        tiny_experiment(tmp_path), [Method.learned("regionwise"), Method.untrained("regionwise")], ["per-pool"], [0]
    )
    after = by_title(works)
    assert after["policy regionwise"] == ("theta_pre",)
    assert after["learned:regionwise, seed 0"] == ("theta_0", "clicks", "policy regionwise")
    assert after["learned-untrained:regionwise, seed 0"] == ("theta_0", "clicks")


def test_learned_alone_is_the_papers_policy(tmp_path: Path) -> None:
    found = texts_of("learned, entropy,learned:paper,learned-untrained", tiny_experiment(tmp_path))
    assert found == ["learned:paper", "entropy", "learned-untrained:paper"]


@pytest.mark.parametrize("wrong", ["clever", "learned:none", ""])
def test_unknown_methods_are_told_with_those_there_are(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"there are random, .*learned:paper"):
        methods_of(wrong, tiny_experiment(tmp_path), {})


def test_unknown_policies_and_protocols_are_told_with_those_there_are(tmp_path: Path) -> None:
    assert policies_of("paper,carried", tiny_experiment(tmp_path), {}) == ["paper", "carried"]
    with pytest.raises(ValueError, match="there are paper"):
        policies_of("paper,none", tiny_experiment(tmp_path), {})
    assert protocols_of("global,per-pool,global") == ["global", "per-pool"]
    with pytest.raises(ValueError, match="there are per-pool, global"):
        protocols_of("per-pool,both")


def test_policies_that_play_on_camvids_classes_are_left_out_of_all_where_there_are_others() -> None:
    experiment = read_preset("folder", "folder")
    two = replace(CAMVID, classes=CAMVID.classes[:2])
    assert away_from(experiment, CAMVID) == {}
    away = away_from(experiment, two)
    assert {"carried", "turns-carried"} <= set(away)
    assert not {"paper", "regionwise", "blend", "turns", "shipped"} & set(away)
    works = trajectory_works(experiment, methods_of("all", experiment, away), ["per-pool"], [0])
    titles = {work.title for work in works}
    assert {"policy blend", "policy turns", "policy shipped", "random, seed 0"} <= titles
    assert not [title for title in titles if "carried" in title]
    assert "carried" in policies_of(None, experiment, {})
    assert not {"carried", "turns-carried"} & set(policies_of(None, experiment, away))
    assert methods_of("learned-untrained:carried", experiment, away) == [
        Method.untrained("carried")
    ]  # it is not trained
    with pytest.raises(ValueError, match=r"The policy carried cannot be trained here\. .* has CamVid's 11 classes"):
        methods_of("random,learned:carried", experiment, away)
    with pytest.raises(ValueError, match="The policy carried cannot be trained here"):
        policies_of("carried", experiment, away)


def test_where_f_is_trained_as_a_whole_policies_that_play_elsewhere_are_away(tmp_path: Path) -> None:
    away = away_from(tiny_experiment(tmp_path), CAMVID)
    assert "here the segmenter is trained as a whole" in away["carried"]
    assert "paper" not in away


def by_title(works: list[Work]) -> dict[str, tuple[str, ...]]:
    return {work.title: work.after for work in works}


def test_trajectories_wait_for_their_start_the_clicks_and_their_policy(tmp_path: Path) -> None:
    methods = [Method.learned("paper"), RANDOM]
    works = trajectory_works(tiny_experiment(tmp_path), methods, ["per-pool", "global"], [0, 1])
    after = by_title(works)
    assert after["theta_0"] == ("theta_pre",)
    assert after["policy paper"] == ("theta_pre",)
    assert after["random, seed 0"] == after["random (global), seed 1"] == ("theta_0", "clicks")
    assert after["learned:paper, seed 1"] == ("theta_0", "clicks", "policy paper")
    assert len(works) == 4 + 2 * 2 * 2


def test_without_the_labels_of_d_t_trajectories_start_from_the_source_domain(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path, "theta0=source")
    after = by_title(trajectory_works(experiment, [RANDOM], ["per-pool"], [0]))
    assert "theta_0" not in after
    assert after["random, seed 0"] == ("theta_pre", "clicks")


def test_the_headroom_looks_at_the_spread_of_random_where_that_is_played(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path)
    played = trajectory_works(experiment, [RANDOM, Method(name="entropy")], ["per-pool"], [0])
    works = joined(played, policy_works(["paper"]), headroom_works(experiment, 2, played))
    assert by_title(works)["headroom"] == (
        "clicks", "full supervision, seed 0", "full supervision, seed 1", "random, seed 0"
    )  # fmt: skip
    assert_each_stands_once_after_what_it_waits_for(works)


def assert_each_stands_once_after_what_it_waits_for(works: list[Work]) -> None:
    titles = [work.title for work in works]
    assert len(titles) == len(set(titles))
    for place, work in enumerate(works):
        assert set(work.after) <= set(titles[:place])


def test_a_whole_run_begins_with_policies_and_full_supervision_and_tells_the_headroom_early(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path)
    played = trajectory_works(experiment, [RANDOM, Method.learned("regionwise")], ["per-pool"], [0, 1])
    works = whole_run(experiment, played, 1)
    assert_each_stands_once_after_what_it_waits_for(works)
    assert [work.title for work in works] == [
        "theta_pre", "theta_0", "clicks", "policy regionwise", "full supervision, seed 0",
        "random, seed 0", "learned:regionwise, seed 0", "random, seed 1", "headroom", "learned:regionwise, seed 1",
    ]  # fmt: skip


def test_works_keep_the_order_in_which_they_are_given_where_they_need_not_wait() -> None:
    works = [Work(stage="full", seed=seed, after=after) for seed, after in ((3, ()), (1, ("theta_0",)), (2, ()))]
    # theta_0 waits for theta_pre, which is not among them: that it is missing is for those to say who do them.
    found = joined(works, [theta0_work()], works)
    assert [work.title for work in found] == [
        "full supervision, seed 3", "full supervision, seed 2", "theta_0", "full supervision, seed 1"
    ]  # fmt: skip


def test_works_that_wait_for_each_other_are_refused() -> None:
    one, other = (Work(stage="full", seed=s, after=(f"full supervision, seed {1 - s}",)) for s in (0, 1))
    with pytest.raises(ValueError, match="wait for each other: full supervision, seed 0, full supervision, seed 1"):
        joined([one], [source_work(), other])


def test_works_name_what_they_wait_for(tmp_path: Path) -> None:
    known, unknown = tiny_experiment(tmp_path), tiny_experiment(tmp_path, "theta0=source")
    assert start_of(known) == theta0_work()
    assert start_of(unknown) == source_work()
    assert full_work(unknown, 2).after == (source_work().title,)
    assert policy_work("paper").after == (source_work().title,)
    own = trajectory_work(known, Method.untrained("paper"), "global", 0)
    assert own.after == (theta0_work().title, clicks_work().title)
    assert own.method == Method.untrained("paper")


def test_a_run_and_a_work_go_through_json_unchanged(tmp_path: Path) -> None:
    run = Run(experiment=tiny_experiment(tmp_path), root=tmp_path, out=tmp_path / "out", budgets=(8, 12), group="x")
    assert Run.from_json(run.to_json()) == run
    bounded = replace(run, feature_bytes=1 << 30)
    assert Run.from_json(bounded.to_json()) == bounded
    earlier = {name: value for name, value in bounded.to_json().items() if name != "feature_bytes"}
    assert Run.from_json(earlier) == run
    work = Work(stage="trajectory", name="learned:paper", protocol="global", seed=3)
    assert Work(**work.to_json()) == work
    assert work.slug == "learned-paper-global-seed-3"
    assert key_of(bounded, work) == key_of(run, work) != key_of(replace(run, group="y"), work)
