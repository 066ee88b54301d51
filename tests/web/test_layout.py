"""Where things stand on pages: what one works with stays in sight, and what belongs together stands in line."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from service.tables import Image, Project
from tests.maker import Maker
from tests.service.siege import Besieged
from tests.web.conftest import Campaign
from tests.web.labelling import Contexts, labelled, plain, reviewer_page
from tests.web.screen import Screen
from tests.web.test_other_pages import page_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Enter = Callable[[Campaign], Screen]


def bottom(found: Locator) -> float:
    """Where it ends, from the top of the window."""
    box = found.bounding_box()
    assert box
    return box["y"] + box["height"]


def assert_fills_the_window(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollHeight - innerHeight") <= 0


@pytest.mark.parametrize("size", [(1280, 800), (1280, 420), (600, 900)])
def test_submit_stays_at_the_foot_of_the_side(size: tuple[int, int], begin: Begin, enter: Enter) -> None:
    page = enter(begin(prediction=True)).page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    submit = page.get_by_role("button", name="Submit")
    expect(submit).to_be_in_viewport()
    assert size[1] - 30 < bottom(submit) <= size[1]
    assert_fills_the_window(page)
    page.locator(".side").evaluate("each => each.scrollTo(0, 10000)")
    expect(submit).to_be_in_viewport()


def test_a_long_name_of_a_class_begins_where_others_do(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    with campaign.make.database.write() as session:
        project = session.get_one(Project, campaign.project.id)
        first, *others = project.classes["classes"]
        project.classes = {**project.classes, "classes": [{**first, "name": "a name of many words " * 3}, *others]}
    names = enter(campaign).page.locator(".palette .name")
    left = (
        "each => { const range = new Range(); range.selectNodeContents(each); return range.getClientRects()[1].left; }"
    )
    box = names.nth(1).bounding_box()
    assert box
    assert abs(names.first.evaluate(left) - box["x"]) < 1


def test_nothing_is_said_of_pixels_while_no_region_is_here(begin: Begin, enter: Enter) -> None:
    campaign = begin(regions=1)
    screen = enter(campaign)
    expect(screen.page.get_by_text("px without a class")).to_be_visible()
    screen.keys("1", "a")
    expect(screen.page.get_by_text("Every pixel has a class.")).to_be_visible()
    screen.submit()
    expect(screen.page.locator(".stage .waiting")).to_be_visible()
    expect(screen.page.get_by_text("Every pixel has a class.")).to_have_count(0)


def test_cards_show_names_of_images_whole(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=2)
    with campaign.make.database.write() as session:
        session.get_one(Image, campaign.regions[0].image_id).name = "0001TP_006690.webp"
    labelled(campaign, campaign.regions[0], plain(campaign.regions[0], 0), state="review")
    page, _ = reviewer_page(campaign, contexts, "regions")
    page.set_viewport_size({"width": 600, "height": 900})
    name = page.locator(".region strong", has_text="0001TP").first
    expect(name).to_be_visible()
    assert name.evaluate("each => each.scrollWidth - each.clientWidth") <= 0


def test_a_project_without_regions_is_told_from_a_search_that_finds_none(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=0)
    page, _ = reviewer_page(campaign, contexts, "regions")
    expect(page.get_by_text("No region has been asked for yet.")).to_be_visible()
    page.get_by_label("State").select_option("Open")
    expect(page.get_by_text("There is no such region.")).to_be_visible()
    page, _ = reviewer_page(begin(regions=1), contexts, "regions")
    expect(page.get_by_role("status")).to_have_text("1 region.")


def test_a_token_can_be_typed_at_once(served: tuple[Besieged, Maker], contexts: Contexts) -> None:
    server, make = served
    page = contexts().new_page()
    page.goto(f"http://127.0.0.1:{server.port}/app/")
    expect(page.get_by_label("Your token")).to_be_focused()
    page.keyboard.type(make.annotator())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()


def test_why_one_is_still_logged_in_is_read_whole(begin: Begin, contexts: Contexts) -> None:
    page, _ = reviewer_page(begin(regions=1), contexts, "people")
    expect(page.get_by_role("heading", name="Annotators")).to_be_visible()
    page.evaluate("location.hash = '#token=rw_nobody/'")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("You are still logged in")
    assert alert.evaluate("each => each.scrollWidth <= each.clientWidth && each.scrollHeight <= each.clientHeight + 1")
    page.set_viewport_size({"width": 600, "height": 800})
    assert bottom(alert) <= 42  # beside the way home
    expect(alert).to_have_attribute("title", alert.inner_text())


def test_boxes_end_as_far_from_what_is_in_them_as_they_begin(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=1)
    page, _ = reviewer_page(campaign, contexts, "people")
    button = page.get_by_role("button", name="As CSV")
    expect(button).to_be_visible()
    expect(page.locator("tbody tr").first).to_be_visible()
    assert 8 < bottom(page.locator(".overview section")) - bottom(button) < 18
    page.set_viewport_size({"width": 600, "height": 800})
    page.evaluate(f"location.hash = '#/projects/{campaign.project.id}'")
    beside = page.locator(".beside > section")
    expect(beside).to_have_count(2)
    first, second = (each.bounding_box() for each in beside.all())
    after = page.locator(".beside + section").bounding_box()
    assert first
    assert second
    assert after
    gaps = [second["y"] - first["y"] - first["height"], after["y"] - second["y"] - second["height"]]
    assert abs(gaps[0] - gaps[1]) < 1


def test_the_parts_of_a_form_stand_in_line(begin: Begin, contexts: Contexts) -> None:
    page = page_of(begin(regions=1), contexts, "admin", "new")
    create = page.get_by_role("button", name="Create")
    create.wait_for()
    parts = [*page.locator("fieldset").all(), create]
    boxes = [box for each in parts if (box := each.bounding_box()) is not None]
    assert len(boxes) == 4
    assert [box["x"] for box in boxes] == [boxes[-1]["x"]] * 4
