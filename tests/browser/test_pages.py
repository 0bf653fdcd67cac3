"""Every page in a real browser: on a phone, in the dark, without JavaScript, by keyboard; and the way of work through them."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sessions.models import Session, Task
from tests.browser.conftest import Enter, Watch, faults
from tests.conftest import Door

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LOOKS: dict[str, dict[str, Any]] = {
    "wide": {},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
    "dark phone": {**PHONE, "color_scheme": "dark"},
}
#: Each page by who looks at it; {session}, {approval} and {trace} are of one piece of work that waits.
PAGES = {
    "maria": ["/", "/sessions/", "/sessions/?q=zzz", "/sessions/?state=odd", "/sessions/{session}/", "/password/", "/nowhere", "/audit/"],
    "ada": ["/", "/audit/", "/audit/?trace={trace}", "/audit/?subject=x", "/sessions/{session}/"],
}
ROLES = {"maria": "manager", "ada": "auditor"}
#: How wide and high it is around the middle of each thing where a press still meets it, in px; those under 44 (but for rounding).
REACH = """things => things.filter(thing => thing.checkVisibility()).map(thing => {
  thing.scrollIntoView({block: "center"});
  const {x, y, width, height} = thing.getBoundingClientRect(), [cx, cy] = [x + width / 2, y + height / 2];
  const hits = (px, py) => thing.contains(document.elementFromPoint(px, py));
  const far = (dx, dy) => { let n = 0; while (n < 60 && hits(cx + dx * n, cy + dy * n)) n++; return n; };
  return [thing.textContent.trim().slice(0, 30) || thing.name, far(1, 0) + far(-1, 0), far(0, 1) + far(0, -1)];
}).filter(([, across, down]) => across < 43 || down < 43)"""
PRESSED = (
    "a:not(td:not(.what) a, .story a, .skip, p a:not(.btn), dd a, .data a), button, select, summary:not(.data summary, .trail summary)"
)
FILLED = "input:not([type=hidden], [readonly]), textarea"


def handed(door: Door, title: str = "Q3 cloud budget") -> Task:
    """Finance's agent hands manager a task and asks for approval, over the API."""
    routed = door.route(
        task={"type": "budget_approval", "title": title, "amount": 48200, "currency": "EUR", "link": "https://example.com/x"}
    )
    assert door.ask(routed.json()["task_id"], reason="The forecast is exceeded.").status_code == 202
    return Task.objects.get(pk=routed.json()["task_id"].removeprefix("task-"))


def each(page: Page, name: str, task: Task) -> Any:
    """Opens one page after the other."""
    for path in PAGES[name]:
        page.goto(path.format(session=task.session.pk, trace=task.trace_id))
        yield path


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("look", ["phone", pytest.param("dark", marks=pytest.mark.long)])
def test_every_page_fits_and_everything_can_be_pressed(enter: Enter, watch: Watch, finance_door: Door, name: str, look: str) -> None:
    watch.expected = {400, 403, 404}
    task = handed(finance_door)
    page = enter(name, ROLES[name], **(PHONE if look == "phone" else {"color_scheme": "dark"}))
    for path in each(page, name, task):
        assert page.evaluate("document.documentElement.scrollWidth") == page.viewport_size["width"], path  # type: ignore[index]
        if look == "phone":
            wrong = page.locator(f"{PRESSED}, {FILLED}").evaluate_all(REACH)
            assert not wrong, f"{path}: {wrong}"
        else:
            paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            assert paper == "rgb(20, 21, 26)", path


@pytest.mark.long
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_a_serious_fault(enter: Enter, watch: Watch, finance_door: Door, name: str, look: str) -> None:
    watch.expected = {400, 403, 404}
    task = handed(finance_door)
    page = enter(name, ROLES[name], **LOOKS[look])
    assert {path: found for path in each(page, name, task) if (found := faults(page))} == {}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_says_what_it_is(enter: Enter, watch: Watch, finance_door: Door, name: str) -> None:
    watch.expected = {400, 403, 404}
    task = handed(finance_door)
    page, titles = enter(name, ROLES[name]), set()
    for path in each(page, name, task):
        assert page.locator("main").count() == 1 and page.locator("h1").count() == 1 and page.locator("nav[aria-label]").count() >= 1, path
        assert page.locator("input:not([type=hidden]), textarea, select").evaluate_all(
            "all => all.every(one => one.hidden || one.labels.length)"
        ), path
        assert page.locator("time").evaluate_all("all => all.every(one => one.dateTime)"), path
        assert page.title().strip(), path
        titles.add(page.title())
    assert len(titles) >= len({path.split("/")[1] for path in PAGES[name]})


def test_nothing_on_any_page_has_a_style_or_a_script_of_its_own(enter: Enter, watch: Watch, finance_door: Door) -> None:
    watch.expected = {400, 403, 404}
    task = handed(finance_door)
    for name in PAGES:
        page = enter(name, ROLES[name])
        for path in each(page, name, task):
            assert page.locator("style, [style], script:not([src])").count() == 0, path
            assert page.evaluate("[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames()).filter(n => /^on/.test(n))") == []


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_work_that_is_handed_over_is_found_picked_up_and_completed(
    enter: Enter, watch: Watch, finance_door: Door, maria_door: Door, script: bool
) -> None:
    watch.expected = {409}
    task = handed(finance_door)
    page = enter("maria", "manager", java_script_enabled=script)
    page.get_by_role("link", name="Dashboard").click()
    work = page.locator("section", has_text="For your roles to pick up").locator(".row")
    expect(work).to_contain_text("48,200.00 EUR")
    work.get_by_role("link", name="Q3 cloud budget").click()
    page.get_by_role("button", name="Pick up").click()
    page.get_by_label("What came of it?").fill("Booked.")
    page.get_by_role("button", name="Complete").click()
    expect(page.get_by_role("alert")).to_contain_text("has not answered yet")  # told, and nothing typed is lost
    expect(page.get_by_label("What came of it?")).to_have_value("Booked.")
    approval = maria_door.get("/approvals").json()["approvals"][0]["approval_id"]
    assert maria_door.post(f"/approvals/{approval}/decision", json={"decision": "approved"}).status_code == 200
    page.get_by_role("button", name="Complete").click()
    expect(page.locator("h1")).to_contain_text("completed")
    expect(page.locator("main")).to_contain_text("Booked.")
    assert (Task.objects.get().result, Session.objects.get().status) == ({"summary": "Booked."}, "completed")
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_text("Nothing waits to be picked up")).to_be_visible()
    assert task.pk == Task.objects.get().pk


def test_work_is_picked_up_by_keyboard_alone(enter: Enter, finance_door: Door) -> None:
    handed(finance_door)
    page = enter("maria", "manager")
    page.goto("/sessions/?task=waiting")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    tab_to(page, "Q3 cloud budget")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/sessions/[0-9a-f-]{36}/"))
    tab_to(page, "Pick up")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Complete")).to_be_visible()
    tab_to(page, "What came of it?")
    page.keyboard.type("Not needed.")
    tab_to(page, "It failed")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("failed")
    assert Task.objects.get().result == {"summary": "Not needed."}


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is so called has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        called = "e => (e.labels?.[0] ?? e).textContent.trim()"
        if name in page.evaluate(f"({called})(document.activeElement)"):
            return
    raise AssertionError(f"{name} is out of the keyboard's reach")


def test_the_dashboard_follows_by_itself_and_keeps_the_focus(enter: Enter, finance_door: Door) -> None:
    page = enter("maria", "manager")
    page.goto("/")
    page.locator("#tile-flight").focus()
    handed(finance_door)
    expect(page.locator("#tile-waiting b")).to_have_text("1", timeout=8_000)
    expect(page.locator("#waiting")).to_have_text("1")
    expect(page.get_by_role("link", name="Q3 cloud budget").first).to_be_visible()
    expect(page.locator("#tile-flight")).to_be_focused()


def test_an_auditor_follows_a_trace_and_takes_it_away_as_a_file(enter: Enter, finance_door: Door) -> None:
    task = handed(finance_door)
    page = enter("ada", "auditor")
    page.goto("/audit/?type=approval")
    page.locator(f"a[href='?trace={task.trace_id}']").first.click()
    expect(page.locator(".proof")).to_contain_text("No gap; every digest agrees.")
    page.locator("td.what summary").nth(1).click()
    expect(page.locator("details[open] .fold")).to_contain_text("budget_approval")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == f"audit-trace-{task.trace_id}.csv"


def test_times_are_the_readers_own_and_exact_on_hover(enter: Enter, finance_door: Door) -> None:
    task = handed(finance_door)
    page = enter("maria", "manager")
    page.goto(f"/sessions/{task.session.pk}/")
    assert "Europe/Berlin" in (page.locator("header time").first.get_attribute("title") or "") or re.search(
        r"CES?T$", page.locator("header time").first.get_attribute("title") or ""
    )
    assert re.search(r"\d s ago", page.locator("header time").last.inner_text())


def test_an_age_stays_true_while_the_page_is_open(enter: Enter, finance_door: Door) -> None:
    handed(finance_door)
    page = enter("maria", "manager")
    page.clock.install()
    page.goto("/sessions/")
    page.clock.fast_forward("02:05:00")
    expect(page.locator("td time").first).to_have_text(re.compile(r"^2 h 0\d m$"))


def test_on_paper_there_is_nothing_to_press(enter: Enter, finance_door: Door) -> None:
    task = handed(finance_door)
    page = enter("maria", "manager", color_scheme="dark")
    page.goto(f"/sessions/{task.session.pk}/")
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="Q3 cloud budget")).to_be_visible()
    for hidden in (".top", ".work"):
        expect(page.locator(hidden)).to_be_hidden()
