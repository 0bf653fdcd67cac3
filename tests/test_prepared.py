"""Prepared queries say what Django would say, with each call's own values, in every thread."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

from django.db import connection
from django.db.models import QuerySet
from django.db.models.sql import UpdateQuery
from django.test.utils import CaptureQueriesContext

from audit.actor import Actor
from audit.prepared import Prepared, PreparedUpdate, updating
from sessions.actions import open_session, route_task
from sessions.models import Session, Task


@Prepared
def whole_task(id: UUID, status: str) -> QuerySet[Task]:
    return Task.objects.whole().filter(pk=id, status=status).exclude(task_type="pending")


@PreparedUpdate
def rename(id: UUID, name: str) -> UpdateQuery:
    return updating(Session.objects.filter(pk=id), idempotency_key=name)


def test_each_call_finds_the_rows_of_its_own_values(store: None, finance: Actor) -> None:
    made = [route_task(actor=finance, target="legal", task_type=f"t{number}", data={"n": number}).row for number in range(3)]
    for task in made:
        found = whole_task.first(task.pk, "pending")
        assert found and (found.pk, found.data, found.task_type) == (task.pk, task.data, task.task_type)
        assert found.session.pk == task.session.pk and found.session.metadata == {}
    assert whole_task.first(made[0].pk, "active") is None and whole_task.all(uuid4(), "pending") == []


def test_the_sql_is_djangos_own(store: None, finance: Actor) -> None:
    task = route_task(actor=finance, target="legal", task_type="t").row
    with CaptureQueriesContext(connection) as asked:
        whole_task.first(task.pk, "pending")
        list(Task.objects.whole().filter(pk=task.pk, status="pending").exclude(task_type="pending"))
    assert asked[0]["sql"] == asked[1]["sql"]


def test_threads_share_the_sql_and_nothing_else(store: None, finance: Actor) -> None:
    made = [route_task(actor=finance, target="legal", task_type="t").row.pk for _ in range(8)]

    def look(id: UUID) -> set[UUID]:
        try:
            return {task.pk for _ in range(20) for task in whole_task.all(id, "pending")}
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(look, made)) == [{id} for id in made]


def test_an_update_changes_the_row_that_is_named_and_says_so(store: None, finance: Actor) -> None:
    one, other = (open_session(actor=finance, role="finance").row for _ in range(2))
    assert [rename(one.pk, "first"), rename(other.pk, "second"), rename(uuid4(), "none")] == [1, 1, 0]
    assert Session.objects.get(pk=one.pk).idempotency_key == "first"
    assert Session.objects.get(pk=other.pk).idempotency_key == "second"
