"""How many queries each route of the API sends: 3 for a read; 3 for a write, and 2 for each further object that it changes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponseBase
from django.test import Client
from django.test.utils import CaptureQueriesContext

from approvals.actions import ask
from audit.actor import Actor
from orchestrator.identity import own_token
from sessions.actions import claim_task, open_session, route_task
from sessions.models import Session
from tests.conftest import agent, person
from tests.described import document

FINANCE, MANAGER = agent("finance-agent", "finance"), agent("manager-agent", "manager")
MARIA, ADA = person("maria", "manager"), person("ada", "auditor")
READ = WRITE = 3
FURTHER = 2  # for each further object


@dataclass(frozen=True)
class Desk:
    """A task in its session with a request on it, a task that was claimed, and a session without any."""

    session: str
    task: str
    approval: str
    claimed: str
    empty: str


@pytest.fixture
def desk(store: None) -> Desk:
    """Through the actions."""
    task = route_task(actor=FINANCE, target="manager", task_type="budget_approval").row
    approval = ask(actor=FINANCE, task_id=task.pk, approver_role="manager").row
    claimed = route_task(actor=FINANCE, target="manager", task_type="budget_approval").row
    claim_task(actor=MANAGER, task_id=claimed.pk)
    empty = open_session(actor=FINANCE, role="finance").row
    return Desk(str(Session.objects.get(task=task).pk), f"task-{task.pk}", f"approval-{approval.pk}", f"task-{claimed.pk}", str(empty.pk))


@dataclass(frozen=True)
class Call:
    """One call, its route as the description names it, and what it may cost."""

    route: str
    actor: Actor
    path: Callable[[Desk], str]
    most: int
    body: Callable[[Desk], Any] | None = None


def read(route: str, path: Callable[[Desk], str], actor: Actor = FINANCE) -> Call:
    """A read."""
    return Call(f"GET {route}", actor, path, READ)


def write(route: str, path: Callable[[Desk], str], body: Callable[[Desk], Any], actor: Actor = FINANCE, further: int = 0) -> Call:
    """A write that changes one object, and `further` ones; to be asked about is a session's sign of life, a change of it too."""
    return Call(route, actor, path, WRITE + FURTHER * further, body)


TASK: dict[str, Any] = {"target": "manager", "task": {"type": "budget_approval", "amount": 5}}
CALLS = [
    read("/sessions", lambda desk: "/sessions"),
    read("/sessions", lambda desk: "/sessions?status=expired&q=budget"),
    read("/sessions/{session_id}", lambda desk: f"/sessions/{desk.session}"),
    read("/sessions/{session_id}", lambda desk: f"/sessions/{desk.session}", MARIA),
    read("/sessions/{session_id}", lambda desk: f"/sessions/{desk.task}"),
    read("/sessions/{session_id}", lambda desk: f"/sessions/{desk.task.removeprefix('task-')}"),
    read("/tasks", lambda desk: "/tasks"),
    read("/tasks/{task_id}", lambda desk: f"/tasks/{desk.task}"),
    read("/approvals", lambda desk: "/approvals"),
    read("/approvals/{approval_id}", lambda desk: f"/approvals/{desk.approval}"),
    read("/approvals/{approval_id}", lambda desk: f"/approvals/{desk.approval}", MARIA),
    read("/audit", lambda desk: "/audit", ADA),
    read("/audit", lambda desk: f"/audit?subject=session-{desk.session}"),
    read("/audit", lambda desk: f"/audit?subject={desk.approval}"),
    read("/audit/export", lambda desk: "/audit/export", ADA),
    read("/audit/export", lambda desk: f"/audit/export?subject=session-{desk.session}"),
    read("/me", lambda desk: "/me"),
    read("/roles", lambda desk: "/roles"),
    read("/status", lambda desk: "/status"),
    read("/health", lambda desk: "/health"),
    write("POST /sessions", lambda desk: "/sessions", lambda desk: {"agent_role": "finance"}),
    write("PUT /sessions/{session_id}", lambda desk: f"/sessions/{desk.empty}", lambda desk: {"status": "active"}),
    write("PUT /sessions/{session_id}", lambda desk: f"/sessions/{desk.empty}", lambda desk: {"metadata": {"n": 1}}),
    write("PUT /sessions/{session_id}", lambda desk: f"/sessions/{desk.empty}", lambda desk: {"status": "pending"}),
    write("PUT /sessions/{session_id}", lambda desk: f"/sessions/{desk.session}", lambda desk: {"status": "failed"}, further=2),
    write("POST /sessions/{session_id}/heartbeat", lambda desk: f"/sessions/{desk.session}/heartbeat", lambda desk: None),
    write("POST /tasks/route", lambda desk: "/tasks/route", lambda desk: {**TASK, "task": {"type": "notification"}}),
    write("POST /tasks/route", lambda desk: "/tasks/route", lambda desk: TASK, further=1),
    write("POST /tasks/route", lambda desk: "/tasks/route", lambda desk: {**TASK, "session_id": desk.empty}, further=1),
    write("PUT /tasks/{task_id}", lambda desk: f"/tasks/{desk.task}", lambda desk: {"status": "active"}, MANAGER),
    write("PUT /tasks/{task_id}", lambda desk: f"/tasks/{desk.claimed}", lambda desk: {"status": "completed"}, MANAGER, further=1),
    write("PUT /tasks/{task_id}", lambda desk: f"/tasks/{desk.claimed}", lambda desk: {"status": "failed"}, MANAGER, further=1),
    write("PUT /tasks/{task_id}", lambda desk: f"/tasks/{desk.task}", lambda desk: {"status": "cancelled"}, further=1),
    write("POST /approvals", lambda desk: "/approvals", lambda desk: {"task_id": desk.task, "approver_role": "legal"}, further=1),
    write("POST /approvals", lambda desk: "/approvals", lambda desk: {"task_id": desk.task, "approver_role": "manager"}, further=1),
    write("POST /approvals", lambda desk: "/approvals", lambda desk: {"task_id": desk.task, "decision": "approved"}, MARIA, further=1),
    write(
        "POST /approvals/{approval_id}/decision", lambda desk: f"/approvals/{desk.approval}/decision",
        lambda desk: {"decision": "approved"}, MARIA,
    ),
    write("POST /approvals/{approval_id}/cancel", lambda desk: f"/approvals/{desk.approval}/cancel", lambda desk: None),
    write("POST /audit/ingest", lambda desk: "/audit/ingest", lambda desk: {"source": "test", "category": "walk", "action": "seen"}),
]  # fmt: skip


def send(call: Call, desk: Desk, key: str) -> HttpResponseBase:
    """The call, in this process, with a key where one counts."""
    roles = sorted(call.actor.roles)
    headers = {"Authorization": f"Bearer {own_token(call.actor.name, roles, 600)}", "Idempotency-Key": key}
    body = call.body(desk) if call.body else None
    said: dict[str, Any] = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    return Client().generic(call.route.split()[0], f"/api{call.path(desk)}", headers=headers, **said)


def asked(call: Call, desk: Desk, key: str) -> list[str]:
    """The queries of one call that succeeds; what frames a transaction is none."""
    with CaptureQueriesContext(connection) as sent:
        response = send(call, desk, key)
        if response.streaming:
            b"".join(response)
    assert response.status_code < 300, getattr(response, "content", b"")
    frames = ("BEGIN", "COMMIT", "SET LOCAL")
    return [query["sql"] for query in sent.captured_queries if not query["sql"].startswith(frames)]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.route}-{CALLS.index(call)}")
def test_a_route_sends_no_more_queries_than_it_may(desk: Desk, call: Call) -> None:
    queries = asked(call, desk, uuid4().hex)
    assert len(queries) <= call.most, "\n".join(queries)


@pytest.mark.parametrize("call", [call for call in CALLS if call.route in ("POST /sessions", "POST /tasks/route", "POST /approvals")][:2])
def test_a_replay_out_of_redis_sends_none(desk: Desk, call: Call) -> None:
    key = uuid4().hex
    asked(call, desk, key)
    assert asked(call, desk, key) == []


def test_the_number_of_rows_does_not_change_the_number_of_queries(desk: Desk) -> None:
    lists = [call for call in CALLS if call.route in ("GET /sessions", "GET /tasks", "GET /approvals")]
    before = [len(asked(call, desk, "one")) for call in lists]
    for _ in range(5):
        task = route_task(actor=FINANCE, target="manager", task_type="budget_approval").row
        ask(actor=FINANCE, task_id=task.pk, approver_role="manager")
    assert [len(asked(call, desk, "two")) for call in lists] == before


def test_every_route_is_counted() -> None:
    routes = {f"{method.upper()} {path.removeprefix('/api')}" for path, methods in document()["paths"].items() for method in methods}
    assert routes == {call.route for call in CALLS}
