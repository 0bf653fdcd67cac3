"""For everybody: no serious fault that axe-core knows, thumbs meet their targets, paper shows the request, the first visit is light."""

from typing import Any

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import Enter, faults
from tests.browser.desk import PHONE, approve, ask, ask_in_turn, box, heading, outcome, sideways
from tests.conftest import Door

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param({}, "light", id="wide-light"),
        *(pytest.param(*each, marks=pytest.mark.long) for each in (({}, "dark"), (PHONE, "light"), (PHONE, "dark"))),
    ],
)
def test_no_page_of_the_inbox_has_a_serious_fault(finance_door: Door, enter: Enter, scheme: str, size: dict[str, Any]) -> None:
    plain, grave = ask(finance_door, "Plain", link="https://example.com/a"), ask(finance_door, "Grave", risk="high")
    page = enter("maria", "manager", color_scheme=scheme, **size)
    seen = {"inbox": faults(page)}
    page.locator(".narrow summary").click()
    seen["filter"] = faults(page)
    page.goto("/approvals/?q=zzz")
    seen["nothing found"] = faults(page)
    page.goto(f"/approvals/decide/?verdict=approved&id={plain.pk}&id={grave.pk}")
    seen["confirm several"] = faults(page)
    page.goto(f"/approvals/{grave.pk}/")
    page.evaluate("document.getElementById('help').showModal()")
    seen["help"] = faults(page)
    page.keyboard.press("Escape")
    approve(page).click()
    expect(page.get_by_role("button", name="Yes, approve")).to_be_visible()
    seen["second look"] = faults(page)
    page.get_by_role("button", name="Yes, approve").click()
    expect(outcome(page)).to_be_visible()
    seen["decided"] = faults(page)
    page.goto("/approvals/?tab=decided")
    seen["decided list"] = faults(page)
    assert {name: found for name, found in seen.items() if found} == {}


#: What a thumb meets that is lower or narrower than 44 px; a link within a sentence may be (WCAG 2.5.8).
SMALL = """() => [...document.querySelectorAll("a, button, summary, textarea, select, label:has(input), input:not([type=hidden])")]
  .filter((e) => e.checkVisibility() && !e.closest(".skip, p:not(.narrowed), td, .story, label:has(input) > input"))
  .map((e) => {
    const own = e.getBoundingClientRect(), more = getComputedStyle(e, "::after");
    const row = e.matches(".row a") ? e.closest(".row").getBoundingClientRect() : own;
    const reach = more.position === "absolute" && more.content !== "none" && !e.matches(".row a") ? 16 : 0;
    return [e.outerHTML.slice(0, 80), Math.round(row.width + reach), Math.round(row.height + reach)];
  })
  .filter(([, width, height]) => width && (width < 44 || height < 44))"""


def test_a_thumb_meets_every_target_and_nothing_scrolls_sideways(finance_door: Door, enter: Enter) -> None:
    first, *_others = ask_in_turn(finance_door, "First", "Second", supplier="Northgate IT", risk="medium")
    page = enter("maria", "manager", **PHONE)
    small, wide = {"inbox": page.evaluate(SMALL)}, {"inbox": sideways(page)}
    box(page, "First").tap()
    page.locator(".narrow summary").tap()
    small["filter"], wide["filter"] = page.evaluate(SMALL), sideways(page)
    for name, address in {"request": f"{first.pk}/", "several": f"decide/?verdict=rejected&id={first.pk}", "found": "?q=first"}.items():
        page.goto(f"/approvals/{address}")
        small[name], wide[name] = page.evaluate(SMALL), sideways(page)
    assert {name: found for name, found in small.items() if found} == {}
    assert set(wide.values()) == {0}


def test_on_paper_a_request_stands_alone_with_exact_times(page: Page, finance_door: Door) -> None:
    approval = ask(finance_door, "First")
    page.goto(f"/approvals/{approval.pk}/")
    page.emulate_media(media="print")
    expect(heading(page, "First")).to_be_visible()
    for part in (page.locator("#rows"), page.get_by_role("navigation", name="Main"), approve(page)):
        expect(part).to_be_hidden()
    written = page.locator(".facts time").evaluate("time => getComputedStyle(time, '::after').content + time.title")
    assert written.endswith("UTC") and "attr" not in written and "UTC" in written.split(")")[0]


def test_fifty_rows_weigh_less_than_60_kilobytes_on_the_first_visit(finance_door: Door, enter: Enter) -> None:
    approvals = [ask(finance_door, f"Request {number} about something worth a title", risk="high") for number in range(51)]
    page = enter("maria", "manager")
    state = page.context.storage_state()
    assert page.context.browser
    fresh = page.context.browser.new_context(base_url=page.url, storage_state=state, viewport={"width": 1440, "height": 900})
    answers: list[Response] = []
    cold = fresh.new_page()
    cold.on("response", lambda answer: answers.append(answer))
    cold.goto("/approvals/", wait_until="load")
    expect(cold.locator("#rows .row")).to_have_count(50)
    sizes = [answer.request.sizes() for answer in answers]
    weight = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)
    fresh.close()
    assert len(approvals) == 51 and weight < 60 * 1024, {answer.url: answer.request.sizes()["responseBodySize"] for answer in answers}
