"""Setting a project up from nothing, and reviewing what was painted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import select

from service.tables import Image, Label, Membership, Project, Region
from tests.web.conftest import Campaign
from tests.web.screen import Screen
from tests.web.test_painting import labels_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Enter = Callable[[Campaign], Screen]
Contexts = Callable[[], BrowserContext]


def page_of(campaign: Campaign, contexts: Contexts, role: str, place: str = "") -> Page:
    """The pages, as somebody of a role sees them."""
    page = contexts().new_page()
    page.goto(f"{campaign.url}/app/#token={campaign.make.annotator(role)}/{place}")
    return page


def end_session(page: Page, *, found_by: str) -> None:
    """The session ends, which requests to addresses with these words find out, and nothing else that the page asks."""
    page.route("**/*", lambda route: route.continue_() if found_by in route.request.url else route.abort())
    page.context.clear_cookies()


def test_a_project_is_set_up_from_nothing(begin: Begin, contexts: Contexts, tmp_path: Path) -> None:
    campaign = begin()
    page = page_of(campaign, contexts, "admin", "new")
    page.get_by_label("Name", exact=True).fill("leaves")
    page.get_by_label("Name of class 1").fill("Leaf")
    page.get_by_role("button", name="Add a class").click()
    page.get_by_label("Of a size that suits the images").uncheck()
    page.get_by_label("Height in pixels").fill("32")
    page.get_by_label("Width in pixels").fill("32")
    page.get_by_label("The thinnest things").select_option("4")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="leaves")).to_be_visible()
    for name, size in (("one.png", 64), ("tiny.png", 4)):
        Picture.fromarray(np.full((size, size, 3), 90, np.uint8)).save(tmp_path / name)
    page.get_by_label("Drop images or a zip here").set_input_files([tmp_path / "one.png", tmp_path / "tiny.png"])
    expect(page.get_by_role("status").filter(has_text="1 of 2 sent, 1 new, 1 refused")).to_be_visible()
    expect(page.locator(".refused")).to_contain_text("tiny.png")
    page.get_by_label("Name of who is invited").fill("eve")
    page.get_by_role("button", name="Invite").click()
    link = page.get_by_label("Link").input_value()
    invited = contexts().new_page()
    invited.goto(link)
    expect(invited.get_by_role("application")).to_be_visible()
    expect(invited.locator(".top")).to_contain_text("eve")
    with campaign.make.database.read() as session:
        project = session.scalars(select(Project).where(Project.name == "leaves")).one()
        assert [each["name"] for each in project.classes["classes"]] == ["Background", "Leaf", "Class 2"]
        assert (project.settings["cell_height"], project.settings["stride"]) == (32, 4)
        assert session.scalars(select(Image.name).where(Image.project_id == project.id)).all() == ["one.png"]
        roles = session.scalars(select(Membership.role).where(Membership.project_id == project.id))
        assert sorted(roles) == ["admin", "annotator"]


def test_what_was_painted_is_accepted_and_rejected_by_keyboard(begin: Begin, enter: Enter, contexts: Contexts) -> None:
    campaign = begin(review="all")
    screen = enter(campaign)
    painted = []
    for key in "12":
        painted.append(screen.region())
        screen.keys(key, "a")
        screen.submit()
        labels_of(campaign, painted[-1])
    page = page_of(campaign, contexts, "reviewer", f"projects/{campaign.project.id}/review")
    expect(page.get_by_role("heading")).to_contain_text(f"({painted[0].col}, {painted[0].row})")
    expect(page.get_by_role("button", name="Accept it")).to_be_enabled()
    page.keyboard.press("a")
    expect(page.get_by_role("heading")).to_contain_text(f"({painted[1].col}, {painted[1].row})")
    page.keyboard.press("r")
    page.keyboard.type("The kerb is missing.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing waits for a review.")).to_be_visible()
    assert states(campaign, painted) == ["labelled", "open"]
    with campaign.make.database.read() as session:
        kinds = session.scalars(select(Label.kind).where(Label.region_id == painted[0].id).order_by(Label.version))
        assert list(kinds) == ["annotated", "accepted"]
    people = page_of(campaign, contexts, "admin", f"projects/{campaign.project.id}/people")
    expect(people.locator("tbody tr").filter(has_text="2").first).to_be_visible()


def states(campaign: Campaign, regions: list[Region]) -> list[Any]:
    with campaign.make.database.read() as session:
        return [session.get_one(Region, each.id).state for each in regions]
