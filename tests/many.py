"""A great many rows, made by the database itself: what the product holds after years, for tests of plans and of scale."""

from django.db import connection, transaction

ROLES = ("finance", "engineering", "support", "sales", "marketing", "legal", "hr", "it")
#: A UUIDv7 of a moment and a number, different for each `kind`.
ID = "(lpad(to_hex((extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '7000' || '8{kind}' || lpad(to_hex({n}), 13, '0'))::uuid"
AT = "now() - interval '80 days' * (1 - {n} / {rows}::float) - interval '2 hours'"
ROLE = "(ARRAY['finance','engineering','support','sales','marketing','legal','hr','it'])[1 + {n} % 8]"


def _of(n: str, rows: int) -> dict[str, str]:
    """The pieces of SQL that row `n` is made of."""
    at = AT.format(n=n, rows=rows)
    ids = {name: ID.format(at=at, n=n, kind=kind) for name, kind in (("session", 10), ("task", 20), ("approval", 30), ("event", 40))}
    return {"n": n, "rows": str(rows), "at": at, "role": ROLE.format(n=n), **ids}


TASKS = """
INSERT INTO tasks (id, version, task_type, description, from_role, to_role, data, trace_id, created_at, context, status, updated_at,
  claimed_by, claimed_by_name, claimed_at, created_by, created_by_name)
SELECT {task}, 3, 'budget_approval', 'Budget ' || n, {role}, 'manager', jsonb_build_object('amount', n, 'currency', 'EUR'), {session}, {at},
  '{{}}', CASE WHEN {open} = 0 THEN 'pending' ELSE 'completed' END, {at}, CASE WHEN {open} > 0 THEN 'local|manager-agent' END,
  CASE WHEN {open} > 0 THEN 'manager-agent' ELSE '' END, CASE WHEN {open} > 0 THEN {at} END, 'local|agent-' || n % 8, 'agent-' || n % 8
FROM generate_series(1, {rows}) n"""
#: 'everyday' stands in every session's metadata, 'weekly' in one of ten, 'monthly' in one of a thousand, 'once<n>' in one alone.
SESSIONS = """
INSERT INTO sessions (id, version, role, task_id, status, metadata, trace_id, created_at, updated_at, created_by, created_by_name)
SELECT {session}, 2, {role}, {task}, CASE WHEN {open} = 0 THEN 'active' WHEN {open} = 1 THEN 'failed' ELSE 'completed' END,
  jsonb_build_object('goal', 'everyday ' || CASE WHEN n % 10 = 3 THEN 'weekly ' ELSE '' END
    || CASE WHEN n % 1000 = 5 THEN 'monthly ' ELSE '' END || 'once' || n, 'attempt', n % 3),
  {session}, {at}, CASE WHEN {open} = 0 THEN now() ELSE {at} END, 'local|agent-' || n % 8, 'agent-' || n % 8
FROM generate_series(1, {rows}) n"""
APPROVALS = """
INSERT INTO approvals (id, version, task_id, approver_role, status, decision_at, notes, created_at, reason, from_role, requested_by,
  requested_by_name, decided_by, decided_by_name, expires_at)
SELECT {approval}, 2, {task}, 'manager', CASE WHEN {open} = 0 THEN 'pending' ELSE 'approved' END, CASE WHEN {open} > 0 THEN {at} END, '',
  {at}, 'Because.', {role}, 'local|agent-' || n % 8, 'agent-' || n % 8, CASE WHEN {open} > 0 THEN 'local|maria' END,
  CASE WHEN {open} > 0 THEN 'maria' ELSE '' END, CASE WHEN {open} = 0 THEN now() + interval '3 days' * (n + 1) / {rows} ELSE {at} END
FROM generate_series(1, {rows}) n"""
EVENTS = """
INSERT INTO audit_events (id, event_type, role, timestamp, trace_id, metadata, actor, actor_id, actor_kind,
  subject_type, subject_id, version, digest)
SELECT {event}, CASE WHEN n % 3 = 0 THEN 'session.opened' ELSE 'session.completed' END, {role}, {at}, {session}, '{{}}', 'agent-' || n % 8,
  'local|agent-' || n % 8, 'agent', 'session', {session}, 1, md5(n::text) || md5(n::text)
FROM generate_series(1, {rows}) n"""


def fill(rows: int, one_open_in: int = 50) -> None:
    """So many sessions with a task and an approval each (one in fifty still open and waiting for manager), and as many events.

    The triggers that want an event for each version are off: these rows are to be found and counted, not to be believed.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica; SET statement_timeout = 0")
        with transaction.atomic():  # at one moment: the ids hold it
            for statement in (TASKS, SESSIONS, APPROVALS, EVENTS):
                cursor.execute(statement.format(**_of("n", rows), open=f"n % {one_open_in}"))
        for table in ("tasks", "sessions", "approvals", "audit_events"):
            cursor.execute(f"VACUUM ANALYZE {table}")
        cursor.execute("SET session_replication_role = origin; RESET statement_timeout")
