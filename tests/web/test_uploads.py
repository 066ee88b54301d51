"""Images and label maps that an admin drops into a project, and what is said of those that are refused."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import select

from service.domain.masks import encode_label_png
from service.tables import Image, Region
from tests.maker import Maker
from tests.web.conftest import Campaign
from tests.web.test_other_pages import page_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Contexts = Callable[[], BrowserContext]
SIZE = (90, 160)  # two regions
IMAGES, LABELS = "Drop images or a zip here", "Their label maps"


@pytest.fixture
def campaign(begin: Begin) -> Campaign:
    return begin()


@pytest.fixture
def page(campaign: Campaign, contexts: Contexts) -> Page:
    return page_of(campaign, contexts, "admin", f"projects/{campaign.project.id}/setup")


def image(folder: Path, name: str, seed: int = 0) -> Path:
    (folder / name).write_bytes(Maker.picture(*SIZE, seed=seed))
    return folder / name


def label_map(folder: Path, name: str, ids: object = 3) -> Path:
    (folder / name).write_bytes(encode_label_png(np.broadcast_to(np.asarray(ids, np.uint8), SIZE)))
    return folder / name


def sent(page: Page, text: str) -> None:
    expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()


def labelled(campaign: Campaign, split: str) -> dict[str, bool]:
    """The images of a split by name, and whether each came with a label map."""
    with campaign.make.database.read() as session:
        chosen = select(Image.name, Image.label_key).where(
            Image.project_id == campaign.project.id, Image.split == split
        )
        return {name: key is not None for name, key in session.execute(chosen)}


def test_images_wait_for_their_label_maps_whichever_comes_first(campaign: Campaign, page: Page, tmp_path: Path) -> None:
    page.get_by_label("Into").select_option("reward")
    page.get_by_label(IMAGES).set_input_files([image(tmp_path, "a.png", 1), image(tmp_path, "b.png", 2)])
    expect(page.get_by_text("Waiting for a label map, to go into reward: a.png, b.png")).to_be_visible()
    (tmp_path / "maps").mkdir()
    maps = [label_map(tmp_path / "maps", name) for name in ("b.png", "c.png")]
    page.get_by_label(LABELS).set_input_files(maps)
    sent(page, "1 of 1 sent, 1 new")
    page.get_by_label(IMAGES).set_input_files([image(tmp_path, "c.png", 3)])
    sent(page, "2 of 2 sent, 2 new")
    expect(page.get_by_text("Waiting for a label map, to go into reward: a.png")).to_be_visible()
    assert labelled(campaign, "reward") == {"b.png": True, "c.png": True}


def test_what_is_refused_is_named_and_the_rest_is_taken(campaign: Campaign, page: Page, tmp_path: Path) -> None:
    page.get_by_label("Into").select_option("train")
    names = ("good.png", "strange.png", "small.png")
    page.get_by_label(IMAGES).set_input_files([image(tmp_path, name, place) for place, name in enumerate(names)])
    (tmp_path / "maps").mkdir()
    maps = [label_map(tmp_path / "maps", "good.png"), label_map(tmp_path / "maps", "strange.png", 77)]
    (tmp_path / "maps" / "small.png").write_bytes(encode_label_png(np.zeros((5, 5), np.uint8)))
    page.get_by_label(LABELS).set_input_files([*maps, tmp_path / "maps" / "small.png"])
    sent(page, "1 of 3 sent, 1 new, 2 refused")
    refused = page.locator(".refused li")
    expect(refused).to_have_count(2)
    expect(refused.filter(has_text="strange.png")).to_contain_text("77")
    expect(refused.filter(has_text="small.png")).to_contain_text("5 high and 5 wide")
    assert labelled(campaign, "train") == {"good.png": True}


def test_images_may_go_without_label_maps(campaign: Campaign, page: Page, tmp_path: Path) -> None:
    page.get_by_label("Into").select_option("state")
    page.get_by_label(IMAGES).set_input_files([image(tmp_path, "a.png")])
    page.get_by_role("button", name="Send without").click()
    sent(page, "1 of 1 sent, 1 new")
    expect(page.locator("option[value=state]")).to_contain_text("(1 so far)")
    assert labelled(campaign, "state") == {"a.png": False}


def test_a_zip_holds_images_and_label_maps(campaign: Campaign, page: Page, tmp_path: Path) -> None:
    colours = io.BytesIO()
    Picture.new("RGB", SIZE[::-1], (128, 64, 128)).save(colours, "PNG")  # CamVid's road
    with zipfile.ZipFile(tmp_path / "both.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("one", "far/two"):
            archive.writestr(f"set/images/{name}.png", Maker.picture(*SIZE, seed=len(name)))
            archive.writestr(f"set/labels/{name}.png", colours.getvalue())
    page.get_by_label("Into").select_option("reward")
    page.get_by_label("Label maps hold").select_option("the colours of classes")
    page.get_by_label(IMAGES).set_input_files([tmp_path / "both.zip"])
    sent(page, "2 of 2 sent, 2 new")
    assert labelled(campaign, "reward") == {"set/one.png": True, "set/far/two.png": True}


def test_label_maps_of_the_pool_label_its_regions(campaign: Campaign, page: Page, tmp_path: Path) -> None:
    page.get_by_label(IMAGES).set_input_files([image(tmp_path, "known.png", 4)])
    sent(page, "1 of 1 sent, 1 new")
    (tmp_path / "maps").mkdir()
    maps = [label_map(tmp_path / "maps", name) for name in ("known.png", "nobody.png")]
    page.get_by_label("Label maps of images that are here already").set_input_files(maps)
    sent(page, "2 of 3 sent, 1 new, 2 regions labelled, 1 refused")
    expect(page.locator(".refused")).to_contain_text("nobody.png")
    with campaign.make.database.read() as session:
        chosen = select(Region.state).join(Image, Image.id == Region.image_id).where(Image.name == "known.png")
        assert list(session.scalars(chosen)) == ["labelled", "labelled"]
