"""`POST /api/tasks/route`: handing a task to a role, into a session or into one of its own."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from django.conf import settings
from django.test import Client

from orchestrator.identity import own_token
from tests.conftest import Door, Open
from tests.evidence import count, fields, incomplete, lapse_session, last_event, refused, told


def test_routing_answers_202_with_id_trace_and_where_it_is(finance_door: Door) -> None:
    answer = finance_door.route()
    assert answer.status_code == 202
    assert list(answer.json()) == ["task_id", "status", "trace_id"] and answer.json()["status"] == "accepted"
    id = answer.json()["task_id"]
    assert UUID(id.removeprefix("task-")).version == 7 and id.startswith("task-")
    assert answer.headers["Location"] == f"/api/tasks/{id}" and answer.headers["ETag"] == '"1"'
    assert answer.json()["trace_id"] == answer.headers["X-Trace-Id"]


def test_the_predecessors_client_keeps_its_call(finance_door: Door, server: str) -> None:
    """Its base address ends in /api and it puts the route behind it."""
    controller = f"{server}/api"
    body = {
        "target": "manager",
        "task": {"type": "budget_approval", "amount": 50000, "description": "Q3 hiring", "data": {"currency": "EUR"}},
        "context": {"department": "R&D"},
    }
    answer = httpx.post(
        f"{controller}/tasks/route", json=body,
        headers={"Authorization": finance_door.headers["Authorization"], "Idempotency-Key": str(uuid4()), "X-Trace-Id": str(uuid4())},
    )  # fmt: skip
    assert answer.status_code == 202
    task = finance_door.get(f"/tasks/{answer.json()['task_id']}").json()
    assert (task["task_type"], task["description"], task["from_role"], task["to_role"]) == (
        "budget_approval",
        "Q3 hiring",
        "finance",
        "manager",
    )
    assert task["data"] == {"amount": 50000, "currency": "EUR"} and task["context"] == {"department": "R&D"}


def test_without_a_session_one_is_opened_active_and_carries_the_task(finance_door: Door) -> None:
    routed = finance_door.route().json()
    session = finance_door.get(f"/sessions/{routed['task_id']}").json()
    assert (session["state"], session["agent_role"], session["task_id"]) == ("active", "finance", routed["task_id"])
    assert session["trace_id"] == routed["trace_id"]
    assert (count("sessions"), count("tasks"), count("audit_events")) == (1, 1, 2)
    assert incomplete() == []


def test_routing_into_a_pending_session_makes_it_active_under_its_trace(finance_door: Door) -> None:
    opened = finance_door.post("/sessions", json={"agent_role": "finance"})
    id = opened.json()["session_id"]
    routed = finance_door.route(session_id=f"SESSION-{id.upper()}")
    assert routed.status_code == 202
    assert routed.json()["trace_id"] == opened.headers["X-Trace-Id"] != routed.headers["X-Trace-Id"]
    session = finance_door.get(f"/sessions/{id}").json()
    assert (session["state"], session["task_id"]) == ("active", routed.json()["task_id"])
    event = last_event(routed.json()["task_id"])
    assert str(event["trace_id"]) == opened.headers["X-Trace-Id"] and routed.headers["X-Trace-Id"] in event["metadata"]


def test_routing_into_a_session_that_has_ended_or_lapsed_is_409(finance_door: Door) -> None:
    for end in ("ended", "lapsed"):
        id = finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"]
        if end == "lapsed":
            lapse_session(id)
        else:
            finance_door.put(f"/sessions/{id}", json={"status": "expired"})
        refused(finance_door.route(session_id=id), 409)
        assert finance_door.get(f"/sessions/{id}").json()["state"] == "expired"
    assert count("tasks") == 0


def test_a_session_takes_no_second_task_whatever_became_of_the_first(finance_door: Door) -> None:
    task = finance_door.route().json()["task_id"]
    id = finance_door.get(f"/sessions/{task}").json()["session_id"]
    refused(finance_door.route(session_id=id), 409)
    finance_door.put(f"/tasks/{task}", json={"status": "cancelled"})
    refused(finance_door.route(session_id=id), 409)
    assert finance_door.get(f"/sessions/{id}").json()["state"] == "active"


def test_a_session_of_others_is_404_or_403(finance_door: Door, support_door: Door, felix_door: Door, ada_door: Door, door: Open) -> None:
    id = finance_door.post("/sessions", json={"agent_role": "finance"}).json()["session_id"]
    refused(support_door.route(session_id=id), 404)
    refused(finance_door.route(session_id=str(uuid4())), 404)
    refused(ada_door.route(session_id=id), 403)
    refused(door("other-agent", "finance", "agent").route(session_id=id), 403)
    for wrong in ("x", f"task-{id}", "", 5):
        assert fields(refused(finance_door.route(session_id=wrong), 422)) == ["session_id"]
    assert felix_door.route(session_id=id).status_code == 202


def test_from_role_is_ones_own_and_the_sessions(finance_door: Door, door: Open) -> None:
    both = door("both-agent", "finance", "support", "agent")
    assert fields(refused(both.route(), 422)) == ["from_role"]
    assert both.route(from_role=" SUPPORT").status_code == 202
    refused(finance_door.route(from_role="support"), 403)
    id = both.post("/sessions", json={"agent_role": "support"}).json()["session_id"]
    assert fields(refused(both.route(session_id=id, from_role="finance"), 422)) == ["from_role"]
    routed = both.route(session_id=id).json()["task_id"]
    assert both.get(f"/tasks/{routed}").json()["from_role"] == "support"


def test_an_auditor_or_admin_without_an_org_role_hands_over_nothing(ada_door: Door, door: Open) -> None:
    refused(ada_door.route(), 403)
    refused(door("root", "admin").route(), 403)
    assert count("tasks") == 0


@pytest.mark.parametrize("role", ["agent", "auditor", "admin"])
def test_roles_with_a_meaning_of_their_own_are_refused(door: Open, role: str) -> None:
    everything = door("everything", "finance", "agent", "auditor", "admin")
    assert fields(refused(everything.route(target=role), 422)) == ["target"]
    assert fields(refused(everything.route(from_role=role), 422)) == ["from_role"]


def test_a_target_outside_org_roles_is_422_and_they_are_listed(store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ORG_ROLES", ["finance", "manager"])
    answer = Client().post(
        "/api/tasks/route", {"target": "manger", "task": {"type": "x"}}, content_type="application/json",
        headers={"Authorization": f"Bearer {own_token('finance-agent', ['finance', 'agent'], 60)}", "Idempotency-Key": "k"},
    )  # fmt: skip
    assert answer.status_code == 422
    assert "finance, manager" in answer.json()["errors"][0]["message"] and answer.json()["errors"][0]["field"] == "target"


@pytest.mark.parametrize(
    ("task", "data"),
    [
        ({"type": "t", "amount": 1, "note": None, "deep": {"a": [1]}}, {"amount": 1, "note": None, "deep": {"a": [1]}}),
        ({"task_type": "t", "data": {"amount": 1}, "amount": 1}, {"amount": 1}),
        ({"task_type": "t", "type": "t"}, {}),
        ({"task_type": "t", "type": None, "data": None, "description": None}, {}),
        ({"task_type": None, "type": "t"}, {}),
    ],
)
def test_every_further_member_of_the_task_is_kept_in_its_data(finance_door: Door, task: Any, data: Any) -> None:
    routed = finance_door.route(task=task)
    assert routed.status_code == 202, routed.text
    read = finance_door.get(f"/tasks/{routed.json()['task_id']}").json()
    assert (read["task_type"], read["data"]) == ("t", data)


@pytest.mark.parametrize(
    "task",
    [
        {}, {"type": ""}, {"type": "   "}, {"type": "x" * 51}, {"type": 5}, {"type": "a", "task_type": "b"}, [], "x", None,
        {"type": "t", "amount": 1, "data": {"amount": 2}}, {"type": "t", "amount": 1, "data": {"amount": True}},
        {"type": "t", "description": "x" * 10_001}, {"type": "t", "data": []}, {"type": "t", "description": {}},
    ],
)  # fmt: skip
def test_a_task_that_cannot_be_taken_is_422_and_consumes_nothing(finance_door: Door, task: Any) -> None:
    said = refused(finance_door.route(key="again", task=task), 422)
    assert all(field.startswith("task") for field in fields(said)), said
    assert finance_door.route(key="again").status_code == 202


def test_text_is_trimmed_and_counted_after_it(finance_door: Door) -> None:
    task = {"type": "  " + "t" * 50 + " ", "description": " " + "ä" * 10_000 + "\n"}
    read = finance_door.get(f"/tasks/{finance_door.route(task=task).json()['task_id']}").json()
    assert (read["task_type"], read["description"]) == ("t" * 50, "ä" * 10_000)


@pytest.mark.parametrize("member", ["context", "priority", "Target"])
def test_wrong_members_beside_the_task_are_422(finance_door: Door, member: str) -> None:
    assert fields(refused(finance_door.route(**{member: "high"}), 422)) == [member]


def test_a_key_is_required(finance_door: Door) -> None:
    body = {"target": "manager", "task": {"type": "x"}}
    refused(finance_door.post("/tasks/route", json=body), 400)
    refused(finance_door.post("/tasks/route", json={"nothing": "right"}), 400)


def test_a_notification_opens_no_session_and_is_ended_without_a_claim(finance_door: Door, manager_door: Door) -> None:
    task = finance_door.route(task={"task_type": "notification", "description": "Books closed.", "data": {"priority": "low"}}).json()
    assert count("sessions") == 0
    assert finance_door.get(f"/tasks/{task['task_id']}").json()["session_id"] is None
    for _ in range(2):
        ended = manager_door.put(f"/tasks/{task['task_id']}", json={"status": "completed"})
        assert ended.status_code == 200 and ended.json()["status"] == "completed", ended.text
    assert told(task["task_id"]) == ["task.routed", "task.completed"]


def test_the_first_event_says_who_acted_in_which_role(finance_door: Door) -> None:
    event = last_event(finance_door.route().json()["task_id"])
    assert (event["event_type"], event["role"], event["actor"], event["actor_id"]) == (
        "task.routed", "finance", "finance-agent", "local|finance-agent",
    )  # fmt: skip
    assert (event["actor_kind"], event["version"]) == ("agent", 1)
