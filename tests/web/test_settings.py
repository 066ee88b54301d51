"""What admins change of a project on a page: it is sent alone, what is refused stays, and nothing is left by mistake."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service.tables import Project
from tests.web.conftest import Campaign
from tests.web.screen import Screen
from tests.web.test_as_it_is import SOON, client, tab
from tests.web.test_other_pages import end_session, page_of
from tests.web.test_setting_up import outside

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Contexts = Callable[[], BrowserContext]
Enter = Callable[[Campaign], Screen]


@pytest.fixture
def campaign(begin: Begin) -> Campaign:
    return begin()


@pytest.fixture
def page(campaign: Campaign, contexts: Contexts) -> Page:
    page = page_of(campaign, contexts, "admin", f"projects/{campaign.project.id}")
    page.on("pageerror", lambda error: pytest.fail(f"The page threw {error}"))
    tab(page, "Settings")
    expect(page.get_by_text("Nothing is changed.")).to_be_visible()
    return page


def settings(campaign: Campaign) -> dict[str, Any]:
    with campaign.make.database.read() as session:
        return dict(session.get_one(Project, campaign.project.id).settings)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save").click()


def test_what_an_admin_changes_is_sent_alone(campaign: Campaign, page: Page) -> None:
    sent: list[Any] = []
    page.on("request", lambda each: sent.append(each.post_data_json) if each.method == "PATCH" else None)
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.get_by_label("Regions a round").fill("12")
    page.get_by_label("Regions in all").fill("480")
    page.get_by_label("What to ask for").select_option("entropy")
    page.get_by_text("Gold regions", exact=True).click()
    page.get_by_label("Gold among").fill("7")
    page.get_by_text("How it is learned").click()
    page.get_by_label("The thinnest things").select_option("4")
    expect(page.get_by_text("Regions a round: 24 → 12")).to_be_visible()
    page.get_by_role("button", name="Undo changes").click()
    expect(page.get_by_label("Regions a round")).to_have_value("24")
    page.get_by_label("Regions a round").fill("12")
    page.get_by_label("The thinnest things").select_option("4")
    page.get_by_label("Gold among").fill("7")
    save(page)
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    assert sent == [{"settings": {"batch_size": 12, "stride": 4, "gold_share": 0.07}}]
    page.get_by_label("The thinnest things").select_option("")
    save(page)
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    held = settings(campaign)
    assert (held["batch_size"], held["stride"], held["gold_share"], held["strategy"]) == (12, None, 0.07, "auto")


def test_a_project_is_renamed_and_opened_to_all(begin: Begin, contexts: Contexts) -> None:
    taken, campaign = begin(), begin(open_to_all=False)
    page = page_of(campaign, contexts, "admin", f"projects/{campaign.project.id}/settings")
    sent: list[Any] = []
    page.on("request", lambda each: sent.append(each.post_data_json) if each.method == "PATCH" else None)
    name, check = page.get_by_label("Name", exact=True), page.get_by_label("Open to all")
    expect(name).to_have_value(campaign.project.name)
    expect(check).not_to_be_checked()
    for wrong in ("", "   "):
        name.fill(wrong)
        save(page)
        expect(name).to_be_focused()
    assert sent == []
    name.fill(taken.project.name)
    check.check()
    expect(
        page.get_by_text(f"Name: {campaign.project.name} → {taken.project.name}; Open to all: no → yes.")
    ).to_be_visible()
    save(page)
    refusal = f"Nothing was saved: There is a project {taken.project.name} already."
    expect(page.get_by_role("alert")).to_have_text(refusal)
    night = f"night {campaign.project.id}"
    name.fill(f" {night} ")
    save(page)
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    assert sent[1:] == [{"name": night, "open_to_all": True}]
    expect(page.get_by_text(f"{night}. Changes count for")).to_be_visible(timeout=SOON)
    expect(page).to_have_title(f"Settings · {night} · regionwise")
    expect(name).to_have_value(night)
    tab(page, "Set up")
    expect(page.get_by_role("heading", name=night)).to_be_visible()
    page.get_by_role("link", name="regionwise").click()
    expect(page.get_by_role("heading", name=night, exact=True)).to_be_visible()
    with campaign.make.database.read() as session:
        project = session.get_one(Project, campaign.project.id)
        assert (project.name, project.open_to_all) == (night, True)


def test_what_is_refused_stays_in_the_form(campaign: Campaign, page: Page) -> None:
    page.get_by_text("How it is learned").click()
    page.get_by_label("Segmenter", exact=True).select_option("fpn")
    page.get_by_label("Encoder", exact=True).select_option("frozen")
    save(page)
    expect(page.get_by_role("alert")).to_contain_text(
        "Nothing was saved: There are no published weights of fpn to freeze"
    )
    expect(page.get_by_label("Encoder", exact=True)).to_have_value("frozen")
    page.get_by_label("Encoder", exact=True).select_option("as suits what you have changed")
    save(page)
    expect(page.get_by_role("status").filter(has_text="Encoder is trained. Learning is pass.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert [settings(campaign)[name] for name in ("segmenter", "encoder", "learning")] == ["fpn", "trained", "pass"]


def test_a_field_that_is_not_right_is_shown_where_it_is_folded(campaign: Campaign, page: Page) -> None:
    leases = page.get_by_text("How long regions are held")
    leases.click()
    page.get_by_label("Regions that one annotator holds").fill("")
    leases.click()
    expect(page.get_by_label("Regions that one annotator holds")).to_be_hidden()
    save(page)
    expect(page.get_by_label("Regions that one annotator holds")).to_be_focused()
    assert settings(campaign)["max_held"] == 16


def test_what_others_change_is_seen_and_kept(campaign: Campaign, page: Page) -> None:
    page.get_by_label("Regions a round").fill("12")
    with client(campaign) as admin:
        changed = {"settings": {"batch_size": 30, "budget": 960}}
        admin.patch(f"/projects/{campaign.project.id}", json=changed).raise_for_status()
    expect(page.get_by_label("Regions in all")).to_have_value("960", timeout=SOON)
    expect(page.get_by_label("Regions a round")).to_have_value("12")
    expect(page.get_by_text("Somebody else set it to 30 meanwhile.")).to_be_visible()
    save(page)
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    assert (settings(campaign)["batch_size"], settings(campaign)["budget"]) == (12, 960)


def test_leaving_asks_while_something_is_not_saved(campaign: Campaign, page: Page) -> None:
    page.get_by_label("Regions a round").fill("12")
    tab(page, "Set up")
    page.get_by_role("button", name="Stay here").click()
    expect(page.get_by_label("Regions a round")).to_have_value("12")
    assert page.url.endswith(f"#/projects/{campaign.project.id}/settings")
    page.go_back()
    page.get_by_role("button", name="Leave without saving").click()
    expect(page.get_by_label("Regions a round")).to_have_count(0)
    assert not page.url.endswith("/settings")
    tab(page, "Settings")
    expect(page.get_by_label("Regions a round")).to_have_value("24")
    tab(page, "Set up")
    expect(page.get_by_role("heading", name=campaign.project.name)).to_be_visible()


def test_what_was_typed_is_there_after_a_login(campaign: Campaign, contexts: Contexts) -> None:
    token = campaign.make.annotator("admin")
    page = contexts().new_page()
    page.goto(f"{campaign.url}/app/#token={token}/projects/{campaign.project.id}/settings")
    page.get_by_label("Regions a round").fill("12")
    end_session(page, found_by=f"/projects/{campaign.project.id}")
    save(page)
    expect(page.get_by_text("Your session has ended.")).to_be_visible()
    page.unroute("**/*")
    page.get_by_label("Your token").fill(token)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Regions a round")).to_have_value("12")
    save(page)
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    assert settings(campaign)["batch_size"] == 12


def test_reviewers_are_told_whom_the_page_is_for(campaign: Campaign, contexts: Contexts) -> None:
    page = page_of(campaign, contexts, "reviewer", f"projects/{campaign.project.id}/settings")
    expect(page.get_by_text("This page is for admins of the project.")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link", name="Settings")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 800])
def test_narrow_screens_hold_all_settings(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    expect(page.get_by_role("button", name="Save")).to_be_in_viewport()
    assert outside(page) == []


def test_a_brush_suits_small_regions_until_it_is_set(begin: Begin, enter: Enter) -> None:
    screen = enter(begin(cell_height=24, cell_width=18))
    size = screen.page.locator(".brush output")
    expect(size).to_have_text("3 px")
    screen.keys("]")
    expect(size).to_have_text("4 px")
    screen.page.reload()
    screen.wait_for_region()
    expect(size).to_have_text("4 px")
