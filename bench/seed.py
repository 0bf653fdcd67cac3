"""Rows in bulk, written by SQL alone: a company's past of any size, in seconds."""

import json
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
VALID_SECONDS = 86_400  # the requests run out after two days

# One session a second until now. Every `every`th carries a task that waits for a manager's approval. The triggers, which
# would look at each row, are off for this connection alone: so the events that they ask for are written here as well.
SEED = """
SET session_replication_role = replica;
SET maintenance_work_mem = '256MB';
CREATE TEMP TABLE made AS
  SELECT i, now() - make_interval(secs => %(sessions)s - i) AS at, uuidv7(make_interval(secs => i - %(sessions)s)) AS session,
    gen_random_uuid() AS trace, CASE WHEN i %% %(every)s = 0 THEN uuidv7(make_interval(secs => i - %(sessions)s)) END AS task
  FROM generate_series(1, %(sessions)s) AS i;
INSERT INTO tasks (id, version, task_type, description, from_role, to_role, status, data, context, trace_id, created_at, updated_at,
    created_by, created_by_name, claimed_by_name)
  SELECT task, 1, 'budget_approval', 'Budget no. ' || i, 'finance', 'manager', 'pending',
    jsonb_build_object('amount', i, 'currency', 'EUR', 'title', 'Budget no. ' || i), '{}', trace, at, at,
    'local|finance-agent', 'finance-agent', ''
  FROM made WHERE task IS NOT NULL;
INSERT INTO sessions (id, version, role, task_id, status, metadata, trace_id, created_at, updated_at, created_by, created_by_name)
  SELECT session, 1, 'finance', task, CASE WHEN task IS NULL THEN 'completed' ELSE 'active' END,
    jsonb_build_object('ticket', 'T-' || i), trace, at, now(), 'local|finance-agent', 'finance-agent'
  FROM made;
INSERT INTO approvals (id, version, task_id, approver_role, status, notes, created_at, reason, from_role, requested_by,
    requested_by_name, decided_by_name, expires_at)
  SELECT uuidv7(), 1, task, 'manager', 'pending', '', at, 'The quarter needs it: no. ' || i, 'finance', 'local|finance-agent',
    'finance-agent', '', now() + make_interval(days => 2, mins => 30, secs => i)
  FROM made WHERE task IS NOT NULL;
INSERT INTO audit_events (id, event_type, role, timestamp, trace_id, metadata, actor, actor_id, actor_kind, subject_type, subject_id,
    version, digest)
  SELECT uuidv7(), 'approval.requested', 'finance', created_at, gen_random_uuid(), '{}', 'finance-agent', 'local|finance-agent', 'agent',
    'approval', id, 1, encode(sha256(id::text::bytea), 'hex')
  FROM approvals;
"""


def sown(url: str, name: str, template: str, sessions: int, pending: int, say: Callable[[str], None]) -> None:
    """Make the database `name` as a copy of `template` and fill it, unless it holds just that from less than a day ago."""
    wanted = {"sessions": sessions, "pending": pending, "code": _code()}
    if _is_sown(url, name, wanted):
        return
    say(f"{sessions:,} sessions and {pending:,} requests into {name} (kept for the next run)")
    remake(url, name, template)
    fill(f"{url}/{name}", sessions, pending)
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        mark = sql.Literal(json.dumps({**wanted, "at": time.time()}))
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), mark))


def remake(url: str, name: str, template: str = "template0") -> None:
    """An empty database, or a copy; whatever had the name is gone."""
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))


def fill(url: str, sessions: int, pending: int) -> None:
    """The rows, then the planner's statistics, then a quiet disk."""
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(SEED, {"sessions": sessions, "every": sessions // pending})
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _is_sown(url: str, name: str, wanted: dict[str, object]) -> bool:
    with psycopg.connect(f"{url}/postgres") as connection:
        found = connection.execute("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name]).fetchone()
    mark = json.loads(found[0]) if found and found[0] else {}
    return bool(mark) and time.time() - mark.pop("at") < VALID_SECONDS and mark == wanted


def _code() -> str:
    """What the rows depend on: this file and the migrations."""
    files = [Path(__file__), *sorted(ROOT.glob("*/migrations/0*.py"))]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
