"""Django admin: everything can be looked at, nothing changed but through the product's own rules."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.templatetags.static import static
from django.test import Client

from approvals.actions import ask, decide
from approvals.models import Approval
from audit.actor import Actor
from audit.models import AuditEvent
from sessions.actions import route_task
from sessions.models import Session, Task
from tests.conftest import person
from tests.test_pages import inline, text

LISTS = {"audit/auditevent": AuditEvent, "agent_sessions/session": Session, "agent_sessions/task": Task, "approvals/approval": Approval}
#: Which of them, where there are several.
ONE: dict[str, dict[str, Any]] = {path: {"event_type": "task.routed"} if "audit" in path else {} for path in LISTS}
each_list = pytest.mark.parametrize("path", LISTS)


@pytest.fixture
def admin(store: None) -> Client:
    """Robin, administrator, signed in."""
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create(username="robin", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def asked(store: None, finance: Actor) -> Approval:
    """A request that waits, about a payload that is not to be trusted."""
    task = route_task(actor=finance, target="manager", task_type="budget", data={"title": "<b>Q3</b> budget\u202e", "deep": {"a": [1]}}).row
    return ask(actor=finance, task_id=task.pk, approver_role="manager", reason="<script>x</script>").row


def late(table: str, column: str, row: Any) -> None:
    """Put the row's time behind us; only a test can."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(f"UPDATE {table} SET {column} = now() - interval '30 days' WHERE id = %s", [row.pk])
        cursor.execute("SET session_replication_role = origin")


def do(admin: Client, path: str, action: str, *rows: Any) -> str:
    """Choose the rows, choose the action, go; returns the page that tells."""
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return text(admin.post(f"/admin/{path}/", data, follow=True))


@each_list
def test_every_list_and_every_object_opens(admin: Client, asked: Approval, path: str) -> None:
    listed = admin.get(f"/admin/{path}/")
    assert listed.status_code == 200 and inline(listed) == []
    assert "unsafe" not in listed["Content-Security-Policy"]
    for row in LISTS[path]._default_manager.all():
        shown = admin.get(f"/admin/{path}/{row.pk}/change/")
        assert shown.status_code == 200 and inline(shown) == []
        assert "\u202e" not in text(shown) and "<b>Q3" not in text(shown) and "<script>x" not in text(shown)
        assert 'name="_save"' not in text(shown) and "deletelink" not in text(shown)


@each_list
def test_nothing_is_added_changed_or_deleted(admin: Client, asked: Approval, path: str) -> None:
    row = LISTS[path]._default_manager.get(**ONE[path])
    before = LISTS[path]._default_manager.values().get(pk=row.pk)
    for door in ("add/", f"{row.pk}/delete/"):
        assert admin.get(f"/admin/{path}/{door}").status_code == 403
        assert admin.post(f"/admin/{path}/{door}", {"post": "yes"}).status_code == 403
    assert admin.post(f"/admin/{path}/{row.pk}/change/", {"role": "x", "status": "approved", "event_type": "x"}).status_code == 403
    do(admin, path, "delete_selected", row)
    assert LISTS[path]._default_manager.values().get(pk=row.pk) == before


ODD = [
    "q=manager", "q=zzz", "q=%27", "status__exact=pending", "status__exact=odd", "p=99999999999", "o=1.-2.99", "nonsense=1",
    "created_at__gte=nope", "timestamp__gte=x",
]  # fmt: skip


@each_list
@pytest.mark.parametrize("query", ODD)
def test_any_search_and_filter_is_answered(admin: Client, asked: Approval, path: str, query: str) -> None:
    assert admin.get(f"/admin/{path}/?{query}", follow=True).status_code == 200


def test_objects_are_found_by_id_role_and_name(admin: Client, asked: Approval) -> None:
    task = asked.task
    found = {
        f"approvals/approval/?q={asked.pk}": 1, f"approvals/approval/?q=approval-{asked.pk}": 1, "approvals/approval/?q=manager": 1,
        "approvals/approval/?q=finance-agent": 1, f"approvals/approval/?q={uuid4()}": 0, f"audit/auditevent/?q={task.trace_id}": 3,
        "audit/auditevent/?q=task.routed": 1, f"agent_sessions/session/?q={task.pk}": 1, f"agent_sessions/task/?q=task-{task.pk}": 1,
    }  # fmt: skip
    for query, number in found.items():
        assert len(admin.get(f"/admin/{query}").context["cl"].result_list) == number, query


def test_what_is_over_time_is_expired_with_its_event_and_the_rest_is_left(admin: Client, asked: Approval, finance: Actor) -> None:
    other = ask(actor=finance, task_id=asked.task_id, approver_role="legal").row
    late("approvals", "expires_at", asked)
    assert "1 request expired; 1 not over time." in do(admin, "approvals/approval", "expire", asked, other)
    assert set(Approval.objects.values_list("status", "version")) == {("expired", 2), ("pending", 1)}
    assert AuditEvent.objects.get(event_type="approval.expired").actor_kind == "system"


def test_a_session_over_time_is_expired_with_all_that_hangs_on_it(admin: Client, asked: Approval) -> None:
    session = Session.objects.get()
    assert "0 sessions expired; 1 not over time." in do(admin, "agent_sessions/session", "expire", session)
    late("sessions", "updated_at", session)
    assert "1 session expired." in do(admin, "agent_sessions/session", "expire", session)
    assert (Session.objects.get().status, Task.objects.get().status, Approval.objects.get().status) == ("expired", "cancelled", "cancelled")


def test_cancelling_is_told_for_each_request_and_audited_as_the_administrators(admin: Client, asked: Approval, finance: Actor) -> None:
    decided = ask(actor=finance, task_id=asked.task_id, approver_role="legal").row
    decide(actor=person("lea", "legal"), approval_id=decided.pk, verdict="approved")
    page = do(admin, "approvals/approval", "cancel", asked, decided)
    assert f"{asked.pk}: cancelled." in page and f"{decided.pk}: lea approved it at" in page
    event = AuditEvent.objects.get(event_type="approval.cancelled")
    assert (event.actor, event.role, event.metadata["because"]) == ("robin", "admin", "cancelled by an administrator")


def test_staff_without_the_role_admin_cancels_nothing(store: None, asked: Approval) -> None:
    client, staff = Client(), User.objects.create(username="sam", is_staff=True)
    client.force_login(staff)
    assert client.get("/admin/approvals/approval/").status_code == 403
    assert client.post("/admin/approvals/approval/", {"action": "cancel", "_selected_action": [str(asked.pk)]}).status_code == 403
    assert Approval.objects.get().status == "pending"


def test_the_admin_carries_the_products_name(admin: Client) -> None:
    page = text(admin.get("/admin/"))
    assert "Orchestrator administration" in page and static("admin.css") in page
    assert "/admin/auth/user/" in page and "/admin/auth/group/" in page


@each_list
def test_a_list_costs_the_same_for_many_rows(
    admin: Client, asked: Approval, finance: Actor, path: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        task = route_task(actor=finance, target="manager", task_type=f"t{number}").row
        ask(actor=finance, task_id=task.pk, approver_role="manager")
    with django_assert_max_num_queries(8):
        admin.get(f"/admin/{path}/")
