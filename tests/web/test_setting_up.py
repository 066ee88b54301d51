"""Setting projects up where clicks come twice, sessions end, the screen is narrow and files are no images."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import func, select

from service.tables import Project
from tests.maker import Maker
from tests.web.conftest import Campaign
from tests.web.test_other_pages import end_session, page_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Contexts = Callable[[], BrowserContext]
IMAGES = "Drop images or a zip here"


@pytest.fixture
def campaign(begin: Begin) -> Campaign:
    return begin()


@pytest.fixture
def page(campaign: Campaign, contexts: Contexts) -> Page:
    page = page_of(campaign, contexts, "admin", f"projects/{campaign.project.id}/setup")
    page.on("pageerror", lambda error: pytest.fail(f"The page threw {error}"))
    return page


def outside(page: Page) -> list[str]:
    """What of the page's main part ends right of the screen, or lies over what is beside it."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("main, main *:not(option)")]
          .filter((each) => each.getBoundingClientRect().right > innerWidth || each.scrollWidth > each.clientWidth + 1)
          .filter((each) => !["INPUT", "SELECT"].includes(each.tagName) || each.getBoundingClientRect().right > innerWidth)
          .filter((each) => getComputedStyle(each).display !== "inline")
          .map((each) => each.outerHTML.slice(0, 80))"""
    )
    return found


def test_what_is_clicked_twice_is_done_once(campaign: Campaign, page: Page) -> None:
    started: list[str] = []
    page.on("request", lambda request: started.append(request.url) if request.url.endswith("/jobs") else None)
    page.get_by_role("button", name="Train a first segmenter").dblclick(delay=200)
    expect(page.get_by_role("status").filter(has_text="There is no label to learn from yet")).to_be_visible()
    page.get_by_label("Name of who is invited").fill("dora")
    page.get_by_role("button", name="Invite").dblclick()
    expect(page.get_by_text("dora is a member now.")).to_be_visible()
    expect(page.get_by_label("Link of dora")).to_have_count(1)
    expect(page.locator(".warning")).to_have_count(0)
    page.goto(f"{campaign.url}/app/#/new")
    page.get_by_label("Name", exact=True).fill("once")
    page.get_by_role("button", name="Create").dblclick()
    expect(page.get_by_role("heading", name="once")).to_be_visible()
    with campaign.make.database.read() as session:
        assert session.scalar(select(func.count()).where(Project.name == "once")) == 1
    assert len(started) == 1


def test_an_upload_goes_on_after_the_login(campaign: Campaign, contexts: Contexts, tmp_path: Path) -> None:
    (tmp_path / "late.png").write_bytes(Maker.picture(90, 160))
    token = campaign.make.annotator("admin")
    page = contexts().new_page()
    page.goto(f"{campaign.url}/app/#token={token}/projects/{campaign.project.id}/setup")
    expect(page.get_by_label(IMAGES)).to_be_attached()
    end_session(page, found_by="/images")
    page.get_by_label(IMAGES).set_input_files([tmp_path / "late.png"])
    expect(page.get_by_text("Your session has ended.")).to_be_visible()
    page.unroute("**/*")
    page.get_by_label("Your token").fill(token)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status").filter(has_text="1 of 1 sent, 1 new")).to_be_visible()


def test_an_upload_is_found_again_after_another_page(campaign: Campaign, page: Page, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(Maker.picture(90, 160, seed=ord(name[0])))
    page.route("**/images", lambda route: route.fulfill(status=502, body="<html>Bad gateway</html>"))
    page.get_by_label(IMAGES).set_input_files([tmp_path / "a.png", tmp_path / "b.png"])
    expect(page.get_by_role("alert")).to_contain_text("The service answered 502. 2 files are not sent.")
    page.get_by_role("navigation").get_by_role("link", name="Overview").click()
    page.get_by_role("navigation").get_by_role("link", name="Set up").click()
    page.unroute("**/images")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status").filter(has_text="2 of 2 sent, 2 new")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_admin_of_the_project_adds_whom_the_service_knows(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(open_to_all=False)
    page = page_of(campaign, contexts, "admin", f"projects/{campaign.project.id}/setup")
    campaign.make.annotator("annotator", name="bea")
    token = campaign.make.annotator("annotator", name="paula")
    page.get_by_label("Name of who is invited").fill("paula")
    page.get_by_label("Role").select_option("admin of the project")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("paula is a member now.")).to_be_visible()
    own = contexts().new_page()
    own.goto(f"{campaign.url}/app/#token={token}/projects/{campaign.project.id}/setup")
    own.get_by_label("Name of who is added").fill("bea")
    own.get_by_role("button", name="Add").click()
    expect(own.get_by_text("bea is a member now.")).to_be_visible()
    own.get_by_label("Name of who is added").fill("nobody at all")
    own.get_by_role("button", name="Add").click()
    expect(own.get_by_role("alert")).to_contain_text("only an admin of the service")


def test_a_link_is_copied(page: Page) -> None:
    page.get_by_label("Name of who is invited").fill("frank")
    page.get_by_role("button", name="Invite").click()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")  # as over plain http
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()


def test_an_export_is_named_by_the_service_and_asks_for_the_login(page: Page) -> None:
    with page.expect_download() as started:
        page.get_by_role("link", name="COCO", exact=True).click()
    assert started.value.suggested_filename.endswith(".zip")
    end_session(page, found_by="/session")
    page.get_by_role("link", name="COCO", exact=True).click()
    expect(page.get_by_text("Your session has ended.")).to_be_visible()


def test_regions_of_an_image_are_counted_as_the_service_does(campaign: Campaign, page: Page, tmp_path: Path) -> None:
    page.goto(f"{campaign.url}/app/#/new")
    (tmp_path / "small.png").write_bytes(Maker.picture(100, 100))
    (tmp_path / "broken.png").write_bytes(b"no image")
    page.get_by_label("Of a size that suits the images").uncheck()
    sample = page.get_by_label("See it on an image of yours")
    sample.set_input_files([tmp_path / "small.png"])
    expect(page.get_by_text("100 × 100: 4 regions")).to_be_visible()
    sample.set_input_files([tmp_path / "broken.png"])
    expect(page.get_by_role("alert")).to_have_text("broken.png cannot be read as an image.")
    expect(page.locator(".cells canvas")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 600])
def test_narrow_screens_hold_all_of_it(campaign: Campaign, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 720})
    page.get_by_label("Name of who is invited").fill("x" * 80 + str(width))
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_label("Link of")).to_be_visible()
    assert outside(page) == []
    drops = [drop.bounding_box() for drop in page.locator(".drop").all()]
    assert drops[0]
    assert drops[1]
    assert drops[0]["y"] + drops[0]["height"] <= drops[1]["y"] or drops[0]["x"] + drops[0]["width"] <= drops[1]["x"]
    page.goto(f"{campaign.url}/app/#/new")
    expect(page.get_by_role("button", name="Create")).to_be_visible()
    assert outside(page) == []
