"""Large images are classified in bands of rows: the same as in one piece, and never with many logits at a time."""

import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models import features, frozen
from models.evaluation import evaluate
from models.features import ImageDescription, describe, embeddings
from models.fit import IGNORE
from models.frozen import FrozenSegmenter
from models.tiles import BAND_NUMBERS
from tests.models.eyes import seeded, some_segmenter

SIZE, COMPONENTS = (100, 131), 8
STATISTICS = ("entropy_sum", "margin_mean", "bvsb_mean")
ROOT = Path(__file__).parents[2]


def seen_by(segmenter: FrozenSegmenter, count: int = 2) -> Tensor:
    """Random features of images of SIZE."""
    rows, cols = (-(-side // segmenter.stride) for side in SIZE)
    return torch.randn(count, COMPONENTS, rows, cols, generator=seeded(1)).half()


def boxes(count: int = 2) -> list[Tensor]:
    """Of each image a grid's cells, which bands cut through, a single pixel, and the whole image."""
    height, width = SIZE
    cells = [(row, col, 20, 30) for row in range(0, height - 19, 20) for col in range(0, width - 29, 30)]
    return [torch.tensor([*cells, (99, 130, 1, 1), (0, 0, height, width)][image:]) for image in range(count)]


def in_bands(monkeypatch: pytest.MonkeyPatch, segmenter: FrozenSegmenter, cells: int) -> None:
    """From now on a band is so many cells high."""
    monkeypatch.setattr(frozen, "BAND_NUMBERS", cells * segmenter.numbers_per_row(SIZE[1]))


@torch.no_grad()
@pytest.mark.parametrize("stride", [2, 4, 8])
@pytest.mark.parametrize("cells", [1, 2, 5, 12])
def test_logits_of_bands_are_those_of_the_whole_image(stride: int, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = some_segmenter(stride=stride, components=COMPONENTS)
    seen = seen_by(segmenter)
    whole = segmenter.classify(segmenter.encode(seen), SIZE)
    in_bands(monkeypatch, segmenter, cells)
    found, bands = torch.full_like(whole, torch.nan), 0
    for band in segmenter.bands(seen, SIZE):
        found[band.images, :, band.rows] = segmenter.band_logits(band)
        bands += 1
    assert bands == 2 * -(-seen.shape[2] // cells)
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_bands_hold_no_more_logits_than_planned_for_and_a_cell_above_and_below() -> None:
    segmenter = some_segmenter(components=COMPONENTS, classes=11)
    size = (3000, 4000)
    seen = torch.zeros(1, COMPONENTS, 375, 500, dtype=torch.float16)
    rows = []
    for band in segmenter.bands(seen, size):
        assert segmenter.band_logits(band).numel() <= BAND_NUMBERS
        assert (band.features_BFhw.shape[2] - 2) * segmenter.numbers_per_row(4000) <= BAND_NUMBERS
        rows += list(range(band.rows.start, band.rows.stop))
    assert rows == list(range(3000))


@pytest.mark.parametrize("cells", [1, 5])
def test_confusions_are_those_of_whole_images(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = some_segmenter(components=COMPONENTS)
    labels = torch.randint(0, 3, (2, *SIZE), generator=seeded(2)).to(torch.uint8)
    labels[0, :30] = IGNORE
    whole = evaluate(segmenter, [(seen_by(segmenter), labels)], 3)
    in_bands(monkeypatch, segmenter, cells)
    assert whole.sum((1, 2)).tolist() == [70 * 131, 100 * 131]
    # Rounding may turn a pixel whose two best classes are as good as equal.
    assert int((evaluate(segmenter, [(seen_by(segmenter), labels)], 3) - whole).abs().sum()) <= 4


def described(segmenter: FrozenSegmenter, vectors: Collection[str] = ()) -> list[ImageDescription]:
    return describe(segmenter, seen_by(segmenter), boxes(), size=SIZE, statistics=STATISTICS, vectors=vectors)


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("cells", [1, 5])
def test_descriptions_are_those_of_whole_images(stride: int, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = some_segmenter(stride=stride, components=COMPONENTS)
    vectors = ("class_mass", "embedding")
    expected = described(segmenter, vectors)
    in_bands(monkeypatch, segmenter, cells)
    for one, other in zip(described(segmenter, vectors), expected, strict=True):
        assert float((one.classes_HW != other.classes_HW).float().mean()) < 1e-3
        torch.testing.assert_close(one.rows.class_part_RC, other.rows.class_part_RC, rtol=0, atol=2e-3)
        torch.testing.assert_close(one.rows.uncertainty_RU, other.rows.uncertainty_RU, rtol=1e-4, atol=1e-4)
        for name in STATISTICS:
            torch.testing.assert_close(one.rows.statistics[name], other.rows.statistics[name], rtol=1e-4, atol=1e-4)
        for name in vectors:
            torch.testing.assert_close(one.rows.vectors[name], other.rows.vectors[name], rtol=1e-4, atol=1e-4)


def test_embeddings_alone_are_those_of_a_description(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = some_segmenter(components=COMPONENTS)
    in_bands(monkeypatch, segmenter, 3)
    expected = torch.cat([each.rows.vectors["embedding"] for each in described(segmenter, {"embedding"})])
    assert torch.equal(embeddings(segmenter, seen_by(segmenter), boxes(), size=SIZE), expected)


def test_bald_of_bands_is_about_that_of_whole_images_however_many_are_taken_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segmenter = some_segmenter(components=COMPONENTS, dropout=0.5)

    def bald(at_once: int) -> Tensor:
        monkeypatch.setattr(features, "_images_at_once", lambda size: at_once)
        asked = describe(
            segmenter,
            seen_by(segmenter),
            boxes(),
            size=SIZE,
            statistics=("bald_sum",),
            generator=seeded(3),
        )
        return torch.cat([each.rows.statistics["bald_sum"] for each in asked])

    whole = bald(2)
    in_bands(monkeypatch, segmenter, 4)
    torch.testing.assert_close(bald(1), bald(2), rtol=1e-4, atol=1e-3)
    assert float(bald(2).sum() / whole.sum()) == pytest.approx(1, abs=0.1)


PEAK = """
import re, sys, torch
from models.features import describe
from models.evaluation import evaluate
from tests.models.eyes import some_images, some_segmenter
torch.set_num_threads(1)
segmenter = some_segmenter(stride=int(sys.argv[2]), magnification=float(sys.argv[3]), components=96, classes=11)
with torch.no_grad():
    segmenter(some_images(64, 64))
size, grid = (3000, 4000), [(row, col, 90, 80) for row in range(0, 2911, 90) for col in range(0, 3921, 80)]
# Not resource.getrusage: what a process begins with there is the peak of the one that started it.
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024
if sys.argv[1] == "look":
    images = some_images(64, 64).repeat(1, 1, 47, 63)[..., :3000, :4000].contiguous()
    before = peak()
    segmenter.look(images)
else:
    seen = torch.zeros(1, 96, -(-3000 // segmenter.stride), -(-4000 // segmenter.stride), dtype=torch.float16)
    before = peak()
    if sys.argv[1] == "evaluate":
        evaluate(segmenter, [(seen, torch.zeros(1, *size, dtype=torch.uint8))], 11)
    else:
        asked = ("entropy_sum", "margin_mean", "bvsb_mean", "bald_sum")
        described = describe(
            segmenter, seen, [torch.tensor(grid)], size=size, statistics=asked, vectors=("class_mass", "embedding"),
            generator=torch.Generator(),
        )
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from Linux's /proc")
@pytest.mark.parametrize("what", ["look", "evaluate", "describe"])
@pytest.mark.parametrize(("stride", "magnification"), [(8, 1.5), (8, 2.0), (4, 1.5)])
def test_an_image_of_twelve_million_pixels_takes_less_than_a_gibibyte(
    what: str, stride: int, magnification: float
) -> None:
    command = [sys.executable, "-c", PEAK, what, str(stride), str(magnification)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) < 1024
