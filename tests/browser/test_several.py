"""Several requests under one verdict in a real browser: confirmed first, told one by one, with and without JavaScript, by thumb too."""

import pytest
from playwright.sync_api import Page, expect

from approvals.actions import decide
from audit.actor import Actor
from tests.browser.conftest import Enter
from tests.browser.desk import PHONE, approve, ask, ask_in_turn, box, heading, note, reject, sideways, status
from tests.conftest import Door, person

pytestmark = pytest.mark.browser
JONAS = person("jonas", "manager")


@pytest.mark.parametrize("scripted", [True, False], ids=["script", "no script"])
def test_some_of_what_is_selected_may_be_decided_by_others_meanwhile(enter: Enter, finance_door: Door, scripted: bool) -> None:
    first, second, third = ask_in_turn(finance_door, "First", "Second", "Third")
    page = enter("maria", "manager", java_script_enabled=scripted)
    for title in ("First", "Second", "Third"):
        box(page, title).check()
    page.locator("#several").get_by_role("button", name="Approve").click()
    expect(page.locator("#sheet h1")).to_have_text("Approve 3 requests?")
    assert {status(each) for each in (first, second, third)} == {"pending"}
    decide(actor=JONAS, approval_id=second.pk, verdict="rejected", note="No.")
    note(page).fill("All within the plan.")
    approve(page).click()
    expect(page.locator("#sheet h1")).to_have_text("2 requests approved")
    expect(page.locator("#sheet section", has_text="Not decided by you")).to_contain_text("rejected by jonas")
    assert [status(each) for each in (first, second, third)] == ["approved", "rejected", "approved"]
    assert (first.notes, third.notes) == ("All within the plan.",) * 2


def test_what_wants_a_second_look_is_left_out_and_said_so(page: Page, finance_door: Door) -> None:
    plain, grave = ask(finance_door, "Plain"), ask(finance_door, "Grave", risk="high")
    page.goto("/approvals/")
    for title in ("Plain", "Grave"):
        box(page, title).check()
    page.locator("#several").get_by_role("button", name="Approve").click()
    expect(page.locator("#sheet section", has_text="second look")).to_contain_text("its risk is said to be high")
    approve(page).click()
    expect(page.locator("#sheet h1")).to_have_text("1 request approved")
    assert (status(plain), status(grave)) == ("approved", "pending")


def test_rejecting_several_asks_for_one_reason_for_all(page: Page, finance_door: Door) -> None:
    requests = ask_in_turn(finance_door, "First", "Second")
    page.goto("/approvals/")
    box(page, "First").check()
    box(page, "Second").click(modifiers=["Shift"])
    page.locator("#several").get_by_role("button", name="Reject").click()
    expect(note(page)).to_be_focused()
    reject(page).click()
    expect(page.get_by_role("alert")).to_contain_text("A rejection needs a reason")
    assert {status(each) for each in requests} == {"pending"}
    page.keyboard.type("A freeze until January.")
    reject(page).click()
    expect(page.locator("#sheet h1")).to_have_text("2 requests rejected")
    assert {status(each) for each in requests} == {"rejected"}


def test_a_selection_survives_the_lists_refresh(page: Page, finance_door: Door) -> None:
    ask(finance_door, "First")
    page.goto("/approvals/")
    box(page, "First").check()
    ask(finance_door, "Second")
    expect(box(page, "Second")).to_be_visible(timeout=6_000)
    expect(box(page, "First")).to_be_checked()
    expect(box(page, "First")).to_be_focused()
    expect(page.locator("#chosen")).to_have_text("1 selected")


def test_by_thumb_on_a_phone(enter: Enter, finance_door: Door, finance: Actor) -> None:
    requests = ask_in_turn(finance_door, "First", "Second")
    page = enter("maria", "manager", **PHONE)
    for title in ("First", "Second"):
        box(page, title).tap()
    page.locator("#several").get_by_role("button", name="Approve").tap()
    expect(heading(page, "Approve 2 requests?")).to_be_visible()
    assert sideways(page) == 0
    approve(page).tap()
    expect(heading(page, "2 requests approved")).to_be_visible()
    assert {status(each) for each in requests} == {"approved"}
