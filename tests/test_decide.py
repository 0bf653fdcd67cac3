"""Deciding, by the request's id and by `POST /api/approvals`: one winner, four eyes, nothing twice."""

from typing import Any

import httpx
import pytest

from tests.conftest import Door, Open
from tests.evidence import NOBODYS, fields, incomplete, lapse_approval, lapse_session, last_event, refused, sql, told


@pytest.fixture
def task(finance_door: Door) -> str:
    """The id of a task that finance's agent sent to manager."""
    return str(finance_door.route().json()["task_id"])


@pytest.fixture
def approval(finance_door: Door, task: str) -> str:
    """The id of what it asked of manager."""
    return str(finance_door.ask(task, reason="Over budget.").json()["approval_id"])


def decide(door: Door, approval: str, decision: str = "approved", headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    """By the request's own id."""
    return door.post(f"/approvals/{approval}/decision", json={"decision": decision, **more}, headers=headers)


def give(door: Door, task: str, decision: str = "approved", **more: Any) -> httpx.Response:
    """By the task's id, as existing clients do."""
    return door.post("/approvals", json={"task_id": task, "decision": decision, **more})


def test_approving_answers_with_the_decided_request(maria_door: Door, approval: str) -> None:
    answer = decide(maria_door, approval.upper(), " Approved ", comments=" Agreed. ")
    assert answer.status_code == 200 and answer.headers["ETag"] == '"2"'
    said = answer.json()
    assert (said["status"], said["comments"], said["decided_by"], said["reason"]) == ("approved", "Agreed.", "maria", "Over budget.")
    assert said["decision_at"] and said == maria_door.get(f"/approvals/{approval}").json()
    event = last_event(approval)
    assert (event["event_type"], event["role"], event["actor_id"], event["version"]) == ("approval.approved", "manager", "local|maria", 2)


def test_a_rejection_needs_words_and_leaves_the_task_open(finance_door: Door, maria_door: Door, task: str, approval: str) -> None:
    for comments in ({}, {"comments": " "}, {"comments": None}):
        assert fields(refused(decide(maria_door, approval, "rejected", **comments), 422)) == ["comments"]
        assert fields(refused(give(maria_door, task, "rejected", **comments), 422)) == ["comments"]
    assert decide(maria_door, approval, "rejected", comments="Half of it.").json()["status"] == "rejected"
    assert finance_door.get(f"/tasks/{task}").json()["status"] == "pending"
    assert told(approval) == ["approval.requested", "approval.rejected"]


def test_the_same_verdict_again_is_200_and_nothing_new(maria_door: Door, approval: str) -> None:
    first = decide(maria_door, approval, comments="Yes.")
    again = decide(maria_door, approval, comments="Yes, again.")
    assert (again.status_code, again.json(), again.headers["ETag"]) == (200, first.json(), first.headers["ETag"])
    assert told(approval) == ["approval.requested", "approval.approved"]


def test_a_late_decider_hears_what_who_and_when(maria_door: Door, door: Open, approval: str) -> None:
    at = decide(maria_door, approval).json()["decision_at"]
    for late in (decide(door("max", "manager"), approval), decide(maria_door, approval, "rejected", comments="No.")):
        said = refused(late, 409, "already-decided")
        assert (said["decision"], said["decided_by"]) == ("approved", "maria") and said["decision_at"][:19] == at[:19]
        assert "maria" in said["detail"] and "approved" in said["detail"]
    assert told(approval) == ["approval.requested", "approval.approved"]


def test_four_eyes_on_every_path(door: Open) -> None:
    """Neither who asked nor who sent the task, whatever roles they hold, through either route."""
    boss = door("boss", "finance", "manager", "admin")
    own_task = boss.route(from_role="finance").json()["task_id"]
    clerk = door("clerk", "finance")
    asked_by_clerk = clerk.ask(own_task).json()["approval_id"]
    refused(decide(boss, asked_by_clerk), 403)
    refused(give(boss, own_task), 403)
    clerks_task = clerk.route().json()["task_id"]
    asked_by_boss = boss.ask(clerks_task).json()["approval_id"]
    refused(decide(boss, asked_by_boss), 403)
    refused(give(boss, clerks_task), 403)
    for id in (asked_by_clerk, asked_by_boss):
        assert told(id) == ["approval.requested", "approval.refused", "approval.refused"]
        assert boss.get(f"/approvals/{id}").json()["status"] == "pending"
    assert incomplete() == []


def test_no_agent_decides_and_each_refusal_is_an_event(maria_door: Door, manager_door: Door, door: Open, task: str, approval: str) -> None:
    for agent in (manager_door, door("root-agent", "admin", "agent"), door("service-account-boss", "manager", "admin")):
        refused(decide(agent, approval), 403)
        refused(give(agent, task), 403)
    assert told(approval) == ["approval.requested", *["approval.refused"] * 6]
    event = last_event(approval)
    assert (event["version"], event["actor"]) == (None, "service-account-boss") and '"approved"' in event["metadata"]
    decide(maria_door, approval)
    refused(give(manager_door, task), 403)


def test_who_may_not_read_hears_404_and_leaves_no_event(support_door: Door, approval: str) -> None:
    refused(decide(support_door, approval), 404, "not-found")
    assert told(approval) == ["approval.requested"]


def test_a_reader_without_the_role_is_403_and_admin_may(felix_door: Door, ada_door: Door, door: Open, approval: str) -> None:
    for reader in (felix_door, ada_door):
        refused(decide(reader, approval), 403)
    assert decide(door("root", "admin"), approval).status_code == 200
    assert last_event(approval)["role"] == "admin"


def test_a_stale_if_match_is_412(finance_door: Door, maria_door: Door, approval: str) -> None:
    refused(decide(maria_door, approval, headers={"If-Match": '"2"'}), 412)
    assert decide(maria_door, approval, headers={"If-Match": '"1"'}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"decision": "pending"}, {"decision": "yes"}, {"decision": None}, {"decision": ""}, {"decision": 1}])
def test_an_unknown_verdict_is_422(maria_door: Door, approval: str, body: Any) -> None:
    assert fields(refused(maria_door.post(f"/approvals/{approval}/decision", json=body), 422)) == ["decision"]


def test_other_members_and_too_many_words_are_422(maria_door: Door, approval: str) -> None:
    assert fields(refused(decide(maria_door, approval, notes="x"), 422)) == ["notes"]
    assert fields(refused(decide(maria_door, approval, comments="x" * 10_001), 422)) == ["comments"]
    assert decide(maria_door, approval, comments="ä" * 10_000).status_code == 200


@pytest.mark.parametrize("id", ["x", NOBODYS, f"approval-{NOBODYS}", f"task-{NOBODYS}"])
def test_what_does_not_exist_is_404(maria_door: Door, id: str) -> None:
    refused(decide(maria_door, id), 404, "not-found")


def test_nobody_decides_after_the_time_is_over(maria_door: Door, task: str, approval: str) -> None:
    lapse_approval(approval)
    refused(decide(maria_door, approval), 409)
    assert told(approval) == ["approval.requested", "approval.expired"]
    decided_at, expires_at = sql("SELECT decision_at, expires_at FROM approvals")[0]
    assert decided_at == expires_at
    refused(give(maria_door, task), 409)


def test_nobody_decides_in_a_lapsed_session(finance_door: Door, maria_door: Door, task: str, approval: str) -> None:
    lapse_session(finance_door.get(f"/tasks/{task}").json()["session_id"])
    refused(decide(maria_door, approval), 409)
    assert told(approval)[-1] == "approval.cancelled" and incomplete() == []


def test_a_cancelled_request_cannot_be_decided(finance_door: Door, maria_door: Door, approval: str) -> None:
    finance_door.post(f"/approvals/{approval}/cancel")
    refused(decide(maria_door, approval), 409)


def test_deciding_is_activity_of_the_session(finance_door: Door, maria_door: Door, task: str, approval: str) -> None:
    before = finance_door.get(f"/sessions/{task}")
    decide(maria_door, approval)
    after = finance_door.get(f"/sessions/{task}")
    assert after.json()["updated_at"] > before.json()["updated_at"] and after.headers["ETag"] == before.headers["ETag"]


# --- by the task's id ----------------------------------------------------------------------------------


def test_existing_clients_decide_by_the_tasks_id(finance_door: Door, maria_door: Door, task: str, approval: str) -> None:
    answer = give(maria_door, task.removeprefix("task-"), " APPROVED", comments="Agreed.")
    assert (answer.status_code, answer.json()) == (202, {"approval_id": approval, "status": "approved"})
    assert finance_door.get(f"/approvals/{approval}").json()["comments"] == "Agreed."
    again = give(maria_door, task)
    assert (again.status_code, again.json()) == (200, answer.json())
    refused(give(maria_door, task, "rejected", comments="No."), 409, "already-decided")
    assert told(approval) == ["approval.requested", "approval.approved"]


def test_a_verdict_without_an_open_request_is_409(maria_door: Door, task: str) -> None:
    refused(give(maria_door, task), 409, "no-open-approval")


def test_an_agents_verdict_is_403_even_when_nothing_is_open(manager_door: Door, task: str) -> None:
    refused(give(manager_door, task), 403)


def test_several_open_requests_that_one_may_decide_are_409_and_named(finance_door: Door, door: Open, task: str, approval: str) -> None:
    second = finance_door.ask(task, approver_role="legal").json()["approval_id"]
    both = door("bea", "manager", "legal")
    assert approval in repr(said := refused(give(both, task), 409)) and second in repr(said)
    assert give(door("lea", "legal"), task).json()["approval_id"] == second
    assert give(both, task).json()["approval_id"] == approval


def test_open_requests_of_which_none_is_the_callers_are_403(felix_door: Door, task: str, approval: str) -> None:
    refused(give(felix_door, task), 403)
    assert told(approval)[-1] == "approval.refused"


def test_a_verdict_names_no_role_without_a_place_on_the_org_chart(maria_door: Door, task: str, approval: str) -> None:
    assert fields(refused(give(maria_door, task, approver_role="admin"), 422)) == ["approver_role"]
    assert give(maria_door, task, approver_role="manager").status_code == 202


@pytest.mark.parametrize("tag", ['"99"', '"01"', '"1-expired"', "nonsense"])
def test_existing_clients_decisions_honour_if_match_too(finance_door: Door, maria_door: Door, tag: str) -> None:
    task = finance_door.route().json()["task_id"]
    finance_door.ask(task)
    said = {"task_id": task, "decision": "approved"}
    refused(maria_door.post("/approvals", json=said, headers={"If-Match": tag}), 412)
    assert maria_door.post("/approvals", json=said, headers={"If-Match": '"1"'}).status_code == 202


def test_a_key_that_asked_decides_nothing(finance_door: Door, maria_door: Door, door: Open) -> None:
    task = finance_door.route().json()["task_id"]
    finance_door.ask(task)
    chief = door("chief", "manager", "legal")
    own = chief.route(from_role="legal", target="finance").json()["task_id"]
    key = {"Idempotency-Key": "asked"}
    assert chief.post("/approvals", json={"task_id": own, "approver_role": "finance"}, headers=key).status_code == 202
    refused(chief.post("/approvals", json={"task_id": task, "decision": "approved"}, headers=key), 422, "idempotency-key-reused")
    assert chief.post("/approvals", json={"task_id": task, "decision": "approved"}).status_code == 202
