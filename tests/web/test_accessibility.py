"""Whoever sees, hears or moves otherwise can use every page: nothing that axe-core calls serious, in light and dark."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from service.tables import Job, Round
from tests.web.conftest import Campaign
from tests.web.screen import Screen
from tests.web.test_painting import labels_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Enter = Callable[[Campaign], Screen]
Scheme = Literal["light", "dark"]
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
FOUND = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """A page, its place behind the #, and what is there once it stands."""

    place: str
    shown: str
    keys: tuple[str, ...] = ()


PAGES = {
    "home": Visited(place="", shown=".cards li"),
    "create": Visited(place="new", shown=".own-classes"),
    "overview": Visited(place="projects/{}", shown=".learning circle"),
    "annotate": Visited(place="projects/{}/annotate", shown=".about"),
    "keys": Visited(place="projects/{}/annotate", shown=".about", keys=("?",)),
    "skip": Visited(place="projects/{}/annotate", shown=".about", keys=("x",)),
    "regions": Visited(place="projects/{}/regions", shown=".gallery .region"),
    "review": Visited(place="projects/{}/review", shown=".review .legend li"),
    "annotators": Visited(place="projects/{}/people", shown="tbody td"),
    "set-up": Visited(place="projects/{}/setup", shown=".people li"),
    "settings": Visited(place="projects/{}/settings", shown=".bar button"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stocked:
    """A project in which all pages have something to show, and the token of its admin."""

    campaign: Campaign
    token: str


@pytest.fixture(scope="module")
def made() -> dict[str, Stocked]:
    return {}


@pytest.fixture
def stocked(made: dict[str, Stocked], begin: Begin, enter: Enter) -> Stocked:
    if "one" not in made:
        campaign = begin(regions=8, prediction=True, review="all")
        screen = enter(campaign)
        region = screen.region()
        screen.keys("1", "a")
        screen.submit()
        labels_of(campaign, region)
        measured(campaign)
        made["one"] = Stocked(campaign=campaign, token=campaign.make.annotator("admin"))
    return made["one"]


def measured(campaign: Campaign) -> None:
    """As if two rounds had been learned from, and a job had failed."""
    now = campaign.make.clock()
    project = campaign.project.id
    figures = {"iou_per_class": [0.8, 0.4, *[None] * 9], "seconds": {}, "note": "", "state": "told"}
    with campaign.make.database.write() as session:
        for number, miou in ((2, 0.31), (3, 0.42)):
            session.add(Round(project_id=project, number=number, size=4, miou_after=miou, created_at=now, **figures))
        session.add(
            Job(project_id=project, kind="finish", state="failed", payload={}, error="Too few images.", created_at=now)
        )


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    assert AXE.exists(), "npm ci in web/"
    scheme: Scheme = request.param
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    context.add_init_script(path=AXE)  # the policy of the pages lets in no script of another kind
    yield context.new_page()
    context.close()


def assert_nothing_serious(page: Page) -> None:
    found: list[Any] = page.evaluate(FOUND)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_nobody_out(name: str, stocked: Stocked, page: Page) -> None:
    visited, campaign = PAGES[name], stocked.campaign
    page.goto(f"{campaign.url}/app/#token={stocked.token}/{visited.place.format(campaign.project.id)}")
    expect(page.locator(visited.shown).first).to_be_visible(timeout=30_000)
    for key in visited.keys:
        page.keyboard.press(key)
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert_nothing_serious(page)


def test_logging_in_keeps_nobody_out(stocked: Stocked, page: Page) -> None:
    page.goto(f"{stocked.campaign.url}/app/")
    page.get_by_label("Your token").fill("rw_nobody")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert_nothing_serious(page)
