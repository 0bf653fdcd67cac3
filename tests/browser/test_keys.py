"""The inbox by keys alone: moving, opening, deciding, selecting; never while somebody types, and not at all if switched off."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Enter
from tests.browser.desk import approve, ask, ask_in_turn, box, heading, link, note, outcome, reject, row, status
from tests.conftest import Door

pytestmark = pytest.mark.browser
TITLES = ("First", "Second", "Third", "Fourth")


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def inbox(page: Page) -> None:
    """Anew, as what was asked meanwhile is in it."""
    page.goto("/approvals/")
    expect(heading(page, "First")).to_be_visible()


def test_j_and_k_move_and_enter_opens(page: Page, finance_door: Door) -> None:
    ask_in_turn(finance_door, *TITLES)
    inbox(page)
    press(page, "j")
    expect(link(page, "Second")).to_be_focused()
    press(page, "j", "j", "j", "k")
    expect(link(page, "Third")).to_be_focused()
    expect(heading(page, "First")).to_be_visible()
    press(page, "Enter")
    expect(heading(page, "Third")).to_be_visible()
    expect(link(page, "Third")).to_have_attribute("aria-current", "true")


def test_a_approves_the_open_request_with_one_key_and_enter_leads_to_the_next(page: Page, finance_door: Door) -> None:
    first, second, *_others = ask_in_turn(finance_door, *TITLES)
    inbox(page)
    press(page, "a")
    expect(outcome(page)).to_contain_text("approved by maria (you)")
    expect(page.get_by_role("link", name="Next request")).to_be_focused()
    press(page, "Enter")
    expect(heading(page, "Second")).to_be_visible()
    assert (status(first), status(second)) == ("approved", "pending")


def test_a_on_a_row_that_is_not_open_opens_it_and_decides_nothing(page: Page, finance_door: Door) -> None:
    first, second, *_others = ask_in_turn(finance_door, *TITLES)
    inbox(page)
    press(page, "j", "a")
    expect(heading(page, "Second")).to_be_visible()
    assert (status(first), status(second)) == ("pending", "pending")
    press(page, "a")
    expect(outcome(page)).to_contain_text("approved by maria (you)")
    assert (status(first), status(second)) == ("pending", "approved")


def test_r_asks_for_the_reason_and_ctrl_enter_sends_it(page: Page, finance_door: Door) -> None:
    first, *_others = ask_in_turn(finance_door, *TITLES)
    inbox(page)
    press(page, "r")
    expect(note(page)).to_be_focused()
    page.keyboard.type("Ask again in January, rajax?")
    assert status(first) == "pending"
    press(page, "Control+Enter")
    expect(outcome(page)).to_contain_text("rejected by maria (you)")
    expect(outcome(page)).to_contain_text("Ask again in January, rajax?")


def test_escape_leaves_the_note_and_r_sends_what_was_typed(page: Page, finance_door: Door) -> None:
    first, *_others = ask_in_turn(finance_door, *TITLES)
    inbox(page)
    press(page, "r")
    page.keyboard.type("No.")
    press(page, "Escape")
    expect(note(page)).not_to_be_focused()
    press(page, "r")
    expect(outcome(page)).to_contain_text("rejected by maria (you)")
    assert status(first) == "rejected"


@pytest.mark.parametrize("grave", [{"risk": "high"}, {"amount": 50_001}], ids=["risk", "amount"])
def test_a_grave_request_is_approved_with_one_key_more(page: Page, finance_door: Door, grave: dict[str, Any]) -> None:
    approval = ask(finance_door, "First", **grave)
    inbox(page)
    note(page).fill("Checked with Legal.")
    press(page, "Escape", "a")
    expect(page.get_by_role("alert")).to_contain_text("Look twice")
    expect(page.get_by_role("button", name="Yes, approve")).to_be_focused()
    assert status(approval) == "pending"
    press(page, "a")
    expect(outcome(page)).to_contain_text("approved by maria (you)")
    assert (status(approval), approval.notes) == ("approved", "Checked with Legal.")


def test_escape_draws_back_from_a_second_look(page: Page, finance_door: Door) -> None:
    approval = ask(finance_door, "First", risk="high")
    inbox(page)
    press(page, "a")
    expect(page.get_by_role("alert")).to_contain_text("Look twice")
    note(page).fill("Ask Legal first.")
    press(page, "Escape", "Escape")
    expect(reject(page)).to_be_visible()
    expect(note(page)).to_have_value("Ask Legal first.")
    assert status(approval) == "pending"


def test_x_selects_shift_x_a_range_and_escape_drops_it(page: Page, finance_door: Door) -> None:
    ask_in_turn(finance_door, *TITLES)
    inbox(page)
    press(page, "x")
    expect(box(page, "First")).to_be_checked()
    expect(page.locator("#chosen")).to_have_text("1 selected")
    press(page, "j", "j", "Shift+X")
    expect(page.locator("#chosen")).to_have_text("3 selected")
    expect(box(page, "Fourth")).not_to_be_checked()
    press(page, "x")
    expect(page.locator("#chosen")).to_have_text("2 selected")
    press(page, "Escape")
    expect(page.locator("#several")).to_be_hidden()


def test_a_decides_what_is_selected_after_a_confirmation(page: Page, finance_door: Door) -> None:
    requests = ask_in_turn(finance_door, *TITLES)
    inbox(page)
    press(page, "x", "j", "Shift+X", "a")
    expect(page.locator("#sheet h1")).to_have_text("Approve 2 requests?")
    assert {status(each) for each in requests} == {"pending"}
    press(page, "a")
    expect(page.locator("#sheet h1")).to_have_text("2 requests approved")
    assert [status(each) for each in requests] == ["approved", "approved", "pending", "pending"]
    expect(row(page, "First")).to_contain_text("approved by maria")
    expect(page.locator("#several")).to_be_hidden()


def test_no_key_counts_while_somebody_types_or_holds_a_modifier(page: Page, finance_door: Door) -> None:
    requests = ask_in_turn(finance_door, *TITLES)
    inbox(page)
    note(page).click()
    page.keyboard.type("jakarx?/")
    expect(note(page)).to_have_value("jakarx?/")
    press(page, "Escape", "/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("aaa")
    press(page, "Escape")
    for key in ("Control+A", "Alt+A", "Meta+A", "Shift+A", "Control+J", "Control+X"):
        press(page, key)
    expect(heading(page, "First")).to_be_visible()
    assert page.locator("#rows :checked").count() == 0
    assert {status(each) for each in requests} == {"pending"}


def test_the_keys_are_told_and_can_be_switched_off_for_good(page: Page, finance_door: Door) -> None:
    first, *_others = ask_in_turn(finance_door, *TITLES)
    inbox(page)
    press(page, "?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.get_by_role("checkbox", name="Keys are on").uncheck()
    press(page, "a", "Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(approve(page).locator("kbd")).to_be_hidden()
    inbox(page)
    press(page, "a", "x", "j", "?")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert status(first) == "pending" and page.locator("#rows :checked").count() == 0
    page.get_by_role("button", name="Keys").click()
    page.get_by_role("checkbox", name="Keys are on").check()
    page.get_by_role("button", name="Close").click()
    press(page, "a")
    expect(outcome(page)).to_contain_text("approved by maria (you)")


def test_the_whole_story_goes_by_keyboard_alone(enter: Enter, finance_door: Door) -> None:
    page = enter("maria", "manager", reduced_motion="reduce")
    requests = ask_in_turn(finance_door, *TITLES)
    expect(row(page, "Fourth")).to_be_visible(timeout=6_000)
    press(page, "j", "Enter")
    expect(page).to_have_url(re.compile("/approvals/[0-9a-f-]{36}/"))
    expect(heading(page, "First")).to_be_visible()
    press(page, "a")
    expect(outcome(page)).to_contain_text("approved by maria (you)")
    expect(page.get_by_role("link", name="Next request")).to_be_focused()
    press(page, "Enter")
    expect(heading(page, "Second")).to_be_visible()
    press(page, "r")
    page.keyboard.type("Not this year.")
    press(page, "Control+Enter")
    expect(outcome(page)).to_contain_text("rejected by maria (you)")
    assert [status(each) for each in requests] == ["approved", "rejected", "pending", "pending"]
