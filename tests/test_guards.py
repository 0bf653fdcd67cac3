"""What the database itself refuses, whoever asks: a change without its event, an altered past, four eyes closed."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, InternalError, connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F
from django.utils import timezone

from approvals import actions as approvals
from approvals.models import Approval
from audit.actor import Actor
from audit.errors import NotAllowed
from audit.models import Audited, AuditEvent, event
from sessions import actions
from sessions.models import Session, Task
from tests.conftest import agent, person
from tests.evidence import count, incomplete, lapse_approval, lapse_session, rewrite, sql, told

MODELS: dict[str, type[Audited]] = {"session": Session, "task": Task, "approval": Approval}
TABLES = {"session": "sessions", "task": "tasks", "approval": "approvals"}
SENDER, MARIA = agent("finance-agent", "finance"), person("maria", "manager")


@pytest.fixture
def desk(store: None) -> dict[str, Any]:
    """A task that finance sent, its session, and what was asked about it."""
    task = actions.route_task(actor=SENDER, target="manager", task_type="budget_approval", data={"amount": 5}).row
    approvals.ask(actor=SENDER, task_id=task.pk, approver_role="manager", reason="Why not?")
    return {"session": Session.objects.get(), "task": Task.objects.get(), "approval": Approval.objects.get()}


@contextmanager
def refused(*parts: str) -> Iterator[None]:
    """It does not commit, and nothing of it stays."""
    before = state()
    with pytest.raises((IntegrityError, InternalError)) as caught, transaction.atomic():
        yield
    for part in parts:
        assert part in str(caught.value)
    assert state() == before


def state() -> list[Any]:
    """All rows of the four tables."""
    return [sql(f"SELECT to_jsonb(t) FROM {table} t ORDER BY id") for table in ("sessions", "tasks", "approvals", "audit_events")]


def tell(row: Any, verb: str = "updated", by: Actor = SENDER) -> None:
    """The event of the row's present version."""
    event(row, verb, actor=by, role="finance").save(force_insert=True)


# --- no change without its event -----------------------------------------------------------------------

END = {"session": "failed", "task": "failed", "approval": "cancelled"}


def by_update(kind: str, row: Any) -> None:
    MODELS[kind]._default_manager.filter(pk=row.pk).update(**changed(kind))


def by_update_with_version(kind: str, row: Any) -> None:
    MODELS[kind]._default_manager.filter(pk=row.pk).update(**changed(kind), version=F("version") + 1)


def by_save(kind: str, row: Any) -> None:
    for name, value in changed(kind).items():
        setattr(row, name, value)
    row.save()


def by_save_with_version(kind: str, row: Any) -> None:
    row.version += 1
    by_save(kind, row)


def by_bulk_update(kind: str, row: Any) -> None:
    for name, value in changed(kind).items():
        setattr(row, name, value)
    MODELS[kind]._default_manager.bulk_update([row], list(changed(kind)))


def by_sql(kind: str, row: Any) -> None:
    at = ", decision_at = now()" if kind == "approval" else ""
    sql(f"UPDATE {TABLES[kind]} SET status = %s{at} WHERE id = %s", END[kind], row.pk)


def by_sql_with_version(kind: str, row: Any) -> None:
    at = ", decision_at = now()" if kind == "approval" else ""
    sql(f"UPDATE {TABLES[kind]} SET version = version + 1, status = %s{at} WHERE id = %s", END[kind], row.pk)


def by_version_alone(kind: str, row: Any) -> None:
    sql(f"UPDATE {TABLES[kind]} SET version = version + 1 WHERE id = %s", row.pk)


def by_leap_with_its_event(kind: str, row: Any) -> None:
    row.version += 2
    tell(row)
    sql(f"UPDATE {TABLES[kind]} SET version = version + 2 WHERE id = %s", row.pk)


def by_event_of_another_version(kind: str, row: Any) -> None:
    row.version += 2
    tell(row)
    by_sql_with_version(kind, row)


def by_event_of_another_object(kind: str, row: Any) -> None:
    other = type(row)(pk=uuid4(), version=row.version + 1)
    other.trace = lambda: uuid4()
    tell(other)
    by_sql_with_version(kind, row)


def changed(kind: str) -> dict[str, Any]:
    """What would change."""
    return {"status": END[kind], **({"decision_at": timezone.now()} if kind == "approval" else {})}


WAYS: list[Callable[[str, Any], None]] = [
    by_update, by_update_with_version, by_save, by_save_with_version, by_bulk_update, by_sql, by_sql_with_version, by_version_alone,
    by_leap_with_its_event, by_event_of_another_version, by_event_of_another_object,
]  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("way", WAYS)
def test_a_change_without_its_event_does_not_commit(desk: dict[str, Any], kind: str, way: Callable[[str, Any], None]) -> None:
    with refused("event" if way is not by_event_of_another_version else ""):
        way(kind, desk[kind])


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("way", ["create", "bulk_create", "a later version", "copied in SQL"])
def test_a_new_row_without_its_event_does_not_commit(desk: dict[str, Any], kind: str, way: str) -> None:
    row = type(desk[kind]).objects.get(pk=desk[kind].pk)
    row.pk, row.idempotency_key = uuid4(), None
    if kind == "session":
        row.task = None
    if kind == "approval":
        row.approver_role = "legal"
    with refused("event"):
        if way == "bulk_create":
            type(row).objects.bulk_create([row])
        elif way == "copied in SQL":
            change = {"session": "task_id = NULL", "task": "version = 1", "approval": "approver_role = 'legal'"}[kind]
            sql(f"CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT * FROM {TABLES[kind]} WHERE id = %s", desk[kind].pk)
            sql(f"UPDATE copy SET id = gen_random_uuid(), {change}")
            sql(f"INSERT INTO {TABLES[kind]} SELECT * FROM copy")
        else:
            if way == "a later version":
                row.version = 3
                tell(row)
            row.save(force_insert=True)


@pytest.mark.parametrize("kind", MODELS)
def test_a_change_with_the_next_version_and_its_event_commits(desk: dict[str, Any], kind: str) -> None:
    row = desk[kind]
    with transaction.atomic():
        for _ in range(2):
            row.version += 1
            sql(f"UPDATE {TABLES[kind]} SET version = version + 1 WHERE id = %s", row.pk)
            tell(row)
    assert incomplete() == [] and told(str(row.pk))[1:] == [f"{kind}.updated"] * 2


@pytest.mark.parametrize("kind", MODELS)
def test_a_touch_moves_no_version_and_needs_no_event(desk: dict[str, Any], kind: str) -> None:
    before = count("audit_events")
    columns = ["idempotency_key = NULL", "request_digest = NULL", *(["updated_at = now()"] if kind != "approval" else [])]
    sql(f"UPDATE {TABLES[kind]} SET {', '.join(columns)}")
    assert count("audit_events") == before and incomplete() == []


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("way", ["delete", "queryset", "sql", "truncate", "cascade"])
def test_nothing_is_ever_deleted(desk: dict[str, Any], kind: str, way: str) -> None:
    with refused():
        if way == "delete":
            desk[kind].delete()
        elif way == "queryset":
            type(desk[kind]).objects.filter(pk=desk[kind].pk)._raw_delete("default")
        else:
            sql(
                {"sql": "DELETE FROM {}", "truncate": "TRUNCATE {}, approvals, sessions", "cascade": "TRUNCATE {} CASCADE"}[way].format(
                    TABLES[kind]
                )
            )


FROZEN: dict[str, dict[str, Any]] = {
    "session": {"role": "legal", "trace_id": uuid4(), "created_at": "2000-01-01", "created_by": "local|x"},
    "task": {
        "task_type": "x", "description": "x", "from_role": "legal", "to_role": "legal", "data": '{"amount": 6}', "context": '{"a": 1}',
        "trace_id": uuid4(), "created_at": "2000-01-01", "created_by": "local|x",
    },
    "approval": {"approver_role": "legal", "reason": "x", "from_role": "legal", "requested_by": "local|x", "created_at": "2000-01-01"},
}  # fmt: skip


@pytest.mark.parametrize(("kind", "column"), [(kind, column) for kind, columns in FROZEN.items() for column in columns])
def test_what_was_said_at_the_start_never_changes(desk: dict[str, Any], kind: str, column: str) -> None:
    row = desk[kind]
    with refused("never changes"):
        row.version += 1
        tell(row)
        sql(f"UPDATE {TABLES[kind]} SET version = version + 1, {column} = %s WHERE id = %s", FROZEN[kind][column], row.pk)


def test_a_change_that_is_rolled_back_leaves_no_event(desk: dict[str, Any]) -> None:
    before = state()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        actions.update_session(actor=SENDER, session_id=desk["session"].pk, status="failed")
        raise ZeroDivisionError
    assert state() == before


def test_an_event_that_cannot_be_written_undoes_its_change(desk: dict[str, Any]) -> None:
    sql("CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$")
    sql("CREATE TRIGGER full_disk BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION full_disk()")
    before = state()
    try:
        with pytest.raises(DatabaseError):
            actions.claim_task(actor=MARIA, task_id=desk["task"].pk)
    finally:
        sql("DROP TRIGGER full_disk ON audit_events")
        sql("DROP FUNCTION full_disk()")
    assert state() == before


# --- events are for ever -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET role = 'x'", "UPDATE audit_events SET digest = ''", "DELETE FROM audit_events", "TRUNCATE audit_events"],
)
def test_no_event_is_changed_or_deleted_in_sql(desk: dict[str, Any], statement: str) -> None:
    with refused("refused"):
        sql(statement)


def test_no_event_is_changed_or_deleted_through_the_orm(desk: dict[str, Any]) -> None:
    told_of = AuditEvent.objects.latest("timestamp")
    with refused("refused"):
        AuditEvent.objects.all().update(actor="somebody")
    with refused("refused"):
        told_of.delete()
    with refused("refused"):
        told_of.metadata = {"other": 1}
        told_of.save()


def test_a_version_is_told_once(desk: dict[str, Any]) -> None:
    with refused("audit_events_subject_version"):
        tell(desk["task"])


@pytest.mark.parametrize("columns", [{"metadata": []}, {"subject_type": "user"}, {"subject_id": None}, {"subject_type": None}])
def test_an_event_that_is_none_is_refused(desk: dict[str, Any], columns: dict[str, Any]) -> None:
    told_of = event(desk["task"], "x", actor=SENDER, role="finance", refused=True)
    for name, value in columns.items():
        setattr(told_of, name, value)
    with refused():
        told_of.save(force_insert=True)


# --- the chain -----------------------------------------------------------------------------------------


def intact() -> bool:
    """What the command says."""
    try:
        call_command("audit_check", stdout=io.StringIO(), stderr=io.StringIO())
    except CommandError:
        return False
    return True


def story(desk: dict[str, Any]) -> list[tuple[Any, ...]]:
    """A refused decision, then a decision; the approval's events, oldest first."""
    with pytest.raises(NotAllowed):
        approvals.decide(actor=SENDER, approval_id=desk["approval"].pk, verdict="approved")
    approvals.decide(actor=MARIA, approval_id=desk["approval"].pk, verdict="approved")
    return sql("SELECT id, event_type, digest FROM audit_events WHERE subject_id = %s ORDER BY timestamp", desk["approval"].pk)


def test_each_digest_follows_from_the_one_before_and_refusals_stand_in_the_chain(desk: dict[str, Any]) -> None:
    events = story(desk)
    assert [kind for _, kind, _ in events] == ["approval.requested", "approval.refused", "approval.approved"]
    before = ""
    for id, _, digest in events:
        assert len(digest) == 64
        assert sql("SELECT audit_digest(%s, e) FROM audit_events e WHERE id = %s", before, id) == [(digest,)]
        assert sql("SELECT audit_digest('x' || %s, e) FROM audit_events e WHERE id = %s", before, id) != [(digest,)]
        before = digest
    assert intact()


@pytest.mark.parametrize(
    "change",
    [
        "event_type = 'approval.expired'", "role = 'x'", "timestamp = timestamp + interval '1 microsecond'", "trace_id = gen_random_uuid()",
        """metadata = metadata || '{"a": 1}'""", "actor = 'x'", "actor_id = 'local|x'", "actor_kind = 'person'", "id = gen_random_uuid()",
    ],
)  # fmt: skip
def test_whoever_alters_an_event_past_the_guards_is_found_out(desk: dict[str, Any], change: str) -> None:
    middle = story(desk)[1][0]
    rewrite(f"UPDATE audit_events SET {change} WHERE id = %s", middle)
    assert not intact()


def test_an_event_taken_away_or_two_in_another_order_are_found_out(desk: dict[str, Any]) -> None:
    _, middle, last = (row[0] for row in story(desk))
    with transaction.atomic():
        rewrite("DELETE FROM audit_events WHERE id = %s", middle)
        assert not intact_here()
        transaction.set_rollback(True)
    with transaction.atomic():
        rewrite("DELETE FROM audit_events WHERE id = %s", last)
        assert incomplete()
        transaction.set_rollback(True)
    assert intact()
    _, (later,) = sql("SELECT timestamp FROM audit_events WHERE id IN (%s, %s) ORDER BY timestamp", middle, last)
    rewrite("UPDATE audit_events SET timestamp = %s WHERE id = %s", later + timedelta(seconds=1), middle)
    assert not intact()


def intact_here() -> bool:
    """The chains alone, inside this transaction."""
    broken = sql(
        """SELECT 1 FROM (SELECT e.digest = audit_digest(CASE WHEN e.subject_id IS NULL THEN '' ELSE
        coalesce(lag(e.digest) OVER (PARTITION BY e.subject_type, e.subject_id ORDER BY e.timestamp), '') END, e) AS whole
        FROM audit_events e) chain WHERE NOT whole"""
    )
    return not broken


def test_an_event_without_its_change_is_found_out(desk: dict[str, Any]) -> None:
    desk["task"].version = 2
    tell(desk["task"])
    assert not intact()


# --- rules that hold in the database too ---------------------------------------------------------------


def decided(approval: Approval, by: str) -> None:
    """Past every action: an approved request with its event."""
    approval.version += 1
    tell(approval, "approved")
    values = {"status": "approved", "decided_by": by, "decision_at": timezone.now(), "version": approval.version}
    Approval.objects.filter(pk=approval.pk).update(**values)


def test_nobody_decides_what_they_asked(desk: dict[str, Any]) -> None:
    claimer = agent("manager-agent", "manager")
    actions.claim_task(actor=claimer, task_id=desk["task"].pk)
    asked = approvals.ask(actor=claimer, task_id=desk["task"].pk, approver_role="legal").row
    with refused("approvals_four_eyes"):
        decided(asked, claimer.principal)


def test_nobody_decides_about_a_task_they_sent(desk: dict[str, Any]) -> None:
    asked = approvals.ask(actor=person("felix", "finance"), task_id=desk["task"].pk, approver_role="legal").row
    with refused("who sent the task"):
        decided(asked, SENDER.principal)
    asked.refresh_from_db()
    decided(asked, MARIA.principal)
    assert Approval.objects.get(pk=asked.pk).status == "approved"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("session", {"status": "done"}), ("session", {"metadata": []}), ("session", {"metadata": "x"}), ("session", {"task_id": uuid4()}),
        ("task", {"status": "expired"}), ("task", {"result": []}), ("task", {"claimed_by": "local|x"}),
        ("approval", {"status": "done", "decision_at": timezone.now()}), ("approval", {"status": "cancelled"}),
        ("approval", {"decision_at": timezone.now()}), ("approval", {"status": "approved", "decision_at": timezone.now()}),
        ("approval", {"status": "expired", "decision_at": timezone.now(), "decided_by": "local|maria"}),
    ],
)  # fmt: skip
def test_a_row_that_contradicts_itself_is_refused(desk: dict[str, Any], kind: str, values: dict[str, Any]) -> None:
    row = desk[kind]
    with refused():
        row.version += 1
        tell(row)
        type(row).objects.filter(pk=row.pk).update(**values, version=row.version)


def test_one_request_per_task_and_role_is_pending_and_a_session_shares_its_task_with_nobody(desk: dict[str, Any]) -> None:
    twin = Approval.objects.get()
    twin.pk = uuid4()
    with refused("approvals_one_pending"):
        tell(twin, "requested")
        twin.save(force_insert=True)
    other = Session.objects.get()
    other.pk = uuid4()
    with refused("task_id"):
        tell(other, "opened")
        other.save(force_insert=True)


def test_the_views_show_the_effective_status(desk: dict[str, Any]) -> None:
    assert [row[0] for row in sql("SELECT id FROM active_sessions")] == [desk["session"].pk]
    pending = sql("SELECT id, task_id, approver_role, created_at, description, from_role, to_role FROM pending_approvals")
    assert [(row[0], row[5], row[6]) for row in pending] == [(desk["approval"].pk, "finance", "manager")]
    lapse_approval(str(desk["approval"].pk))
    lapse_session(str(desk["session"].pk))
    assert sql("SELECT * FROM active_sessions") == sql("SELECT * FROM pending_approvals") == []
    columns = (
        "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'active_sessions'"
    )
    assert sql(columns) == [("id role task_id created_at updated_at",)]


def test_a_database_role_that_owns_nothing_can_do_the_work_and_not_undo_the_past(desk: dict[str, Any]) -> None:
    """As in a deployment: the web's role has no more than it needs."""
    sql("CREATE ROLE desk_web")
    try:
        sql("GRANT SELECT, INSERT, UPDATE ON sessions, tasks, approvals TO desk_web")
        sql("GRANT SELECT, INSERT ON audit_events TO desk_web")
        sql("SET ROLE desk_web")
        actions.claim_task(actor=MARIA, task_id=desk["task"].pk)
        approvals.decide(actor=MARIA, approval_id=desk["approval"].pk, verdict="approved")
        for statement in (
            "UPDATE audit_events SET role = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events", "DELETE FROM sessions",
            "SET session_replication_role = replica", "ALTER TABLE audit_events DISABLE TRIGGER ALL", "DROP TABLE audit_events",
            "CREATE OR REPLACE FUNCTION audited_events() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        ):  # fmt: skip
            with pytest.raises(DatabaseError), transaction.atomic():
                sql(statement)
    finally:
        sql("RESET ROLE")
        sql("DROP OWNED BY desk_web")
        sql("DROP ROLE desk_web")
    assert intact()


# --- migrations ----------------------------------------------------------------------------------------


@pytest.fixture
def scratch(store: None) -> Iterator[str]:
    """A database of its own, empty."""
    alias, name = "scratch", "test_orchestrator_scratch"
    sql(f"DROP DATABASE IF EXISTS {name}")
    sql(f"CREATE DATABASE {name}")
    connections.databases[alias] = {**connections.databases["default"], "NAME": name}
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias], connections.databases[alias]
        sql(f"DROP DATABASE {name}")


def objects_in(alias: str) -> set[str]:
    """Our tables, views, functions and triggers."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
            UNION SELECT proname || '()' FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            UNION SELECT tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal"""
        )
        return {row[0] for row in cursor.fetchall() if not row[0].startswith(("auth_", "django_"))}


def test_the_migrations_run_forward_back_to_nothing_and_forward_again(scratch: str) -> None:
    call_command("migrate", database=scratch, verbosity=0)
    made = objects_in(scratch)
    assert {"sessions", "tasks", "approvals", "audit_events", "active_sessions", "pending_approvals", "audited_events()"} <= made
    call_command("migrate", "audit", "zero", database=scratch, verbosity=0)
    assert objects_in(scratch) == set()
    assert not {"audit", "agent_sessions", "approvals"} & {app for app, _ in MigrationRecorder(connections[scratch]).applied_migrations()}
    call_command("migrate", database=scratch, verbosity=0)
    assert objects_in(scratch) == made
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize("table", ["sessions", "tasks", "approvals", "audit_events"])
def test_a_database_that_holds_the_predecessors_tables_is_left_alone(scratch: str, table: str) -> None:
    with connections[scratch].cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (id uuid PRIMARY KEY, status text)")
        cursor.execute(f"INSERT INTO {table} VALUES (gen_random_uuid(), 'theirs')")
    with pytest.raises(CommandError) as stopped:
        call_command("migrate", database=scratch, verbosity=0)
    said = str(stopped.value)
    assert table in said and "DATABASE_URL" in said and "\n" not in said
    assert objects_in(scratch) == {table}
    with connections[scratch].cursor() as cursor:
        cursor.execute(f"SELECT status FROM {table}")
        assert cursor.fetchall() == [("theirs",)]
