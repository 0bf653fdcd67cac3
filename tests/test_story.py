"""The story that must always work, as one test over HTTP."""

from typing import Any

from django.db import connection

from tests.conftest import Door


def versions(trace_id: str) -> list[tuple[Any, ...]]:
    """Each event of the trace: what, who, version; oldest first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT event_type, actor, version FROM audit_events WHERE trace_id = %s ORDER BY timestamp, id", [trace_id])
        return list(cursor.fetchall())


def test_an_agent_asks_a_manager_decides_the_agent_learns_it_and_the_audit_shows_it(
    finance_door: Door, maria_door: Door, manager_door: Door
) -> None:
    routed = finance_door.route()
    assert routed.status_code == 202
    task_id, trace_id = routed.json()["task_id"], routed.json()["trace_id"]
    asked = finance_door.ask(task_id, reason="The forecast is exceeded.")
    assert asked.status_code == 202
    approval_id = asked.json()["approval_id"]

    decided = maria_door.post(f"/approvals/{approval_id}/decision", json={"decision": "approved", "comments": "Agreed."})
    assert decided.status_code == 200
    learned = finance_door.get(f"/approvals/{approval_id}", params={"wait": 10})
    assert (learned.json()["status"], learned.json()["comments"], learned.json()["decided_by"]) == ("approved", "Agreed.", "maria")

    assert manager_door.put(f"/tasks/{task_id}", json={"status": "active"}).status_code == 200
    assert manager_door.put(f"/tasks/{task_id}", json={"status": "completed", "result": {"paid": True}}).status_code == 200
    assert finance_door.get(f"/sessions/{task_id}").json()["state"] == "completed"
    assert versions(trace_id) == [
        ("session.opened", "finance-agent", 1),
        ("task.routed", "finance-agent", 1),
        ("approval.requested", "finance-agent", 1),
        ("approval.approved", "maria", 2),
        ("task.claimed", "manager-agent", 2),
        ("task.completed", "manager-agent", 3),
        ("session.completed", "manager-agent", 2),
    ]
