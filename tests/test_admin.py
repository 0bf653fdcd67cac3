"""Django admin: everything can be looked at, nothing changed but through the product's own rules."""

from datetime import datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.templatetags.static import static
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals.actions import ask, decide
from approvals.models import Approval
from audit.actor import Actor
from audit.admin import ReadOnlyAdmin
from audit.calendar import periods
from audit.models import AuditEvent
from sessions.actions import cancel_task, route_task
from sessions.models import Session, Task
from tests.conftest import person
from tests.test_pages import inline, text

BERLIN = ZoneInfo("Europe/Berlin")
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
        "audit/auditevent/?q=task.routed": 1,
        "audit/auditevent/?subject_type=task": 1, "audit/auditevent/?subject_type=reported": 0,
        f"agent_sessions/session/?q={task.pk}": 1, f"agent_sessions/task/?q=task-{task.pk}": 1,
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


def test_the_administrator_fails_a_task_with_its_session_and_is_told_of_each(admin: Client, asked: Approval, finance: Actor) -> None:
    ended = route_task(actor=finance, target="manager", task_type="other").row
    cancel_task(actor=finance, task_id=ended.pk)
    page = do(admin, "agent_sessions/task", "fail", asked.task, ended)
    assert f"{asked.task_id}: failed." in page and f"{ended.pk}: The task is cancelled already." in page
    assert (Task.objects.get(pk=asked.task_id).status, asked.task.session.status) == ("failed", "active")
    assert (Session.objects.get(task=asked.task_id).status, Approval.objects.get().status) == ("failed", "cancelled")
    event = AuditEvent.objects.get(event_type="task.failed")
    assert (event.actor, event.role) == ("robin", "admin")


@each_list
def test_the_calendar_leads_to_the_rows_of_a_month_and_a_day(admin: Client, asked: Approval, path: str) -> None:
    field, now = ("timestamp" if "audit" in path else "created_at"), timezone.localtime()
    days = admin.get(f"/admin/{path}/")
    assert f"{field}__day={now.day}" in text(days)
    shown = admin.get(f"/admin/{path}/?{field}__year={now.year}&{field}__month={now.month}&{field}__day={now.day}")
    assert len(shown.context["cl"].result_list) == LISTS[path]._default_manager.count()
    assert not admin.get(f"/admin/{path}/?{field}__year={now.year - 1}").context["cl"].result_list


def test_the_calendar_knows_every_period_between_the_first_row_and_the_last() -> None:
    first, last = datetime(2024, 1, 31, 23, 59, tzinfo=BERLIN), datetime(2026, 11, 1, 0, 0, tzinfo=BERLIN)
    assert [at.year for at in periods(first, last, "year")] == [2024, 2025, 2026]
    months = [(at.year, at.month, at.day, at.hour) for at in periods(first, last, "month")]
    assert months == [(2024 + n // 12, 1 + n % 12, 1, 0) for n in range(35)]
    days = periods(datetime(2026, 3, 27, 12, tzinfo=BERLIN), datetime(2026, 10, 27, 1, tzinfo=BERLIN), "day")
    assert len(days) == len({at.date() for at in days}) == 215 and {at.hour for at in days} == {0}  # both changes of the clock are in it


@each_list
def test_no_list_counts_or_reads_the_whole_table(
    admin: Client, asked: Approval, finance: Actor, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(actor=finance, task_id=route_task(actor=finance, target="manager", task_type="other").row.pk, approver_role="manager")
    monkeypatch.setattr(ReadOnlyAdmin, "list_per_page", 1)
    with CaptureQueriesContext(connection) as queries:
        admin.get(f"/admin/{path}/")
    table = LISTS[path]._meta.db_table
    about = [query["sql"] for query in queries if f'FROM "{table}"' in query["sql"]]
    assert about and all("LIMIT" in sql or ("MIN(" in sql and "GROUP BY" not in sql) for sql in about)


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


@pytest.mark.parametrize(
    ("typed", "kept"), [("Legal", "legal"), (" it ", "it"), ("9lives", None), ("top management", None), ("ünit", None), ("x" * 51, None)]
)
def test_a_role_is_called_as_tasks_and_tokens_can_name_it(admin: Client, typed: str, kept: str | None) -> None:
    answer = admin.post("/admin/auth/group/add/", {"name": typed})
    assert answer.status_code == (302 if kept else 200)
    assert list(Group.objects.values_list("name", flat=True)) == ([kept] if kept else [])


def test_the_list_of_roles_says_who_holds_them(admin: Client) -> None:
    User.objects.create(username="lea", first_name="Lea", last_name="Ott").groups.add(Group.objects.create(name="legal"))
    assert "Lea Ott" in text(admin.get("/admin/auth/group/"))


def test_a_persons_name_stays_and_nobody_is_deleted(admin: Client) -> None:
    felix = User.objects.create_user("felix", password="a-long-password")
    page = admin.get(f"/admin/auth/user/{felix.pk}/change/").content.decode()
    assert 'name="username"' not in page and 'name="groups"' in page
    admin.post(f"/admin/auth/user/{felix.pk}/change/", {"username": "maria", "is_active": "on"})
    assert admin.post(f"/admin/auth/user/{felix.pk}/delete/", {"post": "yes"}).status_code == 403
    felix.refresh_from_db()
    assert felix.username == "felix"


@pytest.mark.parametrize(
    "path",
    [
        "approvals/approval/?created_at__year=99999999999",
        "r/1/x/",
        "agent_sessions/session/?created_at__gte=x",
        "auth/user/999999999999999999999/change/",
    ],
)
def test_an_odd_address_is_no_error_of_ours(admin: Client, path: str) -> None:
    assert admin.get(f"/admin/{path}").status_code in (302, 400, 404)


def test_an_action_on_what_is_no_row_is_no_error_of_ours(admin: Client, asked: Approval) -> None:
    said = {"action": "expire", "_selected_action": "nonsense"}
    assert admin.post("/admin/approvals/approval/", said).status_code in (200, 302, 400)
