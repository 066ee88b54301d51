"""What changes is seen without a reload: labels, jobs and what these say; and a job is cancelled by its button."""

import time
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from service.app import utc_now
from service.store import job_lines, jobs, workers
from service.store.job_lines import Line
from tests.web.conftest import Campaign
from tests.web.test_other_pages import page_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Contexts = Callable[[], BrowserContext]
SOON = 10_000  # milliseconds; the machine may be busy


def overview(campaign: Campaign, contexts: Contexts, role: str) -> tuple[Page, list[str]]:
    """The overview of a campaign once it hears of changes, and the paths that it asks for."""
    page = page_of(campaign, contexts, role)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(campaign.url)))
    with page.expect_response(lambda response: response.url.endswith("/live")) as answered:
        page.goto(f"{campaign.url}/app/#/projects/{campaign.project.id}")
    assert answered.value.status == 200
    expect(page.get_by_role("heading", name="Workers")).to_be_visible(timeout=SOON)
    page.wait_for_timeout(2000)
    return page, asked


def label_one(campaign: Campaign) -> None:
    """Somebody elsewhere labels a region."""
    with httpx.Client(
        base_url=campaign.url, headers={"Authorization": f"Bearer {campaign.make.annotator()}"}, timeout=60
    ) as client:
        (given,) = client.get("/next-regions", params={"project": campaign.project.id}).json()["items"]
        body = {"region_id": given["id"], "lease_token": given["lease_token"]}
        mask = {"mask": ("m.png", campaign.make.mask_png(given["height"], given["width"]))}
        client.post("/labels", data=body, files=mask).raise_for_status()


def test_a_label_is_seen_without_a_reload_and_nothing_is_asked_for_while_nothing_changes(
    begin: Begin, contexts: Contexts
) -> None:
    campaign = begin()
    page, asked = overview(campaign, contexts, "reviewer")
    shown = page.locator(".numbers > div").filter(has_text="Regions labelled").locator("dd").first
    expect(shown).to_have_text("0")
    asked.clear()
    page.wait_for_timeout(4000)
    assert asked == []
    label_one(campaign)
    expect(shown).to_have_text("1", timeout=SOON)


def test_a_job_is_followed_with_what_it_says_and_cancelled_by_its_button(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    page, _ = overview(campaign, contexts, "admin")
    with campaign.make.database.write() as session:
        now = utc_now()
        workers.announce(session, f"gpu-7:1:{campaign.project.id}", {}, now, host="gpu-7", pid=1)
        job = jobs.queue_job(session, project_id=campaign.project.id, kind="finish", now=now)
        session.info.clear()  # no worker is to be woken
    row = page.locator(".jobs > li").filter(has_text=f"#{job.id}")
    expect(row).to_contain_text("Training the final segmenter", timeout=SOON)
    row.get_by_text("Log").click()
    with campaign.make.database.write() as session:
        job_lines.say(session, job.id, [Line(at=now, text="Epoch 1, mIoU 0.31")])
        running = jobs.get_job(session, job.id)
        running.state, running.progress, running.started_at, running.heartbeat_at = "running", 0.42, now, now
        running.worker, running.lock = f"gpu-7:1:{campaign.project.id}", "lock"
        workers.heard_of(session, running.worker, now, job_id=job.id)
    expect(row.get_by_role("log")).to_contain_text("Epoch 1, mIoU 0.31", timeout=SOON)
    expect(row).to_contain_text("42 %")
    machine = page.locator(".workers tr").filter(has_text="gpu-7")
    expect(machine).to_contain_text("Training the final segmenter", timeout=SOON)
    row.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(row).to_contain_text("is stopping", timeout=SOON)
    with campaign.make.database.write() as session:
        assert jobs.get_job(session, job.id).cancel_requested
        jobs.cancel_job(session, jobs.owned_job(session, job.id, "lock"), now=utc_now())
        session.info.clear()
    expect(row).to_contain_text("cancelled", timeout=SOON)
    expect(row.get_by_role("button", name="Try again")).to_be_visible()


def test_a_reviewer_has_no_buttons_and_older_jobs_come_in_pages(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    with campaign.make.database.write() as session:
        for _ in range(13):
            job = jobs.queue_job(session, project_id=campaign.project.id, kind="evaluate", now=utc_now())
            jobs.end_job(job, "failed", utc_now())
            job.error = "There is no network."
    page, _ = overview(campaign, contexts, "reviewer")
    rows = page.locator(".jobs > li")
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("There is no network.")
    page.get_by_role("button", name="Older jobs").click()
    expect(rows).to_have_count(13)
    expect(page.get_by_role("button", name="Older jobs")).to_have_count(0)
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_where_no_stream_can_be_had_the_page_looks_now_and_then(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    page = page_of(campaign, contexts, "reviewer")
    page.route("**/live", lambda route: route.fulfill(status=503, body=""))
    page.goto(f"{campaign.url}/app/#/projects/{campaign.project.id}")
    shown = page.locator(".numbers > div").filter(has_text="Regions labelled").locator("dd").first
    expect(shown).to_have_text("0", timeout=SOON)
    label_one(campaign)
    begun = time.monotonic()
    expect(shown).to_have_text("1", timeout=2 * SOON)
    assert time.monotonic() - begun < 2 * SOON / 1000
    expect(page.locator(".warning").filter(has_not_text="None is there")).to_have_count(0)
