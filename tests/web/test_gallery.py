"""Looking through regions, and correcting one of them by painting."""

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from service.tables import Region
from tests.web.conftest import Campaign
from tests.web.labelling import Contexts, labelled, newest, plain, reviewer_page
from tests.web.screen import Screen

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
SKY, ROAD, CAR = 0, 3, 8


def shown(page: Page) -> list[int]:
    """The regions that are listed."""
    found: list[str] = page.locator("[data-region]").evaluate_all("all => all.map(each => each.dataset.region)")
    return [int(each) for each in found]


def opened(page: Page, campaign: Campaign, region: Region) -> Screen:
    """Click a card, and wait for the tools."""
    page.locator(f"[data-region='{region.id}']").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    screen = Screen(page, {each.id: each for each in campaign.regions})
    assert screen.wait_for_region().id == region.id
    page.wait_for_timeout(200)  # until it is fitted
    return screen


def test_regions_are_found_by_class_and_a_link_shows_the_same(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=6, prediction=True)
    with_car = plain(campaign.regions[1], ROAD)
    with_car[:30] = CAR
    labelled(campaign, campaign.regions[0], plain(campaign.regions[0], SKY))
    labelled(campaign, campaign.regions[1], with_car)
    page, _ = reviewer_page(campaign, contexts, "regions")
    everything = [each.id for each in reversed(campaign.regions)]
    expect(page.locator("[data-region]")).to_have_count(6)
    assert shown(page) == everything
    page.get_by_label("Class", exact=True).select_option("Car")
    expect(page.locator("[data-region]")).to_have_count(1)
    assert shown(page) == [campaign.regions[1].id]
    page.get_by_label("Its share").select_option("50 % at least")
    expect(page.get_by_text("There is no such region.")).to_be_visible()
    page.get_by_label("Its share").select_option("25 % at least")
    expect(page.locator("[data-region]")).to_have_count(1)
    page.reload()
    expect(page.locator("[data-region]")).to_have_count(1)
    assert page.get_by_label("Class", exact=True).input_value() == str(CAR)
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("State").select_option("Open")
    expect(page.locator("[data-region]")).to_have_count(4)


def test_what_is_drawn_is_switched_for_all_by_a_key(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=2, prediction=True)
    labelled(campaign, campaign.regions[0], plain(campaign.regions[0], SKY))
    page, _ = reviewer_page(campaign, contexts, "regions")
    expect(page.locator("[data-region]")).to_have_count(2)
    expect(page.get_by_role("img", name=": label")).to_have_count(1)
    expect(page.get_by_role("img", name=": prediction")).to_have_count(1)
    page.keyboard.press("v")
    expect(page.get_by_role("img", name=": differences")).to_have_count(1)
    page.keyboard.press("v")
    expect(page.get_by_role("img", name=": image")).to_have_count(2)
    page.keyboard.press("2")
    expect(page.get_by_role("img", name=": prediction")).to_have_count(2)
    assert "show=prediction" in page.url


def test_cards_are_reached_by_arrow_keys_and_one_without_a_label_is_looked_at(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=4, prediction=True)
    page, _ = reviewer_page(campaign, contexts, "regions")
    expect(page.locator("[data-region]")).to_have_count(4)
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_text("Nobody has labelled this region yet: it can only be looked at.")).to_be_visible()
    assert f"/regions/{campaign.regions[2].id}" in page.url
    expect(page.get_by_role("img", name="Prediction", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Nobody has labelled this region yet")).to_be_hidden()


def test_a_picture_is_fetched_again_by_a_button_that_no_link_holds(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=2)
    page, _ = reviewer_page(campaign, contexts, "review")
    page.route("**/crop*", lambda route: route.fulfill(status=503, body="<html>Away</html>"))
    page.evaluate(f"location.hash = '#/projects/{campaign.project.id}/regions'")
    again = page.get_by_role("button", name="Try again")
    expect(again).to_have_count(2)
    assert page.locator("a button").count() == 0
    picture, button = page.locator(".region .picture").first.bounding_box(), again.first.bounding_box()
    assert picture
    assert button
    assert picture["y"] < button["y"] < picture["y"] + picture["height"] - button["height"]
    page.unroute("**/crop*")
    page.locator("[data-region]").first.focus()
    page.keyboard.press("Tab")
    expect(again.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Could not be fetched.").first).to_be_hidden()
    assert page.url.endswith("/regions")


def test_a_label_is_corrected_by_painting_pixel_by_pixel(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=4)
    region = campaign.regions[2]
    (author,) = labelled(campaign, region, plain(region, SKY))
    page, reviewer = reviewer_page(campaign, contexts, "regions?state=labelled")
    screen = opened(page, campaign, region)
    expect(page.locator(".versions")).to_contain_text(f"1: annotated by {author}")
    screen.keys("b", "4")  # Road
    screen.square_brush(9)
    screen.drag((20.5, 30.5), (60.5, 30.5), (60.5, 70.5))
    page.get_by_placeholder("Reason").fill("The road is wider.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".correct")).to_be_hidden()
    expected = plain(region, SKY)
    expected[26:35, 16:65] = ROAD
    expected[26:75, 56:65] = ROAD
    kind, by, stored = newest(campaign, region)
    assert (kind, by) == ("corrected", reviewer)
    np.testing.assert_array_equal(stored, expected)
    expect(page.locator(f"[data-region='{region.id}'] .who")).to_contain_text(f"{author}, ")


def test_a_correction_that_was_lost_is_offered_back(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=4)
    region = campaign.regions[1]
    labelled(campaign, region, plain(region, SKY))
    page, reviewer = reviewer_page(campaign, contexts, "regions")
    screen = opened(page, campaign, region)
    screen.keys("b", "4")
    screen.square_brush(9)
    screen.click(20.5, 20.5)
    page.wait_for_timeout(400)
    page.reload()
    offer = page.get_by_text("was not saved")
    expect(offer).to_be_visible()
    page.get_by_role("button", name="Take it up").click()
    expect(offer).to_be_hidden()
    page.locator(".stage canvas").focus()
    screen.keys("Control+Enter")
    expect(page.locator(".correct")).to_be_hidden()
    expected = plain(region, SKY)
    expected[16:25, 16:25] = ROAD
    kind, by, stored = newest(campaign, region)
    assert (kind, by) == ("corrected", reviewer)
    np.testing.assert_array_equal(stored, expected)
    page.locator(f"[data-region='{region.id}']").click()
    expect(page.locator(".versions")).to_contain_text("2: corrected")
    expect(offer).to_be_hidden()


def test_painting_starts_from_a_version_and_nobody_corrects_their_own(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=4)
    region = campaign.regions[0]
    labelled(campaign, region, plain(region, SKY), plain(region, ROAD))
    page, reviewer = reviewer_page(campaign, contexts, f"regions/{region.id}")
    expect(page.locator(".versions li")).to_have_count(2)
    page.locator(".versions li").nth(1).get_by_role("button", name="Start from it").click()
    expect(page.locator(".about")).to_contain_text("Painted over 1: annotated")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".correct")).to_be_hidden()
    kind, by, stored = newest(campaign, region)
    assert (kind, by) == ("corrected", reviewer)
    np.testing.assert_array_equal(stored, plain(region, SKY))
    page.locator(f"[data-region='{region.id}']").click()
    expect(page.locator(".versions li")).to_have_count(3)
    page.locator(".palette").get_by_role("option", name="Car").click()
    page.keyboard.press("f")
    page.locator(".stage canvas").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("is your own: somebody else has to review it")
    assert newest(campaign, region)[0] == "corrected"
