"""Run folders are read as they are, and what is broken is named."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.workers.report.fake import headroom, trajectory, write_run
from workers.report.data.reading import read_runs


def test_runs_of_one_data_set_and_preset_are_one_study(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", [trajectory("entropy", 0, {100: 0.2})], headroom=headroom())
    second = write_run(tmp_path / "b", [trajectory("entropy", 1, {100: 0.3})])
    other = write_run(tmp_path / "c", [trajectory("entropy", 0, {100: 0.3}, preset="paper-camvid")])
    studies = read_runs([first, second, other, first])
    assert [(study.preset, len(study.trajectories)) for study in studies] == [("lite-camvid", 2), ("paper-camvid", 1)]
    assert studies[1].headroom is None


def test_headroom_is_averaged_over_seeds_and_keeps_absent_classes(tmp_path: Path) -> None:
    (study,) = read_runs([write_run(tmp_path / "a", [], headroom=headroom())])
    found = study.headroom
    assert found is not None
    assert found.full_iou_C == pytest.approx((0.6, 0.6, 0.6, 0.5, 0.4))
    assert found.theta_0_iou_C == (0.3, 0.3, 0.3, 0.3, None)
    assert found.full == pytest.approx(0.56)
    assert found.theta_0 == pytest.approx(0.30)
    assert (found.extra("regions"), found.extra("clicks")) == (720, 15_120)


@pytest.mark.parametrize(("std", "informative"), [(0.01, True), (0.0521, False), (None, None)])
def test_informative_is_five_std_of_headroom_whatever_the_file_says(
    tmp_path: Path, std: float | None, informative: bool | None
) -> None:
    # 0.56 - 0.30 = 0.26 is 5 x 0.052.
    (study,) = read_runs([write_run(tmp_path / "a", [], headroom=headroom(std=std, informative=True))])
    assert study.headroom is not None
    assert study.headroom.informative is informative


def test_full_supervision_that_brings_nothing_is_uninformative_however_little_seeds_spread(tmp_path: Path) -> None:
    same = {"miou": [0.3, 0.3], "iou_per_class": [[0.3] * 5] * 2}
    told = headroom(std=0.0, theta_0=same, full={**headroom()["full"], **same})
    (study,) = read_runs([write_run(tmp_path / "a", [], headroom=told)])
    assert study.headroom is not None
    assert study.headroom.informative is False


def test_budgets_come_in_order_of_size(tmp_path: Path) -> None:
    (study,) = read_runs([write_run(tmp_path / "a", [trajectory("entropy", 0, {960: 0.3, 1200: 0.4, 240: 0.2})])])
    assert list(study.trajectories[0].budgets) == [240, 960, 1200]


def test_settings_are_flat(tmp_path: Path) -> None:
    (study,) = read_runs([write_run(tmp_path / "a", [trajectory("entropy", 0, {100: 0.2})])])
    assert study.trajectories[0].settings["policy.episodes"] == 10


def test_two_trajectories_under_one_name_are_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", [trajectory("entropy", 0, {100: 0.2}), trajectory("entropy", 0, {100: 0.3})])
    with pytest.raises(ValueError, match=r"0\.json and .*1\.json are both entropy, seed 0: keep one"):
        read_runs([run])


def test_variants_of_an_ablation_are_told_apart_by_their_settings(tmp_path: Path) -> None:
    variants = [
        trajectory("entropy", 0, {100: 0.2}, group="ablation:k", experiment={"batch_size": size}) for size in (12, 48)
    ]
    (study,) = read_runs([write_run(tmp_path / "a", variants)])
    assert len(study.trajectories) == 2


def test_runs_that_differ_in_headroom_are_refused(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, [], headroom=headroom(std=std)) for name, std in (("a", 0.01), ("b", 0.02))]
    with pytest.raises(ValueError, match=r"differ in headroom\.json"):
        read_runs(runs)


def test_runs_of_one_name_on_different_images_are_refused(tmp_path: Path) -> None:
    def run(name: str, seed: int, preset: str = "folder", **files: dict[str, str]) -> Path:
        return write_run(
            tmp_path / name, [trajectory("entropy", seed, {100: 0.2}, dataset="folder", preset=preset)], **files
        )

    nuclei, cracks = {"data": "0123"}, {"data": "4567"}
    first = run("a", 0, data=nuclei)
    of_no_file = {"data": hashlib.sha256().hexdigest()}
    alike = [run("b", 1, data=nuclei), run("c", 2), run("d", 3, "cracks", data=cracks), run("e", 4, data=of_no_file)]
    assert len(read_runs([first, *alike])) == 2
    with pytest.raises(ValueError, match=r"/a and .*/f are both of folder folder, and were played on different images"):
        read_runs([first, run("f", 5, data=cracks)])
    with pytest.raises(ValueError, match=r"data\.json is not as the simulation writes it"):
        read_runs([run("g", 6, data={})])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no run folder .*nowhere"):
        read_runs([tmp_path / "nowhere"])


def test_a_folder_with_nothing_measured_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run the simulation"):
        read_runs([write_run(tmp_path / "a", [])])


@pytest.mark.parametrize("content", ["{", "[]", '{"dataset": "camvid"}'])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    run = write_run(tmp_path / "a", [])
    (run / "trajectories" / "bad.json").write_text(content)
    with pytest.raises(ValueError, match=r"bad\.json"):
        read_runs([run])


def test_a_surrogate_without_a_data_set_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", [])
    (run / "surrogate.json").write_text(json.dumps({"game": "replay", "points": []}))
    with pytest.raises(ValueError, match="data set is not known"):
        read_runs([run])
