"""What the tests look at beside the replies: rows, events, the shape of a refusal; and how time is made to pass."""

from typing import Any

import httpx
from django.db import connection, transaction

#: An id that is well-formed and nobody's.
NOBODYS = "01890a5d-ac96-774b-bcce-b302099a8057"
TABLES = {"session": "sessions", "task": "tasks", "approval": "approvals"}


def sql(statement: str, *params: Any) -> list[tuple[Any, ...]]:
    """What the database answers."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if cursor.description else []


def count(table: str) -> int:
    """How many rows there are."""
    return int(sql(f"SELECT count(*) FROM {table}")[0][0])


def bare(id: str) -> str:
    """An id without its prefix."""
    return id.removeprefix("session-").removeprefix("task-").removeprefix("approval-")


def told(id: str) -> list[str]:
    """What happened to one object, oldest first."""
    return [row[0] for row in sql("SELECT event_type FROM audit_events WHERE subject_id = %s ORDER BY timestamp, id", bare(id))]


def last_event(id: str) -> dict[str, Any]:
    """The latest event of one object."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM audit_events WHERE subject_id = %s ORDER BY timestamp DESC LIMIT 1", [bare(id)])
        names = [column[0] for column in cursor.description or []]
        return dict(zip(names, cursor.fetchall()[0], strict=True))


def incomplete() -> list[tuple[Any, ...]]:
    """The objects whose events are not exactly the versions 1..version: there must be none."""
    found: list[tuple[Any, ...]] = []
    for subject, table in TABLES.items():
        found += sql(
            f"""SELECT %s, o.id, o.version, array_agg(e.version ORDER BY e.version) FROM {table} o
            LEFT JOIN audit_events e ON e.subject_type = %s AND e.subject_id = o.id AND e.version IS NOT NULL
            GROUP BY o.id HAVING array_agg(e.version ORDER BY e.version) IS DISTINCT FROM
              (SELECT array_agg(v) FROM generate_series(1, o.version) v)""",
            subject, subject,
        )  # fmt: skip
    return found


def rewrite(statement: str, *params: Any) -> None:
    """Change what no door can: the past. The triggers are off for it, in this transaction alone."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, params)
        assert cursor.rowcount == 1


def lapse_session(id: str) -> None:
    """Nobody touched it for eight days."""
    rewrite("UPDATE sessions SET updated_at = now() - interval '8 days' WHERE id = %s", bare(id))


def lapse_approval(id: str) -> None:
    """Its time was over a minute ago."""
    rewrite("UPDATE approvals SET expires_at = now() - interval '1 minute' WHERE id = %s", bare(id))


def refused(response: httpx.Response, status: int, slug: str | None = None) -> dict[str, Any]:
    """The problem, after a look at its shape (RFC 9457 and the contract's members)."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    said: dict[str, Any] = response.json()
    assert said["status"] == status
    assert said["type"].startswith("urn:orchestrator:") and said["title"] and said["detail"]
    assert said["trace_id"] == response.headers["X-Trace-Id"]
    if status == 422:
        assert said["errors"] and all({"field", "message"} == set(error) for error in said["errors"])
    if slug:
        assert said["type"] == f"urn:orchestrator:{slug}"
    return said


def fields(problem: dict[str, Any]) -> list[str]:
    """Which fields a 422 names."""
    return [error["field"] for error in problem["errors"]]
