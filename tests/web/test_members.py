"""Roles that admins change, members that they remove, and the table of them as a file."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import select

from service.tables import Annotator, Membership
from tests.web.conftest import Campaign
from tests.web.test_other_pages import end_session, page_of

pytestmark = pytest.mark.browser
Begin = Callable[..., Campaign]
Contexts = Callable[[], BrowserContext]


def roles(campaign: Campaign) -> dict[str, str]:
    """The members of the project by name, and their roles."""
    chosen = select(Annotator.name, Membership.role).join(Membership, Membership.annotator_id == Annotator.id)
    chosen = chosen.where(Membership.project_id == campaign.project.id)
    with campaign.make.database.read() as session:
        return {member.name: member.role for member in session.execute(chosen)}


def members_page(campaign: Campaign, contexts: Contexts, role: str) -> Page:
    return page_of(campaign, contexts, role, f"projects/{campaign.project.id}/people")


def test_an_admin_changes_a_role_and_removes_a_member(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    campaign.make.annotator(name="gina")
    page = members_page(campaign, contexts, "admin")
    page.get_by_label("Role of gina").select_option("reviewer")
    expect(page.get_by_label("Role of gina")).to_have_value("reviewer")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Role of gina")).to_have_value("reviewer")
    page.get_by_role("button", name="Remove gina").click()
    page.get_by_role("button", name="Keep them").click()
    assert roles(campaign)["gina"] == "reviewer"
    page.get_by_role("button", name="Remove gina").click()
    page.get_by_role("button", name="Remove them").click()
    expect(page.get_by_label("Role of gina")).to_have_count(0)
    assert "gina" not in roles(campaign)


def test_a_role_that_is_refused_is_shown_as_it_is(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    campaign.make.annotator(name="hugo")
    page = members_page(campaign, contexts, "admin")
    expect(page.get_by_label("Role of hugo")).to_have_value("annotator")
    page.route("**/members/*", lambda route: route.fulfill(status=503, body="<html>Away</html>"))
    page.get_by_label("Role of hugo").select_option("admin")
    expect(page.get_by_role("alert")).to_contain_text("503")
    expect(page.get_by_label("Role of hugo")).to_have_value("annotator")


def test_reviewers_see_roles_and_change_none(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    campaign.make.annotator("reviewer", name="ines")
    page = members_page(campaign, contexts, "reviewer")
    expect(page.locator("tbody tr").filter(has_text="ines")).to_contain_text("reviewer")
    expect(page.locator("tbody").get_by_role("combobox")).to_have_count(0)
    expect(page.locator("tbody").get_by_role("button")).to_have_count(0)


def test_the_table_is_saved_and_an_error_is_no_file(begin: Begin, contexts: Contexts) -> None:
    campaign = begin()
    page = members_page(campaign, contexts, "reviewer")
    with page.expect_download() as started:
        page.get_by_role("button", name="As CSV").click()
    assert started.value.suggested_filename == f"annotators-{campaign.project.id}.csv"
    assert started.value.path().read_text().startswith("annotator_id,name,role")
    saved: list[str] = []
    page.on("download", lambda download: saved.append(download.suggested_filename))
    page.route("**/annotators?format=csv", lambda route: route.fulfill(status=503, body="<html>Away</html>"))
    page.get_by_role("button", name="As CSV").click()
    expect(page.get_by_role("alert")).to_contain_text("The table was not saved: The service answered 503.")
    page.unroute("**/annotators?format=csv")
    end_session(page, found_by="format=csv")
    page.get_by_role("button", name="As CSV").click()
    expect(page.get_by_text("Your session has ended.")).to_be_visible()
    assert saved == []
