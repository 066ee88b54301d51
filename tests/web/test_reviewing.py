"""Deciding about labels that do not agree, by keyboard."""

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from service.tables import Region, Review
from tests.web.conftest import Campaign
from tests.web.labelling import Contexts, labelled, newest, plain, reviewer_page
from tests.web.screen import Screen

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
SKY, ROAD = 0, 3


def disputed(begin: Begin, count: int = 3) -> Campaign:
    """Regions that two people label: all sky, and all road."""
    campaign = begin(regions=4, prediction=True, overlap=2)
    for region in campaign.regions[:count]:
        labelled(campaign, region, plain(region, SKY), plain(region, ROAD), state="review")
    return campaign


def named(region: Region) -> str:
    return f"({region.col}, {region.row})"


def heading(page: Page, region: Region) -> None:
    """Wait until a region stands there, with its labels."""
    expect(page.get_by_role("heading", name=named(region))).to_be_visible()
    expect(page.locator(".deciding .main")).to_be_enabled()


def test_labels_are_accepted_by_number_and_rejected_by_keyboard(begin: Begin, contexts: Contexts) -> None:
    campaign = disputed(begin)
    first, second, third = campaign.regions[:3]
    page, reviewer = reviewer_page(campaign, contexts, "review")
    heading(page, first)
    expect(page.get_by_text("3 regions wait")).to_be_visible()
    expect(page.get_by_text("100 % differs")).to_have_count(2)
    page.keyboard.press("2")
    heading(page, second)
    expect(page.get_by_text("2 regions wait")).to_be_visible()
    for key in ("ArrowRight", "ArrowRight", "a"):
        page.keyboard.press(key)
    heading(page, third)
    page.keyboard.press("r")
    page.keyboard.type("Both miss the kerb.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing waits for a review.")).to_be_visible()
    np.testing.assert_array_equal(newest(campaign, first)[2], plain(first, ROAD))
    np.testing.assert_array_equal(newest(campaign, second)[2], plain(second, SKY))
    assert [newest(campaign, each)[0] for each in (first, second)] == ["accepted", "accepted"]
    with campaign.make.database.read() as session:
        chosen = select(Review).where(Review.project_id == campaign.project.id).order_by(Review.region_id)
        made = [(each.region_id, each.decision, each.reason) for each in session.scalars(chosen)]
        assert session.get_one(Region, third.id).state == "open"
        assert {each.reviewer_id for each in session.scalars(chosen)} == {reviewer}
    assert made[:2] == [(first.id, "accepted", ""), (second.id, "accepted", "")]
    assert made[2:] == [(third.id, "rejected", "Both miss the kerb.")] * 2


QUICK = """
addEventListener("DOMContentLoaded", () => {
  const [stood, decided] = [new Set(), new Set()];
  const press = (key) => dispatchEvent(new KeyboardEvent("keydown", { key }));
  new MutationObserver(() => {
    const said = document.querySelector("h1")?.textContent ?? "";
    if (!said.includes("(") || decided.has(said)) return;
    if (!stood.has(said) && stood.add(said).size === 1) press("ArrowRight");
    const accept = document.querySelector(".deciding .main");
    if (accept.disabled || (stood.size === 1 && !accept.textContent.includes("label 2"))) return;
    decided.add(said);
    press("a");
  }).observe(document.body, { attributes: true, childList: true, subtree: true, characterData: true });
});
"""


def test_a_key_counts_from_the_moment_that_a_region_stands_there(begin: Begin, contexts: Contexts) -> None:
    campaign = disputed(begin, 2)
    first, second = campaign.regions[:2]
    page, _ = reviewer_page(campaign, contexts, "review", QUICK)
    expect(page.get_by_text("Nothing waits for a review.")).to_be_visible()
    np.testing.assert_array_equal(newest(campaign, first)[2], plain(first, ROAD))
    np.testing.assert_array_equal(
        newest(campaign, second)[2], plain(second, SKY)
    )  # what was chosen before is not chosen here


def test_the_keys_are_listed_and_one_is_left_for_later(begin: Begin, contexts: Contexts) -> None:
    campaign = disputed(begin, 2)
    page, _ = reviewer_page(campaign, contexts, "review")
    heading(page, campaign.regions[0])
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Accept that label")
    page.keyboard.press("1")  # of no effect under the list
    heading(page, campaign.regions[0])
    # In one go, as Escape and a key at once: before the page hears that the list has closed.
    page.evaluate("""() => {
        document.querySelector("dialog").close();
        dispatchEvent(new KeyboardEvent("keydown", { key: "l" }));
    }""")
    heading(page, campaign.regions[1])


def test_the_chosen_label_is_corrected_by_painting(begin: Begin, contexts: Contexts) -> None:
    campaign = disputed(begin, 2)
    region, following = campaign.regions[:2]
    page, reviewer = reviewer_page(campaign, contexts, "review")
    heading(page, region)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("c")
    screen = Screen(page, {each.id: each for each in campaign.regions})
    assert screen.wait_for_region().id == region.id
    expect(page.locator(".about")).to_contain_text("Painted over 2: annotated")
    page.wait_for_timeout(200)
    screen.keys("b", "1")
    screen.square_brush(9)
    screen.click(20.5, 20.5)
    screen.keys("Control+Enter")
    heading(page, following)
    expected = plain(region, ROAD)
    expected[16:25, 16:25] = SKY
    kind, by, stored = newest(campaign, region)
    assert (kind, by) == ("corrected", reviewer)
    np.testing.assert_array_equal(stored, expected)


def test_where_all_labels_were_rejected_one_is_corrected(begin: Begin, contexts: Contexts) -> None:
    campaign = disputed(begin, 1)
    region = campaign.regions[0]
    page, _ = reviewer_page(campaign, contexts, "review")
    heading(page, region)
    page.keyboard.press("r")
    page.keyboard.type("Both miss the kerb.")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing waits for a review.")).to_be_visible()
    with campaign.make.database.write() as session:
        row = session.get_one(Region, region.id)
        row.state, row.answers = "review", 0  # nobody is left to draw another
    page.get_by_role("link", name="Look at it again").click()
    expect(page.locator(".versions li")).to_have_count(2)
    page.keyboard.press("f")
    page.keyboard.press("9")  # Car
    page.locator(".stage canvas").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".correct")).to_be_hidden()
    kind, _, stored = newest(campaign, region)
    assert kind == "corrected"
    np.testing.assert_array_equal(stored, plain(region, 8))


def test_a_decision_that_is_refused_is_said_and_its_region_comes_back(begin: Begin, contexts: Contexts) -> None:
    campaign = disputed(begin, 2)
    page, _ = reviewer_page(campaign, contexts, "review")
    heading(page, campaign.regions[0])
    with campaign.make.database.write() as session:
        session.get_one(Region, campaign.regions[0].id).state = "skipped"
    page.keyboard.press("1")
    expect(page.get_by_role("alert")).to_contain_text("has been skipped")
    heading(page, campaign.regions[1])
    with campaign.make.database.write() as session:
        session.get_one(Region, campaign.regions[0].id).state = "review"
    page.keyboard.press("1")
    heading(page, campaign.regions[0])


def test_a_label_that_could_not_be_fetched_is_said_and_not_accepted_before_it_is_there(
    begin: Begin, contexts: Contexts
) -> None:
    campaign = disputed(begin, 1)
    page = contexts().new_page()
    token = campaign.make.annotator("reviewer")
    first = f"**/regions/{campaign.regions[0].id}/labels/1"
    page.route(first, lambda route: route.abort())
    page.goto(f"{campaign.url}/app/#token={token}/projects/{campaign.project.id}/review")
    expect(page.get_by_text("Could not be fetched.")).to_be_visible()
    expect(page.get_by_role("button", name="Accept label 1")).to_be_disabled()
    for key in ("a", "1", "Enter"):
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    expect(page.locator(".decided")).to_have_count(0)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Accept label 2")).to_be_enabled()
    page.keyboard.press("ArrowLeft")
    page.unroute(first)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Could not be fetched.")).to_have_count(0)
    expect(page.get_by_role("button", name="Accept label 1")).to_be_enabled()
    page.keyboard.press("a")
    expect(page.locator(".decided")).to_contain_text("was accepted")
