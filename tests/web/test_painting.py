"""Painting regions in a browser, against a server that keeps what arrives."""

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Picture
from playwright.sync_api import expect
from sqlalchemy import select

from service.domain.masks import decode_label_png
from service.tables import Label, Region
from tests.maker import Maker
from tests.web.arriving import arrived
from tests.web.conftest import Campaign
from tests.web.screen import Screen

pytestmark = pytest.mark.browser
NONE = 11
Begin = Callable[..., Campaign]
Enter = Callable[[Campaign], Screen]


def labels_of(campaign: Campaign, region: Region, *, at_least: int = 1) -> list[npt.NDArray[np.uint8]]:
    """The label maps of a region that the service has, oldest first, once there are so many."""
    chosen = select(Label.mask).where(Label.region_id == region.id).order_by(Label.version)
    found = arrived(campaign.make, chosen, at_least=at_least)
    return [decode_label_png(each, height=region.height, width=region.width) for each in found]


def blank(region: Region) -> npt.NDArray[np.uint8]:
    return np.full((region.height, region.width), NONE, dtype=np.uint8)


def test_what_the_mouse_paints_is_stored_pixel_by_pixel(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.keys("b", "4")  # Road
    screen.square_brush(9)
    screen.drag((20.5, 30.5), (60.5, 30.5), (60.5, 70.5))
    screen.submit()
    expected = blank(region)
    expected[26:35, 16:65] = 3
    expected[26:75, 56:65] = 3
    (stored,) = labels_of(campaign, region)
    np.testing.assert_array_equal(stored, expected)


def test_painting_outside_the_region_does_nothing(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.keys("b", "2")
    screen.square_brush(9)
    screen.drag((-8.5, 40.5), (-5.5, 60.5))
    expect(screen.page.get_by_role("button", name="Undo")).to_be_disabled()
    screen.drag((-8.5, 10.5), (4.5, 10.5))
    screen.submit()
    expected = blank(region)
    expected[6:15, 0:9] = 1
    np.testing.assert_array_equal(labels_of(campaign, region)[0], expected)


def test_steps_are_undone_and_done_again(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.square_brush(9)
    for place, key in enumerate("123"):
        screen.keys(key)
        screen.click(10.5 + 20 * place, 10.5)
    screen.keys("Control+z", "Control+z", "Control+Shift+Z")
    screen.submit()
    expected = blank(region)
    expected[6:15, 6:15] = 0
    expected[6:15, 26:35] = 1
    np.testing.assert_array_equal(labels_of(campaign, region)[0], expected)


def test_polygons_fills_and_replacing(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.keys("p", "6")
    screen.polygon([(10.25, 10.25), (50.25, 10.25), (50.25, 40.25), (10.25, 40.25)])
    screen.keys("f", "1")
    screen.click(70.5, 70.5)  # all around it
    screen.keys("p", "3")
    screen.polygon([(60.25, 60.25), (70.25, 60.25), (70.25, 70.25), (60.25, 70.25)])
    screen.keys("r", "5")
    screen.click(65.5, 65.5)
    screen.submit()
    expected = np.zeros((region.height, region.width), dtype=np.uint8)
    expected[10:40, 10:50] = 5
    expected[60:70, 60:70] = 4
    np.testing.assert_array_equal(labels_of(campaign, region)[0], expected)


def test_escape_drops_a_polygon_and_a_double_click_closes_one(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.keys("p", "1")
    for corner in [(5.25, 5.25), (40.25, 5.25), (40.25, 40.25)]:
        screen.click(*corner)
    screen.keys("Escape")
    for corner in [(10.25, 10.25), (30.25, 10.25), (30.25, 30.25)]:
        screen.click(*corner)
    screen.page.mouse.dblclick(*screen.at(10.25, 30.25))
    screen.submit()
    expected = blank(region)
    expected[10:30, 10:30] = 0
    np.testing.assert_array_equal(labels_of(campaign, region)[0], expected)


def test_smart_fill_keeps_to_one_side_of_an_edge(begin: Begin, enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Maker, "picture", staticmethod(_halves))
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.keys("s", "7")
    screen.click(20.5, 45.5)
    screen.submit()
    stored = labels_of(campaign, region)[0]
    # Next to the edge the means of 3 x 3 pixels are of both sides.
    assert (stored[:, :37] == 6).all()
    assert (stored[:, 43:] == NONE).all()


def _halves(height: int, width: int) -> bytes:
    """Every region of it is dark at the left and bright at the right."""
    pixels = np.where(np.arange(width) % 80 < 40, 60, 190).astype(np.uint8)
    buffer = io.BytesIO()
    Picture.fromarray(np.repeat(np.tile(pixels, (height, 1))[..., None], 3, axis=2)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_prediction_is_what_one_starts_from(begin: Begin, enter: Enter) -> None:
    campaign = begin(prediction=True)  # Building everywhere
    screen = enter(campaign)
    region = screen.region()
    screen.keys("e")
    screen.square_brush(9)
    screen.click(30.5, 30.5)
    screen.keys("u")  # shows what has no class
    expect(screen.page.locator(".palette .left")).to_contain_text("81 px without a class")
    screen.keys("4", "a")
    screen.submit()
    expected = np.full((region.height, region.width), 1, dtype=np.uint8)
    expected[26:35, 26:35] = 3
    np.testing.assert_array_equal(labels_of(campaign, region)[0], expected)


def test_a_region_is_labelled_without_a_mouse(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.square_brush(9)
    screen.page.locator("canvas").focus()
    screen.keys("5", "b", "ArrowLeft", "ArrowRight", *["Shift+ArrowLeft"] * 2, "Enter", "Alt+Shift+ArrowDown", "1", "a")
    screen.submit()
    expected = np.zeros((region.height, region.width), dtype=np.uint8)
    x, y = region.width // 2 - 20, region.height // 2
    expected[y - 4 : y + 10 + 5, x - 4 : x + 5] = 4
    np.testing.assert_array_equal(labels_of(campaign, region)[0], expected)


def test_what_was_sent_can_be_gone_back_to(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.keys("1", "a")
    screen.submit()
    labels_of(campaign, region)
    screen.keys("Backspace")
    assert screen.region().id == region.id
    screen.keys("Control+z", "2", "a")
    screen.submit()
    first, second = labels_of(campaign, region, at_least=2)
    assert (first == 0).all()
    assert (second == 1).all()
