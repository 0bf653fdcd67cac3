"""What the browser's tests do at the desk: have something asked, find it, read and decide it."""

from typing import Any

from playwright.sync_api import Locator, Page

from approvals.models import Approval
from tests.conftest import Door

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def ask(door: Door, title: str, expires_in: int | None = None, **task: Any) -> Approval:
    """Finance's agent asks manager, over the API."""
    routed = door.route(task={"type": "budget_approval", "title": title, "amount": 48200, "currency": "EUR", **task})
    until = {"expires_in": expires_in} if expires_in else {}
    asked = door.ask(routed.json()["task_id"], reason="The forecast is exceeded.", **until)
    assert asked.status_code == 202
    return Approval.objects.get(pk=asked.json()["approval_id"].removeprefix("approval-"))


def ask_in_turn(door: Door, *titles: str, **task: Any) -> list[Approval]:
    """Several, of which the first runs out first."""
    return [ask(door, title, expires_in=40_000 + 60 * place, **task) for place, title in enumerate(titles)]


def row(page: Page, title: str) -> Locator:
    """The request's line in the list."""
    return page.locator("#rows .row", has_text=title)


def link(page: Page, title: str) -> Locator:
    """What opens it."""
    return row(page, title).get_by_role("link")


def box(page: Page, title: str) -> Locator:
    """What selects it."""
    return row(page, title).get_by_role("checkbox")


def heading(page: Page, title: str) -> Locator:
    """The head of the request that is shown."""
    return page.locator("#sheet h1", has_text=title)


def note(page: Page) -> Locator:
    """The decider's words."""
    return page.get_by_role("textbox", name="Note")


def approve(page: Page) -> Locator:
    """The button in the sheet."""
    return page.locator("#sheet").get_by_role("button", name="Approve")


def reject(page: Page) -> Locator:
    """The button in the sheet."""
    return page.locator("#sheet").get_by_role("button", name="Reject")


def outcome(page: Page) -> Locator:
    """What became of the request that is shown."""
    return page.locator(".outcome")


def sideways(page: Page) -> int:
    """How many pixels the page is wider than the screen."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def status(approval: Approval) -> str:
    """As the database has it."""
    approval.refresh_from_db()
    return approval.status
