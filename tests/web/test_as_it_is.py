"""What a page says is so now, and for whom it is: what others change, what cannot be reached, and what somebody may not see."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service.app import utc_now
from service.store import jobs
from tests.web.conftest import Campaign
from tests.web.labelling import labelled, plain, reviewer_page
from tests.web.test_live import label_one
from tests.web.test_other_pages import page_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Contexts = Callable[[], BrowserContext]
SOON = 15_000  # milliseconds; the machine may be busy


def client(campaign: Campaign) -> httpx.Client:
    """An admin elsewhere."""
    token = campaign.make.annotator("admin")
    return httpx.Client(base_url=campaign.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def tab(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()


def test_what_others_change_is_seen_on_every_page(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=2)
    place = f"/projects/{campaign.project.id}"
    page = page_of(campaign, contexts, "admin", f"{place[1:]}/setup")
    expect(page.get_by_role("button", name="Pause the campaign")).to_be_visible()
    with client(campaign) as admin:
        admin.patch(place, json={"active": False}).raise_for_status()
        expect(page.get_by_role("button", name="Go on with the campaign")).to_be_visible(timeout=SOON)
        image = {"image": ("one.png", campaign.make.picture(180, 160, seed=7))}
        admin.post(f"{place}/images", files=image, data={"split": "test"}).raise_for_status()
        expect(page.locator("option[value=test]")).to_contain_text("(1 so far)", timeout=SOON)
        tab(page, "Overview")
        expect(page.get_by_text("The campaign is paused: nobody is given regions.")).to_be_visible()
        expect(page.locator(".numbers > div").filter(has_text="Expected finish")).to_contain_text("is paused")
        admin.patch(place, json={"active": True}).raise_for_status()
        expect(page.get_by_text("nobody is given regions.")).to_have_count(0, timeout=SOON)
        tab(page, "Regions")
        expect(page.locator(".region .state").first).to_have_text("open")
        change = {"kind": "rename", "id": 0, "name": "Heaven"}
        admin.post(f"{place}/class-changes", json=change).raise_for_status()
        expect(page.get_by_label("Class", exact=True)).to_contain_text("Heaven", timeout=SOON)
    label_one(campaign)
    expect(page.locator(".region .is-labelled")).to_have_count(1, timeout=SOON)


def test_a_project_that_could_not_be_reached_comes_by_itself(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    page = page_of(campaign, contexts, "reviewer")
    expect(page.locator(".cards li").first).to_be_visible()
    project = re.compile(rf"/projects/{campaign.project.id}$")
    page.route(project, lambda route: route.abort())
    page.goto(f"{campaign.url}/app/#/projects/{campaign.project.id}/people")
    expect(page.locator(".waiting")).to_contain_text("cannot be reached")
    page.unroute(project)
    expect(page.get_by_role("heading", name="Annotators")).to_be_visible(timeout=SOON)


def test_who_may_not_see_a_page_is_told_whom_it_is_for(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    page = page_of(campaign, contexts, "annotator", f"projects/{campaign.project.id}/annotate")
    expect(page.get_by_role("application")).to_be_visible()
    page.goto(f"{campaign.url}/app/#/projects/{campaign.project.id}")
    expect(page.get_by_text("This page is for reviewers of the project.")).to_be_visible()
    expect(page.locator(".warning")).to_have_count(0)
    page.locator("main").get_by_role("link", name="Annotate").click()
    expect(page.get_by_role("application")).to_be_visible()
    page = page_of(campaign, contexts, "reviewer", f"projects/{campaign.project.id}/setup")
    expect(page.get_by_text("This page is for admins of the project.")).to_be_visible()
    tab(page, "Annotators")
    expect(page.get_by_role("heading", name="Annotators")).to_be_visible()
    expect(page.locator("tbody tr").first).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def test_a_role_that_is_given_meanwhile_needs_no_reload(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(open_to_all=False)
    page = page_of(campaign, contexts, "annotator")
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    name = page.locator(".top .name").inner_text()
    with client(campaign) as admin:
        member = {"name": name, "role": "reviewer"}
        admin.post(f"/projects/{campaign.project.id}/members", json=member).raise_for_status()
    page.evaluate(f"location.hash = '#/projects/{campaign.project.id}/regions'")
    expect(page.locator(".region")).to_have_count(4, timeout=SOON)
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_count(5)


def test_a_link_logs_in_where_the_page_stands_and_who_cannot_be_logged_out_is_told(
    begin: Begin, contexts: Contexts
) -> None:
    campaign = begin()
    page = contexts().new_page()
    page.goto(f"{campaign.url}/app/")
    expect(page.locator(".login")).to_be_visible()
    token = campaign.make.annotator()
    page.goto(f"{campaign.url}/app/#token={token}/projects/{campaign.project.id}/annotate")
    expect(page.get_by_role("application")).to_be_visible()
    assert page.url.endswith(f"#/projects/{campaign.project.id}/annotate")
    page.context.set_offline(True)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("alert")).to_contain_text("You are still logged in")
    page.context.set_offline(False)
    page.get_by_role("button", name="Log out").click()
    expect(page.locator(".login")).to_be_visible()


def test_a_link_that_is_refused_leaves_who_is_logged_in(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    page = page_of(campaign, contexts, "reviewer", f"projects/{campaign.project.id}/people")
    expect(page.get_by_role("heading", name="Annotators")).to_be_visible()
    page.goto(f"{campaign.url}/app/#token=rw_nobody/projects/{campaign.project.id}/people")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The link does not log in: Nobody holds this token. You are still logged in as")
    expect(page.get_by_role("heading", name="Annotators")).to_be_visible()
    expect(page.locator(".login")).to_have_count(0)
    tab(page, "Overview")
    expect(alert).to_have_count(0)


def test_another_page_is_named_and_has_the_focus_at_its_heading(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=2)
    page, _ = reviewer_page(campaign, contexts, "regions")
    expect(page).to_have_title(f"Regions · {campaign.project.name} · regionwise")
    for name, heading in (("Annotators", "Annotators"), ("Review", "Review"), ("Overview", campaign.project.name)):
        tab(page, name)
        expect(page).to_have_title(f"{name} · {campaign.project.name} · regionwise")
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_focused()


def test_a_correction_has_the_focus_leaves_no_step_behind_and_is_of_its_project_alone(
    begin: Begin, contexts: Contexts
) -> None:
    campaign, other = begin(regions=2), begin(regions=2)
    for each in (campaign, other):
        labelled(each, each.regions[0], plain(each.regions[0], 0))
    page, _ = reviewer_page(campaign, contexts, "regions")
    before = page.evaluate("history.length")
    page.locator(f"[data-region='{campaign.regions[0].id}']").click()
    expect(page.get_by_role("application")).to_be_focused()
    page.get_by_role("button", name="Close backspace").click()
    expect(page.locator(".correct")).to_have_count(0)
    assert page.evaluate("history.length") == before + 1
    page.goto(f"{campaign.url}/app/#/projects/{campaign.project.id}/regions/{other.regions[0].id}")
    expect(page.locator(".correct")).to_contain_text("is of another project")


def test_a_stroke_right_before_the_correction_is_closed_is_kept(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=2)
    labelled(campaign, campaign.regions[0], plain(campaign.regions[0], 0))
    page, _ = reviewer_page(campaign, contexts, f"regions/{campaign.regions[0].id}")
    stage = page.get_by_role("application")
    expect(stage).to_be_focused()
    page.wait_for_timeout(300)
    page.keyboard.press("f")
    page.keyboard.press("4")
    # In one go, as a stroke and a key within a moment.
    page.evaluate("""() => {
        for (const key of ["Enter", "Backspace"]) dispatchEvent(new KeyboardEvent("keydown", { key }));
    }""")
    expect(page.locator(".correct")).to_have_count(0)
    page.locator(f"[data-region='{campaign.regions[0].id}']").click()
    expect(page.locator(".left-over")).to_contain_text("was not saved")
    page.get_by_role("button", name="Take it up").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".correct")).to_have_count(0)
    page.locator(f"[data-region='{campaign.regions[0].id}']").click()
    expect(page.locator(".versions li")).to_have_count(2)
    expect(page.locator(".left-over")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 600, 700])
def test_nothing_stands_outside_a_narrow_window(width: int, begin: Begin, contexts: Contexts) -> None:
    campaign = begin(regions=2)
    long = "a_name_without_a_single_space_" * 3
    campaign.make.annotator(name=f"{long}{width}")
    with client(campaign) as admin:
        place = f"/projects/{campaign.project.id}"
        admin.post(f"{place}/members", json={"name": f"{long}{width}", "role": "annotator"}).raise_for_status()
        admin.patch(place, json={"name": f"{long}{campaign.project.id}"}).raise_for_status()
    with campaign.make.database.write() as session:
        job = jobs.queue_job(session, project_id=campaign.project.id, kind="evaluate", now=utc_now())
        jobs.end_job(job, "failed", utc_now())
        job.error = "/a/path/without/spaces" * 20
        session.info.clear()
    labelled(campaign, campaign.regions[0], plain(campaign.regions[0], 0))
    page = page_of(campaign, contexts, "admin")
    page.set_viewport_size({"width": width, "height": 800})
    region = f"regions/{campaign.regions[0].id}"
    for place in ("", *(f"projects/{campaign.project.id}/{each}" for each in ("", "annotate", "people", region))):
        page.goto(f"{campaign.url}/app/#/{place}")
        expect(page.locator("main, .correct").first).to_be_visible()
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, place
        out = page.get_by_role("button", name="Log out").bounding_box()
        assert out, place
        assert out["x"] + out["width"] <= width, place
        assert out["y"] + out["height"] <= 42, place  # beside the way home
    stage = page.get_by_role("application").bounding_box()
    assert stage
    assert stage["width"] == width - 52
