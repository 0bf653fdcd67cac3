"""The inbox in a real browser: live, without losing a half-typed note; with and without JavaScript; on a phone; in the dark."""

import re

import pytest
from playwright.sync_api import Page, expect

from approvals.models import Approval
from tests.browser.conftest import Enter, Watch
from tests.browser.desk import PHONE, approve, ask, note, reject, row, sideways
from tests.conftest import Door

pytestmark = pytest.mark.browser


def test_a_new_request_appears_by_itself_and_a_half_typed_note_survives(page: Page, finance_door: Door) -> None:
    expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    ask(finance_door, "Q3 cloud budget")
    row(page, "Q3 cloud budget").get_by_role("link").click(timeout=5_000)
    expect(page).to_have_url(re.compile(r"/approvals/[0-9a-f-]{36}/"))
    note(page).press_sequentially("Agreed, but come")
    ask(finance_door, "Fourteen laptops")
    expect(row(page, "Fourteen laptops")).to_be_visible(timeout=5_000)
    expect(page).to_have_title("(2) Approvals")
    expect(page.locator("#waiting")).to_have_text("2")
    expect(page.locator("#news")).to_have_text("1 new request")
    expect(row(page, "Q3 cloud budget").get_by_role("link")).to_have_attribute("aria-current", "true")
    expect(note(page)).to_be_focused()
    page.keyboard.type(" back in October.")
    expect(note(page)).to_have_value("Agreed, but come back in October.")
    approve(page).click()
    expect(page.locator(".outcome")).to_contain_text("approved by maria (you)")
    expect(page.locator(".outcome")).to_contain_text("Agreed, but come back in October.")
    expect(row(page, "Q3 cloud budget")).to_contain_text("approved by maria")  # greyed, in its place
    expect(page.locator("#waiting")).to_have_text("1")
    expect(page.get_by_role("link", name="Next request")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Fourteen laptops")).to_be_visible()
    assert Approval.objects.get(status="approved").notes == "Agreed, but come back in October."


def test_the_list_is_asked_for_again_and_again_and_swapped_only_when_it_changed(page: Page, finance_door: Door) -> None:
    ask(finance_door, "Q3 cloud budget")
    expect(row(page, "Q3 cloud budget")).to_be_visible(timeout=5_000)
    with page.expect_response(lambda answer: "since=" in answer.url and answer.status == 304, timeout=12_000):
        page.evaluate("document.querySelector('#rows ol').id = 'untouched'")
    page.wait_for_timeout(300)
    assert page.locator("#untouched").count() == 1


def test_a_second_tab_that_comes_too_late_is_told_who_was_first_and_keeps_its_note(
    page: Page, finance_door: Door, enter: Enter, watch: Watch
) -> None:
    approval = ask(finance_door, "Q3 cloud budget")
    jonas = enter("jonas", "manager")
    for tab in (page, jonas):
        tab.goto(f"/approvals/{approval.pk}/")
    note(jonas).fill("Not before December.")
    approve(page).click()
    expect(page.locator(".outcome")).to_contain_text("approved by maria (you)")
    watch.expected.add(409)
    reject(jonas).click()
    expect(jonas.get_by_role("alert")).to_contain_text("maria approved it at")
    expect(jonas.locator("#unsent")).to_have_text("Not before December.")
    expect(approve(jonas)).to_have_count(0)
    approval.refresh_from_db()
    assert (approval.status, approval.decided_by) == ("approved", "local|maria")


def test_a_rejection_asks_for_its_reason_in_place(page: Page, finance_door: Door) -> None:
    approval = ask(finance_door, "Q3 cloud budget")
    page.goto(f"/approvals/{approval.pk}/")
    reject(page).click()
    expect(page.get_by_role("alert")).to_contain_text("A rejection needs a reason")
    expect(note(page)).to_be_focused()
    page.keyboard.type("Over the limit.")
    reject(page).click()
    expect(page.locator(".outcome")).to_contain_text("rejected by maria (you)")


def test_a_double_click_is_one_verdict_and_no_error(page: Page, finance_door: Door) -> None:
    approval = ask(finance_door, "Q3 cloud budget")
    page.goto(f"/approvals/{approval.pk}/")
    approve(page).dblclick()
    expect(page.locator(".outcome")).to_contain_text("approved by maria (you)")
    page.wait_for_timeout(500)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_everything_works_without_javascript(finance_door: Door, enter: Enter, watch: Watch) -> None:
    first, second = ask(finance_door, "Q3 cloud budget"), ask(finance_door, "Fourteen laptops")
    page = enter("maria", "manager", java_script_enabled=False)
    row(page, "Q3 cloud budget").get_by_role("link").click()
    watch.expected |= {409, 422}
    reject(page).click()
    expect(page.get_by_role("alert")).to_contain_text("A rejection needs a reason")
    note(page).fill("Agreed.")
    approve(page).click()
    expect(page).to_have_url(re.compile(f"/approvals/{first.pk}/\\?tab=mine$"))
    expect(page.locator(".outcome")).to_contain_text("approved by maria (you)")
    page.get_by_role("link", name="Next request").click()
    jonas = enter("jonas", "manager", java_script_enabled=False)
    jonas.goto(f"/approvals/{second.pk}/")
    approve(jonas).click()
    approve(page).click()
    expect(page.get_by_role("alert")).to_contain_text("jonas approved it at")


def test_on_a_phone_nothing_scrolls_sideways_and_the_buttons_are_in_reach(finance_door: Door, enter: Enter) -> None:
    ask(
        finance_door,
        "A title that is quite a bit longer than any phone is wide, " * 3,
        link="https://example.com/" + "a" * 300,
        items=[{"x": "y" * 200}],
    )
    page = enter("maria", "manager", **PHONE)
    expect(page.locator("#sheet")).to_be_hidden()
    assert sideways(page) == 0
    row(page, "A title").get_by_role("link").tap()
    expect(page.locator("#rows")).to_be_hidden()
    assert sideways(page) == 0
    for target in (approve(page), reject(page), note(page), page.get_by_role("link", name="Back to the list (1)")):
        box = target.bounding_box()
        assert box and box["height"] >= 44 and box["y"] >= 0 and box["y"] + box["height"] <= 844
    approve(page).tap()
    expect(page.locator(".outcome")).to_contain_text("approved by maria (you)")
    assert sideways(page) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(finance_door: Door, enter: Enter, scheme: str) -> None:
    ask(finance_door, "Q3 cloud budget", risk="high")
    page = enter("maria", "manager", color_scheme=scheme)
    faint = page.evaluate(CONTRAST)
    assert faint == []


def test_the_account_menu_opens_closes_and_signs_out(page: Page) -> None:
    menu = page.get_by_role("button", name="Sign out")
    expect(menu).to_be_hidden()
    page.locator(".account summary").click()
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    page.locator(".account summary").click()
    menu.click()
    expect(page).to_have_url(re.compile("/sign-in/"))


def test_back_leads_back_to_the_list_and_no_request_is_kept_in_the_browsers_stores(page: Page, finance_door: Door) -> None:
    ask(finance_door, "Q3 cloud budget")
    ask(finance_door, "Fourteen laptops")
    row(page, "Fourteen laptops").get_by_role("link").click(timeout=6_000)
    expect(page.get_by_role("heading", name="Fourteen laptops")).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile(r"/approvals/$"))
    expect(page.get_by_role("heading", name="Q3 cloud budget")).to_be_visible()
    assert "laptops" not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")


#: Every visible text whose contrast with what is behind it is under 4.5:1.
CONTRAST = """() => {
  const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = (colour) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (e) => {
    for (; e; e = e.parentElement) { const found = rgb(getComputedStyle(e).backgroundColor); if (found[3] === 255) return found; }
    return [255, 255, 255];
  };
  const says = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  const faint = (e) => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05) < 4.5;
  };
  const seen = [...document.querySelectorAll("body *")].filter((e) => says(e) && e.checkVisibility() && !e.closest(".unseen"));
  return seen.filter(faint).map((e) => `${e.className} ${e.textContent.trim().slice(0, 30)}`);
}"""
