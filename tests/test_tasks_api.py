"""`/api/tasks`: reading, claiming, completing, failing, cancelling, and what each does to session and approvals."""

from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import Door, Open
from tests.evidence import fields, incomplete, lapse_session, last_event, refused, told

SHAPE = [
    "task_id", "task_type", "description", "from_role", "to_role", "status", "data", "context", "result", "claimed_by", "trace_id",
    "session_id", "created_at", "updated_at",
]  # fmt: skip
APPROVAL = [
    "approval_id", "task_id", "approver_role", "status", "reason", "comments", "requested_by", "decided_by", "decision_at", "expires_at",
    "created_at",
]  # fmt: skip


@pytest.fixture
def task(finance_door: Door) -> str:
    """The id of a task that finance sent to manager."""
    return str(finance_door.route().json()["task_id"])


def put(door: Door, task: str, status: str, **more: Any) -> Any:
    """The answer to a change of the task."""
    return door.put(f"/tasks/{task}", json={"status": status, **more})


def state(door: Door, task: str) -> str:
    """Of the session that carries the task."""
    return str(door.get(f"/sessions/{task}").json()["state"])


def test_a_task_has_one_shape_and_alone_its_approvals(finance_door: Door, task: str) -> None:
    asked = finance_door.ask(task).json()["approval_id"]
    alone = finance_door.get(f"/tasks/{task}")
    assert list(alone.json()) == [*SHAPE, "approvals"] and alone.headers["ETag"] == '"1"'
    assert [(list(approval), approval["approval_id"]) for approval in alone.json()["approvals"]] == [(APPROVAL, asked)]
    (listed,) = finance_door.get("/tasks").json()["tasks"]
    assert list(listed) == SHAPE and listed == {name: alone.json()[name] for name in SHAPE}
    assert list(put(finance_door, task, "cancelled").json()) == SHAPE


def test_an_id_is_taken_with_or_without_prefix_in_any_case(finance_door: Door, task: str) -> None:
    for text in (task, task.upper(), task.removeprefix("task-"), task.removeprefix("task-").upper()):
        assert finance_door.get(f"/tasks/{text}").json()["task_id"] == task
    for wrong in (task.replace("task-", "session-"), task.replace("task-", "approval-"), "task-7", "7", f"task-{uuid4()}"):
        refused(finance_door.get(f"/tasks/{wrong}"), 404, "not-found")
        refused(put(finance_door, wrong, "active"), 404)


def test_who_reads_a_task(finance_door: Door, manager_door: Door, ada_door: Door, door: Open, task: str) -> None:
    legal = door("lea", "legal")
    refused(legal.get(f"/tasks/{task}"), 404)
    finance_door.ask(task, approver_role="legal")
    for reader in (finance_door, manager_door, ada_door, legal, door("root", "admin")):
        assert reader.get(f"/tasks/{task}").status_code == 200
    refused(door("support-agent", "support", "agent").get(f"/tasks/{task}"), 404)
    refused(door("nobody").get(f"/tasks/{task}"), 404)


def test_a_claim_is_the_first_holders_of_the_target_role(finance_door: Door, manager_door: Door, maria_door: Door, task: str) -> None:
    refused(put(finance_door, task, "active"), 403, "not-allowed")
    claimed = put(manager_door, task, " Active ")
    assert claimed.status_code == 200 and claimed.headers["ETag"] == '"2"'
    assert (claimed.json()["status"], claimed.json()["claimed_by"]) == ("active", "manager-agent")
    late = refused(put(maria_door, task, "active"), 409)
    assert "manager-agent" in late["detail"] and late["claimed_by"] == "manager-agent" and late["claimed_at"]
    again = put(manager_door, task, "active")
    assert (again.status_code, again.json(), told(task)) == (200, claimed.json(), ["task.routed", "task.claimed"])


def test_one_completes_after_claiming_and_only_the_claimer(finance_door: Door, manager_door: Door, maria_door: Door, task: str) -> None:
    refused(put(manager_door, task, "completed"), 409)
    put(manager_door, task, "active")
    refused(put(maria_door, task, "completed"), 403)
    refused(put(finance_door, task, "completed"), 403)
    done = put(manager_door, task, "completed", result={"paid": 1})
    assert (done.status_code, done.json()["status"], done.json()["result"]) == (200, "completed", {"paid": 1})
    assert state(finance_door, task) == "completed"
    assert put(manager_door, task, "completed", result={"paid": 1}).json() == done.json()
    for other in ({"result": {"paid": 2}}, {"result": {"paid": True}}, {}):
        refused(put(manager_door, task, "completed", **other), 409)
    refused(put(manager_door, task, "failed"), 409)
    refused(put(finance_door, task, "cancelled"), 409)
    assert told(task) == ["task.routed", "task.claimed", "task.completed"]
    assert incomplete() == []


def test_the_events_of_an_end_name_the_role_acted_in(finance_door: Door, manager_door: Door, task: str) -> None:
    session = finance_door.get(f"/tasks/{task}").json()["session_id"]
    put(manager_door, task, "active")
    put(manager_door, task, "completed")
    assert [last_event(id)["role"] for id in (task, session)] == ["manager", "manager"]


def test_failing_fails_the_session_and_cancels_what_was_asked(finance_door: Door, manager_door: Door, task: str) -> None:
    approval = finance_door.ask(task).json()["approval_id"]
    put(manager_door, task, "active")
    refused(put(manager_door, task, "completed"), 409, "approval-pending")
    assert finance_door.get(f"/tasks/{task}").json()["status"] == "active"
    assert put(manager_door, task, "failed", result={"why": "no budget"}).status_code == 200
    assert state(finance_door, task) == "failed"
    assert finance_door.get(f"/approvals/{approval}").json()["status"] == "cancelled"
    assert told(approval) == ["approval.requested", "approval.cancelled"] and incomplete() == []


def test_admin_may_fail_a_task_but_neither_complete_nor_claim_it(finance_door: Door, door: Open, task: str) -> None:
    root = door("root", "admin")
    refused(put(root, task, "active"), 403)
    refused(put(root, task, "completed"), 403)
    refused(put(root, task, "cancelled"), 403)
    assert put(root, task, "failed").status_code == 200
    assert last_event(task)["role"] == "admin" and state(finance_door, task) == "failed"


def test_the_sender_or_a_person_of_its_role_cancels_and_the_session_stays(
    finance_door: Door, manager_door: Door, felix_door: Door, door: Open, task: str
) -> None:
    approval = finance_door.ask(task).json()["approval_id"]
    refused(put(manager_door, task, "cancelled"), 403)
    refused(put(door("other-agent", "finance", "agent"), task, "cancelled"), 403)
    assert put(felix_door, task, "cancelled").json()["status"] == "cancelled"
    assert state(finance_door, task) == "active"
    assert finance_door.get(f"/approvals/{approval}").json()["status"] == "cancelled"
    assert put(finance_door, task, "cancelled").status_code == 200 and told(task) == ["task.routed", "task.cancelled"]
    refused(put(manager_door, task, "active"), 409)


def test_a_claimed_task_is_cancelled_by_its_sender_too(finance_door: Door, manager_door: Door, task: str) -> None:
    put(manager_door, task, "active")
    assert put(finance_door, task, "cancelled").status_code == 200
    refused(put(manager_door, task, "completed"), 409)


def test_an_auditor_without_an_org_role_ends_and_cancels_nothing(ada_door: Door, door: Open) -> None:
    then = door("ada", "auditor", "finance")
    task = then.route(target="finance").json()["task_id"]
    put(then, task, "active")
    for status in ("active", "completed", "failed", "cancelled"):
        refused(put(ada_door, task, status), 403)


def test_an_unknown_status_is_422_and_there_is_no_way_back(finance_door: Door, manager_door: Door, task: str) -> None:
    for word in ("done", "expired", "", "  ", 7, None):
        assert fields(refused(put(finance_door, task, word), 422)) == ["status"]  # type: ignore[arg-type]
    refused(put(manager_door, task, "pending"), 409)
    assert fields(refused(finance_door.put(f"/tasks/{task}", json={}), 422)) == ["status"]
    assert fields(refused(put(finance_door, task, "cancelled", results={}), 422)) == ["results"]
    values: list[Any] = [[], "x", 1]
    for wrong in values:
        assert fields(refused(put(manager_door, task, "failed", result=wrong), 422)) == ["result"]


def test_a_stale_if_match_is_412(finance_door: Door, manager_door: Door, task: str) -> None:
    put(manager_door, task, "active")
    answer = manager_door.put(f"/tasks/{task}", json={"status": "completed"}, headers={"If-Match": '"1"'})
    refused(answer, 412, "precondition-failed")
    refused(finance_door.put(f"/tasks/{task}", json={"status": "cancelled"}, headers={"If-Match": '"1"'}), 412)
    assert manager_door.put(f"/tasks/{task}", json={"status": "completed"}, headers={"If-Match": '"2"'}).status_code == 200


def test_a_lapsed_session_takes_its_task_along_at_the_next_write(finance_door: Door, manager_door: Door, task: str) -> None:
    approval = finance_door.ask(task).json()["approval_id"]
    session = finance_door.get(f"/tasks/{task}").json()["session_id"]
    lapse_session(session)
    refused(put(manager_door, task, "active"), 409)
    assert (told(session)[-1], told(task)[-1], told(approval)[-1]) == ("session.expired", "task.cancelled", "approval.cancelled")
    assert last_event(task)["actor_kind"] == "system" and incomplete() == []


def test_a_claim_is_activity_of_the_session(finance_door: Door, manager_door: Door, task: str) -> None:
    before = finance_door.get(f"/sessions/{task}")
    put(manager_door, task, "active")
    after = finance_door.get(f"/sessions/{task}")
    assert after.json()["updated_at"] > before.json()["updated_at"] and after.headers["ETag"] == before.headers["ETag"]


def test_a_list_holds_tasks_from_or_to_ones_roles_and_is_filtered(finance_door: Door, manager_door: Door, support_door: Door) -> None:
    first = finance_door.route(task={"type": "report"}).json()["task_id"]
    second = finance_door.route(target="support").json()["task_id"]
    put(support_door, second, "active")

    def found(door: Door, **params: str) -> list[str]:
        return [task["task_id"] for task in door.get("/tasks", params=params).json()["tasks"]]

    assert found(finance_door) == [second, first] and found(manager_door) == [first] and found(support_door) == [second]
    assert found(finance_door, target=" MANAGER") == [first] and found(finance_door, status="Active") == [second]
    assert found(finance_door, task_type="report") == [first] and found(finance_door, task_type="Report") == []
    assert found(finance_door, until="2001-01-01") == []
    for params in ({"status": "expired"}, {"to_role": "x"}, {"since": "yesterday"}, {"until": "0001-01-01T00:00:00+14:00"}):
        assert fields(refused(finance_door.get("/tasks", params=params), 422)) == list(params)
    page = finance_door.get("/tasks", params={"page_size": 1}).json()
    assert finance_door.get("/tasks", params={"cursor": page["next_cursor"]}).json()["tasks"][0]["task_id"] == first
