"""A small model of the contract's rules, over the rows as they stand: who may do what now, written apart from the actions."""

import json
from dataclasses import dataclass, field
from typing import Any

from audit.actor import Actor
from tests.evidence import sql

Row = dict[str, Any]
OPEN = ("pending", "active")
DECIDED = ("approved", "rejected")
ROLES = ("finance", "manager", "support")
#: Where each state may go in one step. A session ends with its task from wherever it is.
MOVES = {
    "session": {"pending": {"active", "completed", "failed", "expired"}, "active": {"completed", "failed", "expired"}},
    "task": {"pending": {"active", "completed", "failed", "cancelled"}, "active": {"completed", "failed", "cancelled"}},
    "approval": {"pending": {"approved", "rejected", "expired", "cancelled"}},
}
ASKED = {"pending": {"active", "expired"}, "active": {"completed", "failed", "expired"}}  # of a session, by its caller

#: `held`: its idempotency key still counts; `lapsed`: its time is over though nobody expired it.
ROWS = """
WITH rows AS (
  SELECT 'session' AS kind, id, created_at, created_by AS owner, status IN ('pending', 'active') AND updated_at <= now() - interval '7 days'
    AS lapsed, to_jsonb(o) AS row FROM sessions o
  UNION ALL SELECT 'task', id, created_at, created_by, false, to_jsonb(o) FROM tasks o
  UNION ALL SELECT 'approval', id, created_at, requested_by, status = 'pending' AND expires_at <= now(), to_jsonb(o) FROM approvals o)
SELECT kind, id::text, row || jsonb_build_object('owner', owner, 'held', created_at >= now() - interval '1 day', 'lapsed', lapsed) FROM rows
"""
EVENTS = """
SELECT id::text, event_type, subject_id::text, version, actor_kind,
  digest = audit_digest(CASE WHEN subject_id IS NULL THEN '' ELSE coalesce(lag(digest) OVER chain, '') END, e)
FROM audit_events e WINDOW chain AS (PARTITION BY subject_type, subject_id ORDER BY timestamp)
"""


@dataclass(frozen=True)
class Event:
    """An event, and whether its digest follows from the one before it."""

    type: str
    subject: str | None
    version: int | None
    kind: str
    intact: bool


@dataclass
class World:
    """All rows by kind and id, all events by id."""

    session: dict[str, Row] = field(default_factory=dict)
    task: dict[str, Row] = field(default_factory=dict)
    approval: dict[str, Row] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)

    def carrier(self, task: str) -> str | None:
        """The session that carries the task."""
        return next((id for id, session in self.session.items() if session["task_id"] == task), None)

    def asked_on(self, task: str) -> dict[str, Row]:
        """The task's approvals."""
        return {id: row for id, row in self.approval.items() if row["task_id"] == task}

    def holder(self, kind: str, actor: Actor, key: str) -> str | None:
        """What this caller's key made, while the key counts."""
        rows: dict[str, Row] = getattr(self, kind)
        of_key = (id for id, row in rows.items() if (row["owner"], row["idempotency_key"]) == (actor.principal, key) and row["held"])
        return next(of_key, None)

    # --- the states as readers see them ----------------------------------------------------------------

    def session_lapsed(self, task: str) -> bool:
        """Whether the time of the session that carries the task is over."""
        carrier = self.carrier(task)
        return bool(carrier and self.session[carrier]["lapsed"])

    def session_status(self, id: str) -> str:
        """A lapsed session is expired."""
        return "expired" if self.session[id]["lapsed"] else str(self.session[id]["status"])

    def task_status(self, id: str) -> str:
        """A lapsed session takes its open task along."""
        status = str(self.task[id]["status"])
        return "cancelled" if self.session_lapsed(id) and status in OPEN else status

    def approval_status(self, id: str) -> str:
        """A request lapses by itself, or is taken back with its task."""
        approval = self.approval[id]
        taken_back = approval["status"] == "pending" and self.session_lapsed(approval["task_id"])
        return "expired" if approval["lapsed"] else "cancelled" if taken_back else str(approval["status"])

    # --- who may do what (contract, "Rules"); `seen` is the version that the caller names, if any ---------

    def may_write(self, actor: Actor, id: str) -> bool:
        """A session: its creator, a person holding its role, admin."""
        session = self.session[id]
        person = actor.is_person and actor.holds(session["role"])
        return session["created_by"] == actor.principal or person or actor.is_admin

    def may_update(self, actor: Actor, id: str, status: str | None, task: str | None, seen: int | None) -> bool:
        """A move that the contract knows, a task of the caller's that nobody carries."""
        now, session = self.session_status(id), self.session[id]
        moves = status in (None, now) or status in ASKED.get(now, ())
        takes = task in (None, session["task_id"]) or (now in OPEN and not session["task_id"] and self.may_adopt(actor, task))
        return self.may_write(actor, id) and _is_seen(session, seen) and moves and takes

    def may_adopt(self, actor: Actor, task: str | None) -> bool:
        """A task that the caller sent and no session carries."""
        return task in self.task and self.task[task]["created_by"] == actor.principal and not self.carrier(task)

    def may_route(self, actor: Actor, target: str, session: str | None, sender: str | None) -> bool:
        """Into a session of the caller's that has no task yet, or from the caller's only role."""
        if target not in ROLES:
            return False
        if session:
            role = self.session[session]["role"]
            free = self.session_status(session) in OPEN and not self.session[session]["task_id"]
            return self.may_write(actor, session) and free and sender in (None, role) and (actor.holds(role) or actor.is_admin)
        return actor.holds(sender) if sender else len(actor.org_roles) == 1

    def may_claim(self, actor: Actor, id: str, seen: int | None) -> bool:
        """A holder of its role; again only the claimer."""
        task, now = self.task[id], self.task_status(id)
        mine = now == "active" and task["claimed_by"] == actor.principal
        return actor.holds(task["to_role"]) and self._is_task_seen(id, seen) and (now == "pending" or mine)

    def may_end(self, actor: Actor, id: str, status: str, result: Row | None, seen: int | None) -> bool:
        """Its claimer; admin may fail it; a notification needs no claim. An open request must be answered first."""
        task, now = self.task[id], self.task_status(id)
        fails = status == "failed" and actor.is_admin
        unclaimed = task["claimed_by"] is None and actor.holds(task["to_role"])
        if not (task["claimed_by"] == actor.principal or unclaimed or fails) or not self._is_task_seen(id, seen):
            return False
        if now == status and task["result"] == result:
            return True
        waits = any(self.approval_status(asked) == "pending" for asked in self.asked_on(id))
        ready = now == "active" or fails or (status == "completed" and task["task_type"] == "notification")
        return now in OPEN and ready and not (status == "completed" and waits)

    def may_cancel_task(self, actor: Actor, id: str, seen: int | None) -> bool:
        """Its sender, or a person of the sender's role."""
        task = self.task[id]
        sender = task["created_by"] == actor.principal or (actor.is_person and actor.holds(task["from_role"]))
        return sender and self._is_task_seen(id, seen) and self.task_status(id) in (*OPEN, "cancelled")

    def may_ask(self, actor: Actor, task: str, role: str, expires_in: int | None) -> bool:
        """About an open task: its sender, the sender's role, its claimer."""
        row = self.task[task]
        involved = actor.holds(row["from_role"]) or actor.principal in (row["created_by"], row["claimed_by"])
        known = role in ROLES and (expires_in is None or 60 <= expires_in <= 30 * 86_400)
        return involved and known and self.task_status(task) in OPEN and bool(actor.org_roles or actor.is_admin)

    def may_decide(self, actor: Actor, id: str, verdict: str, note: str, seen: int | None) -> bool:
        """A person who is asked, and neither asked nor sent the task; a rejection says why."""
        approval, now = self.approval[id], self.approval_status(id)
        if not self.is_free_to_decide(actor, id) or not _is_seen(approval, seen, now):
            return False
        again = now == verdict and approval["decided_by"] == actor.principal
        return again or (now == "pending" and (verdict == "approved" or bool(note)))

    def is_free_to_decide(self, actor: Actor, id: str) -> bool:
        """Four eyes."""
        approval = self.approval[id]
        own = actor.principal in (approval["requested_by"], self.task[approval["task_id"]]["created_by"])
        return actor.is_person and (actor.holds(approval["approver_role"]) or actor.is_admin) and not own

    def may_cancel(self, actor: Actor, id: str) -> bool:
        """Who asked, or admin."""
        asker = self.approval[id]["requested_by"] == actor.principal or actor.is_admin
        return asker and self.approval_status(id) in ("pending", "cancelled")

    def _is_task_seen(self, id: str, seen: int | None) -> bool:
        return _is_seen(self.task[id], seen, self.task_status(id))

    # --- what must hold in every moment --------------------------------------------------------------------

    def faults(self) -> list[str]:
        """Whatever is not as it must be."""
        return [*self._trail(), *self._eyes(), *self._doubles(), *self._leftovers()]

    def _trail(self) -> list[str]:
        told: dict[str | None, list[int]] = {}
        for event in self.events.values():
            if event.version is not None:
                told.setdefault(event.subject, []).append(event.version)
        rows = {**self.session, **self.task, **self.approval}
        gaps = [
            f"{id} has the events {told.get(id)}" for id, row in rows.items() if sorted(told.get(id, [])) != [*range(1, row["version"] + 1)]
        ]
        return [*gaps, *(f"{event} is not intact" for event in self.events.values() if not event.intact)]

    def _eyes(self) -> list[str]:
        own = {id: (row["requested_by"], self.task[row["task_id"]]["created_by"]) for id, row in self.approval.items()}
        return [f"{id} was decided by one of {own[id]}" for id, row in self.approval.items() if row["decided_by"] in own[id]]

    def _doubles(self) -> list[str]:
        pending = [(row["task_id"], row["approver_role"]) for row in self.approval.values() if row["status"] == "pending"]
        carried = [row["task_id"] for row in self.session.values() if row["task_id"]]
        return [f"{one} stands twice" for many in (pending, carried) for one in many if many.count(one) > 1]

    def _leftovers(self) -> list[str]:
        asked = {id for id, row in self.approval.items() if row["status"] == "pending" and self.task[row["task_id"]]["status"] not in OPEN}
        ended = [row for row in self.session.values() if row["status"] not in OPEN and row["task_id"]]
        open_tasks = {row["task_id"] for row in ended if self.task[row["task_id"]]["status"] in OPEN}
        return [f"{id} is open though what it belongs to has ended" for id in asked | open_tasks]


def _is_seen(row: Row, seen: int | None, now: str = "") -> bool:
    """Whether the caller names the present version; what has run out of time is expired first, which makes one more."""
    moved = row["lapsed"] or (now and now != row["status"])
    return seen is None or seen == row["version"] + bool(moved)


def look() -> World:
    """The world as the database holds it."""
    world = World(events={id: Event(*rest) for id, *rest in sql(EVENTS)})
    for kind, id, row in sql(ROWS):
        getattr(world, kind)[id] = json.loads(row)
    return world


def moved_wrongly(before: World, after: World) -> list[str]:
    """Rows that took a way the contract does not know (none leaves a final state) or vanished, events that did not stay."""
    wrong = [f"event {id} did not stay" for id, event in before.events.items() if after.events.get(id) != event]
    for kind, moves in MOVES.items():
        was, rows = getattr(before, kind), getattr(after, kind)
        for id, row in was.items():
            now = rows[id]["status"] if id in rows else "gone"
            if now != row["status"] and now not in moves.get(row["status"], ()):
                wrong.append(f"{kind} {id} went from {row['status']} to {now}")
    return wrong
