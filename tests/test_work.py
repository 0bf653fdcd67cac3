"""Work that is handed to a role: its people find it, pick it up and end it in the browser, by the same rules as through the API."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from approvals.actions import ask, decide
from approvals.models import Approval
from audit.actor import Actor
from sessions.actions import claim_task, open_session, route_task
from sessions.models import Session, Task
from tests.conftest import Enter, agent, person
from tests.test_pages import text


@pytest.fixture
def task(store: None, finance: Actor) -> Task:
    """Finance hands legal a task."""
    return route_task(actor=finance, target="legal", task_type="contract", data={"title": "Check the Holm contract", "amount": 900}).row


def press(client: Client, task: Task, verb: str, said: str = "") -> Any:
    """The button on the session's page."""
    return client.post(f"/sessions/{task.session.pk}/{verb}/", {"text": said})


def test_work_handed_to_a_role_is_on_its_peoples_dashboard_and_in_their_list(enter: Enter, task: Task) -> None:
    lea, path = enter("lea", "legal"), f"/sessions/{task.session.pk}/"
    page = text(lea.get("/"))
    assert "Check the Holm contract" in page and path in page and "/sessions/?task=waiting" in page and "900" in page
    for query in ("", "?task=waiting", "?state=active", "?role=finance", "?q=holm", "?q=holm&task=waiting"):
        assert path in text(lea.get(f"/sessions/{query}")), query
    for query in ("?task=mine", "?state=completed", "?role=legal", "?q=other", "?q=other&task=waiting"):
        assert path not in text(lea.get(f"/sessions/{query}")), query


def test_nobody_else_is_asked_to_pick_it_up(enter: Enter, task: Task) -> None:
    for name, role in (("felix", "finance"), ("sam", "support"), ("ada", "auditor")):
        client = enter(name, role)
        assert client.get("/").context["work"] == []
        assert str(task.session.pk) not in text(client.get("/sessions/?task=waiting"))


def test_a_session_of_two_roles_of_ones_own_stands_in_the_list_once(enter: Enter, task: Task, finance: Actor) -> None:
    client = enter("berta", "finance")
    enter("berta", "legal")
    open_session(actor=finance, role="finance", task_id=route_task(actor=finance, target="legal", task_type="notification").row.pk)
    for query in ("", "?state=active", "?q=contract"):
        rows = [row.session.pk for row in client.get(f"/sessions/{query}").context["rows"]]
        assert task.session.pk in rows and len(rows) == len(set(rows))


def test_the_dashboard_counts_what_its_links_show(enter: Enter, task: Task, finance: Actor) -> None:
    route_task(actor=agent("legal-agent", "legal"), target="legal", task_type="own")
    for name, role in (("lea", "legal"), ("felix", "finance"), ("ada", "auditor")):
        client = enter(name, role)
        context = client.get("/").context
        for word, count, _width, since in context["states"]:
            assert count == str(len(client.get(f"/sessions/?state={word}{since}").context["rows"])), (name, word)
        assert context["work_count"] == str(len(client.get("/sessions/?task=waiting").context["rows"])), name


def test_a_person_picks_work_up_and_completes_it_with_a_result(enter: Enter, task: Task) -> None:
    lea = enter("lea", "legal")
    assert press(lea, task, "claim").status_code == 303
    assert press(lea, task, "claim").status_code == 303  # a second click changes nothing
    page = text(lea.get(f"/sessions/{task.session.pk}/"))
    assert "You are at work on it" in page and "Pick up" not in page
    assert str(task.session.pk) in text(lea.get("/sessions/?task=mine"))
    assert press(lea, task, "complete", " No objection. ")["Location"] == f"/sessions/{task.session.pk}/"
    task.refresh_from_db()
    assert (task.status, task.result, task.claimed_by, task.version) == ("completed", {"summary": "No objection."}, "local|lea", 3)
    assert Session.objects.get().status == "completed"
    page = text(lea.get(f"/sessions/{task.session.pk}/"))
    assert "No objection." in page and "What you can do" not in page


def test_who_comes_late_is_told_who_was_first_and_what_they_typed_is_given_back(enter: Enter, task: Task) -> None:
    lea, lars = enter("lea", "legal"), enter("lars", "legal")
    press(lea, task, "claim")
    late = press(lars, task, "claim")
    assert late.status_code == 409 and "lea claimed it at" in text(late) and 'role="alert"' in text(late)
    refused = press(lars, task, "complete", "Mine <b>too</b>")
    assert refused.status_code == 403 and "Only who claimed the task" in text(refused) and "Mine &lt;b&gt;too" in text(refused)
    assert Task.objects.get().claimed_by == "local|lea"


def test_work_is_completed_only_after_the_answer(enter: Enter, task: Task, finance: Actor) -> None:
    lea = enter("lea", "legal")
    press(lea, task, "claim")
    ask(actor=finance, task_id=task.pk, approver_role="manager")
    early = press(lea, task, "complete", "Done already")
    assert early.status_code == 409 and "has not answered yet" in text(early) and "Done already" in text(early)
    assert press(lea, task, "fail", "Holm went away").status_code == 303
    assert (Task.objects.get().status, Session.objects.get().status, Approval.objects.get().status) == ("failed", "failed", "cancelled")


def test_the_senders_people_take_a_task_back(enter: Enter, task: Task) -> None:
    felix = enter("felix", "finance")
    assert "Take the task back" in text(felix.get(f"/sessions/{task.session.pk}/"))
    assert press(felix, task, "cancel").status_code == 303
    assert (Task.objects.get().status, Session.objects.get().status) == ("cancelled", "active")


OFFERED = [
    ("lea", "legal", "pending", ["claim"]), ("lea", "legal", "active", []), ("lars", "legal", "active", ["complete", "fail"]),
    ("felix", "finance", "pending", ["cancel"]), ("felix", "finance", "active", ["cancel"]), ("maria", "manager", "pending", []),
    ("ada", "auditor", "active", []), ("root", "admin", "pending", ["fail"]), ("root", "admin", "active", ["fail"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "role", "stage", "offered"), OFFERED)
def test_the_page_offers_what_the_reader_may_do_and_the_action_agrees(
    enter: Enter, task: Task, finance: Actor, name: str, role: str, stage: str, offered: list[str]
) -> None:
    ask(actor=finance, task_id=task.pk, approver_role="manager", expires_in=60)
    if stage == "active":
        claim_task(actor=person("lars", "legal"), task_id=task.pk)
    client, before = enter(name, role), Task.objects.values().get()
    assert client.get(f"/sessions/{task.session.pk}/").context["verbs"] == offered
    for verb in {"claim", "complete", "fail", "cancel"} - set(offered):
        assert press(client, task, verb).status_code in ((303,) if (name, verb) == ("lars", "claim") else (403, 409))  # claimed before
    assert Task.objects.values().get() == before


@pytest.mark.parametrize("verb", ["claim", "complete", "fail", "cancel"])
def test_a_session_without_a_task_has_nothing_to_press(enter: Enter, finance: Actor, verb: str) -> None:
    session = open_session(actor=finance, role="finance").row
    assert enter("felix", "finance").post(f"/sessions/{session.pk}/{verb}/").status_code == 404


def test_a_result_that_is_too_long_is_told_at_its_field(enter: Enter, task: Task) -> None:
    lea = enter("lea", "legal")
    press(lea, task, "claim")
    answer = press(lea, task, "complete", "x" * 10_001)
    assert answer.status_code == 422 and 'aria-describedby="id_text_error"' in text(answer)
    assert Task.objects.get().status == "active"


def test_a_form_from_elsewhere_does_nothing(enter: Enter, task: Task) -> None:
    enter("lea", "legal")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = enter("lea", "legal").cookies
    answer = press(strict, task, "claim")
    assert answer.status_code == 403 and "out of date" in text(answer)
    assert Task.objects.get().status == "pending"


# --- notifications ---------------------------------------------------------------------------------------


def told(finance: Actor, text: str = "The Holm invoice was paid.", **data: Any) -> Task:
    """Finance's agent tells legal something."""
    return route_task(actor=finance, target="legal", task_type="notification", description=text, data=data).row


def test_what_a_role_is_told_stands_on_its_peoples_dashboard_until_it_is_read(store: None, enter: Enter, finance: Actor) -> None:
    notice = told(finance, priority="high")
    lea, lars = enter("lea", "legal"), enter("lars", "legal")
    page = text(lea.get("/"))
    assert "The Holm invoice was paid." in page and "Urgent:" in page and f"/sessions/notices/{notice.pk}/read/" in page
    assert "Holm" not in text(enter("sam", "support").get("/"))
    answer = lea.post(f"/sessions/notices/{notice.pk}/read/")
    assert (answer.status_code, answer["Location"]) == (303, "/")
    assert lars.post(f"/sessions/notices/{notice.pk}/read/").status_code == 303  # it has left his dashboard already
    notice.refresh_from_db()
    assert (notice.status, notice.version) == ("completed", 2)
    assert "/sessions/notices/" not in text(lars.get("/"))


def test_a_notice_is_hostile_text_until_shown_otherwise(store: None, enter: Enter, finance: Actor) -> None:
    told(finance, "<b>Pay</b> \u202enow", priority=["high"])
    page = text(enter("lea", "legal").get("/"))
    assert "&lt;b&gt;Pay&lt;/b&gt;" in page and "[U+202E]" in page and "Urgent:" not in page


def test_of_many_notices_the_newest_are_shown(store: None, enter: Enter, finance: Actor) -> None:
    sent = [told(finance, f"News number {number}.") for number in range(6)]
    page = text(enter("lea", "legal").get("/"))
    assert [notice in sent[2:] for notice in sent] == [f"/sessions/notices/{notice.pk}/read/" in page for notice in sent]
    assert "Older ones appear as these are read." in page


def test_a_task_is_not_ended_as_if_it_were_a_notice(enter: Enter, task: Task) -> None:
    claim_task(actor=person("lea", "legal"), task_id=task.pk)
    assert enter("lea", "legal").post(f"/sessions/notices/{task.pk}/read/").status_code == 404
    task.refresh_from_db()
    assert task.status == "active"


def test_a_notice_in_a_session_is_no_work_to_pick_up(store: None, enter: Enter, finance: Actor) -> None:
    session = open_session(actor=finance, role="finance").row
    route_task(actor=finance, target="legal", task_type="notification", description="Paid.", session_id=session.pk)
    page = text(enter("lea", "legal").get("/"))
    assert "0 not picked up yet" in page and "Nothing waits to be picked up" in page and "Paid." in page


def test_a_session_that_took_its_task_later_tells_what_was_asked_since(store: None, enter: Enter, finance: Actor, maria: Actor) -> None:
    task = told(finance)
    session = open_session(actor=replace(finance, request_trace=uuid4()), role="finance", task_id=task.pk).row
    request = ask(actor=finance, task_id=task.pk, approver_role="manager").row
    decide(actor=maria, approval_id=request.pk, verdict="rejected", note="Not this year.")
    ada = enter("ada", "auditor")
    for address in (f"/sessions/{session.pk}/", f"/audit/?subject={session.pk}", f"/approvals/{request.pk}/"):
        assert "Not this year." in text(ada.get(address)), address
