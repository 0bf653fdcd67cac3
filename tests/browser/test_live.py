"""What others do while somebody looks: it shows within seconds, and takes away neither place nor focus nor a half-typed note."""

import pytest
from playwright.sync_api import Page, expect

from approvals.actions import cancel, decide
from audit.actor import Actor
from sessions.actions import claim_task, end_task
from tests.browser.conftest import Enter, Watch
from tests.browser.desk import approve, ask, ask_in_turn, heading, link, note, outcome, reject, row
from tests.conftest import Door, agent, person
from tests.evidence import lapse_approval

pytestmark = pytest.mark.browser
JONAS = person("jonas", "manager")
SOON = 6_000


def test_an_open_request_decided_elsewhere_says_so_and_keeps_the_half_typed_note(page: Page, finance_door: Door) -> None:
    approval = ask(finance_door, "First")
    page.goto(f"/approvals/{approval.pk}/")
    note(page).press_sequentially("Not before")
    decide(actor=JONAS, approval_id=approval.pk, verdict="approved", note="Go.")
    expect(outcome(page)).to_contain_text("approved by jonas", timeout=SOON)
    expect(approve(page)).to_have_count(0)
    expect(reject(page)).to_have_count(0)
    expect(page.get_by_role("textbox", name="Note")).to_have_value("Not before")
    expect(outcome(page)).to_contain_text("Your note was not kept")
    expect(row(page, "First")).to_contain_text("approved by jonas", timeout=SOON)
    expect(row(page, "First")).to_have_class("row done")


def test_an_open_request_that_runs_out_loses_its_buttons(page: Page, finance_door: Door) -> None:
    approval = ask(finance_door, "First")
    page.goto(f"/approvals/{approval.pk}/")
    expect(approve(page)).to_be_visible()
    lapse_approval(str(approval.pk))
    expect(outcome(page)).to_contain_text("expired", timeout=SOON)
    expect(approve(page)).to_have_count(0)
    expect(page.locator(".unsent")).to_be_hidden()


def test_one_that_is_taken_back_says_so(page: Page, finance_door: Door, finance: Actor) -> None:
    approval = ask(finance_door, "First")
    page.goto(f"/approvals/{approval.pk}/")
    cancel(actor=finance, approval_id=approval.pk)
    expect(outcome(page)).to_contain_text("cancelled", timeout=SOON)


def test_a_note_and_its_caret_survive_news_about_the_open_request(page: Page, finance_door: Door) -> None:
    approval = ask(finance_door, "First")
    page.goto(f"/approvals/{approval.pk}/")
    note(page).press_sequentially("Agreed, but")
    worker = agent("manager-agent", "manager")
    claim_task(actor=worker, task_id=approval.task_id)
    expect(page.locator("#sheet .story")).to_contain_text("Task claimed by manager-agent", timeout=SOON)
    expect(note(page)).to_be_focused()
    page.keyboard.type(" later.")
    expect(note(page)).to_have_value("Agreed, but later.")
    approve(page).click()
    expect(outcome(page)).to_contain_text("Agreed, but later.")
    expect(outcome(page)).to_contain_text("manager-agent is at work on the task since")
    end_task(actor=worker, task_id=approval.task_id, status="completed", result={})
    expect(outcome(page)).to_contain_text("manager-agent completed the task", timeout=SOON)


def test_the_list_stays_where_it_was_scrolled_to(enter: Enter, finance_door: Door) -> None:
    ask_in_turn(finance_door, *(f"Request {number:02}" for number in range(20)))
    page = enter("maria", "manager", viewport={"width": 1200, "height": 500})
    link(page, "Request 12").focus()
    page.locator("#rows").evaluate("rows => rows.scrollTop = 500")
    before = link(page, "Request 12").bounding_box()
    ask(finance_door, "Urgent", expires_in=900)
    expect(row(page, "Urgent")).to_have_count(1, timeout=SOON)
    after = link(page, "Request 12").bounding_box()
    assert before and after and abs(before["y"] - after["y"]) <= 1
    expect(link(page, "Request 12")).to_be_focused()


def test_a_resized_note_and_every_swap_leave_the_console_clean(page: Page, finance_door: Door) -> None:
    ask_in_turn(finance_door, "First", "Second")
    page.goto("/approvals/")
    place = note(page).bounding_box()
    assert place
    corner = place["x"] + place["width"] - 4, place["y"] + place["height"] - 4
    page.mouse.move(*corner)
    page.mouse.down()
    page.mouse.move(corner[0], corner[1] + 60)
    page.mouse.up()
    assert "height" in (note(page).get_attribute("style") or "")
    link(page, "Second").click()
    expect(heading(page, "Second")).to_be_visible()
    approve(page).click()
    expect(outcome(page)).to_contain_text("approved by maria (you)")


@pytest.mark.parametrize("width", [961, *(pytest.param(width, marks=pytest.mark.long) for width in (768, 960, 1024))])
def test_at_any_width_there_is_room_to_read(enter: Enter, finance_door: Door, width: int) -> None:
    approval = ask(finance_door, "First")
    page = enter("maria", "manager", viewport={"width": width, "height": 800})
    page.goto(f"/approvals/{approval.pk}/")
    sheet = page.locator("#sheet").bounding_box()
    assert sheet and sheet["width"] >= 500
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0


def test_why_a_press_did_nothing_stays_until_the_next_one(page: Page, finance_door: Door, watch: Watch) -> None:
    watch.expected.add(503)
    approval = ask(finance_door, "First")
    page.goto(f"/approvals/{approval.pk}/")
    page.route("**/decide/**", lambda route: route.fulfill(status=503, headers={"Retry-After": "5"}, body="away"))
    approve(page).click()
    expect(page.locator("#notice")).to_contain_text("nothing was changed")
    with page.expect_response(lambda answer: "since=" in answer.url, timeout=12_000):
        pass
    page.wait_for_timeout(300)
    expect(page.locator("#notice")).to_contain_text("nothing was changed")
    page.unroute("**/decide/**")
    approve(page).click()
    expect(outcome(page)).to_contain_text("approved by maria (you)")
    expect(page.locator("#notice")).to_have_text("")
