"""What hands do by accident: keys held down, strokes that a key cuts short; and what happens to a page meanwhile."""

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, expect
from sqlalchemy import select

from service.tables import Label, Region
from tests.web.conftest import Campaign
from tests.web.screen import Screen
from tests.web.test_painting import labels_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Enter = Callable[[Campaign], Screen]


def sent(campaign: Campaign) -> int:
    """How many labels the project has."""
    chosen = select(Label.id).join(Region, Label.region_id == Region.id).where(Region.project_id == campaign.project.id)
    with campaign.make.database.read() as session:
        return len(session.scalars(chosen).all())


@pytest.mark.parametrize("focused", ["canvas", "button.submit"])
def test_a_key_that_is_held_down_sends_one_region(begin: Begin, enter: Enter, focused: str) -> None:
    campaign = begin(prediction=True)
    screen = enter(campaign)
    first = screen.region()
    screen.page.wait_for_timeout(1500)  # until the next two are ready
    key = "n" if focused == "canvas" else "Enter"
    screen.page.locator(focused).focus()
    for _ in range(4):  # from the second on it repeats
        screen.page.keyboard.down(key)
        screen.page.wait_for_timeout(100)
    screen.page.keyboard.up(key)
    assert len(labels_of(campaign, first)) == 1
    screen.page.wait_for_timeout(500)
    assert sent(campaign) == 1


def test_a_stroke_that_goes_on_while_a_region_is_sent_paints_nothing_on_the_next(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    screen.page.wait_for_timeout(1500)  # until the next two are ready
    first = screen.region()
    screen.keys("4", "b")
    screen.square_brush(9)
    screen.page.mouse.move(*screen.at(20.5, 20.5))
    screen.page.mouse.down()
    screen.keys("n")
    screen.page.mouse.move(*screen.at(60.5, 50.5), steps=5)
    screen.page.mouse.up()
    second = screen.region()
    assert second.id != first.id
    screen.keys("1", "a")
    screen.submit()
    assert (labels_of(campaign, first)[0][16:25, 16:25] == 3).all()
    assert (labels_of(campaign, second)[0] == 0).all()


def test_another_look_leaves_the_view_as_it_is(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.square_brush(9)
    screen.page.mouse.move(*screen.at(20.5, 20.5))
    screen.page.mouse.wheel(0, -600)
    place = screen.at(30.5, 24.5)
    screen.keys("4")
    screen.page.mouse.click(*place)
    screen.keys("c", "5")
    screen.page.mouse.click(*place)
    screen.keys("c", "1", "a")
    screen.submit()
    stored = labels_of(campaign, region)[0]
    assert [int(np.sum(stored == each)) for each in (3, 4)] == [0, 81]


def test_what_is_shown_around_a_region_is_what_is_seen_of_its_image(begin: Begin, enter: Enter) -> None:
    screen = enter(begin())
    asked: list[str] = []
    screen.page.on("request", lambda request: asked.append(request.url))
    with screen.page.expect_response("**/images/*/seen") as response:
        screen.page.reload()
    assert response.value.ok
    screen.wait_for_region()
    assert not [each for each in asked if each.endswith("/file")]


def test_whose_session_has_ended_logs_in_and_loses_nothing(
    begin: Begin, contexts: Callable[[], BrowserContext]
) -> None:
    campaign = begin()
    token = campaign.make.annotator()
    context = contexts()
    page = context.new_page()
    page.goto(f"{campaign.url}/app/#token={token}/projects/{campaign.project.id}/annotate")
    screen = Screen(page, {region.id: region for region in campaign.regions})
    region = screen.wait_for_region()
    page.wait_for_timeout(1500)  # until the next two are ready
    context.clear_cookies()
    screen.keys("3", "a", "Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended.")
    page.get_by_label("Your token").fill(token)
    page.get_by_role("button", name="Log in").click()
    (stored,) = labels_of(campaign, region)
    assert (stored == 2).all()
    assert screen.wait_for_region().id != region.id


def test_a_link_that_has_run_out_says_so(begin: Begin, contexts: Callable[[], BrowserContext]) -> None:
    campaign = begin()
    page = contexts().new_page()
    page.goto(f"{campaign.url}/app/#token=rw_{'x' * 43}/projects/{campaign.project.id}/annotate")
    expect(page.get_by_role("alert")).to_contain_text("The link does not log in: ")
