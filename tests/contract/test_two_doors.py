"""Each case of the corpus is taken or refused alike by an upload and by an import of a folder."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.corpus.cases import Case, Refused, Taken
from tests.corpus.doors import Doors, Kept
from tests.corpus.table import TABLE
from workers.datasets.base import DatasetError


def rgb(data: bytes) -> NDArray[np.float64]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(float)


def coloured(pixels: NDArray[Any]) -> NDArray[np.float64]:
    return (pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)).astype(float)


def squeezed(text: str) -> str:
    """Without what a terminal's width does to it."""
    return "".join(text.split())


@pytest.mark.parametrize("case", [pytest.param(each, id=each.title) for each in TABLE])
def test_what_comes_in_is_what_the_table_says_by_either_door(
    case: Case, doors: Doors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = doors.upload(case)
    if isinstance(case.outcome, Refused):
        assert isinstance(sent, tuple), "it was taken"
        status, code, message = sent
        assert (status in (413, 422), code) == (True, case.outcome.code), message
        assert case.outcome.sentence in message
        if case.outcome.folder is not None:
            with pytest.raises((DatasetError, ValueError)) as stopped:
                doors.import_(case, tmp_path)
            said = squeezed(capsys.readouterr().out + str(stopped.value))
            assert squeezed(case.outcome.folder or message.partition(": ")[2] or message) in said
        return
    assert isinstance(sent, list), sent
    require_as_said(case.outcome, sent, case)
    if case.outcome.in_folder:
        assert doors.import_(case, tmp_path) == sent
    else:
        with pytest.raises(DatasetError, match="no image"):
            doors.import_(case, tmp_path)


def require_as_said(outcome: Taken, kept: list[Kept], case: Case) -> None:
    assert [each.name for each in kept] == sorted(outcome.pixels)
    for each in kept:
        expected, found = coloured(outcome.pixels[each.name]), rgb(each.seen)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= outcome.within, (found, expected)
        assert outcome.reading.items() <= each.reading.items()
        label = outcome.labels.get(each.name)
        assert (each.label is None) == (label is None)
        if each.label is not None and label is not None:
            with Image.open(io.BytesIO(each.label)) as image:
                np.testing.assert_array_equal(np.asarray(image), label)


def test_the_table_has_each_case_once() -> None:
    assert len({case.title for case in TABLE}) == len(TABLE) >= 150
