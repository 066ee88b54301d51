"""Whoever comes for the first time gets to a region without reading anything: in the demo, and with images of their own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, expect
from sqlalchemy import select

from service.tables import Label, Project, Region
from tests.maker import Maker
from tests.web.arriving import arrived

pytestmark = pytest.mark.browser
Contexts = Callable[[], BrowserContext]
ROOT = Path(__file__).parents[2]
CHOSEN = 60_000  # milliseconds in which a first round is chosen


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[str]:
    """The link that the demo prints on its first start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGIONWISE_")}
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "service", "demo", "--port", str(port)],
        cwd=ROOT,
        env={**kept, "REGIONWISE_DATA_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    found = next(filter(None, (re.search(r"Open (\S+#token=\S+)", line) for line in process.stdout)), None)
    assert found
    yield found[1]
    process.send_signal(signal.SIGTERM)
    process.wait()
    process.stdout.close()


def test_the_demo_s_link_is_three_clicks_from_a_region(printed: str, contexts: Contexts) -> None:
    page = contexts().new_page()
    page.goto(printed)
    clicks = 0

    def clicked(on: Locator) -> None:
        nonlocal clicks
        on.click()
        clicks += 1

    clicked(page.get_by_role("link", name="Annotate"))
    expect(page.locator(".about")).to_be_visible(timeout=CHOSEN)
    clicked(page.locator("canvas"))  # the middle of the region, with the brush that is in the hand
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    assert clicks <= 3


def test_a_first_visitor_labels_a_region_of_their_own_image(
    working: tuple[str, Maker], contexts: Contexts, tmp_path: Path
) -> None:
    url, make = working
    (tmp_path / "own.png").write_bytes(make.picture(96, 128))
    page = contexts().new_page()
    page.goto(f"{url}/app/#token={make.annotator('admin')}")
    page.get_by_role("link", name="New project").click()
    page.get_by_label("Name", exact=True).fill("cells")
    page.get_by_label("Name of class 1").fill("Cell")
    page.get_by_role("button", name="Create").click()
    page.get_by_label("Drop images or a zip here").set_input_files([tmp_path / "own.png"])
    expect(page.get_by_role("status").filter(has_text="1 of 1 sent, 1 new")).to_be_visible()
    page.get_by_role("link", name="Annotate").click()
    expect(page.locator(".about")).to_contain_text("own.png", timeout=CHOSEN)
    page.get_by_role("option", name="Cell").click()
    page.get_by_role("button", name="Rest is Cell").click()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("1 sent in this visit")).to_be_visible()
    of_cells = select(Label.class_counts).join(Region, Region.id == Label.region_id).join(Project)
    (counts,) = arrived(make, of_cells.where(Project.name == "cells"))
    assert counts[0] == 0
    assert counts[1] > 0
