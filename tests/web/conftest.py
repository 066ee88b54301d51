"""A browser, a server as a process of its own, and annotators before regions of a project of theirs."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from service import migrate
from service.app import utc_now
from service.blobs import Blobs
from service.db import Database
from service.pages import BUILT
from service.tables import Project, Region
from tests.maker import Maker
from tests.service.siege import Besieged
from tests.web.screen import Screen

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.fail("These tests need Chromium: install it, or name it in CHROMIUM.")
    if not (BUILT / "index.html").exists():
        pytest.fail("The pages are not built: make pages.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Besieged, Maker]]:
    folder = tmp_path_factory.mktemp("served")
    url = f"sqlite:///{folder}/web.db"
    migrate.upgrade(url)
    database = Database(url)
    server = Besieged(folder, url)
    yield server, Maker(database, Blobs((folder / "blobs").as_uri()), utc_now)
    server.close()
    database.engine.dispose()


@pytest.fixture(scope="session")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Maker]]:
    """Where a server is that does jobs in its own process, and what makes rows in its database."""
    folder = tmp_path_factory.mktemp("working")
    url = f"sqlite:///{folder}/web.db"
    migrate.upgrade(url)
    database = Database(url)
    server = Besieged(folder, url, broker_url="memory://")
    yield f"http://127.0.0.1:{server.port}", Maker(database, Blobs((folder / "blobs").as_uri()), utc_now)
    server.close()
    database.engine.dispose()


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A project with an open round."""

    make: Maker
    project: Project
    regions: list[Region]
    url: str


@pytest.fixture
def begin(served: tuple[Besieged, Maker]) -> Callable[..., Campaign]:
    """Makes a project with an open round of as many regions, of images of 180 x 160."""
    server, make = served

    def made(regions: int = 4, *, prediction: bool = False, **settings: Any) -> Campaign:
        project = make.project(f"web {next(_NUMBERS)}", **settings)
        images = make.images(project, 2)
        found = make.round_(project, images, regions=regions, prediction=prediction)
        return Campaign(make=make, project=project, regions=found, url=f"http://127.0.0.1:{server.port}")

    return made


@pytest.fixture
def contexts(browser: Browser) -> Iterator[Callable[[], BrowserContext]]:
    """Makes browser profiles that know nothing of each other."""
    made: list[BrowserContext] = []

    def new() -> BrowserContext:
        made.append(browser.new_context(viewport={"width": 1280, "height": 800}))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def enter(contexts: Callable[[], BrowserContext]) -> Callable[[Campaign], Screen]:
    """Has a new annotator come to paint."""

    def entered(campaign: Campaign) -> Screen:
        token = campaign.make.annotator()
        page = contexts().new_page()
        _fail_on_errors(page)
        page.goto(f"{campaign.url}/app/#token={token}/projects/{campaign.project.id}/annotate")
        screen = Screen(page, {region.id: region for region in campaign.regions})
        screen.wait_for_region()
        return screen

    return entered


def _fail_on_errors(page: Page) -> None:
    page.on("pageerror", lambda error: pytest.fail(f"The page threw {error}"))
