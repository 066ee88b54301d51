"""Means over boxes and the features of a box, against a loop over pixels and centres written out."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.pooling import BoxMeans, feature_boxes


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_means_over_any_boxes_are_those_of_slicing_whether_maps_come_whole_or_in_bands(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30))
    map_ = torch.rand(3, height, width, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    boxes = []
    for _ in range(data.draw(st.integers(0, 6))):
        box = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
        boxes.append((data.draw(st.integers(0, height - box[0])), data.draw(st.integers(0, width - box[1])), *box))
    expected = [map_[:, top : top + high, left : left + wide].mean((1, 2)) for top, left, high, wide in boxes]
    means, cut = BoxMeans([torch.tensor(boxes, dtype=torch.int64).view(-1, 4)]), data.draw(st.integers(0, height - 1))
    for top, bottom in ((0, cut), (cut, height)):  # in two bands; the first may be empty
        if bottom > top:
            means.add(slice(0, 1), top, map_[None, :, top:bottom])
    torch.testing.assert_close(means.means(), torch.stack(expected) if expected else torch.zeros(0, 3))


def test_a_box_has_the_features_whose_centres_lie_within_and_at_least_one() -> None:
    for stride in (1, 2, 4, 8, 32):
        for start in range(40):
            for size in range(1, 40):
                centres = [i for i in range(80) if start <= (i + 0.5) * stride < start + size]
                expected = centres or [int((start + size / 2) / stride)]
                row, col, height, width = feature_boxes(torch.tensor([[start, 0, size, 1]]), stride)[0].tolist()
                assert list(range(row, row + height)) == expected
                assert (col, width) == (0, 1)
