"""The project's page: what it shows is what the API says, in figures, on charts and in the tables beside them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect
from sqlalchemy import select

from service.domain.classes import CAMVID
from service.tables import Annotator, Label, Region, Round
from tests.web.conftest import Campaign
from tests.web.test_other_pages import page_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Contexts = Callable[[], BrowserContext]


def tell(campaign: Campaign, rounds: int) -> None:
    """Have the campaign's first round learned from, and as many more as that, of which another strategy asked for the last."""
    make, project, rng = campaign.make, campaign.project, np.random.default_rng(0)
    for number in range(2, rounds + 1):
        make.round_(project, make.images(project, 1), regions=4, number=number)
    make.round_(project, make.images(project, 1), regions=4, number=rounds + 1)
    make.annotator(name=f"painter of {project.id}")
    with make.database.write() as session:
        person = session.scalars(select(Annotator.id).where(Annotator.name == f"painter of {project.id}")).one()
        told = session.scalars(select(Round).where(Round.project_id == project.id, Round.number <= rounds)).all()
        for each in told:
            each.state, each.strategy = "told", "random" if each.number < rounds else "learned"
            each.miou_after = 0.3 + each.number / 10
            each.iou_per_class = [*rng.random(10).tolist(), None]
            each.class_counts = rng.integers(100, 9000, 11).tolist()
            each.pool_shares = rng.dirichlet(np.ones(11)).tolist()
        for place, region in enumerate(session.scalars(select(Region).where(Region.project_id == project.id))):
            if region.round_id not in {each.id for each in told}:
                continue
            region.state, region.answers = "labelled", 1
            label = Label(region_id=region.id, annotator_id=person, version=1, digest="", class_counts=[0] * 11)
            label.mask, label.created_at = b"", make.clock() - timedelta(minutes=100 - 5 * place)
            label.seconds = None if place == 0 else 60.0 * place
            session.add(label)


def asked(page: Page, campaign: Campaign, what: str = "") -> Any:
    return page.request.get(f"{campaign.url}/projects/{campaign.project.id}{what}").json()


def percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def rows_of(section: Locator) -> list[list[str]]:
    section.get_by_text("Show as table").click()
    return [row.locator("th, td").all_inner_texts() for row in section.locator(".as-table tbody tr").all()]


def number_of(page: Page, name: str) -> Locator:
    return page.locator(".numbers > div").filter(has=page.get_by_text(name, exact=True)).locator("dd")


def test_what_is_shown_is_what_the_api_says(begin: Begin, contexts: Contexts) -> None:
    campaign = begin(budget=40)
    tell(campaign, 3)
    page = page_of(campaign, contexts, "reviewer", f"projects/{campaign.project.id}")
    expect(number_of(page, "mIoU").first).to_have_text("60.0\u00a0%")
    progress, rounds = asked(page, campaign, "/progress"), asked(page, campaign, "/rounds")["items"]
    assert asked(page, campaign)["miou"] == pytest.approx(0.6)
    expect(number_of(page, "mIoU").last).to_have_text("+20.0 points since the first round")
    assert (progress["budget"]["labelled"], progress["points"][-1]["untimed"]) == (12.0, 1)
    expect(number_of(page, "Regions labelled").first).to_have_text("12 of 40")
    assert number_of(page, "Labels an hour").first.inner_text() == f"{progress['pace']['hour']:.3g}"
    expect(number_of(page, "Expected finish").last).to_have_text(progress["finish"]["sentence"])
    expect(number_of(page, "Now").first).to_have_text("Round 4")
    expect(number_of(page, "Now").last).to_contain_text("open, 0 of 4 labelled, since")

    learning = page.locator("section.learning").first
    who = ["random", "random", "the shipped policy"]
    assert rows_of(learning) == [
        [
            str(each["round"]),
            who[place],
            str(each["regions"]),
            f"{each['pixels']:,}",
            f"{each['seconds'] / 3600:.2f}",
            percent(each["miou"]),
        ]
        for place, each in enumerate(progress["points"])
    ]
    expect(learning.locator(".break text")).to_have_text("the shipped policy")
    learning.get_by_role("button", name="Hours").click()
    expect(learning.get_by_text("1 label came without seconds")).to_be_visible()
    learning.locator(".chart svg").focus()
    page.keyboard.press("Home")
    expect(learning.get_by_role("status")).to_contain_text("Round 1: 40.0\u00a0%")
    page.keyboard.press("ArrowRight")
    expect(learning.get_by_role("status")).to_contain_text("Round 2: 50.0\u00a0%")
    expect(learning.get_by_role("status")).to_contain_text("asked by random")
    page.keyboard.press("Escape")
    expect(learning.get_by_role("status")).to_have_count(0)
    circle = learning.locator("circle").last.bounding_box()
    assert circle
    page.mouse.move(circle["x"] + 2, circle["y"] + 2)
    expect(learning.get_by_role("status")).to_contain_text("Round 3: 60.0\u00a0%")

    classes = page.locator("section.per-class")
    assert rows_of(classes)[0][:4] == ["Sky", *(percent(each["iou_per_class"]["Sky"]) for each in rounds[:3])]
    shares = page.locator("section.shares")
    assert rows_of(shares) == [
        *([name, *(percent(progress[of]["shares"][name]) for of in ("labelled", "pool"))] for name in CAMVID.names),
        ["Entropy in nats", *(f"{progress[of]['entropy']:.2f}" for of in ("labelled", "pool"))],
    ]
    expect(page.locator("section.saving")).to_contain_text("No policy was trained on this project yet")


def test_choices_are_remembered_and_classes_are_in_the_order_of_their_iou(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    tell(campaign, 2)
    page = page_of(campaign, contexts, "reviewer", f"projects/{campaign.project.id}")
    page.get_by_role("button", name="Hours").click()
    page.get_by_label("Order").select_option("highest")
    page.reload()
    expect(page.get_by_role("button", name="Hours")).to_have_attribute("aria-pressed", "true")
    newest = asked(page, campaign, "/rounds")["items"][1]["iou_per_class"]
    best_first = sorted(newest, key=lambda name: -1 if newest[name] is None else newest[name], reverse=True)
    expect(page.locator(".per-class li .name")).to_have_text(best_first)
    assert page.locator(".per-class li .value").all_inner_texts() == [percent(newest[name], 0) for name in best_first]


def test_what_games_have_said_is_shown_beside(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    tell(campaign, 2)
    make = campaign.make
    policy, _ = make.checkpoint(campaign.project), make.checkpoint(campaign.project, "segmenter")
    course = {"cells": [24.0, 48.0], "mean": [40.0, 50.0], "low": [38.0, 49.0], "high": [42.0, 51.0]}
    compared = {"games": 3, "areas": {"own": 45.0, "random": 41.0}, "courses": {"own": course, "random": course}}
    saved = {"miou": 50.0, "random_cells": 48.0, "cells": 36.0, "share": 0.25, "low": 0.2, "high": 0.5}
    with make.database.write() as session:
        session.merge(policy).description = {"winner": "own", "compared": compared, "saved": saved}
        of_project = select(Round).where(Round.project_id == campaign.project.id, Round.strategy == "learned")
        session.scalars(of_project).one().policy_id = policy.id
    page = page_of(campaign, contexts, "reviewer", f"projects/{campaign.project.id}")
    simulated = page.locator("section.learning").last
    expect(simulated.locator(".legend li")).to_have_text(["the project's own policy", "random"])
    assert rows_of(simulated)[0] == ["the project's own policy", "24", "40.0\u00a0%", "38.0\u00a0% to 42.0\u00a0%"]
    expect(page.locator("section.saving")).to_contain_text(
        "took 36 regions to the mIoU of 50.0\u00a0% that random took 48 for: 25\u00a0% fewer"
    )
    # Of eight regions four were asked for by the policy.
    expect(page.locator("section.saving")).to_contain_text("about 1 label (")


def test_of_an_empty_project_it_is_said_what_to_do(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    empty = campaign.make.project(f"empty beside {campaign.project.id}")
    page = page_of(campaign, contexts, "admin", f"projects/{empty.id}")
    page.locator(".begin").get_by_role("link", name="Set up").click()
    expect(page.locator("main.setup")).to_be_visible()
    campaign.make.images(empty, 2)
    page = page_of(campaign, contexts, "reviewer", f"projects/{empty.id}")
    expect(page.locator(".begin")).to_contain_text("2 images divide into 8 regions")
    expect(page.locator(".begin").get_by_role("link", name="Annotate")).to_be_visible()
