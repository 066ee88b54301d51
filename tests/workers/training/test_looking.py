"""The cache of features: looked for once, kept on disk for others, bounded, and never in the way of the work."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.segmenter import build
from tests.models.eyes import some_segmenter
from tests.workers.conftest import Rectangles
from workers.datasets.on_device import stack_images
from workers.training import looking
from workers.training.feature_cache import FeatureCache, Features
from workers.training.looking import features, keep_features, seen


class Looking:
    """Counts how often it is looked; gives features of a thousand bytes that say which image they are of."""

    def __init__(self) -> None:
        self.times = 0

    def at(self, value: int) -> Callable[[], Features]:
        def look() -> Features:
            self.times += 1
            return np.full((5, 10, 10), value, np.float16)

        return look


def get(cache: FeatureCache, look: Looking, value: int) -> int:
    return int(cache.get("eye", f"{value:04}", look.at(value))[0, 0, 0])


@pytest.fixture
def look() -> Looking:
    return Looking()


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test keeps is forgotten after it."""
    monkeypatch.setattr(looking, "_cache", FeatureCache())


def test_an_image_is_looked_at_once_for_each_sight(look: Looking) -> None:
    cache = FeatureCache()
    assert [get(cache, look, 1), get(cache, look, 1)] == [1, 1]
    assert look.times == 1
    assert cache.get("another eye", "0001", look.at(2))[0, 0, 0] == 2
    assert look.times == 2


def test_another_process_reads_what_is_on_disk(tmp_path: Path, look: Looking) -> None:
    assert get(FeatureCache(tmp_path), look, 1) == 1
    again = FeatureCache(tmp_path).get("eye", "0001", look.at(9))
    assert (again == 1).all()
    assert again.dtype == np.float16
    assert again.shape == (5, 10, 10)
    assert look.times == 1
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")] == ["eye/00/0001.npy"]


@pytest.mark.parametrize("left", [0, 5, 60, 500])
def test_a_file_that_was_cut_off_is_computed_and_written_again(
    left: int, tmp_path: Path, look: Looking, caplog: pytest.LogCaptureFixture
) -> None:
    get(FeatureCache(tmp_path), look, 1)
    path = tmp_path / "eye/00/0001.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    assert get(FeatureCache(tmp_path), look, 1) == 1
    assert look.times == 2
    assert path.read_bytes() == whole
    assert "computed again" in caplog.text


def test_memory_is_bounded_and_the_least_recently_used_go_first(look: Looking) -> None:
    cache = FeatureCache(memory_bytes=2500)
    for value in (1, 2, 1, 3):  # 2 goes
        get(cache, look, value)
    assert look.times == 3
    get(cache, look, 1)
    assert look.times == 3
    get(cache, look, 2)
    assert look.times == 4


def test_the_disk_is_bounded_and_the_least_recently_used_go_first(tmp_path: Path, look: Looking) -> None:
    cache = FeatureCache(tmp_path, memory_bytes=1, disk_bytes=4800)  # four files of 1,128 bytes
    for value in range(4):
        get(cache, look, value)
        os.utime(tmp_path / f"eye/00/{value:04}.npy", (value, value))
    get(FeatureCache(tmp_path), look, 0)  # read by another process: no longer the oldest
    assert look.times == 4
    get(cache, look, 4)
    kept = sorted(int(path.stem) for path in tmp_path.rglob("*.npy"))
    assert kept == [0, 3, 4]  # 1 made room, and 2 the tenth that is kept free
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 0.9 * 4800


def test_processes_that_share_a_folder_share_its_bound(tmp_path: Path, look: Looking) -> None:
    both = [FeatureCache(tmp_path, memory_bytes=1, disk_bytes=20_000) for _ in range(2)]
    for value in range(40):
        get(both[value % 2], look, value)
        # Each may have written a twentieth of the bound, less than one file of 1,128 bytes, since it counted last.
        assert on_disk(tmp_path) <= 20_000
    kept = sorted(int(path.stem) for path in tmp_path.rglob("*.npy"))
    assert kept == list(range(40 - len(kept), 40))
    assert len(kept) >= 15


def test_what_others_write_is_not_counted_for_every_image(
    tmp_path: Path, look: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    make_room = FeatureCache._make_room

    def counted(cache: FeatureCache) -> int:
        counts.append(look.times)
        return make_room(cache)

    monkeypatch.setattr(FeatureCache, "_make_room", counted)
    cache = FeatureCache(tmp_path, memory_bytes=1, disk_bytes=100_000)
    for value in range(15):
        get(cache, look, value)
    assert counts == [1, 6, 11]  # five files are more than 5,000 bytes


def test_what_a_killed_process_left_is_removed_after_an_hour_and_counted_until_then(
    tmp_path: Path, look: Looking
) -> None:
    folder = tmp_path / "eye/00"
    folder.mkdir(parents=True)
    for name, written in ((".0007.npy.31", 99), (".0008.npy.32", 5000), ("notes.npy.txt", 0)):
        (folder / name).write_bytes(bytes(3000))
        os.utime(folder / name, (written, written))
    cache = FeatureCache(tmp_path, memory_bytes=1, disk_bytes=4800, clock=lambda: 3700.0)
    get(cache, look, 1)
    assert {path.name for path in folder.iterdir()} == {".0008.npy.32", "notes.npy.txt", "0001.npy"}
    assert cache.on_disk() == 3000 + 1128
    get(cache, look, 2)  # over the bound: what is under way is left alone
    assert (folder / ".0008.npy.32").exists()
    assert on_disk(tmp_path) - 3000 <= 0.9 * 4800


def on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_full_disk_costs_no_work(
    tmp_path: Path, look: Looking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    cache = FeatureCache(tmp_path)
    assert [get(cache, look, 1), get(cache, look, 1)] == [1, 1]
    assert look.times == 1  # it is still in memory
    assert "cannot be kept" in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]  # nor is half of it left


def test_a_folder_that_is_none_costs_no_work(tmp_path: Path, look: Looking) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert get(FeatureCache(tmp_path / "file"), look, 1) == 1


def test_a_folder_that_may_only_be_read_is_read_from(
    tmp_path: Path, look: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    get(FeatureCache(tmp_path), look, 1)

    def refuse(path: Path) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert get(FeatureCache(tmp_path), look, 1) == 1
    assert look.times == 1


def test_features_are_what_the_segmenter_sees_and_kept_where_the_process_is_told(tmp_path: Path) -> None:
    keep_features(FeatureCache(tmp_path))
    segmenter, source = some_segmenter(), Rectangles(2)
    both = seen(segmenter, source, [0, 1], "cpu")
    torch.testing.assert_close(both, segmenter.look(stack_images(source, [0, 1], "cpu")), rtol=0, atol=0.01)
    assert torch.equal(seen(segmenter, source, [1], "cpu"), both[1:])
    assert np.array_equal(features(segmenter, source, 0), both[0].numpy())
    assert len(list((tmp_path / segmenter.sight).rglob("*.npy"))) == 2


def test_images_of_one_content_are_looked_at_once_under_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = some_segmenter()
    first = features(segmenter, Rectangles(1), 0)
    monkeypatch.setattr(segmenter, "look", None)
    assert features(segmenter, Rectangles(2), 0) is first


def test_a_segmenter_that_is_not_frozen_sees_the_images() -> None:
    source = Rectangles(2)
    images = seen(build("fpn", classes=3, width=4), source, [1, 0], "cpu")
    assert images.dtype == torch.uint8
    assert np.array_equal(images[0].permute(1, 2, 0).numpy(), source.image(1))
