"""The inbox and one request, as pages: who sees what, what a verdict does, what hostile payloads do not do, at what price."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given
from hypothesis import strategies as st

from approvals.actions import ask, cancel, decide
from approvals.models import Approval
from audit.actor import Actor
from audit.models import AuditEvent
from sessions import payload
from sessions.actions import route_task
from sessions.models import Task
from sessions.words import title, visible
from tests.conftest import Enter, person
from tests.evidence import lapse_approval

ROWS = {"HX-Request": "true", "HX-Target": "rows"}
SHEET = {"HX-Request": "true", "HX-Target": "sheet"}


@pytest.fixture
def maria_client(enter: Enter) -> Client:
    """Maria, manager, signed in."""
    return enter("maria", "manager")


def request_of(
    actor: Actor, reason: str = "The forecast is exceeded.", task_type: str = "budget_approval", expires_in: int | None = None, **data: Any
) -> Approval:
    """One request to manager."""
    task = route_task(actor=actor, target="manager", task_type=task_type, data=data).row
    return ask(actor=actor, task_id=task.pk, approver_role="manager", reason=reason, expires_in=expires_in).row


def at(approval: Approval, verb: str = "") -> str:
    return f"/approvals/{approval.pk}/{verb}"


def send(client: Client, approval: Approval, verdict: str, note: str = "", **headers: str) -> Any:
    return client.post(at(approval, "decide/"), {"verdict": verdict, "note": note}, headers=headers)


# --- who sees what -------------------------------------------------------------------------------------


def test_a_request_is_listed_with_who_what_why_how_much_and_until_when(maria_client: Client, finance: Actor) -> None:
    request_of(finance, title="Q3 cloud budget", amount=48200, currency="EUR", risk="high", expires_in=1000)
    shown = maria_client.get("/approvals/").content.decode()
    for part in ("Finance", "Q3 cloud budget", "The forecast is exceeded.", "48,200.00 EUR", "high risk", "16 min left", "Within the hour"):
        assert part in shown
    assert "<title>(1) Approvals</title>" in shown


def test_each_tab_shows_its_own_requests_to_those_who_may_see_them(enter: Enter, finance: Actor, maria: Actor) -> None:
    waiting, decided = request_of(finance, title="Still waiting"), request_of(finance, title="Long decided")
    decide(actor=maria, approval_id=decided.pk, verdict="approved")
    people = {
        "maria": enter("maria", "manager"),
        "felix": enter("felix", "finance"),
        "ada": enter("ada", "auditor"),
        "tom": enter("tom", "support"),
    }

    def sees(who: str, tab: str) -> set[str]:
        shown = people[who].get(f"/approvals/?tab={tab}", headers=ROWS).content.decode()
        return {title for title in ("Still waiting", "Long decided") if title in shown}

    assert (sees("maria", "mine"), sees("maria", "asked"), sees("maria", "decided")) == ({"Still waiting"}, set(), {"Long decided"})
    assert (sees("felix", "mine"), sees("felix", "asked"), sees("felix", "decided")) == (set(), {"Still waiting"}, {"Long decided"})
    assert (sees("ada", "mine"), sees("ada", "all"), sees("ada", "decided")) == (set(), {"Still waiting"}, {"Long decided"})
    assert not (sees("tom", "mine") | sees("tom", "asked") | sees("tom", "decided") | sees("tom", "all"))
    assert [people[who].get(at(waiting)).status_code for who in people] == [200, 200, 200, 404]


def test_all_waiting_is_a_tab_only_for_those_who_read_everything(enter: Enter, maria_client: Client) -> None:
    assert "All waiting" not in maria_client.get("/approvals/").content.decode()
    assert "All waiting" in enter("ada", "auditor").get("/approvals/").content.decode()


def test_an_unknown_request_is_404_for_reading_and_deciding(maria_client: Client) -> None:
    assert maria_client.get(f"/approvals/{uuid4()}/").status_code == 404
    assert maria_client.post(f"/approvals/{uuid4()}/decide/", {"verdict": "approved"}).status_code == 404


def test_somebody_who_is_not_signed_in_is_sent_to_the_door_and_comes_back(store: None) -> None:
    User.objects.create_user("maria", password="a long enough one").groups.add(Group.objects.create(name="manager"))
    client = Client()
    sent = client.get("/approvals/?tab=asked")
    assert sent["Location"] == "/sign-in/?next=/approvals/%3Ftab%3Dasked"
    wrong = client.post(sent["Location"], {"username": "maria", "password": "wrong", "next": "/approvals/?tab=asked"})
    assert (wrong.status_code, 'role="alert"' in wrong.content.decode()) == (200, True)
    right = client.post(sent["Location"], {"username": "maria", "password": "a long enough one", "next": "/approvals/?tab=asked"})
    assert (right.status_code, right["Location"]) == (302, "/approvals/?tab=asked")


@pytest.mark.parametrize(
    "address", ["?tab=nothing", "?page=99999999999", "?page=-1", "?page=7", "?since=x", "?since=9999999999", "?tab=all"]
)
def test_nothing_in_the_address_breaks_the_list(maria_client: Client, finance: Actor, address: str) -> None:
    request_of(finance)
    for headers in ({}, ROWS):
        assert maria_client.get(f"/approvals/{address}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Europe", "posixrules", "right/Europe/Berlin", "../../etc/passwd", "Nowhere/Land", "\u00e9", "a" * 200]
)
def test_times_are_in_the_readers_zone_if_there_is_such_a_zone(maria_client: Client, finance: Actor, zone: str) -> None:
    approval = request_of(finance)
    maria_client.cookies["zone"] = zone
    shown = maria_client.get(at(approval)).content.decode()
    assert ("CET" in shown or "CEST" in shown) == (zone == "Europe/Berlin")


# --- deciding ------------------------------------------------------------------------------------------


def test_approving_by_form_answers_with_a_redirect_to_the_outcome_and_a_link_to_the_next(maria_client: Client, finance: Actor) -> None:
    first, second = request_of(finance, title="First"), request_of(finance, title="Second")
    answer = send(maria_client, first, "approved", "Agreed.")
    assert (answer.status_code, answer["Location"]) == (303, f"{at(first)}?tab=mine")
    shown = maria_client.get(answer["Location"]).content.decode()
    assert "approved" in shown and "Agreed." in shown and "(you)" in shown and at(second) in shown
    assert 'id="approve"' not in shown
    first.refresh_from_db()
    assert (first.status, first.notes, first.decided_by) == ("approved", "Agreed.", "local|maria")


def test_approving_under_htmx_answers_with_the_sheet_alone_and_refreshes_the_list(maria_client: Client, finance: Actor) -> None:
    approval = request_of(finance)
    answer = send(maria_client, approval, "approved", **SHEET)
    assert (answer.status_code, json.loads(answer["HX-Trigger"])) == (200, {"decided": {}})
    assert "<html" not in answer.content.decode() and "approved" in answer.content.decode()


def test_the_same_verdict_twice_is_no_error_and_is_told_once(maria_client: Client, finance: Actor) -> None:
    approval = request_of(finance)
    answers = [send(maria_client, approval, "approved", "Yes.").status_code for _ in range(2)]
    assert answers == [303, 303]
    assert AuditEvent.objects.filter(event_type="approval.approved").count() == 1


@pytest.mark.parametrize("headers", [{}, SHEET], ids=["page", "htmx"])
def test_a_rejection_without_a_note_asks_for_it_in_place(maria_client: Client, finance: Actor, headers: dict[str, str]) -> None:
    approval = request_of(finance)
    answer = send(maria_client, approval, "rejected", "  ", **headers)
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert 'id="note-wrong"' in shown and re.search(r"<textarea[^>]* autofocus", shown)
    approval.refresh_from_db()
    assert approval.status == "pending"


@pytest.mark.parametrize("verdict", ["", "cancelled", "expired", "APPROVED"])
def test_no_other_word_is_a_verdict(maria_client: Client, finance: Actor, verdict: str) -> None:
    answer = send(maria_client, request_of(finance), verdict, "typed")
    assert (answer.status_code, "typed" in answer.content.decode()) == (422, True)


@pytest.mark.parametrize("note", ["a\x00b", "x" * 10_001])
def test_a_note_that_cannot_be_kept_is_said_to_be_so(maria_client: Client, finance: Actor, note: str) -> None:
    approval = request_of(finance)
    answer = send(maria_client, approval, "approved", note)
    assert (answer.status_code, 'id="note-wrong"' in answer.content.decode()) == (422, True)


def test_a_note_is_kept_as_it_was_typed(maria_client: Client, finance: Actor) -> None:
    approval = request_of(finance)
    send(maria_client, approval, "approved", "one\r\n" * 2_499 + "end")
    approval.refresh_from_db()
    assert approval.notes == "one\n" * 2_499 + "end"


@pytest.mark.parametrize("headers", [{}, SHEET], ids=["page", "htmx"])
def test_who_comes_second_learns_who_was_first_and_keeps_the_note(enter: Enter, finance: Actor, headers: dict[str, str]) -> None:
    approval = request_of(finance)
    decide(actor=person("jonas", "manager"), approval_id=approval.pk, verdict="approved")
    answer = send(enter("maria", "manager"), approval, "rejected", "Not again.", **headers)
    shown = answer.content.decode()
    assert answer.status_code == 409
    assert "<b>jonas</b> approved it" in shown and "Not again." in shown
    approval.refresh_from_db()
    assert (approval.status, approval.decided_by) == ("approved", "local|jonas")


def test_an_expired_and_a_cancelled_request_say_so(maria_client: Client, finance: Actor) -> None:
    late, taken = request_of(finance), request_of(finance)
    lapse_approval(str(late.pk))
    cancel(actor=finance, approval_id=taken.pk)
    answers = [send(maria_client, each, "approved") for each in (late, taken)]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert "The time for an answer was over" in answers[0].content.decode()
    assert "The request was taken back" in answers[1].content.decode()


def test_who_asked_sees_why_and_no_form_and_a_try_is_refused_and_kept(enter: Enter) -> None:
    approval = request_of(person("maria", "manager"), title="For myself")
    client = enter("maria", "manager")
    assert "For myself" not in client.get("/approvals/", headers=ROWS).content.decode()
    shown = client.get(at(approval)).content.decode()
    assert "You asked for this yourself" in shown and 'id="approve"' not in shown
    answer = send(client, approval, "approved")
    assert (answer.status_code, "You asked for this yourself" in answer.content.decode()) == (403, True)
    assert AuditEvent.objects.filter(event_type="approval.refused", actor_id="local|maria").count() == 1


def test_reading_changes_nothing_and_deciding_is_never_a_get(maria_client: Client, finance: Actor) -> None:
    approval = request_of(finance)
    before = AuditEvent.objects.count()
    for address in ("/approvals/", "/approvals/?tab=decided", at(approval)):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert maria_client.get(address).status_code == 200
        assert not [query for query in asked if not query["sql"].startswith("SELECT")]
    assert maria_client.get(at(approval, "decide/")).status_code == 405
    assert AuditEvent.objects.count() == before


def test_a_form_from_elsewhere_is_refused(finance: Actor, maria_client: Client) -> None:
    approval = request_of(finance)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = maria_client.cookies
    assert send(strict, approval, "approved").status_code == 403
    approval.refresh_from_db()
    assert approval.status == "pending"


# --- the list is a place -------------------------------------------------------------------------------


def test_the_list_answers_304_until_it_changes(maria_client: Client, finance: Actor) -> None:
    request_of(finance, title="One")
    first = maria_client.get("/approvals/", headers=ROWS)
    same = maria_client.get("/approvals/", headers={**ROWS, "If-None-Match": first["ETag"]})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", first["ETag"])
    request_of(finance, title="Two")
    changed = maria_client.get("/approvals/", headers={**ROWS, "If-None-Match": first["ETag"]})
    assert (changed.status_code, "Two" in changed.content.decode()) == (200, True)
    assert '<span class="count" id="waiting" hx-swap-oob="true">2</span>' in changed.content.decode()
    assert "<title>(2) Approvals</title>" in changed.content.decode()


def test_a_part_and_its_page_never_mix_in_a_cache(maria_client: Client, finance: Actor) -> None:
    request_of(finance)
    for headers in ({}, ROWS, {**ROWS, "HX-History-Restore-Request": "true"}):
        answer = maria_client.get("/approvals/", headers=headers)
        assert {"Cookie", "HX-Request", "HX-Target"} <= {name.strip() for name in answer["Vary"].split(",")}
        assert {"private", "no-cache"} <= {word.strip() for word in answer["Cache-Control"].split(",")}
        assert ("<html" in answer.content.decode()) == (headers != ROWS)


def test_what_is_decided_while_the_list_is_open_keeps_its_place_with_its_outcome(maria_client: Client, finance: Actor) -> None:
    titles = ["First", "Second", "Third"]
    requests = [request_of(finance, title=title, expires_in=4_000 + 60 * place) for place, title in enumerate(titles)]
    poll = re.search(r'hx-get="(/approvals/\?tab=mine[^"]*since=[^"]*)"', maria_client.get("/approvals/").content.decode())
    assert poll
    decide(actor=person("jonas", "manager"), approval_id=requests[1].pk, verdict="approved")
    shown = maria_client.get(poll[1].replace("&amp;", "&"), headers=ROWS).content.decode()
    assert re.findall(r">(First|Second|Third)<", shown) == titles
    assert "by jonas" in shown and shown.count('class="row done"') == 1
    assert "Second" not in maria_client.get("/approvals/", headers=ROWS).content.decode()


def test_fifty_rows_cost_as_many_queries_as_one_and_at_most_eight(maria_client: Client, enter: Enter, finance: Actor) -> None:
    ada, first = enter("ada", "auditor"), request_of(finance)

    def price(client: Client, address: str, headers: dict[str, str]) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(address, headers=headers).status_code == 200
        return len(asked)

    since = "since=1790000000"
    pages: list[tuple[Client, str, dict[str, str]]] = [
        (maria_client, "/approvals/", {}),
        (maria_client, f"/approvals/?{since}", ROWS),
        (maria_client, "/approvals/?tab=decided", {}),
        (maria_client, at(first), SHEET),
        (ada, "/approvals/?tab=all", {}),
        (ada, f"/approvals/?tab=all&{since}", ROWS),
    ]
    few = [price(*page) for page in pages]
    for _ in range(54):
        request_of(finance, amount=5)
    assert [price(*page) for page in pages] == few
    assert max(few) <= 8
    assert price(maria_client, at(first), {}) <= 9  # list and sheet, whichever request it is
    shown = maria_client.get("/approvals/").content.decode()
    assert shown.count('class="what"') == 50 and "page=2" in shown
    assert maria_client.get("/approvals/?page=2").content.decode().count('class="what"') == 5


def test_the_requesters_record_adds_up(maria_client: Client, finance: Actor, maria: Actor) -> None:
    requests = [request_of(finance) for _ in range(6)]
    for approval, verdict in zip(requests, ["approved", "approved", "rejected"], strict=False):
        decide(actor=maria, approval_id=approval.pk, verdict=verdict, note="so")
    cancel(actor=finance, approval_id=requests[3].pk)
    lapse_approval(str(requests[4].pk))
    shown = re.sub(r"<[^>]*>|\s+", " ", maria_client.get(at(requests[5])).content.decode())
    assert re.search(r"6 asked: +2 approved +1 rejected +1 expired +1 cancelled +1 waiting", shown)
    assert "You decided 3 of them." in shown


# --- text written by agents is hostile -----------------------------------------------------------------


class Tags(HTMLParser):
    """Every element of a page and its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202etxt.exe\u200b\u2066{{ 7|add:7 }}"


def test_a_hostile_payload_stays_text_and_shows_what_it_hides(enter: Enter, store: None) -> None:
    evil = Actor(principal="local|evil", name=EVIL, kind=person("x").kind, roles=frozenset({"finance"}))
    data = {EVIL: {EVIL: [EVIL, {EVIL: EVIL}]}, "title": EVIL, "amount": EVIL, "currency": EVIL, "risk": EVIL, "customer": EVIL,
            "link": "javascript:alert(1)", "good": "https://user:pw@evil.example/<b>", "deep": json.loads("[" * 90 + "]" * 90)}  # fmt: skip
    task = route_task(actor=evil, target="manager", task_type=EVIL[:50], description=EVIL * 20, data=data, context={"note": EVIL}).row
    approval = ask(actor=evil, task_id=task.pk, approver_role="manager", reason=EVIL).row
    client = enter("maria", "manager")
    for shown in (client.get(at(approval)).content.decode(), client.get("/approvals/", headers=ROWS).content.decode()):
        tags = Tags(shown)
        assert not {tag for tag, _ in tags.found} & {"img", "b-"} and "\u202e" not in shown and "\u200b" not in shown
        assert "alert(1)" in tags.text and "[U+202E]" in tags.text and "{{ 7|add:7 }}" in tags.text
        assert not [attrs for _, attrs in tags.found if (attrs.get("href") or "").startswith("javascript")]
    links = [attrs for tag, attrs in Tags(client.get(at(approval)).content.decode()).found if tag == "a" and attrs.get("target")]
    assert links and all(link["rel"] == "noopener noreferrer" for link in links)


@pytest.mark.parametrize("address", ["/approvals/", "/approvals/?tab=decided", "/sign-in/", "/password/", "request"])
def test_no_page_has_a_style_or_a_script_of_its_own(maria_client: Client, finance: Actor, address: str) -> None:
    approval = request_of(finance, title="Something", amount=5)
    client = Client() if address == "/sign-in/" else maria_client
    answer = client.get(at(approval) if address == "request" else address)
    tags = Tags(answer.content.decode())
    assert answer.status_code == 200
    assert not [tag for tag, attrs in tags.found if tag == "style" or (tag == "script" and not attrs.get("src"))]
    assert not [name for _, attrs in tags.found for name in attrs if name == "style" or re.match(r"on[a-z]", name)]
    assert "unsafe" not in answer["Content-Security-Policy"]


GRID = ("table", "thead", "tbody", "tr", "th", "td")
texts = st.text(max_size=400) | st.sampled_from(
    [EVIL, "https://example.com/a?b=<i>", "2026-11-20", "2026-02-31", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just(5000).map(lambda digits: 10**digits) | st.just(1e300)
names = st.sampled_from(["title", "amount", "currency", "risk", "customer", "Due-Date", "target"]) | st.text(max_size=30)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=9) | st.dictionaries(names, inner, max_size=6), max_leaves=25)


@given(st.dictionaries(names, anything, max_size=8) | anything, anything)
@example({"amount": {"value": float("nan"), "currency": "\u202e"}}, {"x": [[[[[[[[[]]]]]]]]]})
def test_whatever_json_says_it_is_shown_as_text(data: Any, context: Any) -> None:
    facts, rows = payload.facts(data, context), []
    for source, members in (("data", data), ("context", context)):
        rows += payload.table(source, members, payload.told(data, facts)) if isinstance(members, dict) else []
    shown = [*(fact.html for fact in facts), *(row.label for row in rows), *(row.html for row in rows if row.html)]
    shown.append(visible(payload.raw(data)))
    for html in shown:
        assert {tag for tag, _ in Tags(html).found} <= {"span", "small", "details", "summary", "div", "a", "time", *GRID}
        assert not {"\u202e", "\u200b"} & set(html)
    assert len(rows) <= 2 * (payload.MOST_ROWS + 1)
    assert "\n" not in title(Task(task_type="some_type", description=payload.raw(context), data=data))


@pytest.mark.parametrize(
    ("data", "description", "said"),
    [
        ({"title": "A", "subject": "B"}, "C", "A"),
        ({"title": " ", "subject": "B\nmore"}, "C", "B"),
        ({"summary": "S"}, "", "S"),
        ({"title": 5}, "\n First line \nSecond", "First line"),
        ({}, "", "Budget approval"),
    ],
)
def test_the_title_is_the_payloads_own_else_the_descriptions_first_line_else_the_type(data: Any, description: str, said: str) -> None:
    assert title(Task(task_type="budget_approval", description=description, data=data)) == said


@pytest.mark.parametrize(
    ("data", "context", "amount"),
    [
        ({"amount": 48200, "currency": "EUR"}, {}, "48,200.00 EUR"),
        ({"amount": "1240.5", "currency": "EUR"}, {}, "1,240.50 EUR"),
        ({"Total-Amount": 5}, {}, "5"),
        ({"amount": {"value": 7, "currency": "SEK"}}, {}, "7.00 SEK"),
        ({}, {"amount": 12, "ccy": "USD"}, "12.00 USD"),
        ({"amount": "a lot"}, {}, None),
        ({"amount": True}, {}, None),
    ],
)
def test_an_amount_is_found_by_name_and_written_with_its_currency(data: Any, context: Any, amount: str | None) -> None:
    assert next((fact.html for fact in payload.facts(data, context) if fact.kind == "amount"), None) == amount


def test_a_fact_says_which_member_it_comes_from_and_the_table_leaves_it_out() -> None:
    data = {"title": "T", "amount": 5, "currency": "EUR", "costCentre": 4711, "items": [{"name": "a"}, {"name": ["b", {}]}]}
    facts = payload.facts(data, {})
    assert [fact.member for fact in facts] == ["data.amount"]
    rows = payload.table("data", data, payload.told(data, facts))
    assert [(row.label, row.member, row.depth) for row in rows] == [
        ("Cost centre", "data.costCentre", 0),
        ("Items", "data.items", 0),
        ("1", "data.items[1]", 1),
        ("Name", "data.items[1].name", 2),
        ("2", "data.items[2]", 1),
        ("Name", "data.items[2].name", 2),
        ("1", "data.items[2].name[1]", 3),
        ("2", "data.items[2].name[2]", 3),
    ]


def test_a_list_of_like_objects_is_a_table_of_its_own() -> None:
    rows = payload.table("data", {"items": [{"name": "a<b", "unitPrice": 12_000.5}, {"name": "c", "note": True}]})
    assert [row.member for row in rows] == ["data.items"]
    assert re.findall(r"<th\b[^>]*>(.*?)</th>", rows[0].html or "") == ["Name", "Unit price", "Note"]
    assert re.findall(r"<td[^>]*>(.*?)</td>", rows[0].html or "") == ["a&lt;b", "12,000.5", "", "c", "", "yes"]


def test_a_foreign_session_under_the_same_trace_is_not_shown(finance: Actor, enter: Enter) -> None:
    approval = request_of(finance)
    stranger = replace(person("hr-agent", "hr"), request_trace=approval.trace())
    route_task(actor=stranger, target="legal", task_type="secret_matter")
    shown = enter("jonas", "manager").get(f"/approvals/{approval.pk}/").content.decode()
    assert "secret_matter" not in shown and "hr-agent" not in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "yes"),
        (None, "<small>none</small>"),
        ("", "<small>empty</small>"),
        (1234567.5, "1,234,567.5"),
        ("2026-11-20", '<time datetime="2026-11-20" title="2026-11-20">20 November 2026</time>'),
        ("2026-02-31", "2026-02-31"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("https://b\u00fccher.example/x", "xn--bcher-kva.example, opens in a new tab"),
        ("a\u202eb", "[U+202E]</span>b"),
        ("a\u200b\u200bb", "[U+200B \u00d72]</span>b"),
        ("x" * 500, "<details>"),
    ],
)
def test_a_value_is_written_for_people(value: Any, shown: str) -> None:
    assert shown in payload.value_html(value)
