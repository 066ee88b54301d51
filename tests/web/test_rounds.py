"""From a region to a better network: rounds are labelled by keyboard and learned from, and the overview shows it."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service.domain.masks import encode_label_png
from tests.maker import Maker
from tests.workers.conftest import CLASSES, SETTINGS, Rectangles
from workers.client.sending import encode_rgb

pytestmark = pytest.mark.browser
Contexts = Callable[[], BrowserContext]
Working = tuple[str, Maker]
LEARNED = 60_000  # milliseconds in which a round is learned from


@pytest.fixture
def admin(working: Working) -> Iterator[tuple[httpx.Client, str]]:
    """A client of the API, and the token that it uses."""
    url, make = working
    token = make.annotator("admin")
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        yield client, token


def called(response: httpx.Response) -> Any:
    assert response.is_success, response.text
    return response.json()


def rectangles(client: httpx.Client, name: str) -> int:
    """A project of rectangles whose rounds are learned from in seconds."""
    settings = {**SETTINGS, "max_held": 4, "strategy": "random", "budget": 8, "passes_per_round": 20}
    made = called(client.post("/projects", json={"name": name, "classes": CLASSES.to_json(), "settings": settings}))
    for split, source in (("reward", Rectangles(2, 3)), ("pool", Rectangles(4, 1))):
        for number in range(len(source)):
            files = [("image", (f"{split}-{number}.png", encode_rgb(source.image(number))))]
            if split == "reward":
                ids = CLASSES.to_ids(source.label_map(number))
                files.append(("label_map", (f"{split}-{number}.png", encode_label_png(ids))))
            called(client.post(f"/projects/{made['id']}/images", data={"split": split}, files=files))
    return int(made["id"])


def label_round(page: Page, key: str) -> None:
    """Four regions, all of one class."""
    which = page.locator(".about strong, .about strong + span")  # not how long it is theirs, which changes by itself
    for _ in range(4):
        expect(which).to_have_count(2, timeout=LEARNED)
        shown = which.all_inner_texts()
        page.keyboard.press("Shift+Delete")
        page.keyboard.press(key)
        page.keyboard.press("a")
        page.keyboard.press("n")
        expect(which).not_to_have_text(shown)


def test_what_is_labelled_moves_the_miou(admin: tuple[httpx.Client, str], contexts: Contexts, working: Working) -> None:
    client, token = admin
    project = rectangles(client, "rectangles")
    place = f"{working[0]}/app/#token={token}/projects/{project}"
    watching, painting = contexts().new_page(), contexts().new_page()
    watching.goto(place)
    miou = watching.locator(".numbers > div").filter(has=watching.get_by_text("mIoU", exact=True)).locator("dd").first
    expect(watching.get_by_role("heading", name="Ready to be labelled")).to_be_visible()
    painting.goto(f"{place}/annotate")
    label_round(painting, "1")
    expect(miou).to_contain_text("%", timeout=LEARNED)
    first = miou.inner_text()
    label_round(painting, "2")
    expect(miou).not_to_have_text(first, timeout=LEARNED)
    told = [each for each in called(client.get(f"/projects/{project}/rounds"))["items"] if each["state"] == "told"]
    assert [each["number"] for each in told] == [1, 2]
    assert f"{100 * told[-1]['miou_after']:.1f}\u00a0%" == miou.inner_text()


def test_from_login_to_submit_without_a_mouse(
    admin: tuple[httpx.Client, str], contexts: Contexts, working: Working
) -> None:
    client, token = admin
    project = rectangles(client, "without a mouse")
    page = contexts().new_page()
    page.goto(f"{working[0]}/app/")
    expect(page.get_by_label("Your token")).to_be_visible()
    tab_to(page, "Your token")
    page.keyboard.type(token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="without a mouse")).to_be_visible()
    tab_to(page, f"#/projects/{project}/annotate")
    page.keyboard.press("Enter")
    expect(page.locator(".about")).to_be_visible(timeout=LEARNED)
    for key in ("3", "b", "Enter", "Alt+Shift+ArrowRight", "1", "a", "Control+Enter"):
        page.keyboard.press(key)
    expect(page.locator(".done summary")).to_contain_text("1 sent in this visit")
    for _ in range(100):
        done = called(client.get("/labels", params={"mine": True, "project": project}))["items"]
        if done:
            break
        page.wait_for_timeout(100)
    assert [each["done"] for each in done] == ["labelled"]


def tab_to(page: Page, wanted: str) -> None:
    """Go on from one thing to the next until one is called so, or leads there."""
    for _ in itertools.repeat(None, 40):
        if wanted in page.evaluate(FOCUSED):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"nobody gets to {wanted} by keyboard")


FOCUSED = """() => {
    const { labels, ariaLabel, attributes } = document.activeElement;
    return [labels?.[0]?.textContent, ariaLabel, attributes.href?.value].join(" ");
}"""
