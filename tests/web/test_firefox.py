"""The pages in the other browser: somebody logs in, paints a stroke and submits, and the pixels are what was painted."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.web.conftest import Campaign
from tests.web.firefox import Firefox
from tests.web.screen import ROOM
from tests.web.test_painting import blank, labels_of

FIREFOX = os.environ.get("FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(FIREFOX is None, reason="There is no Firefox: install it, or name it in FIREFOX."),
]
BRUSH = """localStorage.setItem("regionwise.brush", '{"shape": "square", "size": 9}') ?? true"""


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Firefox]:
    assert FIREFOX
    browser = Firefox(FIREFOX, tmp_path)
    yield browser
    browser.close()


def test_what_is_painted_in_firefox_is_stored(begin: Callable[..., Campaign], firefox: Firefox) -> None:
    campaign = begin(regions=1)
    (region,) = campaign.regions
    firefox.goto(f"{campaign.url}/app/")
    firefox.value(BRUSH)
    firefox.goto(f"{campaign.url}/app/#token={campaign.make.annotator()}/projects/{campaign.project.id}/annotate")
    firefox.wait_for('document.querySelector(".about") !== null')
    left, top, width, height = firefox.value(
        '(({ left, top, width, height }) => [left, top, width, height])(document.querySelector("canvas").getBoundingClientRect())'
    )
    scale = ROOM * min(width / region.width, height / region.height)
    x, y = left + (width - scale * region.width) / 2, top + (height - scale * region.height) / 2
    firefox.press("b", "4")  # Road
    firefox.drag([(x + scale * col, y + scale * row) for col, row in ((20.5, 30.5), (60.5, 30.5), (60.5, 70.5))])
    firefox.press("Control+Enter")
    firefox.wait_for('document.querySelector(".done summary")?.textContent.includes("1 sent in this visit")')
    expected = blank(region)
    expected[26:35, 16:65] = 3
    expected[26:75, 56:65] = 3
    (stored,) = labels_of(campaign, region)
    np.testing.assert_array_equal(stored, expected)
