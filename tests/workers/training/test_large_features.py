"""Features of large images: in files, mapped and never held, and the same numbers as those of any image."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.eyes import some_segmenter
from tests.workers.conftest import Rectangles
from workers.datasets.on_device import stack_images
from workers.training import looking
from workers.training.feature_cache import FeatureCache
from workers.training.feature_files import mapped, write_parts
from workers.training.looking import features, keep_features, seen

SIZE = (1490, 1501)
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def few_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any image of SIZE is a large one, and what a test keeps is forgotten after it."""
    monkeypatch.setattr(looking, "HELD_NUMBERS", 1000)
    monkeypatch.setattr(looking, "_cache", FeatureCache())


def test_they_are_those_of_a_look_at_the_whole_and_read_again_from_the_file(tmp_path: Path) -> None:
    segmenter, source = some_segmenter(), Rectangles(1, size=SIZE)
    expected = segmenter.look(stack_images(source, [0], "cpu"))
    keep_features(FeatureCache(tmp_path))
    assert torch.equal(seen(segmenter, source, [0], "cpu"), expected)
    (path,) = tmp_path.rglob("*.npy")
    assert np.array_equal(np.load(path), expected[0].numpy())
    segmenter.look_by_tiles = None  # type: ignore[method-assign, assignment]
    assert np.array_equal(features(segmenter, source, 0), expected[0].numpy())


def test_without_a_folder_they_are_held() -> None:
    segmenter, source = some_segmenter(), Rectangles(1, size=SIZE)
    assert torch.equal(seen(segmenter, source, [0], "cpu"), segmenter.look(stack_images(source, [0], "cpu")))


def test_a_full_disk_costs_no_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    keep_features(FeatureCache(tmp_path / "file"))
    segmenter, source = some_segmenter(), Rectangles(1, size=SIZE)
    assert torch.equal(seen(segmenter, source, [0], "cpu"), segmenter.look(stack_images(source, [0], "cpu")))
    assert "cannot be kept" in caplog.text


@pytest.mark.parametrize("left", [0, 5, 90, 200])
def test_a_file_that_was_cut_off_or_is_of_another_shape_is_none(left: int, tmp_path: Path) -> None:
    part = (slice(0, 4), slice(0, 6)), torch.ones(3, 4, 6, dtype=torch.float16)
    with (tmp_path / "a.npy").open("wb") as file:
        size = write_parts(file, (3, 4, 6), [part])
    assert (tmp_path / "a.npy").stat().st_size == size
    assert mapped(tmp_path / "a.npy", (3, 4, 6)) is not None
    assert mapped(tmp_path / "a.npy", (3, 6, 4)) is None
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:left])
    assert mapped(tmp_path / "a.npy", (3, 4, 6)) is None


HELD = """
import re, sys
import numpy as np
import torch
from pathlib import Path
from tests.models.eyes import some_segmenter
from workers.training.feature_files import mapped
torch.set_num_threads(1)
segmenter, path, shape = some_segmenter(components=64), Path(sys.argv[1]), (64, 700, 700)
np.save(path, np.zeros(shape, np.float16))
seen = mapped(path, shape)
resident = lambda: int(re.search(r"RssFile:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
segmenter.eval()
torch.set_grad_enabled(False)
list(segmenter.bands(torch.zeros(1, 64, 40, 700, dtype=torch.float16), (320, 5600)))  # loads what the work needs
before, most = resident(), 0
for band in segmenter.bands(seen[None], (5600, 5600)):
    most = max(most, resident() - before)
print(most, resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="what is held is read from Linux's /proc")
def test_bands_hold_no_more_of_a_file_than_they_need(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", HELD, str(tmp_path / "seen.npy")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    most, left = map(int, done.stdout.split())
    whole = 2 * 64 * 700 * 700
    assert most < whole / 2, f"{most:,} of {whole:,} bytes"
    assert left < whole / 4
