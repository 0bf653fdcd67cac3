"""Every verb on sessions and tasks; each door (JSON, browser, admin, command) passes through here."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.db.models.sql import UpdateQuery

from audit.action import Key, Lapsed, Made, Versions, action, allow_changing, check_version, held, once
from audit.actor import SYSTEM, Actor, chart_role, org_role
from audit.errors import Conflict, DomainError, Invalid, NotAllowed, NotFound
from audit.models import change, insert
from audit.prepared import Prepared, PreparedUpdate, updating
from sessions.may import ends_unclaimed, may_cancel, may_claim, may_end
from sessions.models import MOVES, NOTIFICATION, OPEN, Session, Task
from sessions.signals import task_ending


def open_session(
    *, actor: Actor, role: str, metadata: dict[str, Any] | None = None, task_id: UUID | None = None, key: Key | None = None
) -> Made[Session]:
    """Open a pending session for one of the caller's roles, carrying `task_id` if the caller sent it and no session does."""
    allow_opening(actor, role)

    def make() -> Session:
        session = _new_session(actor, role, metadata=metadata or {}, key=key)
        insert(session, "opened", actor=actor, role=role)
        if task_id:
            _adopt(actor, session, task_id)
        return session

    return once(Session, "created_by", actor, key, make)


def allow_opening(actor: Actor, role: str) -> None:
    """Whether the caller may open a session as `role`: needs the token and the body alone."""
    if not actor.holds(org_role("agent_role", role)):
        raise NotAllowed(f"You do not hold the role {role}.")


@action
def update_session(
    *, actor: Actor, session_id: UUID, status: str | None = None, metadata: Mapping[str, Any] | None = None,
    task_id: UUID | None = None, expected: Versions = None,
) -> Session:  # fmt: skip
    """Move a session, merge into its metadata (RFC 7396), give it its task; what is so already changes nothing.

    `expected` are the versions that the caller accepts. Raises Conflict with `allowed` for a move that the contract does not know.
    """
    session = locked_session(actor, session_id)
    allow_writing(actor, session)
    check_version(session, expected)
    if task_id and session.task_id != task_id:
        _adopt(actor, session, task_id)
    if status and status != session.status and status not in MOVES[session.status]:
        raise Conflict(f"A session that is {session.status} cannot become {status}.", "move-not-allowed", allowed=MOVES[session.status])
    moved = {"status": status} if status and status != session.status else {}
    merged = _bounded(merge(session.metadata, metadata or {}))
    noted = {} if same(merged, session.metadata) else {"metadata": merged}
    if moved or noted:
        _change_session(session, actor, {**moved, **noted}, details={"metadata": metadata} if noted else {})
        _end_with_session(session, actor)
    elif session.status in OPEN:
        _touch(session)
    return session


def _change_session(
    session: Session, actor: Actor, values: dict[str, Any], role: str = "", details: Mapping[str, Any] | None = None
) -> None:
    """One change with its event. `role` is acted in, else the session's."""
    status = values.get("status", "")
    ends = bool(status) and status not in OPEN
    role = role or ("system" if actor is SYSTEM else actor.acting_as(session.role))
    values = {**values, "updated_at": Now()}
    change(session, status if ends else "updated", values, actor=actor, role=role, **(details or {}), **({"to": status} if status else {}))


def _end_with_session(session: Session, actor: Actor) -> None:
    """A session that has ended takes its open task along."""
    if session.status in OPEN or not session.task_id:
        return
    if task := Task.objects.select_for_update().filter(pk=session.task_id, status__in=OPEN).first():
        task.session = session
        _end_task(task, actor, "cancelled", because=f"session {session.status}")


def _touch(session: Session) -> None:
    Session.objects.filter(pk=session.pk).update(updated_at=Now())


@action
def heartbeat(*, actor: Actor, session_id: UUID) -> None:
    """A sign of life: activity, no version, no event. Raises Conflict when the session has ended."""
    session = locked_session(actor, session_id)
    allow_writing(actor, session)
    if session.status not in OPEN:
        raise Conflict(f"The session is {session.status}.", "session-ended")
    _touch(session)


@action
def expire_session(session_id: UUID) -> bool:
    """Expire one session if its time is over; its open task and pending approvals go along. Says whether it did."""
    session = Session.objects.lapsed().select_for_update(skip_locked=True).filter(pk=session_id).first()
    if session:
        _change_session(session, SYSTEM, {"status": "expired"})
        _end_with_session(session, SYSTEM)
    return bool(session)


@Prepared
def _session_for_update(id: UUID) -> QuerySet[Session]:
    return Session.objects.select_for_update().filter(pk=id)


def locked_session(actor: Actor, session_id: UUID) -> Session:
    """The session, locked; raises NotFound unless the caller may read it, Lapsed when its time is over."""
    session = _session_for_update.first(session_id)
    if not session or not can_read(actor, session):
        raise NotFound("There is no such session, or it is not yours to read.")
    if session.has_lapsed:
        raise Lapsed(lambda: expire_session(session_id))
    return session


def can_read(actor: Actor, session: Session) -> bool:
    """Session.objects.readable_by for one row; the common cases without asking the database."""
    return actor.reads_all or actor.holds(session.role) or Session.objects.readable_by(actor).filter(pk=session.pk).exists()


def allow_writing(actor: Actor, session: Session) -> None:
    """Its creator, a person holding its role, or admin (contract, "Who may write")."""
    allow_changing(actor)
    if not (actor.principal == session.created_by or (actor.is_person and actor.holds(session.role)) or actor.is_admin):
        raise NotAllowed("Only who opened the session, a person holding its role, or admin may change it.")


def merge(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`target` with `patch` merged into it: JSON Merge Patch, RFC 7396."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            below = merged.get(name)
            merged[name] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def _bounded(metadata: dict[str, Any]) -> dict[str, Any]:
    """Many small changes must not grow what no single body could bring."""
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise Invalid("metadata", "The session's metadata would hold more than 1 MiB; remove members by sending them as null.")
    return metadata


def same(one: object, other: object) -> bool:
    """Whether two JSON values are the same; to Python alone 1 and true are equal too."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(member, other[name]) for name, member in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) != isinstance(other, float) and isinstance(one, int | float) and isinstance(other, int | float):
        return float(one) == float(other) and bool not in (type(one), type(other))  # the database writes 1e23 as a whole number
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _new_session(actor: Actor, role: str, **values: Any) -> Session:
    key = values.pop("key", None)
    return Session(
        role=role, trace_id=values.pop("trace_id", actor.request_trace), created_by=actor.principal, created_by_name=actor.name[:255],
        idempotency_key=key.value if key else None, request_digest=key.digest if key else None, **values,
    )  # fmt: skip


def _adopt(actor: Actor, session: Session, task_id: UUID) -> None:
    """Give the session a task that the caller sent and that no session carries."""
    task = Task.objects.select_for_update().filter(pk=task_id, created_by=actor.principal).first()
    if not task:
        raise NotFound("There is no such task that you sent.")
    if session.task_id:
        raise Conflict("The session carries a task already; a session takes one in its life.", "session-has-task")
    # Asked after the task's lock, in a query of its own: who waited for it sees what the other one did.
    if carrier := Session.objects.filter(task_id=task_id).first():
        raise Conflict("Another session carries this task.", "task-carried", session_id=str(carrier.pk))
    if session.status not in OPEN:
        raise Conflict(f"The session is {session.status}.", "session-ended")
    change(session, "updated", {"task_id": task_id, "updated_at": Now()}, actor=actor, role=actor.acting_as(session.role), task=task_id)


# --- tasks ---------------------------------------------------------------------------------------------


def route_task(
    *, actor: Actor, target: str, task_type: str, description: str = "", data: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None, session_id: UUID | None = None, from_role: str | None = None, key: Key | None = None,
) -> Made[Task]:  # fmt: skip
    """Hand a task to `target`, into the caller's session or into one opened for it (none for a notification)."""
    chart_role("target", target)
    try:
        session = _session_to_route_into(actor, session_id) if session_id else None
        sender = sending_role(actor, from_role, session)
    except DomainError:
        if key and (before := held(Task, "created_by", actor, key)):
            return Made(before, replayed=True)  # whatever became of the session or of the caller's roles
        raise

    def make() -> Task:
        trace = session.trace_id if session else actor.request_trace
        task = Task(
            task_type=task_type, description=description, from_role=sender, to_role=target, data=data or {}, context=context or {},
            trace_id=trace, created_by=actor.principal, created_by_name=actor.name[:255],
            idempotency_key=key.value if key else None, request_digest=key.digest if key else None,
        )  # fmt: skip
        if not session and task_type != NOTIFICATION:
            # Opened first so that the story reads in order; nobody can wait for a row that nobody sees yet.
            insert(_new_session(actor, sender, status="active", task=task, trace_id=trace), "opened", actor=actor, role=sender)
        insert(task, "routed", actor=actor, role=actor.acting_as(sender), to=target, task_type=task_type)
        if session:
            _carry(actor, session, task)
        return task

    return once(Task, "created_by", actor, key, make)


def _session_to_route_into(actor: Actor, session_id: UUID) -> Session:
    session = Session.objects.readable_by(actor).filter(pk=session_id).first()
    if not session:
        raise NotFound("There is no such session, or it is not yours to read.")
    allow_writing(actor, session)
    return session


def sending_role(actor: Actor, from_role: str | None, session: Session | None) -> str:
    """The role that the task comes from: as said, else the session's, else the caller's only one."""
    if from_role is None:
        from_role = session.role if session else _only_role(actor)
    if not actor.holds(org_role("from_role", from_role)) and not (session and actor.is_admin):
        raise NotAllowed(f"You do not hold the role {from_role}.")
    if session and from_role != session.role:
        raise Invalid("from_role", f"The session belongs to {session.role}; a task routed into it comes from there.")
    return from_role


def _only_role(actor: Actor) -> str:
    roles = sorted(actor.org_roles)
    if not roles:
        raise NotAllowed("You hold no role on the org chart, so you cannot hand over work.")
    if len(roles) > 1:
        raise Invalid("from_role", f"Say which of your roles it comes from: {', '.join(roles)}.")
    return roles[0]


def _carry(actor: Actor, read: Session, task: Task) -> None:
    """Let the session carry the new task; a pending session becomes active by it."""
    session = locked_session(actor, read.pk)
    if session.task_id:
        raise Conflict("The session carries a task already; a session takes one in its life.", "session-has-task")
    if session.status not in OPEN:
        raise Conflict(f"The session is {session.status}.", "session-ended")
    values = {"task_id": task.pk, "status": "active", "updated_at": Now()}
    change(session, "updated", values, actor=actor, role=actor.acting_as(session.role), task=task.pk)


@PreparedUpdate
def _touch_carrier(task_id: UUID) -> UpdateQuery:
    return updating(Session.objects.live().filter(task_id=task_id), updated_at=Now())


@Prepared
def _task_for_update(id: UUID) -> QuerySet[Task]:
    # Who may read is asked in a query of its own: FOR UPDATE allows no subquery's outer joins.
    return Task.objects.select_for_update(of=("self",)).whole().filter(pk=id)


def locked_task(actor: Actor, task_id: UUID) -> Task:
    """The task with its session, both locked, the session touched (the one lock order); NotFound unless readable."""
    _touch_carrier(task_id)
    task = _task_for_update.first(task_id)
    if not task or not can_read_task(actor, task):
        raise NotFound("There is no such task, or it is not yours to read.")
    if (session := task.carrier) and session.has_lapsed:
        raise Lapsed(lambda: expire_session(session.pk))
    return task


def can_read_task(actor: Actor, task: Task) -> bool:
    """Task.objects.readable_by for one row; the common cases without asking the database."""
    by_role = actor.reads_all or actor.holds(task.from_role) or actor.holds(task.to_role)
    return by_role or Task.objects.readable_by(actor).filter(pk=task.pk).exists()


@action
def claim_task(*, actor: Actor, task_id: UUID, expected: Versions = None) -> Task:
    """Pick up a pending task: one winner; the claimer's repeated claim changes nothing."""
    task = locked_task(actor, task_id)
    if not may_claim(actor, task):
        raise NotAllowed(f"Only a holder of {task.to_role} may claim it.")
    check_version(task, expected)
    if task.status == "active" and task.claimed_by == actor.principal:
        return task
    if task.status == "active" and task.claimed_at:
        facts = {"claimed_by": task.claimed_by_name, "claimed_at": task.claimed_at}
        raise Conflict(f"{task.claimed_by_name} claimed it at {task.claimed_at:%Y-%m-%d %H:%M:%S} UTC.", "already-claimed", **facts)
    _still_open(task)
    claim = {"claimed_by": actor.principal, "claimed_by_name": actor.name[:255], "claimed_at": Now()}
    change(task, "claimed", {"status": "active", "updated_at": Now(), **claim}, actor=actor, role=task.to_role)
    return task


@action
def end_task(*, actor: Actor, task_id: UUID, status: str, result: dict[str, Any] | None = None, expected: Versions = None) -> Task:
    """Complete or fail a task (its claimer; admin may fail), with its session; the same end again changes nothing."""
    task = locked_task(actor, task_id)
    allow_changing(actor)
    if not may_end(actor, task, status):
        raise NotAllowed("Only who claimed the task may end it.")
    check_version(task, expected)
    if task.status == status and same(task.result, result):
        return task
    _still_open(task)
    if task.status == "pending" and not ends_unclaimed(actor, task, status):
        raise Conflict("Claim the task first.", "not-claimed")
    _end_task(task, actor, status, result=result)
    return task


@action
def cancel_task(*, actor: Actor, task_id: UUID, expected: Versions = None) -> Task:
    """Take a task back: its creator, or a person holding from_role; its session stays active."""
    task = locked_task(actor, task_id)
    allow_changing(actor)
    if not may_cancel(actor, task):
        raise NotAllowed(f"Only who sent the task, or a person holding {task.from_role}, may cancel it.")
    check_version(task, expected)
    if task.status != "cancelled":
        _still_open(task)
        _end_task(task, actor, "cancelled")
    return task


def _still_open(task: Task) -> None:
    if not task.is_open:
        raise Conflict(f"The task is {task.status} already.", "task-ended")


def _end_task(task: Task, actor: Actor, status: str, *, result: dict[str, Any] | None = None, because: str = "") -> None:
    """End an open task, tell the apps above, and end its session with it (a cancelled task leaves it)."""
    role = "system" if actor is SYSTEM else actor.acting_as(task.to_role if status != "cancelled" else task.from_role)
    values = {"status": status, "updated_at": Now(), **({"result": result} if result is not None else {})}
    change(task, status, values, actor=actor, role=role, **({"because": because} if because else {}))
    task_ending.send(Task, task=task, actor=actor, role=role, because=because or f"task {status}")
    session = task.carrier
    if session and status != "cancelled" and session.status in OPEN:
        _change_session(session, actor, {"status": status}, role, {"because": f"task {status}"})
