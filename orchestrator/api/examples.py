"""The description's examples: one small story, the same ids throughout; the tests send every request of it to a server."""

import json
from dataclasses import dataclass
from typing import Any

from audit.export import FIELDS

SESSION = "01a1fbb1-3662-762a-badf-a2a9cb622447"
TASK = "task-01a1fbb1-3664-7c31-9d02-5be0c1f7a9d4"
APPROVAL = "approval-01a1fbb1-4b20-7e55-a1c9-0f6c2d84b713"
EVENT = "01a1fbb1-4b24-7d80-8b7e-9a40d6e1c255"
TRACE = "6f1c2d84-5a0e-4b57-9a43-1f0c8be7d215"
KEY = "budget-2026-q4"
CURSOR = "WyI3YzE5IiwiMjAyNi0xMS0yMVQwMToyMDo1NyswMDowMCIsIjAxYTFmYmIxIl0:kV0bq4nYx3u1"

session = {
    "session_id": SESSION, "agent_role": "finance", "state": "active", "task_id": TASK, "metadata": {"ledger": "2026-q4"},
    "trace_id": TRACE, "created_at": "2026-11-21T01:20:57.442Z", "updated_at": "2026-11-21T01:20:57.444Z",
}  # fmt: skip
task = {
    "task_id": TASK, "task_type": "budget_approval", "description": "Q4 cloud budget", "from_role": "finance", "to_role": "manager",
    "status": "pending", "data": {"amount": 48200, "currency": "EUR"}, "context": {}, "result": None, "claimed_by": None,
    "trace_id": TRACE, "session_id": SESSION, "created_at": "2026-11-21T01:20:57.444Z", "updated_at": "2026-11-21T01:20:57.444Z",
}  # fmt: skip
claimed = {**task, "status": "active", "claimed_by": "manager-agent"}
approval = {
    "approval_id": APPROVAL, "task_id": TASK, "approver_role": "manager", "status": "pending",
    "reason": "The forecast is exceeded by 12 %.", "comments": "", "requested_by": "finance-agent", "decided_by": None,
    "decision_at": None, "expires_at": "2026-11-24T01:21:02.752Z", "created_at": "2026-11-21T01:21:02.752Z",
}  # fmt: skip
verdict = {"decided_by": "Maria Keller", "decision_at": "2026-11-21T01:24:10.031Z"}
approved = {**approval, **verdict, "status": "approved", "comments": "Fine for this quarter."}
rejected = {**approval, **verdict, "status": "rejected", "comments": "Stay below 45,000."}
event = {
    "event_id": EVENT, "event_type": "approval.requested", "role": "finance", "actor": "finance-agent",
    "timestamp": "2026-11-21T01:21:02.752Z", "trace_id": TRACE, "subject": APPROVAL, "version": 1,
    "metadata": {"of": "manager", "task": TASK.removeprefix("task-")},
    "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}  # fmt: skip
exported = {**event, "actor_id": "local|finance-agent", "actor_kind": "agent"}


def page(name: str, *rows: dict[str, Any]) -> dict[str, Any]:
    """The only page of a list."""
    return {name: list(rows), "total": len(rows), "page": 1, "page_size": 20, "next_cursor": None}


@dataclass(frozen=True)
class Example:
    """A request's body (None for none) and its answer; under this name both stand in the description."""

    name: str
    status: int
    reply: Any = None
    body: dict[str, Any] | None = None
    kind: str = "application/json"


routed = {"task_id": TASK, "status": "accepted", "trace_id": TRACE}
asked = {"approval_id": APPROVAL, "status": "pending"}

#: By the operation's name.
EXAMPLES: dict[str, list[Example]] = {
    "open_session": [
        Example("plain", 201, {"session_id": SESSION, "status": "pending"}, {"agent_role": "finance"}),
        Example(
            "with metadata", 201, {"session_id": SESSION, "status": "pending"}, {"agent_role": "finance", "metadata": {"ledger": "2026-q4"}}
        ),
    ],
    "list_sessions": [Example("one session", 200, page("sessions", session))],
    "read_session": [Example("a session with its task", 200, session)],
    "change_session": [
        Example("activate", 200, {**session, "task_id": None, "metadata": {}}, {"status": "active"}),
        Example(
            "merge metadata", 200, {**session, "state": "pending", "task_id": None}, {"metadata": {"ledger": "2026-q4", "draft": None}}
        ),
    ],
    "heartbeat": [],
    "route_task": [
        Example(
            "a budget approval", 202, routed,
            {
                "target": "manager", "context": {"quarter": "2026-q4"},
                "task": {"type": "budget_approval", "description": "Q4 cloud budget", "amount": 48200, "currency": "EUR"},
            },
        ),
        Example(
            "into a session", 202, routed,
            {"target": "manager", "session_id": SESSION, "task": {"task_type": "budget_approval", "data": {"amount": 48200}}},
        ),
        Example(
            "a notification", 202, routed,
            {"target": "manager", "task": {"task_type": "notification", "description": "Books closed.", "data": {"priority": "low"}}},
        ),
    ],
    "list_tasks": [Example("one task", 200, page("tasks", task))],
    "read_task": [Example("a task with its approvals", 200, {**task, "approvals": [approval]})],
    "change_task": [
        Example("claim", 200, claimed, {"status": "active"}),
        Example(
            "complete", 200, {**claimed, "status": "completed", "result": {"paid": True}}, {"status": "completed", "result": {"paid": True}}
        ),
        Example("fail", 200, {**claimed, "status": "failed"}, {"status": "failed"}),
        Example("cancel", 200, {**task, "status": "cancelled"}, {"status": "cancelled"}),
    ],
    "ask": [
        Example(
            "ask", 202, asked,
            {"task_id": TASK, "approver_role": "manager", "reason": "The forecast is exceeded by 12 %.", "expires_in": 86400},
        ),
        Example("already asked", 200, asked, {"task_id": TASK, "approver_role": "manager"}),
        Example("decide", 202, {**asked, "status": "approved"}, {"task_id": TASK, "decision": "approved"}),
    ],
    "list_approvals": [Example("one request", 200, page("approvals", approval))],
    "read_approval": [Example("waiting", 200, approval), Example("decided", 200, approved)],
    "decide": [
        Example("approve", 200, approved, {"decision": "approved", "comments": "Fine for this quarter."}),
        Example("reject", 200, rejected, {"decision": "rejected", "comments": "Stay below 45,000."}),
    ],
    "cancel": [
        Example("with a reason", 200, {**approval, "status": "cancelled", "decision_at": verdict["decision_at"]}, {"reason": "Sent twice."})
    ],
    "ingest": [
        Example(
            "a payment", 202, {"event_id": EVENT},
            {
                "source": "erp", "category": "payment", "action": "posted", "subject": TASK, "traceId": TRACE,
                "timestamp": "2026-11-21T01:20:00Z", "metadata": {"document": "4711"}, "content": "48,200.00 EUR to the cloud provider",
            },
        )
    ],
    "list_events": [Example("one event", 200, {"events": [event], "next_cursor": None})],
    "export_events": [
        Example("one line", 200, json.dumps(exported) + "\n", kind="application/jsonl"),
        Example("no row", 200, ",".join(FIELDS) + "\r\n", kind="text/csv"),
    ],
    "me": [
        Example(
            "an agent", 200,
            {
                "principal": "local|finance-agent", "name": "finance-agent", "kind": "agent", "roles": ["agent", "finance"],
                "expires_at": "2026-11-21T02:20:57Z",
            },
        )
    ],
    "roles": [Example("an org chart", 200, {"roles": ["finance", "legal", "manager"]})],
    "api_health": [
        Example("healthy", 200, {"status": "healthy", "version": "1.0.0", "database": "connected", "redis": "connected"}),
        Example("unhealthy", 503, {"status": "unhealthy", "version": "1.0.0", "database": "disconnected", "redis": "connected"}),
    ],
    "api_status": [Example("running", 200, {"status": "ok", "version": "1.0.0"})],
}  # fmt: skip
