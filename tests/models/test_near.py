"""Regions encoded from the cells around them alone: as from the whole image, wherever they lie, and with less work."""

import pytest
import torch
from torch import Tensor

from models.features import embeddings
from models.frozen import FrozenSegmenter
from models.head import REACH
from models.near import means_in_windows
from models.pooling import feature_boxes
from tests.models.eyes import seeded, some_segmenter

ROWS, COLS, STRIDE = 40, 50, 8
SIZE = (ROWS * STRIDE - 3, COLS * STRIDE)


def seen(count: int) -> Tensor:
    return torch.randn(count, 8, ROWS, COLS, generator=seeded(count)).half()


def whole(segmenter: FrozenSegmenter, seen_BFhw: Tensor, boxes: list[Tensor]) -> Tensor:
    """Means over all of each image's channels, box by box."""
    hidden = segmenter.encode(seen_BFhw)
    return torch.stack(
        [
            hidden[image, :, row : row + height, col : col + width].mean((1, 2))
            for image, of_image in enumerate(boxes)
            for row, col, height, width in of_image.tolist()
        ]
    )


def corner_by_corner(height: int, width: int) -> list[Tensor]:
    """An image for each: in the corners, on the edges, as far from them as the head sees, and in the middle."""
    rows, cols = (
        (0, 1, REACH, side // 2, whole - REACH - side, whole - side) for side, whole in ((height, ROWS), (width, COLS))
    )
    return [torch.tensor([(row, col, height, width)]) for row in rows for col in cols]


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 3), (11, 10)])
def test_wherever_a_box_lies_its_mean_is_that_of_the_whole_images_channels(height: int, width: int) -> None:
    segmenter, boxes = some_segmenter(), corner_by_corner(height, width)
    features = seen(len(boxes))
    found = means_in_windows(segmenter, features, boxes)
    assert list(found) == list(range(len(boxes)))
    torch.testing.assert_close(torch.cat(list(found.values())), whole(segmenter, features, boxes), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_an_image_is_left_out_where_its_windows_have_as_many_cells_as_it() -> None:
    segmenter = some_segmenter()
    everywhere = torch.tensor([(row, col, 10, 10) for row in range(0, ROWS, 10) for col in range(0, COLS, 10)])
    nothing = torch.zeros(0, 4, dtype=torch.int64)
    found = means_in_windows(segmenter, seen(3), [everywhere, everywhere[:2], nothing])
    assert {image: tuple(means.shape) for image, means in found.items()} == {1: (2, 16), 2: (0, 16)}


@torch.no_grad()
def test_embeddings_stay_in_order_whichever_way_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter, features = some_segmenter(), seen(5)
    cells = torch.tensor([(row, col, 80, 80) for row in range(0, 240, 80) for col in range(0, 400, 80)])
    boxes = [cells, cells[:1], cells, cells, cells[5:7]]
    expected = whole(segmenter, features, [feature_boxes(of_image, STRIDE) for of_image in boxes])
    encoded: list[int] = []
    encode = segmenter.encode

    def counting(some: Tensor) -> Tensor:
        encoded.append(some.shape[0] * some.shape[2] * some.shape[3])
        return encode(some)

    monkeypatch.setattr(segmenter, "encode", counting)
    torch.testing.assert_close(embeddings(segmenter, features, boxes, size=SIZE), expected, rtol=1e-5, atol=1e-5)
    assert sum(encoded) <= 3 * ROWS * COLS + 3 * (10 + 2 * REACH) ** 2


@torch.no_grad()
def test_a_box_is_described_alike_beside_any_others() -> None:
    segmenter, features = some_segmenter(), seen(3)
    box = torch.tensor([(5, 9, 11, 10)])
    alone = means_in_windows(segmenter, features[:1], [box])[0]
    beside = means_in_windows(segmenter, features, [torch.cat([box + 3, box]), box, box - 2])[0][1:]
    torch.testing.assert_close(beside, alone, rtol=1e-6, atol=1e-6)
