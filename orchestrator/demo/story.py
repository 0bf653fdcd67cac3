"""One piece of past work in memory: rows change as the actions would change them, each change with its event."""

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from approvals.models import Approval
from audit.actor import SYSTEM, Actor
from audit.models import Audited, AuditEvent, event
from orchestrator.demo.texts import Filled
from sessions.models import NOTIFICATION, OPEN, Session, Task, retention

WORK_BEGINS, WORK_ENDS = 8, 17  # UTC; the company sits where that is about right


def id_at(moment: datetime, rng: Random) -> UUID:
    """A UUIDv7 of that millisecond (RFC 9562): past rows sort by id as if they had been written then."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62))


def at_work(moment: datetime) -> bool:
    """Whether people sit at their desks."""
    return moment.weekday() < 5 and WORK_BEGINS <= moment.hour < WORK_ENDS


class Story:
    """A session, its task and its approvals, told forwards; `at` is the story's clock and never passes `now`."""

    def __init__(self, rng: Random, now: datetime, start: datetime) -> None:
        self.rng, self.now, self.at = rng, now, start
        self.trace = UUID(int=rng.getrandbits(128), version=4)
        self.session: Session | None = None
        self.task: Task | None = None
        self.approvals: list[Approval] = []
        self.events: list[AuditEvent] = []

    # --- the clock ----------------------------------------------------------------------------------------

    def later(self, least: float, most: float, by_person: bool = False) -> None:
        """Let some seconds pass, mostly few of them; people answer in working hours."""
        then = self.at + timedelta(seconds=least * (most / least) ** self.rng.random())
        while by_person and not at_work(then):
            then += timedelta(minutes=47)
        self.at = min(then, self.at + (self.now - self.at) * 0.4)

    def _tick(self) -> None:
        """What happens together still happens in order, and each id has a millisecond of its own."""
        self.at += timedelta(milliseconds=2)

    # --- what is written ----------------------------------------------------------------------------------

    def _tell(self, subject: Audited, verb: str, actor: Actor, role: str, refused: bool = False, **details: Any) -> None:
        self._tick()
        # An agent carries its trace along; a person's click has a trace of its own.
        own = UUID(int=self.rng.getrandbits(128), version=4) if actor.is_person else self.trace
        told = event(subject, verb, actor=replace(actor, request_trace=own), role=role, refused=refused, demo=True, **details)
        told.id, told.timestamp = id_at(self.at, self.rng), self.at
        self.events.append(told)
        if self.session and self.session.status in OPEN and actor is not SYSTEM:
            self.session.updated_at = self.at

    def _change(self, subject: Audited, verb: str, values: dict[str, Any], actor: Actor, role: str, **details: Any) -> None:
        subject.version += 1
        self._tell(subject, verb, actor, role, **details)
        for name, value in values.items():
            setattr(subject, name, value)
        if not isinstance(subject, Approval):
            subject.updated_at = self.at  # type: ignore[attr-defined]

    # --- sessions and tasks -------------------------------------------------------------------------------

    def open(self, actor: Actor, role: str, status: str = "pending", **metadata: Any) -> None:
        """The session begins."""
        self.session = Session(
            id=id_at(self.at, self.rng), role=role, status=status, metadata=metadata, trace_id=self.trace, created_at=self.at,
            updated_at=self.at, created_by=actor.principal, created_by_name=actor.name,
        )  # fmt: skip
        self._tell(self.session, "opened", actor, role)

    def route(self, actor: Actor, filled: Filled) -> None:
        """The task is handed over: into the session that is there, or with one of its own."""
        before = self.session
        if not before:
            self.open(actor, filled.of.sender, status="active")
        session = self._session()
        self.task = self._new_task(actor, filled.of.sender, filled.of.to, filled.of.kind, filled.title, filled.data)
        if before:
            self._change(session, "updated", {"status": "active"}, actor, session.role, task=self.task.pk)
        session.task = self.task

    def notify(self, actor: Actor, sender: str, receiver: str, message: str, priority: str) -> None:
        """A task that is a message: no session."""
        self.task = self._new_task(actor, sender, receiver, NOTIFICATION, message, {"priority": priority})

    def _new_task(self, actor: Actor, sender: str, to: str, kind: str, description: str, data: dict[str, Any]) -> Task:
        task = Task(
            id=id_at(self.at, self.rng), task_type=kind, description=description, from_role=sender, to_role=to, data=data,
            trace_id=self.trace, created_at=self.at, updated_at=self.at, created_by=actor.principal, created_by_name=actor.name,
        )  # fmt: skip
        Task._meta.get_field("session").set_cached_value(task, None)  # not to be asked of the database
        self._tell(task, "routed", actor, sender, to=to, task_type=kind)
        return task

    def claim(self, actor: Actor) -> None:
        """Somebody picks the task up."""
        task = self._task()
        self._change(task, "claimed", {"status": "active"}, actor, task.to_role)
        task.claimed_by, task.claimed_by_name, task.claimed_at = actor.principal, actor.name, self.at

    def end(self, actor: Actor, status: str, result: dict[str, Any] | None = None, because: str = "") -> None:
        """The task completes, fails or is cancelled; open requests go with it, and its session unless it was cancelled."""
        task = self._task()
        role = "system" if actor is SYSTEM else task.from_role if status == "cancelled" else task.to_role
        self._change(task, status, {"status": status, "result": result}, actor, role, **({"because": because} if because else {}))
        for approval in self.approvals:
            if approval.status == "pending":
                self._end_request(approval, "cancelled", actor, role, because=because or f"task {status}")
        if self.session and status != "cancelled":
            self._end_session(actor, status, because=f"task {status}")

    def close(self, actor: Actor) -> None:
        """The agent ends its session itself."""
        self._end_session(actor, "completed")

    def expire(self) -> None:
        """Nobody touched the session for the retention time: the sweep ends it."""
        self.at = self._session().updated_at + retention() + timedelta(seconds=self.rng.uniform(1, 15))
        self._end_session(SYSTEM, "expired")
        if self.task and self.task.status in OPEN:
            self.end(SYSTEM, "cancelled", because="session expired")

    def _end_session(self, actor: Actor, status: str, **details: Any) -> None:
        session = self._session()
        self._change(session, status, {"status": status}, actor, "system" if actor is SYSTEM else session.role, to=status, **details)

    # --- approvals ----------------------------------------------------------------------------------------

    def ask(self, actor: Actor, approver: str, reason: str, expires_at: datetime) -> None:
        """A role is asked."""
        task = self._task()
        approval = Approval(
            id=id_at(self.at, self.rng), task=task, approver_role=approver, reason=reason, from_role=task.from_role, created_at=self.at,
            requested_by=actor.principal, requested_by_name=actor.name, expires_at=expires_at,
        )  # fmt: skip
        self.approvals.append(approval)
        self._tell(approval, "requested", actor, task.from_role, of=approver, task=task.pk)

    def decide(self, actor: Actor, verdict: str, note: str) -> None:
        """A person answers the last request; four eyes hold."""
        approval = self.approvals[-1]
        self._change(approval, verdict, {"status": verdict}, actor, approval.approver_role, **({"note": note} if note else {}))
        approval.decided_by, approval.decided_by_name = actor.principal, actor.name
        approval.notes, approval.decision_at = note, self.at

    def refuse(self, actor: Actor, verdict: str, because: str) -> None:
        """Somebody tried to decide who may not."""
        approval = self.approvals[-1]
        role = actor.acting_as(approval.approver_role)
        self._tell(approval, "refused", actor, role, refused=True, verdict=verdict, because=because)

    def lapse(self) -> None:
        """The last request runs out of time; the sweep notices within seconds."""
        approval = self.approvals[-1]
        self.at = approval.expires_at + timedelta(seconds=self.rng.uniform(1, 15))
        self._end_request(approval, "expired", SYSTEM, "system")
        approval.decision_at = approval.expires_at

    def withdraw(self, actor: Actor, because: str) -> None:
        """The asker takes the last request back."""
        self._end_request(self.approvals[-1], "cancelled", actor, self._task().from_role, because=because)

    def _end_request(self, approval: Approval, status: str, actor: Actor, role: str, **details: Any) -> None:
        self._change(approval, status, {"status": status}, actor, role, **details)
        approval.decision_at = self.at

    # --- what is there ------------------------------------------------------------------------------------

    def _session(self) -> Session:
        assert self.session
        return self.session

    def _task(self) -> Task:
        assert self.task
        return self.task
