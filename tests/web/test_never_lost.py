"""Work that survives reloads, lost networks and lost leases; regions that nobody else gets."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import APIResponse, Route, expect
from sqlalchemy import select, update

from service.tables import Annotator, Lease, Region
from tests.web.conftest import Campaign
from tests.web.screen import Screen
from tests.web.test_painting import labels_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Enter = Callable[[Campaign], Screen]


def test_a_reload_gives_back_what_was_painted(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.keys("b", "4")
    screen.square_brush(9)
    screen.click(20.5, 20.5)
    screen.page.mouse.move(*screen.at(50.5, 50.5))
    screen.page.mouse.down()
    screen.page.mouse.move(*screen.at(60.5, 50.5))
    screen.page.wait_for_timeout(400)
    screen.page.reload()  # within a stroke
    assert screen.wait_for_region().id == region.id
    expect(screen.page.locator(".about")).to_contain_text("taken up where it was left")
    screen.submit()
    stored = labels_of(campaign, region)[0]
    assert (stored[16:25, 16:25] == 3).all()


def test_labels_wait_for_the_network_and_are_sent_once(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    regions = []
    expect(screen.page.locator(".sending")).to_have_text("")
    screen.page.wait_for_timeout(1500)  # until the next two are ready
    screen.page.context.set_offline(True)
    for key in "12":
        regions.append(screen.region())
        screen.keys(key, "a")
        screen.submit()
    expect(screen.page.locator(".sending")).to_contain_text("Offline: 2 kept here")
    screen.page.context.set_offline(False)
    for place, region in enumerate(regions):
        stored = labels_of(campaign, region)
        assert len(stored) == 1
        assert (stored[0] == place).all()
    expect(screen.page.locator(".sending")).not_to_contain_text("Offline")


def test_what_was_sent_does_not_come_again_by_an_answer_that_was_on_its_way(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    screen.page.wait_for_timeout(1500)  # until the next two are ready
    late: list[tuple[Route, APIResponse]] = []
    screen.page.route("**/next-regions*", lambda route: late.append((route, route.fetch())), times=1)
    seen = []
    for _ in range(2):
        seen.append(screen.region())
        screen.keys("1", "a")
        screen.submit()
        labels_of(campaign, seen[-1])
        while not late:
            screen.page.wait_for_timeout(50)
    route, answer = late[0]
    assert seen[1].id in {each["id"] for each in answer.json()["items"]}
    route.fulfill(response=answer)
    for _ in range(2):
        seen.append(screen.wait_for_region())
        screen.keys("1", "a")
        screen.submit()
    assert len({region.id for region in seen}) == 4
    expect(screen.page.locator(".about")).to_have_count(0)


def test_a_label_that_is_not_sent_survives_the_page(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.page.route("**/labels", lambda route: route.abort())
    screen.keys("3", "a")
    screen.submit()
    expect(screen.page.locator(".sending")).to_contain_text("Offline: 1 kept here")
    screen.page.unroute("**/labels")
    screen.page.reload()
    stored = labels_of(campaign, region)
    assert len(stored) == 1
    assert (stored[0] == 2).all()


def test_a_lost_lease_is_said_and_the_work_kept(begin: Begin, enter: Enter) -> None:
    campaign = begin(regions=1)
    screen = enter(campaign)
    region = screen.region()
    screen.keys("1", "a")
    campaign.make.annotator(name=f"quicker {region.id}")
    now = campaign.make.clock()
    with campaign.make.database.write() as session:
        other = session.scalars(select(Annotator.id).where(Annotator.name == f"quicker {region.id}")).one()
        session.execute(update(Lease).where(Lease.region_id == region.id).values(ended_at=now, end="expired"))
        session.add(
            Lease(region_id=region.id, annotator_id=other, created_at=now, expires_at=now + timedelta(minutes=9))
        )
    screen.submit()
    expect(screen.page.locator(".sending")).to_contain_text(f"region {region.id}")
    expect(screen.page.locator(".sending")).to_contain_text("another annotator holds the region")
    assert labels_of(campaign, region, at_least=0) == []


def test_two_browsers_never_get_the_same_region(begin: Begin, enter: Enter) -> None:
    campaign = begin(regions=8)
    screens = [enter(campaign), enter(campaign)]
    seen: list[list[int]] = [[], []]
    for _ in range(3):
        for screen, own in zip(screens, seen, strict=True):
            own.append(screen.region().id)
            screen.keys("1", "a")
            screen.submit()
    assert not set(seen[0]) & set(seen[1])
    assert len(set(seen[0] + seen[1])) == 6


def test_skipping_with_a_reason(begin: Begin, enter: Enter) -> None:
    campaign = begin()
    screen = enter(campaign)
    region = screen.region()
    screen.keys("x")
    screen.page.get_by_role("button", name="The image is blurred.").click()
    expect(screen.page.locator(".about")).to_be_visible()
    screen.page.wait_for_timeout(500)
    with campaign.make.database.read() as session:
        row = session.get_one(Region, region.id)
        assert (row.state, row.skip_reason) == ("skipped", "The image is blurred.")
    assert screen.region().id != region.id
