"""`POST /api/approvals` as a question, its lists, its cancelling, its time."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.test import Client

from orchestrator.identity import own_token
from tests.conftest import Door, Open
from tests.evidence import count, fields, incomplete, lapse_approval, lapse_session, last_event, refused, told

SHAPE = [
    "approval_id", "task_id", "approver_role", "status", "reason", "comments", "requested_by", "decided_by", "decision_at", "expires_at",
    "created_at",
]  # fmt: skip


@pytest.fixture
def task(finance_door: Door) -> str:
    """The id of a task that finance sent to manager."""
    return str(finance_door.route().json()["task_id"])


def lifetime(door: Door, approval: str) -> timedelta:
    """How long the request may wait, to the second."""
    read = door.get(f"/approvals/{approval}").json()
    exact = datetime.fromisoformat(read["expires_at"]) - datetime.fromisoformat(read["created_at"])
    return timedelta(seconds=round(exact.total_seconds()))


def test_asking_answers_202_with_id_status_and_where_it_is(finance_door: Door, task: str) -> None:
    asked = finance_door.ask(task.upper(), approver_role=" Manager", reason=" Over budget. ", comments="See Q3.", decision=" Pending ")
    assert asked.status_code == 202 and list(asked.json()) == ["approval_id", "status"] and asked.json()["status"] == "pending"
    id = asked.json()["approval_id"]
    assert id.startswith("approval-") and UUID(id.removeprefix("approval-")).version == 7
    assert asked.headers["Location"] == f"/api/approvals/{id}" and asked.headers["ETag"] == '"1"'
    read = finance_door.get(f"/approvals/{id}")
    assert list(read.json()) == SHAPE and read.headers["ETag"] == '"1"'
    assert {name: read.json()[name] for name in SHAPE[1:9]} == {
        "task_id": task, "approver_role": "manager", "status": "pending", "reason": "Over budget.\n\nSee Q3.", "comments": "",
        "requested_by": "finance-agent", "decided_by": None, "decision_at": None,
    }  # fmt: skip
    assert told(id) == ["approval.requested"]


def test_the_request_belongs_to_the_sessions_trace_and_asking_is_activity(finance_door: Door, task: str) -> None:
    session = finance_door.get(f"/sessions/{task}")
    asked = finance_door.ask(task)
    event = last_event(asked.json()["approval_id"])
    assert str(event["trace_id"]) == session.json()["trace_id"] and asked.headers["X-Trace-Id"] in event["metadata"]
    after = finance_door.get(f"/sessions/{task}")
    assert after.json()["updated_at"] > session.json()["updated_at"] and after.headers["ETag"] == session.headers["ETag"]


def test_asking_again_finds_the_open_request_and_consumes_no_key(finance_door: Door, felix_door: Door, task: str) -> None:
    id = finance_door.ask(task).json()["approval_id"]
    body = {"task_id": task, "approver_role": "manager", "reason": "in other words"}
    for door in (finance_door, felix_door):
        again = door.post("/approvals", json=body, headers={"Idempotency-Key": "mine"})
        assert (again.status_code, again.json()) == (200, {"approval_id": id, "status": "pending"})
        assert "Idempotent-Replayed" not in again.headers
    assert count("approvals") == 1 and told(id) == ["approval.requested"]
    body["approver_role"] = "legal"
    assert finance_door.post("/approvals", json=body, headers={"Idempotency-Key": "mine"}).status_code == 202


def test_after_an_answer_one_may_ask_anew(finance_door: Door, maria_door: Door, task: str) -> None:
    first = finance_door.ask(task).json()["approval_id"]
    maria_door.post(f"/approvals/{first}/decision", json={"decision": "rejected", "comments": "Too much."})
    second = finance_door.ask(task, reason="Now half.")
    assert second.status_code == 202 and second.json()["approval_id"] != first


def test_asking_first_expires_a_lapsed_request_with_its_event(finance_door: Door, task: str) -> None:
    first = finance_door.ask(task).json()["approval_id"]
    lapse_approval(first)
    second = finance_door.ask(task)
    assert second.status_code == 202 and second.json()["approval_id"] != first
    assert told(first) == ["approval.requested", "approval.expired"] and incomplete() == []


def test_who_may_ask(
    finance_door: Door, felix_door: Door, manager_door: Door, maria_door: Door, support_door: Door, door: Open, task: str
) -> None:
    refused(support_door.ask(task), 404)
    refused(manager_door.ask(task, approver_role="legal"), 403)
    refused(maria_door.ask(task, approver_role="legal"), 403)
    refused(door("ada", "auditor").ask(task), 403)
    assert felix_door.ask(task, approver_role="legal").status_code == 202
    assert door("other-agent", "finance", "agent").ask(task, approver_role="board").status_code == 202
    manager_door.put(f"/tasks/{task}", json={"status": "active"})
    claimer = manager_door.ask(task, approver_role="security").json()["approval_id"]
    assert last_event(claimer)["role"] == "manager"
    refused(maria_door.ask(task, approver_role="press"), 403)


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_asking_needs_an_open_task(finance_door: Door, manager_door: Door, task: str, end: str) -> None:
    manager_door.put(f"/tasks/{task}", json={"status": "active"})
    (finance_door if end == "cancelled" else manager_door).put(f"/tasks/{task}", json={"status": end})
    refused(finance_door.ask(task), 409)
    assert count("approvals") == 0


def test_asking_in_a_lapsed_session_is_409(finance_door: Door, task: str) -> None:
    lapse_session(finance_door.get(f"/tasks/{task}").json()["session_id"])
    refused(finance_door.ask(task), 409)
    assert told(task)[-1] == "task.cancelled"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"approver_role": None}, "approver_role"), ({"approver_role": " "}, "approver_role"),
        ({"approver_role": "agent"}, "approver_role"),
        ({"approver_role": "Auditor"}, "approver_role"), ({"approver_role": "admin"}, "approver_role"),
        ({"approver_role": "a b"}, "approver_role"),
        ({"task_id": "7"}, "task_id"), ({"task_id": None}, "task_id"), ({"task_id": f"approval-{uuid4()}"}, "task_id"),
        ({"expires_in": 59}, "expires_in"), ({"expires_in": 2_592_001}, "expires_in"), ({"expires_in": -1}, "expires_in"),
        ({"expires_in": 60.5}, "expires_in"), ({"expires_in": 10**300}, "expires_in"), ({"expires_in": "soon"}, "expires_in"),
        ({"decision": "maybe"}, "decision"), ({"decision": ""}, "decision"), ({"reason": "x" * 10_001}, "reason"),
        ({"comments": "x" * 10_001}, "comments"), ({"reason": 5}, "reason"), ({"aprover": "manager"}, "aprover"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_422_and_says_why(finance_door: Door, task: str, body: dict[str, Any], field: str) -> None:
    assert fields(refused(finance_door.ask(**{"task_id": task, **body}), 422)) == [field]
    assert count("approvals") == 0


def test_an_unknown_or_unreadable_task_is_404(finance_door: Door, felix_door: Door) -> None:
    refused(finance_door.ask(str(uuid4())), 404, "not-found")
    refused(finance_door.ask(f"task-{uuid4()}", decision="approved"), 404)


def test_an_approver_outside_org_roles_is_422(store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ORG_ROLES", ["finance", "manager"])
    token = own_token("finance-agent", ["finance", "agent"], 60)
    body = {"task_id": str(uuid4()), "approver_role": "manger"}
    answer = Client().post("/api/approvals", body, content_type="application/json", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 422 and "finance, manager" in answer.json()["detail"]


def test_a_request_lives_three_days_unless_said_otherwise_and_never_longer_than_sessions_are_kept(finance_door: Door, task: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "manager": {},
        "legal": {"expires_in": 60},
        "board": {"expires_in": 2_592_000},
        "press": {"expires_in": None},
    }
    asked = {role: finance_door.ask(task, approver_role=role, **body).json()["approval_id"] for role, body in bodies.items()}
    days = {role: lifetime(finance_door, id) for role, id in asked.items()}
    assert days == {"manager": timedelta(days=3), "legal": timedelta(seconds=60), "board": timedelta(days=7), "press": timedelta(days=3)}


def test_a_lapsed_request_reads_expired_at_once_everywhere(finance_door: Door, task: str) -> None:
    id = finance_door.ask(task).json()["approval_id"]
    lapse_approval(id)
    read = finance_door.get(f"/approvals/{id}")
    assert (read.json()["status"], read.json()["decision_at"]) == ("expired", read.json()["expires_at"])
    assert read.headers["ETag"] != '"1"'
    assert finance_door.get(f"/tasks/{task}").json()["approvals"][0]["status"] == "expired"

    def found(status: str) -> int:
        return int(finance_door.get("/approvals", params={"status": status}).json()["total"])

    assert (found("pending"), found("expired")) == (0, 1)


def test_a_lapsed_request_is_no_reason_not_to_complete(finance_door: Door, manager_door: Door, task: str) -> None:
    id = finance_door.ask(task).json()["approval_id"]
    manager_door.put(f"/tasks/{task}", json={"status": "active"})
    lapse_approval(id)
    assert manager_door.put(f"/tasks/{task}", json={"status": "completed"}).status_code == 200
    assert told(id) == ["approval.requested", "approval.expired"]


def test_who_asked_or_admin_takes_it_back_and_again_changes_nothing(
    finance_door: Door, felix_door: Door, maria_door: Door, door: Open, task: str
) -> None:
    id = finance_door.ask(task).json()["approval_id"]
    for other in (felix_door, maria_door):
        refused(other.post(f"/approvals/{id}/cancel"), 403)
    refused(door("support-agent", "support").post(f"/approvals/{id}/cancel"), 404)
    answer = finance_door.post(f"/approvals/{id.upper()}/cancel", json={"reason": " Solved. "})
    assert answer.status_code == 200 and list(answer.json()) == SHAPE and answer.headers["ETag"] == '"2"'
    assert answer.json()["status"] == "cancelled" and answer.json()["decided_by"] is None and answer.json()["decision_at"]
    assert "Solved." in last_event(id)["metadata"]
    assert finance_door.post(f"/approvals/{id}/cancel").json() == answer.json()
    assert told(id) == ["approval.requested", "approval.cancelled"]
    other_id = finance_door.ask(task).json()["approval_id"]
    assert door("root", "admin").post(f"/approvals/{other_id}/cancel", json={}).status_code == 200
    assert last_event(other_id)["role"] == "admin"


def test_what_is_answered_cannot_be_taken_back(finance_door: Door, maria_door: Door, task: str) -> None:
    id = finance_door.ask(task).json()["approval_id"]
    maria_door.post(f"/approvals/{id}/decision", json={"decision": "approved"})
    assert "maria" in refused(finance_door.post(f"/approvals/{id}/cancel"), 409)["detail"]
    lapsed = finance_door.ask(task).json()["approval_id"]
    lapse_approval(lapsed)
    refused(finance_door.post(f"/approvals/{lapsed}/cancel"), 409)
    assert fields(refused(finance_door.post(f"/approvals/{id}/cancel", json={"why": "x"}), 422)) == ["why"]


def test_who_lost_the_org_role_takes_nothing_back(door: Open) -> None:
    then = door("ada", "auditor", "finance")
    id = then.ask(then.route().json()["task_id"]).json()["approval_id"]
    refused(door("ada", "auditor").post(f"/approvals/{id}/cancel"), 403)


def test_a_list_holds_what_was_asked_of_or_by_ones_roles_and_is_filtered(
    finance_door: Door, maria_door: Door, support_door: Door, ada_door: Door, task: str
) -> None:
    first = finance_door.ask(task).json()["approval_id"]
    second = finance_door.ask(task, approver_role="support").json()["approval_id"]

    def found(door: Door, **params: str) -> list[str]:
        answer = door.get("/approvals", params=params).json()
        assert answer["total"] == len(answer["approvals"])
        return [approval["approval_id"] for approval in answer["approvals"]]

    assert found(finance_door) == found(ada_door) == [second, first]
    assert found(maria_door) == [first] and found(support_door) == [second]
    assert found(finance_door, approver_role="SUPPORT") == [second] and found(finance_door, task_id=task.upper()) == [second, first]
    assert found(finance_door, task_id=str(uuid4())) == found(finance_door, status="approved") == []
    assert list(finance_door.get("/approvals").json()["approvals"][0]) == SHAPE
    for params in ({"status": "waiting"}, {"task_id": "x"}, {"task_id": f"session-{uuid4()}"}, {"role": "manager"}):
        assert fields(refused(finance_door.get("/approvals", params=params), 422)) == list(params)
    page = finance_door.get("/approvals", params={"page_size": 1}).json()
    rest = finance_door.get("/approvals", params={"page_size": 1, "cursor": page["next_cursor"]}).json()
    assert [rest["approvals"][0]["approval_id"], rest["next_cursor"]] == [first, None]
