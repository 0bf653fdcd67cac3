"""What narrows the inbox, what decides several of it at once, and what asks for a second look: the pages, without a browser."""

import re
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from approvals.actions import decide
from approvals.models import Approval
from audit.actor import Actor
from audit.models import AuditEvent
from tests.conftest import Enter, person
from tests.evidence import lapse_approval
from tests.test_inbox import request_of


def titles(client: Client, query: str = "") -> list[str]:
    """What the list shows, in its order."""
    return re.findall(r'<a class="what"[^>]*>([^<]*)</a>', client.get(f"/approvals/{query}").content.decode())


def several(client: Client, verdict: str, *approvals: Approval, **said: str) -> Any:
    return client.post("/approvals/decide/", {"verdict": verdict, "id": [str(each.pk) for each in approvals], **said})


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("q=cloud", ["Cloud budget"]),
        ("q=CLOUD+budget", ["Cloud budget"]),
        ("q=cloud+laptops", []),
        ("q=finance", ["Cloud budget", "Laptops"]),
        ("q=press_note", ["Press note"]),
        ("q=forecast", ["Cloud budget", "Laptops", "Press note"]),
        ("role=marketing", ["Press note"]),
        ("role=+Finance+", ["Cloud budget", "Laptops"]),
        ("risk=on", ["Laptops"]),
        ("risk=on&role=marketing", []),
        ("q=%25", []),
        ("outcome=nonsense", ["Cloud budget", "Laptops", "Press note"]),
    ],
)
def test_words_role_and_risk_narrow_the_list(enter: Enter, finance: Actor, query: str, shown: list[str]) -> None:
    marketing = Actor("local|marketing-agent", "marketing-agent", finance.kind, frozenset({"marketing", "agent"}))
    request_of(finance, title="Cloud budget", expires_in=4_000)
    request_of(finance, title="Laptops", severity="Critical", expires_in=5_000)
    request_of(marketing, title="Press note", task_type="press_note", expires_in=6_000)
    assert titles(enter("maria", "manager"), f"?{query}") == shown


def test_a_request_is_found_by_the_beginning_of_its_id(enter: Enter, finance: Actor) -> None:
    approval = request_of(finance, title="This one")
    client = enter("maria", "manager")
    for word in (str(approval.pk), f"approval-{approval.pk}", f"task-{approval.task_id}", str(approval.pk)[:13]):
        assert titles(client, f"?q={word}") == ["This one"]
    assert titles(client, "?q=ffffffff-ffff") == []


def test_decided_requests_are_narrowed_by_outcome_as_readers_see_it(enter: Enter, finance: Actor, maria: Actor) -> None:
    decide(actor=maria, approval_id=request_of(finance, title="Yes").pk, verdict="approved")
    decide(actor=maria, approval_id=request_of(finance, title="No").pk, verdict="rejected", note="No.")
    lapse_approval(str(request_of(finance, title="Late").pk))
    client = enter("maria", "manager")
    assert titles(client, "?tab=decided") == ["Late", "No", "Yes"]
    assert titles(client, "?tab=decided&outcome=rejected") == ["No"]
    assert titles(client, "?tab=decided&outcome=expired") == ["Late"]


def test_filters_stay_in_every_address_of_the_page(enter: Enter, finance: Actor) -> None:
    for _ in range(51):
        request_of(finance, title="Cloud budget")
    shown = enter("maria", "manager").get("/approvals/?q=cloud").content.decode()
    assert "/approvals/?tab=mine&amp;q=cloud&amp;page=2" in shown
    assert re.search(r'hx-get="/approvals/\?tab=mine&amp;q=cloud&amp;page=1&amp;since=\d+"', shown)
    assert titles(enter("maria", "manager"), "?q=cloud&page=2") == ["Cloud budget"]


@pytest.mark.parametrize(("role", "shown"), [("auditor", ["Waiting"]), ("admin", ["Waiting"]), ("support", [])])
def test_who_reads_all_and_decides_nothing_by_role_begins_with_all_that_waits(
    enter: Enter, finance: Actor, role: str, shown: list[str]
) -> None:
    request_of(finance, title="Waiting")
    assert titles(enter("somebody", role)) == shown


def test_nothing_else_waits_is_said_only_when_it_is_true(enter: Enter, finance: Actor, maria: Actor) -> None:
    decided = request_of(finance, title="Decided")
    decide(actor=maria, approval_id=decided.pk, verdict="approved")
    client = enter("maria", "manager")
    assert "Nothing else waits for you" in client.get(f"/approvals/{decided.pk}/?tab=decided").content.decode()
    request_of(finance, title="Still waiting")
    for address in ("?tab=decided", f"{decided.pk}/?tab=decided", f"{decided.pk}/"):
        assert "Nothing else waits for you" not in client.get(f"/approvals/{address}").content.decode()


@pytest.mark.parametrize(
    ("data", "asks"), [({"risk": "High"}, True), ({"amount": 50_001}, True), ({"amount": "50000"}, False), ({}, False)]
)
def test_a_grave_request_is_approved_only_when_it_is_confirmed(enter: Enter, finance: Actor, data: dict[str, Any], asks: bool) -> None:
    approval = request_of(finance, **data)
    client = enter("maria", "manager")
    first = client.post(f"/approvals/{approval.pk}/decide/", {"verdict": "approved", "note": "Seen."})
    approval.refresh_from_db()
    assert (first.status_code, approval.status) == ((200, "pending") if asks else (303, "approved"))
    if asks:
        assert "Look twice" in first.content.decode() and "Seen." in first.content.decode()
        client.post(f"/approvals/{approval.pk}/decide/", {"verdict": "approved", "note": "Seen.", "confirmed": "on"})
        approval.refresh_from_db()
        assert (approval.status, approval.notes) == ("approved", "Seen.")


def test_who_draws_back_from_the_second_look_keeps_the_note(enter: Enter, finance: Actor) -> None:
    approval = request_of(finance, risk="high")
    back = enter("maria", "manager").post(
        f"/approvals/{approval.pk}/decide/", {"leave": "on", "note": "Ask Legal <first>.", "confirmed": "on"}
    )
    page = back.content.decode()
    assert back.status_code == 200 and "Ask Legal &lt;first&gt;." in page and "Look twice" not in page and 'id="reject"' in page
    approval.refresh_from_db()
    assert approval.status == "pending"


def test_a_rejection_needs_no_second_look_and_the_limit_is_a_setting(enter: Enter, finance: Actor, settings: LazySettings) -> None:
    settings.CONFIRM_ABOVE = 100
    small, grave = request_of(finance, amount=101), request_of(finance, risk="high")
    client = enter("maria", "manager")
    assert "its amount is above 100" in client.post(f"/approvals/{small.pk}/decide/", {"verdict": "approved"}).content.decode()
    assert client.post(f"/approvals/{grave.pk}/decide/", {"verdict": "rejected", "note": "No."}).status_code == 303


def test_several_are_decided_each_by_its_own_rules(enter: Enter, finance: Actor) -> None:
    plain, grave, own = request_of(finance, title="Plain"), request_of(finance, risk="high"), request_of(person("maria", "manager"))
    gone = request_of(finance)
    decide(actor=person("jonas", "manager"), approval_id=gone.pk, verdict="rejected", note="No.")
    client = enter("maria", "manager")
    before = AuditEvent.objects.count()
    asked = client.get("/approvals/decide/", {"verdict": "approved", "id": [str(each.pk) for each in (plain, grave, own, gone)]})
    assert "Approve 1 request?" in asked.content.decode() and AuditEvent.objects.count() == before
    shown = several(client, "approved", plain, grave, own, gone, note="Fine.").content.decode()
    assert "1 request approved" in shown and "3 were not" in shown
    for reason in ("Open it to approve it", "You asked for this yourself", "rejected by jonas"):
        assert reason in shown
    statuses = dict(Approval.objects.values_list("pk", "status"))
    assert [statuses[each.pk] for each in (plain, grave, own, gone)] == ["approved", "pending", "pending", "rejected"]
    assert AuditEvent.objects.filter(event_type="approval.refused", subject_id=own.pk).count() == 1
    assert "1 request approved" in several(client, "approved", plain, note="Fine.").content.decode()
    assert AuditEvent.objects.filter(event_type="approval.approved", subject_id=plain.pk).count() == 1


def test_several_rejections_without_a_reason_decide_nothing(enter: Enter, finance: Actor) -> None:
    requests = [request_of(finance), request_of(finance)]
    answer = several(enter("maria", "manager"), "rejected", *requests)
    assert (answer.status_code, "A rejection needs a reason" in answer.content.decode()) == (422, True)
    assert set(Approval.objects.values_list("status", flat=True)) == {"pending"}


def test_what_is_not_the_readers_is_neither_shown_nor_decided_among_several(enter: Enter, finance: Actor) -> None:
    approval = request_of(finance, title="Secret budget")
    tom = enter("tom", "support")
    shown = tom.get("/approvals/decide/", {"verdict": "approved", "id": [str(approval.pk), "no id", ""]}).content.decode()
    assert "Nothing is selected" in shown and "Secret" not in shown
    assert "Secret" not in several(tom, "approved", approval).content.decode()
    assert tom.get("/approvals/decide/?verdict=maybe").status_code == 404
    approval.refresh_from_db()
    assert approval.status == "pending"
