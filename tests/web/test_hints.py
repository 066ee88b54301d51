"""What the network knows of a region, on the page: why it was asked for, where it is unsure, fills that look at content."""

import io

import numpy as np
import pytest
from PIL import Image as Picture
from playwright.sync_api import expect
from sqlalchemy import update

from service.domain.masks import encode_label_png
from service.store.predictions import NewHints, write_hints
from service.tables import Round
from tests.maker import Maker
from tests.web.conftest import Campaign
from tests.web.test_painting import NONE, Begin, Enter, labels_of

pytestmark = pytest.mark.browser
ACROSS, DOWN = 12, 14
"""Cells of what an encoder sees of a region of 80 x 90, and of a cell around it."""


def hint(campaign: Campaign) -> None:
    """The network is unsure at the right of every region; an encoder sees one thing at the left of column 40, another right."""
    uncertainty_hw = np.zeros((90, 80), np.uint8)
    uncertainty_hw[:, 60:] = 255
    features_nm = np.tile(np.where(np.arange(ACROSS) < 6, 40, 216).astype(np.uint8), (DOWN, 1))
    described = {
        "uncertainty": 0.25,
        "above": 0.8,
        "classes": [{"id": 2, "predicted": 0.4, "labelled": 0.01}, {"id": 1, "predicted": 0.6, "labelled": 0.5}],
        "features": {"channels": 1, "stride": 8, "top": -4, "left": -4},
    }
    new = NewHints(
        uncertainty=encode_label_png(uncertainty_hw), features=encode_label_png(features_nm), described=described
    )
    with campaign.make.database.write() as session:
        session.execute(update(Round).where(Round.project_id == campaign.project.id).values(strategy="entropy"))
        write_hints(session, None, {each.id: new for each in campaign.regions})


def test_a_region_says_why_it_was_asked_for_and_where_the_network_is_unsure(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    hint(campaign)
    screen = enter(campaign)
    why = screen.page.locator(".why")
    expect(why).to_contain_text("what is predicted here is spread over several classes")
    expect(why).to_contain_text("less sure here than in 80% of this image")
    expect(why).to_contain_text("What looks like Pole is 40% of this region, and 1.0% of all labels")
    expect(why.get_by_role("row").nth(1)).to_contain_text("Pole")

    def is_marked(x: float) -> bool:
        left, top = screen.at(x, 45)
        shot = screen.page.screenshot(clip={"x": left - 2, "y": top - 2, "width": 4, "height": 4})
        red, green, blue = np.asarray(Picture.open(io.BytesIO(shot)).convert("RGB")).reshape(-1, 3).mean(axis=0)
        return bool(red > 200 and green < 60 and blue > 150)

    assert not is_marked(70)
    screen.keys("q")
    screen.page.wait_for_timeout(100)
    assert is_marked(70)
    assert not is_marked(20)
    screen.keys("q")
    screen.page.wait_for_timeout(100)
    assert not is_marked(70)


def test_smart_fill_looks_at_what_an_encoder_sees(begin: Begin, enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Maker, "picture", staticmethod(_flat))
    campaign = begin()
    hint(campaign)
    screen = enter(campaign)
    region = screen.region()
    screen.keys("s", "7")
    screen.click(20.5, 45.5)
    screen.submit()
    stored = labels_of(campaign, region)[0]
    assert (stored[:, :38] == 6).all()
    assert (stored[:, 44:] == NONE).all()
    region = screen.wait_for_region()
    screen.page.get_by_label("Content").uncheck()
    screen.click(20.5, 45.5)
    screen.submit()
    assert (labels_of(campaign, region)[0] == 6).all()


def _flat(height: int, width: int) -> bytes:
    buffer = io.BytesIO()
    Picture.new("RGB", (width, height), (90, 90, 90)).save(buffer, "PNG")
    return buffer.getvalue()
